//! What the servers want to hear and how their deliveries are told apart, one variant for each protocol.
//!
//! A message carries its number within its channel as `#` and nine digits, which nothing else in any frame does. `typing` has no room
//! for one: a reader counts.

use std::net::SocketAddr;

use memchr::{memchr_iter, memmem};
use serde_json::json;

use crate::frame;
use crate::work::MESSAGE;

/// Where the number goes in a frame that is made beforehand.
const BLANK: &[u8; 9] = b"@@@@@@@@@";
/// Bytes within which every wire form names its event.
const NAMED_WITHIN: usize = 80;

/// How a server is talked to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// The loop of write(2): no upgrade at all.
    Floor,
    /// A path for each channel (Nchan, ws).
    Path,
    /// A room for each channel.
    Room,
    NatterJson,
    NatterMessagePack,
    NatterSocketIo,
}

/// What a connection is for.
#[derive(Clone, Debug)]
pub struct Seat {
    pub channel: usize,
    /// Whom Natter takes it for.
    pub token: Option<String>,
    /// What Natter knows the channel as.
    pub conversation: Option<String>,
}

/// What is published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// So many bytes.
    Message(usize),
    Typing,
}

/// What to do with a frame that came before the connection was ready.
pub enum Reaction {
    Wait,
    Say(Vec<u8>),
    Ready,
}

/// What came.
pub enum Incoming {
    /// A message with this number.
    Numbered(usize),
    /// The next one, whatever its number.
    Counted,
    Other,
}

impl Dialect {
    /// What a new connection says first.
    pub fn open(self, address: SocketAddr, seat: &Seat) -> Vec<u8> {
        let token = seat.token.as_deref().unwrap_or_default();
        let (path, more) = match self {
            Self::Floor => return u32::try_from(seat.channel).unwrap_or(u32::MAX).to_le_bytes().to_vec(),
            Self::Path => (format!("/{}", seat.channel), String::new()),
            Self::Room | Self::NatterSocketIo => ("/socket.io/?EIO=4&transport=websocket".to_owned(), String::new()),
            Self::NatterJson | Self::NatterMessagePack => {
                let protocol = if self == Self::NatterJson { "natter.json" } else { "natter.msgpack" };
                let more = format!("sec-websocket-protocol: {protocol}\r\nauthorization: Bearer {token}\r\n");
                ("/r1/websocket".to_owned(), more)
            }
        };
        format!(
            "GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
             sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n{more}\r\n"
        )
        .into_bytes()
    }

    /// Whether the server answers the first words with HTTP.
    pub fn upgrades(self) -> bool {
        self != Self::Floor
    }

    /// Whether the upgrade is all there is to it.
    pub fn is_ready_when_upgraded(self) -> bool {
        self == Self::Path
    }

