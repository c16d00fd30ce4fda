//! nginx in front of instances, with default settings or with the configuration that Natter ships.

use std::process::Stdio;

use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use crate::instance::Instance;
use crate::place::{free_port, program, put_in_place, wait_until};

const SHIPPED: &str = include_str!("../../../deploy/nginx/natter.conf");
const SHIPPED_BELOW: &str = include_str!("../../../deploy/nginx/natter-below-a-path.conf");

/// Process of nginx. It is killed on drop.
pub struct Nginx {
    port: u16,
    _child: Child,
    _folder: TempDir,
}

impl Nginx {
    /// Starts nginx with default settings, except for the addresses of the instances. Even with
    /// these, events must not be delayed.
    pub async fn bare(instances: &[Instance]) -> Self {
        let servers: String =
            instances.iter().map(|instance| format!("server 127.0.0.1:{}; ", instance.port())).collect();
        let port = free_port();
        Self::start(
            port,
            &format!(
                "upstream natter {{ {servers} }}\n\
                 server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://natter; proxy_set_header Host $http_host; }} }}"
            ),
        )
        .await
    }

    /// Starts nginx with the shipped configuration for these instances, but without TLS, because
    /// there is no certificate.
    pub async fn shipped(instances: &[Instance]) -> Self {
        Self::as_shipped(SHIPPED, instances).await
    }

    /// Starts nginx with the shipped configuration for a server below the path `/chat`.
    pub async fn shipped_below_a_path(instances: &[Instance]) -> Self {
        Self::as_shipped(SHIPPED_BELOW, instances).await
    }

    async fn as_shipped(file: &str, instances: &[Instance]) -> Self {
        let server = |address: &str| format!("  server {address} max_fails=2 fail_timeout=3s;\n");
        let servers: String =
            instances.iter().map(|instance| server(&format!("127.0.0.1:{}", instance.port()))).collect();
        let port = free_port();
        let site = put_in_place(
            file,
            &[
                (&(server("10.0.0.11:8080") + &server("10.0.0.12:8080")), &servers),
                ("listen 443 ssl http2;", &format!("listen 127.0.0.1:{port};")),
                ("  ssl_certificate     /etc/ssl/natter.pem;\n  ssl_certificate_key /etc/ssl/natter.key;\n", ""),
            ],
        );
        Self::start(port, &site).await
    }

    async fn start(port: u16, site: &str) -> Self {
        let folder = tempfile::Builder::new().prefix("natter-nginx").tempdir().expect("a temporary folder");
        let place = folder.path().display();
        // Runs as a single process, so that no other process remains. Compresses all types, as some
        // installations do.
        let config = format!(
            "daemon off; master_process off; pid {place}/pid; error_log {place}/error.log;\n\
             events {{ worker_connections 1024; }}\n\
             http {{ access_log off; gzip on; gzip_types *; gzip_min_length 1; gzip_proxied any;\n\
             client_body_temp_path {place}/b; proxy_temp_path {place}/p; fastcgi_temp_path {place}/f; uwsgi_temp_path {place}/u; scgi_temp_path {place}/s;\n\
             {site}\n}}\n"
        );
        let file = folder.path().join("nginx.conf");
        tokio::fs::write(&file, config).await.expect("a writable folder");
        let child = Command::new(program("nginx", &["/usr/sbin", "/usr/local/sbin"]))
            .arg("-e")
            .arg(folder.path().join("error.log"))
            .arg("-c")
            .arg(&file)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("nginx starts");
        wait_until("nginx starts", || async move { TcpStream::connect(("127.0.0.1", port)).await.is_ok() }).await;
        Self { port, _child: child, _folder: folder }
    }

    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}
