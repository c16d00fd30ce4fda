//! Retention of the event log. Messages aren't affected. A client reloads a conversation if the log
//! was trimmed beyond the client's position.
//!
//! If the log is partitioned, a partition is dropped when all of its events are expired. Only the
//! partition from before the conversion, and the default one, are trimmed event by event.

use std::{sync::Arc, time::Duration};

use appcore::{AppError, Timestamp};
use dbcontext::query::{self, partitions::Progress};
use jobs::catch_panic;
use platform::chunked_delete::delete_in_chunks;

use crate::EventLogService;

/// Interval between clean-up runs.
const CLEANUP_INTERVAL: Duration = Duration::from_secs(3_600);
/// Delay before a partition is dropped that was in use.
const RETRY_DELAY: Duration = Duration::from_secs(10);
/// Number of attempts to drop a partition in one run.
const MAX_ATTEMPTS: u32 = 60;
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
        if !service.db.is_sqlite()
            && let Err(error) = catch_panic(drop_partitions(&service, before)).await
        {
            tracing::warn!(%error, "failed to drop expired partitions");
        }
        if let Err(error) = catch_panic(trim(&service, before)).await {
            tracing::warn!(%error, "failed to delete expired events");
        }
    }
}

async fn trim(service: &EventLogService, before: Timestamp) -> Result<(), AppError> {
    for table in query::partitions::trimmed_tables(service.db.writer()).await? {
        let trim = || query::events::trim(service.db.writer(), &table, before, MAX_DELETED_PER_STATEMENT);
        delete_in_chunks(MAX_DELETED_PER_STATEMENT.into(), trim).await?;
    }
    Ok(())
}

async fn drop_partitions(service: &EventLogService, before: Timestamp) -> Result<(), AppError> {
    let mut attempts = 0;
    while attempts < MAX_ATTEMPTS {
        let detached = query::partitions::detach_before(&service.db, before).await?;
        let dropped = query::partitions::drop_detached(&service.db).await?;
        match (detached, dropped) {
            (Progress::Complete, Progress::Complete) => return Ok(()),
            (Progress::Advanced, _) | (_, Progress::Advanced) => {}
            _ => {
                attempts += 1;
                tokio::time::sleep(RETRY_DELAY).await;
            }
        }
    }
    tracing::warn!("expired partition still in use");
    Ok(())
}
