//! Servers of tools: the protocol's own one (`tests/mcp`), and one that misbehaves.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::application::Setup;
use crate::place::{free_port, program, wait_until};

fn place() -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../mcp");
    assert!(folder.join("node_modules").exists(), "tests/mcp is not installed: scripts/test installs it");
    folder.canonicalize().expect("it is there")
}

fn everything() -> PathBuf {
    place().join("node_modules/@modelcontextprotocol/server-everything/dist/index.js")
}

/// The program `tests/mcp/server.mjs`: what its tools do outside can be seen, and one waits until it is released.
pub struct OddServer {
    folder: TempDir,
}

impl Default for OddServer {
    fn default() -> Self {
        Self { folder: tempfile::tempdir().expect("a temporary folder") }
    }
}

impl OddServer {
    /// Names it and the protocol's own server in the configuration, as `odd` and `everything`.
    #[must_use]
    pub fn configure(&self, setup: Setup) -> Setup {
        let node = program("node", &[]);
        let node = node.display();
        let odd = format!("{node},{},{}", place().join("server.mjs").display(), self.folder.path().display());
        setup
            .set("mcp.commands.odd.command", odd)
            .set("mcp.commands.odd.env", "REGION=eu")
            .set("mcp.commands.odd.env_names", "API_TOKEN")
            .set("mcp.commands.everything.command", format!("{node},{},stdio", everything().display()))
    }

    fn lines(&self, file: &str) -> Vec<String> {
        let text = std::fs::read_to_string(self.folder.path().join(file)).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// What took effect.
    #[must_use]
    pub fn effects(&self) -> Vec<String> {
        self.lines("effects")
    }

    /// How often a tool without effects was called.
    #[must_use]
    pub fn looks(&self) -> usize {
        self.lines("looks").len()
    }

    /// Lets those go on that wait.
    pub fn release(&self) {
        std::fs::write(self.folder.path().join("release"), "").expect("the folder is there");
    }
}

/// The protocol's own server, over HTTP. Killed when it is dropped.
pub struct EverythingServer {
    _child: Child,
    port: u16,
}

impl EverythingServer {
    pub async fn start() -> Self {
        let port = free_port();
        let child = Command::new(program("node", &[]))
            .arg(everything())
            .arg("streamableHttp")
            .env("PORT", port.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("node starts");
        let is_there = || async move { tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok() };
        wait_until("the server of tools listens", is_there).await;
        Self { _child: child, port }
    }

    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/mcp", self.port)
    }
}
