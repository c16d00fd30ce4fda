//! OpenAI's responses, as a door. Nothing is stored, so what would need a stored answer is refused and never ignored.

pub(crate) mod answer;
pub(crate) mod request;
