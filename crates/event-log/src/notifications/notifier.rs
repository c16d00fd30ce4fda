//! Notifier: consumes the log asynchronously and stores notifications, so that senders don't wait.
//!
//! The bus announces new events; a periodic sweep finds events missed on the bus. The position that
//! the notifier has reached in a conversation is stored in the same transaction as the resulting
//! notifications. If there are very many, most of them are stored in earlier transactions, which
//! may safely be repeated. Only one instance processes events at a time; it then pauses for a
//! multiple of the time that it has worked.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use appcore::{
    AppError, ConversationId, Timestamp,
    event::{BusMessage, Envelope, Event, Listener, Signal, Topic},
};
use dbcontext::{
    Transaction,
    constraint::app_error,
    query::{
        events,
        notifications::{self as rows, NotificationKey, NotificationReadPosition, NotificationRow, ReadScope},
        notifier,
    },
};
use jobs::catch_panic;
use platform::{
    bisect::{is_row_error, process_with_bisection},
    chunked_delete::delete_in_chunks,
    sweep_schedule::{SweepSchedule, SweepWindow},
};
use tokio::{sync::Notify, time::Instant};

use super::{
    digest_email,
    log_events::{LogEvents, LoggedEvent, is_relevant},
    publish, publish_removal, recipients,
};
use crate::{EventLogService, pending_events::PendingEvents, push};

/// Delay after an announcement of events, during which further ones are coalesced; factor between
/// working time and pause; bounds of the pause.
const COALESCE_DELAY: Duration = Duration::from_millis(100);
const PAUSE_FACTOR: u32 = 4;
const MIN_PAUSE: Duration = Duration::from_millis(150);
const MAX_PAUSE: Duration = Duration::from_secs(2);
/// Retry interval while another instance holds the lock.
const LOCK_RETRY_INTERVAL: Duration = Duration::from_millis(250);
/// Pause after a failure.
const FAILURE_PAUSE: Duration = Duration::from_secs(2);
/// Interval of the sweep for events missed on the bus.
const SWEEP_INTERVAL: Duration = Duration::from_secs(30);
/// Maximum age of events that still produce notifications.
const MAX_EVENT_AGE: Duration = Duration::from_secs(24 * 3_600);
/// Retention of notifications, interval of the clean-up, and maximum number of rows deleted per
/// statement, so that the writer never waits long.
const RETENTION: Duration = Duration::from_secs(90 * 24 * 3_600);
const CLEANUP_INTERVAL: Duration = Duration::from_secs(3_600);
const MAX_DELETED_PER_STATEMENT: u64 = 1_000;
/// Maximum number of conversations per round, and of events per conversation.
const MAX_CONVERSATIONS: usize = 200;
const MAX_EVENTS: u32 = 500;
/// Maximum number of events that are kept in memory until they are processed. Further ones are read
/// from the log.
const MAX_KNOWN: usize = 5_000;
/// Maximum number of rows stored per transaction, so that other writers get their turn between
/// transactions.
const ROWS_PER_TRANSACTION: usize = 500;

/// Conversations with unprocessed events.
#[derive(Default)]
struct PendingConversations {
    queue: Mutex<Queue>,
    has_gap: AtomicBool,
    arrived: Notify,
}

#[derive(Default)]
struct Queue {
    waiting: HashMap<ConversationId, PendingEvents>,
    /// Number of known events among those that wait.
    known: usize,
}

impl PendingConversations {
    /// Adds an announced event; without its envelope, it is read from the log.
    fn announce(&self, id: ConversationId, seq: i64, envelope: Option<Arc<Envelope>>) {
        let mut queue = self.queue();
        let envelope = envelope.filter(|_| queue.known < MAX_KNOWN);
        queue.known += usize::from(envelope.is_some());
        queue.waiting.entry(id).or_insert_with(|| PendingEvents::until(seq - 1)).push(seq, envelope);
        drop(queue);
        self.arrived.notify_one();
    }

