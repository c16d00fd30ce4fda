//! Differences between the three formats of APIs.

use serde_json::{Value, json};

use super::{Asked, UpstreamKind, anthropic, gemini, openai};

#[derive(Clone, Copy)]
pub struct Dialect(pub UpstreamKind);

impl Dialect {
    pub fn streams(self, asked: &Asked) -> bool {
        match self.0 {
            UpstreamKind::OpenAi | UpstreamKind::Anthropic => asked.body["stream"] == true,
            UpstreamKind::Gemini => asked.path.contains("streamGenerateContent"),
        }
    }

    /// Returns the response to a call that isn't a question. It depends only on the request.
    pub fn fixed(self, asked: &Asked) -> Option<Value> {
        match self.0 {
            UpstreamKind::OpenAi => openai::fixed(asked),
            UpstreamKind::Gemini => gemini::fixed(asked),
            UpstreamKind::Anthropic => anthropic::fixed(asked),
        }
    }

    pub fn models(self) -> Value {
        match self.0 {
            UpstreamKind::OpenAi => {
                json!({ "object": "list", "data": [{ "id": "small", "object": "model", "created": 1, "owned_by": "test" }] })
            }
            UpstreamKind::Gemini => json!({ "models": [{ "name": "models/small" }] }),
            UpstreamKind::Anthropic => {
                json!({ "data": [{ "type": "model", "id": "small", "display_name": "Small", "created_at": "2026-01-01T00:00:00Z" }], "has_more": false })
            }
        }
    }

    pub fn whole(self, text: &str) -> Value {
        match self.0 {
            UpstreamKind::OpenAi => openai::whole(json!({ "role": "assistant", "content": text }), "stop"),
            UpstreamKind::Gemini => gemini::whole(json!([{ "text": text }])),
            UpstreamKind::Anthropic => anthropic::whole(json!([{ "type": "text", "text": text }]), "end_turn"),
        }
    }

    pub fn whole_calls(self, calls: &[(String, Value)]) -> Value {
        match self.0 {
            UpstreamKind::OpenAi => {
                let calls: Vec<Value> = calls.iter().enumerate().map(|(at, call)| openai::call(at, call)).collect();
                openai::whole(json!({ "role": "assistant", "content": null, "tool_calls": calls }), "tool_calls")
            }
            UpstreamKind::Gemini => gemini::whole(calls.iter().map(gemini::call).collect()),
            UpstreamKind::Anthropic => anthropic::whole(
                calls.iter().enumerate().map(|(at, call)| anthropic::call(at, call)).collect(),
                "tool_use",
            ),
        }
    }

    /// Returns the frames of an answer that calls tools.
    pub fn calls(self, calls: &[(String, Value)]) -> Vec<String> {
        match self.0 {
            UpstreamKind::OpenAi => openai::calls(calls),
            UpstreamKind::Gemini => gemini::calls(calls),
            UpstreamKind::Anthropic => anthropic::calls(calls),
        }
    }

    /// Returns the first frames of a stream.
    pub fn head(self) -> String {
        match self.0 {
            UpstreamKind::OpenAi => openai::head(),
            UpstreamKind::Gemini => String::new(),
            UpstreamKind::Anthropic => anthropic::head(),
        }
    }

    /// Returns a frame with reasoning. Empty for Anthropic, whose separate blocks for reasoning no
    /// test needs.
    pub fn thought(self, text: &str) -> String {
        match self.0 {
            UpstreamKind::OpenAi => openai::chunk(json!({ "reasoning_content": text }), Value::Null),
            UpstreamKind::Gemini => gemini::thought(text),
            UpstreamKind::Anthropic => anthropic::event(&json!({ "type": "ping" })),
        }
    }

    pub fn word(self, word: &str) -> String {
        match self.0 {
            UpstreamKind::OpenAi => openai::chunk(json!({ "content": word }), Value::Null),
            UpstreamKind::Gemini => gemini::word(word),
            UpstreamKind::Anthropic => anthropic::word(word),
        }
    }

    /// Returns the last frames of a stream.
    pub fn tail(self, words: usize) -> Vec<String> {
        match self.0 {
            UpstreamKind::OpenAi => openai::tail("stop", words),
            UpstreamKind::Gemini => vec![gemini::tail(words)],
            UpstreamKind::Anthropic => anthropic::tail("end_turn", words),
        }
    }

    /// Returns the frame of an error within a stream.
    pub fn failure(self) -> String {
        match self.0 {
            UpstreamKind::OpenAi | UpstreamKind::Gemini => data(&self.refusal(500, None)),
            UpstreamKind::Anthropic => anthropic::event(&self.refusal(529, None)),
        }
    }

    pub fn refusal(self, status: u16, retry_after: Option<u32>) -> Value {
        match self.0 {
            UpstreamKind::OpenAi => {
                json!({ "error": { "message": "refused by the test", "type": "server_error", "param": null, "code": null } })
            }
            UpstreamKind::Gemini => gemini::refusal(status, retry_after),
            UpstreamKind::Anthropic => {
                let kind = if status == 429 { "rate_limit_error" } else { "overloaded_error" };
                json!({ "type": "error", "error": { "type": kind, "message": "refused by the test" }, "request_id": "req_1" })
            }
        }
    }
}

pub fn data(value: &Value) -> String {
    format!("data: {value}\n\n")
}
