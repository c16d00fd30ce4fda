//! When whoever reads behind what is written looks for what the bus has not said, and how far back.

use std::{
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    time::Duration,
};

use appcore::Timestamp;
use tokio::time::Instant;

/// How long no gap is a reason to look again. While the bus is away it tells one every second.
const AFTER_GAP: Duration = Duration::from_secs(5);
/// How often everything is looked at, whatever has happened: what is told apart by its time can have a wrong one, and an index that others keep may be
/// put back to what it was.
const THOROUGHLY: Duration = Duration::from_secs(3_600);
/// How much farther back than the look before: an event has the time at which its batch was begun, on a machine whose clock may be another one, and a
/// batch is tried twice, for some seconds each.
const MARGIN: Duration = Duration::from_secs(60);

/// The times of these looks; the first is due at once.
pub struct Lookout {
    every: Duration,
    next: Instant,
    /// From then on a gap is a reason.
    heeds_gaps_at: Instant,
    /// When everything is to be looked at.
    thorough_at: Instant,
    /// When the look before was begun.
    last: Option<Timestamp>,
}

/// A look that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// What has happened since then is looked at; none: everything is.
    pub since: Option<Timestamp>,
    begun: Timestamp,
}

impl Lookout {
    pub fn new(every: Duration) -> Self {
        let now = Instant::now();
        Self { every, next: now, heeds_gaps_at: now, thorough_at: now, last: None }
    }

    /// How long it is until one is due, where the bus may have lost something since the last one, or not.
    pub fn wait(&self, is_incomplete: &AtomicBool) -> Duration {
        let due = if is_incomplete.load(Relaxed) { self.next.min(self.heeds_gaps_at) } else { self.next };
        due.saturating_duration_since(Instant::now())
    }

    /// The look that is due, if one is. It finds what the bus may have lost so far, and is due until it has been [looked](Self::looked).
    pub fn due(&mut self, is_incomplete: &AtomicBool, now: Timestamp) -> Option<Look> {
        if !self.wait(is_incomplete).is_zero() {
            return None;
        }
        is_incomplete.store(false, Relaxed);
        self.next = Instant::now();
        let last = self.last.filter(|_| self.next < self.thorough_at);
        // A clock that was put back must not hide what happens until it is where it was.
        Some(Look { since: last.map(|last| last.min(now).minus(MARGIN)), begun: now })
    }

    /// It has been looked, and nobody can lose what was found.
    pub fn looked(&mut self, look: Look) {
        let now = Instant::now();
        (self.next, self.heeds_gaps_at) = (now + self.every, now + AFTER_GAP);
        self.last = Some(look.begun);
        if look.since.is_none() {
            self.thorough_at = now + THOROUGHLY;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVERY: Duration = Duration::from_secs(30);

    #[tokio::test(start_paused = true)]
    async fn gaps_that_follow_each_other_are_one_reason_to_look() {
        let (whole, gap) = (AtomicBool::new(false), AtomicBool::new(true));
        let mut lookout = Lookout::new(EVERY);
        let look = lookout.due(&gap, Timestamp(0)).unwrap();
        assert!(!gap.swap(true, Relaxed), "it is taken care of");
        assert_eq!(lookout.wait(&whole), Duration::ZERO, "until it was looked");
        lookout.looked(look);
        assert_eq!((lookout.wait(&gap), lookout.wait(&whole)), (AFTER_GAP, EVERY));
        tokio::time::advance(AFTER_GAP).await;
        assert_eq!(lookout.due(&whole, Timestamp(0)), None);
        let look = lookout.due(&gap, Timestamp(0)).unwrap();
        assert!(lookout.due(&whole, Timestamp(0)).is_some(), "nobody has looked yet");
        lookout.looked(look);
        tokio::time::advance(EVERY).await;
        assert!(lookout.due(&whole, Timestamp(0)).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_look_goes_back_to_the_one_before_and_seldom_over_everything() {
        let whole = AtomicBool::new(false);
        let mut lookout = Lookout::new(EVERY);
        let at = |seconds| Timestamp(0).plus(Duration::from_secs(seconds));
        let since = |seconds| Some(at(seconds).minus(MARGIN));
        let mut look = |seconds, is_done| {
            let look = lookout.due(&whole, at(seconds)).unwrap();
            if is_done {
                lookout.looked(look);
            }
            look.since
        };
        assert_eq!(look(1_000, false), None);
        assert_eq!(look(1_002, true), None, "the first one failed");
        tokio::time::advance(EVERY).await;
        assert_eq!(look(1_032, false), since(1_002));
        assert_eq!(look(1_034, true), since(1_002), "it goes back to the last that did not fail");
        tokio::time::advance(EVERY).await;
        assert_eq!(look(900, true), since(900), "the clock was put back");
        tokio::time::advance(EVERY).await;
        assert_eq!(look(930, true), since(900));
        tokio::time::advance(THOROUGHLY).await;
        assert_eq!(look(4_530, true), None);
        tokio::time::advance(EVERY).await;
        assert_eq!(look(4_560, true), since(4_530));
    }
}
