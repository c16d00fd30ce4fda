//! Tools that a user has allowed permanently.

use appcore::{AssistantId, McpServerId, Timestamp, ToolPermissionId, UserId};
use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "tool_permissions")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: ToolPermissionId,
    pub user_id: UserId,
    pub assistant_id: AssistantId,
    pub server_id: McpServerId,
    pub tool: String,
    pub title: Option<String>,
    /// Digest of the tool definition; a changed tool needs permission again.
    pub digest: String,
    pub created_at: Timestamp,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
