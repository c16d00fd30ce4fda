//! Indexer: a log consumer that updates the index asynchronously, so senders don't wait for it.
//!
//! The bus announces new events; a sweep finds those whose announcement was lost. A new message without files is
//! indexed from its announced event. After other events, the log says which messages have changed, and their current
//! content is read from the messages. The index contains the time before which all events are indexed: a start, or a
//! failure, repeats the events since then, and repetitions are idempotent.

mod pending;
mod progress;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Weak, atomic::Ordering::Relaxed},
    time::Duration,
};

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
use platform::bisect::{is_row_error, process_with_bisection};
use serde::Deserialize;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

pub use self::pending::IndexLag;
pub(super) use self::pending::PendingWork;
use self::{
    pending::PendingConversation,
    progress::{Progress, Scope},
};
use crate::{
    SearchService,
    document::{self, Texts},
    files,
    index::{Batch, Change},
    run_blocking,
};

/// Kind of the event that creates a message.
const CREATED: &str = "message.created";
/// Pause after a batch, so that larger batches accumulate: minimum, and with at least this number of changes.
const MIN_PAUSE: Duration = Duration::from_millis(250);
const MAX_PAUSE: Duration = Duration::from_secs(1);
const LARGE_BATCH: u32 = 250;
/// Delay after a failure, and while another instance writes.
const FAILURE_DELAY: Duration = Duration::from_secs(2);
/// Interval between sweeps for events whose announcement on the bus was lost.
const SWEEP_INTERVAL: Duration = Duration::from_secs(30);
/// Interval at which the indexer looks for requests, and whether the index was lost.
const CHECK_INTERVAL: Duration = Duration::from_secs(3);
/// Interval at which the words of removed messages are purged.
const PURGE_INTERVAL: Duration = Duration::from_secs(3_600);
/// Maximum number of conversations per batch, and of events of all of them together.
const BATCH_CONVERSATIONS: usize = 200;
const BATCH_EVENTS: u32 = 1_000;
/// Maximum number per batch of old messages, and of messages that are indexed again.
const BATCH_OLD_MESSAGES: u32 = 2_000;
const BATCH_QUEUED_MESSAGES: u32 = 100;

/// Runs the indexer until the instance stops.
pub(crate) fn start(service: &Arc<SearchService>) {
    let news = &service.pending_work;
    tokio::spawn(listen(service.bus.subscribe(), Arc::clone(news)));
    let run = run(Arc::downgrade(service), service.stopping.clone(), Arc::clone(news));
    service.shutdown_tasks.spawn(run);
}

