//! Histogram of durations, for percentiles that the program reports itself.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use crate::DURATIONS;

/// Histogram for concurrent use, with one bucket per bound of [`DURATIONS`] and one for longer
/// durations.
#[derive(Debug, Default)]
pub(crate) struct DurationHistogram([AtomicU64; DURATIONS.len() + 1]);

impl DurationHistogram {
    pub fn record(&self, seconds: f64) {
        let place = DURATIONS.iter().position(|bound| seconds <= *bound).unwrap_or(DURATIONS.len());
        self.0[place].fetch_add(1, Relaxed);
    }

    pub fn read(&self) -> HistogramSnapshot {
        HistogramSnapshot(std::array::from_fn(|place| self.0[place].load(Relaxed)))
    }
}

/// Snapshot of a histogram.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HistogramSnapshot([u64; DURATIONS.len() + 1]);

impl HistogramSnapshot {
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.iter().sum()
    }

    /// Returns the difference to an earlier snapshot.
    #[must_use]
    pub fn since(self, earlier: Self) -> Self {
        Self(std::array::from_fn(|place| self.0[place].saturating_sub(earlier.0[place])))
    }

    /// 99th percentile, rounded up to a bound of [`DURATIONS`]; the last bound for longer
    /// durations. `None` if the histogram is empty.
    #[must_use]
    pub fn p99(&self) -> Option<Duration> {
        let wanted = (self.count() * 99).div_ceil(100);
        let mut sum = 0;
        let place = self.0.iter().position(|count| {
            sum += count;
            sum >= wanted
        })?;
        let bound = DURATIONS.get(place).or(DURATIONS.last())?;
        (wanted > 0).then(|| Duration::from_secs_f64(*bound))
    }
}
