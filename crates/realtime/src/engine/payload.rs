//! Long-polling payloads: bodies of requests and responses.
//!
//! Packets are separated by U+001E. Binary data is in base64 after a `b`. The queue of a client
//! contains WebSocket frames, because one encoding of an event serves all readers. A payload is
//! built from the contents of these frames.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::{BufMut, Bytes, BytesMut};

use super::packet::InvalidPacket;

const SEPARATOR: u8 = 0x1E;
const BINARY: u8 = b'b';

/// Iterator over the packets of a body.
#[derive(Debug)]
pub struct Payload {
    rest: Option<Bytes>,
}

/// Packet of a payload.
#[derive(Debug, PartialEq, Eq)]
pub enum PayloadPacket {
    /// Packet in text form. The bytes are valid UTF-8.
    Text(Bytes),
    Binary(Bytes),
}

impl Payload {
    /// Validates a body, which must be UTF-8 as a whole.
    pub fn parse(body: Bytes) -> Result<Self, InvalidPacket> {
        std::str::from_utf8(&body).map_err(|_| InvalidPacket)?;
        Ok(Self { rest: Some(body) })
    }
}

impl Iterator for Payload {
    type Item = Result<PayloadPacket, InvalidPacket>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut rest = self.rest.take()?;
        let piece = match memchr::memchr(SEPARATOR, &rest) {
            None => rest,
            Some(at) => {
                let piece = rest.split_to(at);
                self.rest = Some(rest.slice(1..));
                piece
            }
        };
        Some(match piece.first() {
            Some(&BINARY) => {
                STANDARD.decode(&piece[1..]).map(|bytes| PayloadPacket::Binary(bytes.into())).map_err(|_| InvalidPacket)
            }
            _ => Ok(PayloadPacket::Text(piece)),
        })
    }
}

/// Builds a payload from frames that the server has encoded. Control frames are skipped.
#[must_use]
pub fn join(frames: impl IntoIterator<Item = Bytes>) -> Bytes {
    let mut out = BytesMut::new();
    for frame in frames {
        let Some((is_text, content)) = content(&frame) else { continue };
        if !out.is_empty() {
            out.put_u8(SEPARATOR);
        }
        if is_text {
            out.put_slice(content);
        } else {
            out.put_u8(BINARY);
            out.put_slice(STANDARD.encode(content).as_bytes());
        }
    }
    out.freeze()
}

/// Returns the content of a frame that the server has encoded, and true if it is text.
fn content(frame: &[u8]) -> Option<(bool, &[u8])> {
    let (first, second) = (*frame.first()?, *frame.get(1)?);
    let header = match second {
        126 => 4,
        127 => 10,
        _ => 2,
    };
    let is_text = match first & 0x0F {
        1 => true,
        2 => false,
        _ => return None,
    };
    Some((is_text, frame.get(header..)?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::frame::{Kind, frame};

    fn pieces(body: &[u8]) -> Result<Vec<PayloadPacket>, InvalidPacket> {
        Payload::parse(Bytes::copy_from_slice(body))?.collect()
    }

    fn text(text: &'static str) -> PayloadPacket {
        PayloadPacket::Text(Bytes::from_static(text.as_bytes()))
    }

    #[test]
    fn splits_a_body_at_the_separators() {
        assert_eq!(pieces(b"4hello").unwrap(), [text("4hello")]);
        assert_eq!(pieces("4hello\u{1e}2\u{1e}4é".as_bytes()).unwrap(), [text("4hello"), text("2"), text("4é")]);
        let binary = PayloadPacket::Binary(Bytes::from_static(&[1, 2, 3, 4]));
        assert_eq!(pieces(b"4hello\x1ebAQIDBA==").unwrap(), [text("4hello"), binary]);
        assert_eq!(pieces(b"").unwrap(), [text("")]);
        assert_eq!(pieces(b"4a\x1e").unwrap(), [text("4a"), text("")]);
    }

    #[test]
    fn rejects_invalid_utf8_and_base64() {
        assert_eq!(pieces(b"4\xFF"), Err(InvalidPacket));
        assert_eq!(pieces(b"bAQI*"), Err(InvalidPacket));
        assert_eq!(pieces(b"bAQIDBA"), Err(InvalidPacket));
        assert_eq!(pieces("bé".as_bytes()), Err(InvalidPacket));
    }

    #[test]
    fn joins_frames_of_every_length_without_control_frames() {
        let (middle, long) = ("m".repeat(126), "l".repeat(70_000));
        let frames = [
            frame(Kind::Text, b"4hello"),
            frame(Kind::Ping, b""),
            frame(Kind::Binary, &[1, 2, 3, 4]),
            frame(Kind::Text, middle.as_bytes()),
            frame(Kind::Text, long.as_bytes()),
            frame(Kind::Close, &[3, 232]),
        ];
        assert_eq!(join(frames), format!("4hello\u{1e}bAQIDBA==\u{1e}{middle}\u{1e}{long}"));
        assert_eq!(join([]), "");
    }

    proptest! {
        #[test]
        fn never_panics_on_arbitrary_bodies(body in proptest::collection::vec(prop_oneof![any::<u8>(), Just(SEPARATOR), Just(BINARY)], 0..60)) {
            let _ = pieces(&body);
        }

        #[test]
        fn splits_what_it_joined(
            packets in proptest::collection::vec(prop_oneof![
                "[0-9][^\u{1e}]{0,40}".prop_map(|text| PayloadPacket::Text(text.into())),
                proptest::collection::vec(any::<u8>(), 0..200).prop_map(|bytes| PayloadPacket::Binary(bytes.into())),
            ], 1..10)
        ) {
            let frames = packets.iter().map(|packet| match packet {
                PayloadPacket::Text(text) => frame(Kind::Text, text),
                PayloadPacket::Binary(bytes) => frame(Kind::Binary, bytes),
            });
            prop_assert_eq!(pieces(&join(frames)).unwrap(), packets);
        }
    }
}
