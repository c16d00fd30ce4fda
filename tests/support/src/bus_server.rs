//! Servers that carry events between instances: Redis, Redis with Sentinel, Redis Cluster, NATS.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::Value;
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use crate::place::{free_port, program, wait_until};
use crate::redis::redis_program;

/// Variable that names the program `nats-server`.
const NATS_PROGRAM: &str = "NATTER_TEST_NATS_SERVER";
/// Name of the primary at the Sentinels.
const PRIMARY: &str = "main";

/// Processes of a bus. They are killed on drop.
pub struct BusServer {
    url: String,
    nodes: Vec<Node>,
    _folder: TempDir,
}

/// Process of a server. The first one is the one that a test kills.
struct Node {
    command: Vec<String>,
    port: u16,
    child: Option<Child>,
}

impl BusServer {
    /// Single Redis server.
    pub async fn redis() -> Self {
        let (folder, port) = (folder(), free_port());
        let nodes = vec![Node::start(redis(folder.path(), port, &[]), port).await];
        Self { url: format!("redis://127.0.0.1:{port}"), nodes, _folder: folder }
    }

    /// A primary with a replica, and three Sentinels that watch it.
    pub async fn sentinel() -> Self {
        let folder = folder();
        let [primary, replica] = [free_port(), free_port()];
        let mut nodes = vec![Node::start(redis(folder.path(), primary, &[]), primary).await];
        let of_primary = ["--replicaof", "127.0.0.1", &primary.to_string(), "--repl-diskless-sync-delay", "0"];
        nodes.push(Node::start(redis(folder.path(), replica, &of_primary), replica).await);
        let mut sentinels = Vec::new();
        for _ in 0..3 {
            let port = free_port();
            let file = folder.path().join(format!("sentinel-{port}.conf"));
            let settings = format!(
                "port {port}\nbind 127.0.0.1\nsentinel monitor {PRIMARY} 127.0.0.1 {primary} 2\n\
                 sentinel down-after-milliseconds {PRIMARY} 1000\nsentinel failover-timeout {PRIMARY} 5000\n"
            );
            std::fs::write(&file, settings).expect("a writable folder");
            let command = [redis_path(), file.display().to_string(), "--sentinel".to_owned()].to_vec();
            nodes.push(Node::start(command, port).await);
            sentinels.push(port);
        }
        for port in &sentinels {
            wait_until("the Sentinels know the replica and each other", async || {
                let known = cli(*port, &["sentinel", "master", PRIMARY]).await;
                let mut lines = known.lines();
                let mut field = |name: &str| lines.by_ref().skip_while(|line| *line != name).nth(1).map(str::to_owned);
                field("num-slaves").as_deref() == Some("1") && field("num-other-sentinels").as_deref() == Some("2")
            })
            .await;
        }
        let hosts: Vec<String> = sentinels.iter().map(|port| format!("127.0.0.1:{port}")).collect();
        Self { url: format!("redis+sentinel://{}/{PRIMARY}", hosts.join(",")), nodes, _folder: folder }
    }

    /// Three nodes, each with a replica.
    pub async fn cluster() -> Self {
        let folder = folder();
        let mut nodes = Vec::new();
        for _ in 0..6 {
            let (port, bus) = (free_port(), free_port());
            let own = folder.path().join(port.to_string());
            std::fs::create_dir(&own).expect("a writable folder");
            let settings =
                ["--cluster-enabled", "yes", "--cluster-node-timeout", "1500", "--cluster-port", &bus.to_string()];
            nodes.push(Node::start(redis(&own, port, &settings), port).await);
        }
        let hosts: Vec<String> = nodes.iter().map(|node| format!("127.0.0.1:{}", node.port)).collect();
        let mut create = vec!["--cluster", "create"];
        create.extend(hosts.iter().map(String::as_str));
        create.extend(["--cluster-replicas", "1", "--cluster-yes"]);
        cli(nodes[0].port, &create).await;
        for node in &nodes {
            wait_until("the cluster is complete", async || {
                let info = cli(node.port, &["cluster", "info"]).await;
                info.contains("cluster_state:ok") && info.contains("cluster_known_nodes:6")
            })
            .await;
        }
        Self { url: format!("redis+cluster://{}", hosts.join(",")), nodes, _folder: folder }
    }

