//! The AI layer: one interface to all providers of language models.
//!
//! [`Ai::chat`] takes a model's name and a conversation and gives back a stream of text. Behind it stand, in this order: the
//! model map ([`settings`]) that finds the provider; the key pool ([`keys`]) that lends the least used key which is not resting;
//! the provider ([`provider`]) that speaks the upstream's dialect; and the wire ([`wire`]), which turns bytes into frames and
//! holds every limit and time-out. A provider differs from another only in how it writes a request and reads a frame.
//!
//! A failure before the first token is retried silently ([`Ai::chat`]); after it there is never a second try, because a reader
//! has seen text by then. An answer is complete only when the provider said so: a stream that merely ends is a failure.
//!
//! This crate knows neither the database nor our requests, so that workers and the gateway can share it.

mod ai;
mod call;
mod chat;
mod dialect;
mod error;
mod forward;
mod gateway_error;
pub mod keys;
mod meter;
mod peek;
pub mod provider;
mod relay;
mod route;
pub mod settings;
mod window;
pub mod wire;

pub use ai::Ai;
pub use appcore::Secret;
pub use call::{AnswerBody, Call, Deployment, Door, Fallbacks, Forwarded, Frames, Route};
pub use chat::{ChatDelta, ChatMessage, ChatRequest, ChatStream, Finish, Role};
pub use error::AiError;
pub use gateway_error::{ErrorKind, GatewayError, Rendered};
pub use meter::{Meter, Served, Usage};
pub use peek::{Peek, peek};
pub use settings::{AiSettings, Limits, ProviderKind, ProviderSettings};
pub use window::{estimate_tokens, window};
