//! Test suite of both backends.

use std::{sync::Arc, time::Duration};

use appcore::{AppError, Clock, Code, Timestamp};
use futures_util::future::join_all;
use uuid::Uuid;

use super::{Throttle, ThrottleSubject};
use crate::redis::Redis;

const WINDOW: Duration = Duration::from_secs(900);

/// Pairs of instances that share counters. In memory, both are the same instance.
fn pairs() -> Vec<[Arc<Throttle>; 2]> {
    let instance = |redis| Arc::new(Throttle::new(true, Clock::system(), redis));
    let alone = instance(None);
    let mut pairs = vec![[Arc::clone(&alone), alone]];
    if let (Some(one), Some(other)) = (stage::redis_pool(), stage::redis_pool()) {
        pairs.push([one, other].map(|pool| instance(Some(Redis::new(pool)))));
    }
    pairs
}

/// Subject with a limit of five failures.
fn subject() -> ThrottleSubject {
    ThrottleSubject { name: format!("test:{}", Uuid::new_v4()), limit: 5 }
}

#[track_caller]
fn waits(refused: Result<super::Attempt, AppError>) -> Duration {
    let Err(refused) = refused else { panic!("the attempt was admitted") };
    assert_eq!(refused.code(), Code::TooManySignins);
    refused.retry_after().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_attempts_get_no_more_tries_than_sequential_ones() {
    for instances in pairs() {
        let name = subject();
        let guesses = (0..30).map(|at| {
            let (attempts, name) = (Arc::clone(&instances[at % 2]), name.clone());
            tokio::spawn(async move {
                let attempt = attempts.begin(vec![name], WINDOW).await.ok()?;
                tokio::task::yield_now().await;
                attempt.record_failure().await;
                Some(())
            })
        });
        let made = join_all(guesses).await.into_iter().filter(|guess| matches!(guess, Ok(Some(())))).count();
        assert_eq!(made, 5);
        let wait = waits(instances[0].begin(vec![name], WINDOW).await);
        assert!(wait > Duration::from_secs(800) && wait <= Duration::from_secs(900), "{wait:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn passed_and_dropped_attempts_do_not_count() {
    for [one, other] in pairs() {
        let name = subject();
        let crowd = (0..12).map(|at| {
            let (attempts, name) = (Arc::clone(if at % 2 == 0 { &one } else { &other }), name.clone());
            tokio::spawn(async move {
                let attempt = attempts.begin(vec![name], WINDOW).await.unwrap();
                if at % 3 == 0 { drop(attempt) } else { attempt.record_success().await }
            })
        });
        for turn in join_all(crowd).await {
            turn.unwrap();
        }
        for _ in 0..5 {
            other.begin(vec![name.clone()], WINDOW).await.unwrap().record_failure().await;
        }
        waits(one.begin(vec![name], WINDOW).await);
    }
}

#[tokio::test]
async fn any_exhausted_subject_refuses() {
    for [one, other] in pairs() {
        let (address, account, second) = (subject(), subject(), subject());
        for _ in 0..5 {
            one.begin(vec![address.clone(), account.clone()], WINDOW).await.unwrap().record_failure().await;
        }
        for spent in [&address, &account] {
            waits(other.begin(vec![second.clone(), spent.clone()], WINDOW).await);
        }
        other.begin(vec![second], WINDOW).await.unwrap().record_success().await;
    }
}

#[tokio::test]
async fn subjects_have_their_own_limits_and_recent_failures_are_reported() {
    for [one, other] in pairs() {
        let (pair, wide) = (subject(), ThrottleSubject { limit: 7, ..subject() });
        let both = || vec![pair.clone(), wide.clone()];
        let first = one.begin(both(), WINDOW).await.unwrap();
        assert!(!first.has_recent_failures());
        first.record_failure().await;
        for _ in 1..5 {
            let attempt = other.begin(both(), WINDOW).await.unwrap();
            assert!(attempt.has_recent_failures());
            attempt.record_failure().await;
        }
        waits(one.begin(both(), WINDOW).await);
        for _ in 5..7 {
            one.begin(vec![subject(), wide.clone()], WINDOW).await.unwrap().record_failure().await;
        }
        waits(other.begin(vec![subject(), wide.clone()], WINDOW).await);
        assert!(!one.begin(vec![subject()], WINDOW).await.unwrap().has_recent_failures());
    }
}

#[tokio::test]
async fn failures_expire_after_the_window() {
    let clock = Clock::stopped_at(Timestamp(1_800_000_000_000));
    let (attempts, a) = (Throttle::new(true, clock.clone(), None), subject());
    for _ in 0..5 {
        attempts.begin(vec![a.clone()], WINDOW).await.unwrap().record_failure().await;
        clock.advance(Duration::from_secs(60));
    }
    // The last failure was five minutes after the first one, and the window starts with the first.
    assert_eq!(waits(attempts.begin(vec![a.clone()], WINDOW).await), Duration::from_secs(600));
    clock.advance(Duration::from_secs(600));
    attempts.begin(vec![a.clone()], WINDOW).await.unwrap().record_success().await;
}
