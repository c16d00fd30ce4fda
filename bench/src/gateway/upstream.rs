//! Fake provider that answers at once, with a chat completion or a stream of frames. It does as
//! little work as possible, because it shares a core with the load generator.

use std::{net::Ipv4Addr, thread};

use anyhow::Context;
use memchr::memmem;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// Number of frames with text in a stream.
pub const FRAMES: usize = 50;

pub struct Upstream {
    pub port: u16,
}

/// Starts serving until the program ends, on the core of the calling thread.
pub fn start() -> anyhow::Result<Upstream> {
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    listener.set_nonblocking(true)?;
    let port = listener.local_addr()?.port();
    thread::Builder::new().name("upstream".into()).spawn(move || -> anyhow::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let listener = TcpListener::from_std(listener)?;
            let answers: &'static Answers = Box::leak(Box::new(Answers::new()));
            loop {
                let (socket, _) = listener.accept().await?;
                socket.set_nodelay(true)?;
                tokio::spawn(serve(socket, answers));
            }
        })
    })?;
    Ok(Upstream { port })
}

struct Answers {
    whole: Vec<u8>,
    head: Vec<u8>,
    frames: Vec<Vec<u8>>,
    models: Vec<u8>,
}

impl Answers {
    fn new() -> Self {
        let text = "All the answers are here, and none of them is long. ".repeat(8);
        let whole = format!(
            r#"{{"id":"chatcmpl-1","object":"chat.completion","created":1750000000,"model":"gpt-4o-mini","choices":[{{"index":0,"message":{{"role":"assistant","content":"{text}"}},"logprobs":null,"finish_reason":"stop"}}],"usage":{{"prompt_tokens":200,"completion_tokens":100,"total_tokens":300}}}}"#
        );
        let models =
            r#"{"object":"list","data":[{"id":"gpt-4o-mini","object":"model","created":1,"owned_by":"bench"}]}"#;
        let chunk = |data: &str| {
            let frame = format!("data: {data}\n\n");
            format!("{:x}\r\n{frame}\r\n", frame.len()).into_bytes()
        };
        let delta = |delta: &str, finish: &str| {
            format!(
                r#"{{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1750000000,"model":"gpt-4o-mini","choices":[{{"index":0,"delta":{delta},"finish_reason":{finish}}}]}}"#
            )
        };
        let mut frames = vec![chunk(&delta(r#"{"role":"assistant","content":""}"#, "null"))];
        frames.extend((0..FRAMES).map(|n| chunk(&delta(&format!(r#"{{"content":" word{n}"}}"#), "null"))));
        frames.push(chunk(&delta("{}", r#""stop""#)));
        frames.push(chunk(
            r#"{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1750000000,"model":"gpt-4o-mini","choices":[],"usage":{"prompt_tokens":200,"completion_tokens":50,"total_tokens":250}}"#,
        ));
        let mut end = chunk("[DONE]");
        end.extend_from_slice(b"0\r\n\r\n");
        frames.push(end);
        let of_json = |body: &str| {
            format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}", body.len())
                .into_bytes()
        };
        let head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncache-control: no-cache\r\ntransfer-encoding: chunked\r\n\r\n";
        Self { whole: of_json(&whole), head: head.to_vec(), frames, models: of_json(models) }
    }
}

async fn serve(mut socket: TcpStream, answers: &'static Answers) -> anyhow::Result<()> {
    let mut buffer = Vec::with_capacity(16_384);
    loop {
        let Some(end) = next_request(&mut socket, &mut buffer).await? else { return Ok(()) };
        let request = &buffer[..end];
        if request.starts_with(b"GET ") {
            socket.write_all(&answers.models).await?;
        } else if is_streamed(request) {
            socket.write_all(&answers.head).await?;
            for frame in &answers.frames {
                socket.write_all(frame).await?;
                tokio::task::yield_now().await;
            }
        } else {
            socket.write_all(&answers.whole).await?;
        }
        buffer.drain(..end);
    }
}

fn is_streamed(request: &[u8]) -> bool {
    [b"\"stream\":true".as_slice(), b"\"stream\": true"].iter().any(|mark| memmem::find(request, mark).is_some())
}

/// Reads until the end of the next request and returns its position; `None` if the connection is
/// closed.
async fn next_request(socket: &mut TcpStream, buffer: &mut Vec<u8>) -> anyhow::Result<Option<usize>> {
    loop {
        if let Some(head) = memmem::find(buffer, b"\r\n\r\n") {
            let text = std::str::from_utf8(&buffer[..head])?.to_ascii_lowercase();
            if let Some(length) = text.lines().find_map(|line| line.strip_prefix("content-length:")) {
                let end = head + 4 + length.trim().parse::<usize>().context("the length")?;
                if buffer.len() >= end {
                    return Ok(Some(end));
                }
            } else if text.contains("transfer-encoding: chunked") {
                if let Some(end) = memmem::find(&buffer[head + 2..], b"\r\n0\r\n\r\n") {
                    return Ok(Some(head + 2 + end + 7));
                }
            } else {
                return Ok(Some(head + 4));
            }
        }
        if socket.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    }
}
