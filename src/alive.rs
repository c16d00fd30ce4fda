//! Check that no instance of the server is alive, for commands that change what a running server
//! relies on.

use std::time::Duration;

use anyhow::ensure;
use appcore::{Clock, config::Config};
use dbcontext::{Database, query::figures};

use crate::data_dir_lock::{self, DataDirLock};

/// Time after which an instance that hasn't published its state counts as ended. Instances publish
/// it every ten seconds, and remove it when they stop.
const LIVENESS_TIMEOUT: Duration = Duration::from_secs(25);

/// Fails while an instance is alive. On SQLite, the returned lock keeps servers from starting.
pub async fn require_none(config: &Config, database: &Database) -> anyhow::Result<Option<DataDirLock>> {
    if config.is_embedded() {
        return data_dir_lock::acquire(config);
    }
    let since = Clock::system().now().minus(LIVENESS_TIMEOUT);
    let count = figures::instances(database.writer()).await?.iter().filter(|row| row.seen_at > since).count();
    ensure!(
        count == 0,
        "{count} instances use the database. Stop them first. One that was killed counts for {} s.",
        LIVENESS_TIMEOUT.as_secs()
    );
    Ok(None)
}
