//! Receipts: delivered and read positions of each member. They are stored as positions, not as
//! events: only the latest position counts, and it only moves forward. If a user marks messages as
//! unread, the user's own read position moves back, but the position shown to others doesn't.
//!
//! When a user reads messages, their read position is stored and published to their own
//! connections, in conversations of any size. Other members get it as a separate event in small
//! conversations. In conversations with up to [`MAX_READERS_SHOWN`] members, it is coalesced with
//! others and published to those who are viewing the conversation; in larger ones, other members
//! don't get it. Delivered positions are stored and published only in small conversations, because
//! they cost a write per member and message.
//!
//! Receipts that arrive while a statement runs are coalesced, one position per member, and stored
//! by the next statement. So a thousand readers of one message cost only a few statements.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use appcore::{
    AppError, Clock, Code, ConversationId, UserId,
    auth::Principal,
    event::{BusMessage, Coalesced, Envelope, Event, EventBus, ReadPosition, Topic},
    view::OwnMembership,
};
use dbcontext::{
    Database,
    query::{
        self,
        positions::{AdvancedPosition, ReportedPosition},
    },
};
use jobs::catch_panic;
use serde::Deserialize;
use tokio::sync::{mpsc, oneshot};

use crate::EventLogService;
use crate::{
    access,
    notifications::{self, NotificationReadPosition, ReadScope},
};

/// Capacity of the queue. Receipts that don't fit are dropped; a later receipt of the same reader
/// makes up for them.
const QUEUE_CAPACITY: usize = 16_384;
/// Maximum number of positions stored per statement.
const MAX_POSITIONS_PER_STATEMENT: usize = 512;
/// Number of members up to which the read positions of others are published to users who are
/// viewing the conversation.
const MAX_READERS_SHOWN: i64 = 100;

/// State that a receipt reports for the messages up to a position.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ReceiptState {
    Delivered,
    Read,
}

enum QueueItem {
    Reach(ReportedPosition),
    /// Asks to be notified when all earlier receipts are stored.
    Flush(oneshot::Sender<()>),
}

/// Handle for recording receipts; cheap to clone.
#[derive(Clone)]
pub struct Receipts {
    queue: mpsc::Sender<QueueItem>,
}

impl Receipts {
    #[must_use]
    pub fn start(db: Database, bus: Arc<dyn EventBus>, clock: Clock, small_conversation: u32) -> Self {
        let (queue, waiting) = mpsc::channel(QUEUE_CAPACITY);
        tokio::spawn(run(PositionStore { db, bus, clock, small_conversation }, waiting));
        Self { queue }
    }

    /// Enqueues a receipt. A receipt of a user who isn't a member has no effect.
    pub fn record(&self, user_id: UserId, conversation_id: ConversationId, seq: i64, state: ReceiptState) {
        let read_seq = if state == ReceiptState::Read { seq } else { 0 };
        let reach = ReportedPosition { conversation_id, user_id, delivered_seq: seq, read_seq };
        let _ = self.queue.try_send(QueueItem::Reach(reach));
    }

    /// Waits until all earlier receipts are stored or have failed.
    async fn flush(&self) {
        let (settled, stored) = oneshot::channel();
        if self.queue.send(QueueItem::Flush(settled)).await.is_ok() {
            let _ = stored.await;
        }
    }
}

/// Stores a read position and waits until it is stored. For callers that read the unread counts
/// afterwards.
pub async fn mark(
    service: &EventLogService,
    user_id: UserId,
    conversation_id: ConversationId,
    seq: i64,
    state: ReceiptState,
) -> Result<(), AppError> {
    access::member(service, user_id, conversation_id).await?;
    let read_seq = if state == ReceiptState::Read { seq } else { 0 };
    let store = PositionStore {
        db: service.db.clone(),
        bus: Arc::clone(&service.bus),
        clock: service.clock.clone(),
        small_conversation: service.config.realtime.small_conversation,
    };
    store.apply(&[ReportedPosition { conversation_id, user_id, delivered_seq: seq, read_seq }]).await
}