    /// NATS server; `None` if no program is named.
    pub async fn nats() -> Option<Self> {
        let nats = env::var(NATS_PROGRAM).ok()?;
        let port = free_port();
        let command = [nats, "--addr".into(), "127.0.0.1".into(), "--port".into(), port.to_string()].to_vec();
        let nodes = vec![Node::start(command, port).await];
        Some(Self { url: format!("nats://127.0.0.1:{port}"), nodes, _folder: folder() })
    }

    /// NATS server with JetStream, which syncs each message; `None` if no program is named.
    pub async fn jetstream() -> Option<Self> {
        let nats = env::var(NATS_PROGRAM).ok()?;
        let (folder, port) = (folder(), free_port());
        let file = folder.path().join("nats.conf");
        let store = folder.path().join("store");
        let settings = format!(
            "listen: 127.0.0.1:{port}\njetstream {{ store_dir: {:?}, sync_interval: always }}\n",
            store.display().to_string()
        );
        std::fs::write(&file, settings).expect("a writable folder");
        let command = [nats, "--config".into(), file.display().to_string()].to_vec();
        let nodes = vec![Node::start(command, port).await];
        Some(Self { url: format!("nats://127.0.0.1:{port}"), nodes, _folder: folder })
    }

    /// Returns the messages of the event stream, in order, each with its subject.
    pub async fn streamed(&self) -> Vec<(String, Value)> {
        let client = async_nats::connect(&self.url).await.expect("NATS runs");
        let context = async_nats::jetstream::new(client);
        let mut stream = context.get_stream("NATTER").await.expect("the stream exists");
        let state = stream.info().await.expect("a state").state.clone();
        let mut messages = Vec::new();
        for sequence in state.first_sequence..=state.last_sequence {
            let message = stream.get_raw_message(sequence).await.expect("a message");
            let body = serde_json::from_slice(&message.payload).expect("JSON");
            messages.push((message.subject.to_string(), body));
        }
        messages
    }

    /// Value of `bus.url`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Kills the only server, the primary, or a node that owns a third of the channels.
    pub async fn kill(&mut self) {
        if let Some(mut child) = self.nodes[0].child.take() {
            child.kill().await.expect("running");
        }
    }

    /// Starts the killed server again.
    pub async fn start_again(&mut self) {
        let Node { command, port, .. } = &self.nodes[0];
        self.nodes[0] = Node::start(command.clone(), *port).await;
    }
}

impl Node {
    async fn start(command: Vec<String>, port: u16) -> Self {
        let child = Command::new(&command[0])
            .args(&command[1..])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("the server starts");
        wait_until("the server listens", || async move { TcpStream::connect(("127.0.0.1", port)).await.is_ok() }).await;
        Self { command, port, child: Some(child) }
    }
}

fn folder() -> TempDir {
    tempfile::Builder::new().prefix("natter-bus").tempdir().expect("a temporary folder")
}

fn redis(folder: &Path, port: u16, more: &[&str]) -> Vec<String> {
    let (port, folder) = (port.to_string(), folder.display().to_string());
    let usual = ["--port", &port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", &folder];
    [redis_path()].into_iter().chain(usual.iter().chain(more).map(|&word| word.to_owned())).collect()
}

fn redis_path() -> String {
    redis_program().display().to_string()
}

/// Output of a command of `redis-cli`.
async fn cli(port: u16, command: &[&str]) -> String {
    let cli: PathBuf = program("redis-cli", &["/usr/bin", "/usr/local/bin"]);
    let output =
        Command::new(cli).args(["-p", &port.to_string()]).args(command).output().await.expect("redis-cli runs");
    String::from_utf8_lossy(&output.stdout).into_owned()
}
