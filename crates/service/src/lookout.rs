//! When whoever reads behind what is written looks for what the bus has not said.

use std::time::Duration;

use tokio::time::Instant;

/// How long no gap is a reason to look again. While the bus is away it tells one every second, and a look goes through all conversations.
const AFTER_GAP: Duration = Duration::from_secs(5);

/// The times of these looks; the first is due at once.
pub(crate) struct Lookout {
    every: Duration,
    next: Instant,
    /// From then on a gap is a reason.
    heeds_gaps_at: Instant,
}

impl Lookout {
    pub fn new(every: Duration) -> Self {
        let now = Instant::now();
        Self { every, next: now, heeds_gaps_at: now }
    }

    /// How long it is until one is due, where the bus may have lost something since the last one, or not.
    pub fn wait(&self, is_incomplete: bool) -> Duration {
        let due = if is_incomplete { self.next.min(self.heeds_gaps_at) } else { self.next };
        due.saturating_duration_since(Instant::now())
    }

    pub fn is_due(&self, is_incomplete: bool) -> bool {
        self.wait(is_incomplete).is_zero()
    }

    pub fn looked(&mut self) {
        let now = Instant::now();
        (self.next, self.heeds_gaps_at) = (now + self.every, now + AFTER_GAP);
    }

    /// Something went wrong: one is due.
    pub fn failed(&mut self) {
        self.next = Instant::now();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn gaps_that_follow_each_other_are_one_reason_to_look() {
        let every = Duration::from_secs(30);
        let mut lookout = Lookout::new(every);
        assert!(lookout.is_due(false));
        lookout.looked();
        assert_eq!((lookout.wait(true), lookout.wait(false)), (AFTER_GAP, every));
        tokio::time::advance(AFTER_GAP).await;
        assert!(lookout.is_due(true) && !lookout.is_due(false));
        lookout.looked();
        tokio::time::advance(every).await;
        assert!(lookout.is_due(false));
        lookout.looked();
        lookout.failed();
        assert!(lookout.is_due(false));
    }
}
