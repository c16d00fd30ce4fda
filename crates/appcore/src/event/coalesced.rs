//! Coalesced states. Each shard keeps the latest value of a state and sends it at most once a
//! second.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{ConversationId, UserId, view::Presence};

/// Change of a state that is coalesced in larger conversations. It contains no recipients, because
/// each shard knows its subscribers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Coalesced {
    /// Read positions of these members. Sent to the conversation's viewers in one `receipts` frame.
    Receipts { conversation_id: ConversationId, items: Vec<ReadPosition> },
    /// Number of members of a conversation. Sent to its viewers as `conversation.count`.
    MemberCount { conversation_id: ConversationId, member_count: u32 },
    /// Presence of these users. Sent to their watchers in one `presences` frame.
    Presence(Vec<Presence>),
}

/// Read position of a member in a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReadPosition {
    pub user_id: UserId,
    pub read_seq: i64,
}
