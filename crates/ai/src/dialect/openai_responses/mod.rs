//! OpenAI's responses, for callers, and for upstreams that speak them. Nothing is stored, so what would need a stored answer is refused and never ignored.

pub(crate) mod answer;
pub(crate) mod hosted;
mod names;
pub(crate) mod pass;
pub(crate) mod pieces;
pub(crate) mod request;
