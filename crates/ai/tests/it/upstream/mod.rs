//! Scripted provider: answers each connection with the next script.

use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::Notify,
};

/// Step of a scripted answer.
#[derive(Clone)]
pub enum Step {
    Write(Vec<u8>),
    /// Writes the bytes one at a time, each in a packet of its own.
    WriteSlowly(Vec<u8>),
    /// Waits until the client disconnects, and notifies.
    WaitForGone(Arc<Notify>),
    /// Sends nothing more and keeps the connection open.
    Stall,
}

pub type Script = Vec<Step>;

/// The server. It closes a connection at the end of its script.
pub struct Upstream {
    pub address: SocketAddr,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Upstream {
    /// Answers the n-th request with the n-th script; further requests with the last one.
    pub async fn start(scripts: Vec<Script>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&requests);
        let mut scripts = VecDeque::from(scripts);
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let script = if scripts.len() > 1 { scripts.pop_front() } else { scripts.front().cloned() };
                tokio::spawn(serve(socket, script.expect("a script"), Arc::clone(&seen)));
            }
        });
        Self { address, requests }
    }

    /// Returns the requests received so far, with their raw headers and bodies.
    pub fn requests(&self) -> Vec<String> {
        self.requests.lock().expect("no panic").clone()
    }
}

/// Reads one request and answers it.
pub async fn serve(mut socket: TcpStream, script: Script, seen: Arc<Mutex<Vec<String>>>) {
    let request = read_request(&mut socket).await;
    seen.lock().expect("no panic").push(request);
    for step in script {
        match step {
            Step::Write(bytes) => _ = socket.write_all(&bytes).await,
            Step::WriteSlowly(bytes) => {
                socket.set_nodelay(true).expect("a socket");
                for byte in bytes {
                    _ = socket.write_all(&[byte]).await;
                    tokio::task::yield_now().await;
                }
            }
            Step::WaitForGone(gone) => {
                _ = socket.read(&mut [0; 16]).await;
                gone.notify_one();
            }
            Step::Stall => std::future::pending().await,
        }
    }
}

async fn read_request(socket: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    loop {
        let mut chunk = [0; 4_096];
        let read = socket.read(&mut chunk).await.unwrap_or(0);
        bytes.extend_from_slice(&chunk[..read]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length =
            head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ").map(str::to_owned));
        if read == 0 || body.len() >= length.and_then(|length| length.parse().ok()).unwrap_or(0) {
            return text;
        }
    }
}

/// Headers of a 200 answer whose body ends with the connection.
pub fn ok(content_type: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\ncontent-type: {content_type}\r\nconnection: close\r\n\r\n").into_bytes()
}

/// Script of a whole answer with this status.
pub fn answer(status: u16, headers: &str, body: &str) -> Script {
    let length = body.len();
    let head = format!("HTTP/1.1 {status} X\r\ncontent-length: {length}\r\nconnection: close\r\n{headers}\r\n");
    vec![Step::Write([head.as_bytes(), body.as_bytes()].concat())]
}

/// A text chunk of the OpenAI protocol.
pub fn text_chunk(text: &str) -> String {
    format!(
        "data: {}\n\n",
        serde_json::json!({"choices": [{"index": 0, "delta": {"role": "assistant", "content": text}, "finish_reason": null}]})
    )
}

pub const OPENAI_END: &str = "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n\
    data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2}}\n\ndata: [DONE]\n\n";

/// A complete stream with the text `Hello, thế giới`.
pub fn hello() -> Script {
    let body = [text_chunk("Hello, ").as_str(), ": ping\n\n", &text_chunk("thế giới"), OPENAI_END].concat();
    vec![Step::Write([ok("text/event-stream"), body.into_bytes()].concat())]
}
