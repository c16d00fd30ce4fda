//! OpenAI's chat completions, also spoken by compatible servers.

pub(crate) mod client_format;
pub(crate) mod passthrough;
pub(crate) mod provider_format;
pub(crate) mod request;
pub(crate) mod usage;

use bytes::Bytes;
use reqwest::Url;
use serde_json::Value;

use self::provider_format::Server;
use super::{Dialect, EndpointPath, Post, TranscriptionMethod};
use crate::{
    ApiStyle, Finish, GatewayError,
    canonical::{Reader, Request},
    embeddings::EmbeddingParams,
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
        provider_format::encode(question, model, if is_public(base) { Server::OpenAi } else { Server::Other })
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

fn is_public(base: &Url) -> bool {
    base.host_str().is_some_and(|host| PUBLIC_HOSTS.iter().any(|end| host.ends_with(end)))
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
    match reason {
        // Includes nonstandard names of some servers.
        "length" | "max_tokens" | "model_length" | "model_context_window_exceeded" => Finish::Length,
        "content_filter" | "sensitive" | "safety" | "refusal" => Finish::Filtered,
        "tool_calls" | "function_call" | "tool_use" => Finish::ToolCalls,
        _ => Finish::Stop,
    }
}

/// Generates an id for a call without one.
pub(crate) fn new_call_id() -> String {
    format!("call_{:016x}{:08x}", rand::random::<u64>(), rand::random::<u32>())
}
