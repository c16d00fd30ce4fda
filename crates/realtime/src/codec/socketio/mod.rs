//! Socket.IO v4 (protocol 5) over Engine.IO 4.
//!
//! Incoming packets and handshake packets use `socketioxide-core` (packets) and
//! `socketioxide-parser-common` (text format: type, attachments, namespace, acknowledgement number,
//! data). This parser limits binary attachments, needs no runtime, and doesn't panic on any text
//! (property test below). Outgoing events and acknowledgements are encoded without these crates,
//! because an event's frame is encoded once and shared by all its readers, while the packets of the
//! crates own their data. Engine.IO is implemented in [`crate::engine`], because the crate
//! `engineioxide` depends on hyper.

pub mod packet;

use appcore::{AppError, Code};
use bytes::{BufMut, Bytes};
use serde::Deserialize;

use self::packet::{Content, MAIN, Packet};
use super::{AnswerTo, Payload, Request, text_frame};
use crate::{close::Close, command, frame};

/// Maximum number of binary attachments per packet. No command accepts attachments. They are read
/// only so that the client gets an error.
const MAX_ATTACHMENTS: usize = 8;

/// Decoded Socket.IO packet.
#[derive(Debug)]
pub enum DecodedPacket {
    /// Connect packet for the main namespace, possibly with a token in `auth`.
    Connect {
        token: Option<String>,
    },
    /// Connect packet for an unknown namespace.
    UnknownNamespace(Box<str>),
    /// The client disconnects.
    Disconnect,
    Request(Request),
    /// Packet without effect: an acknowledgement, or a packet whose attachments are still missing.
    Nothing,
}

/// Decoder of one connection's Engine.IO messages.
#[derive(Debug)]
pub struct Decoder(packet::Decoder);

impl Default for Decoder {
    fn default() -> Self {
        Self(packet::Decoder::new(frame::MAX_MESSAGE, MAX_ATTACHMENTS))
    }
}

impl Decoder {
    /// Decodes a text message. An error closes the connection.
    pub fn text(&mut self, text: &str) -> Result<DecodedPacket, Close> {
        self.0.text(text)?.map_or(Ok(DecodedPacket::Nothing), read)
    }

    /// Decodes a binary message, which is an attachment.
    pub fn binary(&mut self, bytes: Bytes) -> Result<DecodedPacket, Close> {
        self.0.binary(bytes)?.map_or(Ok(DecodedPacket::Nothing), read)
    }
}

fn read(packet: Packet) -> Result<DecodedPacket, Close> {
    let is_ours = &*packet.namespace == MAIN;
    Ok(match packet.content {
        Content::Connect(_) if !is_ours => DecodedPacket::UnknownNamespace(packet.namespace),
        Content::Connect(auth) => DecodedPacket::Connect { token: auth.as_ref().and_then(|auth| token(auth.as_str())) },
        // The event is for a namespace that the client can't have joined.
        Content::Event { .. } if !is_ours => return Err(Close::PROTOCOL),
        _ if !is_ours => DecodedPacket::Nothing,
        Content::Disconnect => DecodedPacket::Disconnect,
        Content::Acknowledgement => DecodedPacket::Nothing,
        Content::Event { number, data, attachments } => {
            let mut request = request(data.as_str(), number)?;
            if !attachments.is_empty() {
                request.command = Err(AppError::refused(Code::MalformedFrame, "Commands can't contain binary data."));
            }
            DecodedPacket::Request(request)
        }
    })
}

fn token(auth: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Auth {
        token: String,
    }
    let auth: Auth = serde_json::from_str(auth).ok()?;
    Some(auth.token)
}

/// Parses `["name", payload, …]`; arguments after the payload are ignored.
fn request(data: &str, number: Option<i64>) -> Result<Request, Close> {
    let answer_to = number.map_or(AnswerTo::Nobody, AnswerTo::Acknowledgement);
    let event = packet::event(data)?;
    let payload = event.arguments.first().map_or(Payload::Absent, |payload| Payload::Text(payload));
    Ok(Request { answer_to, command: command::parse(&event.name, payload) })
}

/// Encodes the response to an accepted connect.
#[must_use]
pub fn encode_connected(sid: &str) -> Bytes {
    packet::connected(MAIN, sid)
}

/// Encodes the response to a refused connect packet. `message` is passed to the client's
/// `connect_error` handler, and `data.code` is for programs.
#[must_use]
pub fn encode_refused(message: &str, code: Code) -> Bytes {
    let data = serde_json::json!({ "message": message, "data": { "code": code.as_str() } }).to_string();
    packet::packet(b'4', MAIN, None, &data)
}

/// Encodes the response to a connect to an unknown namespace.
#[must_use]
pub fn encode_unknown_namespace(namespace: &str) -> Bytes {
    packet::refused(namespace, "Invalid namespace")
}

/// Encodes a disconnect by the server. Clients don't reconnect automatically after it.
#[must_use]
pub fn encode_disconnected() -> Bytes {
    packet::disconnected(MAIN)
}

