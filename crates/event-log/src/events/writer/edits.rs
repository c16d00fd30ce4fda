//! In-place changes of messages by a batch: edits, deletions, reactions, pins, thread replies. They
//! are loaded together, and stored together with the other changes of the batch, with one statement
//! per kind of change.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use appcore::{
    AppError, ConversationId, MessageId, Timestamp,
    view::{MentionScope, Message},
};
use dbcontext::query::{
    self, Piece,
    events::StoredEvent,
    messages::{MessageMarks, MessageText},
    threads::NewFollower,
};
use sea_orm::{ConnectionTrait, DatabaseBackend};

use super::{
    change::{Change, MemberAction, ServerAction, member_actions},
    log_redaction,
    mentions::TimelinePosition,
    messages::to_json_list,
    reactions::Reactions,
};

#[derive(Default)]
pub(super) struct Edits {
    /// Messages that the changes refer to, in their current state.
    messages: HashMap<MessageId, Message>,
    /// Positions of those messages that are in the main conversation.
    positions: HashMap<MessageId, TimelinePosition>,
    /// Events that contain the texts of the messages.
    texts: HashMap<MessageId, Vec<StoredEvent>>,
    /// Reactions to the messages.
    pub reactions: Reactions,
    /// Number of pinned messages, for the conversations in which this batch pins a message.
    pub pins: HashMap<ConversationId, i64>,
    // Messages with changes that aren't stored yet.
    edited: BTreeSet<MessageId>,
    marked: BTreeSet<MessageId>,
    deleted: BTreeSet<MessageId>,
    rewritten: BTreeMap<(ConversationId, i64), StoredEvent>,
    /// New followers of threads; `repliers` has the read positions of users who reply.
    pub followers: Vec<NewFollower>,
    pub repliers: BTreeMap<(MessageId, uuid::Uuid), NewFollower>,
}

impl Edits {
    /// Loads the messages that are changed or replied to, and the events that contain the texts of
    /// the messages that are edited or deleted.
    pub async fn load<C: ConnectionTrait>(&mut self, db: &C, changes: &[Change]) -> Result<(), AppError> {
        let (mut ids, mut rewritten) = (BTreeSet::new(), BTreeSet::new());
        let (mut pinned, mut hidden) = (BTreeSet::new(), BTreeSet::new());
        for (by, action) in member_actions(changes) {
            match action {
                MemberAction::Edit(edit) => _ = rewritten.insert(edit.message_id),
                MemberAction::Delete(delete) => _ = rewritten.insert(delete.message_id),
                MemberAction::React(react) => _ = ids.insert(react.message_id),
                MemberAction::Solve(solve) => _ = ids.insert(solve.message_id),
                MemberAction::Pin(pin) => {
                    ids.insert(pin.message_id);
                    pinned.insert(by.conversation_id);
                }
                MemberAction::Send(send) => ids.extend(send.thread.map(|thread| thread.root_id)),
                _ => {}
            }
        }
        for change in changes {
            if let Change::Server { action: ServerAction::Hide(hide), .. } = change {
                hidden.insert(hide.message_id);
            }
        }
        ids.extend(rewritten.union(&hidden));
        if ids.is_empty() {
            return Ok(());
        }
        self.load_messages(db, ids.into_iter().collect()).await?;
        let places: Vec<_> = rewritten
            .iter()
            .filter_map(|id| self.messages.get(id))
            .map(|message| (message.conversation_id, message.seq, message.id))
            .collect();
        if !places.is_empty() {
            for text in query::events::text_events_of_all(db, &places).await? {
                self.texts.entry(text.message_id).or_default().push(text.event);
            }
        }
        let said: Vec<MessageId> = rewritten.union(&hidden).copied().collect();
        self.load_here_recipients(db, &said).await?;
        if !pinned.is_empty() {
            let pinned: Vec<ConversationId> = pinned.into_iter().collect();
            self.pins.extend(query::threads::pin_counts(db, &pinned).await?);
        }
        self.reactions.load(db, &self.messages, changes).await
    }

