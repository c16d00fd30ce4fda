//! The gateway: what programs ask of AI providers, in the forms of OpenAI and Anthropic.
//!
//! A question goes to a provider ([`ai::Ai::forward`]), and nothing of it goes on when its client leaves.

mod call;
pub(crate) mod failure;
mod models;
mod questions;
mod settling;
mod stream;
mod transcriptions;

use std::time::Duration;

use crate::{Bound, EndpointDef};

/// What every path of it begins with.
pub(crate) const ROOT: &str = "/v1";
/// What we need beside the provider.
const OVERHEAD: Duration = Duration::from_secs(10);

const RESOURCES: &[&[EndpointDef]] = &[questions::ENDPOINTS, transcriptions::ENDPOINTS, models::ENDPOINTS];

/// Every endpoint under `/v1`.
pub(crate) fn all() -> impl Iterator<Item = &'static EndpointDef> {
    RESOURCES.iter().flat_map(|resource| resource.iter())
}

/// The provider's deadline comes first, so that what it did is told.
const fn deadline() -> Bound<Duration> {
    Bound::Setting(|config| config.ai.answer_timeout.saturating_add(OVERHEAD))
}

const fn max_body() -> Bound<usize> {
    Bound::Setting(|config| config.gateway.max_body_bytes)
}
