//! Parsing and writing of as much HTTP as needed.

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, tcp::WriteHalf};

use super::Asked;

pub async fn read_request(stream: &mut TcpStream) -> std::io::Result<Asked> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(place) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break place + 4;
        }
        if stream.read_buf(&mut bytes).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    };
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let header = |wanted: &str| {
        head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case(wanted).then(|| value.trim().to_owned())
        })
    };
    let length: usize = header("content-length").and_then(|text| text.parse().ok()).unwrap_or_default();
    let is_chunked = header("transfer-encoding").is_some_and(|encoding| encoding.contains("chunked"));
    while if is_chunked { !bytes.ends_with(b"0\r\n\r\n") } else { bytes.len() < end + length } {
        if stream.read_buf(&mut bytes).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    }
    let key = header("x-goog-api-key")
        .or_else(|| header("x-api-key"))
        .or_else(|| header("authorization").map(|value| value.trim_start_matches("Bearer ").to_owned()));
    Ok(Asked {
        method: head.split(' ').next().unwrap_or_default().to_owned(),
        path: head.split(' ').nth(1).unwrap_or_default().to_owned(),
        key,
        body: serde_json::from_slice(&bytes[end..]).unwrap_or_default(),
        bytes: bytes.split_off(end),
    })
}

/// Writer of a response.
pub struct Writer<'a>(pub WriteHalf<'a>);

impl Writer<'_> {
    pub async fn respond(&mut self, status: u16, retry_after: Option<u32>, body: &Value) -> std::io::Result<()> {
        let body = body.to_string();
        let retry = retry_after.map(|seconds| format!("retry-after: {seconds}\r\n")).unwrap_or_default();
        let head = format!(
            "HTTP/1.1 {status} Status\r\ncontent-type: application/json\r\nconnection: close\r\n{retry}content-length: {}\r\n\r\n",
            body.len()
        );
        self.0.write_all(head.as_bytes()).await?;
        self.0.write_all(body.as_bytes()).await?;
        self.shutdown().await
    }

    /// Responds with text that is no single JSON value.
    pub async fn respond_text(&mut self, text: &str) -> std::io::Result<()> {
        self.start_as("application/octet-stream").await?;
        if !text.is_empty() {
            self.chunk(text).await?;
        }
        self.end().await
    }

    pub async fn begin(&mut self) -> std::io::Result<()> {
        self.start_as("text/event-stream").await
    }

    pub async fn start_as(&mut self, content_type: &str) -> std::io::Result<()> {
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: {content_type}\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n"
        );
        self.0.write_all(head.as_bytes()).await
    }

    pub async fn chunk(&mut self, text: &str) -> std::io::Result<()> {
        self.bytes(text.as_bytes()).await
    }

    pub async fn bytes(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        let head = format!("{:x}\r\n", bytes.len());
        self.0.write_all(&[head.as_bytes(), bytes, b"\r\n"].concat()).await
    }

    pub async fn end(&mut self) -> std::io::Result<()> {
        self.0.write_all(b"0\r\n\r\n").await?;
        self.shutdown().await
    }

    pub async fn shutdown(&mut self) -> std::io::Result<()> {
        self.0.shutdown().await
    }
}