async fn listen(mut listener: Listener, news: Arc<PendingWork>) {
    while let Some(message) = listener.recv().await {
        match message {
            BusMessage::Envelope(envelope) => {
                let (Topic::Conversation(id), Some(position)) = (&envelope.topic, envelope.position) else { continue };
                if changes_messages(&envelope.kind) {
                    let id = id.0;
                    news.announce(id, position.seq, Some(envelope));
                }
            }
            // Events of other instances for which this one has no readers don't arrive.
            BusMessage::Signal(Signal::LogAdvanced { heads }) => {
                heads.into_iter().for_each(|(id, seq)| news.announce(id.0, seq, None));
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

async fn run(service: Weak<SearchService>, stopping: CancellationToken, news: Arc<PendingWork>) {
    let mut indexer = Indexer::default();
    loop {
        let wait = if indexer.is_filling() || !news.is_empty() { Duration::ZERO } else { CHECK_INTERVAL };
        tokio::select! {
            () = news.arrived.notified() => {}
            () = tokio::time::sleep(wait) => {}
            () = stopping.cancelled() => {}
        }
        let Some(service) = service.upgrade() else { return };
        if stopping.is_cancelled() {
            if let Err(error) = service.index.close().await {
                tracing::warn!(%error, "failed to close the search index");
            }
            return;
        }
        let pause = match catch_panic(indexer.step(&service, &news)).await {
            Ok(pause) => pause,
            Err(error) => {
                tracing::warn!(%error, "failed to index messages");
                // The next step continues from the last committed state.
                indexer = Indexer::default();
                FAILURE_DELAY
            }
        };
        // The flag stays set while the index can't be written, because failures may last for long.
        news.is_filling.store(indexer.is_filling(), Relaxed);
        drop(service);
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = stopping.cancelled() => {}
        }
    }
}

/// Indexer of an instance.
#[derive(Default)]
struct Indexer {
    /// `None` before the first step, and after a failure.
    progress: Option<Progress>,
}

impl Indexer {
    fn is_filling(&self) -> bool {
        self.progress.as_ref().is_none_or(|progress| progress.state.is_filling())
    }

    /// Indexes pending events, and some old messages. Returns the pause until the next step.
    async fn step(&mut self, service: &SearchService, news: &PendingWork) -> Result<Duration, AppError> {
        let index = service.index.as_ref();
        if !index.is_writer().await? {
            self.progress = None;
            news.clear();
            return Ok(FAILURE_DELAY);
        }
        let progress = match &mut self.progress {
            Some(progress) => progress,
            None => self.progress.insert(Progress::resume(service).await?),
        };
        if !progress.check(service, news).await? {
            self.progress = None;
            return Ok(Duration::ZERO);
        }
        progress.sweep(service, news).await?;
        // Events that arrive from now on wait for the next batch; otherwise old messages and some conversations would
        // never be indexed while users write.
        let all = news.start_batch();
        let indexed = index_conversations(service, progress, news, &all).await;
        news.finish_batch();
        let (indexed, failed) = indexed?;
        if news.is_touched.swap(false, Relaxed) {
            index_queued(service, progress).await?;
        }
        if progress.state.is_filling() {
            index_old(service, progress).await?;
            return Ok(if failed.is_some() { FAILURE_DELAY } else { Duration::ZERO });
        }
        progress.maintain(service).await?;
        if let Some(error) = failed {
            tracing::warn!(%error, "failed to index messages");
            return Ok(FAILURE_DELAY);
        }
        if !indexed.is_complete {
            // More events are waiting than a batch may have.
            return Ok(Duration::ZERO);
        }
        Ok(pause_after(indexed.changes, news.known_events()))
    }
}

/// Returns the pause after a batch with this number of changes. There is none if the events that have arrived meanwhile
/// are a large batch already, so that the index doesn't fall behind in a burst.
fn pause_after(changes: u32, waiting: usize) -> Duration {
    if u32::try_from(waiting).is_ok_and(|waiting| waiting < LARGE_BATCH) {
        MIN_PAUSE + (MAX_PAUSE - MIN_PAUSE) * changes.min(LARGE_BATCH) / LARGE_BATCH
    } else {
        Duration::ZERO
    }
}

/// Indexes some old messages, from the newest to the oldest.
async fn index_old(service: &SearchService, progress: &mut Progress) -> Result<(), AppError> {
    let Some(below) = progress.state.unfilled_below else { return Ok(()) };
    let ids = rows::ids_below(service.db.reader(), below, BATCH_OLD_MESSAGES).await?;
    let is_done = ids.len() < usize::try_from(BATCH_OLD_MESSAGES).unwrap_or(usize::MAX);
    let below = ids.last().copied().unwrap_or(below);
    let changes = load_changes(service, ids).await?;
    progress.state.unfilled_below = (!is_done).then_some(below);
    write(service, progress, changes, Vec::new()).await
}

/// Result of indexing pending events.
#[derive(Clone, Copy)]
struct IndexedPart {
    changes: u32,
    /// False if some events became pending again.
    is_complete: bool,
}

/// Indexes the pending events of these conversations in batches; the remaining ones become pending again. Also
/// returns the error of a conversation that can't be read; the others are indexed.
async fn index_conversations(
    service: &SearchService,
    progress: &mut Progress,
    news: &PendingWork,
    all: &[(Uuid, PendingConversation)],
) -> Result<(IndexedPart, Option<AppError>), AppError> {
    // The work on one part ends before that on the next one starts.
    let shared = tokio::sync::Mutex::new((progress, IndexedPart { changes: 0, is_complete: true }));
    let work = |some: Vec<(Uuid, PendingConversation)>| {
        let shared = &shared;
        async move {
            let (progress, indexed) = &mut *shared.lock().await;
            let part = catch_panic(index_some(service, progress, news, some)).await?;
            indexed.changes += part.changes;
            indexed.is_complete &= part.is_complete;
            Ok(Some(()))
        }
    };
    let mut rest = process_with_bisection(all, BATCH_CONVERSATIONS, is_row_error, work).await;
    rest.rows_to_retry().for_each(|(id, one)| news.insert(*id, one.clone()));
    let (progress, indexed) = shared.into_inner();
    match rest.error {
        Some(error) => Err(error),
        None => {
            let failed = rest.failed.pop().map(|(_, error)| error);
            if failed.is_none() && indexed.is_complete {
                progress.finish_sweep();
            }
            Ok((indexed, failed))
        }
    }
}

/// Indexes the pending events of these conversations.
async fn index_some(
    service: &SearchService,
    progress: &mut Progress,
    news: &PendingWork,
    some: Vec<(Uuid, PendingConversation)>,
) -> Result<IndexedPart, AppError> {
    progress.look_up_positions(service, some.iter().map(|(id, _)| *id)).await?;
    let some = some.into_iter().map(|(id, one)| (id, progress.position(id), one));
    let some: Vec<_> = some.filter(|(_, position, one)| *position < one.events.head).collect();
    if some.is_empty() {
        return Ok(IndexedPart { changes: 0, is_complete: true });
    }
    let scope = progress.scope();
    let (some, AnnouncedChanges { mut changes, mut positions, behind }) = run_blocking(move || {
        let announced = announced_changes(&some, scope);
        (some, announced)
    })
    .await?;
    let log = match behind.is_empty() {
        true => Vec::new(),
        false => events::subjects_by_conversation(service.db.reader(), &behind, BATCH_EVENTS).await?,
    };
    let mut removed_conversations = Vec::new();
    let mut touched: BTreeSet<Uuid> = BTreeSet::new();
    for row in log {
        positions.insert(row.conversation_id.0, row.seq);
        if row.kind == "conversation.deleted" {
            removed_conversations.push(row.conversation_id.0);
        } else if changes_messages(&row.kind)
            && let Some(id) = message(&row)
        {
            touched.insert(id);
        }
    }
    let mut is_complete = true;
    for (id, _, one) in some {
        if positions.get(&id).is_some_and(|position| *position < one.events.head) {
            news.insert(id, one);
            is_complete = false;
        }
    }
    touched.retain(|id| scope.includes(*id));
    changes.extend(load_changes(service, touched.into_iter().collect()).await?);
    let indexed = IndexedPart { changes: u32::try_from(changes.len()).unwrap_or(u32::MAX), is_complete };
    if !changes.is_empty() || !removed_conversations.is_empty() {
        write(service, progress, changes, removed_conversations).await?;
    }
    progress.advance(positions);
    Ok(indexed)
}

/// Changes for announced events that need not be read from the log.
#[derive(Default)]
struct AnnouncedChanges {
    changes: Vec<Change>,
    positions: HashMap<Uuid, i64>,
    /// Conversations whose events must be read from the log after these positions.
    behind: Vec<(ConversationId, i64)>,
}

/// Returns the changes of conversations, each with its position in the log.
fn announced_changes(some: &[(Uuid, i64, PendingConversation)], scope: Scope) -> AnnouncedChanges {
    let mut announced = AnnouncedChanges::default();
    for (id, position, one) in some {
        let Some(created) = one.created_after(*position) else {
            announced.behind.push((ConversationId(*id), *position));
            continue;
        };
        announced.positions.insert(*id, one.events.head);
        let created = created.into_iter().filter(|row| scope.includes(row.id.0));
        announced.changes.extend(created.map(|row| document::change(&row, &Texts::default())));
    }
    announced
}

async fn write(
    service: &SearchService,
    progress: &mut Progress,
    changes: Vec<Change>,
    removed_conversations: Vec<Uuid>,
) -> Result<(), AppError> {
    let (count, state) = (changes.len(), progress.state.clone());
    service.index.write(Batch { changes, removed_conversations, state }).await?;
    metrics().search.record_indexed(count);
    progress.mark_written();
    Ok(())
}

/// Indexes messages again that have changed without an event, because their files' texts were extracted.
async fn index_queued(service: &SearchService, progress: &mut Progress) -> Result<(), AppError> {
    let (mut after, scope) = (rows::first_revision(progress.since()), progress.scope());
    loop {
        let queued = rows::reindex_queue(service.db.reader(), after, BATCH_QUEUED_MESSAGES).await?;
        let Some(last) = queued.last() else { return Ok(()) };
        after = last.revision;
        let new: Vec<_> = queued.iter().filter(|one| progress.is_unhandled(one)).copied().collect();
        // Messages that the initial fill has not reached are skipped, because it will index their current content.
        let ids = new.iter().map(|one| one.message_id.0).filter(|id| scope.includes(*id));
        let changes = load_changes(service, ids.collect()).await?;
        if !changes.is_empty() {
            write(service, progress, changes, Vec::new()).await?;
        }
        progress.mark_handled(&new);
        if queued.len() < usize::try_from(BATCH_QUEUED_MESSAGES).unwrap_or(usize::MAX) {
            return Ok(());
        }
    }
}

/// Returns the index changes of these messages. An unreadable message is skipped, so that later ones can still be found.
async fn load_changes(service: &SearchService, messages: Vec<Uuid>) -> Result<Vec<Change>, AppError> {
    if messages.is_empty() {
        return Ok(Vec::new());
    }
    let work = |some: Vec<Uuid>| async move {
        match (catch_panic(tokenize(service, &some)).await, some.as_slice()) {
            (Err(error), [id]) if is_row_error(&error) => skip_unreadable(service, *id, &error).await.map(Some),
            (read, _) => read.map(Some),
        }
    };
    let rest = process_with_bisection(&messages, usize::MAX, is_row_error, work).await;
    match rest.error {
        Some(error) => Err(error),
        None => Ok(rest.outputs.into_iter().flatten().collect()),
    }
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
    let found = rows::messages_to_index(service.db.reader(), ids).await?;
    let mut missing: BTreeSet<Uuid> = ids.iter().copied().collect();
    for row in &found {
        missing.remove(&row.id.0);
    }
    let texts = files::texts(service, &found).await?;
    let is_little = found.len() < 20 && texts.is_empty();
    let work = move || {
        let nothing = Texts::default();
        let change = |row: rows::IndexedMessage| document::change(&row, texts.get(&row.id.0).unwrap_or(&nothing));
        found.into_iter().map(change).collect::<Vec<_>>()
    };
    let mut changes = if is_little { work() } else { run_blocking(work).await? };
    changes.extend(missing.into_iter().map(Change::Remove));
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