    /// Loads messages from the database.
    async fn load_messages<C: ConnectionTrait>(&mut self, db: &C, ids: Vec<MessageId>) -> Result<(), AppError> {
        for row in query::messages::get_all(db, &ids).await? {
            if row.is_in_main_conversation() {
                self.positions.entry(row.id).or_insert(TimelinePosition { no: row.no, here_recipients: Vec::new() });
            }
            self.messages.insert(row.id, row.try_into()?);
        }
        Ok(())
    }

    /// Loads the users who were notified by `@here`, for those messages that mention it.
    async fn load_here_recipients<C: ConnectionTrait>(&mut self, db: &C, ids: &[MessageId]) -> Result<(), AppError> {
        let says_here = |id: &&MessageId| {
            self.messages.get(id).is_some_and(|it| MentionScope::from_mentions(&it.mentions) == MentionScope::Here)
        };
        let place = |id: &MessageId| Some(((self.messages.get(id)?.conversation_id, self.positions.get(id)?.no), *id));
        let asked: HashMap<(ConversationId, i64), MessageId> = ids.iter().filter(says_here).filter_map(place).collect();
        if asked.is_empty() {
            return Ok(());
        }
        let places: Vec<(ConversationId, i64)> = asked.keys().copied().collect();
        for (conversation_id, no, user) in query::notifier::mentioned(db, &places).await? {
            let place = asked.get(&(conversation_id, no)).and_then(|id| self.positions.get_mut(id));
            if let Some(place) = place {
                place.here_recipients.push(user);
            }
        }
        Ok(())
    }

    /// Returns the position of a loaded message in the main conversation.
    pub fn position(&self, id: MessageId) -> Option<TimelinePosition> {
        self.positions.get(&id).cloned()
    }

    pub fn set_position(&mut self, id: MessageId, place: TimelinePosition) {
        self.positions.insert(id, place);
    }

    /// Loads a message to which no change refers, unless it is already loaded.
    pub async fn load_one<C: ConnectionTrait>(&mut self, db: &C, id: MessageId) -> Result<Option<Message>, AppError> {
        if !self.messages.contains_key(&id) {
            self.load_messages(db, vec![id]).await?;
        }
        Ok(self.messages.get(&id).cloned())
    }

    /// Returns a message of the conversation that isn't deleted.
    pub fn message(&self, conversation_id: ConversationId, id: MessageId) -> Option<Message> {
        self.message_or_deleted(conversation_id, id).filter(|message| message.deleted_at.is_none())
    }

    /// Returns a message of the conversation, deleted or not.
    pub fn message_or_deleted(&self, conversation_id: ConversationId, id: MessageId) -> Option<Message> {
        self.messages.get(&id).filter(|message| message.conversation_id == conversation_id).cloned()
    }

    /// Records the new text of a message and removes the old text from its events.
    pub fn update_text(&mut self, message: Message) -> Result<(), AppError> {
        self.rewrite(&message)?;
        self.edited.insert(message.id);
        self.messages.insert(message.id, message);
        Ok(())
    }

    /// Records changed reactions, pins or replies of a message.
    pub fn update_metadata(&mut self, message: Message) {
        self.marked.insert(message.id);
        self.messages.insert(message.id, message);
    }

    /// Records a deleted message and removes its text from its events.
    pub fn delete(&mut self, message: Message) -> Result<(), AppError> {
        self.rewrite(&message)?;
        self.edited.remove(&message.id);
        self.marked.remove(&message.id);
        self.reactions.discard(message.id);
        self.deleted.insert(message.id);
        self.messages.insert(message.id, message);
        Ok(())
    }

    fn rewrite(&mut self, message: &Message) -> Result<(), AppError> {
        for event in self.texts.get(&message.id).into_iter().flatten() {
            let payload = log_redaction::redacted(&event.payload, message, event.seq == message.seq)?;
            self.rewritten.insert((event.conversation_id, event.seq), StoredEvent { payload, ..event.clone() });
        }
        Ok(())
    }

