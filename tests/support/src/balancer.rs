//! HAProxy in front of several instances, without sticky sessions.

use std::fmt::Write as _;
use std::process::Stdio;

use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use crate::instance::Instance;
use crate::place::{free_port, program, wait_until};

/// Killed when it is dropped.
pub struct Balancer {
    port: u16,
    statistics: u16,
    servers: usize,
    _child: Child,
    _folder: TempDir,
}

impl Balancer {
    /// Takes turns between the instances; one that does not answer its health check gets nothing.
    pub async fn start(instances: &[Instance]) -> Self {
        let folder = tempfile::Builder::new().prefix("natter-haproxy").tempdir().expect("a temporary folder");
        let (port, statistics) = (free_port(), free_port());
        let mut config = format!(
            "defaults\n  mode http\n  balance roundrobin\n  timeout connect 2s\n  timeout client 90s\n  timeout server 90s\n  \
             timeout tunnel 1h\n  retries 3\n  option redispatch 1\n  retry-on conn-failure empty-response 503\n\
             frontend statistics\n  bind 127.0.0.1:{statistics}\n  stats enable\n  stats uri /\n\
             frontend natter\n  bind 127.0.0.1:{port}\n  default_backend instances\n\
             backend instances\n  option httpchk GET /health/simple\n"
        );
        for (place, instance) in instances.iter().enumerate() {
            let _ = writeln!(config, "  server i{place} 127.0.0.1:{} check inter 200ms fall 1 rise 1", instance.port());
        }
        let file = folder.path().join("haproxy.cfg");
        tokio::fs::write(&file, config).await.expect("a writable folder");
        let child = Command::new(program("haproxy", &["/usr/sbin", "/usr/local/sbin"]))
            .arg("-f")
            .arg(&file)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("haproxy starts");
        wait_until("HAProxy's start", || async move { TcpStream::connect(("127.0.0.1", port)).await.is_ok() }).await;
        Self { port, statistics, servers: instances.len(), _child: child, _folder: folder }
    }

    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Waits until it sends requests to every instance.
    pub async fn wait_until_all_are_up(&self) {
        let url = format!("http://127.0.0.1:{}/;csv", self.statistics);
        wait_until("every instance's return to HAProxy", || async {
            let table = match reqwest::get(&url).await {
                Ok(answer) => answer.text().await.unwrap_or_default(),
                Err(_) => return false,
            };
            table.lines().filter(|line| line.starts_with("instances,i") && line.contains(",UP,")).count()
                == self.servers
        })
        .await;
    }

    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}
