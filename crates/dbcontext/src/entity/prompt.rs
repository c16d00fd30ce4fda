//! Prompt library of workspaces.

use appcore::{PromptId, Timestamp, UserId, WorkspaceId, view::Visibility};
use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "prompts")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: PromptId,
    pub workspace_id: WorkspaceId,
    /// User who added the prompt; `None` if the account was deleted.
    pub created_by: Option<UserId>,
    pub command: String,
    pub title: String,
    pub search_title: String,
    pub content: String,
    pub visibility: Visibility,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
