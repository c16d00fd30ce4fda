//! The trait of a provider; each implementation is a file beside it.

pub mod demo;
pub mod gemini;
pub mod openai;

use async_trait::async_trait;
use tokio::time::Instant;

use crate::{AiError, ChatRequest, ChatStream, Secret};

/// An AI provider: writes requests in its upstream's format and reads the frames of the answer.
///
/// Keys, retries, limits and time-outs are handled elsewhere: it asks once, with the key that it is given.
#[async_trait]
pub trait Provider: Send + Sync + 'static {
    /// Sends the request and streams the answer, which must be complete by `deadline`.
    async fn stream(
        &self,
        request: &ChatRequest,
        key: Option<&Secret>,
        deadline: Instant,
    ) -> Result<ChatStream, AiError>;
}
