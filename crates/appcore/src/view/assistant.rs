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
    /// Purpose of the assistant, in one line.
    pub description: Option<String>,
    /// Model of the assistant; null for the server's default model.
    pub model: Option<String>,
    /// System prompt. It is returned only to users who may edit the assistant: its creator, and the
    /// owner and admins of the workspace.
    pub system_prompt: Option<String>,
    /// Sampling temperature from 0 (deterministic) to 2; null for the model's default.
    pub temperature: Option<f64>,
    /// Maximum length of an answer, in tokens; null for the model's default.
    pub max_answer_tokens: Option<u32>,
    pub picture: Option<Picture>,
    /// True if the assistant may use tools.
    pub tools_enabled: bool,
    /// Tools that the assistant may use, by server.
    pub tools: Vec<AssistantTools>,
    /// Users who may talk to the assistant.
    pub visibility: Visibility,
    /// True if the assistant answers when it is mentioned in other conversations.
    pub answers_mentions: bool,
    /// True if users may choose another model for a chat or a question.
    pub model_choice: bool,
    /// Suggested first questions.
    pub starters: Vec<String>,
    /// True for the default assistant, which a conversation of kind `assistant` gets if it is
    /// created without `assistant_id`.
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
    /// Text, in which `{{name}}` stands for a variable.
    pub content: String,
    /// Names of the variables in the text, each once, in order of appearance.
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
