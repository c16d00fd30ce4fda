//! What stands in the log that somebody may be told of.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use appcore::{
    ConversationId, MessageId, Timestamp, UserId,
    view::{Mention, MessageStatus, Sender, SenderKind},
};
use dbcontext::entity::conversation_event;
use serde::{Deserialize, de::IgnoredAny};

/// The kinds of events that matter.
pub(super) fn matters(kind: &str) -> bool {
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

/// A message, as far as it matters.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Written {
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

impl Written {
    pub fn is_in_main_line(&self) -> bool {
        self.thread_id.is_none() || self.also_to_conversation
    }

    /// Its thread, where the main line does not show it.
    pub fn root(&self) -> Option<MessageId> {
        self.thread_id.filter(|_| !self.also_to_conversation)
    }

    fn is_shown(&self) -> bool {
        self.deleted_at.is_none() && self.hidden_at.is_none()
    }

    /// Whether it says something, and somebody says it.
    fn says_something(&self) -> bool {
        let is_somebody = matches!(self.sender.kind, SenderKind::User | SenderKind::Assistant);
        let is_whole = self.status != MessageStatus::Streaming && self.status != MessageStatus::Failed;
        is_somebody && is_whole && self.is_shown() && !(self.content.is_empty() && self.attachments.is_empty())
    }
}

/// A message that is new, or an answer that is whole now, with the number of the event that says so.
#[derive(Clone, Debug)]
pub(super) struct Arrived {
    pub message: Written,
    pub seq: i64,
    pub at: Timestamp,
}

/// A reaction, with the event that says so.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reacted {
    pub conversation_id: ConversationId,
    pub seq: i64,
    pub at: Timestamp,
}

/// What has happened, each thing as it stands at its end.
#[derive(Debug, Default)]
pub(super) struct Happenings {
    pub arrived: BTreeMap<MessageId, Arrived>,
    pub edited: BTreeMap<MessageId, Arrived>,
    pub gone: BTreeSet<MessageId>,
    pub reacted: BTreeMap<(MessageId, UserId, String), Reacted>,
    /// How many reactions to these are no longer there that were there before.
    pub unreacted: BTreeMap<MessageId, i64>,
    pub ended: BTreeSet<ConversationId>,
    /// How far people have read by writing.
    pub written: HashMap<(UserId, ConversationId), i64>,
}

#[derive(Deserialize)]
struct Payload {
    message: Option<Written>,
    message_id: Option<MessageId>,
    emoji: Option<String>,
    user_id: Option<UserId>,
}

impl Happenings {
    /// Takes an event of the log. What is older than `since` is told to nobody any more.
    pub fn take(&mut self, row: &conversation_event::Model, since: Timestamp) {
        if row.kind == "conversation.deleted" {
            self.ended.insert(row.conversation_id);
            return;
        }
        if !matters(&row.kind) {
            return;
        }
        let payload: Payload = match serde_json::from_str(&row.payload) {
            Ok(payload) => payload,
            // A later version's: what it is about is told by that one.
            Err(error) => return tracing::debug!(%error, kind = row.kind, "an event could not be read"),
        };
        match (row.kind.as_str(), payload) {
            ("message.deleted", Payload { message_id: Some(id), .. }) => self.lose(id),
            ("reaction.added", Payload { message_id: Some(id), emoji: Some(emoji), user_id: Some(user), .. })
                if row.created_at >= since =>
            {
                let reacted = Reacted { conversation_id: row.conversation_id, seq: row.seq, at: row.created_at };
                self.reacted.insert((id, user, emoji), reacted);
            }
            ("reaction.added", _) => {}
            ("reaction.removed", Payload { message_id: Some(id), emoji: Some(emoji), user_id: Some(user), .. }) => {
                let is_untold = self.reacted.remove(&(id, user, emoji)).is_some();
                if !is_untold {
                    *self.unreacted.entry(id).or_default() += 1;
                }
            }
            (kind, Payload { message: Some(message), .. }) => {
                let arrived = Arrived { message, seq: row.seq, at: row.created_at };
                self.take_message(kind, arrived, since);
            }
            _ => {}
        }
    }

    fn take_message(&mut self, kind: &str, arrived: Arrived, since: Timestamp) {
        let Arrived { message, seq, at } = &arrived;
        if !message.is_shown() {
            return self.lose(message.id);
        }
        if kind == "message.created"
            && message.is_in_main_line()
            && message.sender.kind == SenderKind::User
            && let Some(id) = message.sender.id
        {
            self.written.insert((UserId(id), message.conversation_id), *seq);
        }
        if !message.says_something() || *at < since {
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

    fn lose(&mut self, id: MessageId) {
        if self.arrived.remove(&id).is_none() {
            self.gone.insert(id);
        }
        self.edited.remove(&id);
        self.reacted.retain(|(message, ..), _| *message != id);
        self.unreacted.remove(&id);
    }
}
