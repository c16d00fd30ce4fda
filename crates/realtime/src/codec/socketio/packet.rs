//! Socket.IO packets of all namespaces.
//!
//! `socketioxide-parser-common` parses them (type, attachments, namespace, acknowledgement number,
//! data). The data of an event stays JSON text until it is needed.

use std::{borrow::Cow, fmt::Write as _};

use bytes::{BufMut as _, Bytes};
use serde_json::value::RawValue;
use socketioxide_core::{
    Str, Value,
    packet::{Packet as Parsed, PacketData},
    parser::{Parse, ParseConfig, ParseError, ParserState},
};
use socketioxide_parser_common::CommonParser;

use crate::{
    close::Close,
    engine::packet::{MESSAGE, text},
    frame::{self, Kind},
};

/// Main namespace. Its name is omitted on the wire.
pub const MAIN: &str = "/";

/// Packet from a client.
#[derive(Debug)]
pub struct Packet {
    pub namespace: Box<str>,
    pub content: Content,
}

#[derive(Debug)]
pub enum Content {
    /// Connect packet, possibly with `auth` data.
    Connect(Option<Str>),
    /// The client disconnects.
    Disconnect,
    /// Event. `data` is JSON text with a placeholder for each attachment; [`event`] parses it.
    Event { number: Option<i64>, data: Str, attachments: Vec<Bytes> },
    /// Acknowledgement of an event from the server. The server never requests one.
    Acknowledgement,
}

/// Decoder of one connection's messages.
#[derive(Debug)]
pub struct Decoder {
    /// Maximum total size of a packet's attachments in bytes, and their maximum number.
    limits: (usize, usize),
    /// State of a packet whose attachments are still missing; `None` for most connections.
    attachments: Option<Box<ParserState>>,
}

impl Decoder {
    #[must_use]
    pub fn new(bytes: usize, attachments: usize) -> Self {
        Self { limits: (bytes, attachments), attachments: None }
    }

    /// Decodes a text message. Returns `None` if the packet isn't complete yet. An error closes the
    /// connection.
    pub fn text(&mut self, text: &str) -> Result<Option<Packet>, Close> {
        let state = self.attachments.take().unwrap_or_default();
        let packet = CommonParser.decode_str(&self.config(), &state, Str::copy_from_slice(text));
        self.unpack(packet, state)
    }

    /// Decodes a binary message, which is an attachment.
    pub fn binary(&mut self, bytes: Bytes) -> Result<Option<Packet>, Close> {
        let state = self.attachments.take().ok_or(Close::PROTOCOL)?;
        let packet = CommonParser.decode_bin(&self.config(), &state, bytes);
        self.unpack(packet, state)
    }

    fn config(&self) -> ParseConfig {
        let (bytes, attachments) = self.limits;
        ParseConfig {
            max_incoming_binary_buf_size: bytes,
            max_incoming_binaries: attachments,
            ..ParseConfig::default()
        }
    }

    fn unpack(&mut self, packet: Result<Parsed, ParseError>, state: Box<ParserState>) -> Result<Option<Packet>, Close> {
        match packet {
            Ok(packet) => read(packet).map(Some),
            Err(ParseError::NeedsMoreBinaryData) => {
                self.attachments = Some(state);
                Ok(None)
            }
            Err(ParseError::AttachmentsTooHeavy { .. } | ParseError::TooManyAttachments { .. }) => {
                Err(Close::TOO_LARGE)
            }
            Err(_) => Err(Close::PROTOCOL),
        }
    }
}

fn read(packet: Parsed) -> Result<Packet, Close> {
    let content = match packet.inner {
        PacketData::Connect(data) => Content::Connect(data.and_then(|data| data.as_str().cloned())),
        PacketData::Disconnect => Content::Disconnect,
        PacketData::Event(Value::Str(data, attachments), number)
        | PacketData::BinaryEvent(Value::Str(data, attachments), number) => {
            Content::Event { number, data, attachments: attachments.map(Vec::from).unwrap_or_default() }
        }
        PacketData::EventAck(..) | PacketData::BinaryAck(..) => Content::Acknowledgement,
        _ => return Err(Close::PROTOCOL),
    };
    Ok(Packet { namespace: packet.ns.as_str().into(), content })
}

/// Name and arguments of an event.
#[derive(Debug)]
pub struct Event<'a> {
    pub name: Cow<'a, str>,
    pub arguments: Vec<&'a RawValue>,
}

