//! nginx in front of instances, with nothing set but where they are: what it does by itself must not hold events back.

use std::fmt::Write as _;
use std::process::Stdio;

use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use crate::instance::Instance;
use crate::place::{free_port, program, wait_until};

/// Killed when it is dropped.
pub struct Nginx {
    port: u16,
    _child: Child,
    _folder: TempDir,
}

impl Nginx {
    pub async fn start(instances: &[Instance]) -> Self {
        let folder = tempfile::Builder::new().prefix("natter-nginx").tempdir().expect("a temporary folder");
        let port = free_port();
        let place = folder.path().display();
        let mut servers = String::new();
        for instance in instances {
            let _ = write!(servers, "server 127.0.0.1:{}; ", instance.port());
        }
        // One process, so that nothing outlives it; gzip for everything, as some have it.
        let config = format!(
            "daemon off; master_process off; pid {place}/pid; error_log {place}/error.log;\n\
             events {{ worker_connections 1024; }}\n\
             http {{ access_log off; gzip on; gzip_types *; gzip_min_length 1; gzip_proxied any;\n\
             client_body_temp_path {place}/b; proxy_temp_path {place}/p; fastcgi_temp_path {place}/f; uwsgi_temp_path {place}/u; scgi_temp_path {place}/s;\n\
             upstream natter {{ {servers} }}\n\
             server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://natter; proxy_set_header Host $http_host; }} }} }}\n"
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
        wait_until("nginx's start", || async move { TcpStream::connect(("127.0.0.1", port)).await.is_ok() }).await;
        Self { port, _child: child, _folder: folder }
    }

    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}
