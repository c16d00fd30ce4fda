//! The relay: tells what was committed and may not have been told, because the instance that wrote it died in between or Redis was away.
//!
//! Every instance runs one. The writer notes each group in `event_groups` and takes the note away once Redis has the news; what is
//! still noted after a little while is told again by whoever finds it first. Receivers drop what they have.

use std::{sync::Arc, time::Duration};

use appcore::{
    AppError,
    event::{Audience, BusMessage, Effect, Envelope},
};
use dbcontext::query;
use sea_orm::ConnectionTrait as _;

use super::log;
use crate::App;

/// How old a note must be before somebody else than its writer acts on it: well above what a note lives for where nothing is wrong (0.2 s and a
/// commit), and well below the two seconds within which everybody online is to have the news.
const PATIENCE: Duration = Duration::from_millis(600);
/// How often the relay looks.
const PERIOD: Duration = Duration::from_millis(250);
/// How long one round may take.
const ROUND: Duration = Duration::from_secs(10);
/// Groups told again in one transaction.
const BATCH: u32 = 64;

pub struct Relay;

impl Relay {
    /// Looks for untold news until the task is aborted.
    pub async fn run(app: Arc<App>) {
        let mut tick = tokio::time::interval(PERIOD);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tick.tick().await;
            loop {
                let repeated = match tokio::time::timeout(ROUND, repeat(&app)).await {
                    Ok(repeated) => repeated,
                    Err(_) => Err(AppError::unavailable(anyhow::anyhow!("the database did not answer in time"))),
                };
                match repeated {
                    Ok(told) if told >= BATCH as usize => {}
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

/// Tells one batch again; returns how many groups it held.
async fn repeat(app: &App) -> Result<usize, AppError> {
    let before = app.clock.now().minus(PATIENCE);
    if !query::events::any_untold(app.db.reader(), before).await? {
        return Ok(0);
    }
    let txn = app.db.begin().await.map_err(dbcontext::constraint::app_error)?;
    let (groups, rows) = query::events::untold(&txn, before, BATCH).await?;
    if groups.is_empty() {
        return Ok(0);
    }
    let mut messages = Vec::with_capacity(rows.len());
    for row in rows {
        let mut envelope = log::envelope(row)?;
        if let Some(position) = envelope.position.filter(|position| position.seq == 0) {
            let members = query::members::of_conversation(&txn, position.conversation_id).await?;
            let users: Vec<_> = members.into_iter().map(|member| member.user_id).collect();
            envelope = Envelope { effect: Effect::Follow(users.clone()), audience: Audience::Users(users), ..envelope };
        }
        messages.push(BusMessage::Envelope(Arc::new(envelope)));
    }
    let count = messages.len();
    let told = app.bus.publish(messages).await;
    if !matches!(told, Ok(Ok(()))) {
        // Still noted: the next round tries again.
        return Ok(0);
    }
    let forgotten = query::groups::remove_groups(txn.get_database_backend(), &groups)?;
    query::execute(&txn, vec![forgotten]).await?;
    txn.commit().await.map_err(dbcontext::constraint::app_error)?;
    tracing::info!(groups = groups.len(), events = count, "told again what had not gone out");
    Ok(groups.len())
}
