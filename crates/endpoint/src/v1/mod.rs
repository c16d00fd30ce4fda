//! AI gateway: APIs for programs that are compatible with those of OpenAI, Anthropic, Google and
//! Ollama.
//!
//! A call is forwarded to a provider ([`ai::Ai::forward`]). If the client disconnects, it is
//! cancelled.

pub(crate) mod azure;
mod batches;
mod call;
pub(crate) mod failure;
mod files;
mod form;
mod gemini;
mod inference;
mod json_array;
mod labels;
mod models;
mod ollama;
mod passthrough;
mod responses;
mod settlement;
mod stream;
mod transcriptions;

use std::time::Duration;

use serde_json::Value;

use crate::{Bound, EndpointDef, Raw, Reply};

/// Prefix of the gateway's paths.
pub(crate) const ROOT: &str = "/v1";
/// Prefix of Gemini's API.
pub(crate) const GEMINI_ROOT: &str = "/v1beta";
/// Prefix of the second version of Cohere's API, of which the gateway has `/v2/rerank`.
pub(crate) const COHERE_ROOT: &str = "/v2";
/// Prefix of Ollama's API.
pub(crate) const OLLAMA_ROOT: &str = "/api";
/// Prefix of Azure OpenAI's paths, which are aliases of those under [`ROOT`].
pub(crate) const AZURE_ROOT: &str = "/openai";
/// Time by which a call's deadline exceeds the provider's, for processing on this server.
const OVERHEAD: Duration = Duration::from_secs(10);

const RESOURCES: &[&[EndpointDef]] = &[
    inference::ENDPOINTS,
    transcriptions::ENDPOINTS,
    passthrough::ENDPOINTS,
    responses::ENDPOINTS,
    models::ENDPOINTS,
    files::ENDPOINTS,
    batches::ENDPOINTS,
    gemini::ENDPOINTS,
    ollama::ENDPOINTS,
];

/// Every endpoint of the gateway.
pub(crate) fn all() -> impl Iterator<Item = &'static EndpointDef> {
    RESOURCES.iter().flat_map(|resource| resource.iter())
}

fn json_reply(body: &Value) -> Reply<Raw> {
    Reply::bytes("application/json", body.to_string().into())
}

/// Deadline of a call. It is later than that of the provider, so that the provider's error is
/// reported.
const fn deadline() -> Bound<Duration> {
    Bound::Setting(|config| config.ai.answer_timeout.saturating_add(OVERHEAD))
}

const fn max_body() -> Bound<usize> {
    Bound::Setting(|config| config.gateway.max_body_bytes)
}
