//! Server-Sent Events: `event:` is the type, `data:` the envelope, `id:` a cursor to resume from.
//!
//! The cursor must be short, the same for every reader of an event (so that its chunk is made once), and mean something on
//! every instance. So it says when the event happened, and which one it was: a reader that comes back gets, of that
//! conversation, exactly what came after, and of its others what happened since that moment less [`MARGIN`], because the clocks
//! of instances differ and a commit takes its time. What it has seen already it knows by `conversation_id` and `seq`.

use std::{fmt, time::Duration};

use appcore::{Timestamp, event::Position};
use bytes::{BufMut, Bytes, BytesMut};

use super::FrameBody;

/// How far clocks and commits may be apart.
pub const MARGIN: Duration = Duration::from_secs(10);

/// The comment that keeps proxies from closing a quiet stream.
pub const COMMENT: &[u8] = b":\n\n";

/// Up to where a reader has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    pub moment: Timestamp,
    pub position: Option<Position>,
}

impl Cursor {
    /// Passing events leave the cursor where it was.
    pub(super) fn of(envelope: &FrameBody<'_>) -> Option<Self> {
        envelope.position.map(|position| Self { moment: envelope.timestamp, position: Some(position) })
    }

    /// Reads a `Last-Event-ID`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(3, '.');
        let moment = Timestamp(parts.next()?.parse().ok()?);
        let position = match (parts.next(), parts.next()) {
            (Some(seq), Some(conversation)) => {
                Some(Position { conversation_id: conversation.parse().ok()?, seq: seq.parse().ok()? })
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

/// Tells the reader how many milliseconds to wait before it comes back.
#[must_use]
pub fn encode_retry(milliseconds: u32) -> Bytes {
    format!("retry: {milliseconds}\n\n").into()
}

/// One chunk of the stream.
#[must_use]
pub fn encode(envelope: &FrameBody<'_>, cursor: Option<&Cursor>) -> Bytes {
    use std::fmt::Write as _;
    let mut out = BytesMut::with_capacity(envelope.payload.len() + envelope.overhead() + 90);
    // Writing into a growing buffer does not fail. Compact JSON has no line breaks.
    let _ = writeln!(out, "event: {}", envelope.kind);
    if let Some(cursor) = cursor {
        let _ = writeln!(out, "id: {cursor}");
    }
    out.put_slice(b"data: ");
    envelope.write_json(&mut out);
    out.put_slice(b"\n\n");
    out.freeze()
}

/// The type of a chunk's event; none where it is a comment or the like.
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

    fn envelope(position: Option<Position>) -> FrameBody<'static> {
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
    fn a_durable_event_carries_the_cursor_and_a_passing_one_does_not() {
        let position = Position { conversation_id: ConversationId(Uuid::from_u128(9)), seq: 3 };
        assert_eq!(
            Wire::Sse.encode(&envelope(Some(position))),
            "event: typing\nid: 12.3.00000000-0000-0000-0000-000000000009\ndata: {\"id\":\"00000000-0000-0000-0000-000000000007\",\"type\":\"typing\",\"timestamp\":\"1970-01-01T00:00:00.012Z\",\"payload\":{}}\n\n"
        );
        assert!(Wire::Sse.encode(&envelope(None)).starts_with(b"event: typing\ndata: {"));
        assert_eq!(kind(&Wire::Sse.encode(&envelope(None))), Some(b"typing".as_slice()));
        assert_eq!((kind(COMMENT), kind(&encode_retry(5))), (None, None));
    }

    #[test]
    fn a_cursor_reads_back() {
        for cursor in [
            Cursor { moment: Timestamp(5), position: None },
            Cursor {
                moment: Timestamp(5),
                position: Some(Position { conversation_id: ConversationId::new(), seq: 8 }),
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
        fn no_header_makes_it_panic(text in ".{0,80}") {
            let _ = Cursor::parse(&text);
        }
    }
}
