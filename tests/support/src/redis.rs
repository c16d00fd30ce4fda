//! A Redis of the test's own, which can go away and come back.

use std::path::PathBuf;
use std::process::Stdio;

use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use crate::place::{free_port, program, wait_until};

/// Killed when it is dropped.
pub struct RedisServer {
    port: u16,
    child: Option<Child>,
    folder: TempDir,
}

impl RedisServer {
    pub async fn start() -> Self {
        let folder = tempfile::Builder::new().prefix("natter-redis").tempdir().expect("a temporary folder");
        let mut server = Self { port: free_port(), child: None, folder };
        server.start_again().await;
        server
    }

    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Kills it: every connection is cut, everything in it is gone.
    pub async fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().await.expect("it runs");
        }
    }

    /// A new one on the same port, empty.
    pub async fn start_again(&mut self) {
        let child = Command::new(redis_program())
            .args(["--port", &self.port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
            .arg("--dir")
            .arg(self.folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("redis-server starts");
        self.child = Some(child);
        let port = self.port;
        wait_until("Redis's start", || async move { TcpStream::connect(("127.0.0.1", port)).await.is_ok() }).await;
    }
}

fn redis_program() -> PathBuf {
    program("redis-server", &["/usr/bin", "/usr/local/bin"])
}