/// Marks the message at `seq` and all later ones as unread for the caller, and publishes this to
/// the caller's connections. Earlier messages that are unread stay unread.
pub async fn mark_unread(
    service: &EventLogService,
    by: &Principal,
    id: ConversationId,
    seq: i64,
) -> Result<OwnMembership, AppError> {
    let access = access::member(service, by.user_id, id).await?;
    let before = seq.saturating_sub(1).max(access.hidden_until_seq());
    // Waits for pending receipts of the caller's connections, which would otherwise move the
    // position forward again.
    service.receipts.flush().await;
    let is_moved = query::positions::move_back(service.db.writer(), id, by.user_id, before).await?;
    let seen = query::conversations::find(service.db.writer(), by.user_id, id).await?.ok_or(Code::NotFound)?;
    let own = seen.own_membership().ok_or(Code::NotFound)?;
    if is_moved {
        let OwnMembership { read_seq, unread, unread_mentions, .. } = own;
        let event = Event::MarkedUnread { conversation_id: id, read_seq, unread, unread_mentions };
        service.notify_user(by.user_id, &event)?;
    }
    Ok(own)
}

async fn run(store: PositionStore, mut waiting: mpsc::Receiver<QueueItem>) {
    let mut received = Vec::new();
    while waiting.recv_many(&mut received, MAX_POSITIONS_PER_STATEMENT).await > 0 {
        let mut furthest: HashMap<(ConversationId, UserId), ReportedPosition> = HashMap::new();
        let mut settling = Vec::new();
        for one in received.drain(..) {
            let reach = match one {
                QueueItem::Reach(reach) => reach,
                QueueItem::Flush(settled) => {
                    settling.push(settled);
                    continue;
                }
            };
            furthest
                .entry((reach.conversation_id, reach.user_id))
                .and_modify(|known| {
                    known.delivered_seq = known.delivered_seq.max(reach.delivered_seq);
                    known.read_seq = known.read_seq.max(reach.read_seq);
                })
                .or_insert(reach);
        }
        let mut reaches: Vec<ReportedPosition> = furthest.into_values().collect();
        // Sorted, so that statements of different instances can't deadlock.
        reaches.sort_by_key(|reach| (reach.conversation_id, reach.user_id));
        if !reaches.is_empty()
            && let Err(error) = catch_panic(store.apply(&reaches)).await
        {
            tracing::warn!(%error, "failed to store receipts");
        }
        for settled in settling {
            let _ = settled.send(());
        }
    }
}

/// Stores positions and publishes them.
struct PositionStore {
    db: Database,
    bus: Arc<dyn EventBus>,
    clock: Clock,
    small_conversation: u32,
}

impl PositionStore {
    async fn apply(&self, reaches: &[ReportedPosition]) -> Result<(), AppError> {
        let mut messages = Vec::new();
        let mut gathered: BTreeMap<ConversationId, Vec<ReadPosition>> = BTreeMap::new();
        let mut reads = Vec::new();
        for moved in query::positions::advance(self.db.writer(), reaches, self.small_conversation).await? {
            let AdvancedPosition { conversation_id, user_id, delivered_seq, read_seq, receipt_seq, member_count } =
                moved;
            reads.push(NotificationReadPosition {
                user_id,
                scope: ReadScope::MainLine(conversation_id),
                seq: read_seq,
            });
            let is_news = read_seq >= receipt_seq;
            let is_small = member_count <= i64::from(self.small_conversation);
            if is_news && !is_small && member_count <= MAX_READERS_SHOWN {
                gathered.entry(conversation_id).or_default().push(ReadPosition { user_id, read_seq });
            }
            let topic = if is_small && is_news { Topic::Conversation(conversation_id) } else { Topic::User(user_id) };
            let event = Event::Receipt { conversation_id, user_id, delivered_seq, read_seq };
            let envelope = Envelope::seal(&event, topic, self.clock.now()).map_err(AppError::internal)?;
            messages.push(BusMessage::Envelope(Arc::new(envelope)));
        }
        messages.extend(gathered.into_iter().map(|(conversation_id, items)| {
            BusMessage::Coalesced(Arc::new(Coalesced::Receipts { conversation_id, items }))
        }));
        if !messages.is_empty() {
            drop(self.bus.publish(messages));
        }
        // Only read positions matter here: that a message was delivered doesn't mean that its
        // notification was read.
        let has_read = reaches.iter().any(|reach| reach.read_seq > 0);
        if has_read && !reads.is_empty() {
            notifications::mark_passed_read(&self.db, self.bus.as_ref(), self.clock.now(), &reads).await?;
        }
        Ok(())
    }
}
