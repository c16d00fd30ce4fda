//! Format of OpenAI's chat completions.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::{Asked, dialect::data};

const VECTOR: [f64; 3] = [0.5, -1.0, 2.0];

pub fn fixed(asked: &Asked) -> Option<Value> {
    if asked.path.ends_with("/embeddings") {
        let count = match &asked.body["input"] {
            Value::Array(items) if items.iter().all(|item| !item.is_number()) => items.len(),
            _ => 1,
        };
        let is_base64 = asked.body["encoding_format"] == "base64";
        if asked.body["model"].as_str().is_some_and(|model| model.starts_with("embed")) {
            return Some(by_words(&asked.body));
        }
        // The same three numbers as 32-bit floats, in little-endian order.
        let vector = if is_base64 { json!("AAAAPwAAgL8AAABA") } else { json!(VECTOR) };
        let data: Vec<Value> =
            (0..count).map(|index| json!({ "object": "embedding", "index": index, "embedding": vector })).collect();
        return Some(json!({
            "object": "list", "data": data, "model": "small", "usage": { "prompt_tokens": 7, "total_tokens": 7 },
        }));
    }
    if asked.path.ends_with("/audio/translations") {
        return Some(json!({ "text": "What it means." }));
    }
    asked.path.ends_with("/audio/transcriptions").then(|| json!({ "text": "What was said." }))
}

/// Returns vectors by the words of a text: texts that have words in common are close to each other.
fn by_words(body: &Value) -> Value {
    let texts: Vec<&str> = match &body["input"] {
        Value::Array(items) => items.iter().filter_map(Value::as_str).collect(),
        one => one.as_str().into_iter().collect(),
    };
    let vector = |text: &str| {
        let mut vector = [0.001_f32; 256];
        for word in text.to_lowercase().split(|char: char| !char.is_alphanumeric()).filter(|word| word.len() > 2) {
            let place = word.bytes().fold(7_usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(usize::from(byte)));
            vector[place % 256] += 1.0;
        }
        let bytes: Vec<u8> = vector.iter().flat_map(|number| number.to_le_bytes()).collect();
        STANDARD.encode(bytes)
    };
    let data: Vec<Value> = texts
        .iter()
        .enumerate()
        .map(|(index, text)| json!({ "object": "embedding", "index": index, "embedding": vector(text) }))
        .collect();
    json!({ "object": "list", "data": data, "model": body["model"], "usage": { "prompt_tokens": 7, "total_tokens": 7 } })
}

pub fn whole(message: Value, finish_reason: &str) -> Value {
    json!({
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "small",
        "choices": [{ "index": 0, "message": message, "finish_reason": finish_reason }],
        "usage": { "prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10 },
    })
}

pub fn call(at: usize, (name, arguments): &(String, Value)) -> Value {
    json!({ "id": format!("call_{at}"), "type": "function", "function": { "name": name, "arguments": arguments.to_string() } })
}

pub fn calls(calls: &[(String, Value)]) -> Vec<String> {
    let mut frames = vec![head()];
    for (at, one) in calls.iter().enumerate() {
        let mut first = call(at, one);
        first["index"] = json!(at);
        first["function"]["arguments"] = json!("");
        frames.push(chunk(json!({ "tool_calls": [first] }), Value::Null));
        let arguments = one.1.to_string();
        let (left, right) = arguments.split_at(arguments.len() / 2);
        for part in [left, right] {
            let delta = json!({ "tool_calls": [{ "index": at, "function": { "arguments": part } }] });
            frames.push(chunk(delta, Value::Null));
        }
    }
    frames.extend(tail("tool_calls", calls.len()));
    frames
}

pub fn head() -> String {
    chunk(json!({ "role": "assistant", "content": "" }), Value::Null)
}

pub fn chunk(delta: Value, finish_reason: Value) -> String {
    data(&json!({
        "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "small",
        "choices": [{ "index": 0, "delta": delta, "finish_reason": finish_reason }],
    }))
}

pub fn tail(finish_reason: &str, words: usize) -> Vec<String> {
    let usage = json!({ "prompt_tokens": 7, "completion_tokens": words, "total_tokens": 7 + words });
    let last = json!({
        "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "small", "choices": [], "usage": usage,
    });
    vec![chunk(json!({}), json!(finish_reason)), data(&last), "data: [DONE]\n\n".to_owned()]
}
