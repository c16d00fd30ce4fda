//! The dialects: one module each, pure functions from bytes to the neutral form and back.

pub(crate) mod anthropic;
pub(crate) mod fields;
pub(crate) mod gemini;
pub(crate) mod openai_chat;
pub(crate) mod openai_responses;
pub(crate) mod pass;

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
