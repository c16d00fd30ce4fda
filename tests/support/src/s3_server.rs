//! S3 server that is independent of Natter: moto. `scripts/test` installs it and names it in
//! `NATTER_TEST_S3`.

use std::process::Stdio;

use tokio::process::{Child, Command};

use crate::application::Setup;
use crate::place::{free_port, wait_until};

const BUCKET: &str = "natter";

/// S3 server with one bucket. It is killed on drop.
pub struct S3Server {
    _child: Child,
    port: u16,
}

impl S3Server {
    pub async fn start() -> Self {
        let program = std::env::var("NATTER_TEST_S3").expect("scripts/test sets NATTER_TEST_S3");
        let port = free_port();
        let child = Command::new(program)
            .args(["-H", "127.0.0.1", "-p", &port.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("moto starts");
        let server = Self { _child: child, port };
        let client = reqwest::Client::new();
        wait_until("the bucket exists", async || {
            let made = client.put(server.url(BUCKET)).send().await;
            made.is_ok_and(|answer| answer.status().is_success())
        })
        .await;
        server
    }

    /// Adds the settings with which Natter uses the bucket.
    #[must_use]
    pub fn configure(&self, setup: Setup) -> Setup {
        setup
            .set("uploads.s3_endpoint", self.url(""))
            .set("uploads.s3_region", "us-east-1")
            .set("uploads.s3_access_key_id", "test")
            .set("uploads.s3_secret_access_key", "test")
    }

    /// Returns the names of the objects that start with this prefix.
    pub async fn names(&self, prefix: &str) -> Vec<String> {
        let url = format!("{}?list-type=2&prefix={prefix}", self.url(BUCKET));
        let listed = reqwest::get(url).await.expect("a response").text().await.expect("it is text");
        let keys = listed.split("<Key>").skip(1);
        keys.filter_map(|rest| rest.split("</Key>").next().map(str::to_owned)).collect()
    }

    pub async fn read(&self, name: &str) -> Vec<u8> {
        let answer = reqwest::get(self.url(&format!("{BUCKET}/{name}"))).await.expect("a response");
        answer.bytes().await.expect("complete data").to_vec()
    }

    /// Deletes the bucket, which must be empty. After that, nothing can be stored.
    pub async fn drop_bucket(&self) {
        let dropped = reqwest::Client::new().delete(self.url(BUCKET)).send().await.expect("a response");
        assert!(dropped.status().is_success(), "{dropped:?}");
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}/{path}", self.port)
    }
}
