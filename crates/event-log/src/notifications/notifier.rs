//! Looks through the log for what people are to be told: behind everything that is sent, so no sender waits for it.
//!
//! The bus says which conversations have something new; what it doesn't say is found by a sweep. How far a conversation was looked through is
//! written together with what came of it; where that is very much, most of it is stored before, in parts that may be stored again without harm.
//! One instance does it at a time, and rests for some times as long as it has worked.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use appcore::{
    AppError, ConversationId, Timestamp,
    event::{BusMessage, Event, Listener, Signal, Topic},
};
use dbcontext::{
    Transaction,
    constraint::app_error,
    query::{
        events,
        notifications::{self as rows, NotificationRow, Place, ReadTo, Told},
        notifying,
    },
};
use jobs::caught;
use platform::{
    batch_delete::in_parts,
    bisect::{in_halves, is_of_one},
    sweep_schedule::{Look, Lookout},
};
use tokio::{sync::Notify, time::Instant};

use super::{
    finding,
    happenings::{Happenings, matters},
    missed, tell, tell_of_end,
};
use crate::EventLogService;
use crate::push;

/// How long it is waited for more to come; and how many times as long it rests as it has worked.
const GATHER: Duration = Duration::from_millis(100);
const REST: u32 = 4;
const SHORTEST_REST: Duration = Duration::from_millis(150);
const LONGEST_REST: Duration = Duration::from_secs(2);
/// How soon it is looked again while another instance looks.
const AGAIN: Duration = Duration::from_millis(250);
/// How soon after a failure.
const AFTER_FAILURE: Duration = Duration::from_secs(2);
/// How often it is looked for what the bus has not said.
const SWEEP: Duration = Duration::from_secs(30);
/// What is older is told to nobody any more: whoever was away for so long has other worries.
const TOO_OLD: Duration = Duration::from_secs(24 * 3_600);
/// How long they are kept, how often the older ones are removed, and how many by one statement: the writer never waits long for it.
const KEPT: Duration = Duration::from_secs(90 * 24 * 3_600);
const REMOVAL: Duration = Duration::from_secs(3_600);
const REMOVED: u64 = 1_000;
/// Conversations that are looked through at once, and events of each.
const CONVERSATIONS: usize = 200;
const EVENTS: u32 = 500;
/// Rows that are stored at once: between two parts of what very many are told of, others write.
const PART: usize = 500;

/// What is known to be new: conversations and the numbers of their last events.
#[derive(Default)]
struct News {
    heads: Mutex<HashMap<ConversationId, i64>>,
    is_incomplete: AtomicBool,
    arrived: Notify,
}

impl News {
    fn hear(&self, id: ConversationId, seq: i64) {
        let mut heads = self.heads.lock().unwrap_or_else(PoisonError::into_inner);
        let head = heads.entry(id).or_default();
        *head = seq.max(*head);
        drop(heads);
        self.arrived.notify_one();
    }

    fn take(&self) -> Vec<(ConversationId, i64)> {
        std::mem::take(&mut *self.heads.lock().unwrap_or_else(PoisonError::into_inner)).into_iter().collect()
    }
}

/// Does it until the instance stops.
pub(crate) fn start(service: &Arc<EventLogService>) {
    let news = Arc::new(News::default());
    tokio::spawn(listen(service.bus.listen(), Arc::clone(&news)));
    tokio::spawn(keep(Arc::downgrade(service), news));
    tokio::spawn(forget(Arc::downgrade(service)));
}

async fn listen(mut listener: Listener, news: Arc<News>) {
    while let Some(message) = listener.recv().await {
        match message {
            BusMessage::Envelope(envelope) => {
                let (Topic::Conversation(id), Some(position)) = (&envelope.topic, envelope.position) else { continue };
                if matters(&envelope.kind) {
                    news.hear(*id, position.seq);
                }
            }
            BusMessage::Signal(Signal::Gap) => {
                news.is_incomplete.store(true, Ordering::Relaxed);
                news.arrived.notify_one();
            }
            _ => {}
        }
    }
}

async fn keep(service: Weak<EventLogService>, news: Arc<News>) {
    let mut lookout = Lookout::new(SWEEP);
    loop {
        let wait = lookout.wait(&news.is_incomplete);
        let _ = tokio::time::timeout(wait, news.arrived.notified()).await;
        tokio::time::sleep(GATHER).await;
        let Some(service) = service.upgrade() else { return };
        if service.stopping.is_cancelled() {
            return;
        }
        let begun = Instant::now();
        let rest = match caught(turn(&service, &news, &mut lookout)).await {
            Ok(()) => (begun.elapsed() * REST).clamp(SHORTEST_REST, LONGEST_REST),
            Err(error) => {
                tracing::warn!(%error, "it could not be found out who is to be told of what");
                AFTER_FAILURE
            }
        };
        drop(service);
        tokio::time::sleep(rest).await;
    }
}

