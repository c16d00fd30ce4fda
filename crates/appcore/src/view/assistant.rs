//! Assistants.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{AssistantId, Timestamp, WorkspaceId};

/// An assistant that one can talk to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Assistant {
    pub id: AssistantId,
    pub workspace_id: Option<WorkspaceId>,
    pub name: String,
    pub model: Option<String>,
    /// Who it is and how it answers. Told to those who may change it: its maker, and the workspace's owner and admins.
    pub system_prompt: Option<String>,
    /// Whether it is the one that `kind: "assistant"` means without an `assistant_id`.
    pub is_default: bool,
    pub created_at: Timestamp,
}
