//! Rate limit for reading the log by `sync` or a resumed stream: a token bucket in bytes per user.
//! A client that reads faster is delayed. It loses nothing, because unread events stay in the log.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use appcore::UserId;
use tokio::time::Instant;

/// Capacity of the bucket, in seconds of the allowed rate.
const BURST_SECONDS: f64 = 16.0;
/// Cost of one read of the log in bytes, in addition to its data.
pub const READ_COST: usize = 4 * 1024;
/// Interval at which users with a full bucket are removed.
const CLEANUP_INTERVAL: Duration = Duration::from_secs(60);

/// Bytes read recently per user, over all connections of this instance.
#[derive(Debug)]
pub struct SyncRateLimit {
    /// Allowed rate in bytes per second; `None` means unlimited.
    per_second: Option<f64>,
    readers: Mutex<Readers>,
}

#[derive(Debug)]
struct Readers {
    debts: HashMap<UserId, Debt>,
    tidied_at: Instant,
}

/// Bytes that a user has read and that the allowed rate has not made up for yet.
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

impl SyncRateLimit {
    #[must_use]
    pub fn new(bytes_per_second: Option<u32>) -> Self {
        let readers = Readers { debts: HashMap::new(), tidied_at: Instant::now() };
        Self { per_second: bytes_per_second.map(f64::from), readers: Mutex::new(readers) }
    }

    /// Charges a read to the user. Returns the time to wait before the next read.
    pub fn charge(&self, person: UserId, bytes: usize) -> Duration {
        let Some(per_second) = self.per_second else { return Duration::ZERO };
        let now = Instant::now();
        let mut readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        if now.saturating_duration_since(readers.tidied_at) >= CLEANUP_INTERVAL {
            readers.tidied_at = now;
            readers.debts.retain(|_, debt| debt.at(now, per_second) > 0.0);
        }
        let debt = readers.debts.entry(person).or_insert(Debt { bytes: 0.0, at: now });
        *debt = Debt { bytes: debt.at(now, per_second) + bytes as f64, at: now };
        Duration::from_secs_f64((debt.bytes / per_second - BURST_SECONDS).max(0.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn delays_users_who_read_too_fast_and_no_others() {
        let (pace, anna, ben) = (SyncRateLimit::new(Some(1_000)), UserId::new(), UserId::new());
        assert_eq!(pace.charge(anna, 16_000), Duration::ZERO, "the saved-up capacity is free");
        assert_eq!(pace.charge(anna, 3_000), Duration::from_secs(3));
        assert_eq!(pace.charge(ben, 16_000), Duration::ZERO);
        tokio::time::advance(Duration::from_secs(4)).await;
        assert_eq!(pace.charge(anna, 1_000), Duration::ZERO);
        assert_eq!(pace.charge(anna, 500), Duration::from_millis(500));
        tokio::time::advance(CLEANUP_INTERVAL).await;
        pace.charge(ben, 1);
        assert_eq!(pace.readers.lock().unwrap().debts.len(), 1, "users with a full bucket are removed");
    }

    #[test]
    fn never_delays_without_a_limit() {
        assert_eq!(SyncRateLimit::new(None).charge(UserId::new(), usize::MAX), Duration::ZERO);
    }
}
