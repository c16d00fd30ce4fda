//! Engine.IO 4 over its WebSocket transport: one packet per WebSocket message, its type the first character.

use std::time::Duration;

use appcore::ConnectionId;
use bytes::{BufMut, Bytes};

use crate::{close::Close, codec::text_frame, frame};

/// The type of a packet that carries a Socket.IO message.
pub(super) const MESSAGE: u8 = b'4';

/// How long after a ping the client waits for the next one before it gives the server up, beyond the interval.
const PING_TIMEOUT: Duration = Duration::from_secs(20);

/// What an Engine.IO packet is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packet<'a> {
    Close,
    /// Only a transport that is about to be upgraded sends it.
    Ping(&'a str),
    Pong,
    Message(&'a str),
    /// A packet without meaning.
    Noop,
}

/// Why a handshake is refused, as Engine.IO's clients read it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Only the WebSocket transport is spoken.
    Transport,
    /// Every connection is opened afresh: no transport is ever upgraded.
    UnknownSid,
    /// Another version of the protocol.
    Version,
}

impl Refused {
    #[must_use]
    pub const fn body(self) -> &'static str {
        match self {
            Self::Transport => r#"{"code":0,"message":"Transport unknown"}"#,
            Self::UnknownSid => r#"{"code":1,"message":"Session ID unknown"}"#,
            Self::Version => r#"{"code":5,"message":"Unsupported protocol version"}"#,
        }
    }
}

/// Reads a text frame. An error ends the connection.
pub fn decode(text: &str) -> Result<Packet<'_>, Close> {
    let (kind, data) = match text.as_bytes().first() {
        Some(kind) if kind.is_ascii() => (*kind, &text[1..]),
        _ => return Err(Close::PROTOCOL),
    };
    match kind {
        b'1' => Ok(Packet::Close),
        b'2' => Ok(Packet::Ping(data)),
        b'3' => Ok(Packet::Pong),
        MESSAGE => Ok(Packet::Message(data)),
        b'6' => Ok(Packet::Noop),
        _ => Err(Close::PROTOCOL),
    }
}

/// The first packet on every connection.
#[must_use]
pub fn encode_open(sid: ConnectionId, heartbeat: Duration) -> Bytes {
    let data = serde_json::json!({
        "sid": sid,
        "upgrades": [],
        "pingInterval": milliseconds(heartbeat),
        "pingTimeout": milliseconds(PING_TIMEOUT),
        "maxPayload": frame::MAX_MESSAGE,
    })
    .to_string();
    text_frame(data.len() + 1, |out| {
        out.put_u8(b'0');
        out.put_slice(data.as_bytes());
    })
}

#[must_use]
pub fn encode_pong(data: &str) -> Bytes {
    text_frame(data.len() + 1, |out| {
        out.put_u8(b'3');
        out.put_slice(data.as_bytes());
    })
}

/// Ends a session over a transport that has no goodbye of its own.
#[must_use]
pub fn encode_close() -> Bytes {
    text_frame(1, |out| out.put_u8(b'1'))
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_handshake_says_how_often_the_server_pings() {
        let sid = ConnectionId::new();
        let frame = encode_open(sid, Duration::from_secs(25));
        let expected =
            format!(r#"0{{"maxPayload":65536,"pingInterval":25000,"pingTimeout":20000,"sid":"{sid}","upgrades":[]}}"#);
        assert_eq!(&frame[frame.len() - expected.len()..], expected.as_bytes());
    }

    #[test]
    fn packets_are_told_apart_by_their_first_character() {
        assert_eq!(decode("1"), Ok(Packet::Close));
        assert_eq!(decode("2probe"), Ok(Packet::Ping("probe")));
        assert_eq!(decode("3"), Ok(Packet::Pong));
        assert_eq!(decode("40"), Ok(Packet::Message("0")));
        assert_eq!(decode("6"), Ok(Packet::Noop));
        for wrong in ["", "0", "5", "7", "x", "é"] {
            assert_eq!(decode(wrong), Err(Close::PROTOCOL), "{wrong:?}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in ".{0,20}") {
            let _ = decode(&text);
        }
    }
}
