//! Retention of the event log. Messages aren't affected; a client whose position has been trimmed
//! reloads the conversation.

use std::{sync::Arc, time::Duration};

use dbcontext::query;
use jobs::caught;
use platform::chunked_delete::in_parts;

use crate::EventLogService;

/// Interval between clean-up runs.
const PERIOD: Duration = Duration::from_secs(3_600);
/// Events deleted per statement; bounded so that the writer never waits long.
const BATCH: u32 = 1_000;
const DAY: Duration = Duration::from_secs(24 * 3_600);

/// Deletes events older than `days` days, periodically, until the task is aborted.
pub async fn keep(service: Arc<EventLogService>, days: u32) {
    let mut tick = tokio::time::interval(PERIOD);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let before = service.clock.now().minus(DAY * days);
        let trim = || query::events::trim(service.db.writer(), before, BATCH);
        if let Err(error) = caught(in_parts(BATCH.into(), trim)).await {
            tracing::warn!(%error, "failed to delete expired events");
        }
    }
}
