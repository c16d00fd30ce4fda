//! Receipts: how far each member has received and read. Positions, not events: the last one wins, and they only move forward.
//!
//! What comes in while one statement runs is gathered and goes into the next one, each member's furthest position once; so a thousand
//! readers of one message cost a handful of statements.

use std::{collections::HashMap, sync::Arc};

use appcore::{
    AppError, Clock, Code, ConversationId, UserId,
    event::{Audience, BusMessage, Envelope, Event, EventBus},
};
use dbcontext::{
    Database,
    query::{self, members::Reach},
};
use serde::Deserialize;
use tokio::sync::mpsc;

use crate::App;

/// Receipts that may wait. One more is dropped: a later one of the same reader says the same and more.
const QUEUE: usize = 16_384;
/// Positions stored by one statement.
const BATCH: usize = 512;

/// What a reader says about a conversation up to some event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ReceiptState {
    Delivered,
    Read,
}

/// Takes receipts; cheap to clone.
#[derive(Clone)]
pub struct Receipts {
    queue: mpsc::Sender<Reach>,
}

impl Receipts {
    #[must_use]
    pub fn start(db: Database, bus: Arc<dyn EventBus>, clock: Clock) -> Self {
        let (queue, waiting) = mpsc::channel(QUEUE);
        tokio::spawn(run(db, bus, clock, waiting));
        Self { queue }
    }

    /// Notes how far somebody has come. Whoever is no member changes nothing.
    pub fn record(&self, user_id: UserId, conversation_id: ConversationId, seq: i64, state: ReceiptState) {
        let read_seq = if state == ReceiptState::Read { seq } else { 0 };
        let _ = self.queue.try_send(Reach { conversation_id, user_id, delivered_seq: seq, read_seq });
    }
}

/// Stores a position and waits for it, for callers that read their own unread counts next.
pub async fn mark(
    app: &App,
    user_id: UserId,
    conversation_id: ConversationId,
    seq: i64,
    state: ReceiptState,
) -> Result<(), AppError> {
    if query::members::find(app.db.reader(), conversation_id, user_id).await?.is_none() {
        return Err(Code::NotFound.into());
    }
    let read_seq = if state == ReceiptState::Read { seq } else { 0 };
    store(&app.db, app.bus.as_ref(), &app.clock, &[Reach { conversation_id, user_id, delivered_seq: seq, read_seq }])
        .await
}

async fn run(db: Database, bus: Arc<dyn EventBus>, clock: Clock, mut waiting: mpsc::Receiver<Reach>) {
    let mut received = Vec::new();
    while waiting.recv_many(&mut received, BATCH).await > 0 {
        let mut furthest: HashMap<(ConversationId, UserId), Reach> = HashMap::new();
        for reach in received.drain(..) {
            furthest
                .entry((reach.conversation_id, reach.user_id))
                .and_modify(|known| {
                    known.delivered_seq = known.delivered_seq.max(reach.delivered_seq);
                    known.read_seq = known.read_seq.max(reach.read_seq);
                })
                .or_insert(reach);
        }
        let mut reaches: Vec<Reach> = furthest.into_values().collect();
        // In one order on every instance, so that two statements can't deadlock.
        reaches.sort_by_key(|reach| (reach.conversation_id, reach.user_id));
        if let Err(error) = store(&db, bus.as_ref(), &clock, &reaches).await {
            tracing::warn!(%error, "receipts could not be stored; readers send them again with their next one");
        }
    }
}

async fn store(db: &Database, bus: &dyn EventBus, clock: &Clock, reaches: &[Reach]) -> Result<(), AppError> {
    let mut messages = Vec::new();
    for moved in query::members::reach(db.writer(), reaches).await? {
        let event = Event::Receipt {
            conversation_id: moved.conversation_id,
            user_id: moved.user_id,
            delivered_seq: moved.delivered_seq,
            read_seq: moved.read_seq,
        };
        let envelope = Envelope::seal(&event, Audience::Conversation(moved.conversation_id), clock.now())
            .map_err(AppError::internal)?;
        messages.push(BusMessage::Envelope(Arc::new(envelope)));
    }
    if !messages.is_empty() {
        drop(bus.publish(messages));
    }
    Ok(())
}
