//! Process of the real server under test.

use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::place::{PATIENCE, free_port, natter};

/// Pseudo-setting, which Natter doesn't have: filter of the log.
pub(crate) const LOG: &str = "log";
/// Pseudo-setting: file that replaces `/etc/resolv.conf`. Requires root.
pub(crate) const RESOLVER: &str = "resolver";
/// Pseudo-setting: program to run instead of the one under test.
pub(crate) const PROGRAM: &str = "program";
/// Pseudo-setting: file with the offset of the clock in seconds, such as `+3600`. The file is read
/// again and again.
pub(crate) const CLOCK: &str = "clock";
/// Pseudo-setting: seed of faults of the bus, which loses, repeats and reorders messages.
pub(crate) const BUS_FAULTS: &str = "bus_faults";
/// Pseudo-setting: hashes passwords as expensively as in production.
pub(crate) const FULL_HASHES: &str = "full_hashes";
/// Paths at which Debian's package faketime installs its library.
const FAKE_CLOCK: [&str; 2] =
    ["/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1", "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1"];

/// Running server. It is killed on drop; if the test fails, its log is printed.
pub struct Instance {
    child: Child,
    port: u16,
    settings: Vec<(String, String)>,
    log: Arc<Mutex<Vec<String>>>,
    listening: watch::Receiver<bool>,
    /// Tasks that read the output of the process.
    readers: JoinSet<()>,
}

impl Instance {
    /// Starts `natter serve` on a free port and waits until it listens.
    pub async fn start(folder: &Path, settings: &[(String, String)]) -> Self {
        let mut instance = Self::spawn(folder, settings, free_port());
        instance.wait_until_listening().await;
        instance
    }

    /// Starts `natter serve` on this port and doesn't wait.
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
        let mut readers = JoinSet::new();
        readers.spawn(listen(child.stdout.take().expect("stdout is piped"), Arc::clone(&log), Arc::clone(&told)));
        readers.spawn(listen(child.stderr.take().expect("stderr is piped"), Arc::clone(&log), told));
        settings.push(("folder".into(), folder.display().to_string()));
        Self { child, port, settings, log, listening, readers }
    }

    pub async fn wait_until_listening(&mut self) {
        let listens = tokio::time::timeout(PATIENCE, self.listening.wait_for(|listening| *listening))
            .await
            .is_ok_and(|told| told.is_ok());
        assert!(listens, "natter does not listen; its log:\n{}", self.log().join("\n"));
    }

    /// Starts a new process with the same settings and port, after [`Self::kill`] or
    /// [`Self::terminate`].
    pub async fn start_again(&mut self) {
        let mut settings = self.settings.clone();
        let folder = settings.pop().expect("folder is the last argument").1;
        *self = Self::spawn(Path::new(&folder), &settings, self.port);
        self.wait_until_listening().await;
    }

    /// Returns `http://127.0.0.1:PORT`.
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
        self.child.id().expect("running")
    }

    /// Sends SIGKILL and waits for the end of the process.
    pub async fn kill(&mut self) {
        self.child.kill().await.expect("running");
    }

    /// Sends SIGTERM, waits for the end of the process and returns its status.
    pub async fn terminate(&mut self) -> ExitStatus {
        self.signal(Signal::SIGTERM);
        self.ended().await
    }

    /// Sends SIGHUP, as a closed terminal or a log rotation does.
    pub fn hang_up(&self) {
        self.signal(Signal::SIGHUP);
    }

    /// Sends SIGTERM and doesn't wait.
    pub fn ask_to_stop(&self) {
        self.signal(Signal::SIGTERM);
    }

    /// Waits for the end of the process, and until its log was read completely.
    pub async fn ended(&mut self) -> ExitStatus {
        let child = &mut self.child;
        let readers = &mut self.readers;
        let ended = tokio::time::timeout(PATIENCE * 3, async {
            let status = child.wait().await;
            while readers.join_next().await.is_some() {}
            status
        });
        ended
            .await
            .unwrap_or_else(|_| panic!("natter does not exit; its log:\n{}", self.log().join("\n")))
            .expect("process waited for")
    }

    /// Limits the number of open files to the current number plus `more`.
    pub fn limit_files(&self, more: usize) {
        let open = std::fs::read_dir(format!("/proc/{}/fd", self.process_id())).expect("running").count();
        let limits = format!("--nofile={0}:{0}", open + more);
        let done =
            std::process::Command::new("prlimit").args(["--pid", &self.process_id().to_string(), &limits]).status();
        assert!(done.expect("prlimit is installed").success());
    }

    /// Sends SIGSTOP: the process is suspended, but its connections stay open.
    pub fn pause(&self) {
        self.signal(Signal::SIGSTOP);
    }

    pub fn resume(&self) {
        self.signal(Signal::SIGCONT);
    }

    /// Returns the lines of the log up to now.
    #[must_use]
    pub fn log(&self) -> Vec<String> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Resident memory in bytes, without mapped files: pages of the program are read when its code
    /// is first used, which is no growth.
    #[must_use]
    pub fn memory(&self) -> u64 {
        self.memory_line("RssAnon:")
    }

    /// Maximum resident memory since [`Self::reset_peak_memory`], in bytes.
    #[must_use]
    pub fn peak_memory(&self) -> u64 {
        self.memory_line("VmHWM:")
    }

    pub fn reset_peak_memory(&self) {
        std::fs::write(self.proc("clear_refs"), "5").expect("running");
    }

    /// CPU time of all threads of the process, in clock ticks of 10 ms.
    #[must_use]
    pub fn cpu_ticks(&self) -> u64 {
        let text = std::fs::read_to_string(self.proc("stat")).expect("running");
        // The fields follow the program's name, which may contain spaces:
        // https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html
        let (_, fields) = text.rsplit_once(") ").expect("the name is in parentheses");
        fields.split(' ').skip(11).take(2).map(|ticks| ticks.parse::<u64>().expect("a number")).sum()
    }

    fn memory_line(&self, name: &str) -> u64 {
        let text = std::fs::read_to_string(self.proc("status")).expect("running");
        let line = text.lines().find_map(|line| line.strip_prefix(name)).expect("readable from /proc");
        line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") * 1024
    }

    fn proc(&self, file: &str) -> String {
        format!("/proc/{}/{file}", self.process_id())
    }

    fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.process_id()).expect("a process id");
        kill(Pid::from_raw(id), signal).expect("running");
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.log();
            let last = log.len().saturating_sub(60);
            eprintln!("--- end of the log of {} ---\n{}", self.url(), log[last..].join("\n"));
        }
    }
}

