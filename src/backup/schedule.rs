//! Scheduled backups of a running server. The number of archives that are kept is limited.
//!
//! The time of the last backup is taken from the name of the archive, so it is known even after a
//! restart.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::ensure;
use appcore::{Clock, Timestamp, config::Config};
use dbcontext::{Database, query::namespaces};
use ops::backups::{BackupMonitor, LastBackup};
use sea_orm::DatabaseTransaction;

use super::store::{ArchiveStore, StoredArchive};
use crate::{progress::Progress, transfer};

/// Interval at which the schedule checks whether a backup is due. Checking at intervals tolerates
/// jumps of the clock.
const POLL_INTERVAL: Duration = Duration::from_secs(60);
/// Retry delay after a failed backup.
const RETRY_DELAY: Duration = Duration::from_secs(600);
/// Maximum difference between the clocks of two instances.
const MAX_CLOCK_SKEW: Duration = Duration::from_secs(60);

/// Interval and destination of backups.
pub struct Schedule {
    every: Duration,
    archives: ArchiveStore,
}

impl Schedule {
    /// Creates the schedule from the configuration; `None` if backups are disabled.
    pub fn of(config: &Config) -> anyhow::Result<Option<Self>> {
        let hours = config.backup.every_hours;
        if hours == 0 {
            return Ok(None);
        }
        // Each instance would otherwise create backups in a folder of its own.
        ensure!(
            config.is_embedded() || config.bus_url().is_none() || config.backup.url.is_some(),
            "backup.every_hours is set without backup.url. Several instances need a shared folder or an S3 store for backups."
        );
        let every = Duration::from_secs(u64::from(hours) * 3_600);
        Ok(Some(Self { every, archives: ArchiveStore::open(config)? }))
    }

    /// Creates backups when they are due, and records the outcome; never returns.
    pub async fn run(self, monitor: Arc<BackupMonitor>) {
        let mut is_first = true;
        loop {
            let wait = match self.run_once(&monitor, &mut is_first).await {
                Ok(()) => POLL_INTERVAL,
                Err(error) => {
                    monitor.record_failure();
                    tracing::error!(error = format!("{error:#}"), "failed to create scheduled backup");
                    RETRY_DELAY
                }
            };
            tokio::time::sleep(wait).await;
        }
    }

    /// Returns the time of the last backup; `None` if there is none.
    pub async fn last_backup_at(&self) -> anyhow::Result<Option<Timestamp>> {
        Ok(self.archives.list().await?.pop().map(|archive| archive.created_at))
    }

    /// True if the last backup is older than two intervals.
    pub fn is_overdue(&self, last: Option<Timestamp>, now: Timestamp) -> bool {
        last.is_none_or(|last| age(last, now) > self.every * 2)
    }

    /// Creates a backup if one is due, and deletes old archives. `is_first` is true until this
    /// instance has had its first turn.
    async fn run_once(&self, monitor: &BackupMonitor, is_first: &mut bool) -> anyhow::Result<()> {
        let archives = self.archives.list().await?;
        monitor.record_last(newest(&archives));
        if !self.is_due(&archives) && !self.archives.has_surplus(&archives) {
            return Ok(());
        }
        let Some(turn) = Turn::acquire(self.archives.config()).await? else { return Ok(()) };
        let done = self.run_turn(monitor, is_first).await;
        done.and(turn.release().await)
    }

    async fn run_turn(&self, monitor: &BackupMonitor, is_first: &mut bool) -> anyhow::Result<()> {
        // Unfinished archives of another instance are not touched, because it doesn't have the turn.
        if std::mem::take(is_first)
            && let Err(error) = self.archives.remove_unfinished()
        {
            tracing::warn!(%error, "failed to remove unfinished backups");
        }
        // Another instance may have created a backup since the list was read.
        if self.is_due(&self.archives.list().await?) {
            let begun = Instant::now();
            let said = self.archives.create(Clock::system().now(), Progress::hidden()).await?;
            monitor.record_duration(begun.elapsed());
            tracing::info!("{}", said.trim_end());
        }
        self.archives.prune().await?;
        monitor.record_last(newest(&self.archives.list().await?));
        Ok(())
    }

    fn is_due(&self, archives: &[StoredArchive]) -> bool {
        newest(archives).is_none_or(|last| age(last.made_at, Clock::system().now()) >= self.every)
    }
}

/// Turn of an instance to create a backup. Instances that share a database on PostgreSQL take turns.
struct Turn {
    lock: Option<(Database, DatabaseTransaction)>,
}

impl Turn {
    /// Acquires the turn; `None` if another instance has it.
    async fn acquire(config: &Config) -> anyhow::Result<Option<Self>> {
        if config.is_embedded() {
            return Ok(Some(Self { lock: None }));
        }
        let database = transfer::open(config.database.url.expose()).await?;
        match namespaces::lock_backups(&database).await? {
            Some(held) => Ok(Some(Self { lock: Some((database, held)) })),
            None => {
                database.close().await?;
                Ok(None)
            }
        }
    }

    async fn release(self) -> anyhow::Result<()> {
        if let Some((database, held)) = self.lock {
            held.rollback().await?;
            database.close().await?;
        }
        Ok(())
    }
}

fn newest(archives: &[StoredArchive]) -> Option<LastBackup> {
    archives.last().map(|archive| LastBackup { made_at: archive.created_at, bytes: archive.bytes })
}

/// Returns the age of an archive. A time in the future comes from a wrong clock, and the archive
/// then counts as old, unless the clocks of two instances differ by that much.
fn age(made_at: Timestamp, now: Timestamp) -> Duration {
    match u64::try_from(now.millis() - made_at.millis()) {
        Ok(millis) => Duration::from_millis(millis),
        Err(_) if made_at <= now.plus(MAX_CLOCK_SKEW) => Duration::ZERO,
        Err(_) => Duration::MAX,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn future_timestamps_do_not_delay_backups() {
        let now = Timestamp(10_000);
        assert_eq!(age(Timestamp(4_000), now), Duration::from_secs(6));
        assert_eq!(age(Timestamp(10_001), now), Duration::ZERO);
        assert_eq!(age(Timestamp(10_001).plus(MAX_CLOCK_SKEW), now), Duration::MAX);
    }
}
