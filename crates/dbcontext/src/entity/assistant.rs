//! Assistants.

use appcore::{AssistantId, Timestamp, UserId, WorkspaceId, view::Visibility};
use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "assistants")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: AssistantId,
    /// Workspace of the assistant; `None` for the default assistant, which is available in all
    /// workspaces.
    pub workspace_id: Option<WorkspaceId>,
    pub name: String,
    /// Folded form of the name.
    pub search_name: String,
    /// Name of the model; `None` for the installation's default model.
    pub model: Option<String>,
    pub system_prompt: Option<String>,
    pub created_by: Option<UserId>,
    pub description: Option<String>,
    /// Sampling temperature in hundredths; `None` for the model's default.
    pub temperature: Option<i32>,
    pub max_answer_tokens: Option<i32>,
    /// Icon name or emoji.
    pub glyph: Option<String>,
    pub hue: Option<i32>,
    pub tools_enabled: bool,
    pub visibility: Visibility,
    pub answers_mentions: bool,
    pub model_choice: bool,
    /// Suggested first messages as JSON.
    pub starters: Option<String>,
    /// Tools of MCP servers as JSON.
    pub tools: Option<String>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub is_deleted: bool,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
