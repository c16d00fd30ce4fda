//! How many bytes may wait for clients that read slowly.
//!
//! Up to [`Backlog::free`] bytes may wait for any connection. What goes beyond that is allowed for a connection whose client takes some of it
//! at least every [`STALL`], up to a hard cap, and as long as what waits beyond on all connections of the instance is within a budget.
//! So memory is bounded, and a client that reads is not cut off for a burst.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use appcore::config::Realtime;

/// How long a client may take nothing while more waits for it than [`Backlog::free`].
pub const STALL: Duration = Duration::from_secs(1);

/// The limits, and what waits beyond the free bytes of each connection; shared by all connections of an instance.
#[derive(Debug)]
pub struct Backlog {
    free: usize,
    cap: usize,
    budget: usize,
    beyond: AtomicUsize,
}

impl Backlog {
    /// `free` bytes for each connection, `cap` for one that reads, `budget` beyond the free ones for all of them.
    #[must_use]
    pub fn new(free: usize, cap: usize, budget: usize) -> Self {
        Self { free, cap: cap.max(free), budget, beyond: AtomicUsize::new(0) }
    }

    /// So many bytes for each connection, no more for one that reads.
    #[must_use]
    pub fn fixed(bytes: usize) -> Self {
        Self::new(bytes, bytes, 0)
    }

    /// As the settings say.
    #[must_use]
    pub fn of(settings: &Realtime) -> Self {
        Self::new(settings.backlog_bytes, settings.max_backlog_bytes, settings.backlog_budget_bytes)
    }

    /// Bytes that may wait for a connection whatever its client does.
    #[must_use]
    pub fn free(&self) -> usize {
        self.free
    }

    /// Bytes that may wait for a connection whose client reads.
    #[must_use]
    pub fn cap(&self) -> usize {
        self.cap
    }

    /// Whether more waits for any connection than its free bytes.
    #[must_use]
    pub fn is_exceeded(&self) -> bool {
        self.beyond.load(Ordering::Relaxed) > 0
    }

    /// A connection has so many bytes waiting, where it had `before`. False: all of them together have more than the budget.
    pub(crate) fn recount(&self, before: usize, waiting: usize) -> bool {
        let beyond = |waiting: usize| waiting.saturating_sub(self.free);
        let (before, now) = (beyond(before), beyond(waiting));
        let total = self.beyond.fetch_add(now, Ordering::Relaxed).saturating_add(now);
        self.beyond.fetch_sub(before, Ordering::Relaxed);
        total.saturating_sub(before) <= self.budget
    }
}
