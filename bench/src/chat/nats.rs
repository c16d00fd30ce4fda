//! NATS: a room is a subject, and a stream keeps all of them. <https://docs.nats.io/reference/reference-protocols/nats-protocol>

use anyhow::{Context, bail, ensure};
use memchr::memmem;

use super::person::{Codec, Incoming, Line};
use crate::durable::wire::sent_at;

pub struct Nats {
    person: usize,
    number: u64,
}

/// Creates the stream.
pub async fn prepare(port: u16) -> anyhow::Result<()> {
    let answer =
        request(port, "$JS.API.STREAM.CREATE.ROOMS", r#"{"name":"ROOMS","subjects":["room.*"],"storage":"file"}"#)
            .await?;
    ensure!(!answer.contains(r#""error""#), "no stream: {answer}");
    Ok(())
}

/// Number of stored messages.
pub async fn stored(port: u16) -> anyhow::Result<i64> {
    let answer = request(port, "$JS.API.STREAM.INFO.ROOMS", "").await?;
    let answer: serde_json::Value = serde_json::from_str(&answer)?;
    answer["state"]["messages"].as_i64().with_context(|| format!("no count: {answer}"))
}

async fn request(port: u16, subject: &str, body: &str) -> anyhow::Result<String> {
    let mut line = greet(port).await?;
    line.write(&format!("SUB answer 1\r\nPUB {subject} answer {}\r\n{body}\r\n", body.len())).await?;
    line.read_until("MSG answer 1 ").await?;
    line.read_until("\r\n").await?;
    Ok(String::from_utf8(line.read_until("\r\n").await?)?.trim_end().to_owned())
}

async fn greet(port: u16) -> anyhow::Result<Line> {
    let mut line = Line::connect(port).await?;
    line.read_until("\r\n").await?;
    line.write("CONNECT {\"verbose\":false,\"echo\":false}\r\nPING\r\n").await?;
    line.read_until("PONG\r\n").await?;
    Ok(line)
}

/// Connects a person and subscribes to the rooms.
pub async fn connect(port: u16, person: usize, rooms: &[usize]) -> anyhow::Result<(Line, Nats)> {
    let mut line = greet(port).await?;
    for (number, room) in rooms.iter().enumerate() {
        line.write(&format!("SUB room.{room} {number}\r\n")).await?;
    }
    line.write(&format!("SUB confirmed.{person}.* c\r\nPING\r\n")).await?;
    line.read_until("PONG\r\n").await?;
    Ok((line, Nats { person, number: 0 }))
}

impl Codec for Nats {
    fn write(&mut self, out: &mut Vec<u8>, room: usize, content: &str) {
        self.number += 1;
        let head = format!("PUB room.{room} confirmed.{}.{} {}\r\n", self.person, self.number, content.len());
        out.extend(head.as_bytes());
        out.extend(content.as_bytes());
        out.extend(b"\r\n");
    }

    fn read(&mut self, bytes: &[u8]) -> anyhow::Result<Option<(usize, Incoming)>> {
        let Some(end) = memmem::find(bytes, b"\r\n") else { return Ok(None) };
        let head = std::str::from_utf8(&bytes[..end])?;
        let start = end + 2;
        let mut words = head.split(' ');
        match words.next() {
            Some("MSG") => {
                let subject = words.next().unwrap_or_default();
                let size: usize = words.next_back().and_then(|size| size.parse().ok()).context("no size")?;
                let Some(payload) = bytes.get(start..start + size + 2) else { return Ok(None) };
                let incoming = if subject.starts_with("confirmed.") {
                    ensure!(
                        memmem::find(payload, b"\"error\"").is_none(),
                        "a message was refused: {}",
                        String::from_utf8_lossy(payload)
                    );
                    Incoming::Confirmed
                } else {
                    Incoming::Message(sent_at(payload))
                };
                Ok(Some((start + size + 2, incoming)))
            }
            Some("PING") => Ok(Some((start, Incoming::Question(b"PONG\r\n".to_vec())))),
            Some("-ERR") => bail!("{head}"),
            _ => Ok(Some((start, Incoming::Other))),
        }
    }
}
