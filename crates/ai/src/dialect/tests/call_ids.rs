//! Ids of calls that a server repeats in later answers.

use std::{collections::HashSet, sync::Arc};

use bytes::Bytes;
use serde_json::{Value, json};

use super::{API_STYLES, anthropic, frame_data, gemini, head, openai_chat, openai_responses, read, reader, writer};
use crate::{
    ApiStyle, Meter, ProviderKind,
    dialect::{
        anthropic::passthrough::{MessageEvents, MessagesTap},
        openai_chat::passthrough::{ChatTap, repair_whole},
        openai_responses::passthrough::{ResponseEvents, ResponsesTap, replace_call_ids},
    },
    tapped_stream::Tap,
    translate::{AnswerParser, FormatConverter, read_whole},
    used_call_ids::UsedCallIds,
};

/// A conversation in which the id `call_0` has its result.
fn request(style: ApiStyle) -> Value {
    match style {
        ApiStyle::Chat => json!({"model": "m", "messages": [
            {"role": "user", "content": "x"},
            {"role": "assistant", "tool_calls": [{"id": "call_0", "type": "function", "function": {"name": "w", "arguments": "{}"}}]},
            {"role": "tool", "tool_call_id": "call_0", "content": "1"}]}),
        ApiStyle::Responses => json!({"model": "m", "input": [
            {"role": "user", "content": "x"},
            {"type": "function_call", "call_id": "call_0", "name": "w", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "call_0", "output": "1"}]}),
        ApiStyle::Messages => json!({"model": "m", "max_tokens": 9, "messages": [
            {"role": "user", "content": "x"},
            {"role": "assistant", "content": [{"type": "tool_use", "id": "call_0", "name": "w", "input": {}}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "call_0", "content": "1"}]}]}),
        ApiStyle::Gemini => json!({"model": "m", "contents": [
            {"role": "user", "parts": [{"text": "x"}]},
            {"role": "model", "parts": [{"functionCall": {"id": "call_0", "name": "w", "args": {}}}]},
            {"role": "user", "parts": [{"functionResponse": {"id": "call_0", "name": "w", "response": {"r": 1}}}]}]}),
    }
}

/// Ids of the calls in an answer or in the frames of a stream.
fn ids(style: ApiStyle, values: &[Value]) -> Vec<String> {
    fn collect(style: ApiStyle, value: &Value, found: &mut Vec<String>) {
        let id = match (style, value["type"].as_str()) {
            (ApiStyle::Chat, Some("function")) => &value["id"],
            (ApiStyle::Messages, Some("tool_use")) => &value["id"],
            (ApiStyle::Responses, Some("function_call")) => &value["call_id"],
            (ApiStyle::Gemini, _) => &value["functionCall"]["id"],
            _ => &Value::Null,
        };
        found.extend(id.as_str().map(str::to_owned));
        match value {
            Value::Array(items) => items.iter().for_each(|item| collect(style, item, found)),
            Value::Object(fields) => fields.values().for_each(|value| collect(style, value, found)),
            _ => {}
        }
    }
    let mut found = Vec::new();
    values.iter().for_each(|value| collect(style, value, &mut found));
    found
}

/// Asserts that an answer with two calls has two new ids, each of which may be repeated in later
/// frames.
#[track_caller]
fn assert_new(style: ApiStyle, values: &[Value]) {
    let found = ids(style, values);
    let different: HashSet<&String> = found.iter().collect();
    assert!(different.len() == 2 && found.len().is_multiple_of(2), "{found:?} in {values:?}");
    assert!(!different.iter().any(|id| id.is_empty() || *id == "call_0"), "{found:?}");
}

/// Answers of servers that give each of two calls this id: whole, and as frames.
fn answers(kind: ProviderKind, id: &str) -> (Value, Vec<Value>) {
    match kind.name() {
        "anthropic" => {
            let call = json!({"type": "tool_use", "id": id, "name": "w", "input": {}});
            let start = |at: u64| json!({"type": "content_block_start", "index": at, "content_block": call});
            let stop = |at: u64| json!({"type": "content_block_stop", "index": at});
            let usage = json!({"input_tokens": 3, "output_tokens": 2});
            let message = json!({"type": "message", "role": "assistant", "content": [call, call], "stop_reason": "tool_use", "usage": usage});
            let first = json!({"type": "message_start", "message": {"content": [], "usage": usage}});
            let end =
                json!({"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 2}});
            (message, vec![first, start(0), stop(0), start(1), stop(1), end, json!({"type": "message_stop"})])
        }
        "gemini" => {
            let call = json!({"functionCall": {"id": id, "name": "w", "args": {}}});
            let answer =
                json!({"candidates": [{"content": {"role": "model", "parts": [call, call]}, "finishReason": "STOP"}]});
            (answer.clone(), vec![answer])
        }
        _ => {
            let call = |at: u64| json!({"index": at, "id": id, "type": "function", "function": {"name": "w", "arguments": "{}"}});
            let calls = json!([call(0), call(1)]);
            let whole = json!({"choices": [{"index": 0, "message": {"role": "assistant", "content": null, "tool_calls": calls}, "finish_reason": "tool_calls"}]});
            let chunk =
                |at: u64| json!({"choices": [{"index": 0, "delta": {"role": "assistant", "tool_calls": [call(at)]}}]});
            let end = json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]});
            (whole, vec![chunk(0), chunk(1), end])
        }
    }
}

fn wire(frames: &[Value]) -> Bytes {
    let wire: String = frames.iter().map(|frame| format!("data: {frame}\n\n")).collect();
    wire.into()
}

