//! The trait of a provider; each implementation is a file beside it.

pub mod demo;
pub mod gemini;
pub mod openai;

use async_trait::async_trait;
use tokio::time::Instant;

use crate::{AiError, ChatRequest, ChatStream, Secret};

/// Someone who answers: it writes a request in its upstream's dialect and reads the frames of the answer.
///
/// Keys, retries, limits and time-outs are not its business. It asks once, with the key that it is given.
#[async_trait]
pub trait Provider: Send + Sync + 'static {
    /// Asks and gives back the answer as it comes. All of it has to be there by `deadline`.
    async fn stream(
        &self,
        request: &ChatRequest,
        key: Option<&Secret>,
        deadline: Instant,
    ) -> Result<ChatStream, AiError>;
}