/// Builds a `natter` command that has these settings and no other `NATTER` variables in its
/// environment.
pub(crate) fn command(folder: &Path, settings: &[(String, String)]) -> Command {
    let of = |wanted: &str| settings.iter().find(|(key, _)| key == wanted);
    let program = of(PROGRAM).map_or_else(natter, |(_, path)| path.into());
    let mut command = match of(RESOLVER) {
        None => Command::new(program),
        Some((_, file)) => {
            // `exec` replaces the shell, so that the process id is that of the program.
            let mut command = Command::new("unshare");
            let script = "mount --bind \"$0\" /etc/resolv.conf && exec \"$@\"";
            command.args(["--mount", "--propagation", "private", "sh", "-c", script, file]).arg(program);
            command
        }
    };
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("NATTER")) {
        command.env_remove(name);
    }
    if of(FULL_HASHES).is_none() {
        command.env("NATTER_TEST_CHEAP_HASHES", "1");
    }
    if std::env::var_os("RUST_LOG").is_none() {
        command.env("RUST_LOG", "info");
    }
    // Metrics are off, because several instances can't use the same port for them.
    command.env("NATTER__METRICS__LISTEN", "none");
    for (key, value) in settings {
        match key.as_str() {
            LOG => command.env("RUST_LOG", value),
            RESOLVER | PROGRAM | FULL_HASHES => &mut command,
            BUS_FAULTS => command.env("NATTER_TEST_BUS_FAULTS", value),
            CLOCK => {
                let library = FAKE_CLOCK.iter().find(|path| Path::new(path).exists());
                command
                    .env("LD_PRELOAD", library.expect("faketime is installed; scripts/test installs it"))
                    .env("FAKETIME_TIMESTAMP_FILE", value)
                    .env("FAKETIME_NO_CACHE", "1")
                    // Changing the clock doesn't affect the monotonic time.
                    .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
            }
            // Environment variables that are not settings of Natter.
            key if key.starts_with("OTEL_") || key == "SSL_CERT_FILE" => command.env(key, value),
            _ => command.env(format!("NATTER__{}", key.replace('.', "__").to_uppercase()), value),
        };
    }
    command.current_dir(folder).kill_on_drop(true);
    command
}

async fn listen(output: impl AsyncRead + Unpin, log: Arc<Mutex<Vec<String>>>, told: Arc<watch::Sender<bool>>) {
    let mut lines = BufReader::new(output).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        if line.contains("listening") {
            told.send_replace(true);
        }
        log.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    }
}