#[test]
fn translated_answers_repeat_no_call_id() {
    for kind in ProviderKind::all() {
        for style in API_STYLES {
            for id in ["call_0", ""] {
                let question = read(style, &request(style)).unwrap();
                let parser = || AnswerParser::new(reader(kind), Arc::default()).with_tools(&question);
                let (body, frames) = answers(kind, id);
                let (answer, usage) = read_whole(body.to_string().as_bytes(), parser(), &Meter::default()).unwrap();
                let options = gemini::client_format::AnswerOptions { shows_thoughts: false, is_wrapped: false };
                let whole = match style {
                    ApiStyle::Chat => openai_chat::client_format::whole(&head(), &answer, &usage),
                    ApiStyle::Responses => {
                        openai_responses::answer::whole(&head(), &json!({"tools": []}), &answer, &usage)
                    }
                    ApiStyle::Messages => anthropic::client_format::whole(&head(), &answer, &usage, false),
                    ApiStyle::Gemini => gemini::client_format::whole(&head(), options, &answer, &usage),
                };
                assert_new(style, &[whole]);
                let mut tap = FormatConverter::new(parser(), writer(style));
                let mut out = tap.pass(wire(&frames), &Meter::default()).unwrap().unwrap_or_default().to_vec();
                if !tap.is_done() {
                    out.extend(tap.finish(Bytes::new(), &Meter::default()).unwrap().unwrap_or_default());
                }
                assert_new(style, &frame_data(std::str::from_utf8(&out).unwrap()));
            }
        }
    }
}

#[test]
fn passed_chat_completions_repeat_no_call_id() {
    for id in ["call_0", ""] {
        let (body, frames) = answers(ProviderKind::OPENAI, id);
        let used = || UsedCallIds::of_body(request(ApiStyle::Chat).to_string().as_bytes());
        let whole = repair_whole(body.to_string().into(), used());
        assert_new(ApiStyle::Chat, &[serde_json::from_slice(&whole).unwrap()]);
        let mut tap = ChatTap::new(false, false).with_used_ids(used());
        let out = tap.pass(wire(&frames), &Meter::default()).unwrap().unwrap();
        assert_new(ApiStyle::Chat, &frame_data(std::str::from_utf8(&out).unwrap()));
    }
}

#[test]
fn passed_messages_repeat_no_call_id() {
    for id in ["call_0", ""] {
        let (body, frames) = answers(ProviderKind::ANTHROPIC, id);
        let used = || UsedCallIds::of_body(request(ApiStyle::Messages).to_string().as_bytes());
        let whole = used().replace_in_message(body.to_string().into());
        assert_new(ApiStyle::Messages, &[serde_json::from_slice(&whole).unwrap()]);
        let mut tap = MessagesTap::with_reader(MessageEvents::new(false, used()));
        let mut out = Vec::new();
        for frame in &frames {
            out.extend(tap.pass(wire(std::slice::from_ref(frame)), &Meter::default()).unwrap().unwrap());
        }
        let out = String::from_utf8(out).unwrap();
        assert_new(ApiStyle::Messages, &frame_data(&out));
        assert_eq!((out.matches("event: ").count(), frame_data(&out).len()), (frames.len(), frames.len()), "{out}");
    }
}

#[test]
fn passed_responses_repeat_no_call_id() {
    for id in ["call_0", ""] {
        let call = |at: u64| json!({"type": "function_call", "id": format!("fc_{at}"), "call_id": id, "name": "w", "arguments": "{}"});
        let response = json!({"id": "resp_1", "status": "completed", "output": [call(0), call(1)]});
        let used = || UsedCallIds::of_body(request(ApiStyle::Responses).to_string().as_bytes());
        let whole = replace_call_ids(response.to_string().into(), used());
        assert_new(ApiStyle::Responses, &[serde_json::from_slice(&whole).unwrap()]);
        let item = |kind: &str, at: u64| json!({"type": format!("response.output_item.{kind}"), "output_index": at, "item": call(at)});
        let end = json!({"type": "response.completed", "response": response});
        let frames = [item("added", 0), item("done", 0), item("added", 1), item("done", 1), end];
        let mut tap = ResponsesTap::with_reader(ResponseEvents::new(None, used()));
        let mut out = Vec::new();
        for frame in &frames {
            out.extend(tap.pass(wire(std::slice::from_ref(frame)), &Meter::default()).unwrap().unwrap());
        }
        let found = frame_data(&String::from_utf8(out).unwrap());
        assert_new(ApiStyle::Responses, &found);
        let of_items: Vec<&Value> = found.iter().map(|frame| &frame["item"]["call_id"]).collect();
        assert!(of_items[0] == of_items[1] && of_items[2] == of_items[3], "{found:?}");
        let last = &found[4]["response"]["output"];
        assert!(last[0]["call_id"] == *of_items[0] && last[1]["call_id"] == *of_items[2], "{found:?}");
    }
}

#[test]
fn unused_ids_pass_unchanged() {
    let (body, frames) = answers(ProviderKind::ANTHROPIC, "toolu_1");
    let mut single = body;
    single["content"].as_array_mut().unwrap().pop();
    let body = Bytes::from(single.to_string());
    assert_eq!(UsedCallIds::default().replace_in_message(body.clone()).as_ptr(), body.as_ptr());
    let block = wire(&frames[..2]);
    let mut tap = MessagesTap::with_reader(MessageEvents::new(false, UsedCallIds::default()));
    let passed = tap.pass(block, &Meter::default()).unwrap().unwrap();
    assert_eq!(frame_data(std::str::from_utf8(&passed).unwrap()), frames[..2]);
}
