//! How long many things of one kind took, for what this program itself tells of them.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use crate::DURATIONS;

/// How many took as long as each of [`DURATIONS`] and no longer, the last one longer than all.
#[derive(Debug, Default)]
pub(crate) struct Counts([AtomicU64; DURATIONS.len() + 1]);

impl Counts {
    pub fn count(&self, seconds: f64) {
        let place = DURATIONS.iter().position(|bound| seconds <= *bound).unwrap_or(DURATIONS.len());
        self.0[place].fetch_add(1, Relaxed);
    }

    pub fn read(&self) -> Spread {
        Spread(std::array::from_fn(|place| self.0[place].load(Relaxed)))
    }
}

/// All of them until a moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spread([u64; DURATIONS.len() + 1]);

impl Spread {
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.iter().sum()
    }

    /// Those since an earlier moment.
    #[must_use]
    pub fn since(self, earlier: Self) -> Self {
        Self(std::array::from_fn(|place| self.0[place].saturating_sub(earlier.0[place])))
    }

    /// Within which of the bounds of [`DURATIONS`] 99 of 100 were done; where it is beyond them, the last. None: there were none.
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