async fn turn(service: &EventLogService, news: &News, lookout: &mut Lookout) -> Result<(), AppError> {
    if let Some(look) = lookout.due(&news.is_incomplete, service.clock.now()) {
        for (id, head) in waiting(service, look).await? {
            news.hear(id, head);
        }
        // What is heard of stays until it was looked through.
        lookout.looked(look);
    }
    // What comes meanwhile is for the next turn: otherwise there would be no rest while people write, and some conversations would get no turn.
    let all = news.take();
    let work = |some: Vec<(ConversationId, i64)>| async move { caught(look_through(service, news, &some)).await };
    let mut rest = in_halves(&all, CONVERSATIONS, is_of_one, work).await;
    rest.rows().for_each(|(id, head)| news.hear(*id, *head));
    if let Some(error) = rest.error {
        return Err(error);
    }
    if !rest.left.is_empty() {
        // Whoever looks may have looked before this came.
        tokio::time::sleep(AGAIN).await;
    }
    rest.failed.pop().map_or(Ok(()), |(_, error)| Err(error))
}

/// The conversations that a look finds: all that were not looked through, or whatever has come since.
async fn waiting(service: &EventLogService, look: Look) -> Result<Vec<(ConversationId, i64)>, AppError> {
    match look.since {
        Some(since) => events::heads_since(service.db.reader(), since).await,
        None => notifying::waiting(service.db.reader(), service.clock.now().minus(TOO_OLD)).await,
    }
}

/// Looks through what is new in these conversations. None: another instance is at it.
async fn look_through(
    service: &EventLogService,
    news: &News,
    some: &[(ConversationId, i64)],
) -> Result<Option<()>, AppError> {
    let ids: Vec<ConversationId> = some.iter().map(|(id, _)| *id).collect();
    // Without a lock at first: mostly another instance has been faster, or there is nobody else.
    let seen: HashMap<_, _> = notifying::positions(service.db.reader(), &ids).await?.into_iter().collect();
    if some.iter().all(|(id, head)| seen.get(id).is_some_and(|seen| seen >= head)) {
        return Ok(Some(()));
    }
    let Some(turn) = begin(service).await? else { return Ok(None) };
    let seen: HashMap<_, _> = match &turn {
        Some(tx) => notifying::positions(tx, &ids).await?.into_iter().collect(),
        None => seen,
    };
    let heads = events::heads(service.db.reader(), ids).await?;
    let behind: Vec<(ConversationId, i64)> = heads
        .iter()
        .map(|(id, head)| (*id, seen.get(id).copied().unwrap_or(0), *head))
        .filter(|(_, seen, head)| seen < head)
        .map(|(id, seen, _)| (id, seen))
        .collect();
    if behind.is_empty() {
        return give_up(turn).await;
    }
    let now = service.clock.now();
    let mut happenings = Happenings::default();
    let mut reached: HashMap<ConversationId, i64> = HashMap::new();
    for row in events::next_of_each(service.db.reader(), &behind, EVENTS).await? {
        happenings.take(&row, now.minus(TOO_OLD));
        reached.insert(row.conversation_id, row.seq);
    }
    // What one query answers is bounded in all, so that of several some may get nothing.
    let is_alone = reached.is_empty();
    let heads: HashMap<_, _> = heads.into_iter().collect();
    for (id, seen) in &behind {
        let head = heads.get(id).copied().unwrap_or(0);
        // Where the log no longer has what comes next, that is too old as well.
        let now = *reached.entry(*id).or_insert(if is_alone { head.min(seen + i64::from(EVENTS)) } else { *seen });
        if now < head {
            news.hear(*id, head);
        }
    }
    let found = match finding::find(service, &happenings, now).await {
        Ok(found) => found,
        Err(error) => {
            // Now, so that the lock is free for those that are looked through next.
            give_up(turn).await?;
            return Err(error);
        }
    };
    store(service, turn, happenings, found, reached, now).await?;
    Ok(Some(()))
}

/// The right to do it until the end of the transaction; where there is one process it needs none, and nobody waits for what is read before
/// anything is written.
async fn begin(service: &EventLogService) -> Result<Option<Option<Transaction>>, AppError> {
    if service.db.is_sqlite() {
        return Ok(Some(None));
    }
    let tx = service.db.begin().await.map_err(app_error)?;
    if notifying::try_lock(&tx).await? {
        return Ok(Some(Some(tx)));
    }
    tx.rollback().await.map_err(app_error)?;
    Ok(None)
}

async fn give_up(turn: Option<Transaction>) -> Result<Option<()>, AppError> {
    if let Some(tx) = turn {
        tx.rollback().await.map_err(app_error)?;
    }
    Ok(Some(()))
}

