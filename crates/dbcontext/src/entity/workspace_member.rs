//! Members of workspaces. The row of a former member stays, with `is_deleted`.

use appcore::{Timestamp, UserId, WorkspaceId, view::WorkspaceRole};
use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "workspace_members")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub workspace_id: WorkspaceId,
    #[sea_orm(primary_key, auto_increment = false)]
    pub user_id: UserId,
    pub role: WorkspaceRole,
    /// Time at which the member was removed; a removed member can return only by an invitation.
    /// `None` if the member has left.
    pub removed_at: Option<Timestamp>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub is_deleted: bool,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
