//! Mistral's API: chat completions with a few fields rejected or renamed.
//!
//! According to <https://docs.mistral.ai/api>, `tool_choice` is `any` instead of OpenAI's
//! `required`, and a seed is `random_seed`. Unknown fields (`stream_options`, `user`, `verbosity`,
//! `logprobs`) are rejected with 422.

use bytes::Bytes;
use reqwest::Url;
use serde_json::Value;

use super::{
    Dialect, EndpointPath, Post, TranscriptionMethod,
    openai_chat::{
        OpenAi,
        provider_format::{self, sha256_hex},
    },
};
use crate::{
    GatewayError,
    canonical::{Reader, Request},
    embeddings::EmbeddingParams,
};

/// OpenAI fields that Mistral rejects.
const UNSUPPORTED_FIELDS: [&str; 8] =
    ["stream_options", "user", "verbosity", "logprobs", "top_logprobs", "reasoning_effort", "seed", "prompt_cache_key"];

/// Length of a call id: exactly nine letters and digits.
const CALL_ID_LEN: usize = 9;

pub(crate) struct Mistral;

impl Dialect for Mistral {
    fn name(&self) -> &'static str {
        "mistral"
    }

    fn public_url(&self) -> &'static str {
        "https://api.mistral.ai/v1"
    }

    fn chat(&self, model: &str, is_stream: bool) -> EndpointPath {
        OpenAi.chat(model, is_stream)
    }

    fn write(&self, question: &Request, model: &str, _base: &Url) -> Result<Value, GatewayError> {
        // Mistral rejects a system message at the end, so system turns become user text.
        let mut body =
            provider_format::encode(&question.without_system_turns(), model, provider_format::Server::Mistral)?;
        let Some(fields) = body.as_object_mut() else { return Ok(body) };
        if let Some(seed) = fields.get("seed").cloned() {
            fields.insert("random_seed".to_owned(), seed);
        }
        for field in UNSUPPORTED_FIELDS {
            fields.shift_remove(field);
        }
        let messages = fields.get_mut("messages").and_then(Value::as_array_mut).into_iter().flatten();
        messages.for_each(shorten_ids);
        if fields.get("tool_choice").is_some_and(|choice| choice == "required") {
            fields.insert("tool_choice".to_owned(), "any".into());
        }
        Ok(body)
    }

    fn reader(&self) -> Box<dyn Reader> {
        OpenAi.reader()
    }

    fn write_embedding(&self, body: &Bytes, wish: &EmbeddingParams, model: &str) -> Result<Vec<Post>, GatewayError> {
        OpenAi.write_embedding(body, wish, model)
    }

    fn transcription(&self) -> TranscriptionMethod {
        TranscriptionMethod::Form
    }
}

/// Replaces call ids of other providers by ids that Mistral accepts.
fn shorten_ids(message: &mut Value) {
    let shorten = |id: &mut Value| {
        if let Some(own) =
            id.as_str().filter(|id| id.len() != CALL_ID_LEN || !id.bytes().all(|byte| byte.is_ascii_alphanumeric()))
        {
            *id = Value::from(&sha256_hex(own)[..CALL_ID_LEN]);
        }
    };
    let calls = message.get_mut("tool_calls").and_then(Value::as_array_mut).into_iter().flatten();
    calls.filter_map(|call| call.get_mut("id")).for_each(shorten);
    message.get_mut("tool_call_id").into_iter().for_each(shorten);
}
