//! WebSocket client on a low level, for misbehaviour: it can send arbitrary bytes, ignore pings, or
//! stop reading.

use std::time::Duration;

use support::{PATIENCE, Value};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

pub const TEXT: u8 = 1;
pub const BINARY: u8 = 2;
pub const CLOSE: u8 = 8;
pub const PING: u8 = 9;
pub const PONG: u8 = 10;

/// Socket of an upgraded connection.
pub struct Raw {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// Head of an HTTP response.
pub struct Head {
    pub status: u16,
    pub text: String,
}

impl Raw {
    /// Requests an upgrade with these headers, one per line.
    pub async fn open(base: &str, path: &str, headers: &str) -> Self {
        let (raw, head) = Self::knock(base, "GET", path, &upgrade_headers(headers)).await;
        assert_eq!(head.status, 101, "{}", head.text);
        raw
    }

    /// Opens a native connection; doesn't read the `hello`.
    pub async fn native(base: &str, access_token: &str) -> Self {
        Self::open(base, "/r1/websocket", &format!("authorization: Bearer {access_token}")).await
    }

    /// Sends a raw request and reads the head of the response.
    pub async fn knock(base: &str, method: &str, path: &str, headers: &str) -> (Self, Head) {
        let address = base.trim_start_matches("http://").parse().expect("an address");
        let socket = TcpSocket::new_v4().expect("a socket");
        // A small buffer, so that the client's kernel doesn't hold megabytes that the client hasn't
        // read.
        socket.set_recv_buffer_size(64 * 1024).expect("a socket");
        let stream = timeout(PATIENCE, socket.connect(address)).await.expect("connected").expect("connected");
        let mut raw = Self { stream, buffer: Vec::new() };
        let headers: String =
            headers.lines().filter(|line| !line.is_empty()).map(|line| format!("{line}\r\n")).collect();
        raw.write(format!("{method} {path} HTTP/1.1\r\nhost: {address}\r\n{headers}\r\n").as_bytes()).await;
        let end = loop {
            if let Some(at) = raw.buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                break at + 4;
            }
            assert!(raw.read_more().await, "the server closed the connection");
        };
        let text = String::from_utf8(raw.buffer.drain(..end).collect()).expect("a head is text");
        let status = text.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        (raw, Head { status, text })
    }

    /// Reads the rest of a response that ends when the connection is closed.
    pub async fn body(mut self) -> Value {
        while self.read_more().await {}
        serde_json::from_slice(&self.buffer).expect("the body is JSON")
    }

    pub async fn write(&mut self, bytes: &[u8]) {
        // If the connection is closed, the next read detects that.
        let _ = timeout(PATIENCE, self.stream.write_all(bytes)).await.expect("the server reads");
    }

    /// Sends a complete frame.
    pub async fn send(&mut self, opcode: u8, payload: &[u8]) {
        self.write(&masked(0x80 | opcode, payload)).await;
    }

    pub async fn send_text(&mut self, text: &str) {
        self.send(TEXT, text.as_bytes()).await;
    }

    /// Reads the next frame of any kind; `None` at the end.
    pub async fn frame(&mut self) -> Option<(u8, Vec<u8>)> {
        self.whole_frame().await.map(|(first, payload)| (first & 0x0F, payload))
    }

    /// Reads the next frame and returns it with its complete first byte.
    pub async fn whole_frame(&mut self) -> Option<(u8, Vec<u8>)> {
        loop {
            if let Some((header, length)) = measure(&self.buffer)
                && self.buffer.len() >= header + length
            {
                let first = self.buffer[0];
                let frame: Vec<u8> = self.buffer.drain(..header + length).skip(header).collect();
                return Some((first, frame));
            }
            if !self.read_more().await {
                return None;
            }
        }
    }

    /// Reads the next text. Answers pings and skips presence, which the default channel may send at
    /// any time.
    pub async fn text(&mut self) -> String {
        loop {
            let (opcode, payload) = self.frame().await.expect("the connection continues");
            match opcode {
                TEXT => {
                    let text = String::from_utf8(payload).expect("UTF-8");
                    if !text.starts_with(r#"42["presence","#) && !text.contains(r#""type":"presence""#) {
                        return text;
                    }
                }
                PING => self.send(PONG, &payload).await,
                other => panic!("unexpected frame {other}: {payload:?}"),
            }
        }
    }

    /// Skips frames up to the close frame and returns its code; `None` if the connection ends
    /// without one.
    pub async fn close_code(&mut self) -> Option<u16> {
        loop {
            let (opcode, payload) = self.frame().await?;
            if opcode == CLOSE {
                return Some(u16::from_be_bytes([payload[0], payload[1]]));
            }
        }
    }

    /// True if the server closes the TCP connection and not only the WebSocket.
    pub async fn ends(&mut self) -> bool {
        while self.frame().await.is_some() {}
        true
    }

    /// Reads the next line of a response.
    pub async fn read_line(&mut self) -> String {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                return String::from_utf8(self.buffer.drain(..=end).collect()).expect("a line is text");
            }
            assert!(self.read_more().await, "the response ended early");
        }
    }

    /// Reads to the end and returns the number of bytes.
    pub async fn rest(&mut self) -> usize {
        let mut count = 0;
        while self.read_more().await {
            count += std::mem::take(&mut self.buffer).len();
        }
        count
    }

    async fn read_more(&mut self) -> bool {
        let mut chunk = [0; 16 * 1024];
        match timeout(PATIENCE + Duration::from_secs(10), self.stream.read(&mut chunk)).await.expect("data expected") {
            Ok(0) | Err(_) => false,
            Ok(read) => {
                self.buffer.extend_from_slice(&chunk[..read]);
                true
            }
        }
    }
}

/// Returns the headers of a request for an upgrade.
pub fn upgrade_headers(more: &str) -> String {
    format!(
        "upgrade: websocket\nconnection: Upgrade\nsec-websocket-version: 13\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\n{more}"
    )
}

/// Encodes a frame of a client that has this first byte.
pub fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    let mask = [0x12, 0x34, 0x56, 0x78];
    let mut frame = vec![first];
    match payload.len() {
        length @ 0..=125 => frame.push(0x80 | length as u8),
        length @ 126..=65_535 => {
            frame.push(0x80 | 126);
            frame.extend((length as u16).to_be_bytes());
        }
        length => {
            frame.push(0x80 | 127);
            frame.extend((length as u64).to_be_bytes());
        }
    }
    frame.extend(mask);
    frame.extend(payload.iter().enumerate().map(|(at, byte)| byte ^ mask[at % 4]));
    frame
}

/// Returns the lengths of the header and the payload of a server's frame.
fn measure(buffer: &[u8]) -> Option<(usize, usize)> {
    let second = *buffer.get(1)?;
    assert_eq!(second & 0x80, 0, "server frames are not masked");
    match second {
        126 => Some((4, usize::from(u16::from_be_bytes([*buffer.get(2)?, *buffer.get(3)?])))),
        127 => Some((10, usize::try_from(u64::from_be_bytes(buffer.get(2..10)?.try_into().ok()?)).ok()?)),
        length => Some((2, usize::from(length))),
    }
}
