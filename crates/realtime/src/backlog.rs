//! Limits on the bytes queued for slow clients.
//!
//! Up to [`Backlog::free`] bytes may be queued for any connection. A client that reads some of the
//! queued bytes at least every [`STALL`] may have more queued, up to a hard cap, as long as the
//! excess of all connections of the instance stays within a budget. This bounds memory without
//! disconnecting a reading client because of a burst.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use appcore::config::Realtime;

/// Time without progress after which a client with more than [`Backlog::free`] queued bytes is
/// disconnected.
pub const STALL_TIMEOUT: Duration = Duration::from_secs(1);

/// Limits on queued bytes, and the total number of bytes above the free ones. Shared by all
/// connections of an instance.
#[derive(Debug)]
pub struct Backlog {
    free: usize,
    cap: usize,
    budget: usize,
    excess: AtomicUsize,
}

impl Backlog {
    /// Creates limits, in bytes: `free` for any connection, `cap` for a connection whose client
    /// makes progress, and `budget` for the total of the bytes above `free` of all connections.
    #[must_use]
    pub fn new(free: usize, cap: usize, budget: usize) -> Self {
        Self { free, cap: cap.max(free), budget, excess: AtomicUsize::new(0) }
    }

    /// Creates a limit of `bytes` for each connection, which no connection may exceed.
    #[must_use]
    pub fn fixed(bytes: usize) -> Self {
        Self::new(bytes, bytes, 0)
    }

    /// Reads the limits from the configuration.
    #[must_use]
    pub fn from_settings(settings: &Realtime) -> Self {
        Self::new(settings.backlog_bytes, settings.max_backlog_bytes, settings.backlog_budget_bytes)
    }

    /// Bytes that may be queued for any connection.
    #[must_use]
    pub fn free(&self) -> usize {
        self.free
    }

    /// Bytes that may be queued for a connection whose client makes progress.
    #[must_use]
    pub fn cap(&self) -> usize {
        self.cap
    }

    /// True if any connection has more queued bytes than [`Backlog::free`].
    #[must_use]
    pub fn is_exceeded(&self) -> bool {
        self.excess.load(Ordering::Relaxed) > 0
    }

    /// Updates the total when a connection's queued bytes change from `before` to `waiting`.
    /// Returns false if the total then exceeds the budget.
    pub(crate) fn recount(&self, before: usize, waiting: usize) -> bool {
        let beyond = |waiting: usize| waiting.saturating_sub(self.free);
        let (before, now) = (beyond(before), beyond(waiting));
        let total = self.excess.fetch_add(now, Ordering::Relaxed).saturating_add(now);
        self.excess.fetch_sub(before, Ordering::Relaxed);
        total.saturating_sub(before) <= self.budget
    }
}