async fn store(
    service: &EventLogService,
    turn: Option<Transaction>,
    happenings: Happenings,
    found: finding::Found,
    reached: HashMap<ConversationId, i64>,
    now: Timestamp,
) -> Result<(), AppError> {
    let new = store_parts(service, found.new, now).await?;
    let tx = match turn {
        Some(tx) => tx,
        None => service.db.begin().await.map_err(app_error)?,
    };
    let mut withdrawn = rows::withdraw(&tx, &found.withdrawn).await?;
    if !happenings.gone.is_empty() {
        let gone: Vec<_> = happenings.gone.into_iter().collect();
        withdrawn.extend(rows::withdraw_messages(&tx, &gone).await?);
    }
    let fewer: Vec<_> = happenings.unreacted.into_iter().collect();
    withdrawn.extend(rows::withdraw_reactions(&tx, &fewer).await?);
    if !happenings.ended.is_empty() {
        let ended: Vec<_> = happenings.ended.into_iter().collect();
        withdrawn.extend(rows::withdraw_conversations(&tx, &ended).await?);
    }
    let written =
        happenings.written.into_iter().map(|((user_id, id), seq)| ReadTo { user_id, place: Place::MainLine(id), seq });
    let written: Vec<ReadTo> = written.collect();
    let read = if written.is_empty() { Vec::new() } else { rows::passed(&tx, &written).await? };
    let read = if read.is_empty() { read } else { rows::mark_told_read(&tx, &read, now).await? };
    let new = add(&tx, new, now).await?;
    push::take_back(&tx, now, &read).await?;
    push::take_back_gone(&tx, now, &withdrawn).await?;
    let mut reached: Vec<_> = reached.into_iter().collect();
    reached.sort_unstable();
    notifying::set_positions(&tx, &reached).await?;
    tx.commit().await.map_err(app_error)?;
    let withdrawn: Vec<Told> = withdrawn.iter().map(Told::from).collect();
    tell_of_end(service.bus.as_ref(), now, &withdrawn, |ids| Event::NotificationsWithdrawn { ids })?;
    tell_of_end(service.bus.as_ref(), now, &read, |ids| Event::NotificationsRead { ids: Some(ids) })?;
    tell(service, new).await
}

/// Of very many rows, stores those that come to no harm by being stored again: a mention of everybody, most of all. What is added to something
/// that is there is left for the transaction that notes how far it was looked.
async fn store_parts(
    service: &EventLogService,
    new: Vec<NotificationRow>,
    now: Timestamp,
) -> Result<Vec<NotificationRow>, AppError> {
    if new.len() <= PART {
        return Ok(new);
    }
    let (grouped, single): (Vec<_>, Vec<_>) = new.into_iter().partition(|row| row.group_id.is_some());
    let mut single = single.into_iter();
    loop {
        let part: Vec<NotificationRow> = single.by_ref().take(PART).collect();
        if part.is_empty() {
            return Ok(grouped);
        }
        let tx = service.db.begin().await.map_err(app_error)?;
        let stored = add(&tx, part, now).await?;
        tx.commit().await.map_err(app_error)?;
        tell(service, stored).await?;
    }
}

/// Stores rows, and asks for devices and mails for them. What was there already is left as it is, and asks for nothing.
async fn add(tx: &Transaction, new: Vec<NotificationRow>, now: Timestamp) -> Result<Vec<NotificationRow>, AppError> {
    let stored = rows::insert(tx, new).await?;
    push::ask(tx, now, &stored).await?;
    missed::ask(tx, now, &stored).await?;
    Ok(stored)
}

/// Removes what is old, now and then.
async fn forget(service: Weak<EventLogService>) {
    loop {
        tokio::time::sleep(REMOVAL).await;
        let Some(service) = service.upgrade() else { return };
        match caught(remove_old(&service)).await {
            Ok(removed) => tracing::debug!(removed, "old notifications were removed"),
            Err(error) => tracing::warn!(%error, "old notifications could not be removed"),
        }
    }
}

async fn remove_old(service: &EventLogService) -> Result<u64, AppError> {
    let before = service.clock.now().minus(KEPT);
    in_parts(REMOVED, || async {
        let old = rows::older(service.db.reader(), before, REMOVED).await?;
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
    async fn all_that_is_too_old_is_removed_at_once_however_much_it_is() {
        for stage in stages().await {
            let service = instance(&stage).await;
            let anna = sign_up(&service, "Anna").await;
            let kept = service.clock.now().minus(KEPT);
            for _ in 0..5 {
                let old = (0..500).map(|_| told(anna, Timestamp(kept.0 - 1))).collect();
                rows::insert(service.db.writer(), old).await.unwrap();
            }
            let young = rows::insert(service.db.writer(), vec![told(anna, kept)]).await.unwrap();
            assert_eq!(remove_old(&service).await.unwrap(), 2_500);
            let left = rows::older(service.db.writer(), service.clock.now(), 10).await.unwrap();
            assert_eq!(left, [Told { user_id: anna, id: young[0].id }]);
        }
    }

    #[tokio::test]
    async fn an_event_that_can_not_be_read_holds_up_none_that_comes_after_it() {
        // PostgreSQL takes no text that can't be read.
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
        // What stands before it, it, and what stands behind it.
        for _ in 0..3 {
            assert!(look_through(&service, &News::default(), &[(id, 3)]).await.unwrap().is_some());
        }
        assert_eq!(notifying::positions(service.db.reader(), &[id]).await.unwrap(), [(id, 3)]);
    }
}
