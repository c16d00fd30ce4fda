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
    /// Certificate and key, if the server accepts only TLS.
    tls: Option<[PathBuf; 2]>,
}

impl RedisServer {
    pub async fn start() -> Self {
        Self::start_with(None).await
    }

    /// Starts a server that accepts only TLS.
    pub async fn start_with_tls(certificate: &Path, key: &Path) -> Self {
        Self::start_with(Some([certificate.to_owned(), key.to_owned()])).await
    }

    async fn start_with(tls: Option<[PathBuf; 2]>) -> Self {
        let folder = tempfile::Builder::new().prefix("natter-redis").tempdir().expect("a temporary folder");
        let mut server = Self { port: free_port(), child: None, folder, tls };
        server.start_again().await;
        server
    }

    #[must_use]
    pub fn url(&self) -> String {
        let scheme = if self.tls.is_some() { "rediss" } else { "redis" };
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
        match &self.tls {
            None => command.args(["--port", &port]),
            Some([certificate, key]) => command
                .args(["--port", "0", "--tls-port", &port, "--tls-auth-clients", "no", "--tls-cert-file"])
                .arg(certificate)
                .arg("--tls-key-file")
                .arg(key),
        };
        let child = command
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

pub(crate) fn redis_program() -> PathBuf {
    program("redis-server", &["/usr/bin", "/usr/local/bin"])
}
