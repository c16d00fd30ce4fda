//! Reads the log into the index: behind everything that is sent, so no sender waits for it.
//!
//! The bus says which conversations have something new; what it doesn't say is found by a sweep. How far a conversation was read is written together with
//! the words of its messages, so whatever breaks off is repeated, and what is repeated changes nothing: the log says which messages have changed, and what
//! they are now is read from where they lie. One instance writes at a time.

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

use ::search::{Batch, Change, Fill};
use appcore::{
    AppError, ConversationId,
    event::{BusMessage, Listener, Signal, Topic},
};
use dbcontext::query::{
    events::{self, EventAbout},
    search as rows,
};
use jobs::caught;
use metrics::metrics;
use platform::{
    bisect::{in_halves, is_of_one},
    sweep_schedule::{Look, Lookout},
};
use serde::Deserialize;
use tokio::{sync::Notify, time::Instant};
use uuid::Uuid;

use crate::SearchService;
use crate::{
    document::{self, Texts},
    files,
    index::{self, SearchIndex, Writing},
};

/// How long it rests after it has read what was new, as many times as long as it took, so that what people send goes before; and long enough for more to
/// come.
const REST: u32 = 1;
/// While something waits to be written.
const REST_WHILE_BUSY: u32 = 4;
const SHORTEST_REST: Duration = Duration::from_millis(250);
const LONGEST_REST: Duration = Duration::from_millis(500);
/// How soon it is looked again while another instance writes.
const AGAIN: Duration = Duration::from_millis(250);
/// How soon after a failure.
const AFTER_FAILURE: Duration = Duration::from_secs(2);
/// How often it is looked for what the bus has not said.
const SWEEP: Duration = Duration::from_secs(30);
/// How often it is looked whether somebody has emptied the index.
const LOOK: Duration = Duration::from_secs(3);
/// How often the words of removed messages are taken out of the index.
const PURGE_INTERVAL: Duration = Duration::from_secs(3_600);
/// Conversations that are read at once, and events of all of them.
const CONVERSATIONS: usize = 200;
const EVENTS: u32 = 1_000;
/// Old messages that are read at once, and messages that were touched.
const OLD: u32 = 500;
const TOUCHED: u32 = 100;

/// What is known to be new: conversations and the numbers of their last events.
#[derive(Default)]
pub(super) struct News {
    heads: Mutex<Heads>,
    is_incomplete: AtomicBool,
    /// Messages were touched that are in the index already.
    is_touched: AtomicBool,
    is_filling: AtomicBool,
    arrived: Notify,
}

#[derive(Default)]
struct Heads {
    waiting: HashMap<Uuid, Head>,
    /// How many are being read, and since when the first of them waits.
    taken: Option<(usize, Instant)>,
}

/// The last event of a conversation that was heard of.
#[derive(Clone, Copy)]
struct Head {
    seq: i64,
    /// When the first was heard of that is not read yet.
    since: Instant,
}

/// How far the index is behind, as this instance has heard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lag {
    /// Conversations of which something is not in it yet.
    pub waiting: usize,
    /// How long what waits longest has waited.
    pub longest: Duration,
    /// Old messages are being read.
    pub is_filling: bool,
}

impl News {
    fn hear(&self, id: Uuid, seq: i64) {
        self.put(id, Head { seq, since: Instant::now() });
        self.arrived.notify_one();
    }

    fn put(&self, id: Uuid, heard: Head) {
        let mut heads = self.heads();
        let head = heads.waiting.entry(id).or_insert(heard);
        *head = Head { seq: head.seq.max(heard.seq), since: head.since.min(heard.since) };
    }

    fn take(&self) -> Vec<(Uuid, Head)> {
        let mut heads = self.heads();
        let all: Vec<(Uuid, Head)> = std::mem::take(&mut heads.waiting).into_iter().collect();
        heads.taken = all.iter().map(|(_, head)| head.since).min().map(|since| (all.len(), since));
        all
    }

    /// What was taken is read, or waits again.
    fn end_taking(&self) {
        self.heads().taken = None;
    }

    fn is_empty(&self) -> bool {
        self.heads().waiting.is_empty()
    }

    fn heads(&self) -> MutexGuard<'_, Heads> {
        self.heads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn lag(&self) -> Lag {
        let heads = self.heads();
        let (taken, since) = heads.taken.unzip();
        let first = heads.waiting.values().map(|head| head.since).chain(since).min();
        Lag {
            waiting: heads.waiting.len() + taken.unwrap_or_default(),
            longest: first.map(|first| first.elapsed()).unwrap_or_default(),
            is_filling: self.is_filling.load(Relaxed),
        }
    }
}

