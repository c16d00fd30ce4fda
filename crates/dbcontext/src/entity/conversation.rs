//! Conversations.

use appcore::{ConversationId, Timestamp, UserId, WorkspaceId};
use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "conversations")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: ConversationId,
    pub workspace_id: WorkspaceId,
    pub kind: String,
    pub title: Option<String>,
    pub topic: Option<String>,
    /// The title as it is compared; a public channel's is the only one in its workspace.
    pub search_title: Option<String>,
    #[sea_orm(unique)]
    pub pair_key: Option<String>,
    pub last_seq: i64,
    /// The number of its newest message.
    pub last_no: i64,
    pub last_activity_at: Timestamp,
    /// When its newest message was written, or it was made.
    pub last_message_at: Timestamp,
    pub created_by: UserId,
    pub created_at: Timestamp,
    pub archived_at: Option<Timestamp>,
    /// It is the channel that every member of its workspace is in.
    pub is_default: bool,
    pub posting: String,
    /// The model that was chosen for a chat with an assistant.
    pub model: Option<String>,
    pub mention_all: String,
    pub history: String,
    /// How long a member waits between two messages.
    pub slow_mode_seconds: i64,
    /// As JSON.
    pub word_filter: Option<String>,
    pub is_deleted: bool,
}

impl ActiveModelBehavior for ActiveModel {}