    /// Returns the statements for the changes since the last call.
    pub fn take_statements(&mut self, backend: DatabaseBackend, now: Timestamp) -> Result<Vec<Piece>, AppError> {
        let mut pieces = self.reactions.take_statements();
        let (edited, marked) = (std::mem::take(&mut self.edited), std::mem::take(&mut self.marked));
        let deleted = std::mem::take(&mut self.deleted);
        let known = |id: &MessageId| self.messages.get(id);
        // A message that was deleted in this batch may have got another reply afterwards.
        let is_there = |id: &&MessageId| !deleted.contains(*id);
        let texts = edited.difference(&marked).filter_map(known).map(|it| Ok((it.id, text_columns(it)?)));
        let texts = texts.collect::<Result<Vec<_>, AppError>>()?;
        if !texts.is_empty() {
            pieces.push(query::messages::edit(texts, now));
        }
        let marks =
            marked.difference(&edited).filter(is_there).filter_map(known).map(|it| Ok((it.id, metadata_columns(it)?)));
        let marks = marks.collect::<Result<Vec<_>, AppError>>()?;
        if !marks.is_empty() {
            pieces.push(query::messages::update_marks(marks));
        }
        let both = edited.intersection(&marked).filter_map(known);
        let both = both
            .map(|it| Ok((it.id, text_columns(it)?, metadata_columns(it)?)))
            .collect::<Result<Vec<_>, AppError>>()?;
        if !both.is_empty() {
            pieces.push(query::messages::edit_with_marks(both, now));
        }
        if !deleted.is_empty() {
            let gone = deleted.iter().filter_map(known).map(|it| Ok((it.id, metadata_columns(it)?)));
            pieces.push(query::messages::delete_all(gone.collect::<Result<Vec<_>, AppError>>()?, now));
            let deleted: Vec<MessageId> = deleted.into_iter().collect();
            pieces.extend(query::messages::remove_reactions_and_bookmarks(&deleted));
        }
        if !self.rewritten.is_empty() {
            let rewritten = std::mem::take(&mut self.rewritten).into_values().collect();
            pieces.push(query::events::rewrite_texts(rewritten));
        }
        if !self.followers.is_empty() {
            // One row per follower: a user who replies follows the thread from their reply on, even
            // if they are mentioned as well.
            let mut new: BTreeMap<_, NewFollower> = BTreeMap::new();
            for one in std::mem::take(&mut self.followers) {
                let known = new.entry((one.user_id, one.root_id)).or_insert(one);
                known.read_no = known.read_no.max(one.read_no);
            }
            pieces.push(query::threads::follow(&new.into_values().collect::<Vec<_>>()));
        }
        if !self.repliers.is_empty() {
            let read: Vec<NewFollower> = std::mem::take(&mut self.repliers).into_values().collect();
            pieces.push(query::threads::advance_replier_positions(backend, &read));
        }
        Ok(pieces)
    }
}

/// Returns the columns in which a message's text is stored.
fn text_columns(message: &Message) -> Result<MessageText, AppError> {
    Ok(MessageText { content: message.content.clone(), mentions: to_json_list(&message.mentions)? })
}

/// Returns the columns in which a message's reactions, pin and thread summary are stored.
fn metadata_columns(message: &Message) -> Result<MessageMarks, AppError> {
    let thread = message.thread.as_ref();
    Ok(MessageMarks {
        reactions: to_json_list(&message.reactions)?,
        pinned_at: message.pinned_at,
        thread: thread.map(serde_json::to_string).transpose().map_err(AppError::internal)?,
        thread_last_no: thread.map(|thread| thread.last_no),
        thread_at: thread.map(|thread| thread.last_reply_at),
        solved_at: thread.and_then(|thread| thread.solved_at),
    })
}
