//! HAProxy with the configuration that Natter ships, in front of several instances, without sticky
//! sessions.

use std::process::Stdio;

use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use crate::instance::Instance;
use crate::place::{free_port, program, put_in_place, wait_until};

const SHIPPED: &str = include_str!("../../../deploy/haproxy/haproxy.cfg");

/// Process of HAProxy. It is killed on drop.
pub struct Balancer {
    port: u16,
    statistics: u16,
    servers: usize,
    _child: Child,
    _folder: TempDir,
}

impl Balancer {
    /// Starts HAProxy with the shipped configuration for these instances, on a free port. Adds a
    /// status page.
    pub async fn start(instances: &[Instance]) -> Self {
        let folder = tempfile::Builder::new().prefix("natter-haproxy").tempdir().expect("a temporary folder");
        let (port, statistics) = (free_port(), free_port());
        let servers: String = (0..)
            .zip(instances)
            .map(|(place, instance)| format!("  server i{place} 127.0.0.1:{}\n", instance.port()))
            .collect();
        let shipped = put_in_place(
            SHIPPED,
            &[
                ("bind :8080", &format!("bind 127.0.0.1:{port}")),
                ("  server natter-1 natter-1:8080\n  server natter-2 natter-2:8080\n", &servers),
            ],
        );
        let config =
            format!("{shipped}\nfrontend statistics\n  bind 127.0.0.1:{statistics}\n  stats enable\n  stats uri /\n");
        let file = folder.path().join("haproxy.cfg");
        tokio::fs::write(&file, config).await.expect("a writable folder");
        // Limits open files as some systems do; HAProxy must not need more.
        let child = Command::new("prlimit")
            .arg("--nofile=20000:20000")
            .arg(program("haproxy", &["/usr/sbin", "/usr/local/sbin"]))
            .arg("-f")
            .arg(&file)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("haproxy starts");
        wait_until("HAProxy starts", || async move { TcpStream::connect(("127.0.0.1", port)).await.is_ok() }).await;
        Self { port, statistics, servers: instances.len(), _child: child, _folder: folder }
    }

    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Waits until HAProxy forwards requests to every instance.
    pub async fn wait_until_all_are_up(&self) {
        let url = format!("http://127.0.0.1:{}/;csv", self.statistics);
        wait_until("every instance is up in HAProxy", || async {
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
