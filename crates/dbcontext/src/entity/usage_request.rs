//! Requests to models, one row each.

use appcore::{ApiKeyId, Timestamp, UserId, WorkspaceId, credits::MicroCredits};
use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, Serialize, Deserialize)]
#[sea_orm(table_name = "usage_requests")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub created_at: Timestamp,
    pub request_id: String,
    pub key_id: Option<ApiKeyId>,
    pub user_id: UserId,
    pub workspace_id: Option<WorkspaceId>,
    pub endpoint: String,
    pub requested_model: String,
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
    /// 1: the provider did not say how many tokens it were.
    pub estimated: bool,
    pub status: i64,
    pub first_token_ms: Option<i64>,
    pub duration_ms: i64,
    pub attempts: i64,
}

impl ActiveModelBehavior for ActiveModel {}
