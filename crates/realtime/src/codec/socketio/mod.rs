//! Socket.IO v4 (protocol 5) over Engine.IO 4.
//!
//! What was found when looking for a codec: `socketioxide-core` has the packets, `socketioxide-parser-common` the text form
//! (type, attachments, namespace, acknowledgement number, data) with limits on binary attachments, both without a runtime and
//! without panics on any text (the property test below). They serve for everything that a client sends, and for the packets of
//! the handshake. Two things are ours: events and acknowledgements on their way out, because an event's frame is made once and
//! shared by all its readers while the crate's packets own their data; and Engine.IO, which `engineioxide` ties to hyper.

pub mod engine;

use std::borrow::Cow;

use appcore::{AppError, Code};
use bytes::{BufMut, Bytes};
use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, SeqAccess, Visitor},
};
use serde_json::value::RawValue;
use socketioxide_core::{
    Str, Value,
    packet::{Packet, PacketData},
    parser::{Parse, ParseConfig, ParseError, ParserState},
};
use socketioxide_parser_common::CommonParser;

use super::{AnswerTo, Payload, Request, text_frame};
use crate::{close::Close, command, frame};

/// Binary attachments that one packet may announce. No command of ours takes any; they are read so as to be refused.
const ATTACHMENTS: usize = 8;

/// The namespace that there is.
const NAMESPACE: &str = "/";

/// What a Socket.IO packet means.
#[derive(Debug)]
pub enum Packed {
    /// The client wants into a namespace, perhaps with `auth`.
    Connect {
        namespace: Box<str>,
        token: Option<String>,
    },
    /// The client leaves.
    Disconnect,
    Request(Request),
    /// Nothing to do: an acknowledgement that nobody asked for, or a packet that is not complete yet.
    Nothing,
}

/// Takes packets out of one connection's Engine.IO messages.
#[derive(Default)]
pub struct Decoder {
    /// Attachments of a packet that has begun; most connections never have one.
    attachments: Option<Box<ParserState>>,
}

impl Decoder {
    /// Reads a text message. An error ends the connection.
    pub fn text(&mut self, text: &str) -> Result<Packed, Close> {
        let state = self.attachments.take().unwrap_or_default();
        let packet = CommonParser.decode_str(&limits(), &state, Str::copy_from_slice(text));
        self.unpack(packet, state)
    }

    /// Reads a binary message, which is an attachment.
    pub fn binary(&mut self, bytes: Bytes) -> Result<Packed, Close> {
        let state = self.attachments.take().ok_or(Close::PROTOCOL)?;
        let packet = CommonParser.decode_bin(&limits(), &state, bytes);
        self.unpack(packet, state)
    }

    fn unpack(&mut self, packet: Result<Packet, ParseError>, state: Box<ParserState>) -> Result<Packed, Close> {
        match packet {
            Ok(packet) => Ok(read(packet)),
            Err(ParseError::NeedsMoreBinaryData) => {
                self.attachments = Some(state);
                Ok(Packed::Nothing)
            }
            Err(ParseError::AttachmentsTooHeavy { .. } | ParseError::TooManyAttachments { .. }) => {
                Err(Close::TOO_LARGE)
            }
            Err(_) => Err(Close::PROTOCOL),
        }
    }
}

fn limits() -> ParseConfig {
    ParseConfig {
        max_incoming_binary_buf_size: frame::MAX_MESSAGE,
        max_incoming_binaries: ATTACHMENTS,
        ..ParseConfig::default()
    }
}

fn read(packet: Packet) -> Packed {
    let is_ours = packet.ns.as_str() == NAMESPACE;
    match packet.inner {
        PacketData::Connect(auth) => {
            Packed::Connect { namespace: packet.ns.as_str().into(), token: token(auth.as_ref()) }
        }
        PacketData::Disconnect if is_ours => Packed::Disconnect,
        PacketData::Event(data, number) if is_ours => Packed::Request(request(&data, number)),
        PacketData::BinaryEvent(data, number) if is_ours => {
            let mut request = request(&data, number);
            request.command = Err(AppError::refused(Code::MalformedFrame, "No command takes binary data."));
            Packed::Request(request)
        }
        _ => Packed::Nothing,
    }
}

fn token(auth: Option<&Value>) -> Option<String> {
    #[derive(Deserialize)]
    struct Auth {
        token: String,
    }
    let auth: Auth = serde_json::from_str(auth?.as_str()?).ok()?;
    Some(auth.token)
}

