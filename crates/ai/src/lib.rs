//! The AI layer: one interface to all providers of language models.
//!
//! [`Ai::chat`] takes a model's name and a conversation and gives back a stream of text, for the assistants of the chat.
//! [`Ai::forward`] takes a call in one of three [dialects](ApiStyle) and gives back the answer in the same, for the gateway; embeddings,
//! transcriptions and the counting of tokens stand beside it. All go the same way: the [route](Route) names deployments, the [key pool](keys) lends the least used key which is not resting, and the
//! dialect's upstream half writes the request and reads the answer. Between two dialects stands the neutral form; where caller and
//! provider speak the same, the bytes pass. The wire holds every limit and time-out.
//!
//! A failure before the first token is followed by another try; after it there is never a second one, because a reader has seen
//! text by then. An answer is complete only when the provider said so: a stream that merely ends is a failure.
//!
//! This crate knows neither the database nor our requests, so that workers and the gateway can share it.

mod ai;
mod call;
mod call_ids;
mod chat;
mod conversation;
mod count;
mod demo;
mod dialect;
mod embeddings;
mod error;
mod forward;
mod gateway_error;
mod given;
mod health;
mod heavy;
pub mod keys;
mod looks;
mod meter;
mod neutral;
mod peek;
mod relay;
mod route;
mod schema;
pub mod settings;
mod shelf;
mod signatures;
mod takes;
mod thoughts;
mod tool_names;
mod transcription;
mod translate;
mod web_pictures;
mod window;
mod wire;

pub use ai::{Ai, KeyNews};
pub use appcore::Secret;
pub use call::{AnswerBody, ApiStyle, Call, Deployment, Fallbacks, Forwarded, Frames, Route};
pub use chat::{
    ChatCall, ChatDelta, ChatFile, ChatMessage, ChatPicture, ChatRequest, ChatResult, ChatRound, ChatStream, ChatTool,
    Finish, Role,
};
pub use dialect::ProviderKind;
pub use error::AiError;
pub use gateway_error::{ErrorKind, GatewayError, Rendered};
pub use given::Followed;
pub use health::{ProviderHealth, ProviderState};
pub use looks::PictureSize;
pub use meter::{Beside, Meter, Served, ToolUses, Usage};
pub use peek::{Peek, Wanted, look};
pub use settings::{AiSettings, Limits, ProviderSettings};
pub use shelf::SharedShelf;
pub use takes::OwnTakes;
pub use transcription::{Recording, sound_tokens};
pub use window::{estimate_tokens, turn_tokens, window};
