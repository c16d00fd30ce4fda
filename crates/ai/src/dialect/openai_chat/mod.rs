//! OpenAI's chat completions, also spoken by compatible servers.

pub(crate) mod client_format;
pub(crate) mod passthrough;
pub(crate) mod provider_format;
mod reasoning_details;
pub(crate) mod request;
pub(crate) mod usage;

use bytes::Bytes;
use reqwest::Url;
use serde_json::Value;

use self::provider_format::Server;
use super::{Dialect, EndpointPath, Post, TranscriptionMethod};
use crate::{
    AiError, ApiStyle, Finish, GatewayError,
    canonical::{Reader, Request},
    embeddings::EmbeddingParams,
    provider_http::failure::{self, Failure},
};

/// Host suffixes of OpenAI's own service and of Azure's clouds.
const PUBLIC_HOSTS: [&str; 4] = ["openai.com", ".azure.com", ".azure.us", ".azure.cn"];

pub(crate) struct OpenAi;

impl Dialect for OpenAi {
    fn name(&self) -> &'static str {
        "openai"
    }

    fn public_url(&self) -> &'static str {
        "https://api.openai.com/v1"
    }

    fn chat(&self, _model: &str, _is_stream: bool) -> EndpointPath {
        EndpointPath::from_segments(["chat", "completions"])
    }

    fn write(&self, question: &Request, model: &str, base: &Url) -> Result<Value, GatewayError> {
        provider_format::encode(question, model, server(base))
    }

    fn reader(&self) -> Box<dyn Reader> {
        Box::new(provider_format::ChatReader::default())
    }

    fn passes_through(&self, style: ApiStyle) -> bool {
        style == ApiStyle::Chat
    }

    fn may_have_responses_api(&self) -> bool {
        true
    }

    fn write_embedding(&self, body: &Bytes, _wish: &EmbeddingParams, model: &str) -> Result<Vec<Post>, GatewayError> {
        let (body, _) = passthrough::replace_model(body, model)?;
        Ok(vec![Post { path: EndpointPath::from_segments(["embeddings"]), body }])
    }

    fn transcription(&self) -> TranscriptionMethod {
        TranscriptionMethod::Form
    }
}

/// True for OpenAI's own service and Azure's clouds.
pub(crate) fn is_public(base: &Url) -> bool {
    base.host_str().is_some_and(|host| PUBLIC_HOSTS.iter().any(|end| host.ends_with(end)))
}

/// Other hosts that document `prompt_cache_key`.
const CACHE_KEY_HOSTS: [&str; 4] = ["api.moonshot.ai", "api.moonshot.cn", "api.kimi.com", "api.fireworks.ai"];

/// True if the server routes requests to its prompt caches by `prompt_cache_key`.
pub(crate) fn knows_cache_key(base: &Url) -> bool {
    is_public(base) || base.host_str().is_some_and(|host| CACHE_KEY_HOSTS.contains(&host))
}

fn server(base: &Url) -> Server {
    match base.host_str() {
        _ if is_public(base) => Server::OpenAi,
        Some("openrouter.ai") => Server::OpenRouter,
        _ => Server::Other,
    }
}

pub(crate) fn is_openrouter(base: &Url) -> bool {
    server(base) == Server::OpenRouter
}

/// Other hosts that document `max_completion_tokens`.
const NEWER_LIMIT_HOSTS: [&str; 3] = ["openrouter.ai", "api.x.ai", "api.cerebras.ai"];

/// True if the server is known to accept `max_completion_tokens`. Others may ignore it and generate
/// without a limit.
fn knows_newer_limit(base: &Url) -> bool {
    let is_knowing = || base.host_str().is_some_and(|host| NEWER_LIMIT_HOSTS.contains(&host));
    // Groq, Gemini, and proxies of OpenAI or Azure have `openai` in the path.
    let is_like_openai =
        || base.path_segments().is_some_and(|mut segments| segments.any(|segment| segment == "openai"));
    is_public(base) || is_knowing() || is_like_openai()
}

/// True if the limit is sent as `max_completion_tokens` for this model and server.
pub(crate) fn has_newer_limit(base: &Url, model: &str) -> bool {
    knows_newer_limit(base) || provider_format::wants_newer_limit(model)
}

/// True if the model may ignore the output limit: judging by its name, it is an OpenAI model that
/// accepts the limit only as `max_completion_tokens`, but the server may not know that field.
pub(crate) fn may_ignore_limit(base: &Url, model: &str) -> bool {
    !knows_newer_limit(base) && provider_format::wants_newer_limit(model)
}

/// Parses a `finish_reason`.
pub(crate) fn finish(reason: &str) -> Finish {
    // Includes nonstandard names of some servers. Google's own server adds the filter:
    // `content_filter: RECITATION`.
    let reason = reason.to_ascii_lowercase();
    match reason.split(':').next().unwrap_or_default() {
        "length"
        | "max_tokens"
        | "max_output_tokens"
        | "max_new_tokens"
        | "max_length"
        | "token_limit"
        | "model_length"
        | "context_length"
        | "context_length_exceeded"
        | "model_context_window_exceeded" => Finish::Length,
        "content_filter"
        | "content_filtered"
        | "content-filter"
        | "sensitive"
        | "safety"
        | "refusal"
        | "recitation"
        | "blocklist"
        | "prohibited_content"
        | "spii"
        | "moderation"
        | "guardrail_intervened" => Finish::Filtered,
        "tool_calls" | "tool_call" | "function_call" | "tool_use" => Finish::ToolCalls,
        _ => Finish::Stop,
    }
}

/// Words of a `finish_reason` by which a server reports that generation failed. vLLM and `SGLang`
/// send `abort`, DeepSeek `insufficient_system_resource`, GLM `network_error`, OpenRouter, Mistral
/// and Cohere `error`.
const FAILED_FINISHES: [&str; 12] = [
    "error",
    "abort",
    "cancelled",
    "canceled",
    "failed",
    "failure",
    "timeout",
    "timed_out",
    "exception",
    "overload",
    "interrupted",
    "insufficient_system_resource",
];

/// Finish reasons of Gemini for a malformed answer. Google's own server adds a prefix:
/// `function_call_filter: MALFORMED_FUNCTION_CALL`.
const MALFORMED_FINISHES: [&str; 5] = [
    "malformed_function_call",
    "malformed_response",
    "unexpected_tool_call",
    "too_many_tool_calls",
    "missing_thought_signature",
];

/// Error that a finish reason reports; `None` if it ends an answer, or is unknown.
pub(crate) fn finish_error(reason: &str) -> Option<AiError> {
    let reason = reason.to_ascii_lowercase();
    if MALFORMED_FINISHES.iter().any(|word| reason.ends_with(word)) {
        return Some(AiError::Garbled);
    }
    let is_failed = FAILED_FINISHES.iter().any(|word| reason.contains(word));
    is_failed.then_some(AiError::Unavailable { retry_after: None })
}

/// Failure that a choice reports, by an error object or by its finish reasons: its own, and that of
/// the original provider, which OpenRouter adds.
pub(crate) fn choice_failure(choice: &Value) -> Option<Failure> {
    failure::parse_value(choice).or_else(|| {
        let reasons = ["native_finish_reason", "finish_reason"].map(|name| choice[name].as_str());
        Some(reasons.into_iter().flatten().find_map(finish_error)?.into())
    })
}

/// Generates an id for a call without one.
pub(crate) fn new_call_id() -> String {
    format!("call_{:016x}{:08x}", rand::random::<u64>(), rand::random::<u32>())
}
