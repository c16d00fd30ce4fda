//! Chats with assistants that are shared with their workspace.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Sender;
use crate::{MessageId, ShareId, Timestamp, UserId, WorkspaceId};

/// Share of a chat.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Share {
    /// Id, for `/shared/{id}` in the app.
    pub id: ShareId,
    /// Number of shared messages.
    pub messages: u64,
    pub created_at: Timestamp,
    /// Time of the snapshot.
    pub updated_at: Timestamp,
}

/// Shared chat of a member of the workspace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SharedChat {
    pub id: ShareId,
    pub workspace_id: WorkspaceId,
    pub title: Option<String>,
    pub shared_by: Sharer,
    /// Time of the snapshot.
    pub updated_at: Timestamp,
}

/// User who shares a chat.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Sharer {
    pub id: UserId,
    pub name: String,
}

/// Message of a shared chat.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SharedMessage {
    pub id: MessageId,
    pub sender: Sender,
    pub content: String,
    /// Model that wrote an assistant's message.
    pub model: Option<String>,
    /// Names of the attached files.
    pub files: Vec<String>,
    pub created_at: Timestamp,
}
