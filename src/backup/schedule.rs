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
use ops::backups::{BackupMonitor, LastBackup};

use super::store::{ArchiveStore, StoredArchive};

/// Interval at which the schedule checks whether a backup is due. Checking at intervals tolerates
/// jumps of the clock.
const POLL_INTERVAL: Duration = Duration::from_secs(60);
/// Retry delay after a failed backup.
const RETRY_DELAY: Duration = Duration::from_secs(600);

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
        ensure!(
            config.is_embedded(),
            "backup.every_hours is set, but the database is PostgreSQL. Set it to 0 and use the tools of PostgreSQL, as docs/operations.md describes."
        );
        let every = Duration::from_secs(u64::from(hours) * 3_600);
        Ok(Some(Self { every, archives: ArchiveStore::open(config)? }))
    }

    /// Creates backups when they are due, and records the outcome; never returns.
    pub async fn run(self, monitor: Arc<BackupMonitor>) {
        if let Err(error) = self.archives.remove_unfinished() {
            tracing::warn!(%error, "failed to remove unfinished backups");
        }
        loop {
            let wait = match self.run_once(&monitor).await {
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

    async fn run_once(&self, monitor: &BackupMonitor) -> anyhow::Result<()> {
        let now = Clock::system().now();
        let last = newest(&self.archives.list().await?);
        monitor.record_last(last);
        if last.is_none_or(|last| age(last.made_at, now) >= self.every) {
            let begun = Instant::now();
            let said = self.archives.create(now).await?;
            monitor.record_duration(begun.elapsed());
            tracing::info!("{}", said.trim_end());
            monitor.record_last(newest(&self.archives.list().await?));
        }
        self.archives.prune().await?;
        Ok(())
    }
}

fn newest(archives: &[StoredArchive]) -> Option<LastBackup> {
    archives.last().map(|archive| LastBackup { made_at: archive.created_at, bytes: archive.bytes })
}

/// Returns the age of an archive. A time in the future comes from a wrong clock, and the archive
/// then counts as old.
fn age(made_at: Timestamp, now: Timestamp) -> Duration {
    u64::try_from(now.millis() - made_at.millis()).map_or(Duration::MAX, Duration::from_millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn future_timestamps_do_not_delay_backups() {
        let now = Timestamp(10_000);
        assert_eq!(age(Timestamp(4_000), now), Duration::from_secs(6));
        assert_eq!(age(Timestamp(10_001), now), Duration::MAX);
    }
}
