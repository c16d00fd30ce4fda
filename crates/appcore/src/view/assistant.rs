//! Assistants and prompt templates.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{AssistantTools, stored_by_name};
use crate::{AssistantId, PromptId, Timestamp, UserId, WorkspaceId};

/// Assistant that can be a member of conversations.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Assistant {
    pub id: AssistantId,
    pub workspace_id: Option<WorkspaceId>,
    pub name: String,
    /// Purpose, in one line.
    pub description: Option<String>,
    /// Model; null for the server's default.
    pub model: Option<String>,
    /// System prompt, only for users who may edit the assistant: its creator, and the workspace's
    /// owner and admins.
    pub system_prompt: Option<String>,
    /// Sampling temperature from 0 to 2; null for the model's default.
    pub temperature: Option<f64>,
    /// Maximum tokens in an answer; null for the model's default.
    pub max_answer_tokens: Option<u32>,
    pub picture: Option<Picture>,
    /// True if the assistant may use tools.
    pub tools_enabled: bool,
    /// Tools that the assistant may use, by server.
    pub tools: Vec<AssistantTools>,
    /// Users who may talk to the assistant.
    pub visibility: Visibility,
    /// True if it answers mentions in other conversations.
    pub answers_mentions: bool,
    /// True if users may choose another model.
    pub model_choice: bool,
    /// Suggested first questions.
    pub starters: Vec<String>,
    /// True for the default assistant, used for an `assistant` conversation without `assistant_id`.
    pub is_default: bool,
    /// True if the caller may edit the assistant.
    pub may_edit: bool,
    pub created_by: Option<UserId>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// Picture of an assistant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Picture {
    /// Name of an icon, such as `feather`, or one emoji.
    #[schema(min_length = 1, max_length = 32)]
    pub glyph: String,
    /// Background colour, as a hue in degrees.
    #[schema(minimum = 0, maximum = 359)]
    pub hue: Option<u16>,
}

/// Users who can see a resource of a workspace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Visibility {
    /// All members of the workspace.
    Workspace,
    /// Only the creator.
    Private,
}

stored_by_name! {
    Visibility { Workspace = "workspace", Private = "private" }
}

/// Prompt template with variables.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Prompt {
    pub id: PromptId,
    pub workspace_id: WorkspaceId,
    /// Slash command that inserts the prompt.
    pub command: String,
    pub title: String,
    /// Text; `{{name}}` stands for a variable.
    pub content: String,
    /// Names of the variables, in order of appearance.
    pub variables: Vec<String>,
    pub visibility: Visibility,
    pub author: Option<PromptAuthor>,
    /// True if the caller may edit the prompt.
    pub may_edit: bool,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// Author of a prompt or an emoji.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PromptAuthor {
    pub id: UserId,
    pub name: String,
}
