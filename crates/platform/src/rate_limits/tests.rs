//! Test suite of both backends. The Redis tests run if `NATTER_TEST_REDIS` names a server.

use std::time::Duration;

use appcore::{
    Clock, Timestamp, UserId,
    config::{Config, RateLimit},
    limit::{Limit, RateGroup, Strategy},
};

use super::{ConcurrencyPermit, LimitSubject, RateDecision, RateLimits, redis::RedisLimits, slices::SlidingWindow};
use crate::redis::Redis;

const DAY: u64 = 86_400;

/// Configuration with the same limit for all groups.
fn config(strategy: &str, limit: u32, window: u64) -> RateLimit {
    let mut variables = Vec::new();
    for group in RateGroup::ALL {
        let key = format!("NATTER__RATE_LIMIT__{}", group.as_str().to_uppercase());
        variables.push((format!("{key}__STRATEGY"), strategy.to_owned()));
        variables.push((format!("{key}__LIMIT"), limit.to_string()));
        variables.push((format!("{key}__WINDOW"), window.to_string()));
    }
    configured(variables).rate_limit
}

fn configured(variables: Vec<(String, String)>) -> Config {
    appcore::config::load_core(None, variables.into_iter().map(|(key, value)| (key.into(), value.into())))
        .unwrap()
        .config
}

/// Limiters to test: one in memory and, if a Redis server is available, two instances that share
/// it.
fn each(strategy: &str, limit: u32, window: u64) -> Vec<Vec<RateLimits>> {
    let config = config(strategy, limit, window);
    let mut each = vec![vec![RateLimits::new(&config, Clock::system(), None)]];
    if let Some(redis) = stage::redis_pool().map(Redis::new) {
        each.push((0..2).map(|_| RateLimits::new(&config, Clock::system(), Some(redis.clone()))).collect());
    }
    each
}

async fn take(limits: &RateLimits, subject: LimitSubject) -> (RateDecision, Option<ConcurrencyPermit>) {
    limits.admit(RateGroup::Write, subject).await.unwrap()
}

/// A subject that is unique to the test.
fn somebody() -> LimitSubject {
    LimitSubject::User(UserId::new())
}

#[tokio::test]
async fn concurrent_calls_are_counted_exactly() {
    for strategy in ["fixed_window", "sliding_window", "token_bucket", "concurrency"] {
        for instances in each(strategy, 7, DAY) {
            let subject = somebody();
            let racing = (0..60).map(|n| take(&instances[n % instances.len()], subject));
            let taken = futures_util::future::join_all(racing).await;
            let allowed = taken.iter().filter(|(verdict, _)| verdict.check().is_ok()).count();
            assert_eq!(allowed, 7, "{strategy}, {} instances", instances.len());
            let (other, _lease) = take(&instances[0], somebody()).await;
            assert!(other.check().is_ok(), "other subjects are counted separately");
        }
    }
}

#[tokio::test]
async fn reports_the_remaining_calls() {
    for strategy in ["fixed_window", "sliding_window", "token_bucket"] {
        for instances in each(strategy, 3, DAY) {
            let subject = somebody();
            let mut told = Vec::new();
            for n in 0..4 {
                let (verdict, _) = take(&instances[n % instances.len()], subject).await;
                let window = verdict.window.unwrap();
                // A sliding window may count a call for one slice too long.
                assert!(
                    window.reset <= Duration::from_secs(DAY + DAY / 32) && window.reset > Duration::ZERO,
                    "{verdict:?}"
                );
                told.push((window.remaining, verdict.retry_after.is_some()));
            }
            assert_eq!(told, [(2, false), (1, false), (0, false), (0, true)], "{strategy}");
        }
    }
}

#[tokio::test]
async fn buckets_are_refilled_evenly() {
    for instances in each("token_bucket", 4, DAY) {
        let subject = somebody();
        for _ in 0..4 {
            assert!(take(&instances[0], subject).await.0.check().is_ok());
        }
        let wait = take(&instances[0], subject).await.0.retry_after.unwrap().as_secs_f64();
        assert!((DAY as f64 / 4.0 - wait).abs() < 60.0, "{wait}");
    }
}

