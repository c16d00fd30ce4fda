//! Conversations.

use appcore::{
    ConversationId, Timestamp, UserId, WorkspaceId,
    view::{ConversationKind, HistoryScope, MentionAll, Posting},
};
use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "conversations")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: ConversationId,
    pub workspace_id: WorkspaceId,
    pub kind: ConversationKind,
    pub title: Option<String>,
    pub topic: Option<String>,
    /// Workspace and sorted member ids of a direct conversation; unique, so that a pair has one
    /// conversation.
    #[sea_orm(unique)]
    pub pair_key: Option<String>,
    pub last_seq: i64,
    pub last_activity_at: Timestamp,
    pub created_by: UserId,
    /// Folded title, unique among the public channels of a workspace.
    pub search_title: Option<String>,
    /// Number of the last message. In contrast, `last_seq` counts all events.
    pub last_no: i64,
    pub archived_at: Option<Timestamp>,
    pub is_default: bool,
    pub posting: Posting,
    /// Model chosen for an assistant chat.
    pub model: Option<String>,
    pub history: HistoryScope,
    pub mention_all: MentionAll,
    pub slow_mode_seconds: i64,
    /// Word filter as JSON.
    pub word_filter: Option<String>,
    pub last_message_at: Timestamp,
    pub created_at: Timestamp,
    pub is_deleted: bool,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
