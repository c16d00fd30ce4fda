//! Native WebSocket frames in MessagePack: the same envelope as a map.

use std::io::Cursor;

use appcore::{AppError, Code};
use bytes::{BufMut, Bytes};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{AnswerTo, FrameBody, Payload, Request};
use crate::{
    command,
    frame::{Kind, Writer},
};

/// Maximum nesting depth of maps and arrays.
const DEPTH: usize = 32;

/// Parses a client's binary frame.
#[must_use]
pub fn decode(bytes: &[u8]) -> Request {
    let Some(mut frame) = read(bytes) else { return malformed(None) };
    let id = match frame.remove("id") {
        Some(Value::String(id)) => Some(id),
        None | Some(Value::Null) => None,
        Some(_) => return malformed(None),
    };
    let Some(Value::String(kind)) = frame.remove("type") else { return malformed(id) };
    let payload = frame.remove("payload").map_or(Payload::Absent, Payload::Value);
    Request { answer_to: AnswerTo::frame(id.map(Into::into)), command: command::parse(&kind, payload) }
}

fn read(bytes: &[u8]) -> Option<serde_json::Map<String, Value>> {
    let mut deserializer = rmp_serde::Deserializer::new(Cursor::new(bytes));
    deserializer.set_max_depth(DEPTH);
    match Value::deserialize(&mut deserializer) {
        Ok(Value::Object(frame)) if deserializer.position() == bytes.len() as u64 => Some(frame),
        _ => None,
    }
}

fn malformed(id: Option<String>) -> Request {
    Request {
        answer_to: AnswerTo::frame(id.map(Into::into)),
        command: Err(AppError::refused(
            Code::MalformedFrame,
            "A frame must be a MessagePack map with id, type, timestamp and payload.",
        )),
    }
}

#[derive(Serialize)]
struct Frame<'a> {
    id: String,
    #[serde(rename = "type")]
    kind: &'a str,
    timestamp: String,
    payload: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    reply_to: Option<&'a str>,
}

/// Encodes a binary frame, including its WebSocket header.
#[must_use]
pub fn encode(envelope: &FrameBody<'_>) -> Bytes {
    // Payloads are always valid JSON. An invalid one would be sent as null.
    let payload = serde_json::from_slice(envelope.payload).unwrap_or(Value::Null);
    let frame = Frame {
        id: envelope.id.to_string(),
        kind: envelope.kind,
        timestamp: envelope.timestamp.to_string(),
        payload,
        reply_to: envelope.reply_to,
    };
    let mut writer = Writer::new(Kind::Binary, envelope.payload.len() + envelope.overhead());
    // Writing into a growing buffer can't fail.
    let _ = rmp_serde::encode::write_named(&mut writer.payload().writer(), &frame);
    writer.finish()
}

#[cfg(test)]
mod tests {
    use appcore::{EventId, Timestamp};
    use proptest::prelude::*;
    use serde_json::json;
    use uuid::Uuid;

    use super::*;
    use crate::command::Command;

    fn pack(value: &Value) -> Vec<u8> {
        rmp_serde::to_vec(value).unwrap()
    }

    #[test]
    fn encodes_an_event_as_a_map_in_a_binary_frame() {
        let envelope = FrameBody {
            id: EventId(Uuid::from_u128(7)),
            kind: "typing",
            timestamp: Timestamp(0),
            payload: b"{\"seq\":300}",
            reply_to: Some("q"),
            position: None,
        };
        let mut expected = vec![0x82, 116, 0x85, 0xA2];
        expected.extend(b"id\xd9\x2400000000-0000-0000-0000-000000000007");
        expected.extend(b"\xa4type\xa6typing\xa9timestamp\xb81970-01-01T00:00:00.000Z");
        expected.extend(b"\xa7payload\x81\xa3seq\xcd\x01\x2c\xa8reply_to\xa1q");
        assert_eq!(encode(&envelope)[..], expected);
    }

    #[test]
    fn parses_a_command() {
        let request = decode(&pack(&json!({"id": "1", "type": "ping", "timestamp": "", "payload": {}})));
        assert_eq!(request.answer_to, AnswerTo::Frame("1".into()));
        assert!(matches!(request.command, Ok(Command::Ping)));
    }

    #[test]
    fn rejects_malformed_frames() {
        for bytes in [
            vec![],
            vec![0xC1],
            pack(&json!([1])),
            pack(&json!({"id": 1, "type": "ping"})),
            pack(&json!({"id": "1"})),
            [pack(&json!({"type": "ping"})), vec![0]].concat(),
            vec![0xDF, 0xFF, 0xFF, 0xFF, 0xFF],
            vec![0xC6, 0xFF, 0xFF, 0xFF, 0xFF],
            vec![0x91; 60_000],
        ] {
            assert_eq!(decode(&bytes).command.unwrap_err().code(), Code::MalformedFrame, "{bytes:x?}");
        }
        assert_eq!(decode(&pack(&json!({"id": "1"}))).answer_to, AnswerTo::Frame("1".into()));
    }

    proptest! {
        #[test]
        fn never_panics_on_arbitrary_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode(&bytes);
        }
    }
}
