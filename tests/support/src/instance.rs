//! One process of the real server.

use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::watch;

use crate::place::{PATIENCE, free_port, natter};

/// A running server. It is killed when it is dropped; what it logged is shown when the test fails.
pub struct Instance {
    child: Child,
    port: u16,
    settings: Vec<(String, String)>,
    log: Arc<Mutex<Vec<String>>>,
    listening: watch::Receiver<bool>,
}

impl Instance {
    /// Starts `natter serve` on a port of its own and waits until it listens.
    pub async fn start(folder: &Path, settings: &[(String, String)]) -> Self {
        let mut instance = Self::spawn(folder, settings, free_port());
        instance.wait_until_listening().await;
        instance
    }

    /// The same, without waiting.
    #[must_use]
    pub fn spawn(folder: &Path, settings: &[(String, String)], port: u16) -> Self {
        let mut settings = settings.to_vec();
        settings.retain(|(key, _)| key != "server.port");
        settings.push(("server.port".into(), port.to_string()));
        let mut child = command(folder, &settings)
            .arg("serve")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("natter starts");
        let log = Arc::default();
        let (told, listening) = watch::channel(false);
        let told = Arc::new(told);
        listen(child.stdout.take().expect("stdout is piped"), Arc::clone(&log), Arc::clone(&told));
        listen(child.stderr.take().expect("stderr is piped"), Arc::clone(&log), told);
        settings.push(("folder".into(), folder.display().to_string()));
        Self { child, port, settings, log, listening }
    }

    pub async fn wait_until_listening(&mut self) {
        let listens = tokio::time::timeout(PATIENCE, self.listening.wait_for(|listening| *listening))
            .await
            .is_ok_and(|told| told.is_ok());
        assert!(listens, "natter does not listen; it said:\n{}", self.log().join("\n"));
    }

    /// A new process with the same settings on the same port: after [`Self::kill`] or [`Self::terminate`].
    pub async fn start_again(&mut self) {
        let mut settings = self.settings.clone();
        let folder = settings.pop().expect("the folder is last").1;
        *self = Self::spawn(Path::new(&folder), &settings, self.port);
        self.wait_until_listening().await;
    }

    /// `http://127.0.0.1:PORT`
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    #[must_use]
    pub fn process_id(&self) -> u32 {
        self.child.id().expect("it runs")
    }

    /// SIGKILL: no chance to tidy up.
    pub async fn kill(&mut self) {
        self.child.kill().await.expect("it runs");
    }

    /// SIGTERM, and what it ended with.
    pub async fn terminate(&mut self) -> ExitStatus {
        self.signal(Signal::SIGTERM);
        self.ended().await
    }

    /// SIGTERM, without waiting.
    pub fn ask_to_stop(&self) {
        self.signal(Signal::SIGTERM);
    }

    pub async fn ended(&mut self) -> ExitStatus {
        let ended = tokio::time::timeout(PATIENCE * 3, self.child.wait()).await;
        ended
            .unwrap_or_else(|_| panic!("natter does not end; it said:\n{}", self.log().join("\n")))
            .expect("it can be waited for")
    }

    /// SIGSTOP: it stands still, and its connections stay open.
    pub fn pause(&self) {
        self.signal(Signal::SIGSTOP);
    }

    pub fn resume(&self) {
        self.signal(Signal::SIGCONT);
    }

    /// What it has logged so far.
    #[must_use]
    pub fn log(&self) -> Vec<String> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Resident memory in bytes.
    #[must_use]
    pub fn memory(&self) -> u64 {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.process_id())).expect("it runs");
        let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("the kernel tells");
        line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") * 1024
    }

    fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.process_id()).expect("a process id");
        kill(Pid::from_raw(id), signal).expect("it runs");
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.log();
            let last = log.len().saturating_sub(60);
            eprintln!("--- the last that {} said ---\n{}", self.url(), log[last..].join("\n"));
        }
    }
}

/// `natter` with settings in its environment and nothing else of ours in it.
pub(crate) fn command(folder: &Path, settings: &[(String, String)]) -> Command {
    let mut command = Command::new(natter());
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("NATTER")) {
        command.env_remove(name);
    }
    for (key, value) in settings {
        command.env(format!("NATTER__{}", key.replace('.', "__").to_uppercase()), value);
    }
    if std::env::var_os("RUST_LOG").is_none() {
        command.env("RUST_LOG", "info");
    }
    command.current_dir(folder).kill_on_drop(true);
    command
}

fn listen(
    output: impl AsyncRead + Unpin + Send + 'static,
    log: Arc<Mutex<Vec<String>>>,
    told: Arc<watch::Sender<bool>>,
) {
    tokio::spawn(async move {
        let mut lines = BufReader::new(output).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            if line.contains("listening") {
                told.send_replace(true);
            }
            log.lock().unwrap_or_else(PoisonError::into_inner).push(line);
        }
    });
}
