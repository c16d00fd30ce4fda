//! Mistral's API: chat completions with a few fields rejected or renamed.
//!
//! According to <https://docs.mistral.ai/api>, `tool_choice` is `any` instead of OpenAI's
//! `required`, and a seed is `random_seed`. Fields that are rejected, and the order of messages, are
//! in the table of [profiles](crate::profile).

use bytes::Bytes;
use reqwest::Url;
use serde_json::Value;

use super::{
    Dialect, EndpointPath, Post, TranscriptionMethod,
    openai_chat::{OpenAi, provider_format},
};
use crate::{
    GatewayError,
    canonical::{Reader, Request},
    embeddings::EmbeddingParams,
};

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
        let mut body = provider_format::encode(question, model, provider_format::Server::Mistral)?;
        let Some(fields) = body.as_object_mut() else { return Ok(body) };
        if let Some(seed) = fields.shift_remove("seed") {
            fields.insert("random_seed".to_owned(), seed);
        }
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
