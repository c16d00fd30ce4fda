//! Socket.IO v4 (protocol 5) over Engine.IO 4.
//!
//! What was found when looking for a codec: `socketioxide-core` has the packets, `socketioxide-parser-common` the text form
//! (type, attachments, namespace, acknowledgement number, data) with limits on binary attachments, both without a runtime and
//! without panics on any text (the property test below). They serve for everything that a client sends, and for the packets of
//! the handshake. Two things are ours: events and acknowledgements on their way out, because an event's frame is made once and
//! shared by all its readers while the crate's packets own their data; and Engine.IO ([`crate::engine`]), which `engineioxide` ties to hyper.

pub mod packet;

use appcore::{AppError, Code};
use bytes::{BufMut, Bytes};
use serde::Deserialize;

use self::packet::{Content, MAIN, Packet};
use super::{AnswerTo, Payload, Request, text_frame};
use crate::{close::Close, command, frame};

/// Binary attachments that one packet may announce. No command of ours takes any; they are read so as to be refused.
const ATTACHMENTS: usize = 8;

/// What a Socket.IO packet means.
#[derive(Debug)]
pub enum Packed {
    /// The client wants in, perhaps with `auth`.
    Connect {
        token: Option<String>,
    },
    /// The client wants into a namespace that there is not.
    Elsewhere(Box<str>),
    /// The client leaves.
    Disconnect,
    Request(Request),
    /// Nothing to do: an acknowledgement that nobody asked for, or a packet that is not complete yet.
    Nothing,
}

/// Takes packets out of one connection's Engine.IO messages.
#[derive(Debug)]
pub struct Decoder(packet::Decoder);

impl Default for Decoder {
    fn default() -> Self {
        Self(packet::Decoder::new(frame::MAX_MESSAGE, ATTACHMENTS))
    }
}

impl Decoder {
    /// Reads a text message. An error ends the connection.
    pub fn text(&mut self, text: &str) -> Result<Packed, Close> {
        self.0.text(text)?.map_or(Ok(Packed::Nothing), read)
    }

    /// Reads a binary message, which is an attachment.
    pub fn binary(&mut self, bytes: Bytes) -> Result<Packed, Close> {
        self.0.binary(bytes)?.map_or(Ok(Packed::Nothing), read)
    }
}

