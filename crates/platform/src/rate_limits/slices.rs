//! Sliding window, divided into slices.
//!
//! Calls are counted per slice. A slice counts in full until all of it is outside of the window, so
//! no interval of the window's length ever has more calls than the limit. The price is that a call
//! counts for up to one slice longer than necessary.

use std::{collections::VecDeque, time::Duration};

use appcore::{Timestamp, limit::Limit};

use super::{RateDecision, Window};

/// Number of slices of a window. A call counts for too long by at most 1/32 of the window.
pub(super) const SLICES: u32 = 32;

/// Calls of one caller, the oldest slice first. At most [`SLICES`] + 1 entries.
#[derive(Default)]
pub(super) struct SlidingWindow(VecDeque<Slice>);

struct Slice {
    number: i64,
    calls: u32,
}

impl SlidingWindow {
    /// Counts a call if the limit allows it.
    pub fn admit(&mut self, now: Timestamp, limit: Limit) -> RateDecision {
        let length = slice_millis(limit.window);
        // If the clock is set back, time continues in the newest slice, so that earlier calls stay
        // counted.
        let newest = self.0.back().map_or(i64::MIN, |slice| slice.number);
        let current = now.millis().div_euclid(length).max(newest);
        while self.0.front().is_some_and(|slice| slice.number < current - i64::from(SLICES)) {
            self.0.pop_front();
        }
        let used: u32 = self.0.iter().map(|slice| slice.calls).sum();
        let until_over = |number| {
            let end = (number + i64::from(SLICES) + 1) * length;
            Duration::from_millis(u64::try_from(end - now.millis()).unwrap_or(0).max(1))
        };
        let decide = |remaining, reset, retry_after| {
            let window = Some(Window { remaining, reset: until_over(reset) });
            RateDecision { limit: limit.limit, window, retry_after }
        };
        if used >= limit.limit {
            let mut left = used;
            let makes_room = self.0.iter().find(|slice| {
                left -= slice.calls;
                left < limit.limit
            });
            return decide(0, newest, Some(until_over(makes_room.map_or(newest, |slice| slice.number))));
        }
        match self.0.back_mut() {
            Some(slice) if slice.number == current => slice.calls += 1,
            _ => self.0.push_back(Slice { number: current, calls: 1 }),
        }
        decide(limit.limit - used - 1, current, None)
    }

    /// True if all calls are outside of the window.
    pub fn is_expired(&self, now: Timestamp, window: Duration) -> bool {
        let current = now.millis().div_euclid(slice_millis(window));
        self.0.back().is_none_or(|slice| slice.number < current - i64::from(SLICES))
    }
}

/// Length of a slice, in milliseconds.
fn slice_millis(window: Duration) -> i64 {
    i64::try_from(window.as_millis().div_ceil(u128::from(SLICES))).unwrap_or(i64::MAX / 64).max(1)
}
