//! How fast a person may read the log by `sync` or a resumed stream: so many bytes a second, with some saved up for coming back after a
//! while. A faster reader waits and loses nothing, because what was not read yet is still in the log.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use appcore::UserId;
use tokio::time::Instant;

/// Seconds of reading that an idle reader accumulates at most.
const SAVED: f64 = 16.0;
/// What a look at the log counts beside the bytes that it brings.
pub const LOOK: usize = 4 * 1024;
/// How often those are forgotten who have saved up everything again.
const TIDY_EVERY: Duration = Duration::from_secs(60);

/// What each person has read of late, on all connections of this instance.
#[derive(Debug)]
pub struct SyncPace {
    /// None: as fast as they like.
    per_second: Option<f64>,
    readers: Mutex<Readers>,
}

#[derive(Debug)]
struct Readers {
    debts: HashMap<UserId, Debt>,
    tidied_at: Instant,
}

/// Bytes that were read and not paid off by time.
#[derive(Clone, Copy, Debug)]
struct Debt {
    bytes: f64,
    at: Instant,
}

impl Debt {
    fn at(self, now: Instant, per_second: f64) -> f64 {
        (self.bytes - now.saturating_duration_since(self.at).as_secs_f64() * per_second).max(0.0)
    }
}

impl SyncPace {
    #[must_use]
    pub fn new(bytes_per_second: Option<u32>) -> Self {
        let readers = Readers { debts: HashMap::new(), tidied_at: Instant::now() };
        Self { per_second: bytes_per_second.map(f64::from), readers: Mutex::new(readers) }
    }

    /// Counts what a person has read. Answers how long to wait before more is read for them.
    pub fn charge(&self, person: UserId, bytes: usize) -> Duration {
        let Some(per_second) = self.per_second else { return Duration::ZERO };
        let now = Instant::now();
        let mut readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        if now.saturating_duration_since(readers.tidied_at) >= TIDY_EVERY {
            readers.tidied_at = now;
            readers.debts.retain(|_, debt| debt.at(now, per_second) > 0.0);
        }
        let debt = readers.debts.entry(person).or_insert(Debt { bytes: 0.0, at: now });
        *debt = Debt { bytes: debt.at(now, per_second) + bytes as f64, at: now };
        Duration::from_secs_f64((debt.bytes / per_second - SAVED).max(0.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_reads_faster_than_allowed_waits_and_the_others_do_not() {
        let (pace, anna, ben) = (SyncPace::new(Some(1_000)), UserId::new(), UserId::new());
        assert_eq!(pace.charge(anna, 16_000), Duration::ZERO, "what is saved up is free");
        assert_eq!(pace.charge(anna, 3_000), Duration::from_secs(3));
        assert_eq!(pace.charge(ben, 16_000), Duration::ZERO);
        tokio::time::advance(Duration::from_secs(4)).await;
        assert_eq!(pace.charge(anna, 1_000), Duration::ZERO);
        assert_eq!(pace.charge(anna, 500), Duration::from_millis(500));
        tokio::time::advance(TIDY_EVERY).await;
        pace.charge(ben, 1);
        assert_eq!(pace.readers.lock().unwrap().debts.len(), 1, "who has everything saved up again is forgotten");
    }

    #[test]
    fn without_the_limiter_nobody_waits() {
        assert_eq!(SyncPace::new(None).charge(UserId::new(), usize::MAX), Duration::ZERO);
    }
}
