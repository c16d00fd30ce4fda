//! Assistants, and the templates of what they are asked.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{AssistantTools, stored_by_name};
use crate::{AssistantId, PromptId, Timestamp, UserId, WorkspaceId};

/// An assistant that one can talk to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Assistant {
    pub id: AssistantId,
    pub workspace_id: Option<WorkspaceId>,
    pub name: String,
    /// What it is for, in one line.
    pub description: Option<String>,
    /// Null: the installation's default.
    pub model: Option<String>,
    /// Who it is and how it answers. Told to those who may change it: its maker, and the workspace's owner and admins.
    pub system_prompt: Option<String>,
    /// From 0 (always alike) to 2. Null: the model's own.
    pub temperature: Option<f64>,
    /// The longest answer, in tokens. Null: the model's own.
    pub max_answer_tokens: Option<u32>,
    pub picture: Option<Picture>,
    /// Whether it may use tools, where there are any.
    pub tools_enabled: bool,
    /// Which tools it has.
    pub tools: Vec<AssistantTools>,
    /// Who may talk to it.
    pub visibility: Visibility,
    /// Whether it answers where it is mentioned, beside its own chats.
    pub answers_mentions: bool,
    /// Whether people may choose another model for a chat or a question.
    pub model_choice: bool,
    /// Questions to begin with.
    pub starters: Vec<String>,
    /// Whether it is the one that `kind: "assistant"` means without an `assistant_id`.
    pub is_default: bool,
    /// Whether the caller may change it.
    pub may_edit: bool,
    pub created_by: Option<UserId>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// What an assistant looks like.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Picture {
    /// An icon's name, such as `feather`, or one emoji.
    #[schema(min_length = 1, max_length = 32)]
    pub glyph: String,
    /// The colour behind it, as an angle.
    #[schema(minimum = 0, maximum = 359)]
    pub hue: Option<u16>,
}

/// Who may use something that belongs to a workspace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Visibility {
    /// Everybody in the workspace.
    Workspace,
    /// Whoever made it.
    Private,
}

stored_by_name! {
    Visibility { Workspace = "workspace", Private = "private" }
}

/// A question to an assistant that is kept, with places to fill in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Prompt {
    pub id: PromptId,
    pub workspace_id: WorkspaceId,
    /// What is typed after the slash.
    pub command: String,
    pub title: String,
    /// With `{{name}}` where something is filled in.
    pub content: String,
    /// The names in the content, each once, in their order.
    pub variables: Vec<String>,
    pub visibility: Visibility,
    pub author: Option<PromptAuthor>,
    /// Whether the caller may change it.
    pub may_edit: bool,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// Who wrote a prompt, or added an emoji.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PromptAuthor {
    pub id: UserId,
    pub name: String,
}
