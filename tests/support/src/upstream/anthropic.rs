//! Format of Anthropic's messages API.

use serde_json::{Value, json};

use super::Asked;

pub fn fixed(asked: &Asked) -> Option<Value> {
    asked.path.contains("/messages/count_tokens").then(|| json!({ "input_tokens": 7 }))
}

pub fn whole(content: Value, stop_reason: &str) -> Value {
    json!({
        "id": "msg_1", "type": "message", "role": "assistant", "model": "small", "content": content,
        "stop_reason": stop_reason, "stop_sequence": null, "usage": { "input_tokens": 7, "output_tokens": 3 },
    })
}

pub fn call(at: usize, (name, arguments): &(String, Value)) -> Value {
    json!({ "type": "tool_use", "id": format!("toolu_{at}"), "name": name, "input": arguments })
}

/// Encodes a server-sent event, which is named by its type.
pub fn event(value: &Value) -> String {
    format!("event: {}\ndata: {value}\n\n", value["type"].as_str().unwrap_or_default())
}

fn start() -> String {
    event(&json!({ "type": "message_start", "message": {
        "id": "msg_1", "type": "message", "role": "assistant", "model": "small", "content": [], "stop_reason": null,
        "stop_sequence": null, "usage": { "input_tokens": 7, "output_tokens": 1 },
    } }))
}

pub fn head() -> String {
    let block = json!({ "type": "content_block_start", "index": 0, "content_block": { "type": "text", "text": "" } });
    start() + &event(&block)
}

pub fn word(word: &str) -> String {
    event(&json!({ "type": "content_block_delta", "index": 0, "delta": { "type": "text_delta", "text": word } }))
}

pub fn tail(stop_reason: &str, words: usize) -> Vec<String> {
    vec![event(&json!({ "type": "content_block_stop", "index": 0 })), end(stop_reason, words)]
}

fn end(stop_reason: &str, words: usize) -> String {
    let delta = json!({ "stop_reason": stop_reason, "stop_sequence": null });
    event(&json!({ "type": "message_delta", "delta": delta, "usage": { "output_tokens": words } }))
        + &event(&json!({ "type": "message_stop" }))
}

pub fn calls(calls: &[(String, Value)]) -> Vec<String> {
    let mut frames = vec![start()];
    for (at, one) in calls.iter().enumerate() {
        let mut block = call(at, one);
        block["input"] = json!({});
        frames.push(event(&json!({ "type": "content_block_start", "index": at, "content_block": block })));
        let arguments = one.1.to_string();
        let (left, right) = arguments.split_at(arguments.len() / 2);
        for part in [left, right] {
            let delta = json!({ "type": "input_json_delta", "partial_json": part });
            frames.push(event(&json!({ "type": "content_block_delta", "index": at, "delta": delta })));
        }
        frames.push(event(&json!({ "type": "content_block_stop", "index": at })));
    }
    frames.push(end("tool_use", calls.len()));
    frames
}
