//! The dialects: one module each, pure functions from bytes to the neutral form and back.

pub(crate) mod openai_chat;
