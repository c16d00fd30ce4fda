//! Envelopes: events in the form in which they are delivered, with their recipients and the changes
//! of subscriptions that they cause.

use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{DurableBody, Event, LogPosition};
use crate::{BroadcastId, ConversationId, EventId, Timestamp, UserId, WorkspaceId, view::Audience};

/// Maximum number of users or conversations in one bus message.
pub const MAX_BATCHED_IDS: usize = 500;

/// Recipients of an envelope.
///
/// A connection *follows* the conversations of its user: it gets their durable events. It *views*
/// the conversations that its client displays. In conversations of up to
/// `realtime.small_conversation` members, every follower counts as a viewer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Topic {
    /// All followers of the conversation.
    Conversation(ConversationId),
    /// All viewers of the conversation.
    Viewers(ConversationId),
    /// All followers of at least one of these conversations. At most [`MAX_NAMED`].
    Conversations(Vec<ConversationId>),
    /// All followers of at least one of these conversations, and all connections that watch this
    /// user's presence. At most [`MAX_NAMED`] conversations.
    #[serde(rename = "Acquainted")]
    Contacts { user_id: UserId, conversation_ids: Vec<ConversationId> },
    /// All connections of the workspace's members.
    Workspace(WorkspaceId),
    /// All connections of this user.
    User(UserId),
    /// All connections of these users. At most [`MAX_NAMED`].
    Users(Vec<UserId>),
    /// All connections.
    Everyone,
    /// All connections of the users in an announcement's audience. Each instance selects them among
    /// its own connections.
    #[serde(rename = "Concerned")]
    AnnouncementAudience {
        broadcast_id: BroadcastId,
        audience: Audience,
        /// True if the delivery to each recipient is recorded.
        is_counted: bool,
    },
}

/// Change of subscriptions that an envelope causes. Additions take effect before the envelope is
/// delivered, removals afterwards.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FollowChange {
    None,
    /// These users follow the envelope's conversation from its position on.
    Follow(Vec<UserId>),
    /// These users no longer follow the envelope's conversation.
    Unfollow(Vec<UserId>),
    /// No user follows the conversation any more.
    UnfollowAll,
    /// The user joined a conversation whose joins and leaves have no sequence number, or the user's
    /// role in it changed. `last_seq` is the last sequence number of the conversation's events.
    Join {
        conversation_id: ConversationId,
        user_id: UserId,
        last_seq: i64,
    },
    /// The user left a conversation whose joins and leaves have no sequence number.
    Leave {
        conversation_id: ConversationId,
        user_id: UserId,
    },
    /// The user joined the workspace.
    EnterWorkspace {
        user_id: UserId,
        workspace_id: WorkspaceId,
    },
    /// The user left the workspace.
    LeaveWorkspace {
        user_id: UserId,
        workspace_id: WorkspaceId,
    },
    /// The workspace was deleted.
    EndWorkspace(WorkspaceId),
}

/// Event in the form in which it is delivered, with a serialised payload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope {
    pub id: EventId,
    /// Value of the event's `type`.
    pub kind: String,
    pub timestamp: Timestamp,
    pub topic: Topic,
    pub position: Option<LogPosition>,
    pub effect: FollowChange,
    /// Payload as compact JSON.
    pub payload: Bytes,
}

impl Envelope {
    /// Serialises `event` for the recipients in `topic`.
    pub fn seal(event: &Event, topic: Topic, timestamp: Timestamp) -> Result<Self, serde_json::Error> {
        let effect = match event {
            Event::Durable { body, .. } => match body {
                DurableBody::MemberAdded { member } => FollowChange::Follow(vec![member.user_id]),
                DurableBody::MemberRemoved { user_id } => FollowChange::Unfollow(vec![*user_id]),
                DurableBody::ConversationDeleted {} => FollowChange::UnfollowAll,
                _ => FollowChange::None,
            },
            Event::MemberJoined { conversation_id, member, last_seq }
            | Event::MemberRoleChanged { conversation_id, member, last_seq } => {
                FollowChange::Join { conversation_id: *conversation_id, user_id: member.user_id, last_seq: *last_seq }
            }
            Event::MemberLeft { conversation_id, user_id } => {
                FollowChange::Leave { conversation_id: *conversation_id, user_id: *user_id }
            }
            _ => FollowChange::None,
        };
        let position = event.position();
        Ok(Self {
            id: position.map_or_else(EventId::new, EventId::for_position),
            kind: event.kind().to_owned(),
            timestamp,
            topic,
            position,
            effect,
            payload: serde_json::to_vec(event)?.into(),
        })
    }

    #[must_use]
    pub fn with_follow_change(self, effect: FollowChange) -> Self {
        Self { effect, ..self }
    }

    /// Splits the event of a conversation's creation into envelopes that contain at most
    /// [`MAX_NAMED`] of the members each.
    pub fn creation_envelopes(self, members: &[UserId]) -> impl Iterator<Item = Self> {
        members.chunks(MAX_BATCHED_IDS).map(move |users| Self {
            topic: Topic::Users(users.to_vec()),
            effect: FollowChange::Follow(users.to_vec()),
            ..self.clone()
        })
    }
}

/// Envelope that all shards and wire formats share.
pub type SharedEnvelope = Arc<Envelope>;
