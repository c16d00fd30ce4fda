//! Natter's own protocol.

use std::sync::Arc;

use anyhow::bail;
use memchr::memmem;
use support::{Member, new_id};

use super::person::{Codec, Incoming, Line};
use crate::{
    durable::wire::{self, classify},
    frame,
};

pub struct Natter {
    /// Ids of all rooms.
    rooms: Arc<[String]>,
    /// Id of the person, by which their own messages are recognised.
    own: String,
}

/// Connects a person.
pub async fn connect(port: u16, member: &Member, rooms: &Arc<[String]>) -> anyhow::Result<(Line, Natter)> {
    let mut line = Line::connect(port).await?;
    let request = wire::upgrade_request(&format!("127.0.0.1:{port}"), member.access_token());
    line.write(&request).await?;
    let head = line.read_until("\r\n\r\n").await?;
    if !head.starts_with(b"HTTP/1.1 101") {
        bail!("the upgrade was refused: {}", String::from_utf8_lossy(&head));
    }
    Ok((line, Natter { rooms: Arc::clone(rooms), own: member.id.clone() }))
}

impl Codec for Natter {
    fn write(&mut self, out: &mut Vec<u8>, room: usize, content: &str) {
        let (id, conversation) = (new_id(), &self.rooms[room]);
        out.extend(frame::masked(frame::TEXT, wire::message(conversation, &id, content).as_bytes()));
    }

    fn read(&mut self, bytes: &[u8]) -> anyhow::Result<Option<(usize, Incoming)>> {
        let Some((opcode, start, end)) = frame::first(bytes) else { return Ok(None) };
        let payload = &bytes[start..end];
        let incoming = match opcode {
            frame::TEXT => match classify(payload) {
                wire::Incoming::Ack => Incoming::Confirmed,
                wire::Incoming::Message(_) if memmem::find(payload, self.own.as_bytes()).is_some() => Incoming::Other,
                wire::Incoming::Message(sent) => Incoming::Message(sent),
                wire::Incoming::Refused(why) => bail!("a message was refused: {why}"),
                _ => Incoming::Other,
            },
            frame::PING => Incoming::Question(frame::masked(frame::PONG, payload)),
            frame::CLOSE => bail!("the server closed the connection: {payload:?}"),
            _ => Incoming::Other,
        };
        Ok(Some((end, incoming)))
    }
}
