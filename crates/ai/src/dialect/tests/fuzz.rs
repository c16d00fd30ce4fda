//! No input of a caller or provider makes a format's code panic, wherever the input is split.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use proptest::prelude::*;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{
    API_STYLES, KINDS, anthropic, gemini, openai_chat,
    openai_responses::{
        self,
        passthrough::PassthroughTerms,
        provider_format::{ResponsesReader, encode},
    },
    read, reader, stream_bytes, write, writer,
};
use crate::{
    ApiStyle, Limits, Meter,
    canonical::Reader as _,
    preflight::inspect_body,
    tapped_stream::{Tap, TappedStream},
    translate::{AnswerParser, FormatConverter},
};

/// JSON made of the fields that the formats read, in arbitrary places.
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
        "response.output_item.done",
        "item",
        "function_call",
        "response.completed",
        "response",
        "output",
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
    fn parses_or_rejects_any_request(mut body in any_json(), content in any_json()) {
        if let Value::Object(fields) = &mut body {
            fields.insert("messages".to_owned(), json!([{"role": "user", "content": content}, content]));
            fields.insert("max_tokens".to_owned(), 5.into());
            fields.insert("contents".to_owned(), json!([{"role": "user", "parts": [content]}, content]));
        }
        for style in API_STYLES {
            match read(style, &body) {
                Ok(request) => {
                    KINDS.iter().for_each(|kind| _ = write(*kind, &request).is_ok());
                    let _ = encode(&request, "gpt-5");
                }
                Err(error) => prop_assert_eq!(error.status(style), 400),
            }
        }
    }

    #[test]
    fn parses_or_rejects_any_answer(body in any_json(), bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        for body in [body.to_string().as_bytes(), bytes.as_slice()] {
            let mut events = Vec::new();
            for kind in KINDS {
                let _ = (reader(kind).read_whole(body, &mut events), reader(kind).read(body, &mut events));
            }
            let mut reader = ResponsesReader::default();
            let _ = (reader.read(body, &mut events), reader.read_whole(body, &mut events));
        }
    }

    #[test]
    fn ends_or_fails_any_split_stream(frames in prop::collection::vec(any_json(), 0..6), cut in 0_usize..2_000) {
        let wire: String = frames.iter().map(|frame| format!("data: {frame}\n\n")).collect();
        let mut at = cut.min(wire.len());
        while !wire.is_char_boundary(at) {
            at -= 1;
        }
        for kind in KINDS {
            for style in API_STYLES {
                let _ = stream_bytes(kind, style, vec![Bytes::copy_from_slice(&wire.as_bytes()[..at])]);
            }
        }
    }

    #[test]
    fn ends_or_fails_any_provider_output(wire in any_wire(), cuts in prop::collection::vec(1_usize..90, 1..6)) {
        let mut cut = cuts.iter().cycle();
        let mut left = wire.as_slice();
        let mut chunks = Vec::new();
        while !left.is_empty() {
            let (chunk, rest) = left.split_at(left.len().min(*cut.next().unwrap()));
            chunks.push(Bytes::copy_from_slice(chunk));
            left = rest;
        }
        relayed(ApiStyle::Chat, openai_chat::passthrough::ChatTap::new(true, cuts.len() % 2 == 0), &chunks);
        relayed(ApiStyle::Messages, anthropic::passthrough::MessagesTap::default(), &chunks);
        relayed(ApiStyle::Responses, openai_responses::passthrough::ResponsesTap::default(), &chunks);
        relayed(ApiStyle::Gemini, gemini::passthrough::GeminiTap::default(), &chunks);
        for kind in KINDS {
            for style in API_STYLES {
                relayed(style, FormatConverter::new(AnswerParser::new(reader(kind), Arc::default()), writer(style)), &chunks);
            }
        }
    }

    #[test]
    fn rewrites_or_rejects_any_body(body in any_json(), bytes in prop::collection::vec(any::<u8>(), 0..200), cut in 0_usize..400) {
        let text = json!({ "model": body, "stream": true, "stream_options": body, "store": body, "messages": body }).to_string();
        let named = json!({ "model": "m", "stream": true, "stream_options": body, "store": body }).to_string();
        let cut = text.as_bytes()[..cut.min(text.len())].to_vec();
        for body in [text.into_bytes(), named.into_bytes(), cut, bytes].map(Bytes::from) {
            let rewritten = [
                openai_chat::passthrough::rewrite_request(&body, "up", true),
                openai_chat::passthrough::rewrite_request(&body, "up", false),
                anthropic::passthrough::rewrite_request(&body, "up", true),
                gemini::passthrough::rewrite_request(&body, "gemini-3-pro", &[]),
                openai_responses::passthrough::rewrite_request(&body, "gpt-5", PassthroughTerms { is_stored: true, ..PassthroughTerms::default() }),
                openai_responses::passthrough::rewrite_request(&body, "up", PassthroughTerms { hosted: true, ..PassthroughTerms::default() }),
            ];
            for rewritten in rewritten {
                match rewritten {
                    Ok(request) => prop_assert!(serde_json::from_slice::<Value>(&request.body).is_ok(), "{:?}", request.body),
                    Err(error) => prop_assert_eq!(error.status(ApiStyle::Chat), 400),
                }
            }
            for style in API_STYLES {
                if let Err(error) = inspect_body(style, &body) {
                    prop_assert_eq!(error.status(style), 400);
                }
            }
        }
    }
}

/// Arbitrary provider output: frames of known fields, event names, and random bytes between them.
fn any_wire() -> impl Strategy<Value = Vec<u8>> {
    let frame = prop_oneof![
        4 => any_json().prop_map(|frame| format!("data: {frame}\n\n").into_bytes()),
        1 => any_json().prop_map(|frame| format!("event: error\r\ndata: {frame}\r\n\r\n").into_bytes()),
        1 => any_json().prop_map(|frame| format!("{frame}\n\n").into_bytes()),
        1 => prop::sample::select(vec!["data: [DONE]\n\n", ": ping\n\n", "data:", "\r", "\n\n", "data: {\"choices\":[{\"delta\":{\"content\":\"a\"},\"finish_reason\":\"stop\"}]}\n\n", "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"}}\n\n"]).prop_map(|text| text.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..40),
    ];
    prop::collection::vec(frame, 0..8).prop_map(|frames| frames.concat())
}

/// Passes an answer through as the gateway does.
fn relayed<T: Tap<Out = Bytes>>(style: ApiStyle, tap: T, chunks: &[Bytes]) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        let body = stream::iter(chunks.to_vec()).map(Ok).boxed();
        let (meter, limits) = (Arc::new(Meter::default()), Arc::new(Limits::default()));
        let deadline = Instant::now() + limits.deadline;
        let mut relay = TappedStream::new(style, tap, body, Arc::clone(&meter), limits, deadline);
        if relay.first().await.is_ok() {
            let frames: Vec<Bytes> = relay.map(|frame| frame.unwrap()).collect().await;
            assert!(!frames.is_empty());
        }
        let _ = meter.usage();
    });
}