/// Keeps the index up to date until the instance stops.
pub(crate) fn start(service: &Arc<SearchService>) {
    let news = &service.news;
    tokio::spawn(listen(service.bus.listen(), Arc::clone(news)));
    tokio::spawn(keep(Arc::downgrade(service), Arc::clone(news)));
}

async fn listen(mut listener: Listener, news: Arc<News>) {
    while let Some(message) = listener.recv().await {
        match message {
            BusMessage::Envelope(envelope) => {
                let (Topic::Conversation(id), Some(position)) = (&envelope.topic, envelope.position) else { continue };
                if changes_messages(&envelope.kind) {
                    news.hear(id.0, position.seq);
                }
            }
            BusMessage::Signal(Signal::Gap) => {
                news.is_incomplete.store(true, Relaxed);
                news.arrived.notify_one();
            }
            BusMessage::Signal(Signal::SearchTouched) => {
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

async fn keep(service: Weak<SearchService>, news: Arc<News>) {
    let mut lookout = Lookout::new(SWEEP);
    let mut is_filling = true;
    let mut purged_at = Instant::now();
    loop {
        let until_sweep = lookout.wait(&news.is_incomplete);
        let wait = if is_filling || !news.is_empty() { Duration::ZERO } else { until_sweep.min(LOOK) };
        let _ = tokio::time::timeout(wait, news.arrived.notified()).await;
        let Some(service) = service.upgrade() else { return };
        if service.stopping.is_cancelled() {
            return;
        }
        let begun = Instant::now();
        match caught(turn(&service, &news, &mut lookout)).await {
            Ok(Turn { fills }) => {
                is_filling = fills;
                news.is_filling.store(fills, Relaxed);
            }
            Err(error) => {
                tracing::warn!(%error, "messages could not be read into the search index");
                drop(service);
                tokio::time::sleep(AFTER_FAILURE).await;
                continue;
            }
        }
        if purged_at.elapsed() >= PURGE_INTERVAL && !is_filling {
            purged_at = Instant::now();
            if let Err(error) = caught(service.purge()).await {
                tracing::warn!(%error, "failed to purge the search index");
            }
        }
        let times = if service.events.writer.waiting() > 0 { REST_WHILE_BUSY } else { REST };
        drop(service);
        if !is_filling {
            tokio::time::sleep((begun.elapsed() * times).clamp(SHORTEST_REST, LONGEST_REST)).await;
        }
    }
}

struct Turn {
    /// There are old messages left to be read.
    fills: bool,
}

/// Reads what is new, and some of what is old.
async fn turn(service: &SearchService, news: &News, lookout: &mut Lookout) -> Result<Turn, AppError> {
    let index = service.index.as_ref();
    let fill = index.fill().await?;
    if fill.is_none() {
        service.forget_words().await;
        begin_filling(service, index).await?;
        return Ok(Turn { fills: true });
    }
    let look = lookout.due(&news.is_incomplete, service.clock.now());
    if let Some(look) = look {
        for (id, head) in waiting(service, index, look).await? {
            news.hear(id, head);
        }
        // What is heard of stays until it is read.
        lookout.looked(look);
    }
    // What comes meanwhile is for the next turn: otherwise nothing else would be read while people write, and some conversations would get no turn.
    let all = news.take();
    let read = read_all(service, index, news, &all).await;
    news.end_taking();
    let failed = read?;
    if (news.is_touched.swap(false, Relaxed) || look.is_some())
        && let Err(error) = read_touched(service, index, news).await
    {
        news.is_touched.store(true, Relaxed);
        return Err(error);
    }
    // It may have been forgotten meanwhile.
    let fills = match index.fill().await? {
        None => true,
        Some(Fill { is_done: false, .. }) => read_old(service, index).await?,
        Some(_) => false,
    };
    // Also where something could not be read: it may stay so for long.
    news.is_filling.store(fills, Relaxed);
    failed.map_or(Ok(Turn { fills }), Err)
}

/// The conversations that a look finds not to be in the index as they are.
async fn waiting(service: &SearchService, index: &dyn SearchIndex, look: Look) -> Result<Vec<(Uuid, i64)>, AppError> {
    let Some(since) = look.since else { return index.waiting(&service.db).await };
    let heads = events::heads_since(service.db.reader(), since).await?;
    let mut waiting = Vec::new();
    for some in heads.chunks(CONVERSATIONS) {
        let heads: Vec<(Uuid, i64)> = some.iter().map(|(id, head)| (id.0, *head)).collect();
        let read = index.positions(heads.iter().map(|(id, _)| *id).collect()).await?;
        waiting.extend(index::unequal(heads, read));
    }
    Ok(waiting)
}

/// From here on what is new comes from the log, and what was there before is read from the newest to the oldest.
async fn begin_filling(service: &SearchService, index: &dyn SearchIndex) -> Result<(), AppError> {
    let Some(writing) = index.begin().await? else {
        tokio::time::sleep(AGAIN).await;
        return Ok(());
    };
    if writing.fill().await?.is_some() {
        return Ok(());
    }
    let positions = rows::all_heads(service.db.reader()).await?;
    let fill = Some(Fill { below: Uuid::max(), is_done: positions.is_empty() });
    writing.commit(Batch { positions, fill, ..Batch::default() }).await
}

/// Reads some old messages; `false` when there are none left.
async fn read_old(service: &SearchService, index: &dyn SearchIndex) -> Result<bool, AppError> {
    let Some(writing) = index.begin().await? else {
        tokio::time::sleep(AGAIN).await;
        return Ok(true);
    };
    let Some(Fill { below, is_done: false }) = writing.fill().await? else { return Ok(false) };
    let ids = rows::ids_below(service.db.reader(), below, OLD).await?;
    let is_done = ids.len() < usize::try_from(OLD).unwrap_or(usize::MAX);
    let below = ids.last().copied().unwrap_or(below);
    let mut changes = changes(service, ids).await?;
    changes.reverse();
    let fill = Some(Fill { below, is_done });
    commit(writing, Batch { changes, is_older: true, fill, ..Batch::default() }).await?;
    Ok(!is_done)
}

/// Reads what is new in all of these conversations, some at a time; what isn't read waits again. Answers why, where something of one of them can't be
/// read: the others are.
async fn read_all(
    service: &SearchService,
    index: &dyn SearchIndex,
    news: &News,
    all: &[(Uuid, Head)],
) -> Result<Option<AppError>, AppError> {
    let work = |some: Vec<(Uuid, Head)>| async move {
        // Another instance may write for long.
        if service.stopping.is_cancelled() {
            return Ok(None);
        }
        caught(read(service, index, news, some)).await.map(Some)
    };
    let mut rest = in_halves(all, CONVERSATIONS, is_of_one, work).await;
    rest.rows().for_each(|(id, head)| news.put(*id, *head));
    match rest.error {
        Some(error) => Err(error),
        None => Ok(rest.failed.pop().map(|(_, error)| error)),
    }
}

/// Reads what is new in these conversations.
async fn read(
    service: &SearchService,
    index: &dyn SearchIndex,
    news: &News,
    some: Vec<(Uuid, Head)>,
) -> Result<(), AppError> {
    let ids: Vec<Uuid> = some.iter().map(|(id, _)| *id).collect();
    let before: HashMap<Uuid, i64> = index.positions(ids).await?.into_iter().collect();
    let is_behind = |(id, head): &(Uuid, Head)| before.get(id).copied().unwrap_or(0) != head.seq;
    let some: Vec<(Uuid, Head)> = some.into_iter().filter(is_behind).collect();
    if some.is_empty() {
        return Ok(());
    }
    let Some(writing) = index.begin().await? else {
        // Whoever writes may be reading just these.
        for (id, head) in some {
            news.put(id, head);
        }
        tokio::time::sleep(AGAIN).await;
        return Ok(());
    };
    let ids: Vec<Uuid> = some.iter().map(|(id, _)| *id).collect();
    let mut read: HashMap<Uuid, i64> = writing.positions(ids).await?.into_iter().collect();
    // What was heard may be older than what another instance has read since.
    let heads: HashMap<ConversationId, i64> =
        events::heads(service.db.reader(), some.iter().map(|(id, _)| ConversationId(*id))).await?.into_iter().collect();
    let mut behind = Vec::new();
    for (id, _) in &some {
        let (seen, head) = (*read.entry(*id).or_default(), heads.get(&ConversationId(*id)).copied().unwrap_or(0));
        if seen > head {
            return lost(service, writing, "the database is older than the search index").await;
        }
        if seen < head {
            behind.push((ConversationId(*id), seen));
        }
    }
    if behind.is_empty() {
        return Ok(());
    }
    let log = events::about_each(service.db.reader(), &behind, EVENTS).await?;
    if log.is_empty() {
        return lost(service, writing, "events that were not searchable yet are no longer there").await;
    }
    let mut batch = Batch::default();
    let mut touched = BTreeSet::new();
    for row in log {
        let seen = read.entry(row.conversation_id.0).or_default();
        if row.seq > *seen + 1 {
            return lost(service, writing, "events that were not searchable yet are no longer there").await;
        }
        *seen = row.seq;
        if row.kind == "conversation.deleted" {
            batch.gone.push(row.conversation_id.0);
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
            news.put(id.0, Head { seq: head, since });
        }
    }
    batch.changes = changes(service, touched.into_iter().collect()).await?;
    commit(writing, batch).await
}

async fn commit(writing: Box<dyn Writing>, batch: Batch) -> Result<(), AppError> {
    let count = batch.changes.len();
    writing.commit(batch).await?;
    metrics().search.indexed(count);
    Ok(())
}

/// Reads messages again that have changed without an event: their files were read.
async fn read_touched(service: &SearchService, index: &dyn SearchIndex, news: &News) -> Result<(), AppError> {
    let again = || {
        news.is_touched.store(true, Relaxed);
        news.arrived.notify_one();
    };
    let touched = rows::touched(service.db.reader(), TOUCHED).await?;
    if touched.is_empty() {
        return Ok(());
    }
    let is_full = touched.len() >= usize::try_from(TOUCHED).unwrap_or(usize::MAX);
    let Some(writing) = index.begin().await? else {
        again();
        tokio::time::sleep(AGAIN).await;
        return Ok(());
    };
    let Some(fill) = writing.fill().await? else { return Ok(()) };
    // Those that are not in it yet are read with what they say now.
    let is_in_it = |id: &Uuid| fill.is_done || *id >= fill.below;
    let ids: Vec<Uuid> = touched.iter().map(|one| one.message_id.0).filter(is_in_it).collect();
    let changes = changes(service, ids).await?;
    commit(writing, Batch { changes, ..Batch::default() }).await?;
    rows::forget_touched(service.db.writer(), &touched).await?;
    if is_full {
        again();
    }
    Ok(())
}

/// What can't be read from the log any more is read from the messages.
async fn lost(service: &SearchService, writing: Box<dyn Writing>, why: &str) -> Result<(), AppError> {
    tracing::warn!(why, "the search index is filled anew");
    writing.give_up().await?;
    service.index.clear().await
}

/// What is to be done with these messages, in the order of their ids. One that can't be read is set aside: it is not found, and what comes after it is.
async fn changes(service: &SearchService, mut ids: Vec<Uuid>) -> Result<Vec<Change>, AppError> {
    // Ids rise with time, and so do the places of what is new.
    ids.sort_unstable();
    let work = |some: Vec<Uuid>| async move {
        match (caught(changes_of(service, &some)).await, some.as_slice()) {
            (Err(error), [id]) if is_of_one(&error) => set_aside(service, *id, &error).await.map(Some),
            (read, _) => read.map(Some),
        }
    };
    let rest = in_halves(&ids, usize::MAX, is_of_one, work).await;
    if let Some(error) = rest.error {
        return Err(error);
    }
    let mut changes: Vec<Change> = rest.done.into_iter().flatten().collect();
    changes.sort_by_key(Change::id);
    Ok(changes)
}

/// What is done with a message that can't be read.
async fn set_aside(service: &SearchService, id: Uuid, error: &AppError) -> Result<Vec<Change>, AppError> {
    // Where no message at all can be read, it isn't the fault of this one, and others would fare no better.
    rows::indexed(service.db.reader(), &[Uuid::max()]).await.map_err(AppError::unavailable)?;
    tracing::warn!(%error, %id, "a message can't be read into the search index: nobody will find it");
    Ok(vec![Change::Remove(id)])
}

/// Words are taken apart beside what else this thread does.
async fn changes_of(service: &SearchService, ids: &[Uuid]) -> Result<Vec<Change>, AppError> {
    let mut found = rows::indexed(service.db.reader(), ids).await?;
    found.sort_by_key(|row| row.id.0);
    let there: BTreeSet<Uuid> = found.iter().map(|row| row.id.0).collect();
    let gone: Vec<Change> = ids.iter().copied().filter(|id| !there.contains(id)).map(Change::Remove).collect();
    let texts = files::texts(service, &found).await?;
    let is_little = found.len() < 20 && texts.is_empty();
    let nothing = Texts::default();
    let change = move |row: rows::Indexed| {
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

/// The message that an event is about.
fn message(event: &EventAbout) -> Option<Uuid> {
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
