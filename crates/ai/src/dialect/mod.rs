//! The dialects: one module each, pure functions from bytes to the neutral form and back.

pub(crate) mod anthropic;
pub(crate) mod costly;
pub(crate) mod fields;
pub(crate) mod gemini;
pub(crate) mod halves;
pub(crate) mod mistral;
pub(crate) mod openai_chat;
pub(crate) mod openai_responses;
pub(crate) mod pass;

use std::fmt;

use bytes::Bytes;
use reqwest::Url;
use serde_json::Value;

use crate::{
    AiError, ApiStyle, GatewayError, Meter, Recording,
    embeddings::{self, Wish},
    neutral::{Reader, Request},
    transcription::Format,
    wire::failure::Failure,
};

/// Every kind of provider. To add one, write its [`Dialect`] in a module of its own, and name it here.
static DIALECTS: [&dyn Dialect; 4] = [&openai_chat::OpenAi, &gemini::Gemini, &anthropic::Anthropic, &mistral::Mistral];

/// How a kind of provider is asked: where a question goes, how it is written, and how the answer is read.
pub(crate) trait Dialect: Sync {
    /// What settings call it.
    fn name(&self) -> &'static str;

    /// Where its public service is, with the version.
    fn public_url(&self) -> &'static str;

    /// Where a question for a model goes.
    fn chat(&self, model: &str, is_stream: bool) -> Place;

    /// The header that a key stands in, and how.
    fn credentials(&self, key: &str) -> (&'static str, String) {
        ("authorization", format!("Bearer {key}"))
    }

    /// The headers of every request.
    fn headers(&self) -> &'static [(&'static str, &'static str)] {
        &[]
    }

    /// Writes a question to the provider at this address.
    fn write(&self, question: &Request, model: &str, base: &Url) -> Result<Value, GatewayError>;

    /// Reads an answer.
    fn reader(&self) -> Box<dyn Reader>;

    /// Whether callers of this API speak the same, so that their bytes pass.
    fn passes(&self, _style: ApiStyle) -> bool {
        false
    }

    /// Whether it may speak OpenAI's responses, where the settings say so.
    fn may_take_responses(&self) -> bool {
        false
    }

    /// Whether it fetches pictures by their addresses. Where it doesn't, we do.
    fn fetches_pictures(&self) -> bool {
        true
    }

    /// Whether it signs the calls of tools, and wants the signatures back with them.
    fn signs_calls(&self) -> bool {
        false
    }

    /// Has the tokens of a question counted, which is `body` of the Messages API. None: it can't.
    fn count(&self, _body: &Bytes, _question: &Request, _model: &str) -> Result<Option<Count>, GatewayError> {
        Ok(None)
    }

    /// Asks for embeddings, with as many posts as it takes; `body` is the call, in OpenAI's form.
    fn write_embedding(&self, _body: &Bytes, _wish: &Wish, _model: &str) -> Result<Vec<Post>, GatewayError> {
        Err(GatewayError::invalid("This model doesn't make embeddings."))
    }

    /// Reads embeddings, an answer for each post, and writes them in OpenAI's form.
    fn read_embedding(&self, answers: Vec<Bytes>, wish: &Wish, _model: &str, meter: &Meter) -> Result<Bytes, Failure> {
        let answer = answers.into_iter().next().ok_or(AiError::Garbled)?;
        embeddings::pass(answer, wish.base64, meter)
    }

    /// How it is asked what it hears.
    fn hearing(&self) -> Hearing {
        Hearing::None
    }
}

/// A place below a provider's address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    /// Escaped where they are put into an address: a model's name may come from a user.
    pub segments: Vec<String>,
    pub query: Option<&'static str>,
}

/// What is posted where.
#[derive(Debug, Clone)]
pub(crate) struct Post {
    pub place: Place,
    pub body: Bytes,
}

/// A question how long a question is.
#[derive(Debug, Clone)]
pub(crate) struct Count {
    pub post: Post,
    /// The field of the answer that has the number.
    pub field: &'static str,
}

/// How a provider is asked for the text of a recording.
#[derive(Clone, Copy)]
pub(crate) enum Hearing {
    /// It takes no sound.
    None,
    /// By OpenAI's form.
    Form,
    /// As a question to the model.
    Question(fn(&Recording, Format) -> Value),
}

/// A kind of provider, by its dialect.
#[derive(Clone, Copy)]
pub struct ProviderKind(&'static dyn Dialect);

impl ProviderKind {
    /// OpenAI and every server that speaks its protocol: Ollama, vLLM, llama.cpp, …
    pub const OPENAI: Self = Self(&openai_chat::OpenAi);
    /// Google's native API, `v1beta`.
    pub const GEMINI: Self = Self(&gemini::Gemini);
    /// Anthropic's messages.
    pub const ANTHROPIC: Self = Self(&anthropic::Anthropic);

    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        DIALECTS.into_iter().map(Self)
    }

    /// The one that settings call so.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::all().find(|kind| kind.name() == name)
    }

    #[must_use]
    pub fn name(self) -> &'static str {
        self.0.name()
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

impl Place {
    pub fn of<const COUNT: usize>(segments: [&str; COUNT]) -> Self {
        Self { segments: segments.map(str::to_owned).to_vec(), query: None }
    }
}

/// What stands at the head of every answer.
#[derive(Debug, Clone, Default)]
pub(crate) struct Head {
    pub id: String,
    /// Seconds since 1970.
    pub created: u64,
    pub model: String,
}

#[cfg(test)]
mod tests;
