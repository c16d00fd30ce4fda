//! Retention of the event log. Messages aren't affected. A client reloads a conversation if the log
//! was trimmed beyond the client's position.

use std::{sync::Arc, time::Duration};

use dbcontext::query;
use jobs::catch_panic;
use platform::chunked_delete::delete_in_chunks;

use crate::EventLogService;

/// Interval between clean-up runs.
const CLEANUP_INTERVAL: Duration = Duration::from_secs(3_600);
/// Maximum number of events deleted per statement, so that the writer never waits long.
const MAX_DELETED_PER_STATEMENT: u32 = 1_000;
const DAY: Duration = Duration::from_secs(24 * 3_600);

/// Deletes events older than `days` days, periodically, until the task is aborted.
pub async fn run(service: Arc<EventLogService>, days: u32) {
    let mut tick = tokio::time::interval(CLEANUP_INTERVAL);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let before = service.clock.now().minus(DAY * days);
        let trim = || query::events::trim(service.db.writer(), before, MAX_DELETED_PER_STATEMENT);
        if let Err(error) = catch_panic(delete_in_chunks(MAX_DELETED_PER_STATEMENT.into(), trim)).await {
            tracing::warn!(%error, "failed to delete expired events");
        }
    }
}
