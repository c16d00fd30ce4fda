//! Threads, and saved messages.

use serde::Serialize;
use utoipa::ToSchema;

use super::Message;
use crate::{ConversationId, Timestamp};

/// Part of a thread.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Thread {
    /// Root message.
    pub root: Message,
    /// Replies, oldest first; deleted ones without content.
    pub items: Vec<Message>,
    /// True if there are more replies in this direction.
    pub has_more: bool,
    pub own: ThreadPosition,
}

/// State of a thread for the user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct ThreadPosition {
    pub following: bool,
    /// Number of the last reply read; 0 if the user doesn't follow the thread.
    pub read_no: i64,
    pub unread: i64,
}

/// Thread that the user follows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct FollowedThread {
    pub root: Message,
    pub conversation_id: ConversationId,
    pub unread: i64,
    pub last_reply_at: Timestamp,
    pub solved: bool,
}

/// Message with the messages before and after it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Neighbours {
    /// Messages, with the oldest first.
    pub items: Vec<Message>,
    pub has_more_before: bool,
    pub has_more_after: bool,
}

/// Message that the user has saved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct SavedMessage {
    pub message: Message,
    pub saved_at: Timestamp,
}

/// Whether the caller has saved a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct SavedState {
    pub saved: bool,
}
