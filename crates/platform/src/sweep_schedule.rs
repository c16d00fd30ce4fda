//! Sweep schedule of log consumers (search indexer, notifier): when to poll for events missed on
//! the bus, and from which timestamp.

use std::{
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    time::Duration,
};

use appcore::Timestamp;
use tokio::time::Instant;

/// Time after a sweep during which gaps on the bus cause no further sweep. Without this limit there
/// would be a sweep every second while the bus is unavailable, since it signals a gap that often.
const GAP_COOLDOWN: Duration = Duration::from_secs(5);
/// Interval of full sweeps, which don't rely on timestamps. They find events with wrong timestamps,
/// and repair positions that were restored to an earlier state.
const FULL_SWEEP_INTERVAL: Duration = Duration::from_secs(3_600);
/// Overlap with the previous sweep. An event may become visible later than its timestamp says: it
/// carries the start time of its batch, by a clock that may differ between machines, and a batch is
/// tried twice, for some seconds each.
pub const OVERLAP: Duration = Duration::from_secs(60);

/// Schedule of the sweeps; the first one is due at once.
pub struct SweepSchedule {
    every: Duration,
    next: Instant,
    /// Earliest time of a sweep that is caused by a gap.
    gaps_count_at: Instant,
    /// Time of the next full sweep; `None` if there is none.
    full_sweep_at: Option<Instant>,
    /// Start of the latest completed sweep.
    last: Option<Timestamp>,
}

/// Sweep that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SweepWindow {
    /// Start of the time range; `None` for a full sweep.
    pub since: Option<Timestamp>,
    pub started_at: Timestamp,
}

impl SweepSchedule {
    pub fn new(every: Duration) -> Self {
        let now = Instant::now();
        Self { every, next: now, gaps_count_at: now, full_sweep_at: Some(now), last: None }
    }

    /// Schedule without full sweeps, of which the last one was at this time.
    pub fn resuming(every: Duration, last: Timestamp) -> Self {
        Self { full_sweep_at: None, last: Some(last), ..Self::new(every) }
    }

    /// Time until the next sweep is due. `is_incomplete` is set if the bus may have lost messages
    /// since the last sweep.
    pub fn time_until_due(&self, is_incomplete: &AtomicBool) -> Duration {
        let due = if is_incomplete.load(Relaxed) { self.next.min(self.gaps_count_at) } else { self.next };
        due.saturating_duration_since(Instant::now())
    }

    /// Returns the sweep that is due, if any, and resets `is_incomplete`. It stays due until it is
    /// [completed](Self::looked).
    pub fn due(&mut self, is_incomplete: &AtomicBool, now: Timestamp) -> Option<SweepWindow> {
        if !self.time_until_due(is_incomplete).is_zero() {
            return None;
        }
        is_incomplete.store(false, Relaxed);
        self.next = Instant::now();
        let last = self.last.filter(|_| self.full_sweep_at.is_none_or(|at| self.next < at));
        // If the clock was set back, the sweep must not start in the future.
        Some(SweepWindow { since: last.map(|last| last.min(now).minus(OVERLAP)), started_at: now })
    }

    /// Marks the sweep as completed, once its results are durable.
    pub fn mark_completed(&mut self, look: SweepWindow) {
        let now = Instant::now();
        (self.next, self.gaps_count_at) = (now + self.every, now + GAP_COOLDOWN);
        self.last = Some(look.started_at);
        if look.since.is_none() {
            self.full_sweep_at = Some(now + FULL_SWEEP_INTERVAL);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVERY: Duration = Duration::from_secs(30);

    #[tokio::test(start_paused = true)]
    async fn consecutive_gaps_cause_one_sweep() {
        let (whole, gap) = (AtomicBool::new(false), AtomicBool::new(true));
        let mut lookout = SweepSchedule::new(EVERY);
        let look = lookout.due(&gap, Timestamp(0)).unwrap();
        assert!(!gap.swap(true, Relaxed), "the gap is handled");
        assert_eq!(lookout.time_until_due(&whole), Duration::ZERO, "due until completed");
        lookout.mark_completed(look);
        assert_eq!((lookout.time_until_due(&gap), lookout.time_until_due(&whole)), (GAP_COOLDOWN, EVERY));
        tokio::time::advance(GAP_COOLDOWN).await;
        assert_eq!(lookout.due(&whole, Timestamp(0)), None);
        let look = lookout.due(&gap, Timestamp(0)).unwrap();
        assert!(lookout.due(&whole, Timestamp(0)).is_some(), "not completed yet");
        lookout.mark_completed(look);
        tokio::time::advance(EVERY).await;
        assert!(lookout.due(&whole, Timestamp(0)).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn sweeps_overlap_the_previous_one_and_are_seldom_full() {
        let whole = AtomicBool::new(false);
        let mut lookout = SweepSchedule::new(EVERY);
        let at = |seconds| Timestamp(0).plus(Duration::from_secs(seconds));
        let since = |seconds| Some(at(seconds).minus(OVERLAP));
        let mut look = |seconds, is_done| {
            let look = lookout.due(&whole, at(seconds)).unwrap();
            if is_done {
                lookout.mark_completed(look);
            }
            look.since
        };
        assert_eq!(look(1_000, false), None);
        assert_eq!(look(1_002, true), None, "the first sweep failed");
        tokio::time::advance(EVERY).await;
        assert_eq!(look(1_032, false), since(1_002));
        assert_eq!(look(1_034, true), since(1_002), "starts at the latest completed sweep");
        tokio::time::advance(EVERY).await;
        assert_eq!(look(900, true), since(900), "the clock was set back");
        tokio::time::advance(EVERY).await;
        assert_eq!(look(930, true), since(900));
        tokio::time::advance(FULL_SWEEP_INTERVAL).await;
        assert_eq!(look(4_530, true), None);
        tokio::time::advance(EVERY).await;
        assert_eq!(look(4_560, true), since(4_530));
    }
}
