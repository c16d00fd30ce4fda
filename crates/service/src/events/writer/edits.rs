//! Edits and deletions of messages: read together, and stored together with what else the batch stores.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use appcore::{AppError, ConversationId, MessageId, Timestamp, view::Message};
use dbcontext::query::{self, Piece, events::StoredEvent};
use sea_orm::{ConnectionTrait, DatabaseBackend};

use super::{change::Change, removed};

#[derive(Default)]
pub(super) struct Edits {
    /// The messages to be edited or deleted, as they are by now.
    messages: HashMap<MessageId, Message>,
    /// The events that carry their texts.
    texts: HashMap<MessageId, Vec<StoredEvent>>,
    /// What is not stored yet.
    edited: BTreeMap<MessageId, String>,
    deleted: BTreeSet<MessageId>,
    rewritten: BTreeMap<(ConversationId, i64), StoredEvent>,
}

impl Edits {
    /// Reads what is edited or deleted, and which events carry its text.
    pub async fn load<C: ConnectionTrait>(&mut self, db: &C, changes: &[Change]) -> Result<(), AppError> {
        let ids: Vec<MessageId> = changes
            .iter()
            .filter_map(|change| match change {
                Change::Edit(edit) => Some(edit.message_id),
                Change::Delete(delete) => Some(delete.message_id),
                _ => None,
            })
            .collect();
        if ids.is_empty() {
            return Ok(());
        }
        for row in query::messages::get_all(db, &ids).await? {
            if row.deleted_at.is_none() {
                self.messages.insert(row.id, row.try_into()?);
            }
        }
        let places: Vec<_> =
            self.messages.values().map(|message| (message.conversation_id, message.seq, message.id)).collect();
        for text in query::events::texts_of_all(db, &places).await? {
            self.texts.entry(text.message_id).or_default().push(text.event);
        }
        Ok(())
    }

    /// A message of the conversation that is still there.
    pub fn message(&self, conversation_id: ConversationId, id: MessageId) -> Option<Message> {
        self.messages.get(&id).filter(|message| message.conversation_id == conversation_id).cloned()
    }

    /// Takes in a message with its new text; what it said before leaves its events.
    pub fn store(&mut self, message: Message) -> Result<(), AppError> {
        self.rewrite(&message)?;
        self.edited.insert(message.id, message.content.clone());
        self.messages.insert(message.id, message);
        Ok(())
    }

    /// Takes in a message that was deleted; what it said leaves its events.
    pub fn delete(&mut self, message: &Message) -> Result<(), AppError> {
        self.rewrite(message)?;
        // Of one message there is one statement: they are executed in no certain order.
        self.edited.remove(&message.id);
        self.deleted.insert(message.id);
        self.messages.remove(&message.id);
        Ok(())
    }

    fn rewrite(&mut self, message: &Message) -> Result<(), AppError> {
        for event in self.texts.get(&message.id).into_iter().flatten() {
            let payload = removed::rewritten(&event.payload, message, event.seq == message.seq)?;
            self.rewritten.insert((event.conversation_id, event.seq), StoredEvent { payload, ..event.clone() });
        }
        Ok(())
    }

    /// What stores the edits and deletions since the last time.
    pub fn take_pieces(&mut self, backend: DatabaseBackend, now: Timestamp) -> Result<Vec<Piece>, AppError> {
        let mut pieces = Vec::new();
        if !self.edited.is_empty() {
            let edited = std::mem::take(&mut self.edited).into_iter().collect();
            pieces.push(query::messages::edit(backend, edited, now)?);
        }
        if !self.deleted.is_empty() {
            let deleted = std::mem::take(&mut self.deleted).into_iter().collect();
            pieces.push(query::messages::delete_all(backend, deleted, now)?);
        }
        if !self.rewritten.is_empty() {
            let rewritten = std::mem::take(&mut self.rewritten).into_values().collect();
            pieces.push(query::events::rewrite_texts(backend, rewritten)?);
        }
        Ok(pieces)
    }
}
