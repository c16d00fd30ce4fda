//! API formats: one module each, converting between bytes and the provider-independent form without
//! I/O.

pub(crate) mod anthropic;
pub(crate) mod fields;
pub(crate) mod gemini;
pub(crate) mod lone_surrogates;
pub(crate) mod mistral;
pub(crate) mod openai_chat;
pub(crate) mod openai_responses;
pub(crate) mod passthrough;
pub(crate) mod restricted_params;

use std::fmt;

use bytes::Bytes;
use reqwest::Url;
use serde_json::Value;

use crate::{
    AiError, ApiStyle, GatewayError, Meter, Recording,
    canonical::{Reader, Request},
    embeddings::{self, EmbeddingParams},
    provider_http::failure::Failure,
    transcription::Format,
};

/// All kinds of provider. To add one, implement [`Dialect`] in a new module and list it here.
static DIALECTS: [&dyn Dialect; 4] = [&openai_chat::OpenAi, &gemini::Gemini, &anthropic::Anthropic, &mistral::Mistral];

/// API of a kind of provider: endpoints, request encoding and answer parsing.
pub(crate) trait Dialect: Sync {
    /// Name in the settings.
    fn name(&self) -> &'static str;

    /// Base URL of the public service, including the version.
    fn public_url(&self) -> &'static str;

    /// Path of the chat endpoint.
    fn chat(&self, model: &str, is_stream: bool) -> EndpointPath;

    /// Name and value of the authentication header.
    fn credentials(&self, key: &str) -> (&'static str, String) {
        ("authorization", format!("Bearer {key}"))
    }

    /// Headers of every request.
    fn headers(&self) -> &'static [(&'static str, &'static str)] {
        &[]
    }

    /// Encodes a request for the provider at this base URL.
    fn write(&self, question: &Request, model: &str, base: &Url) -> Result<Value, GatewayError>;

    /// Creates an answer parser.
    fn reader(&self) -> Box<dyn Reader>;

    /// True if the client format is the provider's own, so that bytes pass through.
    fn passes_through(&self, _style: ApiStyle) -> bool {
        false
    }

    /// True if the provider may offer OpenAI's Responses API, if the settings enable it.
    fn may_have_responses_api(&self) -> bool {
        false
    }

    /// True if the provider fetches images by URL; otherwise the gateway downloads them.
    fn fetches_images(&self) -> bool {
        true
    }

    /// True if the provider signs tool calls and needs the signatures back.
    fn signs_tool_calls(&self) -> bool {
        false
    }

    /// Builds a token-count request. `question` is the parsed request, or `None` if `body` is in the
    /// provider's own format. `None` if the provider can't count.
    fn count(
        &self,
        _body: &Bytes,
        _question: Option<&Request>,
        _model: &str,
    ) -> Result<Option<CountRequest>, GatewayError> {
        Ok(None)
    }

    /// Builds the embedding requests; `body` is the call in OpenAI's format.
    fn write_embedding(&self, _body: &Bytes, _wish: &EmbeddingParams, _model: &str) -> Result<Vec<Post>, GatewayError> {
        Err(GatewayError::invalid("This model doesn't make embeddings."))
    }

    /// Converts embedding answers, one per request, to OpenAI's format.
    fn read_embedding(
        &self,
        answers: Vec<Bytes>,
        wish: &EmbeddingParams,
        _model: &str,
        meter: &Meter,
    ) -> Result<Bytes, Failure> {
        let answer = answers.into_iter().next().ok_or(AiError::Garbled)?;
        embeddings::pass_answer(answer, wish, meter)
    }

    /// Transcription method.
    fn transcription(&self) -> TranscriptionMethod {
        TranscriptionMethod::None
    }
}

/// Path below a provider's base URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EndpointPath {
    /// Path segments. They are escaped when added to a URL, because a model name may come from a
    /// user.
    pub segments: Vec<String>,
    pub query: Option<&'static str>,
}

/// A request body and its path.
#[derive(Debug, Clone)]
pub(crate) struct Post {
    pub path: EndpointPath,
    pub body: Bytes,
}

/// A token-count request.
#[derive(Debug, Clone)]
pub(crate) struct CountRequest {
    pub post: Post,
    /// Field of the answer with the count.
    pub field: &'static str,
}

/// Method by which a provider transcribes a recording.
#[derive(Clone, Copy)]
pub(crate) enum TranscriptionMethod {
    /// The provider offers no transcription.
    None,
    /// OpenAI's multipart form.
    Form,
    /// A chat request to the model.
    Question(fn(&Recording, Format) -> Value),
}

/// Kind of provider, identified by its API format.
#[derive(Clone, Copy)]
pub struct ProviderKind(&'static dyn Dialect);

impl ProviderKind {
    /// OpenAI and compatible servers: Ollama, vLLM, llama.cpp, …
    pub const OPENAI: Self = Self(&openai_chat::OpenAi);
    /// Google's native API, `v1beta`.
    pub const GEMINI: Self = Self(&gemini::Gemini);
    /// Anthropic's Messages API.
    pub const ANTHROPIC: Self = Self(&anthropic::Anthropic);

    pub fn all() -> impl Iterator<Item = Self> {
        DIALECTS.into_iter().map(Self)
    }

    /// Finds a kind by its name in the settings.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::all().find(|kind| kind.name() == name)
    }

    #[must_use]
    pub fn name(self) -> &'static str {
        self.0.name()
    }

    /// Name in OpenTelemetry's conventions for generative AI.
    pub(crate) fn trace_name(self) -> &'static str {
        match self.name() {
            "gemini" => "gcp.gemini",
            "mistral" => "mistral_ai",
            name => name,
        }
    }

    pub(crate) const fn dialect(self) -> &'static dyn Dialect {
        self.0
    }
}

impl PartialEq for ProviderKind {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name()
    }
}

impl Eq for ProviderKind {}

impl fmt::Debug for ProviderKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl EndpointPath {
    pub fn from_segments<const COUNT: usize>(segments: [&str; COUNT]) -> Self {
        Self { segments: segments.map(str::to_owned).to_vec(), query: None }
    }
}

/// Id, model and time of an answer, which every frame repeats.
#[derive(Debug, Clone, Default)]
pub(crate) struct AnswerHead {
    pub id: String,
    /// Unix time, in seconds.
    pub created: u64,
    pub model: String,
}

#[cfg(test)]
mod tests;
