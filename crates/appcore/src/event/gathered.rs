//! States of which only the latest counts: every shard gathers them and tells them at most once a second.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{ConversationId, UserId, view::Presence};

/// A change of a state that is told in larger conversations. It names no recipients: each shard knows who has asked for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Gathered {
    /// How far these members have read. Told to the conversation's viewers in one `receipts` frame.
    Receipts { conversation_id: ConversationId, items: Vec<ReadPosition> },
    /// How many members a conversation has. Told to its viewers as `conversation.count`.
    MemberCount { conversation_id: ConversationId, member_count: u32 },
    /// The presence of these people. Told to those who watch them in one `presences` frame.
    Presence(Vec<Presence>),
}

/// How far somebody has read a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReadPosition {
    pub user_id: UserId,
    pub read_seq: i64,
}
