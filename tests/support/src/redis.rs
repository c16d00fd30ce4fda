//! Redis server that a test can stop and restart.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use crate::place::{free_port, program, wait_until};

/// Process of Redis. It is killed on drop.
pub struct RedisServer {
    port: u16,
    child: Option<Child>,
    folder: TempDir,
    /// True if the server accepts only TLS.
    is_encrypted: bool,
    options: Vec<String>,
}

impl RedisServer {
    pub async fn start() -> Self {
        Self::start_with(false, Vec::new()).await
    }

    /// Starts a server with these users (`natter on >password ~* &* +@all`), whose default user is disabled.
    pub async fn start_with_users(users: &[&str]) -> Self {
        let users = users.iter().chain(&["default off"]);
        let options = users.flat_map(|user| ["--user"].into_iter().chain(user.split_whitespace()).map(str::to_owned));
        Self::start_with(false, options.collect()).await
    }

    /// Starts a server that accepts only TLS.
    pub async fn start_with_tls(certificate: &Path, key: &Path) -> Self {
        Self::start_with(true, tls_options(certificate, key, &["--tls-auth-clients", "no"])).await
    }

    /// Starts a server that accepts only TLS, and only clients with a certificate of this authority.
    pub async fn start_with_client_certificates(certificate: &Path, key: &Path, authority: &Path) -> Self {
        let authority = authority.display().to_string();
        let options = ["--tls-auth-clients", "yes", "--tls-ca-cert-file", &authority];
        Self::start_with(true, tls_options(certificate, key, &options)).await
    }

    async fn start_with(is_encrypted: bool, options: Vec<String>) -> Self {
        let folder = tempfile::Builder::new().prefix("natter-redis").tempdir().expect("a temporary folder");
        let mut server = Self { port: free_port(), child: None, folder, is_encrypted, options };
        server.start_again().await;
        server
    }

    #[must_use]
    pub fn url(&self) -> String {
        let scheme = if self.is_encrypted { "rediss" } else { "redis" };
        format!("{scheme}://127.0.0.1:{}", self.port)
    }

    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Kills the server: all connections and data are lost.
    pub async fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().await.expect("running");
        }
    }

    /// Starts the server on the same port, without data.
    pub async fn start_again(&mut self) {
        let mut command = Command::new(redis_program());
        let port = self.port.to_string();
        if self.is_encrypted {
            command.args(["--port", "0", "--tls-port", &port]);
        } else {
            command.args(["--port", &port]);
        }
        let child = command
            .args(&self.options)
            .args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir"])
            .arg(self.folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("redis-server starts");
        self.child = Some(child);
        let port = self.port;
        wait_until("Redis starts", || async move { TcpStream::connect(("127.0.0.1", port)).await.is_ok() }).await;
    }
}

fn tls_options(certificate: &Path, key: &Path, options: &[&str]) -> Vec<String> {
    let (certificate, key) = (certificate.display().to_string(), key.display().to_string());
    let options = options.iter().map(|option| (*option).to_owned());
    ["--tls-cert-file".to_owned(), certificate, "--tls-key-file".to_owned(), key].into_iter().chain(options).collect()
}

pub(crate) fn redis_program() -> PathBuf {
    program("redis-server", &["/usr/bin", "/usr/local/bin"])
}
