//! Chats with assistants that are shown to others of their workspace.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Sender;
use crate::{MessageId, ShareId, Timestamp, UserId, WorkspaceId};

/// That a chat is shared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Share {
    /// In the app it is read at `/shared/{id}`.
    pub id: ShareId,
    /// How many messages are shown.
    pub messages: u64,
    pub created_at: Timestamp,
    /// As it was then it is shown.
    pub updated_at: Timestamp,
}

/// A chat that somebody of one's workspace shares.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SharedChat {
    pub id: ShareId,
    pub workspace_id: WorkspaceId,
    pub title: Option<String>,
    pub shared_by: Sharer,
    /// As it was then it is shown.
    pub updated_at: Timestamp,
}

/// Who shares a chat.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Sharer {
    pub id: UserId,
    pub name: String,
}

/// A message of a chat that is shared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SharedMessage {
    pub id: MessageId,
    pub sender: Sender,
    pub content: String,
    /// The model that wrote an assistant's message.
    pub model: Option<String>,
    /// The names of its files, which are not shared.
    pub files: Vec<String>,
    pub created_at: Timestamp,
}
