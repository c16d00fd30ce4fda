//! The packets of Engine.IO 4: the first character of a text says what it is. Binary data has no such character; it is a message.

use bytes::{BufMut, Bytes, BytesMut};

use super::{Settings, Sid};
use crate::frame::{self, Kind, Writer};

/// The type of a packet that carries a message.
pub const MESSAGE: u8 = b'4';

/// What a client asks on a socket that it wants to go over to.
pub const PROBE: &str = "probe";

/// What an Engine.IO packet is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packet<'a> {
    /// The client leaves.
    Close,
    /// Only a client that is about to go over to another transport sends it.
    Ping(&'a str),
    Pong,
    Message(&'a str),
    /// The client goes over to this transport.
    Upgrade,
    /// A packet without meaning.
    Noop,
}

/// What is no packet that a client may send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wrong;

/// Reads a packet in its text form.
pub fn decode(text: &str) -> Result<Packet<'_>, Wrong> {
    let (kind, data) = match text.as_bytes().first() {
        Some(kind) if kind.is_ascii() => (*kind, &text[1..]),
        _ => return Err(Wrong),
    };
    match kind {
        b'1' => Ok(Packet::Close),
        b'2' => Ok(Packet::Ping(data)),
        b'3' => Ok(Packet::Pong),
        MESSAGE => Ok(Packet::Message(data)),
        b'5' => Ok(Packet::Upgrade),
        b'6' => Ok(Packet::Noop),
        _ => Err(Wrong),
    }
}

/// The first packet of a session, in its text form.
#[must_use]
pub fn open(sid: &Sid, settings: &Settings, upgrades: &[&str]) -> String {
    let data = serde_json::json!({
        "sid": sid.to_string(),
        "upgrades": upgrades,
        "pingInterval": milliseconds(settings.ping_interval),
        "pingTimeout": milliseconds(settings.ping_timeout),
        "maxPayload": settings.max_payload,
    });
    format!("0{data}")
}

fn milliseconds(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// What ends a session over a transport that has no goodbye of its own.
pub const CLOSE: &str = "1";
pub const PING: &str = "2";
/// What releases a poll that has nothing to bring.
pub const NOOP: &str = "6";

/// A packet without data, as a frame.
#[must_use]
pub fn bare(packet: &'static str) -> Bytes {
    frame::frame(Kind::Text, packet.as_bytes())
}

/// The answer to a ping.
#[must_use]
pub fn pong(data: &str) -> Bytes {
    text(data.len() + 1, |out| {
        out.put_u8(b'3');
        out.put_slice(data.as_bytes());
    })
}

/// A message, as a frame.
#[must_use]
pub fn message(data: &str) -> Bytes {
    text(data.len() + 1, |out| {
        out.put_u8(MESSAGE);
        out.put_slice(data.as_bytes());
    })
}

/// A text frame of about this length.
pub(crate) fn text(expected: usize, write: impl FnOnce(&mut BytesMut)) -> Bytes {
    let mut writer = Writer::new(Kind::Text, expected);
    write(writer.payload());
    writer.finish()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_handshake_says_how_often_the_server_pings() {
        let (sid, settings) = (Sid::new(uuid::Uuid::nil(), 0), Settings::default());
        let settings = Settings { ping_interval: Duration::from_secs(25), max_payload: 65_536, ..settings };
        let expected = format!(
            r#"0{{"sid":"{sid}","upgrades":["websocket"],"pingInterval":25000,"pingTimeout":20000,"maxPayload":65536}}"#
        );
        assert_eq!(open(&sid, &settings, &["websocket"]), expected);
    }

    #[test]
    fn packets_are_told_apart_by_their_first_character() {
        assert_eq!(decode("1"), Ok(Packet::Close));
        assert_eq!(decode("2probe"), Ok(Packet::Ping(PROBE)));
        assert_eq!(decode("3"), Ok(Packet::Pong));
        assert_eq!(decode("40"), Ok(Packet::Message("0")));
        assert_eq!(decode("5"), Ok(Packet::Upgrade));
        assert_eq!(decode("6"), Ok(Packet::Noop));
        for wrong in ["", "0", "7", "x", "é", "\u{1e}"] {
            assert_eq!(decode(wrong), Err(Wrong), "{wrong:?}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in ".{0,20}") {
            let _ = decode(&text);
        }
    }
}
