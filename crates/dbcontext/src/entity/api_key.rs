//! Keys by which programs act for their owners.

use appcore::{ApiKeyId, Timestamp, UserId, WorkspaceId};
use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "api_keys")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: ApiKeyId,
    pub user_id: UserId,
    pub name: String,
    pub prefix: String,
    pub key_hash: Vec<u8>,
    pub scopes: String,
    pub created_at: Timestamp,
    pub expires_at: Option<Timestamp>,
    pub last_used_at: Option<Timestamp>,
    pub revoked_at: Option<Timestamp>,
    pub workspace_id: Option<WorkspaceId>,
    /// A JSON array.
    #[sea_orm(column_type = "Text", nullable)]
    pub models: Option<String>,
    /// Names with commas between them.
    pub endpoints: Option<String>,
    /// Names with commas between them; none at all where it is empty.
    pub passes: Option<String>,
    pub rpm: Option<i64>,
    pub tpm: Option<i64>,
    pub parallel: Option<i64>,
    /// The fingerprint from before the last rotation, and until when it is accepted.
    pub previous_hash: Option<Vec<u8>>,
    pub previous_until: Option<Timestamp>,
}

impl ActiveModelBehavior for ActiveModel {}
