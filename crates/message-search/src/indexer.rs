//! Indexer: a log consumer that updates the index asynchronously, so senders don't wait for it.
//!
//! The bus announces conversations with new events; a sweep finds those whose announcement was lost. The position in a
//! conversation's log is written together with the words, so an interrupted batch is repeated, and repetitions are
//! idempotent: the log says which messages have changed, and their current content is read from the messages. One
//! instance writes at a time.

#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeSet, HashMap},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use ::search::{Batch, Change, FillState};
use appcore::{
    AppError, ConversationId,
    event::{BusMessage, Listener, Signal, Topic},
};
use dbcontext::query::{
    events::{self, EventSubject},
    search as rows,
};
use jobs::catch_panic;
use metrics::metrics;
use platform::{
    bisect::{is_row_error, process_with_bisection},
    sweep_schedule::{SweepSchedule, SweepWindow},
};
use serde::Deserialize;
use tokio::{sync::Notify, time::Instant};
use uuid::Uuid;

use crate::SearchService;
use crate::{
    document::{self, Texts},
    files,
    index::{self, IndexWriter, SearchIndex},
};

/// Pause after a batch, as a multiple of its duration, so that sending messages has priority and larger batches
/// accumulate.
const PAUSE_FACTOR: u32 = 1;
/// Pause while writes are queued, as a multiple of the batch's duration.
const BUSY_PAUSE_FACTOR: u32 = 4;
const MIN_PAUSE: Duration = Duration::from_millis(250);
const MAX_PAUSE: Duration = Duration::from_millis(500);
/// Delay before the next attempt while another instance writes.
const LOCK_RETRY_DELAY: Duration = Duration::from_millis(250);
/// Delay after a failure.
const FAILURE_DELAY: Duration = Duration::from_secs(2);
/// Interval between sweeps for events whose announcement on the bus was lost.
const SWEEP_INTERVAL: Duration = Duration::from_secs(30);
/// Interval at which the indexer checks whether the index was cleared.
const FILL_CHECK_INTERVAL: Duration = Duration::from_secs(3);
/// Interval at which the words of removed messages are purged.
const PURGE_INTERVAL: Duration = Duration::from_secs(3_600);
/// Maximum number of conversations per batch, and of events of all of them together.
const BATCH_CONVERSATIONS: usize = 200;
const BATCH_EVENTS: u32 = 1_000;
/// Maximum number per batch of old messages, and of messages that are indexed again.
const BATCH_OLD_MESSAGES: u32 = 500;
const BATCH_QUEUED_MESSAGES: u32 = 100;

/// Pending work: conversations with the sequence numbers of their last events.
#[derive(Default)]
pub(super) struct PendingWork {
    heads: Mutex<PendingHeads>,
    is_incomplete: AtomicBool,
    /// True if indexed messages were queued for indexing again.
    is_touched: AtomicBool,
    is_filling: AtomicBool,
    arrived: Notify,
}

#[derive(Default)]
struct PendingHeads {
    waiting: HashMap<Uuid, PendingHead>,
    /// Number of conversations in the current batch, and the time since which the oldest of them has been waiting.
    taken: Option<(usize, Instant)>,
}

/// Last announced event of a conversation.
#[derive(Clone, Copy)]
struct PendingHead {
    seq: i64,
    /// Time at which the first pending event was announced.
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

impl PendingWork {
    fn announce(&self, id: Uuid, seq: i64) {
        self.insert(id, PendingHead { seq, since: Instant::now() });
        self.arrived.notify_one();
    }

    fn insert(&self, id: Uuid, heard: PendingHead) {
        let mut heads = self.heads();
        let head = heads.waiting.entry(id).or_insert(heard);
        *head = PendingHead { seq: head.seq.max(heard.seq), since: head.since.min(heard.since) };
    }

    fn start_batch(&self) -> Vec<(Uuid, PendingHead)> {
        let mut heads = self.heads();
        let all: Vec<(Uuid, PendingHead)> = std::mem::take(&mut heads.waiting).into_iter().collect();
        heads.taken = all.iter().map(|(_, head)| head.since).min().map(|since| (all.len(), since));
        all
    }

    /// Ends the current batch, whose conversations are done or pending again.
    fn finish_batch(&self) {
        self.heads().taken = None;
    }

