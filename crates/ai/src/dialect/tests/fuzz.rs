//! Nothing that a caller or a provider sends can panic a dialect, wherever it is cut.

use bytes::Bytes;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{DOORS, KINDS, read, reader, stream_bytes, write};

/// JSON of the words that the dialects look for, in places where they don't belong.
fn any_json() -> impl Strategy<Value = Value> {
    let word = prop::sample::select(vec![
        "messages",
        "input",
        "role",
        "user",
        "assistant",
        "tool",
        "content",
        "type",
        "text",
        "tool_use",
        "tool_calls",
        "function",
        "arguments",
        "{}",
        "id",
        "index",
        "choices",
        "delta",
        "message",
        "finish_reason",
        "stop",
        "usage",
        "candidates",
        "parts",
        "functionCall",
        "args",
        "finishReason",
        "STOP",
        "usageMetadata",
        "content_block_start",
        "content_block",
        "content_block_delta",
        "message_start",
        "message_stop",
        "input_json_delta",
        "partial_json",
        "error",
        "model",
        "max_tokens",
        "tools",
        "tool_choice",
        "image_url",
        "data:a;base64,b",
        "summary",
        "reasoning",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        word.clone().prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 48, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec((word.clone(), inner), 0..6).prop_map(|fields| Value::Object(
                fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
            )),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn a_request_is_read_or_refused(mut body in any_json(), content in any_json()) {
        if let Value::Object(fields) = &mut body {
            fields.insert("messages".to_owned(), json!([{"role": "user", "content": content}, content]));
            fields.insert("max_tokens".to_owned(), 5.into());
        }
        for door in DOORS {
            match read(door, &body) {
                Ok(request) => KINDS.iter().for_each(|kind| _ = write(*kind, &request).is_ok()),
                Err(error) => prop_assert_eq!(error.status(door), 400),
            }
        }
    }

    #[test]
    fn an_answer_is_read_or_refused(body in any_json(), bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        for kind in KINDS {
            for body in [body.to_string().as_bytes(), bytes.as_slice()] {
                let mut events = Vec::new();
                let _ = (reader(kind).read_whole(body, &mut events), reader(kind).read(body, &mut events));
            }
        }
    }

    #[test]
    fn a_stream_ends_or_fails_wherever_it_is_cut(frames in prop::collection::vec(any_json(), 0..6), cut in 0_usize..2_000) {
        let wire: String = frames.iter().map(|frame| format!("data: {frame}\n\n")).collect();
        let mut at = cut.min(wire.len());
        while !wire.is_char_boundary(at) {
            at -= 1;
        }
        for kind in KINDS {
            for door in DOORS {
                let _ = stream_bytes(kind, door, vec![Bytes::copy_from_slice(&wire.as_bytes()[..at])]);
            }
        }
    }
}
