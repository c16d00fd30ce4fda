//! OpenAI's Responses API, as a client format and for upstreams that offer it. No responses are
//! stored at the provider, so requests that need a stored one are rejected, never ignored.

pub(crate) mod answer;
pub mod background;
pub(crate) mod compaction;
mod function_names;
pub(crate) mod passthrough;
pub(crate) mod provider_format;
pub(crate) mod request;
pub(crate) mod server_tools;
pub(crate) mod stream_conversion;
