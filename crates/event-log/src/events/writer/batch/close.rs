//! Turns an applied batch into statements to execute and messages to publish.

use std::collections::{BTreeMap, HashMap, HashSet};

use appcore::{
    AppError, ConversationId, UserId,
    event::{Envelope, Signal},
    view::SenderKind,
};
use dbcontext::query::{
    self, Piece,
    batches::{ExpectedState, LastMessage, LogHead, NewMessage},
    mentions::NewMention,
};
use sea_orm::ConnectionTrait as _;
use uuid::Uuid;

use super::{super::conversation_cache::CachedConversation, Batch};

/// Applied batch, ready to be stored and published.
pub(in super::super) struct ClosedBatch {
    /// Conversations that get events, with the state that the batch was computed from.
    pub expected_states: Vec<ExpectedState>,
    pub pieces: Vec<Piece>,
    pub envelopes: Vec<Envelope>,
    pub signals: Vec<Signal>,
    /// Id of the outbox entry; `None` if no other instance needs the events.
    pub batch: Option<Uuid>,
    /// State of the conversations after the batch is stored.
    pub conversations: HashMap<ConversationId, CachedConversation>,
}

impl Batch<'_> {
    /// Collects the statements, envelopes and signals of the batch. `told` are acknowledged outbox
    /// entries; they are removed in the same transaction. With `expects_client_ids`, the commit
    /// verifies that the `client_id`s of the messages are new.
    pub fn close(mut self, told: &[Uuid], expects_client_ids: bool) -> Result<ClosedBatch, AppError> {
        let backend = self.db.get_database_backend();
        let talked: HashSet<ConversationId> = self
            .new_messages
            .iter()
            .filter(|message| message.is_in_main_conversation())
            .map(|message| message.conversation_id)
            .collect();
        let heads: Vec<LogHead> = self
            .advanced
            .iter()
            .filter_map(|id| self.conversations.get(id))
            .map(|known| LogHead {
                id: known.state.id,
                last_seq: known.state.last_seq,
                last_no: known.state.last_no,
                has_new_messages: talked.contains(&known.state.id),
            })
            .collect();
        let mut written: BTreeMap<(ConversationId, UserId), LastMessage> = BTreeMap::new();
        let is_own =
            |message: &&NewMessage| message.sender_kind == SenderKind::User && message.is_in_main_conversation();
        for message in self.new_messages.iter().filter(is_own) {
            if let Some(sender) = message.sender_id {
                let at = LastMessage { seq: message.seq, no: message.no };
                written.insert((message.conversation_id, UserId(sender)), at);
            }
        }
        let mut seen: BTreeMap<ConversationId, ExpectedState> = BTreeMap::new();
        for event in &self.events {
            let id = event.conversation_id;
            let last_seq = event.seq - 1;
            seen.entry(id).or_insert_with(|| ExpectedState {
                id,
                last_seq,
                members: Vec::new(),
                client_ids: Vec::new(),
            });
        }
        for (id, user) in &self.checked_roles {
            if let (Some(seen), Ok(member)) = (seen.get_mut(id), self.acting_member(*id, *user)) {
                seen.members.push((*user, member.role));
            }
        }
        if expects_client_ids {
            for message in &self.new_messages {
                if let (Some(sender), Some(client_id), Some(seen)) =
                    (message.sender_id, &message.client_id, seen.get_mut(&message.conversation_id))
                {
                    seen.client_ids.push((sender, client_id.clone()));
                }
            }
        }
        let mut pieces = self.edits.take_statements(backend, self.now)?;
        if !self.new_messages.is_empty() {
            pieces.extend(query::batches::insert_messages(self.new_messages));
        }
        if !written.is_empty() {
            pieces.push(query::batches::advance_sender_positions(backend, &written));
        }
        if !self.new_last_writes.is_empty() {
            pieces.push(query::moderation::record_posts(&self.new_last_writes));
        }
        let (new, gone): (Vec<_>, Vec<_>) = self.mentions.into_iter().partition(|(_, is_there)| *is_there);
        let rows = |mentions: Vec<(NewMention, bool)>| mentions.into_iter().map(|(mention, _)| mention).collect();
        if !new.is_empty() {
            pieces.push(query::mentions::insert(rows(new)));
        }
        if !gone.is_empty() {
            pieces.push(query::mentions::remove(rows(gone)));
        }
        pieces.extend(self.files.into_statement());
        let noted = self.id.filter(|_| !self.events.is_empty());
        if !self.events.is_empty() {
            pieces.push(query::batches::insert(self.events));
        }
        if let Some(id) = noted {
            if self.outboxes.bus {
                pieces.push(query::batches::insert_outbox_entry(id, self.now));
            }
            if self.outboxes.stream {
                pieces.push(query::batches::insert_stream_entry(id, self.now));
            }
        }
        if !heads.is_empty() {
            pieces.push(query::batches::advance_heads(backend, &heads, self.now));
        }
        if !told.is_empty() {
            pieces.push(query::batches::remove_outbox_entries(told));
        }
        let mut signals = Vec::new();
        if !self.jobs.is_empty() {
            signals.push(Signal::JobsWaiting);
            pieces.push(query::jobs::insert(backend, self.jobs, self.now)?);
        }
        Ok(ClosedBatch {
            expected_states: seen.into_values().collect(),
            pieces,
            envelopes: self.envelopes,
            signals,
            batch: noted.filter(|_| self.outboxes.bus),
            conversations: self.conversations,
        })
    }
}
