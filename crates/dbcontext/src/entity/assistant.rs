//! Assistants that one can talk to.

use appcore::{AssistantId, Timestamp, UserId, WorkspaceId};
use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "assistants")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: AssistantId,
    /// None: the default one, which is in no workspace and in all.
    pub workspace_id: Option<WorkspaceId>,
    pub name: String,
    /// The name as it is compared.
    pub search_name: String,
    /// None: the installation's default.
    pub model: Option<String>,
    pub system_prompt: Option<String>,
    /// What it is for, in one line.
    pub description: Option<String>,
    /// In hundredths. None: the model's own.
    pub temperature: Option<i32>,
    pub max_answer_tokens: Option<i32>,
    /// An icon's name or an emoji.
    pub glyph: Option<String>,
    pub hue: Option<i32>,
    pub tools_enabled: bool,
    /// Which tools it has, as JSON.
    #[sea_orm(column_type = "Text", nullable)]
    pub tools: Option<String>,
    pub visibility: String,
    pub answers_mentions: bool,
    pub model_choice: bool,
    /// As JSON.
    pub starters: Option<String>,
    pub created_by: Option<UserId>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub is_deleted: bool,
}

impl ActiveModelBehavior for ActiveModel {}
