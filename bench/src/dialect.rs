//! Protocols of the measured servers, and recognition of their deliveries.
//!
//! A message contains its number within the channel as `#` and nine digits, a sequence that occurs
//! nowhere else in a frame. Typing events can't contain a number, so readers count them.

use std::net::SocketAddr;

use memchr::{memchr_iter, memmem};
use serde_json::json;

use crate::frame;
use crate::work::MESSAGE;

/// Placeholder for the number in a prepared frame.
const BLANK: &[u8; 9] = b"@@@@@@@@@";
/// Number of bytes at the start of a frame within which every wire format states the type of the
/// event.
const NAMED_WITHIN: usize = 80;

/// Protocol of a measured server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// Raw TCP: the lower bound, a loop of write(2) without any upgrade.
    Floor,
    /// Separate path for each channel (Nchan, ws).
    Path,
    /// Separate room for each channel.
    Room,
    NatterJson,
    NatterMessagePack,
    NatterSocketIo,
}

/// Channel and credentials of a connection.
#[derive(Clone, Debug)]
pub struct Seat {
    pub channel: usize,
    /// Access token for Natter.
    pub token: Option<String>,
    /// Id of the conversation in Natter.
    pub conversation: Option<String>,
}

/// Kind of event to publish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Message of this many bytes.
    Message(usize),
    Typing,
}

/// Reaction to a frame that is received before the connection is ready.
pub enum Reaction {
    Wait,
    Say(Vec<u8>),
    Ready,
}

/// Kind of a received frame.
pub enum Incoming {
    /// Message with this number.
    Numbered(usize),
    /// Event without a number; it counts as the next one.
    Counted,
    Other,
}

impl Dialect {
    /// Returns the first bytes to send on a new connection.
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

    /// True if the server answers the first bytes with HTTP.
    pub fn upgrades(self) -> bool {
        self != Self::Floor
    }

    /// True if the connection is ready after the upgrade.
    pub fn is_ready_when_upgraded(self) -> bool {
        self == Self::Path
    }

    /// Returns the reaction to a frame, for the protocol steps between the upgrade and the
    /// subscription.
    pub fn react(self, seat: &Seat, payload: &[u8]) -> Reaction {
        match self {
            Self::Floor | Self::Path => Reaction::Ready,
            // The frame is the server's `hello`.
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

    /// Returns the answer to a heartbeat; `None` for other frames.
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
        // Ignored, because a notification contains the text of the message and so its number.
        if memmem::find(head, b"notification").is_some() {
            return Incoming::Other;
        }
        // Checks each occurrence, because in MessagePack a number or a length may look like the
        // marker.
        for at in memchr_iter(b'#', payload) {
            if let Some(digits) = payload.get(at + 1..at + 1 + BLANK.len())
                && digits.iter().all(u8::is_ascii_digit)
            {
                return Incoming::Numbered(digits.iter().fold(0, |sum, digit| sum * 10 + usize::from(digit - b'0')));
            }
        }
        if memmem::find(head, b"typing").is_some() { Incoming::Counted } else { Incoming::Other }
    }

    /// Prepares the frame that publishes an event.
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

    /// Returns the frame by which a client views the channel; ephemeral events of a large channel
    /// are sent only to viewers.
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

/// Prepared frame, into which the number is written before it is sent.
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
            let (_, start, end) = frame::first(bytes).expect("complete frame");
            // A frame of a client has a mask between the header and the payload.
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
