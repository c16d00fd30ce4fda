//! Google's native API, `v1beta`: `generateContent`, and `streamGenerateContent` as Server-Sent
//! Events. As a client format and as a provider format.
//!
//! The key is sent in `x-goog-api-key`, never in the URL, which ends up in logs. There is no final
//! frame: the answer is complete once a `finishReason` has arrived. Usage in the frames is
//! cumulative, so the last one counts.

pub(crate) mod answer;
mod audio;
pub(crate) mod client_body;
pub(crate) mod client_embeddings;
pub(crate) mod client_format;
pub(crate) mod client_request;
mod embeddings;
mod google_schema;
pub(crate) mod passthrough;
pub(crate) mod request;
mod sealed_reasoning;

use std::sync::LazyLock;

use bytes::Bytes;
use memchr::memmem::Finder;
use reqwest::Url;
use serde_json::{Value, json};

use super::{CountRequest, Dialect, EndpointPath, Post, TranscriptionMethod};
use crate::{
    ApiStyle, GatewayError, Meter,
    canonical::{Reader, Request},
    embeddings::EmbeddingParams,
    provider_http::failure::Failure,
};

pub(crate) struct Gemini;

impl Dialect for Gemini {
    fn name(&self) -> &'static str {
        "gemini"
    }

    fn public_url(&self) -> &'static str {
        "https://generativelanguage.googleapis.com/v1beta"
    }

    fn chat(&self, model: &str, is_stream: bool) -> EndpointPath {
        if is_stream {
            EndpointPath { query: Some("alt=sse"), ..method(model, "streamGenerateContent") }
        } else {
            method(model, "generateContent")
        }
    }

    fn credentials(&self, key: &str) -> (&'static str, String) {
        ("x-goog-api-key", key.to_owned())
    }

    fn write(&self, question: &Request, model: &str, _base: &Url) -> Result<Value, GatewayError> {
        request::write(question, model)
    }

    fn reader(&self) -> Box<dyn Reader> {
        Box::new(answer::GeminiReader::default())
    }

    fn passes_through(&self, style: ApiStyle) -> bool {
        style == ApiStyle::Gemini
    }

    fn fetches_images(&self) -> bool {
        false
    }

    fn signs_tool_calls(&self) -> bool {
        true
    }

    fn count(
        &self,
        _body: &Bytes,
        question: Option<&Request>,
        model: &str,
    ) -> Result<Option<CountRequest>, GatewayError> {
        let Some(question) = question else { return Ok(None) };
        let mut question = request::write(question, model)?;
        question["model"] = resource_name(model).into();
        let body = json!({ "generateContentRequest": question }).to_string().into();
        Ok(Some(CountRequest { post: Post { path: method(model, "countTokens"), body }, field: "totalTokens" }))
    }

    fn write_embedding(&self, _body: &Bytes, wish: &EmbeddingParams, model: &str) -> Result<Vec<Post>, GatewayError> {
        let post = |batch: Value| Post { path: method(model, "batchEmbedContents"), body: batch.to_string().into() };
        Ok(embeddings::write(wish, model)?.into_iter().map(post).collect())
    }

    fn read_embedding(
        &self,
        answers: Vec<Bytes>,
        wish: &EmbeddingParams,
        model: &str,
        meter: &Meter,
    ) -> Result<Bytes, Failure> {
        embeddings::read(&answers, wish, model, meter)
    }

    fn transcription(&self) -> TranscriptionMethod {
        TranscriptionMethod::Question(audio::transcription_request)
    }
}

/// Resource name of a model, with the `models/` prefix.
pub(crate) fn resource_name(model: &str) -> String {
    if model.starts_with("models/") { model.to_owned() } else { format!("models/{model}") }
}

/// Path of a method of a model.
fn method(model: &str, method: &str) -> EndpointPath {
    EndpointPath::from_segments(["models", &format!("{}:{method}", model.strip_prefix("models/").unwrap_or(model))])
}

/// Prefix of model names in Google's resource names.
const RESOURCE_PREFIX: &str = "models/";
static PREFIXED_NAME: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"models/"));

/// Removes the resource prefix from the model's name in an answer or in events, because clients
/// compare it with the name that they asked for. `key` is the field with the name.
pub(crate) fn strip_model_prefix(answer: Bytes, key: &str) -> Bytes {
    let key = format!("\"{key}\"");
    let is_model_name = |at: &usize| {
        let before = answer[..*at].trim_ascii_end().strip_suffix(b":").map(<[u8]>::trim_ascii_end);
        before.is_some_and(|before| before.ends_with(key.as_bytes()))
    };
    let places: Vec<usize> = PREFIXED_NAME.find_iter(&answer).filter(is_model_name).collect();
    if places.is_empty() {
        return answer;
    }
    let (mut out, mut passed) = (Vec::with_capacity(answer.len()), 0);
    for at in places {
        out.extend_from_slice(&answer[passed..=at]);
        passed = at + 1 + RESOURCE_PREFIX.len();
    }
    out.extend_from_slice(&answer[passed..]);
    out.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strips_the_prefix_only_from_the_field() {
        for (key, answer, expected) in [
            ("model", r#"{"model":"models/g","id":"models/x"}"#, r#"{"model":"g","id":"models/x"}"#),
            ("model", r#"{"model" : "models/g"}"#, r#"{"model" : "g"}"#),
            ("model", r#"{"content":"say \"model\":\"models/g\""}"#, r#"{"content":"say \"model\":\"models/g\""}"#),
            (
                "modelVersion",
                "data: {\"modelVersion\": \"models/g\"}\n\ndata: {\"modelVersion\": \"models/g\"}\n\n",
                "data: {\"modelVersion\": \"g\"}\n\ndata: {\"modelVersion\": \"g\"}\n\n",
            ),
            ("modelVersion", r#"{"modelVersion":"gemini-3-pro"}"#, r#"{"modelVersion":"gemini-3-pro"}"#),
        ] {
            assert_eq!(strip_model_prefix(Bytes::from_static(answer.as_bytes()), key), expected);
        }
    }
}
