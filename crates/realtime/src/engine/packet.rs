//! Packets of Engine.IO 4. The first character of a text message is the packet type. A binary
//! message has no type and is always a message packet.

use bytes::{BufMut, Bytes, BytesMut};

use super::{Settings, Sid};
use crate::frame::{self, Kind, Writer};

/// Type of a message packet.
pub const MESSAGE: u8 = b'4';

/// Data of the ping with which a client probes a socket before an upgrade.
pub const PROBE: &str = "probe";

/// Engine.IO packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packet<'a> {
    /// The client closes the session.
    Close,
    /// Probe of a new transport before an upgrade.
    Ping(&'a str),
    Pong,
    Message(&'a str),
    /// The client switches to this transport.
    Upgrade,
    /// Packet without effect.
    Noop,
}

/// Packet that clients may not send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidPacket;

/// Decodes a packet in text form.
pub fn decode(text: &str) -> Result<Packet<'_>, InvalidPacket> {
    let (kind, data) = match text.as_bytes().first() {
        Some(kind) if kind.is_ascii() => (*kind, &text[1..]),
        _ => return Err(InvalidPacket),
    };
    match kind {
        b'1' => Ok(Packet::Close),
        b'2' => Ok(Packet::Ping(data)),
        b'3' => Ok(Packet::Pong),
        MESSAGE => Ok(Packet::Message(data)),
        b'5' => Ok(Packet::Upgrade),
        b'6' => Ok(Packet::Noop),
        _ => Err(InvalidPacket),
    }
}

/// Encodes the open packet of a session in text form.
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

/// Close packet, for transports that have no close frame.
pub const CLOSE: &str = "1";
pub const PING: &str = "2";
/// Packet that answers a poll when there is no data.
pub const NOOP: &str = "6";

/// Encodes a packet without data as a frame.
#[must_use]
pub fn encode_empty(packet: &'static str) -> Bytes {
    frame::frame(Kind::Text, packet.as_bytes())
}

/// Encodes the answer to a ping as a frame.
#[must_use]
pub fn pong(data: &str) -> Bytes {
    text(data.len() + 1, |out| {
        out.put_u8(b'3');
        out.put_slice(data.as_bytes());
    })
}

/// Encodes a message as a frame.
#[must_use]
pub fn message(data: &str) -> Bytes {
    text(data.len() + 1, |out| {
        out.put_u8(MESSAGE);
        out.put_slice(data.as_bytes());
    })
}

/// Writes a text frame. `expected` is the approximate length of its payload in bytes.
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
    fn open_packet_contains_the_ping_interval() {
        let (sid, settings) = (Sid::new(uuid::Uuid::nil(), 0), Settings::default());
        let settings = Settings { ping_interval: Duration::from_secs(25), max_payload: 65_536, ..settings };
        let expected = format!(
            r#"0{{"sid":"{sid}","upgrades":["websocket"],"pingInterval":25000,"pingTimeout":20000,"maxPayload":65536}}"#
        );
        assert_eq!(open(&sid, &settings, &["websocket"]), expected);
    }

    #[test]
    fn distinguishes_packets_by_their_first_character() {
        assert_eq!(decode("1"), Ok(Packet::Close));
        assert_eq!(decode("2probe"), Ok(Packet::Ping(PROBE)));
        assert_eq!(decode("3"), Ok(Packet::Pong));
        assert_eq!(decode("40"), Ok(Packet::Message("0")));
        assert_eq!(decode("5"), Ok(Packet::Upgrade));
        assert_eq!(decode("6"), Ok(Packet::Noop));
        for wrong in ["", "0", "7", "x", "é", "\u{1e}"] {
            assert_eq!(decode(wrong), Err(InvalidPacket), "{wrong:?}");
        }
    }

    proptest! {
        #[test]
        fn never_panics_on_arbitrary_text(text in ".{0,20}") {
            let _ = decode(&text);
        }
    }
}
