//! Outbox publisher: re-publishes committed events whose publication wasn't confirmed, because the
//! instance that committed them died or Redis was unavailable.
//!
//! Runs on every instance. The writer stores an outbox entry with each batch (`event_outbox`) and
//! removes it once Redis has the events. An entry that is still there after a short delay is
//! claimed and published by the first instance that finds it. Receivers drop duplicates.

use std::{sync::Arc, time::Duration};

use appcore::{AppError, event::BusMessage};
use dbcontext::query;
use jobs::catch_panic;
use metrics::metrics;

use super::log;
use crate::EventLogService;

/// Age from which other instances may claim an outbox entry, and duration of a claim. Well above
/// the time for which an entry normally exists (0.2 s plus a commit), and well below the two
/// seconds within which connected clients must receive an event.
const CLAIM_TIMEOUT: Duration = Duration::from_millis(600);
/// Polling interval.
const POLL_INTERVAL: Duration = Duration::from_millis(250);
/// Timeout of one polling round.
const ROUND_TIMEOUT: Duration = Duration::from_secs(10);
/// Maximum number of outbox entries per round.
const MAX_ENTRIES_PER_ROUND: u32 = 64;

pub struct OutboxPublisher;

impl OutboxPublisher {
    /// Polls for unpublished events until the task is aborted.
    pub async fn run(service: Arc<EventLogService>) {
        let mut tick = tokio::time::interval(POLL_INTERVAL);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut most = MAX_ENTRIES_PER_ROUND;
        loop {
            tick.tick().await;
            while service.db.is_available() && run_round(&service, &mut most).await {}
        }
    }
}

/// Publishes up to `most` outbox entries. Returns true if there may be more.
async fn run_round(service: &EventLogService, most: &mut u32) -> bool {
    let published = match tokio::time::timeout(ROUND_TIMEOUT, catch_panic(publish_due_entries(service, *most))).await {
        Ok(published) => published,
        Err(_) => Err(AppError::unavailable(anyhow::anyhow!("outbox round timed out"))),
    };
    match published {
        Ok(Some(count)) if count >= *most as usize => {
            *most = MAX_ENTRIES_PER_ROUND;
            true
        }
        Ok(Some(_)) => false,
        // While Redis is unavailable, loading a full batch four times a second on each instance
        // would be wasted work. One entry per round is enough to detect that Redis is back.
        Ok(None) => {
            *most = 1;
            false
        }
        Err(error) => {
            tracing::warn!(%error, "failed to publish outbox entries");
            false
        }
    }
}

/// Publishes due outbox entries and returns the number of entries handled. Returns `None` if Redis
/// doesn't accept them.
///
/// Entries are claimed, not locked: publishing to Redis may be slow, and a writer that removes its
/// own entry must not wait for it.
async fn publish_due_entries(service: &EventLogService, most: u32) -> Result<Option<usize>, AppError> {
    let now = service.clock.now();
    let before = now.minus(CLAIM_TIMEOUT);
    if !query::events::any_unpublished(service.db.reader(), before).await? {
        return Ok(Some(0));
    }
    let db = service.db.writer();
    let entries = query::events::claim_unpublished(db, before, now, most).await?;
    if entries.is_empty() {
        return Ok(Some(0));
    }
    let rows = query::events::of_outbox_entries(db, &entries).await?;
    let mut messages = Vec::with_capacity(rows.len());
    for row in rows {
        let envelope = log::envelope(row)?;
        if let Some(position) = envelope.position.filter(|position| position.seq == 0) {
            let members = query::members::of_conversation(db, position.conversation_id).await?;
            let users: Vec<_> = members.into_iter().map(|member| member.user_id).collect();
            messages
                .extend(envelope.creation_envelopes(&users).map(|envelope| BusMessage::Envelope(Arc::new(envelope))));
        } else {
            messages.push(BusMessage::Envelope(Arc::new(envelope)));
        }
    }
    let count = messages.len();
    let left = service.bus.publish(messages).await;
    if !matches!(left, Ok(Ok(()))) {
        // The entries remain in the outbox; a later round retries, on this or another instance.
        return Ok(None);
    }
    let removal = query::batches::remove_outbox_entries(&entries);
    query::execute(db, vec![removal]).await?;
    metrics().events.record_republished(count);
    tracing::info!(batches = entries.len(), events = count, "outbox entries published");
    Ok(Some(entries.len()))
}

#[cfg(test)]
mod tests {
    use appcore::config::SettingsTable;
    use appcore::{
        Timestamp,
        event::{BusError, EventBus, Listener, MemoryBus, PublishAck},
    };
    use sea_orm::ConnectionTrait as _;
    use stage::{Stage, stages};
    use tokio::sync::oneshot;

    use super::*;
    use crate::tests::{instance, on};

    /// Bus that never delivers anything to another instance.
    struct Away(MemoryBus);

    impl EventBus for Away {
        fn publish(&self, messages: Vec<BusMessage>) -> PublishAck {
            self.0.deliver(&messages);
            let (done, left) = oneshot::channel();
            let _ = done.send(Err(BusError::Unavailable("it is a test".to_owned())));
            left
        }

        fn subscribe(&self) -> Listener {
            self.0.subscribe()
        }
    }

    #[tokio::test]
    async fn publishes_a_single_entry_while_redis_is_down_and_all_once_it_is_back() {
        // Only SQLite: on PostgreSQL, the test's instances would run outbox publishers of their
        // own.
        let stage = stages().await.into_iter().find(Stage::is_sqlite).unwrap();
        let config = stage.config(&SettingsTable::default(), &[]);
        let core = stage.core_on(config, Arc::new(Away(MemoryBus::new()))).await.unwrap();
        let (cut_off, back) = (on(core).await, instance(&stage).await);
        for _ in 0..3 {
            let entry = "INSERT INTO event_outbox (id, created_at) VALUES (randomblob(16), 0)";
            back.db.writer().execute_unprepared(entry).await.unwrap();
        }
        let mut most = MAX_ENTRIES_PER_ROUND;
        assert!(!run_round(&cut_off, &mut most).await);
        assert_eq!(most, 1);
        stage.pass(1);
        assert!(!run_round(&cut_off, &mut most).await);
        assert!(run_round(&back, &mut most).await, "a full round reports that there may be more");
        assert_eq!(most, MAX_ENTRIES_PER_ROUND);
        stage.pass(1);
        assert!(!run_round(&back, &mut most).await);
        assert!(!query::events::any_unpublished(back.db.reader(), Timestamp(i64::MAX)).await.unwrap());
    }
}
