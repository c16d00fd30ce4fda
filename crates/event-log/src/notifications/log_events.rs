//! Selects the log events that may produce or withdraw notifications.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use appcore::{
    ConversationId, MessageId, Timestamp, UserId,
    event::{Envelope, LogPosition},
    view::{Mention, MessageStatus, Sender, SenderKind},
};
use dbcontext::entity::conversation_event;
use serde::{Deserialize, de::IgnoredAny};

/// True for the kinds of events that affect notifications.
pub(super) fn is_relevant(kind: &str) -> bool {
    matches!(
        kind,
        "message.created"
            | "message.updated"
            | "message.completed"
            | "message.deleted"
            | "reaction.added"
            | "reaction.removed"
            | "conversation.deleted"
    )
}

/// Fields of a message that notifications need.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct LoggedMessage {
    pub id: MessageId,
    pub conversation_id: ConversationId,
    pub seq: i64,
    pub no: i64,
    pub sender: Sender,
    pub content: String,
    pub status: MessageStatus,
    #[serde(default)]
    pub mentions: Vec<Mention>,
    #[serde(default)]
    pub attachments: Vec<IgnoredAny>,
    pub thread_id: Option<MessageId>,
    #[serde(default)]
    pub also_to_conversation: bool,
    pub deleted_at: Option<Timestamp>,
    #[serde(default)]
    pub hidden_at: Option<Timestamp>,
}

impl LoggedMessage {
    pub fn is_in_main_line(&self) -> bool {
        self.thread_id.is_none() || self.also_to_conversation
    }

    /// Returns the root of the message's thread, unless the reply is also shown in the main
    /// conversation.
    pub fn root(&self) -> Option<MessageId> {
        self.thread_id.filter(|_| !self.also_to_conversation)
    }

    fn is_shown(&self) -> bool {
        self.deleted_at.is_none() && self.hidden_at.is_none()
    }

    /// True for a complete, visible message of a user or an assistant that isn't empty.
    fn is_notifiable(&self) -> bool {
        let is_somebody = matches!(self.sender.kind, SenderKind::User | SenderKind::Assistant);
        let is_whole = self.status != MessageStatus::Streaming && self.status != MessageStatus::Failed;
        is_somebody && is_whole && self.is_shown() && !(self.content.is_empty() && self.attachments.is_empty())
    }
}

/// Event of the log.
#[derive(Clone, Copy, Debug)]
pub(super) struct LoggedEvent<'a> {
    pub conversation_id: ConversationId,
    pub seq: i64,
    pub kind: &'a str,
    pub payload: &'a [u8],
    pub at: Timestamp,
}

impl<'a> From<&'a conversation_event::Model> for LoggedEvent<'a> {
    fn from(row: &'a conversation_event::Model) -> Self {
        let conversation_event::Model { conversation_id, seq, kind, payload, created_at, .. } = row;
        Self { conversation_id: *conversation_id, seq: *seq, kind, payload: payload.as_bytes(), at: *created_at }
    }
}

impl<'a> LoggedEvent<'a> {
    /// Returns the event in an envelope, if it is durable.
    pub fn from_envelope(envelope: &'a Envelope) -> Option<Self> {
        let LogPosition { conversation_id, seq } = envelope.position?;
        let Envelope { kind, payload, timestamp, .. } = envelope;
        Some(Self { conversation_id, seq, kind, payload, at: *timestamp })
    }
}

/// New message or finished answer, with the sequence number of its event.
#[derive(Clone, Debug)]
pub(super) struct ArrivedMessage {
    pub message: LoggedMessage,
    pub seq: i64,
    pub at: Timestamp,
}

/// Reaction, with the position of its event.
#[derive(Clone, Copy, Debug)]
pub(super) struct LoggedReaction {
    pub conversation_id: ConversationId,
    pub seq: i64,
    pub at: Timestamp,
}

/// Net result of a sequence of log events.
#[derive(Debug, Default)]
pub(super) struct LogEvents {
    pub arrived: BTreeMap<MessageId, ArrivedMessage>,
    pub edited: BTreeMap<MessageId, ArrivedMessage>,
    pub deleted: BTreeSet<MessageId>,
    pub reactions: BTreeMap<(MessageId, UserId, String), LoggedReaction>,
    /// Number of removed reactions per message, counting only reactions that were added before this
    /// sequence of events.
    pub removed_reactions: BTreeMap<MessageId, i64>,
    pub deleted_conversations: BTreeSet<ConversationId>,
    /// Read positions that follow from sending messages.
    pub read_by_writing: HashMap<(UserId, ConversationId), i64>,
}

#[derive(Deserialize)]
struct Payload {
    message: Option<LoggedMessage>,
    message_id: Option<MessageId>,
    emoji: Option<String>,
    user_id: Option<UserId>,
}

impl LogEvents {
    /// Adds an event of the log. Events from before `since` produce no notifications.
    pub fn add(&mut self, event: LoggedEvent<'_>, since: Timestamp) {
        if event.kind == "conversation.deleted" {
            self.deleted_conversations.insert(event.conversation_id);
            return;
        }
        if !is_relevant(event.kind) {
            return;
        }
        let payload: Payload = match serde_json::from_slice(event.payload) {
            Ok(payload) => payload,
            // The event was written by a newer version of the server, which also handles it.
            Err(error) => return tracing::debug!(%error, kind = event.kind, "failed to parse event"),
        };
        match (event.kind, payload) {
            ("message.deleted", Payload { message_id: Some(id), .. }) => self.remove(id),
            ("reaction.added", Payload { message_id: Some(id), emoji: Some(emoji), user_id: Some(user), .. })
                if event.at >= since =>
            {
                let reacted = LoggedReaction { conversation_id: event.conversation_id, seq: event.seq, at: event.at };
                self.reactions.insert((id, user, emoji), reacted);
            }
            ("reaction.added", _) => {}
            ("reaction.removed", Payload { message_id: Some(id), emoji: Some(emoji), user_id: Some(user), .. }) => {
                let is_untold = self.reactions.remove(&(id, user, emoji)).is_some();
                if !is_untold {
                    *self.removed_reactions.entry(id).or_default() += 1;
                }
            }
            (kind, Payload { message: Some(message), .. }) => {
                let arrived = ArrivedMessage { message, seq: event.seq, at: event.at };
                self.add_message(kind, arrived, since);
            }
            _ => {}
        }
    }

    fn add_message(&mut self, kind: &str, arrived: ArrivedMessage, since: Timestamp) {
        let ArrivedMessage { message, seq, at } = &arrived;
        if !message.is_shown() {
            return self.remove(message.id);
        }
        if kind == "message.created"
            && message.is_in_main_line()
            && message.sender.kind == SenderKind::User
            && let Some(id) = message.sender.id
        {
            self.read_by_writing.insert((UserId(id), message.conversation_id), *seq);
        }
        if !message.is_notifiable() || *at < since {
            return;
        }
        if kind == "message.updated" {
            if let Some(known) = self.arrived.get_mut(&message.id) {
                known.message = message.clone();
            } else if message.sender.kind == SenderKind::User {
                self.edited.insert(message.id, arrived);
            }
        } else {
            self.arrived.insert(message.id, arrived);
        }
    }

    fn remove(&mut self, id: MessageId) {
        if self.arrived.remove(&id).is_none() {
            self.deleted.insert(id);
        }
        self.edited.remove(&id);
        self.reactions.retain(|(message, ..), _| *message != id);
        self.removed_reactions.remove(&id);
    }
}
