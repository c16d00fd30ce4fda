//! Frame rate limit of a connection: a token bucket with a capacity of two seconds.

use tokio::time::Instant;

/// Capacity of the bucket, in seconds.
const BURST_SECONDS: f64 = 2.0;

/// Token bucket of a connection.
#[derive(Debug)]
pub struct TokenBucket {
    per_second: f64,
    left: f64,
    at: Instant,
}

impl TokenBucket {
    #[must_use]
    pub fn new(per_second: u32, now: Instant) -> Self {
        let per_second = f64::from(per_second);
        Self { per_second, left: per_second * BURST_SECONDS, at: now }
    }

    /// Takes `frames` tokens from the bucket. Returns false if it has fewer.
    pub fn take(&mut self, frames: u32, now: Instant) -> bool {
        let earned = now.saturating_duration_since(self.at).as_secs_f64() * self.per_second;
        self.left = (self.left + earned).min(self.per_second * BURST_SECONDS);
        self.at = now;
        let asked = f64::from(frames);
        if self.left < asked {
            return false;
        }
        self.left -= asked;
        true
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn allows_bursts_limits_floods_and_refills_over_time() {
        let start = Instant::now();
        let mut allowance = TokenBucket::new(10, start);
        assert!((0..20).all(|_| allowance.take(1, start)));
        assert!(!allowance.take(1, start));
        let later = start + Duration::from_millis(500);
        assert!((0..5).all(|_| allowance.take(1, later)));
        assert!(!allowance.take(1, later));
    }
}
