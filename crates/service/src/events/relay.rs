//! The relay publishes again what was committed and may not have been published, because the instance that wrote it died in between or
//! Redis was away.
//!
//! Every instance runs one. The writer stores an outbox entry with each batch (`event_groups`) and removes it once Redis has the events;
//! what is still there after a little while is published again by whoever finds it first. Receivers drop what they have.

use std::{sync::Arc, time::Duration};

use appcore::{AppError, event::BusMessage};
use dbcontext::query;
use metrics::metrics;
use sea_orm::ConnectionTrait as _;

use super::log;
use crate::App;

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
    pub async fn run(app: Arc<App>) {
        let mut tick = tokio::time::interval(PERIOD);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tick.tick().await;
            while app.db.is_available() {
                let published = match tokio::time::timeout(ROUND, publish_again(&app)).await {
                    Ok(published) => published,
                    Err(_) => Err(AppError::unavailable(anyhow::anyhow!("the round took too long"))),
                };
                match published {
                    Ok(count) if count >= BATCH as usize => {}
                    Ok(_) => break,
                    Err(error) => {
                        tracing::warn!(%error, "the relay could not publish events again");
                        break;
                    }
                }
            }
        }
    }
}

/// Publishes one batch again; returns how many outbox entries it took care of.
///
/// The entries are claimed, not locked: Redis may take its time, and a writer that removes its own entry must not wait for it.
async fn publish_again(app: &App) -> Result<usize, AppError> {
    let now = app.clock.now();
    let before = now.minus(PATIENCE);
    if !query::events::any_unpublished(app.db.reader(), before).await? {
        return Ok(0);
    }
    let db = app.db.writer();
    let entries = query::events::claim_unpublished(db, before, now, BATCH).await?;
    if entries.is_empty() {
        return Ok(0);
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
    let left = app.bus.publish(messages).await;
    if !matches!(left, Ok(Ok(()))) {
        // The entries are still there: a later round tries again, here or on another instance.
        return Ok(0);
    }
    let removal = query::batches::remove_outbox_entries(db.get_database_backend(), &entries)?;
    query::execute(db, vec![removal]).await?;
    metrics().events.relayed(count);
    tracing::info!(batches = entries.len(), events = count, "published again what had not gone out");
    Ok(entries.len())
}
