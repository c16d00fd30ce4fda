//! Rows of the usage log.

use std::time::Duration;

use ::ai::{CallHistory, RequestLabels, Usage};
use appcore::{ApiKeyId, Timestamp, credits::MicroCredits};
use dbcontext::entity::usage_request::Model;
use uuid::Uuid;

use crate::{BillingIdentity, call_details::CallDetails};

/// Facts about a call that are known when it begins.
pub(crate) struct UsageRow {
    pub created_at: Timestamp,
    pub request_id: String,
    /// API key of the call; `None` for internal calls.
    pub key_id: Option<ApiKeyId>,
    pub asker: BillingIdentity,
    pub labels: RequestLabels,
    pub endpoint: String,
    pub requested_model: String,
    /// Name of the model on this server.
    pub model_name: String,
    pub price_version: String,
}

/// Outcome of a call that reached a model.
pub(crate) struct ServedCall<'a> {
    pub usage: &'a Usage,
    pub cost: MicroCredits,
    /// Upstream name of the model.
    pub model: String,
    pub deployment: String,
    /// HTTP status that describes the outcome.
    pub status: u16,
    pub first_token: Option<Duration>,
    pub duration: Duration,
    pub tries: u32,
    pub history: CallHistory,
    /// Price of the provider's batch API in percent of the ordinary one, if that executed the call.
    pub batch_price_percent: Option<u8>,
}

impl UsageRow {
    /// Row of a call that reached no model.
    pub fn refused(self, status: u16, details: &CallDetails) -> Model {
        let Self { created_at, request_id, key_id, asker, labels, endpoint, requested_model, model_name, .. } = self;
        Model {
            id: Uuid::now_v7(),
            created_at,
            request_id,
            key_id,
            user_id: asker.user_id,
            workspace_id: asker.workspace_id,
            end_user: labels.end_user,
            tags: store_tags(&labels.tags),
            endpoint,
            requested_model,
            model_name: Some(model_name),
            model: String::new(),
            deployment: String::new(),
            input_tokens: 0,
            cached_tokens: 0,
            cache_write_tokens: 0,
            output_tokens: 0,
            reasoning_tokens: 0,
            audio_tokens: 0,
            cost: MicroCredits::ZERO,
            price_version: self.price_version,
            estimated: false,
            status: i64::from(status),
            first_token_ms: None,
            duration_ms: 0,
            attempts: 0,
            details: details.to_stored(),
        }
    }

    /// Row of a call that reached a model, however it ended.
    pub fn served(self, served: ServedCall<'_>) -> Model {
        let ServedCall { usage, cost, model, deployment, status, first_token, duration, tries, .. } = served;
        let details = CallDetails { batch_price_percent: served.batch_price_percent, ..served.history.into() };
        Model {
            model,
            deployment,
            input_tokens: count(usage.input),
            cached_tokens: count(usage.cached),
            cache_write_tokens: count(usage.cache_write),
            output_tokens: count(usage.output),
            reasoning_tokens: count(usage.reasoning),
            audio_tokens: count(usage.audio),
            cost,
            estimated: usage.estimated,
            first_token_ms: first_token.map(millis),
            duration_ms: millis(duration),
            attempts: i64::from(tries),
            ..self.refused(status, &details)
        }
    }
}

/// Encodes tags for storage; `None` if there are none.
fn store_tags(tags: &[String]) -> Option<String> {
    if tags.is_empty() { None } else { serde_json::to_string(tags).ok() }
}

pub(crate) fn parse_tags(stored: Option<&str>) -> Vec<String> {
    stored.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}

/// Tokens that count against a quota.
pub(crate) fn tokens(row: &Model) -> i64 {
    row.input_tokens.saturating_add(row.output_tokens)
}

pub(crate) fn count(tokens: Option<u64>) -> i64 {
    i64::try_from(tokens.unwrap_or(0)).unwrap_or(i64::MAX)
}

pub(crate) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