/// Encodes an event, including the WebSocket header. `kind` is one of our event names, which need
/// no escaping.
#[must_use]
pub fn encode_event(kind: &str, payload: &[u8]) -> Bytes {
    text_frame(payload.len() + kind.len() + 8, |out| {
        out.put_slice(b"42[\"");
        out.put_slice(kind.as_bytes());
        out.put_slice(b"\",");
        out.put_slice(payload);
        out.put_u8(b']');
    })
}

/// Encodes an acknowledgement, including the WebSocket header.
#[must_use]
pub fn encode_acknowledgement(number: i64, payload: &[u8]) -> Bytes {
    text_frame(payload.len() + 24, |out| {
        use std::fmt::Write as _;
        // Writing into a growing buffer can't fail.
        let _ = write!(out, "43{number}[");
        out.put_slice(payload);
        out.put_u8(b']');
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::command::Command;

    fn decode(text: &str) -> Result<DecodedPacket, Close> {
        Decoder::default().text(text)
    }

    /// Returns the text of a short frame.
    fn text(frame: &Bytes) -> &str {
        assert_eq!(frame[0], 0x81);
        std::str::from_utf8(&frame[2..]).unwrap()
    }

    #[test]
    fn encodes_packets_as_specified() {
        assert_eq!(text(&encode_connected("x1")), r#"40{"sid":"x1"}"#);
        assert_eq!(
            text(&encode_refused("Sign in first.", Code::Unauthenticated)),
            r#"44{"message":"Sign in first.","data":{"code":"unauthenticated"}}"#
        );
        assert_eq!(text(&encode_unknown_namespace("/admin")), r#"44/admin,{"message":"Invalid namespace"}"#);
        assert_eq!(text(&encode_disconnected()), "41");
        assert_eq!(text(&encode_event("typing", b"{\"active\":true}")), r#"42["typing",{"active":true}]"#);
        assert_eq!(text(&encode_acknowledgement(12, b"{\"seq\":1}")), r#"4312[{"seq":1}]"#);
    }

    #[test]
    fn connect_carries_the_token() {
        assert!(matches!(decode("0").unwrap(), DecodedPacket::Connect { token: None }));
        assert!(
            matches!(decode(r#"0{"token":"t"}"#).unwrap(), DecodedPacket::Connect { token: Some(token) } if token == "t")
        );
        assert!(matches!(decode(r#"0{"token":7}"#).unwrap(), DecodedPacket::Connect { token: None }));
        assert!(
            matches!(decode(r#"0/admin,{"token":"t"}"#).unwrap(), DecodedPacket::UnknownNamespace(namespace) if &*namespace == "/admin")
        );
    }

    #[test]
    fn parses_an_event_as_a_command_with_its_acknowledgement_number() {
        let DecodedPacket::Request(request) = decode(r#"27["ping",{}]"#).unwrap() else { panic!() };
        assert_eq!(request.answer_to, AnswerTo::Acknowledgement(7));
        assert!(matches!(request.command, Ok(Command::Ping)));
        let DecodedPacket::Request(request) = decode(r#"2["ping"]"#).unwrap() else { panic!() };
        assert_eq!(request.answer_to, AnswerTo::Nobody);
        assert!(request.command.is_ok());
    }

    #[test]
    fn invalid_commands_are_errors_and_invalid_packets_close_the_connection() {
        for text in ["2[7]", r#"2["typing",[]]"#, r#"2["dance",{}]"#, r#"21["typing",7]"#] {
            assert!(matches!(decode(text), Ok(DecodedPacket::Request(Request { command: Err(_), .. }))), "{text}");
        }
        for text in ["", "9", "x", "2", "2{}", "2[]", "2[null]", "2x[7]", "2/admin,[7]", "5[\"a\"]", "3[]"] {
            assert!(matches!(decode(text), Err(Close::PROTOCOL)), "{text}");
        }
        assert!(matches!(decode(r#"59-["a"]"#), Err(Close::TOO_LARGE)));
    }

    #[test]
    fn accepts_attachments_but_rejects_the_command() {
        let mut decoder = Decoder::default();
        assert!(matches!(decoder.text(r#"51-3["ping",{"_placeholder":true,"num":0}]"#), Ok(DecodedPacket::Nothing)));
        let Ok(DecodedPacket::Request(request)) = decoder.binary(Bytes::from_static(b"x")) else { panic!() };
        assert_eq!(request.answer_to, AnswerTo::Acknowledgement(3));
        assert_eq!(request.command.unwrap_err().code(), Code::MalformedFrame);
        assert_eq!(decoder.binary(Bytes::from_static(b"x")).unwrap_err(), Close::PROTOCOL);
    }

    proptest! {
        #[test]
        fn never_panics_on_arbitrary_messages(messages in proptest::collection::vec((any::<bool>(), r#"[0-9/,{}\[\]"a-zé-]{0,20}"#), 0..6)) {
            let mut decoder = Decoder::default();
            for (is_text, message) in messages {
                let _ = if is_text { decoder.text(&message) } else { decoder.binary(message.into()) };
            }
        }
    }
}
