//! Broker that speaks Kafka's protocol: tansu, in memory.

use std::env;
use std::path::Path;
use std::process::Stdio;

use serde_json::Value;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use crate::place::{free_port, wait_until};
use crate::proxy::{Proxy, Way};

/// Variable that names the program `tansu`.
const PROGRAM: &str = "NATTER_TEST_TANSU";
/// Variable that names a Python with the package `kafka-python`.
const PYTHON: &str = "NATTER_TEST_KAFKA_PYTHON";

/// Running broker, behind a proxy that can cut it off. It is killed on drop.
pub struct KafkaServer {
    proxy: Proxy,
    _process: Child,
}

impl KafkaServer {
    /// Starts a broker; `None` if no program is named.
    pub async fn start() -> Option<Self> {
        let tansu = env::var(PROGRAM).ok()?;
        let port = free_port();
        let proxy = Proxy::start(port).await;
        let process = Command::new(tansu)
            .args(["broker", "--listener-url", &format!("tcp://127.0.0.1:{port}")])
            .args(["--advertised-listener-url", &format!("tcp://127.0.0.1:{}", proxy.port())])
            .args(["--storage-engine", "memory://tansu/"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("the broker starts");
        wait_until("the broker listens", || async move { TcpStream::connect(("127.0.0.1", port)).await.is_ok() }).await;
        Some(Self { proxy, _process: process })
    }

    /// Value of `events.url`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("kafka://127.0.0.1:{}", self.proxy.port())
    }

    /// Cuts the broker off: connections are closed, and new ones get no answer.
    pub fn cut_off(&self) {
        self.proxy.set(Way::Dead);
        self.proxy.cut();
    }

    /// Makes the broker reachable again.
    pub fn restore(&self) {
        self.proxy.set(Way::Open);
    }

    /// Returns the messages of a topic, in the order of each partition: `partition`, `partitions`, `key`, `id` and `event`.
    pub async fn messages(&self, topic: &str) -> Vec<Value> {
        let python = env::var(PYTHON).expect("scripts/test names it");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../kafka/consume.py");
        let consumer = Command::new(python)
            .arg(script)
            .args([format!("127.0.0.1:{}", self.proxy.port()), topic.to_owned()])
            .stderr(Stdio::inherit())
            .output()
            .await
            .expect("Python runs");
        assert!(consumer.status.success(), "the consumer failed");
        let lines = String::from_utf8(consumer.stdout).expect("text");
        lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }
}
