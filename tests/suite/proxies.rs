//! nginx and HAProxy as they are shipped: everything that people do goes through them. Events by SSE are in [`crate::sse`], addresses in
//! [`crate::firewall`], restarts in [`crate::cluster`].

use std::path::Path;

use support::{Application, Balancer, Codec, Member, Nginx, Setup, Upstream, UpstreamKind, json, wait_until};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::socketio::polling::Poller;

/// More than proxies gather in memory, and than nginx takes unless it is told to.
const LARGE: usize = 12 * 1024 * 1024;

/// Both proxies in front of the application.
struct Proxies {
    nginx: Nginx,
    haproxy: Balancer,
}

impl Proxies {
    async fn before(app: &Application) -> Self {
        let haproxy = Balancer::start(&app.instances).await;
        haproxy.wait_until_all_are_up().await;
        Self { nginx: Nginx::shipped(&app.instances).await, haproxy }
    }

    fn urls(&self) -> [String; 2] {
        [self.nginx.url(), self.haproxy.url()]
    }
}

#[tokio::test]
async fn sockets_of_every_kind_go_through() {
    let app = Application::start().await;
    let proxies = Proxies::before(&app).await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let chat = anna.open_single(&ben).await;
    let mut seq = 0;
    for url in proxies.urls() {
        let (anna, ben) = (anna.at(&url), ben.at(&url));
        let mut sockets = [ben.connect().await, ben.connect_with(Codec::MessagePack).await];
        let mut poller = Poller::connect(&ben, std::slice::from_ref(&url)).await;
        for _ in 0..3 {
            seq += 1;
            anna.send_message(&chat, "through a proxy").await;
            for socket in &mut sockets {
                assert_eq!(socket.expect_in("message.created", &chat).await.payload["seq"], seq);
            }
            assert_eq!(poller.event("message.created").await["seq"], seq);
        }
        let mut raw = poller.probe(&url).await;
        raw.send_text("5").await;
        raw.send_text("421[\"ping\",{}]").await;
        while raw.text().await != "431[{}]" {}
    }
}

#[tokio::test]
async fn files_go_through_and_it_is_the_server_that_refuses() {
    let app = Setup::new().set("uploads.max_bytes", LARGE).start().await;
    let proxies = Proxies::before(&app).await;
    let anna = app.sign_up("Anna").await;
    let bytes: Vec<u8> = (0..LARGE).map(|n| u8::try_from(n % 251).unwrap()).collect();
    for url in proxies.urls() {
        let anna = anna.at(&url);
        let upload = anna.upload("large.bin", "application/octet-stream", bytes.clone()).await;
        let read = anna.get(&crate::uploads::address(&upload)).await;
        assert!(read.status == 200 && read.bytes == bytes, "{}: {} bytes", read.status, read.bytes.len());
        let longer = anna.uploading("larger.bin", "application/octet-stream", vec![0; LARGE + 1]);
        anna.send(longer).await.refused(413, "too_large");
    }
}

/// A proxy that gathers a file first would fill its disk, and nobody could say how far it has come.
#[tokio::test]
async fn files_come_to_the_server_while_they_are_sent() {
    let app = Application::start().await;
    let proxies = Proxies::before(&app).await;
    let anna = app.sign_up("Anna").await;
    let incoming = app.folder().join("uploads/incoming");
    for url in proxies.urls() {
        let mut stream = begin_upload(&anna, &url, LARGE).await;
        stream.write_all(&vec![7; LARGE / 2]).await.unwrap();
        wait_until("the first half's arrival", || std::future::ready(bytes_in(&incoming) >= LARGE as u64 / 4)).await;
        stream.write_all(&vec![7; LARGE - LARGE / 2]).await.unwrap();
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"HTTP/1.1 201");
        wait_until("the end of what came in", || std::future::ready(bytes_in(&incoming) == 0)).await;
    }
}

async fn begin_upload(member: &Member, url: &str, length: usize) -> TcpStream {
    let address = url.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!(
        "POST /r1/uploads HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {}\r\ncontent-type: application/octet-stream\r\n\
         content-length: {length}\r\n\r\n",
        member.access_token()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream
}

fn bytes_in(folder: &Path) -> u64 {
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
    files.filter_map(|file| Some(file.metadata().ok()?.len())).sum()
}

#[tokio::test]
async fn questions_with_files_in_them_go_through_to_an_assistant() {
    let upstream = Upstream::start(UpstreamKind::OpenAi).await;
    let app = Setup::new().provider(&upstream).start().await;
    let proxies = Proxies::before(&app).await;
    let program = app.sign_up("Anna").await.program(&["gateway"]).await;
    for url in proxies.urls() {
        let program = program.at(&url);
        let picture = format!("data:image/png;base64,{}", "A".repeat(LARGE));
        let content = json!([{ "type": "image_url", "image_url": { "url": picture } }]);
        let body = json!({ "model": "small", "messages": [{ "role": "user", "content": content }] });
        let answer = program.post("/v1/chat/completions", body).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let too_long =
            program.request(reqwest::Method::POST, "/v1/chat/completions").body(vec![b' '; 33 * 1024 * 1024]);
        let refused = program.send(too_long.header("content-type", "application/json")).await;
        assert_eq!((refused.status, refused.body["error"]["type"].as_str()), (413, Some("invalid_request_error")));
    }
}