/// Parses an event: an array that starts with the event's name, a string or a number. Anything else
/// is a protocol error.
pub fn event(data: &str) -> Result<Event<'_>, Close> {
    let mut arguments: Vec<&RawValue> = serde_json::from_str(data).map_err(|_| Close::PROTOCOL)?;
    if arguments.is_empty() {
        return Err(Close::PROTOCOL);
    }
    let name = arguments.remove(0).get();
    let name = match name.as_bytes().first() {
        Some(b'"') => serde_json::from_str::<Name<'_>>(name).map_err(|_| Close::PROTOCOL)?.0,
        Some(b'-' | b'0'..=b'9') => Cow::Borrowed(name),
        _ => return Err(Close::PROTOCOL),
    };
    Ok(Event { name, arguments })
}

#[derive(serde::Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

/// Encodes the response to an accepted connect.
#[must_use]
pub fn connected(namespace: &str, sid: &str) -> Bytes {
    packet(b'0', namespace, None, &serde_json::json!({ "sid": sid }).to_string())
}

/// Encodes the response to a refused connect.
#[must_use]
pub fn refused(namespace: &str, message: &str) -> Bytes {
    packet(b'4', namespace, None, &serde_json::json!({ "message": message }).to_string())
}

/// Encodes a disconnect from a namespace by the server.
#[must_use]
pub fn disconnected(namespace: &str) -> Bytes {
    packet(b'1', namespace, None, "")
}

/// Encodes a packet without attachments as a frame. `data` is JSON.
#[must_use]
pub fn packet(kind: u8, namespace: &str, number: Option<i64>, data: &str) -> Bytes {
    write(kind, 0, namespace, number, data)
}

/// Encodes an event with attachments as frames. Its text has a placeholder for each attachment.
pub fn event_frames(namespace: &str, data: &str, attachments: Vec<Bytes>) -> impl Iterator<Item = Bytes> + use<> {
    with_attachments((b'2', b'5'), namespace, None, data, attachments)
}

/// Encodes an acknowledgement with attachments as frames.
pub fn acknowledgement_frames(
    namespace: &str,
    number: i64,
    data: &str,
    attachments: Vec<Bytes>,
) -> impl Iterator<Item = Bytes> + use<> {
    with_attachments((b'3', b'6'), namespace, Some(number), data, attachments)
}

fn with_attachments(
    (plain, binary): (u8, u8),
    namespace: &str,
    number: Option<i64>,
    data: &str,
    attachments: Vec<Bytes>,
) -> impl Iterator<Item = Bytes> + use<> {
    let kind = if attachments.is_empty() { plain } else { binary };
    let head = write(kind, attachments.len(), namespace, number, data);
    std::iter::once(head).chain(attachments.into_iter().map(|bytes| frame::frame(Kind::Binary, &bytes)))
}

