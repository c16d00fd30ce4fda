//! Measured server: one process that is pinned to its cores and ends at the latest with the load
//! generator.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

const PATIENCE: Duration = Duration::from_secs(30);

pub struct Server {
    child: Child,
    pub address: SocketAddr,
    log: PathBuf,
}

impl Server {
    /// Starts the program and waits until it accepts connections.
    pub fn start(
        core: usize,
        folder: &Path,
        port: u16,
        program: &Path,
        arguments: &[String],
        environment: &[(String, String)],
    ) -> anyhow::Result<Self> {
        Self::start_on(&[core], folder, port, program, arguments, environment)
    }

    /// Starts the program on these cores, whatever the calling thread is pinned to.
    pub fn start_on(
        cores: &[usize],
        folder: &Path,
        port: u16,
        program: &Path,
        arguments: &[String],
        environment: &[(String, String)],
    ) -> anyhow::Result<Self> {
        let cores = cores.iter().map(usize::to_string).collect::<Vec<_>>().join(",");
        let log = folder.join("server.log");
        let file = fs::File::create(&log)?;
        let mut command = Command::new("setpriv");
        command
            .args(["--pdeathsig", "KILL", "taskset", "-c", &cores])
            .arg(program)
            .args(arguments)
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file);
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("NATTER")) {
            command.env_remove(name);
        }
        command.envs(environment.iter().cloned());
        let child = command.spawn().with_context(|| format!("{} does not start", program.display()))?;
        let mut server = Self { child, address: (Ipv4Addr::LOCALHOST, port).into(), log };
        server.wait()?;
        Ok(server)
    }

    fn wait(&mut self) -> anyhow::Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect(self.address).is_err() {
            if let Some(status) = self.child.try_wait()? {
                bail!("the server ended with {status}: {}", self.last_words());
            }
            if Instant::now() > deadline {
                bail!("the server does not listen: {}", self.last_words());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    pub fn process(&self) -> u32 {
        self.child.id()
    }

    /// Returns the end of the server's log.
    pub fn last_words(&self) -> String {
        let said = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = said.lines().collect();
        lines[lines.len().saturating_sub(10)..].join("\n")
    }
}

impl Drop for Server {
    /// Terminates the server after a short grace period, because a graceful shutdown with thousands
    /// of connections is slow.
    fn drop(&mut self) {
        if let Some(process) = rustix::process::Pid::from_raw(self.child.id().cast_signed()) {
            let _ = rustix::process::kill_process(process, rustix::process::Signal::TERM);
        }
        for _ in 0..10 {
            if matches!(self.child.try_wait(), Ok(Some(_))) {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