#[tokio::test]
async fn finished_calls_release_their_slot() {
    for instances in each("concurrency", 1, 1) {
        let subject = somebody();
        let (first, lease) = take(&instances[0], subject).await;
        assert!(first.check().is_ok());
        assert!(take(&instances[instances.len() - 1], subject).await.0.check().is_err());
        drop(lease);
        let deadline = tokio::time::Instant::now() + Duration::from_secs(5);
        while take(&instances[0], subject).await.0.check().is_err() {
            assert!(tokio::time::Instant::now() < deadline, "the slot was not released");
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test]
async fn windows_expire() {
    let clock = Clock::stopped_at(Timestamp(0));
    for (strategy, after_one) in [("fixed_window", true), ("sliding_window", false)] {
        let limits = RateLimits::new(&config(strategy, 2, 32), clock.clone(), None);
        let subject = somebody();
        let allowed = async || take(&limits, subject).await.0.check().is_ok();
        let start = clock.now();
        assert!(allowed().await && allowed().await && !allowed().await);
        clock.advance(Duration::from_secs(32));
        assert_eq!(allowed().await, after_one, "{strategy}: a slice counts until all of it is outside of the window");
        clock.advance(Duration::from_secs(1));
        assert!(allowed().await, "{strategy}");
        let now = clock.now().millis() - start.millis();
        clock.advance(Duration::from_millis(u64::try_from(128_000 - now % 128_000).unwrap()));
    }
}

/// Deterministic pseudo-random numbers.
struct Dice(u64);

impl Dice {
    fn below(&mut self, most: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % most
    }
}

/// Maximum number of the ascending `moments` in any interval of this length.
fn fullest(moments: &[u64], length: u64) -> usize {
    let from = |first: usize| moments[first..].iter().take_while(|moment| **moment < moments[first] + length).count();
    (0..moments.len()).map(from).max().unwrap_or_default()
}

#[test]
fn sliding_windows_never_exceed_the_limit() {
    for seed in 1..=300 {
        let mut dice = Dice(u64::wrapping_mul(seed, 0x9E37_79B9_7F4A_7C15));
        let window = Duration::from_millis(64 + dice.below(90_000));
        let limit = Limit { strategy: Strategy::SlidingWindow, limit: 1 + dice.below(40) as u32, window };
        let millis = u64::try_from(window.as_millis()).unwrap();
        let (mut slices, mut now, mut allowed) = (SlidingWindow::default(), 1_700_000_000_000, Vec::new());
        for _ in 0..2_000 {
            // Mixes bursts, steady calls and pauses.
            now += match dice.below(10) {
                0..6 => 0,
                6..9 => dice.below(millis / 8 + 2),
                _ => dice.below(2 * millis + 2),
            };
            let decision = slices.admit(Timestamp(i64::try_from(now).unwrap()), limit);
            let Some(wait) = decision.retry_after else {
                allowed.push(now);
                continue;
            };
            // Some calls wait as long as the refusal suggests.
            if dice.below(5) == 0 {
                now += u64::try_from(wait.as_millis()).unwrap();
                assert!(slices.admit(Timestamp(i64::try_from(now).unwrap()), limit).check().is_ok(), "seed {seed}");
                allowed.push(now);
            }
        }
        let most = fullest(&allowed, millis);
        assert!(most <= limit.limit as usize, "seed {seed}: {most} of {}", limit.limit);
        assert!(slices.is_expired(Timestamp(i64::try_from(now + millis + millis / 16 + 64).unwrap()), window));
    }
}

#[test]
fn steady_callers_get_nearly_the_full_limit_of_a_sliding_window() {
    let limit = Limit { strategy: Strategy::SlidingWindow, limit: 120, window: Duration::from_secs(60) };
    let mut slices = SlidingWindow::default();
    let allowed = (0..6_000).filter(|n| slices.admit(Timestamp(n * 500), limit).check().is_ok()).count();
    assert!(allowed >= 5_700, "{allowed} of 6000 calls at the allowed rate");
}

#[tokio::test]
async fn sliding_windows_in_redis_never_exceed_the_limit() {
    let Some(redis) = stage::redis_pool().map(Redis::new) else { return };
    let window = Duration::from_millis(320);
    let limit = Limit { strategy: Strategy::SlidingWindow, limit: 20, window };
    let instances = [0, 1].map(|_| RedisLimits::new(redis.clone()));
    let (subject, begun, mut allowed) = (somebody(), tokio::time::Instant::now(), Vec::new());
    let mut turn = 0;
    // Redis decides at some time between the request and the response.
    while allowed.len() < 100 {
        let asked = begun.elapsed();
        let (decision, _) = instances[turn % 2].admit(RateGroup::Write, limit, subject).await.unwrap();
        if decision.check().is_ok() {
            allowed.push((asked, begun.elapsed()));
        }
        turn += 1;
    }
    for (first, (asked, _)) in allowed.iter().enumerate() {
        let surely_inside = allowed[first..].iter().filter(|(_, answered)| *answered < *asked + window).count();
        assert!(surely_inside <= 20, "{surely_inside} of 20");
    }
}

#[tokio::test]
async fn instances_count_separately_without_redis() {
    let redis = Redis::new(stage::unreachable_redis());
    let limits = RateLimits::new(&config("fixed_window", 2, DAY), Clock::system(), Some(redis));
    let subject = somebody();
    let mut allowed = 0;
    for _ in 0..5 {
        allowed += usize::from(take(&limits, subject).await.0.check().is_ok());
    }
    assert_eq!(allowed, 2);
}

#[tokio::test]
async fn ipv6_networks_count_as_one_caller() {
    let limits = RateLimits::new(&config("fixed_window", 1, DAY), Clock::system(), None);
    let from = |address: &str| LimitSubject::Address(address.parse().unwrap());
    assert!(take(&limits, from("2001:db8:0:1::1")).await.0.check().is_ok());
    assert!(take(&limits, from("2001:db8:0:1::2")).await.0.check().is_err());
    assert!(take(&limits, from("2001:db8:0:2::1")).await.0.check().is_ok());
}
