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
    /// Replies, oldest first. Deleted ones keep their position.
    pub items: Vec<Message>,
    /// True if there are more replies in the direction of reading.
    pub has_more: bool,
    pub own: ThreadPosition,
}

/// The user's state in a thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct ThreadPosition {
    pub following: bool,
    /// Number of the last reply that the user has read; 0 if they don't follow it.
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

/// Message with those before and after it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Neighbours {
    /// Oldest first.
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

/// True if the caller has saved the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct SavedState {
    pub saved: bool,
}
