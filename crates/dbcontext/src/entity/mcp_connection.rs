//! OAuth tokens of users for MCP servers.

use appcore::{McpServerId, Timestamp, UserId};
use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "mcp_connections")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub user_id: UserId,
    #[sea_orm(primary_key, auto_increment = false)]
    pub server_id: McpServerId,
    /// JSON, sealed if a secret is configured.
    pub tokens: Vec<u8>,
    pub is_sealed: bool,
    /// Expiry of the access token.
    pub expires_at: Option<Timestamp>,
    /// True if the user must sign in again.
    pub is_expired: bool,
    /// Version of the tokens, incremented when they change.
    pub version: i64,
    /// End of the lease of the worker that renews the tokens.
    pub claimed_until: Option<Timestamp>,
    /// OAuth scope requested by the server in addition to the configured one.
    pub extra_scope: Option<String>,
    /// True if the server has requested more scope since the user last signed in.
    pub lacks_scope: bool,
    pub created_at: Timestamp,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
