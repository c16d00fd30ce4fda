//! What the writer remembers of the conversations it wrote to a moment ago, so that not every message has to ask again who sends it where.
//!
//! Whatever is changed in a conversation takes a number, so what is remembered of one is right for as long as its number is. On PostgreSQL
//! the statement that stores a group asks for that, and on SQLite nobody else writes. Members of channels are the exception: see
//! [`Memory::on_message`]. What a group needs is taken out of the memory, and put
//! back once the group is committed: what nobody knows the end of is not remembered. Names are changed elsewhere; the bus tells of it, and
//! where it can't, an old one is used for [`KEEP`] at most.

use std::{
    collections::HashMap,
    mem,
    time::{Duration, Instant},
};

use appcore::{
    ConversationId, UserId,
    event::{BusMessage, Effect, Signal},
};
use dbcontext::query::batches::ConversationState;
use platform::word_filter::Filter;

use super::batch::ActingMember;

/// How long what was read may be used.
const KEEP: Duration = Duration::from_secs(5);
/// People in conversations, all in all.
const MOST: usize = 50_000;

/// A conversation as it is, and where some people stand in it.
#[derive(Debug)]
pub(super) struct Known {
    pub state: ConversationState,
    pub standings: HashMap<UserId, ActingMember>,
    /// What is asked of the words that are written in it.
    pub filter: Option<Filter>,
    since: Instant,
}

impl Known {
    pub fn new(state: ConversationState) -> Self {
        let filter = state.word_filter.as_deref().and_then(Filter::read);
        Self { state, standings: HashMap::new(), filter, since: Instant::now() }
    }

    pub fn reread_filter(&mut self) {
        self.filter = self.state.word_filter.as_deref().and_then(Filter::read);
    }

    fn is_fresh(&self) -> bool {
        self.since.elapsed() < KEEP
    }
}

#[derive(Default)]
pub(super) struct Memory {
    conversations: HashMap<ConversationId, Known>,
    /// How many standings there are in them.
    people: usize,
}

impl Memory {
    pub fn take(&mut self, id: ConversationId) -> Option<Known> {
        let known = self.conversations.remove(&id)?;
        self.people -= known.standings.len();
        known.is_fresh().then_some(known)
    }

    pub fn keep(&mut self, conversations: HashMap<ConversationId, Known>) {
        for (id, known) in conversations {
            self.people += known.standings.len();
            self.conversations.insert(id, known);
        }
        if self.people > MOST {
            self.tidy();
        }
    }

    /// Forgets what is too old; everything, where that is not enough.
    fn tidy(&mut self) {
        self.conversations.retain(|_, known| known.is_fresh());
        self.people = self.conversations.values().map(|known| known.standings.len()).sum();
        if self.people > MOST / 2 {
            self.clear();
        }
    }

    /// Takes in what the bus says.
    pub fn on_message(&mut self, message: &BusMessage) {
        match message {
            // Another instance has written there.
            BusMessage::Envelope(envelopes) => {
                if let Some(position) = envelopes.position
                    && self
                        .conversations
                        .get(&position.conversation_id)
                        .is_some_and(|known| known.state.last_seq < position.seq)
                {
                    drop(self.take(position.conversation_id));
                }
                // Who is in a channel, and what they are there, changes without a number. On PostgreSQL the statement that stores a batch
                // looks for its own senders; on SQLite whoever changes it tells of it before anybody is answered.
                if let Effect::Join { conversation_id, .. } | Effect::Leave { conversation_id, .. } = &envelopes.effect
                {
                    drop(self.take(*conversation_id));
                }
            }
            // It is seldom, and to look for one person would take longer than to read them again.
            BusMessage::Signal(Signal::UserChanged(_) | Signal::Gap) => self.clear(),
            BusMessage::Signal(_) | BusMessage::Gathered(_) => {}
        }
    }

    fn clear(&mut self) {
        drop(mem::take(self));
    }
}
