//! The relay publishes again what was committed and may not have been published, because the instance that wrote it died in between or
//! Redis was away.
//!
//! Every instance runs one. The writer stores an outbox entry with each batch (`event_outbox`) and removes it once Redis has the events;
//! what is still there after a little while is published again by whoever finds it first. Receivers drop what they have.

use std::{sync::Arc, time::Duration};

use appcore::{AppError, event::BusMessage};
use dbcontext::query;
use jobs::caught;
use metrics::metrics;

use super::log;
use crate::EventLogService;

/// How old an outbox entry must be before somebody else than its writer acts on it: well above what an entry lives for where nothing is wrong
/// (0.2 s and a commit), and well below the two seconds within which everybody online is to have the events. A claim holds for as long.
const PATIENCE: Duration = Duration::from_millis(600);
/// How often the relay looks.
const PERIOD: Duration = Duration::from_millis(250);
/// How long one round may take.
const ROUND: Duration = Duration::from_secs(10);
/// Outbox entries of one round.
const BATCH: u32 = 64;

pub struct Relay;

impl Relay {
    /// Looks for unpublished events until the task is aborted.
    pub async fn run(service: Arc<EventLogService>) {
        let mut tick = tokio::time::interval(PERIOD);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut most = BATCH;
        loop {
            tick.tick().await;
            while service.db.is_available() && round(&service, &mut most).await {}
        }
    }
}

/// Publishes up to `most` outbox entries again. Whether there may be more of them.
async fn round(service: &EventLogService, most: &mut u32) -> bool {
    let published = match tokio::time::timeout(ROUND, caught(publish_again(service, *most))).await {
        Ok(published) => published,
        Err(_) => Err(AppError::unavailable(anyhow::anyhow!("the round took too long"))),
    };
    match published {
        Ok(Some(count)) if count >= *most as usize => {
            *most = BATCH;
            true
        }
        Ok(Some(_)) => false,
        // The events of a batch would be read in vain, four times a second on each instance: by one it is seen when Redis is back.
        Ok(None) => {
            *most = 1;
            false
        }
        Err(error) => {
            tracing::warn!(%error, "the relay could not publish events again");
            false
        }
    }
}

/// Publishes some entries again; returns how many it took care of. None: Redis does not take them.
///
/// The entries are claimed, not locked: Redis may take its time, and a writer that removes its own entry must not wait for it.
async fn publish_again(service: &EventLogService, most: u32) -> Result<Option<usize>, AppError> {
    let now = service.clock.now();
    let before = now.minus(PATIENCE);
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
            messages.extend(envelope.created(&users).map(|envelope| BusMessage::Envelope(Arc::new(envelope))));
        } else {
            messages.push(BusMessage::Envelope(Arc::new(envelope)));
        }
    }
    let count = messages.len();
    let left = service.bus.publish(messages).await;
    if !matches!(left, Ok(Ok(()))) {
        // The entries are still there: a later round tries again, here or on another instance.
        return Ok(None);
    }
    let removal = query::batches::remove_outbox_entries(&entries);
    query::execute(db, vec![removal]).await?;
    metrics().events.relayed(count);
    tracing::info!(batches = entries.len(), events = count, "published again what had not gone out");
    Ok(Some(entries.len()))
}

#[cfg(test)]
mod tests {
    use appcore::config::Table;
    use appcore::{
        Timestamp,
        event::{BusError, EventBus, Left, Listener, MemoryBus},
    };
    use sea_orm::ConnectionTrait as _;
    use stage::{Stage, stages};
    use tokio::sync::oneshot;

    use super::*;
    use crate::tests::{instance, on};

    /// A bus by which no other instance is reached.
    struct Away(MemoryBus);

    impl EventBus for Away {
        fn publish(&self, messages: Vec<BusMessage>) -> Left {
            self.0.deliver(&messages);
            let (done, left) = oneshot::channel();
            let _ = done.send(Err(BusError::Away("it is a test".to_owned())));
            left
        }

        fn listen(&self) -> Listener {
            self.0.listen()
        }
    }

    #[tokio::test]
    async fn while_redis_is_away_one_entry_is_tried_and_all_go_once_it_is_back() {
        // On PostgreSQL the instances would have relays of their own.
        let stage = stages().await.into_iter().find(Stage::is_sqlite).unwrap();
        let config = stage.config(&Table::default(), &[]);
        let core = stage.core_on(config, Arc::new(Away(MemoryBus::new()))).await.unwrap();
        let (cut_off, back) = (on(core).await, instance(&stage).await);
        for _ in 0..3 {
            let entry = "INSERT INTO event_outbox (id, created_at) VALUES (randomblob(16), 0)";
            back.db.writer().execute_unprepared(entry).await.unwrap();
        }
        let mut most = BATCH;
        assert!(!round(&cut_off, &mut most).await);
        assert_eq!(most, 1);
        stage.pass(1);
        assert!(!round(&cut_off, &mut most).await);
        assert!(round(&back, &mut most).await, "there may be more, and it takes them");
        assert_eq!(most, BATCH);
        stage.pass(1);
        assert!(!round(&back, &mut most).await);
        assert!(!query::events::any_unpublished(back.db.reader(), Timestamp(i64::MAX)).await.unwrap());
    }
}
