//! Files of the AI gateway.

use appcore::{GatewayFileId, Timestamp, UserId, WorkspaceId, view::GatewayFileState};
use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "gateway_files")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: GatewayFileId,
    pub user_id: UserId,
    /// Workspace of the key that stored the file.
    pub workspace_id: Option<WorkspaceId>,
    pub name: String,
    pub purpose: String,
    /// Size in bytes; while the file is received, the size that is reserved for it.
    pub bytes: i64,
    pub state: GatewayFileState,
    /// True if the file is the input or the result of a batch whose API has no files.
    pub is_internal: bool,
    pub expires_at: Option<Timestamp>,
    pub created_at: Timestamp,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
