//! Threads as somebody reads and follows them, and what people keep of messages for themselves.

use serde::Serialize;
use utoipa::ToSchema;

use super::Message;
use crate::{ConversationId, Timestamp};

/// Part of a thread.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Thread {
    /// The message that the replies belong to.
    pub root: Message,
    /// Replies, oldest first. Deleted ones keep their place.
    pub items: Vec<Message>,
    /// Whether there are more in the direction of reading.
    pub has_more: bool,
    pub own: ThreadPosition,
}

/// What somebody is to a thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct ThreadPosition {
    pub following: bool,
    /// The number of the last reply that they have read; 0 where they don't follow it.
    pub read_no: i64,
    pub unread: i64,
}

/// A thread that somebody follows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct FollowedThread {
    pub root: Message,
    pub conversation_id: ConversationId,
    pub unread: i64,
    pub last_reply_at: Timestamp,
    pub solved: bool,
}

/// A message with those before and after it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Neighbours {
    /// Oldest first.
    pub items: Vec<Message>,
    pub has_more_before: bool,
    pub has_more_after: bool,
}

/// A message that somebody has saved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct SavedMessage {
    pub message: Message,
    pub saved_at: Timestamp,
}

/// Whether one has saved a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct SavedState {
    pub saved: bool,
}
