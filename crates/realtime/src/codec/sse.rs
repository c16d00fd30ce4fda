//! Server-Sent Events: `event:` is the type, `data:` the envelope, `id:` a cursor for resuming.
//!
//! The cursor must be short, the same for all readers of an event (so that its chunk is encoded
//! once), and valid on every instance. It therefore contains the event's time and position. A
//! client that resumes gets exactly the later events of the conversation that the cursor names. Of
//! its other conversations it gets the events since the cursor's time minus [`MARGIN`], because the
//! clocks of instances differ and commits take time. Clients drop duplicates by `conversation_id`
//! and `seq`.

use std::{fmt, time::Duration};

use appcore::{Timestamp, event::LogPosition};
use bytes::{BufMut, Bytes, BytesMut};

use super::FrameBody;

/// Tolerance for clock skew and commit duration.
pub const MARGIN: Duration = Duration::from_secs(10);

/// Comment line that keeps proxies from closing an idle stream.
pub const COMMENT: &[u8] = b":\n\n";

/// Resume position of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    pub moment: Timestamp,
    pub position: Option<LogPosition>,
}

impl Cursor {
    /// Returns the cursor of an event; `None` for ephemeral events, which leave the cursor
    /// unchanged.
    pub(super) fn from_envelope(envelope: &FrameBody<'_>) -> Option<Self> {
        envelope.position.map(|position| Self { moment: envelope.timestamp, position: Some(position) })
    }

    /// Parses a `Last-Event-ID`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(3, '.');
        let moment = Timestamp(parts.next()?.parse().ok()?);
        let position = match (parts.next(), parts.next()) {
            (Some(seq), Some(conversation)) => {
                Some(LogPosition { conversation_id: conversation.parse().ok()?, seq: seq.parse().ok()? })
            }
            (None, None) => None,
            _ => return None,
        };
        Some(Self { moment, position })
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.moment.millis())?;
        match self.position {
            Some(position) => write!(f, ".{}.{}", position.seq, position.conversation_id),
            None => Ok(()),
        }
    }
}

/// Encodes the reconnect delay, in milliseconds.
#[must_use]
pub fn encode_retry(milliseconds: u32) -> Bytes {
    format!("retry: {milliseconds}\n\n").into()
}

/// Encodes one chunk of the stream.
#[must_use]
pub fn encode(envelope: &FrameBody<'_>, cursor: Option<&Cursor>) -> Bytes {
    use std::fmt::Write as _;
    let mut out = BytesMut::with_capacity(envelope.payload.len() + envelope.overhead() + 90);
    // Writing into a growing buffer can't fail. Compact JSON has no line breaks, which would end
    // the `data:` line.
    let _ = writeln!(out, "event: {}", envelope.kind);
    if let Some(cursor) = cursor {
        let _ = writeln!(out, "id: {cursor}");
    }
    out.put_slice(b"data: ");
    envelope.write_json(&mut out);
    out.put_slice(b"\n\n");
    out.freeze()
}

/// Returns the event type of a chunk; `None` for comments and other lines.
#[must_use]
pub fn kind(chunk: &[u8]) -> Option<&[u8]> {
    chunk.strip_prefix(b"event: ")?.split(|byte| *byte == b'\n').next()
}

#[cfg(test)]
mod tests {
    use appcore::{ConversationId, EventId};
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;
    use crate::codec::Wire;

    fn envelope(position: Option<LogPosition>) -> FrameBody<'static> {
        FrameBody {
            id: EventId(Uuid::from_u128(7)),
            kind: "typing",
            timestamp: Timestamp(12),
            payload: b"{}",
            reply_to: None,
            position,
        }
    }

    #[test]
    fn only_durable_events_carry_the_cursor() {
        let position = LogPosition { conversation_id: ConversationId(Uuid::from_u128(9)), seq: 3 };
        assert_eq!(
            Wire::Sse.encode(&envelope(Some(position))),
            "event: typing\nid: 12.3.00000000-0000-0000-0000-000000000009\ndata: {\"id\":\"00000000-0000-0000-0000-000000000007\",\"type\":\"typing\",\"timestamp\":\"1970-01-01T00:00:00.012Z\",\"payload\":{}}\n\n"
        );
        assert!(Wire::Sse.encode(&envelope(None)).starts_with(b"event: typing\ndata: {"));
        assert_eq!(kind(&Wire::Sse.encode(&envelope(None))), Some(b"typing".as_slice()));
        assert_eq!((kind(COMMENT), kind(&encode_retry(5))), (None, None));
    }

    #[test]
    fn cursor_round_trips() {
        for cursor in [
            Cursor { moment: Timestamp(5), position: None },
            Cursor {
                moment: Timestamp(5),
                position: Some(LogPosition { conversation_id: ConversationId::new(), seq: 8 }),
            },
        ] {
            assert_eq!(Cursor::parse(&cursor.to_string()), Some(cursor));
        }
        for wrong in ["", "x", "1.", "1.2", "1.2.3", "1.x.00000000-0000-0000-0000-000000000009"] {
            assert_eq!(Cursor::parse(wrong), None, "{wrong:?}");
        }
    }

    proptest! {
        #[test]
        fn never_panics_on_arbitrary_headers(text in ".{0,80}") {
            let _ = Cursor::parse(&text);
        }
    }
}
