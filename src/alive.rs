//! Detects running servers of an installation, for commands that must not run beside one.

use anyhow::ensure;
use appcore::{Clock, config::Config};
use dbcontext::{Database, query::figures};
use ops::console::{self, DEAD_AFTER};

use crate::data_dir_lock::{self, DataDirLock};

/// Fails if a server of this installation runs. On SQLite, the returned lock prevents servers from
/// starting until it is dropped.
///
/// On PostgreSQL, an instance counts as running until 25 s after its last report. An instance that
/// has just started and has not reported yet is not detected.
pub async fn require_none(config: &Config, database: &Database) -> anyhow::Result<Option<DataDirLock>> {
    if database.is_sqlite() {
        return data_dir_lock::acquire_existing(config);
    }
    let running = instances(database).await?;
    ensure!(
        running.is_empty(),
        "{} of this installation run: {}. Stop them first. A killed instance counts as running for {} s.",
        if running.len() == 1 { "1 instance".to_owned() } else { format!("{} instances", running.len()) },
        running.join(", "),
        DEAD_AFTER.as_secs()
    );
    Ok(None)
}

/// True if a server of this installation runs.
pub async fn is_any(config: &Config, database: &Database) -> anyhow::Result<bool> {
    if database.is_sqlite() {
        return Ok(data_dir_lock::holder(config).is_some());
    }
    Ok(!instances(database).await?.is_empty())
}

/// Hosts and ids of the instances that have reported lately.
async fn instances(database: &Database) -> anyhow::Result<Vec<String>> {
    let since = Clock::system().now().minus(DEAD_AFTER);
    let rows = figures::instances(database.reader()).await?;
    let name = |row: figures::InstanceRow| match console::host(&row) {
        Some(host) => format!("{} on {host}", row.id),
        None => row.id.to_string(),
    };
    Ok(rows.into_iter().filter(|row| row.seen_at >= since).map(name).collect())
}
