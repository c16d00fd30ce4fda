//! One suite for counting in memory and in Redis. The one in Redis runs where `NATTER_TEST_REDIS` names a server.

use std::time::Duration;

use appcore::{
    Clock, Timestamp, UserId,
    config::{Config, RateLimit},
    limit::{RateGroup, Strategy},
};

use super::{ConcurrencyPermit, Limits, RateDecision, Subject, sliding, until_room};
use crate::redis::Redis;

const DAY: u64 = 86_400;

/// Everything is limited alike.
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
    appcore::config::load_from(None, variables.into_iter().map(|(key, value)| (key.into(), value.into())))
        .unwrap()
        .config
}

fn redis() -> Option<Redis> {
    if let Ok(url) = std::env::var("NATTER_TEST_REDIS") {
        let pool = deadpool_redis::Config::from_url(url).create_pool(Some(deadpool_redis::Runtime::Tokio1)).unwrap();
        return Some(Redis::new(pool));
    }
    assert!(std::env::var_os("NATTER_TEST_REQUIRE_SERVICES").is_none(), "NATTER_TEST_REDIS names no server");
    None
}

/// In memory, and where there is a Redis two instances that share it.
fn each(strategy: &str, limit: u32, window: u64) -> Vec<Vec<Limits>> {
    let config = config(strategy, limit, window);
    let mut each = vec![vec![Limits::new(&config, Clock::system(), None)]];
    if let Some(pool) = redis() {
        each.push((0..2).map(|_| Limits::new(&config, Clock::system(), Some(pool.clone()))).collect());
    }
    each
}

async fn take(limits: &Limits, subject: Subject) -> (RateDecision, Option<ConcurrencyPermit>) {
    limits.take(RateGroup::Write, subject).await.unwrap()
}

/// Somebody whom nobody has counted yet.
fn somebody() -> Subject {
    Subject::User(UserId::new())
}

#[tokio::test]
async fn racing_calls_are_counted_exactly() {
    for strategy in ["fixed_window", "sliding_window", "token_bucket", "concurrency"] {
        for instances in each(strategy, 7, DAY) {
            let subject = somebody();
            let racing = (0..60).map(|n| take(&instances[n % instances.len()], subject));
            let taken = futures_util::future::join_all(racing).await;
            let allowed = taken.iter().filter(|(verdict, _)| verdict.check().is_ok()).count();
            assert_eq!(allowed, 7, "{strategy}, {} instances", instances.len());
            let (other, _lease) = take(&instances[0], somebody()).await;
            assert!(other.check().is_ok(), "somebody else is not counted");
        }
    }
}

#[tokio::test]
async fn what_is_left_is_told() {
    for strategy in ["fixed_window", "sliding_window", "token_bucket"] {
        for instances in each(strategy, 3, DAY) {
            let subject = somebody();
            let mut told = Vec::new();
            for n in 0..4 {
                let (verdict, _) = take(&instances[n % instances.len()], subject).await;
                let window = verdict.window.unwrap();
                assert!(window.reset <= Duration::from_secs(DAY) && window.reset > Duration::ZERO, "{verdict:?}");
                told.push((window.remaining, verdict.retry_after.is_some()));
            }
            assert_eq!(told, [(2, false), (1, false), (0, false), (0, true)], "{strategy}");
        }
    }
}

#[tokio::test]
async fn a_bucket_is_refilled_evenly() {
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
async fn a_call_that_is_over_makes_room() {
    for instances in each("concurrency", 1, 1) {
        let subject = somebody();
        let (first, lease) = take(&instances[0], subject).await;
        assert!(first.check().is_ok());
        assert!(take(&instances[instances.len() - 1], subject).await.0.check().is_err());
        drop(lease);
        let deadline = tokio::time::Instant::now() + Duration::from_secs(5);
        while take(&instances[0], subject).await.0.check().is_err() {
            assert!(tokio::time::Instant::now() < deadline, "the place stays taken");
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test]
async fn windows_end() {
    let clock = Clock::stopped_at(Timestamp(0));
    for (strategy, after_half, after_one) in [("fixed_window", true, true), ("sliding_window", true, false)] {
        let limits = Limits::new(&config(strategy, 2, 10), clock.clone(), None);
        let subject = somebody();
        let allowed = async || take(&limits, subject).await.0.check().is_ok();
        let start = clock.now();
        assert!(allowed().await && allowed().await && !allowed().await);
        clock.advance(Duration::from_secs(10));
        assert_eq!(allowed().await, after_one, "{strategy}: what was a moment ago");
        clock.advance(Duration::from_secs(5));
        assert_eq!(allowed().await, after_half, "{strategy}: half of it is out of the window");
        let now = clock.now().millis() - start.millis();
        clock.advance(Duration::from_millis(u64::try_from(20_000 - now % 20_000).unwrap()));
    }
}

#[tokio::test]
async fn the_wait_that_is_told_is_long_enough() {
    let limit = appcore::limit::Limit { strategy: Strategy::SlidingWindow, limit: 10, window: Duration::from_secs(60) };
    for (before, now, elapsed) in [(10, 0, 0), (10, 5, 10), (3, 10, 30), (0, 10, 59), (10, 10, 1), (100, 0, 0)] {
        let elapsed = Duration::from_secs(elapsed);
        let then = elapsed + until_room(before, now, elapsed, limit);
        let used = if then < limit.window {
            sliding(before, now, then, limit.window)
        } else {
            sliding(now, 0, then - limit.window, limit.window)
        };
        assert!(used <= 9.001, "{before} {now} {elapsed:?}: {used}");
    }
}

#[tokio::test]
async fn without_redis_every_instance_counts_for_itself() {
    let nowhere = deadpool_redis::Config::from_url("redis://127.0.0.1:1")
        .create_pool(Some(deadpool_redis::Runtime::Tokio1))
        .unwrap();
    let limits = Limits::new(&config("fixed_window", 2, DAY), Clock::system(), Some(Redis::new(nowhere)));
    let subject = somebody();
    let mut allowed = 0;
    for _ in 0..5 {
        allowed += usize::from(take(&limits, subject).await.0.check().is_ok());
    }
    assert_eq!(allowed, 2);
}

#[tokio::test]
async fn one_network_of_ipv6_is_one_caller() {
    let limits = Limits::new(&config("fixed_window", 1, DAY), Clock::system(), None);
    let from = |address: &str| Subject::Address(address.parse().unwrap());
    assert!(take(&limits, from("2001:db8:0:1::1")).await.0.check().is_ok());
    assert!(take(&limits, from("2001:db8:0:1::2")).await.0.check().is_err());
    assert!(take(&limits, from("2001:db8:0:2::1")).await.0.check().is_ok());
}
