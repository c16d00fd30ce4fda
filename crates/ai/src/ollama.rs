//! Ollama's API, converted to OpenAI's and back.
//!
//! [`OllamaRequest`] reads a request of `/api/chat` or `/api/generate` and writes it as a chat
//! completion, or as a text completion if the prompt is to be completed without a chat template.
//! [`OllamaAnswer`] writes the answer, whole or as lines of JSON. [`OllamaEmbedding`] does both for
//! embeddings. So the calls reach every kind of provider, and are metered like any other.

mod answer;
mod context;
mod embeddings;
mod messages;
mod request;

use serde_json::Value;

pub use self::{
    answer::OllamaAnswer,
    embeddings::{OllamaEmbedding, OllamaEmbeddingEndpoint},
    request::{OllamaRequest, OllamaTarget},
};
use crate::{GatewayError, dialect::fields::Fields};

/// Endpoint with an answer in words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OllamaEndpoint {
    /// `/api/chat`.
    Chat,
    /// `/api/generate`.
    Generate,
}

/// Name of the requested model. Early versions of some endpoints have the field `name`.
fn model_name(fields: &Fields<'_>) -> Result<String, GatewayError> {
    let named = ["model", "name"].into_iter().filter_map(|name| fields.get(name).and_then(Value::as_str));
    let model = named.into_iter().find(|name| !name.trim().is_empty());
    let wrong = || fields.error("model", "`model` must be the name of a model.");
    model.map(str::to_owned).ok_or_else(wrong)
}

/// Reads the model that a request without further fields is about.
pub fn read_ollama_model(body: &[u8]) -> Result<String, GatewayError> {
    let body: Value = serde_json::from_slice(body).map_err(|error| GatewayError::unreadable(&error))?;
    model_name(&Fields::root(&body)?)
}
