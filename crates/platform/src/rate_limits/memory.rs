//! In-process rate limits: for a single instance, and while Redis is unavailable.

use std::{
    collections::HashMap,
    num::NonZeroU32,
    sync::{Arc, Weak},
    time::Duration,
};

use appcore::{
    Clock, Timestamp,
    config::RateLimit,
    limit::{Limit, RateGroup, Strategy},
};
use dashmap::DashMap;
use governor::{
    Quota, RateLimiter,
    clock::{Clock as _, DefaultClock},
    middleware::StateInformationMiddleware,
    state::keyed::DashMapStateStore,
};

use super::{LimitSubject, RateDecision, Window, slices::SlidingWindow};

/// Interval of the removal of expired counters.
const CLEANUP_INTERVAL: Duration = Duration::from_secs(60);

type Key = (RateGroup, LimitSubject);
type Buckets = RateLimiter<LimitSubject, DashMapStateStore<LimitSubject>, DefaultClock, StateInformationMiddleware>;

pub(super) struct MemoryLimits {
    clock: Clock,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    counters: DashMap<Key, Counter>,
    sliding: DashMap<Key, SlidingWindow>,
    buckets: HashMap<RateGroup, Buckets>,
    in_progress: DashMap<Key, u32>,
    windows: HashMap<RateGroup, Duration>,
}

/// Number of calls in the latest window that had any.
#[derive(Clone, Copy, Default)]
struct Counter {
    window: u64,
    calls: u32,
}

impl MemoryLimits {
    pub fn new(config: &RateLimit, clock: Clock) -> Self {
        let mut state = State::default();
        for group in RateGroup::ALL {
            let limit = config.limit_for(group);
            state.windows.insert(group, limit.window);
            if limit.strategy == Strategy::TokenBucket
                && let Some(buckets) = buckets(limit)
            {
                state.buckets.insert(group, buckets);
            }
        }
        let state = Arc::new(state);
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(sweep(Arc::downgrade(&state), clock.clone()));
        }
        Self { clock, state }
    }

    pub fn admit(
        &self,
        group: RateGroup,
        limit: Limit,
        subject: LimitSubject,
    ) -> (RateDecision, Option<ConcurrencySlot>) {
        let key = (group, subject);
        match limit.strategy {
            Strategy::FixedWindow => (self.count_fixed_window(key, limit), None),
            Strategy::SlidingWindow => {
                (self.state.sliding.entry(key).or_default().admit(self.clock.now(), limit), None)
            }
            Strategy::TokenBucket => (self.draw_token(group, limit, subject), None),
            Strategy::Concurrency => self.acquire_slot(key, limit),
        }
    }

    fn count_fixed_window(&self, key: Key, limit: Limit) -> RateDecision {
        let (window, elapsed) = window_of(self.clock.now(), limit.window);
        let mut counter = self.state.counters.entry(key).or_default();
        if window > counter.window {
            *counter = Counter { window, calls: 0 };
        }
        let left = limit.window.saturating_sub(elapsed);
        let (remaining, retry_after) = if counter.calls >= limit.limit {
            (0, Some(left))
        } else {
            counter.calls += 1;
            (limit.limit - counter.calls, None)
        };
        RateDecision { limit: limit.limit, window: Some(Window { remaining, reset: left }), retry_after }
    }

    fn draw_token(&self, group: RateGroup, limit: Limit, subject: LimitSubject) -> RateDecision {
        let Some(buckets) = self.state.buckets.get(&group) else {
            return RateDecision { limit: limit.limit, window: None, retry_after: None };
        };
        let (remaining, retry_after) = match buckets.check_key(&subject) {
            Ok(snapshot) => (snapshot.remaining_burst_capacity(), None),
            Err(early) => (0, Some(early.wait_time_from(buckets.clock().now()))),
        };
        let reset = limit.window.mul_f64(f64::from(limit.limit - remaining.min(limit.limit)) / f64::from(limit.limit));
        RateDecision { limit: limit.limit, window: Some(Window { remaining, reset }), retry_after }
    }

    fn acquire_slot(&self, key: Key, limit: Limit) -> (RateDecision, Option<ConcurrencySlot>) {
        let mut under_way = self.state.in_progress.entry(key).or_default();
        if *under_way >= limit.limit {
            let retry_after = Some(Duration::from_secs(1));
            return (RateDecision { limit: limit.limit, window: None, retry_after }, None);
        }
        *under_way += 1;
        let place = ConcurrencySlot { state: Arc::clone(&self.state), key };
        (RateDecision { limit: limit.limit, window: None, retry_after: None }, Some(place))
    }
}

/// Number of the current window since 1970, and the time elapsed in it.
fn window_of(now: Timestamp, window: Duration) -> (u64, Duration) {
    let length = i64::try_from(window.as_millis()).unwrap_or(i64::MAX).max(1);
    let (number, elapsed) = (now.millis().div_euclid(length), now.millis().rem_euclid(length));
    let elapsed = Duration::from_millis(u64::try_from(elapsed).unwrap_or_default());
    (u64::try_from(number).unwrap_or_default(), elapsed)
}

fn buckets(limit: Limit) -> Option<Buckets> {
    let burst = NonZeroU32::new(limit.limit)?;
    let quota = Quota::with_period(limit.window / limit.limit)?.allow_burst(burst);
    Some(RateLimiter::dashmap(quota).with_middleware())
}

async fn sweep(state: Weak<State>, clock: Clock) {
    let mut tick = tokio::time::interval(CLEANUP_INTERVAL);
    loop {
        tick.tick().await;
        let Some(state) = state.upgrade() else { return };
        let now = clock.now();
        // Visits the counters of all callers, which takes long, so it runs on a blocking thread.
        let swept = tokio::task::spawn_blocking(move || {
            let window = |group: &RateGroup| state.windows.get(group).copied().unwrap_or_default();
            state.counters.retain(|(group, _), counter| counter.window >= window_of(now, window(group)).0);
            state.sliding.retain(|(group, _), slices| !slices.is_expired(now, window(group)));
            state.buckets.values().for_each(RateLimiter::retain_recent);
        });
        let _ = swept.await;
    }
}

/// Slot of a call in progress, released on drop.
pub(super) struct ConcurrencySlot {
    state: Arc<State>,
    key: Key,
}

impl Drop for ConcurrencySlot {
    fn drop(&mut self) {
        let left = self.state.in_progress.get_mut(&self.key).map(|mut under_way| {
            *under_way = under_way.saturating_sub(1);
            *under_way
        });
        if left == Some(0) {
            self.state.in_progress.remove_if(&self.key, |_, under_way| *under_way == 0);
        }
    }
}