    fn is_empty(&self) -> bool {
        self.heads().waiting.is_empty()
    }

    fn heads(&self) -> MutexGuard<'_, PendingHeads> {
        self.heads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn lag(&self) -> IndexLag {
        let heads = self.heads();
        let (taken, since) = heads.taken.unzip();
        let first = heads.waiting.values().map(|head| head.since).chain(since).min();
        IndexLag {
            waiting: heads.waiting.len() + taken.unwrap_or_default(),
            longest: first.map(|first| first.elapsed()).unwrap_or_default(),
            is_filling: self.is_filling.load(Relaxed),
        }
    }
}

/// Runs the indexer until the instance stops.
pub(crate) fn start(service: &Arc<SearchService>) {
    let news = &service.pending_work;
    tokio::spawn(listen(service.bus.subscribe(), Arc::clone(news)));
    tokio::spawn(run(Arc::downgrade(service), Arc::clone(news)));
}

async fn listen(mut listener: Listener, news: Arc<PendingWork>) {
    while let Some(message) = listener.recv().await {
        match message {
            BusMessage::Envelope(envelope) => {
                let (Topic::Conversation(id), Some(position)) = (&envelope.topic, envelope.position) else { continue };
                if changes_messages(&envelope.kind) {
                    news.announce(id.0, position.seq);
                }
            }
            BusMessage::Signal(Signal::Gap) => {
                news.is_incomplete.store(true, Relaxed);
                news.arrived.notify_one();
            }
            BusMessage::Signal(Signal::SearchIndexStale) => {
                news.is_touched.store(true, Relaxed);
                news.arrived.notify_one();
            }
            _ => {}
        }
    }
}

fn changes_messages(kind: &str) -> bool {
    matches!(
        kind,
        "message.created"
            | "message.updated"
            | "message.completed"
            | "message.failed"
            | "message.deleted"
            | "conversation.deleted"
    )
}

async fn run(service: Weak<SearchService>, news: Arc<PendingWork>) {
    let mut lookout = SweepSchedule::new(SWEEP_INTERVAL);
    let mut is_filling = true;
    let mut purged_at = Instant::now();
    loop {
        let until_sweep = lookout.time_until_due(&news.is_incomplete);
        let wait = if is_filling || !news.is_empty() { Duration::ZERO } else { until_sweep.min(FILL_CHECK_INTERVAL) };
        let _ = tokio::time::timeout(wait, news.arrived.notified()).await;
        let Some(service) = service.upgrade() else { return };
        if service.stopping.is_cancelled() {
            return;
        }
        let begun = Instant::now();
        match catch_panic(index_batch(&service, &news, &mut lookout)).await {
            Ok(BatchResult { fills }) => {
                is_filling = fills;
                news.is_filling.store(fills, Relaxed);
            }
            Err(error) => {
                tracing::warn!(%error, "failed to index messages");
                drop(service);
                tokio::time::sleep(FAILURE_DELAY).await;
                continue;
            }
        }
        if purged_at.elapsed() >= PURGE_INTERVAL && !is_filling {
            purged_at = Instant::now();
            if let Err(error) = catch_panic(service.purge()).await {
                tracing::warn!(%error, "failed to purge the search index");
            }
        }
        let times = if service.events.writer.waiting() > 0 { BUSY_PAUSE_FACTOR } else { PAUSE_FACTOR };
        drop(service);
        if !is_filling {
            tokio::time::sleep((begun.elapsed() * times).clamp(MIN_PAUSE, MAX_PAUSE)).await;
        }
    }
}

struct BatchResult {
    /// True if the initial fill still has old messages to index.
    fills: bool,
}

/// Indexes pending events, and some old messages.
async fn index_batch(
    service: &SearchService,
    news: &PendingWork,
    lookout: &mut SweepSchedule,
) -> Result<BatchResult, AppError> {
    let index = service.index.as_ref();
    let fill = index.fill_state().await?;
    if fill.is_none() {
        service.clear_vocabulary().await;
        start_fill(service, index).await?;
        return Ok(BatchResult { fills: true });
    }
    let look = lookout.due(&news.is_incomplete, service.clock.now());
    if let Some(look) = look {
        for (id, head) in find_incomplete(service, index, look).await? {
            news.announce(id, head);
        }
        // The sweep counts as done, because the events that it found stay pending until they are indexed.
        lookout.mark_completed(look);
    }
    // Events that arrive from now on wait for the next batch; otherwise old messages and some conversations would never
    // be indexed while users write.
    let all = news.start_batch();
    let read = index_conversations(service, index, news, &all).await;
    news.finish_batch();
    let failed = read?;
    if (news.is_touched.swap(false, Relaxed) || look.is_some())
        && let Err(error) = index_queued(service, index, news).await
    {
        news.is_touched.store(true, Relaxed);
        return Err(error);
    }
    // The index may have been cleared in the meantime.
    let fills = match index.fill_state().await? {
        None => true,
        Some(FillState { is_done: false, .. }) => index_old(service, index).await?,
        Some(_) => false,
    };
    // The flag is set even if indexing has failed, because failures may last for long.
    news.is_filling.store(fills, Relaxed);
    failed.map_or(Ok(BatchResult { fills }), Err)
}

/// Conversations that a sweep finds to be indexed incompletely.
async fn find_incomplete(
    service: &SearchService,
    index: &dyn SearchIndex,
    look: SweepWindow,
) -> Result<Vec<(Uuid, i64)>, AppError> {
    let Some(since) = look.since else { return index.incomplete_conversations(&service.db).await };
    let heads = events::heads_since(service.db.reader(), since).await?;
    let mut waiting = Vec::new();
    for some in heads.chunks(BATCH_CONVERSATIONS) {
        let heads: Vec<(Uuid, i64)> = some.iter().map(|(id, head)| (id.0, *head)).collect();
        let read = index.positions(heads.iter().map(|(id, _)| *id).collect()).await?;
        waiting.extend(index::incomplete_among(heads, read));
    }
    Ok(waiting)
}

/// Starts the initial fill: new events come from the log, and existing messages are indexed from the newest to the
/// oldest.
async fn start_fill(service: &SearchService, index: &dyn SearchIndex) -> Result<(), AppError> {
    let Some(writing) = index.acquire_writer().await? else {
        tokio::time::sleep(LOCK_RETRY_DELAY).await;
        return Ok(());
    };
    if writing.fill_state().await?.is_some() {
        return Ok(());
    }
    let positions = rows::all_heads(service.db.reader()).await?;
    let fill = Some(FillState { below: Uuid::max(), is_done: positions.is_empty() });
    writing.commit(Batch { positions, fill, ..Batch::default() }).await
}

/// Indexes some old messages; returns `false` if none are left.
async fn index_old(service: &SearchService, index: &dyn SearchIndex) -> Result<bool, AppError> {
    let Some(writing) = index.acquire_writer().await? else {
        tokio::time::sleep(LOCK_RETRY_DELAY).await;
        return Ok(true);
    };
    let Some(FillState { below, is_done: false }) = writing.fill_state().await? else { return Ok(false) };
    let ids = rows::ids_below(service.db.reader(), below, BATCH_OLD_MESSAGES).await?;
    let is_done = ids.len() < usize::try_from(BATCH_OLD_MESSAGES).unwrap_or(usize::MAX);
    let below = ids.last().copied().unwrap_or(below);
    let mut changes = load_changes(service, ids).await?;
    changes.reverse();
    let fill = Some(FillState { below, is_done });
    commit(writing, Batch { changes, is_older: true, fill, ..Batch::default() }).await?;
    Ok(!is_done)
}

/// Indexes the pending events of these conversations in batches; the remaining ones become pending again. Returns the
/// error of a conversation that can't be read; the others are indexed.
async fn index_conversations(
    service: &SearchService,
    index: &dyn SearchIndex,
    news: &PendingWork,
    all: &[(Uuid, PendingHead)],
) -> Result<Option<AppError>, AppError> {
    let work = |some: Vec<(Uuid, PendingHead)>| async move {
        // Another instance may hold the write access for long.
        if service.stopping.is_cancelled() {
            return Ok(None);
        }
        catch_panic(index_some(service, index, news, some)).await.map(Some)
    };
    let mut rest = process_with_bisection(all, BATCH_CONVERSATIONS, is_row_error, work).await;
    rest.rows_to_retry().for_each(|(id, head)| news.insert(*id, *head));
    match rest.error {
        Some(error) => Err(error),
        None => Ok(rest.failed.pop().map(|(_, error)| error)),
    }
}

/// Indexes the pending events of these conversations.
async fn index_some(
    service: &SearchService,
    index: &dyn SearchIndex,
    news: &PendingWork,
    some: Vec<(Uuid, PendingHead)>,
) -> Result<(), AppError> {
    let ids: Vec<Uuid> = some.iter().map(|(id, _)| *id).collect();
    let before: HashMap<Uuid, i64> = index.positions(ids).await?.into_iter().collect();
    let is_behind = |(id, head): &(Uuid, PendingHead)| before.get(id).copied().unwrap_or(0) != head.seq;
    let some: Vec<(Uuid, PendingHead)> = some.into_iter().filter(is_behind).collect();
    if some.is_empty() {
        return Ok(());
    }
    let Some(writing) = index.acquire_writer().await? else {
        // The instance that is writing may be indexing the same conversations.
        for (id, head) in some {
            news.insert(id, head);
        }
        tokio::time::sleep(LOCK_RETRY_DELAY).await;
        return Ok(());
    };
    let ids: Vec<Uuid> = some.iter().map(|(id, _)| *id).collect();
    let mut read: HashMap<Uuid, i64> = writing.positions(ids).await?.into_iter().collect();
    // The announced sequence numbers may be older than the position that another instance has indexed.
    let heads: HashMap<ConversationId, i64> =
        events::heads(service.db.reader(), some.iter().map(|(id, _)| ConversationId(*id))).await?.into_iter().collect();
    let mut behind = Vec::new();
    for (id, _) in &some {
        let (seen, head) = (*read.entry(*id).or_default(), heads.get(&ConversationId(*id)).copied().unwrap_or(0));
        if seen > head {
            return reset_index(service, writing, "the database is older than the search index").await;
        }
        if seen < head {
            behind.push((ConversationId(*id), seen));
        }
    }
    if behind.is_empty() {
        return Ok(());
    }
    let log = events::subjects_by_conversation(service.db.reader(), &behind, BATCH_EVENTS).await?;
    if log.is_empty() {
        return reset_index(service, writing, "events that were not searchable yet are no longer there").await;
    }
    let mut batch = Batch::default();
    let mut touched = BTreeSet::new();
    for row in log {
        let seen = read.entry(row.conversation_id.0).or_default();
        if row.seq > *seen + 1 {
            return reset_index(service, writing, "events that were not searchable yet are no longer there").await;
        }
        *seen = row.seq;
        if row.kind == "conversation.deleted" {
            batch.removed_conversations.push(row.conversation_id.0);
        } else if changes_messages(&row.kind) {
            touched.extend(message(&row));
        }
    }
    for (id, seen) in &behind {
        let now = read.get(&id.0).copied().unwrap_or_default();
        if now > *seen {
            batch.positions.push((id.0, now));
        }
        let head = heads.get(id).copied().unwrap_or_default();
        if now < head {
            let since = some.iter().find(|(one, _)| *one == id.0).map_or_else(Instant::now, |(_, head)| head.since);
            news.insert(id.0, PendingHead { seq: head, since });
        }
    }
    batch.changes = load_changes(service, touched.into_iter().collect()).await?;
    commit(writing, batch).await
}

async fn commit(writing: Box<dyn IndexWriter>, batch: Batch) -> Result<(), AppError> {
    let count = batch.changes.len();
    writing.commit(batch).await?;
    metrics().search.record_indexed(count);
    Ok(())
}

/// Indexes messages again that have changed without an event, because their files' texts were extracted.
async fn index_queued(service: &SearchService, index: &dyn SearchIndex, news: &PendingWork) -> Result<(), AppError> {
    let again = || {
        news.is_touched.store(true, Relaxed);
        news.arrived.notify_one();
    };
    let touched = rows::reindex_queue(service.db.reader(), BATCH_QUEUED_MESSAGES).await?;
    if touched.is_empty() {
        return Ok(());
    }
    let is_full = touched.len() >= usize::try_from(BATCH_QUEUED_MESSAGES).unwrap_or(usize::MAX);
    let Some(writing) = index.acquire_writer().await? else {
        again();
        tokio::time::sleep(LOCK_RETRY_DELAY).await;
        return Ok(());
    };
    let Some(fill) = writing.fill_state().await? else { return Ok(()) };
    // Messages that the initial fill has not reached are skipped, because it will index their current content.
    let is_in_it = |id: &Uuid| fill.is_done || *id >= fill.below;
    let ids: Vec<Uuid> = touched.iter().map(|one| one.message_id.0).filter(is_in_it).collect();
    let changes = load_changes(service, ids).await?;
    commit(writing, Batch { changes, ..Batch::default() }).await?;
    rows::dequeue(service.db.writer(), &touched).await?;
    if is_full {
        again();
    }
    Ok(())
}

/// Clears the index, so that it is filled again from the messages. Used if the log no longer contains the events that
/// are needed.
async fn reset_index(service: &SearchService, writing: Box<dyn IndexWriter>, why: &str) -> Result<(), AppError> {
    tracing::warn!(why, "search index cleared, filling it again");
    writing.abort().await?;
    service.index.clear().await
}

/// Returns the index changes of these messages, ordered by id. An unreadable message is skipped, so that later ones can
/// still be found.
async fn load_changes(service: &SearchService, mut ids: Vec<Uuid>) -> Result<Vec<Change>, AppError> {
    // Ids increase with time. Messages are sorted by id, so that the document numbers of new messages increase with
    // time too.
    ids.sort_unstable();
    let work = |some: Vec<Uuid>| async move {
        match (catch_panic(tokenize(service, &some)).await, some.as_slice()) {
            (Err(error), [id]) if is_row_error(&error) => skip_unreadable(service, *id, &error).await.map(Some),
            (read, _) => read.map(Some),
        }
    };
    let rest = process_with_bisection(&ids, usize::MAX, is_row_error, work).await;
    if let Some(error) = rest.error {
        return Err(error);
    }
    let mut changes: Vec<Change> = rest.outputs.into_iter().flatten().collect();
    changes.sort_by_key(Change::id);
    Ok(changes)
}

/// Returns the index changes in place of an unreadable message, after checking that only this message is the cause.
async fn skip_unreadable(service: &SearchService, id: Uuid, error: &AppError) -> Result<Vec<Change>, AppError> {
    // Tests whether any message can be read. If not, this message isn't the cause, and others must not be skipped as
    // well.
    rows::messages_to_index(service.db.reader(), &[Uuid::max()]).await.map_err(AppError::unavailable)?;
    tracing::warn!(%error, %id, "unreadable message left out of the search index");
    Ok(vec![Change::Remove(id)])
}

/// Tokenizes messages; yields to the other tasks of the thread in between.
async fn tokenize(service: &SearchService, ids: &[Uuid]) -> Result<Vec<Change>, AppError> {
    let mut found = rows::messages_to_index(service.db.reader(), ids).await?;
    found.sort_by_key(|row| row.id.0);
    let there: BTreeSet<Uuid> = found.iter().map(|row| row.id.0).collect();
    let gone: Vec<Change> = ids.iter().copied().filter(|id| !there.contains(id)).map(Change::Remove).collect();
    let texts = files::texts(service, &found).await?;
    let is_little = found.len() < 20 && texts.is_empty();
    let nothing = Texts::default();
    let change = move |row: rows::IndexedMessage| {
        let said = texts.get(&row.id.0).unwrap_or(&nothing);
        document::change(row, said)
    };
    if is_little {
        return Ok(found.into_iter().map(change).chain(gone).collect());
    }
    let work = move || found.into_iter().map(change).collect::<Vec<_>>();
    let mut changes = tokio::task::spawn_blocking(work).await.map_err(AppError::internal)?;
    changes.extend(gone);
    Ok(changes)
}

/// Returns the id of the message that an event is about.
fn message(event: &EventSubject) -> Option<Uuid> {
    #[derive(Deserialize)]
    struct About {
        message: Option<Id>,
        message_id: Option<Uuid>,
    }
    #[derive(Deserialize)]
    struct Id {
        id: Uuid,
    }
    if let Some(id) = event.message_id {
        return Some(id.0);
    }
    let about: About = serde_json::from_slice(event.payload.as_deref()?).ok()?;
    about.message.map(|message| message.id).or(about.message_id)
}
