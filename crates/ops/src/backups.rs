//! State of the scheduled backups, for metrics and `/health`.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use appcore::{Timestamp, config::Config};

/// Number of intervals without a backup after which backups are late.
const MAX_INTERVALS: u32 = 2;

/// Newest archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LastBackup {
    pub made_at: Timestamp,
    pub bytes: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BackupStatus {
    /// `None` if there is no archive.
    pub last: Option<LastBackup>,
    /// Duration of the last backup of this process; zero before the first one.
    pub duration: Duration,
    /// Number of failed attempts of this process.
    pub failures: u64,
}

/// Records the outcomes of scheduled backups.
#[derive(Debug)]
pub struct BackupMonitor {
    every: Duration,
    started_at: Timestamp,
    status: Mutex<BackupStatus>,
}

impl BackupMonitor {
    /// Creates the monitor; `None` if no backups are configured.
    #[must_use]
    pub fn of(config: &Config, started_at: Timestamp) -> Option<Self> {
        let hours = config.backup.every_hours;
        (hours > 0).then(|| Self::new(Duration::from_secs(u64::from(hours) * 3_600), started_at))
    }

    fn new(every: Duration, started_at: Timestamp) -> Self {
        Self { every, started_at, status: Mutex::default() }
    }

    pub fn status(&self) -> BackupStatus {
        *self.lock()
    }

    /// Records the newest archive of the destination.
    pub fn record_last(&self, last: Option<LastBackup>) {
        self.lock().last = last;
    }

    pub fn record_duration(&self, took: Duration) {
        self.lock().duration = took;
    }

    pub fn record_failure(&self) {
        self.lock().failures += 1;
    }

    /// Returns the age of the newest archive; `None` if there is none. A time in the future, which
    /// comes from a wrong clock, counts as now.
    pub fn age(&self, now: Timestamp) -> Option<Duration> {
        self.status().last.map(|last| elapsed(last.made_at, now))
    }

    /// True if the newest archive is older than two intervals, or if there is none two intervals
    /// after the start.
    pub fn is_late(&self, now: Timestamp) -> bool {
        self.age(now).unwrap_or_else(|| elapsed(self.started_at, now)) > self.every * MAX_INTERVALS
    }

    fn lock(&self) -> MutexGuard<'_, BackupStatus> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn elapsed(since: Timestamp, now: Timestamp) -> Duration {
    Duration::from_millis(u64::try_from(now.millis() - since.millis()).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000;

    #[test]
    fn backups_are_late_after_two_intervals() {
        let monitor = BackupMonitor::new(Duration::from_secs(3_600), Timestamp(HOUR));
        assert!(!monitor.is_late(Timestamp(3 * HOUR)) && monitor.is_late(Timestamp(3 * HOUR + 1)));
        assert_eq!(monitor.age(Timestamp(3 * HOUR)), None);
        monitor.record_last(Some(LastBackup { made_at: Timestamp(3 * HOUR), bytes: 7 }));
        assert!(!monitor.is_late(Timestamp(5 * HOUR)) && monitor.is_late(Timestamp(5 * HOUR + 1)));
        assert_eq!(monitor.age(Timestamp(HOUR)), Some(Duration::ZERO));
        monitor.record_failure();
        assert_eq!(monitor.status().failures, 1);
    }
}