fn read(packet: Packet) -> Result<Packed, Close> {
    let is_ours = &*packet.namespace == MAIN;
    Ok(match packet.content {
        Content::Connect(_) if !is_ours => Packed::Elsewhere(packet.namespace),
        Content::Connect(auth) => Packed::Connect { token: auth.as_ref().and_then(|auth| token(auth.as_str())) },
        // Nobody speaks where nobody is let in.
        Content::Event { .. } if !is_ours => return Err(Close::PROTOCOL),
        _ if !is_ours => Packed::Nothing,
        Content::Disconnect => Packed::Disconnect,
        Content::Acknowledgement => Packed::Nothing,
        Content::Event { number, data, attachments } => {
            let mut request = request(data.as_str(), number)?;
            if !attachments.is_empty() {
                request.command = Err(AppError::refused(Code::MalformedFrame, "Commands can't contain binary data."));
            }
            Packed::Request(request)
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

/// `["name", payload, …]`: what follows the payload is nobody's.
fn request(data: &str, number: Option<i64>) -> Result<Request, Close> {
    let answer_to = number.map_or(AnswerTo::Nobody, AnswerTo::Acknowledgement);
    let event = packet::event(data)?;
    let payload = event.arguments.first().map_or(Payload::Absent, |payload| Payload::Text(payload));
    Ok(Request { answer_to, command: command::parse(&event.name, payload) })
}

/// The answer to a connect that is granted.
#[must_use]
pub fn encode_connected(sid: &str) -> Bytes {
    packet::connected(MAIN, sid)
}

/// The answer to a connect that is refused: `message` is what the client's `connect_error` shows, `data.code` what a program reads.
#[must_use]
pub fn encode_refused(message: &str, code: Code) -> Bytes {
    let data = serde_json::json!({ "message": message, "data": { "code": code.as_str() } }).to_string();
    packet::packet(b'4', MAIN, None, &data)
}

/// The answer to a connect to a namespace that there is not.
#[must_use]
pub fn encode_elsewhere(namespace: &str) -> Bytes {
    packet::refused(namespace, "Invalid namespace")
}

/// Tells the client that it was sent away, so that it does not come back by itself.
#[must_use]
pub fn encode_disconnected() -> Bytes {
    packet::disconnected(MAIN)
}

/// An event, header included. `kind` is one of our own names, which need no escapes.
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

/// An acknowledgement, header included.
#[must_use]
pub fn encode_acknowledgement(number: i64, payload: &[u8]) -> Bytes {
    text_frame(payload.len() + 24, |out| {
        use std::fmt::Write as _;
        // Writing into a growing buffer does not fail.
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

    fn decode(text: &str) -> Result<Packed, Close> {
        Decoder::default().text(text)
    }

    /// The text in a short frame.
    fn text(frame: &Bytes) -> &str {
        assert_eq!(frame[0], 0x81);
        std::str::from_utf8(&frame[2..]).unwrap()
    }

    #[test]
    fn packets_are_written_as_the_protocol_has_them() {
        assert_eq!(text(&encode_connected("x1")), r#"40{"sid":"x1"}"#);
        assert_eq!(
            text(&encode_refused("Sign in first.", Code::Unauthenticated)),
            r#"44{"message":"Sign in first.","data":{"code":"unauthenticated"}}"#
        );
        assert_eq!(text(&encode_elsewhere("/admin")), r#"44/admin,{"message":"Invalid namespace"}"#);
        assert_eq!(text(&encode_disconnected()), "41");
        assert_eq!(text(&encode_event("typing", b"{\"active\":true}")), r#"42["typing",{"active":true}]"#);
        assert_eq!(text(&encode_acknowledgement(12, b"{\"seq\":1}")), r#"4312[{"seq":1}]"#);
    }

    #[test]
    fn a_connect_carries_its_token() {
        assert!(matches!(decode("0").unwrap(), Packed::Connect { token: None }));
        assert!(matches!(decode(r#"0{"token":"t"}"#).unwrap(), Packed::Connect { token: Some(token) } if token == "t"));
        assert!(matches!(decode(r#"0{"token":7}"#).unwrap(), Packed::Connect { token: None }));
        assert!(
            matches!(decode(r#"0/admin,{"token":"t"}"#).unwrap(), Packed::Elsewhere(namespace) if &*namespace == "/admin")
        );
    }

    #[test]
    fn an_event_is_a_command_and_its_number_is_where_the_answer_goes() {
        let Packed::Request(request) = decode(r#"27["ping",{}]"#).unwrap() else { panic!() };
        assert_eq!(request.answer_to, AnswerTo::Acknowledgement(7));
        assert!(matches!(request.command, Ok(Command::Ping)));
        let Packed::Request(request) = decode(r#"2["ping"]"#).unwrap() else { panic!() };
        assert_eq!(request.answer_to, AnswerTo::Nobody);
        assert!(request.command.is_ok());
    }

    #[test]
    fn what_is_wrong_within_a_packet_is_an_error_and_a_wrong_packet_ends_the_connection() {
        for text in ["2[7]", r#"2["typing",[]]"#, r#"2["dance",{}]"#, r#"21["typing",7]"#] {
            assert!(matches!(decode(text), Ok(Packed::Request(Request { command: Err(_), .. }))), "{text}");
        }
        for text in ["", "9", "x", "2", "2{}", "2[]", "2[null]", "2x[7]", "2/admin,[7]", "5[\"a\"]", "3[]"] {
            assert!(matches!(decode(text), Err(Close::PROTOCOL)), "{text}");
        }
        assert!(matches!(decode(r#"59-["a"]"#), Err(Close::TOO_LARGE)));
    }

    #[test]
    fn attachments_are_taken_and_the_command_refused() {
        let mut decoder = Decoder::default();
        assert!(matches!(decoder.text(r#"51-3["ping",{"_placeholder":true,"num":0}]"#), Ok(Packed::Nothing)));
        let Ok(Packed::Request(request)) = decoder.binary(Bytes::from_static(b"x")) else { panic!() };
        assert_eq!(request.answer_to, AnswerTo::Acknowledgement(3));
        assert_eq!(request.command.unwrap_err().code(), Code::MalformedFrame);
        assert_eq!(decoder.binary(Bytes::from_static(b"x")).unwrap_err(), Close::PROTOCOL);
    }

    proptest! {
        #[test]
        fn no_messages_make_it_panic(messages in proptest::collection::vec((any::<bool>(), r#"[0-9/,{}\[\]"a-zé-]{0,20}"#), 0..6)) {
            let mut decoder = Decoder::default();
            for (is_text, message) in messages {
                let _ = if is_text { decoder.text(&message) } else { decoder.binary(message.into()) };
            }
        }
    }
}