fn request(data: &Value, number: Option<i64>) -> Request {
    let answer_to = number.map_or(AnswerTo::Nobody, AnswerTo::Acknowledgement);
    let event = data.as_str().map(Str::as_str).and_then(|text| serde_json::from_str::<Event<'_>>(text).ok());
    let command = match event {
        Some(event) => command::parse(&event.name, event.payload.map_or(Payload::Absent, Payload::Text)),
        None => Err(AppError::refused(Code::MalformedFrame, "An event has a name and one argument, its payload.")),
    };
    Request { answer_to, command }
}

/// `["name", payload, …]`: what follows the payload is nobody's.
struct Event<'a> {
    name: Cow<'a, str>,
    payload: Option<&'a RawValue>,
}

impl<'de> Deserialize<'de> for Event<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Arguments;

        impl<'de> Visitor<'de> for Arguments {
            type Value = Event<'de>;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("an event's name and payload")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut arguments: A) -> Result<Event<'de>, A::Error> {
                #[derive(Deserialize)]
                struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

                let name: Name<'de> =
                    arguments.next_element()?.ok_or_else(|| serde::de::Error::invalid_length(0, &self))?;
                let payload = arguments.next_element()?;
                while arguments.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Event { name: name.0, payload })
            }
        }

        deserializer.deserialize_seq(Arguments)
    }
}

/// The answer to a connect that is granted.
#[must_use]
pub fn encode_connected(sid: &str) -> Bytes {
    let data = serde_json::json!({ "sid": sid }).to_string();
    encode_packet(Packet::connect(NAMESPACE, Some(Value::Str(data.into(), None))))
}

/// The answer to a connect that is refused: `message` is what the client's `connect_error` shows, `data.code` what a program reads.
#[must_use]
pub fn encode_refused(namespace: &str, message: &str, code: Code) -> Bytes {
    if namespace != NAMESPACE {
        return encode_packet(Packet::connect_error(namespace.to_owned(), message));
    }
    let data = serde_json::json!({ "message": message, "data": { "code": code.as_str() } }).to_string();
    text_frame(data.len() + 2, |out| {
        out.put_slice(b"44");
        out.put_slice(data.as_bytes());
    })
}

/// Tells the client that it was sent away, so that it does not come back by itself.
#[must_use]
pub fn encode_disconnected() -> Bytes {
    encode_packet(Packet::disconnect(NAMESPACE))
}

fn encode_packet(packet: Packet) -> Bytes {
    let value = CommonParser.encode(packet);
    let text = value.as_str().map_or("", |text| text.as_str());
    text_frame(text.len() + 1, |out| {
        out.put_u8(engine::MESSAGE);
        out.put_slice(text.as_bytes());
    })
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
            text(&encode_refused("/", "Sign in first.", Code::Unauthenticated)),
            r#"44{"data":{"code":"unauthenticated"},"message":"Sign in first."}"#
        );
        assert_eq!(
            text(&encode_refused("/admin", "Invalid namespace", Code::NotFound)),
            r#"44/admin,{"message":"Invalid namespace"}"#
        );
        assert_eq!(text(&encode_disconnected()), "41");
        assert_eq!(text(&encode_event("typing", b"{\"active\":true}")), r#"42["typing",{"active":true}]"#);
        assert_eq!(text(&encode_acknowledgement(12, b"{\"seq\":1}")), r#"4312[{"seq":1}]"#);
    }

    #[test]
    fn a_connect_carries_its_namespace_and_token() {
        assert!(matches!(decode("0").unwrap(), Packed::Connect { namespace, token: None } if &*namespace == "/"));
        assert!(
            matches!(decode(r#"0{"token":"t"}"#).unwrap(), Packed::Connect { token: Some(token), .. } if token == "t")
        );
        assert!(matches!(decode(r#"0{"token":7}"#).unwrap(), Packed::Connect { token: None, .. }));
        assert!(
            matches!(decode(r#"0/admin,{"token":"t"}"#).unwrap(), Packed::Connect { namespace, .. } if &*namespace == "/admin")
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
        for text in ["2", "2{}", "2[]", "2[7]", r#"2["typing",[]]"#, r#"2["dance",{}]"#, r#"21["typing",7]"#] {
            assert!(matches!(decode(text), Ok(Packed::Request(Request { command: Err(_), .. }))), "{text}");
        }
        for text in ["", "9", "x", "5[\"a\"]", "3[]"] {
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
