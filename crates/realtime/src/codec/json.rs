//! Native WebSocket frames in JSON.

use std::borrow::Cow;

use appcore::{AppError, Code};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{AnswerTo, FrameBody, Payload, Request, text_frame};
use crate::command;

#[derive(Deserialize)]
struct Frame<'a> {
    #[serde(borrow, default)]
    id: Option<Cow<'a, str>>,
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(borrow, default)]
    payload: Option<&'a RawValue>,
}

/// Part of a frame that is otherwise invalid: its id, so that the error can be correlated.
#[derive(Deserialize)]
struct Named<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
}

/// Parses a client's text frame.
#[must_use]
pub fn decode(text: &str) -> Request {
    match serde_json::from_str::<Frame<'_>>(text) {
        Ok(frame) => Request {
            answer_to: AnswerTo::frame(frame.id),
            command: command::parse(&frame.kind, frame.payload.map_or(Payload::Absent, Payload::Text)),
        },
        Err(_) => Request {
            answer_to: AnswerTo::frame(serde_json::from_str::<Named<'_>>(text).ok().map(|named| named.id)),
            command: Err(AppError::refused(
                Code::MalformedFrame,
                "A frame must be a JSON object with id, type, timestamp and payload.",
            )),
        },
    }
}

/// Encodes a text frame, including its WebSocket header.
#[must_use]
pub fn encode(envelope: &FrameBody<'_>) -> Bytes {
    text_frame(envelope.payload.len() + envelope.overhead(), |out| envelope.write_json(out))
}

#[cfg(test)]
mod tests {
    use appcore::{EventId, Timestamp};
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;
    use crate::command::Command;

    #[test]
    fn encodes_an_event_as_compact_json_in_a_text_frame() {
        let envelope = FrameBody {
            id: EventId(Uuid::from_u128(7)),
            kind: "typing",
            timestamp: Timestamp(0),
            payload: b"{\"active\":true}",
            reply_to: None,
            position: None,
        };
        let json = br#"{"id":"00000000-0000-0000-0000-000000000007","type":"typing","timestamp":"1970-01-01T00:00:00.000Z","payload":{"active":true}}"#;
        let frame = encode(&envelope);
        assert_eq!(frame[..4], [0x81, 126, 0, json.len() as u8]);
        assert_eq!(&frame[4..], json);
    }

    #[test]
    fn escapes_the_request_id_in_answers() {
        let envelope = FrameBody::control("pong", Timestamp(0), b"{}", Some("a\"b\\é"));
        let frame = encode(&envelope);
        let value: serde_json::Value = serde_json::from_slice(&frame[4..]).unwrap();
        assert_eq!(value["reply_to"], "a\"b\\é");
    }

    #[test]
    fn parses_commands_with_fields_in_any_order() {
        let request =
            decode(r#"{"payload":{},"timestamp":"2026-01-01T00:00:00.000Z","type":"ping","id":"1","more":[]}"#);
        assert_eq!(request.answer_to, AnswerTo::Frame("1".into()));
        assert!(matches!(request.command, Ok(Command::Ping)));
        assert!(matches!(decode(r#"{"type":"ping"}"#).command, Ok(Command::Ping)));
    }

    #[test]
    fn reports_errors_to_the_frame_whose_id_can_be_read() {
        for (text, code) in [
            ("", Code::MalformedFrame),
            ("null", Code::MalformedFrame),
            ("[]", Code::MalformedFrame),
            ("{}", Code::MalformedFrame),
            (r#"{"id":1,"type":"ping"}"#, Code::MalformedFrame),
            (r#"{"id":"1","type":7}"#, Code::MalformedFrame),
            (r#"{"id":"1","type":"ping","payload":{}"#, Code::MalformedFrame),
            (r#"{"id":"1","type":"dance"}"#, Code::UnknownType),
            (r#"{"id":"1","type":"typing","payload":[]}"#, Code::Invalid),
        ] {
            let request = decode(text);
            assert_eq!(request.command.unwrap_err().code(), code, "{text}");
        }
        assert_eq!(decode(r#"{"id":"1","type":7}"#).answer_to, AnswerTo::Frame("1".into()));
        assert_eq!(decode(&format!(r#"{{"id":"{}","type":"ping"}}"#, "x".repeat(200))).answer_to, AnswerTo::Nobody);
    }

    proptest! {
        #[test]
        fn never_panics_on_arbitrary_text(text in ".{0,200}") {
            let _ = decode(&text);
        }

        #[test]
        fn never_panics_on_arbitrary_json(kind in "[a-z.]{0,12}", payload in r#"[\[\]{}",:0-9a-z]{0,60}"#) {
            let _ = decode(&format!(r#"{{"id":"1","type":"{kind}","payload":{payload}}}"#));
        }
    }

    #[test]
    fn rejects_deep_nesting_without_recursion() {
        let deep = format!(
            r#"{{"id":"1","type":"sync","payload":{{"cursors":{}1{}}}}}"#,
            "[".repeat(20_000),
            "]".repeat(20_000)
        );
        assert!(decode(&deep).command.is_err());
    }
}
