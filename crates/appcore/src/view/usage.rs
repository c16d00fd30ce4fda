//! Usage of AI models.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{ModelPrice, stored_by_name};
use crate::{ApiKeyId, Timestamp, UserId, WorkspaceId, credits::MicroCredits};

/// Request to a model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UsageRequest {
    #[schema(value_type = String, format = Uuid)]
    pub id: Uuid,
    pub created_at: Timestamp,
    /// Id of the request, as in the header `x-request-id`.
    pub request_id: String,
    /// API key that was used; null for answers in chats.
    pub key_id: Option<ApiKeyId>,
    pub user_id: UserId,
    /// End user whom the caller named; null if it named none.
    pub end_user: Option<String>,
    /// Tags that the caller set.
    pub tags: Vec<String>,
    /// Endpoint of `/v1`, or `assistant` for an answer in a chat.
    pub endpoint: String,
    pub asked_model: String,
    /// Model that answered, by its name at the provider.
    pub model: String,
    pub deployment: String,
    /// Input tokens, including cached ones.
    pub input_tokens: u64,
    pub cached_tokens: u64,
    pub cache_write_tokens: u64,
    /// Output tokens, including reasoning.
    pub output_tokens: u64,
    pub reasoning_tokens: u64,
    pub audio_tokens: u64,
    pub cost: MicroCredits,
    /// Version of the price table by which the cost was calculated.
    pub price_version: String,
    /// True if the token counts are estimates.
    pub estimated: bool,
    /// HTTP status of the response; 499 if the client disconnected.
    pub status: u16,
    pub first_token_ms: Option<u64>,
    pub duration_ms: u64,
    pub tries: u32,
}

/// Failed attempt of a request at a provider.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UsageAttempt {
    pub provider: String,
    /// Provider's name of the model.
    pub model: String,
    /// Error code, such as `provider_busy`.
    pub error: String,
    pub duration_ms: u64,
}

/// Reason why this server refused a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum UsageRefusal {
    RequestsPerMinute,
    TokensPerMinute,
    ParallelRequests,
    KeyBudget,
    UserBudget,
    WorkspaceBudget,
    EndUserBudget,
    ModelBudget,
    TagBudget,
    Credits,
    Quota,
    NoPrice,
    Unavailable,
}

/// Request to a model, and how it was answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UsageRequestDetails {
    #[serde(flatten)]
    pub request: UsageRequest,
    pub workspace_id: Option<WorkspaceId>,
    /// Name of the model on this server; null for requests of older versions.
    pub model_name: Option<String>,
    /// Failed attempts before the last one, at most 10.
    pub failed_attempts: Vec<UsageAttempt>,
    /// Settings by which the request was adapted after a provider's refusal, at most 10.
    pub repairs: Vec<String>,
    /// Reason why this server refused the request; null if it was sent to a provider.
    pub refusal: Option<UsageRefusal>,
    /// Price by which the cost was calculated; null if the model has none or it has changed since.
    pub price: Option<ModelPrice>,
    /// Percentage of the price that was charged, if the provider's batch API executed the request.
    pub batch_price_percent: Option<u8>,
}

/// Grouping of the usage report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum UsageGrouping {
    #[default]
    Day,
    Model,
    Key,
    User,
    EndUser,
    /// Requests with several tags count for each, those without tags for none.
    Tag,
}

stored_by_name! {
    UsageGrouping { Day = "day", Model = "model", Key = "key", User = "user", EndUser = "end_user", Tag = "tag" }
}

/// Usage of one day, model, key, user, end user or tag.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UsageGroup {
    /// Date such as `2026-11-23`, name of a model, end user or tag, or id of an API key or user. Grouped
    /// by key, it is empty for answers in chats; grouped by end user, for requests without one.
    pub key: String,
    pub requests: u64,
    /// Number of failed requests.
    pub failed: u64,
    pub input_tokens: u64,
    pub cached_tokens: u64,
    pub output_tokens: u64,
    pub cost: MicroCredits,
}
