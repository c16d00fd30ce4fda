//! Client for language models of all supported providers.
//!
//! [`Ai::chat`] answers Natter's own conversations as a stream of text. [`Ai::forward`] serves
//! gateway calls in one of four [formats](ApiStyle) and answers in the same format; embeddings,
//! transcriptions and token counting have calls of their own. [`Ai::forward_passthrough`] serves
//! endpoints that only providers of OpenAI's kind have, such as images and speech. All take the
//! same path: the [route](Route) lists deployments, the [key pool](keys) lends the least used key
//! that is ready, and the provider's format encodes the request and parses the answer. Two
//! different formats are converted through a provider-independent form; if client and provider use
//! the same format, the bytes pass through. The HTTP client enforces all limits and timeouts.
//!
//! A failure before the first token is retried. There is no retry after it, because the reader has
//! seen text by then. An answer is complete only if the provider said so: a stream that merely ends
//! is a failure.
//!
//! The crate depends neither on the database nor on the HTTP API, so that workers and the gateway
//! can share it.

mod ai;
pub mod batch;
mod blocking_pool;
mod call;
mod call_ids;
mod canonical;
mod capability_check;
mod chat;
mod compaction;
mod context_window;
mod conversation;
mod count;
mod demo;
mod dialect;
mod embeddings;
mod error;
mod forward;
mod gateway_error;
mod health;
mod image_download;
mod image_limits;
pub mod keys;
mod meter;
mod multipart;
mod ollama;
mod params;
mod passthrough_call;
mod preflight;
mod profile;
mod provider_http;
mod reasoning_blocks;
mod requested_model;
mod response_history;
mod response_store;
mod route;
mod schema;
pub mod settings;
mod tapped_stream;
mod thought_signatures;
mod tool_names;
mod transcription;
mod translate;
mod used_call_ids;
mod web_search;

pub use ai::{Ai, KeyStateChange, LearnedSetting, LearnedSettings, MAX_LEARNED_SETTINGS};
pub use appcore::Secret;
pub use call::{AnswerBody, ApiStyle, Call, Deployment, Fallbacks, Forwarded, Frames, Route};
pub use capability_check::{Capability, CapabilityCheck, CheckVerdict};
pub use chat::{
    ChatCall, ChatDelta, ChatFile, ChatMessage, ChatPicture, ChatRequest, ChatResult, ChatRound, ChatStream, ChatTool,
    Finish, Role,
};
pub use compaction::compaction_request;
pub use context_window::{estimate_tokens, turn_tokens, window};
pub use dialect::{
    ProviderKind,
    gemini::client_body::{GeminiMethod, normalise_gemini_body, parse_gemini_path},
    openai_responses::background,
};
pub use error::AiError;
pub use gateway_error::{ErrorKind, GatewayError, Rendered};
pub use health::{ProviderHealth, ProviderState, ProviderTestError};
pub use image_limits::ImageLimit;
pub use meter::{CallHistory, ExtraCalls, FailedAttempt, Meter, ServedBy, ToolUses, Usage};
pub use multipart::{FormFile, MultipartForm};
pub use ollama::{
    OllamaAnswer, OllamaEmbedding, OllamaEmbeddingEndpoint, OllamaEndpoint, OllamaRequest, OllamaTarget,
    read_ollama_model,
};
pub use params::ModelParamOverrides;
pub use passthrough_call::{PassthroughBody, PassthroughCall, PassthroughEndpoint, PassthroughRequest};
pub use preflight::{RequestInfo, RequestLabels, TokenEstimate, inspect, parse_end_user, parse_tag};
pub use requested_model::set_model;
pub use response_history::PreviousResponse;
pub use response_store::ResponseStore;
pub use settings::{AiSettings, Limits, ProviderSettings};
pub use transcription::{AudioTask, Recording, audio_tokens};
pub use web_search::{MAX_RESULT_TOKENS, SearchDemand, client::SearchSettings, method::SearchCounts};