    /// The way from the upgrade to a connection that gets its channel's messages.
    pub fn react(self, seat: &Seat, payload: &[u8]) -> Reaction {
        match self {
            Self::Floor | Self::Path => Reaction::Ready,
            // The greeting.
            Self::NatterJson | Self::NatterMessagePack => Reaction::Ready,
            Self::Room | Self::NatterSocketIo if payload.starts_with(b"0") => {
                let packet = match &seat.token {
                    Some(token) => format!("40{}", json!({ "token": token })),
                    None => "40".to_owned(),
                };
                Reaction::Say(frame::masked(frame::TEXT, packet.as_bytes()))
            }
            Self::Room if payload.starts_with(b"40") => {
                Reaction::Say(frame::masked(frame::TEXT, format!(r#"421["join","{}"]"#, seat.channel).as_bytes()))
            }
            Self::Room if payload.starts_with(b"43") => Reaction::Ready,
            Self::NatterSocketIo if payload.starts_with(b"42[\"hello\"") => Reaction::Ready,
            Self::Room | Self::NatterSocketIo => Reaction::Wait,
        }
    }

    /// The answer to a heartbeat, where this is one.
    pub fn heartbeat(self, opcode: u8, payload: &[u8]) -> Option<Vec<u8>> {
        match (self, opcode) {
            (_, frame::PING) => Some(frame::masked(frame::PONG, payload)),
            (Self::Room | Self::NatterSocketIo, frame::TEXT) if payload == b"2" => {
                Some(frame::masked(frame::TEXT, b"3"))
            }
            _ => None,
        }
    }

    pub fn read(payload: &[u8]) -> Incoming {
        let head = &payload[..payload.len().min(NAMED_WITHIN)];
        // It has the text of what it tells of.
        if memmem::find(head, b"notification").is_some() {
            return Incoming::Other;
        }
        // In MessagePack a number or a length may look like the mark.
        for at in memchr_iter(b'#', payload) {
            if let Some(digits) = payload.get(at + 1..at + 1 + BLANK.len())
                && digits.iter().all(u8::is_ascii_digit)
            {
                return Incoming::Numbered(digits.iter().fold(0, |sum, digit| sum * 10 + usize::from(digit - b'0')));
            }
        }
        if memmem::find(head, b"typing").is_some() { Incoming::Counted } else { Incoming::Other }
    }

    /// The frame that publishes.
    pub fn publication(self, seat: &Seat, form: Form) -> Publication {
        let blank = String::from_utf8_lossy(BLANK);
        let length = if let Form::Message(length) = form { length } else { MESSAGE };
        let text = format!("#{blank}{}", "x".repeat(length - 1 - BLANK.len()));
        Publication::of(match self {
            Self::Floor => frame::bare(frame::TEXT, text.as_bytes()),
            Self::Path => frame::masked(frame::TEXT, text.as_bytes()),
            Self::Room => {
                frame::masked(frame::TEXT, format!(r#"42["message","{}","{text}"]"#, seat.channel).as_bytes())
            }
            _ if form == Form::Typing => {
                self.command("typing", &json!({ "conversation_id": seat.conversation, "active": true }))
            }
            _ => {
                let client_id = format!("bench-{blank}");
                let payload = json!({ "conversation_id": seat.conversation, "client_id": client_id, "content": text });
                self.command("message.send", &payload)
            }
        })
    }

    /// The frame that says that somebody looks at the channel: passing events of a large one go to nobody else.
    pub fn look(self, seat: &Seat) -> Option<Vec<u8>> {
        let is_natter = matches!(self, Self::NatterJson | Self::NatterMessagePack | Self::NatterSocketIo);
        is_natter.then(|| self.command("view", &json!({ "conversation_ids": [seat.conversation] })))
    }

    fn command(self, kind: &str, payload: &serde_json::Value) -> Vec<u8> {
        let envelope = json!({
            "id": "00000000-0000-7000-8000-000000000000",
            "type": kind,
            "timestamp": "2026-01-01T00:00:00.000Z",
            "payload": payload,
        });
        match self {
            Self::NatterMessagePack => {
                frame::masked(frame::BINARY, &rmp_serde::to_vec_named(&envelope).expect("a plain value"))
            }
            Self::NatterSocketIo => frame::masked(frame::TEXT, format!("42{}", json!([kind, payload])).as_bytes()),
            _ => frame::masked(frame::TEXT, envelope.to_string().as_bytes()),
        }
    }
}

/// A frame that is made once and only gets its number before it is sent.
pub struct Publication {
    frame: Vec<u8>,
    blanks: Vec<usize>,
}

impl Publication {
    fn of(frame: Vec<u8>) -> Self {
        let blanks = memmem::find_iter(&frame, BLANK).collect();
        Self { frame, blanks }
    }

    pub fn numbered(&mut self, number: usize) -> &[u8] {
        let digits = format!("{number:09}");
        for blank in &self.blanks {
            self.frame[*blank..*blank + BLANK.len()].copy_from_slice(digits.as_bytes());
        }
        &self.frame
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_its_own_publications_in_every_dialect() {
        let seat = Seat { channel: 7, token: None, conversation: Some("c".into()) };
        let all = [
            Dialect::Floor,
            Dialect::Path,
            Dialect::Room,
            Dialect::NatterJson,
            Dialect::NatterMessagePack,
            Dialect::NatterSocketIo,
        ];
        for dialect in all {
            let mut publication = dialect.publication(&seat, Form::Message(MESSAGE));
            publication.numbered(1);
            let bytes = publication.numbered(123_456_789);
            let (_, start, end) = frame::first(bytes).expect("a whole frame");
            // A client's frame has its mask between header and payload.
            let masked = if bytes[1] & 0x80 == 0 { 0 } else { 4 };
            assert_eq!(bytes.len(), end + masked);
            let read = Dialect::read(&bytes[start + masked..]);
            assert!(matches!(read, Incoming::Numbered(123_456_789)), "{dialect:?}");
        }
        assert!(matches!(Dialect::read(b"\xa3#12\xa4#000000007"), Incoming::Numbered(7)));
        assert!(matches!(Dialect::read(br#"42["typing",{}]"#), Incoming::Counted));
        assert!(matches!(Dialect::read(br#"42["presence",{}]"#), Incoming::Other));
        assert!(matches!(Dialect::read(br##"42["notification",{"text":"#000000007"}]"##), Incoming::Other));
    }
}