    /// Adds events of a round that were not processed.
    fn insert(&self, id: ConversationId, events: PendingEvents) {
        self.queue().waiting.entry(id).or_insert_with(|| PendingEvents::until(events.head - 1)).merge(events);
        self.arrived.notify_one();
    }

    fn take(&self) -> Vec<(ConversationId, PendingEvents)> {
        std::mem::take(&mut *self.queue()).waiting.into_iter().collect()
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Starts the background tasks, which run until the instance stops.
pub(crate) fn start(service: &Arc<EventLogService>) {
    let news = Arc::new(PendingConversations::default());
    tokio::spawn(listen(service.bus.subscribe(), Arc::clone(&news)));
    tokio::spawn(run(Arc::downgrade(service), news));
    tokio::spawn(run_cleanup(Arc::downgrade(service)));
}

async fn listen(mut listener: Listener, news: Arc<PendingConversations>) {
    while let Some(message) = listener.recv().await {
        match message {
            BusMessage::Envelope(envelope) => {
                let (Topic::Conversation(id), Some(position)) = (&envelope.topic, envelope.position) else { continue };
                if is_relevant(&envelope.kind) {
                    let id = *id;
                    news.announce(id, position.seq, Some(envelope));
                }
            }
            // Events of other instances for which this one has no readers don't arrive.
            BusMessage::Signal(Signal::LogAdvanced { heads }) => {
                heads.into_iter().for_each(|(id, seq)| news.announce(id, seq, None));
            }
            BusMessage::Signal(Signal::Gap) => {
                news.has_gap.store(true, Ordering::Relaxed);
                news.arrived.notify_one();
            }
            _ => {}
        }
    }
}

async fn run(service: Weak<EventLogService>, news: Arc<PendingConversations>) {
    let mut lookout = SweepSchedule::new(SWEEP_INTERVAL);
    loop {
        let wait = lookout.time_until_due(&news.has_gap);
        let _ = tokio::time::timeout(wait, news.arrived.notified()).await;
        tokio::time::sleep(COALESCE_DELAY).await;
        let Some(service) = service.upgrade() else { return };
        if service.stopping.is_cancelled() {
            return;
        }
        let begun = Instant::now();
        let rest = match catch_panic(run_round(&service, &news, &mut lookout)).await {
            Ok(()) => (begun.elapsed() * PAUSE_FACTOR).clamp(MIN_PAUSE, MAX_PAUSE),
            Err(error) => {
                tracing::warn!(%error, "failed to resolve notification recipients");
                FAILURE_PAUSE
            }
        };
        drop(service);
        tokio::time::sleep(rest).await;
    }
}

async fn run_round(
    service: &EventLogService,
    news: &PendingConversations,
    lookout: &mut SweepSchedule,
) -> Result<(), AppError> {
    if let Some(look) = lookout.due(&news.has_gap, service.clock.now()) {
        for (id, head) in find_unprocessed(service, look).await? {
            news.announce(id, head, None);
        }
        // The positions that the sweep has found stay queued until they are processed.
        lookout.mark_completed(look);
    }
    // Announcements that arrive meanwhile are left for the next round. Otherwise there would be no
    // pause under load, and some conversations would starve.
    let all = news.take();
    let work =
        |some: Vec<(ConversationId, PendingEvents)>| async move { catch_panic(process(service, news, &some)).await };
    let mut rest = process_with_bisection(&all, MAX_CONVERSATIONS, is_row_error, work).await;
    rest.rows_to_retry().for_each(|(id, events)| news.insert(*id, events.clone()));
    if let Some(error) = rest.error {
        return Err(error);
    }
    if !rest.not_attempted.is_empty() {
        // Retries later, because the other instance may have read the log before these events were
        // written.
        tokio::time::sleep(LOCK_RETRY_INTERVAL).await;
    }
    rest.failed.pop().map_or(Ok(()), |(_, error)| Err(error))
}

/// Returns the conversations that a sweep finds: depending on its window, either all that have
/// unprocessed events, or those with events since the last sweep.
async fn find_unprocessed(
    service: &EventLogService,
    look: SweepWindow,
) -> Result<Vec<(ConversationId, i64)>, AppError> {
    match look.since {
        Some(since) => events::heads_since(service.db.reader(), since).await,
        None => notifier::waiting(service.db.reader(), service.clock.now().minus(MAX_EVENT_AGE)).await,
    }
}

/// Processes new events of these conversations. Returns `None` if another instance holds the lock.
async fn process(
    service: &EventLogService,
    news: &PendingConversations,
    some: &[(ConversationId, PendingEvents)],
) -> Result<Option<()>, AppError> {
    let ids: Vec<ConversationId> = some.iter().map(|(id, _)| *id).collect();
    // Checks without a lock first, because usually there is no other instance, or it has already
    // processed the events.
    let seen: HashMap<_, _> = notifier::positions(service.db.reader(), &ids).await?.into_iter().collect();
    if some.iter().all(|(id, events)| seen.get(id).is_some_and(|seen| *seen >= events.head)) {
        return Ok(Some(()));
    }
    let Some(turn) = try_lock(service).await? else { return Ok(None) };
    let seen: HashMap<_, _> = match &turn {
        Some(tx) => notifier::positions(tx, &ids).await?.into_iter().collect(),
        None => seen,
    };
    let now = service.clock.now();
    let since = now.minus(MAX_EVENT_AGE);
    let mut happenings = LogEvents::default();
    let mut reached: HashMap<ConversationId, i64> = HashMap::new();
    let mut behind: HashMap<ConversationId, (i64, i64)> = HashMap::new();
    for (id, events) in some {
        let position = seen.get(id).copied().unwrap_or(0);
        if position >= events.head {
            continue;
        }
        match events.known_after(position) {
            Some(known) => {
                let known = known.iter().filter_map(|envelope| LoggedEvent::from_envelope(envelope));
                known.for_each(|event| happenings.add(event, since));
                reached.insert(*id, events.head);
            }
            None => drop(behind.insert(*id, (position, events.head))),
        }
    }
    if reached.is_empty() && behind.is_empty() {
        return release_lock(turn).await;
    }
    if !behind.is_empty() {
        let positions: Vec<(ConversationId, i64)> = behind.iter().map(|(id, (seen, _))| (*id, *seen)).collect();
        let mut read: HashMap<ConversationId, i64> = HashMap::new();
        for row in events::next_readable_of_each(service.db.reader(), &positions, MAX_EVENTS).await? {
            happenings.add(LoggedEvent::from(&row), since);
            read.insert(row.conversation_id, row.seq);
        }
        // The total number of rows of the query is limited. If several conversations were requested,
        // some may get no rows.
        let is_alone = read.is_empty();
        for (id, (seen, head)) in behind {
            // Events that are missing from the log were trimmed; they are too old for notifications.
            let missing = if is_alone { head.min(seen + i64::from(MAX_EVENTS)) } else { seen };
            let position = read.get(&id).copied().unwrap_or(missing);
            reached.insert(id, position);
            if position < head {
                news.announce(id, head, None);
            }
        }
    }
    let found = match recipients::resolve(service, &happenings, now).await {
        Ok(found) => found,
        Err(error) => {
            // Releases the lock, so that the other conversations of this round can be processed.
            release_lock(turn).await?;
            return Err(error);
        }
    };
    store(service, turn, happenings, found, reached, now).await?;
    Ok(Some(()))
}

/// Acquires the lock for processing, which is held until the end of the transaction. On SQLite no
/// lock is needed, since there is only one process; the write transaction is then opened only when
/// there is something to write.
async fn try_lock(service: &EventLogService) -> Result<Option<Option<Transaction>>, AppError> {
    if service.db.is_sqlite() {
        return Ok(Some(None));
    }
    let tx = service.db.begin().await.map_err(app_error)?;
    if notifier::try_lock(&tx).await? {
        return Ok(Some(Some(tx)));
    }
    tx.rollback().await.map_err(app_error)?;
    Ok(None)
}

async fn release_lock(turn: Option<Transaction>) -> Result<Option<()>, AppError> {
    if let Some(tx) = turn {
        tx.rollback().await.map_err(app_error)?;
    }
    Ok(Some(()))
}

async fn store(
    service: &EventLogService,
    turn: Option<Transaction>,
    happenings: LogEvents,
    found: recipients::NotificationChanges,
    reached: HashMap<ConversationId, i64>,
    now: Timestamp,
) -> Result<(), AppError> {
    let new = store_in_parts(service, found.new, now).await?;
    let tx = match turn {
        Some(tx) => tx,
        None => service.db.begin().await.map_err(app_error)?,
    };
    let mut withdrawn = rows::withdraw(&tx, &found.withdrawn).await?;
    if !happenings.deleted.is_empty() {
        let gone: Vec<_> = happenings.deleted.into_iter().collect();
        withdrawn.extend(rows::withdraw_messages(&tx, &gone).await?);
    }
    let fewer: Vec<_> = happenings.removed_reactions.into_iter().collect();
    withdrawn.extend(rows::withdraw_reactions(&tx, &fewer).await?);
    if !happenings.deleted_conversations.is_empty() {
        let ended: Vec<_> = happenings.deleted_conversations.into_iter().collect();
        withdrawn.extend(rows::withdraw_conversations(&tx, &ended).await?);
    }
    let written = happenings.read_by_writing.into_iter().map(|((user_id, id), seq)| NotificationReadPosition {
        user_id,
        scope: ReadScope::MainLine(id),
        seq,
    });
    let written: Vec<NotificationReadPosition> = written.collect();
    let read = if written.is_empty() { Vec::new() } else { rows::unread_before_positions(&tx, &written).await? };
    let read = if read.is_empty() { read } else { rows::mark_keys_read(&tx, &read, now).await? };
    let new = add(&tx, new, now).await?;
    push::enqueue_read(&tx, now, &read).await?;
    push::enqueue_withdrawn(&tx, now, &withdrawn).await?;
    let mut reached: Vec<_> = reached.into_iter().collect();
    reached.sort_unstable();
    notifier::set_positions(&tx, &reached).await?;
    tx.commit().await.map_err(app_error)?;
    let withdrawn: Vec<NotificationKey> = withdrawn.iter().map(NotificationKey::from).collect();
    publish_removal(service.bus.as_ref(), now, &withdrawn, |ids| Event::NotificationsWithdrawn { ids })?;
    publish_removal(service.bus.as_ref(), now, &read, |ids| Event::NotificationsRead { ids: Some(ids) })?;
    publish(service, new).await
}

/// Stores a part of a very large result, such as that of a mention of everyone. Includes only rows
/// that may safely be stored again. Rows that are merged into existing ones are left for the
/// transaction that stores the position.
async fn store_in_parts(
    service: &EventLogService,
    new: Vec<NotificationRow>,
    now: Timestamp,
) -> Result<Vec<NotificationRow>, AppError> {
    if new.len() <= ROWS_PER_TRANSACTION {
        return Ok(new);
    }
    let (grouped, single): (Vec<_>, Vec<_>) = new.into_iter().partition(|row| row.group_id.is_some());
    let mut single = single.into_iter();
    loop {
        let part: Vec<NotificationRow> = single.by_ref().take(ROWS_PER_TRANSACTION).collect();
        if part.is_empty() {
            return Ok(grouped);
        }
        let tx = service.db.begin().await.map_err(app_error)?;
        let stored = add(&tx, part, now).await?;
        tx.commit().await.map_err(app_error)?;
        publish(service, stored).await?;
    }
}

/// Stores rows, and enqueues pushes and digest emails for them. Rows that already exist are neither
/// changed nor enqueued.
async fn add(tx: &Transaction, new: Vec<NotificationRow>, now: Timestamp) -> Result<Vec<NotificationRow>, AppError> {
    let stored = rows::insert(tx, new).await?;
    push::enqueue(tx, now, &stored).await?;
    digest_email::enqueue(tx, now, &stored).await?;
    Ok(stored)
}

/// Deletes expired notifications periodically.
async fn run_cleanup(service: Weak<EventLogService>) {
    loop {
        tokio::time::sleep(CLEANUP_INTERVAL).await;
        let Some(service) = service.upgrade() else { return };
        match catch_panic(remove_old(&service)).await {
            Ok(removed) => tracing::debug!(removed, "expired notifications deleted"),
            Err(error) => tracing::warn!(%error, "failed to delete expired notifications"),
        }
    }
}

async fn remove_old(service: &EventLogService) -> Result<u64, AppError> {
    let before = service.clock.now().minus(RETENTION);
    delete_in_chunks(MAX_DELETED_PER_STATEMENT, || async {
        let old = rows::older_than(service.db.reader(), before, MAX_DELETED_PER_STATEMENT).await?;
        rows::withdraw(service.db.writer(), &old).await?;
        Ok::<_, AppError>(old.len() as u64)
    })
    .await
}

#[cfg(test)]
mod tests {
    use appcore::{NotificationId, UserId, view::NotificationKind};
    use sea_orm::ConnectionTrait as _;
    use stage::{Stage, stages};

    use super::*;
    use crate::tests::{instance, sign_up};

    fn told(user_id: UserId, created_at: Timestamp) -> NotificationRow {
        NotificationRow {
            title: Some("Something".to_owned()),
            text: Some(String::new()),
            ..NotificationRow::new(user_id, NotificationId::new(), NotificationKind::System, false, created_at)
        }
    }

    #[tokio::test]
    async fn deletes_all_expired_notifications_in_one_run() {
        for stage in stages().await {
            let service = instance(&stage).await;
            let anna = sign_up(&service, "Anna").await;
            let kept = service.clock.now().minus(RETENTION);
            for _ in 0..5 {
                let old = (0..500).map(|_| told(anna, Timestamp(kept.0 - 1))).collect();
                rows::insert(service.db.writer(), old).await.unwrap();
            }
            let young = rows::insert(service.db.writer(), vec![told(anna, kept)]).await.unwrap();
            assert_eq!(remove_old(&service).await.unwrap(), 2_500);
            let left = rows::older_than(service.db.writer(), service.clock.now(), 10).await.unwrap();
            assert_eq!(left, [NotificationKey { user_id: anna, id: young[0].id }]);
        }
    }

    #[tokio::test]
    async fn unreadable_event_does_not_block_later_events() {
        // Only SQLite: PostgreSQL doesn't accept the invalid text of this test.
        let stage = stages().await.into_iter().find(Stage::is_sqlite).unwrap();
        let service = instance(&stage).await;
        let id = ConversationId::new();
        let mut sql = format!(
            "PRAGMA foreign_keys = OFF; \
             INSERT INTO conversations (id, workspace_id, kind, last_seq, last_activity_at, created_by, created_at) \
             VALUES (x'{0}', x'{0}', 'group', 3, 0, x'{0}', 0);",
            id.0.simple()
        );
        for (seq, payload) in [(1, "'{}'"), (2, "CAST(x'ff' AS TEXT)"), (3, "'{}'")] {
            sql.push_str(&format!(
                "INSERT INTO conversation_events (conversation_id, seq, kind, payload, created_at) \
                 VALUES (x'{}', {seq}, 'message.created', {payload}, 0);",
                id.0.simple()
            ));
        }
        service.db.writer().execute_unprepared(&sql).await.unwrap();
        // One round for the events before the unreadable one, one for that event, and one for the
        // events after it.
        for _ in 0..3 {
            assert!(
                process(&service, &PendingConversations::default(), &[(id, PendingEvents::until(3))])
                    .await
                    .unwrap()
                    .is_some()
            );
        }
        assert_eq!(notifier::positions(service.db.reader(), &[id]).await.unwrap(), [(id, 3)]);
    }
}
