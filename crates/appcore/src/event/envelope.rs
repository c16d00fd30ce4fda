//! An event as it is delivered: to whom, and what it changes about who follows what.

use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{DurableBody, Event, Position};
use crate::{BroadcastId, ConversationId, EventId, Timestamp, UserId, WorkspaceId, view::Audience};

/// The most people or conversations that one message on the bus names.
pub const MAX_NAMED: usize = 500;

/// Whose connections get an envelope.
///
/// A connection *follows* the conversations of its user: it gets their durable events. It *views* those that its client says it shows. In
/// conversations of up to `realtime.small_conversation` members everybody who follows counts as a viewer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Topic {
    /// Everyone who follows the conversation.
    Conversation(ConversationId),
    /// Everyone who views the conversation.
    Viewers(ConversationId),
    /// Everyone who follows one of these, each once. At most [`MAX_NAMED`].
    Conversations(Vec<ConversationId>),
    /// Everyone who follows one of these, and everyone who watches this person's presence, each once. Of conversations at most [`MAX_NAMED`].
    Acquainted { user_id: UserId, conversation_ids: Vec<ConversationId> },
    /// All connections of the workspace's members.
    Workspace(WorkspaceId),
    /// All connections of this person.
    User(UserId),
    /// All connections of these people. At most [`MAX_NAMED`].
    Users(Vec<UserId>),
    /// All connections.
    Everyone,
    /// All connections of those whom an announcement concerns. Each instance finds them among its own.
    Concerned {
        broadcast_id: BroadcastId,
        audience: Audience,
        /// Whether it is written down whom it got to.
        is_counted: bool,
    },
}

/// How an envelope changes who follows what. What lets somebody in takes effect before the envelope is delivered, what puts them out after it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Effect {
    None,
    /// These people follow the envelope's conversation from its position on.
    Follow(Vec<UserId>),
    /// These people no longer follow the envelope's conversation.
    Unfollow(Vec<UserId>),
    /// Nobody follows the conversation any more.
    UnfollowAll,
    /// Somebody is a member of a conversation whose memberships take no number, and what they are in it may have changed. `last_seq` is
    /// how far it had come.
    Join {
        conversation_id: ConversationId,
        user_id: UserId,
        last_seq: i64,
    },
    /// Somebody is no longer in such a conversation.
    Leave {
        conversation_id: ConversationId,
        user_id: UserId,
    },
    /// This person is now in the workspace.
    EnterWorkspace {
        user_id: UserId,
        workspace_id: WorkspaceId,
    },
    /// This person is no longer in the workspace.
    LeaveWorkspace {
        user_id: UserId,
        workspace_id: WorkspaceId,
    },
    /// The workspace is no longer there.
    EndWorkspace(WorkspaceId),
}

/// An event, sealed for delivery.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope {
    pub id: EventId,
    /// The event's `type`.
    pub kind: String,
    pub timestamp: Timestamp,
    pub topic: Topic,
    pub position: Option<Position>,
    pub effect: Effect,
    /// The payload as compact JSON.
    pub payload: Bytes,
}

impl Envelope {
    /// Seals `event` for `topic`.
    pub fn seal(event: &Event, topic: Topic, timestamp: Timestamp) -> Result<Self, serde_json::Error> {
        let effect = match event {
            Event::Durable { body, .. } => match body {
                DurableBody::MemberAdded { member } => Effect::Follow(vec![member.user_id]),
                DurableBody::MemberRemoved { user_id } => Effect::Unfollow(vec![*user_id]),
                DurableBody::ConversationDeleted {} => Effect::UnfollowAll,
                _ => Effect::None,
            },
            Event::Joined { conversation_id, member, last_seq }
            | Event::RoleChanged { conversation_id, member, last_seq } => {
                Effect::Join { conversation_id: *conversation_id, user_id: member.user_id, last_seq: *last_seq }
            }
            Event::Left { conversation_id, user_id } => {
                Effect::Leave { conversation_id: *conversation_id, user_id: *user_id }
            }
            _ => Effect::None,
        };
        let position = event.position();
        Ok(Self {
            id: position.map_or_else(EventId::new, EventId::at),
            kind: event.kind().to_owned(),
            timestamp,
            topic,
            position,
            effect,
            payload: serde_json::to_vec(event)?.into(),
        })
    }

    /// This envelope with another effect.
    #[must_use]
    pub fn with_effect(self, effect: Effect) -> Self {
        Self { effect, ..self }
    }

    /// A conversation's creation, for all its members: in as many envelopes as it takes to name them.
    pub fn created(self, members: &[UserId]) -> impl Iterator<Item = Self> {
        members.chunks(MAX_NAMED).map(move |users| Self {
            topic: Topic::Users(users.to_vec()),
            effect: Effect::Follow(users.to_vec()),
            ..self.clone()
        })
    }
}

/// Shared, because every shard and every wire form looks at the same one.
pub type SharedEnvelope = Arc<Envelope>;
