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
use serde::Deserialize;
use tokio::{sync::Notify, time::Instant};
use uuid::Uuid;

/// Maximum number of created messages that are kept in memory until they are indexed. Further ones are read from the
/// database.
const MAX_CREATED: usize = 5_000;

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
    waiting: HashMap<Uuid, PendingEvents>,
    /// Number of created messages among the waiting events.
    created: usize,
    /// Number of conversations in the current batch, and the time since which the oldest of them has been waiting.
    taken: Option<(usize, Instant)>,
}

/// Announced events of a conversation.
#[derive(Clone)]
pub(super) struct PendingEvents {
    /// Sequence number of the last event.
    pub head: i64,
    /// Time at which the first event was announced.
    since: Instant,
    /// The last events, as far as they are consecutive and have created messages.
    created: Vec<Arc<Envelope>>,
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

impl PendingEvents {
    /// Events up to `head`, to be read from the log.
    pub fn until(head: i64) -> Self {
        Self { head, since: Instant::now(), created: Vec::new() }
    }

    fn push(&mut self, seq: i64, created: Option<Arc<Envelope>>) {
        if seq <= self.head {
            return;
        }
        if created.is_none() || seq != self.head + 1 {
            self.created.clear();
        }
        self.created.extend(created);
        self.head = seq;
    }

    /// Returns the messages that the events after this position have created. Returns `None` if the events must be read
    /// from the log: some are not known, have not created a message, or have created one with files.
    pub fn created_after(&self, position: i64) -> Option<Vec<IndexedMessage>> {
        let count = usize::try_from(self.head - position).ok()?;
        let start = self.created.len().checked_sub(count)?;
        self.created.get(start..)?.iter().map(|envelope| created_message(envelope)).collect()
    }
}

fn created_message(envelope: &Envelope) -> Option<IndexedMessage> {
    #[derive(Deserialize)]
    struct Created {
        message: Message,
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
    /// Adds an announced event, with its envelope if it has created a message.
    pub fn announce(&self, id: Uuid, seq: i64, created: Option<Arc<Envelope>>) {
        let mut queue = self.queue();
        let created = created.filter(|_| queue.created < MAX_CREATED);
        queue.created += usize::from(created.is_some());
        queue.waiting.entry(id).or_insert_with(|| PendingEvents::until(seq - 1)).push(seq, created);
        drop(queue);
        self.arrived.notify_one();
    }

    /// Adds events of a batch that were not processed.
    pub(super) fn insert(&self, id: Uuid, events: PendingEvents) {
        let mut queue = self.queue();
        let waiting = queue.waiting.entry(id).or_insert_with(|| events.clone());
        waiting.since = waiting.since.min(events.since);
        if waiting.head < events.head {
            *waiting = PendingEvents { since: waiting.since, ..events };
        }
    }

    pub(super) fn start_batch(&self) -> Vec<(Uuid, PendingEvents)> {
        let mut queue = self.queue();
        let all: Vec<(Uuid, PendingEvents)> = std::mem::take(&mut queue.waiting).into_iter().collect();
        queue.created = 0;
        queue.taken = all.iter().map(|(_, events)| events.since).min().map(|since| (all.len(), since));
        all
    }

    /// Ends the current batch, whose conversations are done or pending again.
    pub(super) fn finish_batch(&self) {
        self.queue().taken = None;
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queue().waiting.is_empty()
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
        let first = queue.waiting.values().map(|events| events.since).chain(since).min();
        IndexLag {
            waiting: queue.waiting.len() + taken.unwrap_or_default(),
            longest: first.map(|first| first.elapsed()).unwrap_or_default(),
            is_filling: self.is_filling.load(Relaxed),
        }
    }
}

#[cfg(test)]
mod tests {
    use appcore::{
        ConversationId, EventId, Timestamp,
        event::{FollowChange, LogPosition, Topic},
    };
    use serde_json::json;

    use super::*;

    fn created(seq: i64) -> Arc<Envelope> {
        let conversation = ConversationId(Uuid::from_u128(1));
        let position = LogPosition { conversation_id: conversation, seq };
        let message = json!({
            "id": Uuid::from_u128(seq.unsigned_abs().into()), "conversation_id": conversation, "seq": seq, "no": seq,
            "sender": { "kind": "user", "id": null, "name": "An" }, "content": "a heron", "status": "complete",
            "attachments": [], "reactions": [], "created_at": "2026-11-30T12:00:00Z",
        });
        Arc::new(Envelope {
            id: EventId::for_position(position),
            kind: "message.created".to_owned(),
            timestamp: Timestamp(0),
            topic: Topic::Conversation(conversation),
            position: Some(position),
            effect: FollowChange::None,
            payload: serde_json::to_vec(&json!({ "message": message })).unwrap().into(),
        })
    }

    #[test]
    fn reads_from_the_log_what_was_not_announced() {
        let work = PendingWork::default();
        let id = Uuid::from_u128(1);
        let pending = |announced: &[(i64, bool)], position: i64| {
            for (seq, is_creation) in announced {
                work.announce(id, *seq, is_creation.then(|| created(*seq)));
            }
            let (_, events) = work.start_batch().remove(0);
            let rows = events.created_after(position)?;
            Some(rows.iter().map(|row| row.id.0.as_u128()).collect::<Vec<_>>())
        };
        assert_eq!(pending(&[(4, true), (5, true)], 3), Some(vec![4, 5]));
        assert_eq!(pending(&[(4, true), (5, true)], 4), Some(vec![5]));
        assert_eq!(pending(&[(5, true)], 3), None);
        assert_eq!(pending(&[(4, true), (6, true)], 3), None);
        assert_eq!(pending(&[(5, true), (4, true)], 3), None);
        assert_eq!(pending(&[(4, true), (5, false)], 3), None);
        assert_eq!(pending(&[(4, false), (5, true)], 4), Some(vec![5]));
    }
}
