//! Tool servers: the reference server of MCP (`tests/mcp`), one that misbehaves, and one at which
//! users sign in by OAuth.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use reqwest::header::LOCATION;
use reqwest::{Client, Url, redirect};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::application::Setup;
use crate::place::{PATIENCE, free_port, program, wait_until};

fn place() -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../mcp");
    assert!(folder.join("node_modules").exists(), "tests/mcp is not installed: scripts/test installs it");
    folder.canonicalize().expect("present")
}

fn everything() -> PathBuf {
    place().join("node_modules/@modelcontextprotocol/server-everything/dist/index.js")
}

/// Misbehaving server: the program `tests/mcp/server.mjs`. The side effects of its tools can be
/// observed, and one tool waits until it is released.
pub struct OddServer {
    folder: TempDir,
}

impl Default for OddServer {
    fn default() -> Self {
        Self { folder: tempfile::tempdir().expect("a temporary folder") }
    }
}

impl OddServer {
    /// Configures this server as `odd`, and the reference server as `everything`.
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

    /// Returns the side effects up to now.
    #[must_use]
    pub fn effects(&self) -> Vec<String> {
        self.lines("effects")
    }

    /// Number of calls of the tool that has no side effects.
    #[must_use]
    pub fn looks(&self) -> usize {
        self.lines("looks").len()
    }

    /// Lets waiting calls continue.
    pub fn release(&self) {
        std::fs::write(self.folder.path().join("release"), "").expect("folder exists");
    }
}

/// Reference server over HTTP. It is killed on drop.
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
        wait_until("the tool server listens", is_there).await;
        Self { _child: child, port }
    }

    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/mcp", self.port)
    }
}

/// Server `tests/mcp/signed-in.mjs` with its authorization server. It is killed on drop.
pub struct SignedInServer {
    _child: Child,
    url: Url,
    http: Client,
}

impl SignedInServer {
    pub async fn start() -> Self {
        let mut child = Command::new(program("node", &[]))
            .arg(place().join("signed-in.mjs"))
            // The process ends when its standard input is closed.
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("node starts");
        let mut lines = BufReader::new(child.stdout.take().expect("stdout is piped")).lines();
        let line = tokio::time::timeout(PATIENCE, lines.next_line()).await.expect("the server starts in time");
        let line = line.expect("its output can be read").expect("server prints its address");
        let http = Client::builder().no_proxy().timeout(PATIENCE).redirect(redirect::Policy::none()).build();
        Self { _child: child, url: Url::parse(&line).expect("an address"), http: http.expect("client created") }
    }

    #[must_use]
    pub fn url(&self) -> &str {
        self.url.as_str()
    }

    /// Sends instructions, which the script documents. Returns what the server has observed.
    pub async fn order(&self, orders: Value) -> Value {
        let place = self.url.join("/control").expect("an address");
        let answer = self.http.post(place).body(orders.to_string()).send().await;
        answer.expect("the server answers").json().await.expect("JSON")
    }

    /// Returns what the server has observed up to now.
    pub async fn seen(&self) -> Value {
        self.order(json!({})).await
    }

    /// Visits the authorization server with a browser in which `name` is signed in. Returns the
    /// parameters of the callback.
    pub async fn visit(&self, authorization: &str, name: &str) -> BTreeMap<String, String> {
        self.order(json!({ "name": name })).await;
        let answer = self.http.get(authorization).send().await.expect("the server answers");
        let back = answer.headers().get(LOCATION).expect("callback redirect").to_str().expect("an address");
        let back = Url::parse(back).expect("an address");
        let mut given: BTreeMap<String, String> = back.query_pairs().into_owned().collect();
        // Adds the server's id, as the page of the app does.
        if let Some((_, server)) = back.path().split_once("/tools/connected/") {
            given.insert("server_id".to_owned(), server.to_owned());
        }
        given
    }
}
