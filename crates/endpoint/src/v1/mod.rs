//! AI gateway: OpenAI- and Anthropic-compatible APIs for programs.
//!
//! A call is forwarded to a provider ([`ai::Ai::forward`]) and cancelled when its client disconnects.

mod call;
pub(crate) mod failure;
mod inference;
mod models;
mod settlement;
mod stream;
mod transcriptions;

use std::time::Duration;

use crate::{Bound, EndpointDef};

/// Prefix of all gateway paths.
pub(crate) const ROOT: &str = "/v1";
/// Time added to the provider's deadline for local processing.
const OVERHEAD: Duration = Duration::from_secs(10);

const RESOURCES: &[&[EndpointDef]] = &[inference::ENDPOINTS, transcriptions::ENDPOINTS, models::ENDPOINTS];

/// Every endpoint under `/v1`.
pub(crate) fn all() -> impl Iterator<Item = &'static EndpointDef> {
    RESOURCES.iter().flat_map(|resource| resource.iter())
}

/// Deadline of a call, later than the provider's, so that the provider's error is reported.
const fn deadline() -> Bound<Duration> {
    Bound::Setting(|config| config.ai.answer_timeout.saturating_add(OVERHEAD))
}

const fn max_body() -> Bound<usize> {
    Bound::Setting(|config| config.gateway.max_body_bytes)
}
