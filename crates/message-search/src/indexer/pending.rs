//! Announced events that the indexer has not processed yet.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use appcore::{
    event::Envelope,
    view::{Message, Sender},
};
use dbcontext::query::search::IndexedMessage;
use event_log::pending_events::PendingEvents;
use serde::Deserialize;
use tokio::{sync::Notify, time::Instant};
use uuid::Uuid;

use super::CREATED;

/// Maximum number of events that are kept in memory until they are indexed. Further ones are read from the log.
const MAX_KNOWN: usize = 5_000;

/// Pending work: conversations with their announced events.
#[derive(Default)]
pub(crate) struct PendingWork {
    queue: Mutex<Queue>,
    pub(super) is_incomplete: AtomicBool,
    /// True if indexed messages were queued for indexing again.
    pub(super) is_touched: AtomicBool,
    pub(super) is_filling: AtomicBool,
    pub(super) arrived: Notify,
}

#[derive(Default)]
struct Queue {
    waiting: HashMap<Uuid, PendingConversation>,
    /// Number of known events among those that wait.
    known: usize,
    /// Number of conversations in the current batch, and the time since which the oldest of them has been waiting.
    taken: Option<(usize, Instant)>,
}

/// Pending events of a conversation.
#[derive(Clone)]
pub(super) struct PendingConversation {
    pub events: PendingEvents,
    /// Time at which the first event was announced.
    since: Instant,
}

/// Lag of the index, as known to this instance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IndexLag {
    /// Number of conversations with pending events.
    pub waiting: usize,
    /// Age of the oldest pending event.
    pub longest: Duration,
    /// True during the initial fill.
    pub is_filling: bool,
}

impl PendingConversation {
    /// Events up to `head`, to be read from the log.
    pub fn until(head: i64) -> Self {
        Self { events: PendingEvents::until(head), since: Instant::now() }
    }

    /// Returns the messages that the events after this position have created. Returns `None` if the events must be read
    /// from the log: some are not known, have not created a message, or have created one with files.
    pub fn created_after(&self, position: i64) -> Option<Vec<IndexedMessage>> {
        self.events.known_after(position)?.iter().map(|envelope| created_message(envelope)).collect()
    }
}

fn created_message(envelope: &Envelope) -> Option<IndexedMessage> {
    #[derive(Deserialize)]
    struct Created {
        message: Message,
    }
    if envelope.kind != CREATED {
        return None;
    }
    let Created { message } = serde_json::from_slice(&envelope.payload).ok()?;
    let Sender { kind: sender_kind, id: sender_id, .. } = message.sender;
    message.attachments.is_empty().then_some(IndexedMessage {
        id: message.id,
        conversation_id: message.conversation_id,
        sender_kind,
        sender_id,
        content: message.content,
        attachments: None,
        status: message.status,
        deleted_at: message.deleted_at,
        created_at: message.created_at,
    })
}

impl PendingWork {
    /// Adds an announced event; without its envelope, it is read from the log.
    pub fn announce(&self, id: Uuid, seq: i64, envelope: Option<Arc<Envelope>>) {
        let mut queue = self.queue();
        let envelope = envelope.filter(|_| queue.known < MAX_KNOWN);
        queue.known += usize::from(envelope.is_some());
        queue.waiting.entry(id).or_insert_with(|| PendingConversation::until(seq - 1)).events.push(seq, envelope);
        drop(queue);
        self.arrived.notify_one();
    }

    /// Adds events of a batch that were not processed.
    pub(super) fn insert(&self, id: Uuid, PendingConversation { events, since }: PendingConversation) {
        let mut queue = self.queue();
        let waiting = queue.waiting.entry(id).or_insert_with(|| PendingConversation::until(events.head - 1));
        waiting.since = waiting.since.min(since);
        waiting.events.merge(events);
    }

    pub(super) fn start_batch(&self) -> Vec<(Uuid, PendingConversation)> {
        let mut queue = self.queue();
        let all: Vec<(Uuid, PendingConversation)> = std::mem::take(&mut queue.waiting).into_iter().collect();
        queue.known = 0;
        queue.taken = all.iter().map(|(_, one)| one.since).min().map(|since| (all.len(), since));
        all
    }

    /// Ends the current batch, whose conversations are done or pending again.
    pub(super) fn finish_batch(&self) {
        self.queue().taken = None;
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queue().waiting.is_empty()
    }

    /// Number of pending events that are known, at most [`MAX_KNOWN`].
    pub(super) fn known_events(&self) -> usize {
        self.queue().known
    }

    /// Drops all pending work, which another instance does.
    pub(super) fn clear(&self) {
        *self.queue() = Queue::default();
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn lag(&self) -> IndexLag {
        let queue = self.queue();
        let (taken, since) = queue.taken.unzip();
        let first = queue.waiting.values().map(|one| one.since).chain(since).min();
        IndexLag {
            waiting: queue.waiting.len() + taken.unwrap_or_default(),
            longest: first.map(|first| first.elapsed()).unwrap_or_default(),
            is_filling: self.is_filling.load(Relaxed),
        }
    }
}
