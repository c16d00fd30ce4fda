//! How long the event log is kept. Messages stay; a client that was away for longer than the log reaches loads the conversation afresh.

use std::{sync::Arc, time::Duration};

use dbcontext::query;
use jobs::caught;
use platform::batch_delete::in_parts;

use crate::EventLogService;

/// How often old events are looked for.
const PERIOD: Duration = Duration::from_secs(3_600);
/// Events removed by one statement, so that the writer never waits long for it.
const BATCH: u32 = 1_000;
const DAY: Duration = Duration::from_secs(24 * 3_600);

/// Removes events older than `days` until the task is aborted.
pub async fn keep(service: Arc<EventLogService>, days: u32) {
    let mut tick = tokio::time::interval(PERIOD);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let before = service.clock.now().minus(DAY * days);
        let trim = || query::events::trim(service.db.writer(), before, BATCH);
        if let Err(error) = caught(in_parts(BATCH.into(), trim)).await {
            tracing::warn!(%error, "old events could not be removed");
        }
    }
}
