//! Write-through cache of recently used conversations, so that not every message has to load its
//! conversation and sender.
//!
//! Each change of a conversation increments `last_seq`, so cached state is valid as long as
//! `last_seq` is unchanged. On PostgreSQL the statement that stores a batch checks this; on SQLite
//! there is no other writer. Channel memberships are the exception: see
//! [`ConversationCache::on_message`]. A batch takes its conversations out of the cache and puts
//! them back after the commit, so state with an unknown outcome isn't cached. Names of users are
//! changed by another component, which reports that on the bus. If the report is lost, an old name
//! is used for at most [`KEEP`].

use std::{
    collections::HashMap,
    mem,
    time::{Duration, Instant},
};

use appcore::{
    ConversationId, UserId,
    event::{BusMessage, FollowChange, Signal},
};
use dbcontext::query::batches::ConversationState;
use platform::word_filter::CompiledWordFilter;

use super::batch::ActingMember;

/// Time to live of cached state.
const ENTRY_TTL: Duration = Duration::from_secs(5);
/// Maximum number of cached members, over all conversations.
const MAX_MEMBERS: usize = 50_000;

/// Cached conversation with some of its members.
#[derive(Debug)]
pub(super) struct CachedConversation {
    pub state: ConversationState,
    pub members: HashMap<UserId, ActingMember>,
    /// Word filter of the conversation.
    pub filter: Option<CompiledWordFilter>,
    cached_at: Instant,
}

impl CachedConversation {
    pub fn new(state: ConversationState) -> Self {
        let filter = state.word_filter.as_deref().and_then(CompiledWordFilter::from_stored);
        Self { state, members: HashMap::new(), filter, cached_at: Instant::now() }
    }

    pub fn reload_filter(&mut self) {
        self.filter = self.state.word_filter.as_deref().and_then(CompiledWordFilter::from_stored);
    }

    fn is_fresh(&self) -> bool {
        self.cached_at.elapsed() < ENTRY_TTL
    }
}

#[derive(Default)]
pub(super) struct ConversationCache {
    conversations: HashMap<ConversationId, CachedConversation>,
    /// Total number of cached members.
    member_count: usize,
}

impl ConversationCache {
    pub fn remove(&mut self, id: ConversationId) -> Option<CachedConversation> {
        let known = self.conversations.remove(&id)?;
        self.member_count -= known.members.len();
        known.is_fresh().then_some(known)
    }

    pub fn insert(&mut self, conversations: HashMap<ConversationId, CachedConversation>) {
        for (id, known) in conversations {
            self.member_count += known.members.len();
            self.conversations.insert(id, known);
        }
        if self.member_count > MAX_MEMBERS {
            self.evict();
        }
    }

    /// Evicts expired entries. If the cache is still too large, clears it.
    fn evict(&mut self) {
        self.conversations.retain(|_, known| known.is_fresh());
        self.member_count = self.conversations.values().map(|known| known.members.len()).sum();
        if self.member_count > MAX_MEMBERS / 2 {
            self.clear();
        }
    }

    /// Invalidates entries when the bus reports changes.
    pub fn on_message(&mut self, message: &BusMessage) {
        match message {
            // Another instance has written to the conversation.
            BusMessage::Envelope(envelopes) => {
                if let Some(position) = envelopes.position {
                    self.remove_older(position.conversation_id, position.seq);
                }
                // Memberships and roles in channels change without a new sequence number. On
                // PostgreSQL, the statement that stores a batch checks the senders; on SQLite, the
                // change is reported on the bus before it is acknowledged.
                if let FollowChange::Join { conversation_id, .. } | FollowChange::Leave { conversation_id, .. } =
                    &envelopes.effect
                {
                    drop(self.remove(*conversation_id));
                }
            }
            BusMessage::Signal(Signal::LogAdvanced { heads }) => {
                heads.iter().for_each(|(id, seq)| self.remove_older(*id, *seq));
            }
            // Clears the whole cache: users change rarely, and searching all entries for one user
            // would cost more than reloading them.
            BusMessage::Signal(Signal::UserChanged(_) | Signal::Gap) => self.clear(),
            BusMessage::Signal(_) | BusMessage::Coalesced(_) => {}
        }
    }

    /// Removes an entry that lacks the event with this sequence number.
    fn remove_older(&mut self, id: ConversationId, seq: i64) {
        if self.conversations.get(&id).is_some_and(|known| known.state.last_seq < seq) {
            drop(self.remove(id));
        }
    }

    fn clear(&mut self) {
        drop(mem::take(self));
    }
}
