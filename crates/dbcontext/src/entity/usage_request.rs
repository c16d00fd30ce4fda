//! AI requests and their cost.

use appcore::{ApiKeyId, Timestamp, UserId, WorkspaceId, credits::MicroCredits};
use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

/// Serialisable because the gateway journals rows on disk, as JSON, until they are stored.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, Serialize, Deserialize)]
#[sea_orm(table_name = "usage_requests")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub request_id: String,
    /// API key; `None` for an answer in a chat.
    pub key_id: Option<ApiKeyId>,
    pub user_id: UserId,
    pub workspace_id: Option<WorkspaceId>,
    /// End user whom the caller named.
    pub end_user: Option<String>,
    /// Tags that the caller set, as a JSON array.
    pub tags: Option<String>,
    pub endpoint: String,
    pub requested_model: String,
    /// Name of the model on this server; `None` in rows of older releases.
    pub model_name: Option<String>,
    pub model: String,
    pub deployment: String,
    pub input_tokens: i64,
    pub cached_tokens: i64,
    pub cache_write_tokens: i64,
    pub output_tokens: i64,
    pub reasoning_tokens: i64,
    pub audio_tokens: i64,
    pub cost: MicroCredits,
    pub price_version: String,
    /// True if the token counts are estimates because the provider reported none.
    pub estimated: bool,
    pub status: i64,
    pub first_token_ms: Option<i64>,
    pub duration_ms: i64,
    pub attempts: i64,
    /// Failed attempts, repairs and refusal as JSON.
    pub details: Option<String>,
    pub created_at: Timestamp,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