fn write(kind: u8, attachments: usize, namespace: &str, number: Option<i64>, data: &str) -> Bytes {
    text(data.len() + namespace.len() + 32, |out| {
        out.put_u8(MESSAGE);
        out.put_u8(kind);
        // Writing into a growing buffer can't fail.
        if attachments > 0 {
            let _ = write!(out, "{attachments}-");
        }
        if namespace != MAIN {
            let _ = write!(out, "{namespace},");
        }
        if let Some(number) = number {
            let _ = write!(out, "{number}");
        }
        out.put_slice(data.as_bytes());
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decoder() -> Decoder {
        Decoder::new(1_000, 3)
    }

    /// Returns the text of a short frame.
    fn content(frame: &Bytes) -> &str {
        assert_eq!(frame[0], 0x81);
        std::str::from_utf8(&frame[2..]).unwrap()
    }

    #[test]
    fn decodes_all_parts_of_a_packet() {
        let mut decoder = decoder();
        let packet = decoder.text(r#"0/custom,{"token":"t"}"#).unwrap().unwrap();
        assert!(matches!(packet.content, Content::Connect(Some(data)) if data.as_str() == r#"{"token":"t"}"#));
        assert_eq!(&*packet.namespace, "/custom");
        let packet = decoder.text("0/custom").unwrap().unwrap();
        assert!(matches!(packet.content, Content::Connect(None)));
        assert_eq!(&*packet.namespace, "/custom");
        assert!(matches!(decoder.text("1").unwrap().unwrap().content, Content::Disconnect));
        assert!(matches!(decoder.text("312[]").unwrap().unwrap().content, Content::Acknowledgement));
        let packet = decoder.text(r#"2/custom,12["a",1]"#).unwrap().unwrap();
        let Content::Event { number, data, attachments } = packet.content else { panic!() };
        assert_eq!((number, data.as_str(), attachments.len()), (Some(12), r#"["a",1]"#, 0));
    }

    #[test]
    fn waits_for_the_attachments_of_an_event() {
        let mut decoder = decoder();
        let text = r#"52-["a",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]"#;
        assert!(decoder.text(text).unwrap().is_none());
        assert!(decoder.binary(Bytes::from_static(&[1])).unwrap().is_none());
        let packet = decoder.binary(Bytes::from_static(&[2])).unwrap().unwrap();
        let Content::Event { attachments, .. } = packet.content else { panic!() };
        assert_eq!(attachments, [vec![1], vec![2]]);
        assert_eq!(decoder.binary(Bytes::from_static(&[3])).unwrap_err(), Close::PROTOCOL, "unannounced attachment");
        assert!(decoder.text(text).unwrap().is_none());
        assert_eq!(decoder.text("1").unwrap_err(), Close::PROTOCOL, "attachments must follow immediately");
        assert_eq!(decoder.text(r#"54-["a"]"#).unwrap_err(), Close::TOO_LARGE);
        assert!(decoder.text(r#"51-["a"]"#).unwrap().is_none());
        assert_eq!(decoder.binary(vec![0; 1_001].into()).unwrap_err(), Close::TOO_LARGE);
    }

    #[test]
    fn event_must_be_a_nonempty_array_that_starts_with_a_name() {
        let read = event(r#"["n\u00e9",{"a":[1]},"x"]"#).unwrap();
        assert_eq!(read.name, "né");
        assert_eq!(read.arguments.iter().map(|argument| argument.get()).collect::<Vec<_>>(), [r#"{"a":[1]}"#, "\"x\""]);
        assert_eq!(event("[7]").unwrap().name, "7");
        for wrong in ["", "{}", "[]", "[null]", "[[]]", "abc[]", "[\"a\"", "[\"a\"]x"] {
            assert_eq!(event(wrong).unwrap_err(), Close::PROTOCOL, "{wrong}");
        }
    }

    #[test]
    fn encodes_packets_as_specified() {
        assert_eq!(content(&connected("/", "x1")), r#"40{"sid":"x1"}"#);
        assert_eq!(content(&connected("/custom", "x1")), r#"40/custom,{"sid":"x1"}"#);
        assert_eq!(content(&refused("/random", "Invalid namespace")), r#"44/random,{"message":"Invalid namespace"}"#);
        assert_eq!(content(&disconnected("/")), "41");
        assert_eq!(content(&disconnected("/custom")), "41/custom,");
        let frames: Vec<Bytes> = event_frames("/", r#"["a",1]"#, Vec::new()).collect();
        assert_eq!((frames.len(), content(&frames[0])), (1, r#"42["a",1]"#));
        let attachment = || vec![Bytes::from_static(&[1, 2])];
        let frames: Vec<Bytes> = event_frames("/custom", r#"["a"]"#, attachment()).collect();
        assert_eq!(content(&frames[0]), r#"451-/custom,["a"]"#);
        assert_eq!(frames[1][..], [0x82, 2, 1, 2]);
        let frames: Vec<Bytes> = acknowledgement_frames("/", 15, "[]", attachment()).collect();
        assert_eq!(content(&frames[0]), "461-15[]");
        let frames: Vec<Bytes> = acknowledgement_frames("/custom", 13, r#"["bar"]"#, Vec::new()).collect();
        assert_eq!(content(&frames[0]), r#"43/custom,13["bar"]"#);
    }

    proptest! {
        #[test]
        fn never_panics_on_arbitrary_messages(messages in proptest::collection::vec((any::<bool>(), r#"[0-9/,{}\[\]"a-zé-]{0,20}"#), 0..6)) {
            let mut decoder = decoder();
            for (is_text, message) in messages {
                let read = if is_text { decoder.text(&message) } else { decoder.binary(message.into()) };
                if let Ok(Some(Packet { content: Content::Event { data, .. }, .. })) = read {
                    let _ = event(data.as_str());
                }
            }
        }

        #[test]
        fn decodes_what_it_encodes(
            namespace in "/[a-z]{0,6}",
            number in proptest::option::of(0_i64..1_000_000),
            payload in proptest::collection::vec("[a-z\"\\\\é]{0,6}", 0..3),
        ) {
            let data = serde_json::to_string(&[vec!["name".to_owned()], payload.clone()].concat()).unwrap();
            let frame = super::packet(b'2', &namespace, number, &data);
            let header = if frame.len() > 127 { 4 } else { 2 };
            let written = std::str::from_utf8(&frame[header..]).unwrap();
            let packet = decoder().text(&written[1..]).unwrap().unwrap();
            let Content::Event { number: read, data, .. } = packet.content else { panic!() };
            prop_assert_eq!((&*packet.namespace, read), (&*namespace, number));
            let event = event(data.as_str()).unwrap();
            let arguments: Vec<String> =
                event.arguments.iter().map(|argument| serde_json::from_str(argument.get()).unwrap()).collect();
            prop_assert_eq!(arguments, payload);
        }
    }
}
