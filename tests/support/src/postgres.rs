//! PostgreSQL server that a test can stop and restart.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

use crate::place::{free_port, program};

/// PostgreSQL server. It is stopped on drop. Commits don't wait for the disk: tests don't cut the
/// power, and the slow disk of a busy machine would look like slowness of the server.
pub struct PostgresServer {
    port: u16,
    runs: bool,
    folder: TempDir,
}

impl PostgresServer {
    /// Creates a database cluster and starts the server, which takes about two seconds.
    #[must_use]
    pub fn start() -> Self {
        let mut server = Self::new();
        let data = server.data();
        run(tool("initdb").arg("--pgdata").arg(&data).args([
            "--username=natter",
            "--auth=trust",
            "--encoding=UTF8",
            "--locale=C",
        ]));
        server.start_again();
        server
    }

    /// Creates a standby of this server, with streaming replication through a slot, and starts it, which takes about three
    /// seconds.
    #[must_use]
    pub fn standby(&self) -> Self {
        let mut server = Self::new();
        let (port, slot) = (format!("--port={}", self.port), format!("--slot=standby_{}", server.port));
        let options =
            ["--host=127.0.0.1", "--username=natter", "--write-recovery-conf", "--checkpoint=fast", "--create-slot"];
        run(tool("pg_basebackup").args(options).args([port, slot]).arg("--pgdata").arg(server.data()));
        server.start_again();
        server
    }

    fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("natter-postgres").tempdir().expect("a temporary folder");
        if is_root() {
            run(Command::new("chown").arg("postgres").arg(folder.path()));
        }
        Self { port: free_port(), runs: false, folder }
    }

    /// Returns the URL of the database: the maintenance database, which is empty.
    #[must_use]
    pub fn url(&self) -> String {
        format!("postgres://natter@127.0.0.1:{}/postgres", self.port)
    }

    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Kills all processes of the server, as in a crash of the machine.
    pub fn stop(&mut self) {
        self.control(&["stop", "--mode=immediate"]);
        self.runs = false;
    }

    /// Kills all processes of the server with SIGKILL.
    pub fn kill(&mut self) {
        let file = self.data().join("postmaster.pid");
        let text = std::fs::read_to_string(&file).expect("the server runs");
        let postmaster: i64 = text.lines().next().and_then(|id| id.parse().ok()).expect("a process id");
        let children = std::fs::read_to_string(format!("/proc/{postmaster}/task/{postmaster}/children"));
        let mut processes = vec![postmaster];
        processes.extend(children.expect("running").split_whitespace().filter_map(|id| id.parse::<i64>().ok()));
        for process in &processes {
            // A child may have ended meanwhile.
            let _ = kill(Pid::from_raw(i32::try_from(*process).expect("a process id")), Signal::SIGKILL);
        }
        while processes.iter().any(|process| runs(*process)) {
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        // The process may be listed until its parent has noticed its end, which would look like a running server.
        std::fs::remove_file(file).expect("removable");
        self.runs = false;
    }

    /// Starts the server again on the same port, with its data.
    pub fn start_again(&mut self) {
        let options = format!(
            "-c fsync=off -c listen_addresses=127.0.0.1 -c port={} -c unix_socket_directories= -c max_connections=200",
            self.port
        );
        let log = self.folder.path().join("log");
        self.control(&["start", "--log", log.to_str().expect("a plain path"), "-o", &options]);
        self.runs = true;
    }

    /// Starts the server again with its data, as a read-only replica without a primary.
    pub fn demote(&mut self) {
        self.stop();
        self.write("standby.signal", "");
        self.start_again();
    }

    /// Promotes the replica, so that it accepts writes again.
    pub fn promote(&self) {
        self.control(&["promote"]);
    }

    /// Configures TLS with this certificate and key; it is used from the next start on.
    pub fn certify(&mut self, certificate: &str, key: &str) {
        self.stop();
        self.write("server.crt", certificate);
        self.write("server.key", key);
        self.write("postgresql.auto.conf", "ssl = on\n");
        self.start_again();
    }

    /// Accepts only TLS, and only clients whose certificate of this authority names the user.
    pub fn demand_client_certificates(&mut self, authority: &str) {
        self.stop();
        self.write("root.crt", authority);
        self.write("postgresql.auto.conf", "ssl = on\nssl_ca_file = 'root.crt'\n");
        self.write("pg_hba.conf", "hostssl all all 127.0.0.1/32 trust clientcert=verify-full\n");
        self.start_again();
    }

    /// Writes a file to the server's folder, with the owner that it needs.
    fn write(&self, name: &str, contents: &str) {
        let file = self.data().join(name);
        std::fs::write(&file, contents).expect("writable");
        std::fs::set_permissions(&file, PermissionsExt::from_mode(0o600)).expect("own process");
        if is_root() {
            run(Command::new("chown").arg("postgres").arg(&file));
        }
    }

    /// Suspends a process of the server. Its connection stays open but sends no data.
    pub fn pause_backend(&self, process_id: i64) {
        signal(process_id, Signal::SIGSTOP);
    }

    pub fn resume_backend(&self, process_id: i64) {
        signal(process_id, Signal::SIGCONT);
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn control(&self, arguments: &[&str]) {
        run(tool("pg_ctl").args(["--silent", "--wait", "--pgdata"]).arg(self.data()).args(arguments));
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        if self.runs {
            self.stop();
        }
    }
}

/// Builds a command of PostgreSQL. It runs as a user other than root, because PostgreSQL requires
/// that.
fn tool(name: &str) -> Command {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut places: Vec<String> = versions.map(|version| version.path().join("bin").display().to_string()).collect();
    places.sort();
    places.reverse();
    let path = program(name, &places.iter().map(String::as_str).collect::<Vec<_>>());
    if !is_root() {
        return Command::new(path);
    }
    let mut command = Command::new("runuser");
    command.args(["-u", "postgres", "--"]).arg(path);
    command
}

fn signal(process_id: i64, signal: Signal) {
    let id = i32::try_from(process_id).expect("a process id");
    kill(Pid::from_raw(id), signal).expect("running");
}

/// True unless the process has ended. A process whose parent has not noticed that is a zombie (`Z`).
fn runs(process: i64) -> bool {
    let state = std::fs::read_to_string(format!("/proc/{process}/stat"));
    state.is_ok_and(|state| !state.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('Z')))
}

fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

fn run(command: &mut Command) {
    let output = command.current_dir(Path::new("/")).output().expect("program found");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}
