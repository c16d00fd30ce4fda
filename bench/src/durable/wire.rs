//! Minimal client for the durable path. It parses only the few bytes by which frames can be told
//! apart.

use std::ops::Range;

use anyhow::{Context, bail};
use memchr::memmem;
use support::{Value, json, new_id};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

use crate::frame;

/// Read half of a connection.
pub struct Reader {
    half: OwnedReadHalf,
    buffer: Vec<u8>,
    /// Number of bytes in the buffer that were already returned.
    taken: usize,
    /// Place of the last returned payload in the buffer.
    payload: Range<usize>,
}

/// Write half of a connection.
pub struct Writer {
    half: OwnedWriteHalf,
    buffer: Vec<u8>,
}

/// Kinds of frames that the load generator tells apart.
pub enum Incoming {
    Ack,
    /// New message, with the time of sending, in nanoseconds, from the start of its content.
    Message(u64),
    Refused(String),
    Ping,
    Other,
}

/// Error if the server disconnected a slow reader. At full speed this program is the cause: 256 KiB
/// accumulate within 12 ms, and the host may pause the program for that long.
#[derive(Debug, thiserror::Error)]
#[error("the server cut off a reader that was too slow")]
pub struct CutOff;

/// Close code for clients that read too slowly.
const SLOW_CONSUMER: u16 = 4508;

pub async fn connect(base: &str, token: &str) -> anyhow::Result<(Reader, Writer)> {
    let address = base.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    stream.write_all(upgrade_request(address, token).as_bytes()).await?;
    let mut buffer = Vec::with_capacity(1024);
    let end = loop {
        if let Some(place) = memmem::find(&buffer, b"\r\n\r\n") {
            break place + 4;
        }
        if stream.read_buf(&mut buffer).await? == 0 {
            bail!("the server ended the upgrade");
        }
    };
    if !buffer.starts_with(b"HTTP/1.1 101") {
        bail!("the upgrade was refused: {}", String::from_utf8_lossy(&buffer));
    }
    let (read, write) = stream.into_split();
    Ok((Reader { half: read, buffer, taken: end, payload: 0..0 }, Writer { half: write, buffer: Vec::new() }))
}

impl Reader {
    /// Returns the next complete frame. Reads from the socket only if no frame is buffered.
    pub async fn next(&mut self) -> anyhow::Result<Incoming> {
        loop {
            if let Some(incoming) = self.take()? {
                return Ok(incoming);
            }
            self.buffer.drain(..self.taken);
            (self.taken, self.payload) = (0, 0..0);
            if self.half.read_buf(&mut self.buffer).await.context("connection lost")? == 0 {
                bail!("the server ended the connection");
            }
        }
    }

    /// True if another complete frame is buffered.
    pub fn has_more(&self) -> bool {
        frame::first(&self.buffer[self.taken..]).is_some()
    }

    /// Payload of the frame that was returned last.
    pub fn payload(&self) -> &[u8] {
        &self.buffer[self.payload.clone()]
    }

    fn take(&mut self) -> anyhow::Result<Option<Incoming>> {
        let Some((opcode, start, end)) = frame::first(&self.buffer[self.taken..]) else { return Ok(None) };
        self.payload = self.taken + start..self.taken + end;
        let payload = &self.buffer[self.payload.clone()];
        let incoming = match opcode {
            1 => classify(payload),
            8 => {
                let code = payload.get(..2).map_or(0, |code| u16::from_be_bytes([code[0], code[1]]));
                if code == SLOW_CONSUMER {
                    bail!(CutOff);
                }
                bail!("the server closed the connection with {code}");
            }
            9 => Incoming::Ping,
            _ => Incoming::Other,
        };
        self.taken += end;
        Ok(Some(incoming))
    }
}

impl Writer {
    pub fn push_message(&mut self, conversation: &str, client_id: &str, content: &str) {
        self.push(frame::TEXT, message(conversation, client_id, content).as_bytes());
    }

    pub fn push_command(&mut self, kind: &str, payload: &Value) {
        let frame =
            json!({ "id": new_id(), "type": kind, "timestamp": "2026-01-01T00:00:00.000Z", "payload": payload });
        self.push(frame::TEXT, frame.to_string().as_bytes());
    }

    pub fn push_pong(&mut self) {
        self.push(frame::PONG, b"");
    }

    pub async fn flush(&mut self) -> anyhow::Result<()> {
        self.half.write_all(&self.buffer).await.context("connection lost")?;
        self.buffer.clear();
        Ok(())
    }

    fn push(&mut self, opcode: u8, payload: &[u8]) {
        self.buffer.extend(frame::masked(opcode, payload));
    }
}

/// Request that opens a connection.
pub fn upgrade_request(address: &str, token: &str) -> String {
    format!(
        "GET /r1/websocket HTTP/1.1\r\nhost: {address}\r\nconnection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
         sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-protocol: natter.json\r\nauthorization: Bearer {token}\r\n\r\n"
    )
}

/// Frame that sends a message.
pub fn message(conversation: &str, client_id: &str, content: &str) -> String {
    format!(
        r#"{{"id":"{client_id}","type":"message.send","timestamp":"2026-01-01T00:00:00.000Z","payload":{{"conversation_id":"{conversation}","client_id":"{client_id}","content":"{content}"}}}}"#
    )
}

/// Kind of a frame that the server has sent.
pub fn classify(payload: &[u8]) -> Incoming {
    let after = |needle: &[u8]| memmem::find(payload, needle).map(|place| &payload[place + needle.len()..]);
    let Some(kind) = after(br#""type":""#) else { return Incoming::Other };
    if kind.starts_with(b"ack\"") {
        return Incoming::Ack;
    }
    if kind.starts_with(b"error\"") {
        return Incoming::Refused(String::from_utf8_lossy(payload).into_owned());
    }
    if !kind.starts_with(b"message.created\"") {
        return Incoming::Other;
    }
    Incoming::Message(after(br#""content":""#).map_or(0, sent_at))
}

/// Time of sending, in nanoseconds, at the start of a content.
pub fn sent_at(content: &[u8]) -> u64 {
    content.iter().take_while(|byte| byte.is_ascii_digit()).fold(0_u64, |sum, digit| sum * 10 + u64::from(digit - b'0'))
}
