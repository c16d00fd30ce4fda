//! API keys, which act for their owners.

use appcore::{ApiKeyId, Timestamp, UserId, WorkspaceId};
use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "api_keys")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: ApiKeyId,
    pub user_id: UserId,
    pub name: String,
    /// Start of the key, which is shown to its owner.
    pub prefix: String,
    pub key_hash: Vec<u8>,
    pub scopes: String,
    pub expires_at: Option<Timestamp>,
    pub last_used_at: Option<Timestamp>,
    pub revoked_at: Option<Timestamp>,
    pub workspace_id: Option<WorkspaceId>,
    /// Allowed models as JSON. If a limit of the key is `None`, its owner's limit applies.
    pub models: Option<String>,
    /// Comma-separated names of the endpoints that the key may call.
    pub endpoints: Option<String>,
    pub rpm: Option<i64>,
    pub tpm: Option<i64>,
    pub parallel: Option<i64>,
    /// Hash of the key before its last rotation; the old key is valid until `previous_until`.
    pub previous_hash: Option<Vec<u8>>,
    pub previous_until: Option<Timestamp>,
    /// Restricted passthrough parameters that the key may send, comma-separated; `None` allows all
    /// of them.
    pub passes: Option<String>,
    /// Source of the end user of a call; `None` is the default.
    pub end_users: Option<String>,
    /// Budgets of parts of the key's calls as JSON.
    pub scoped_budgets: Option<String>,
    pub created_at: Timestamp,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
