//! The gateway: what programs ask of AI providers, in the forms of OpenAI and Anthropic.

pub(crate) mod failure;

use crate::EndpointDef;

/// What every path of it begins with.
pub(crate) const ROOT: &str = "/v1";

/// Every endpoint under `/v1`.
pub(crate) fn all() -> impl Iterator<Item = &'static EndpointDef> {
    [].into_iter()
}
