//! Format of Gemini's `generateContent`.

use serde_json::{Value, json};

use super::{Asked, dialect::data};

pub fn fixed(asked: &Asked) -> Option<Value> {
    if asked.path.contains(":countTokens") {
        return Some(json!({ "totalTokens": 7 }));
    }
    if !asked.path.contains("mbedContent") {
        return None;
    }
    let vector = json!({ "values": [0.5, -1.0, 2.0] });
    match asked.body["requests"].as_array() {
        Some(requests) => Some(json!({ "embeddings": requests.iter().map(|_| vector.clone()).collect::<Vec<_>>() })),
        None => Some(json!({ "embedding": vector })),
    }
}

pub fn whole(parts: Value) -> Value {
    json!({
        "candidates": [{ "index": 0, "content": { "role": "model", "parts": parts }, "finishReason": "STOP" }],
        "usageMetadata": { "promptTokenCount": 7, "candidatesTokenCount": 3, "totalTokenCount": 10 },
    })
}

pub fn call((name, arguments): &(String, Value)) -> Value {
    json!({ "functionCall": { "name": name, "args": arguments } })
}

pub fn calls(calls: &[(String, Value)]) -> Vec<String> {
    let part = |one| data(&candidate(json!([call(one)])));
    calls.iter().map(part).chain([tail(calls.len())]).collect()
}

pub fn thought(text: &str) -> String {
    data(&candidate(json!([{ "text": text, "thought": true }])))
}

pub fn word(word: &str) -> String {
    data(&candidate(json!([{ "text": word }])))
}

fn candidate(parts: Value) -> Value {
    json!({ "candidates": [{ "index": 0, "content": { "role": "model", "parts": parts } }] })
}

pub fn tail(words: usize) -> String {
    data(&json!({
        "candidates": [{ "index": 0, "content": { "role": "model", "parts": [{ "text": "" }] }, "finishReason": "STOP" }],
        "usageMetadata": { "promptTokenCount": 7, "candidatesTokenCount": words, "totalTokenCount": 7 + words },
    }))
}

pub fn refusal(status: u16, retry_after: Option<u32>) -> Value {
    let name = if status == 429 { "RESOURCE_EXHAUSTED" } else { "INTERNAL" };
    let details: Vec<Value> = retry_after
        .map(|seconds| json!({ "@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": format!("{seconds}s") }))
        .into_iter()
        .collect();
    json!({ "error": { "code": status, "status": name, "message": "refused by the test", "details": details } })
}
