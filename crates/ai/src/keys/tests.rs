use super::{
    lease::{FAILURE_COOLDOWN, FAILURES_BEFORE_COOLDOWN, LARGE_REQUEST_TOKENS},
    *,
};
use crate::AiError;

const MODEL: &str = "m";
const SMALL: u64 = 1_000;

fn pool(keys: &[&str]) -> Arc<KeyPool> {
    KeyPool::new(keys.iter().map(|&key| Secret::new(key)).collect(), None, Duration::from_secs(1))
}

fn lend(pool: &Arc<KeyPool>) -> KeyLease {
    pool.acquire(MODEL, SMALL, &[]).expect("a key")
}

fn busy(seconds: Option<u64>) -> AiError {
    AiError::Busy { retry_after: seconds.map(Duration::from_secs) }
}

fn name(lease: &KeyLease) -> &str {
    lease.key().map_or("none", Secret::expose)
}

#[tokio::test(start_paused = true)]
async fn lends_the_least_used_key() {
    let pool = pool(&["a", "b"]);
    let first = lend(&pool);
    let second = lend(&pool);
    assert_eq!((name(&first), name(&second)), ("a", "b"));
    drop(second);
    assert_eq!(name(&lend(&pool)), "b", "a is still busy");
}

#[tokio::test(start_paused = true)]
async fn cools_down_a_busy_key_for_its_model() {
    let pool = pool(&["a", "b"]);
    assert!(lend(&pool).record_failure(&busy(Some(30))));
    assert_eq!(name(&lend(&pool)), "b");
    assert_eq!(name(&pool.acquire("other", SMALL, &[]).expect("a key")), "a", "the cooldown applies to one model");
    lend(&pool).record_failure(&busy(Some(10)));
    assert_eq!(pool.acquire(MODEL, SMALL, &[]).err(), Some(NoKeyAvailable::CoolingDown(Duration::from_secs(10))));
    tokio::time::advance(Duration::from_secs(10)).await;
    assert_eq!(name(&lend(&pool)), "b");
}

#[tokio::test(start_paused = true)]
async fn ignores_failures_caused_by_the_request() {
    let (limited, told) = (|| busy(None), || busy(Some(3_600)));
    // Request size, failure, and whether a small and an equally large request are lent the key
    // right after.
    for (size, error, small, as_large) in [
        (SMALL, limited(), false, false),
        (SMALL, told(), false, false),
        (LARGE_REQUEST_TOKENS, limited(), false, false),
        (LARGE_REQUEST_TOKENS + 1, limited(), true, false),
        (400_000, limited(), true, false),
        (400_000, told(), true, false),
        (400_000, AiError::Quota, false, false),
        (400_000, AiError::TooLong, true, true),
        (400_000, AiError::Rejected, true, true),
        (400_000, AiError::Declined, true, true),
        (400_000, AiError::UnknownModel, true, true),
        (400_000, AiError::Barred, true, true),
        (400_000, AiError::WrongCountry, true, true),
        (400_000, AiError::Timeout, true, true),
        (400_000, AiError::Truncated, true, true),
    ] {
        let pool = pool(&["a"]);
        pool.acquire(MODEL, size, &[]).expect("a key").record_failure(&error);
        assert_eq!(pool.acquire(MODEL, SMALL, &[]).is_ok(), small, "small request after {size}: {error:?}");
        assert_eq!(pool.acquire(MODEL, size, &[]).is_ok(), as_large, "request of {size} after {error:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn cools_down_for_large_requests_until_a_small_one_is_refused() {
    let pool = pool(&["a"]);
    let is_lent = |size| pool.acquire(MODEL, size, &[]).is_ok();
    pool.acquire(MODEL, 400_000, &[]).expect("a key").record_failure(&busy(Some(20)));
    assert_eq!([SMALL, LARGE_REQUEST_TOKENS, 199_999, 200_000].map(is_lent), [true, true, true, false]);
    // The success of a small request says nothing about large ones.
    lend(&pool).record_success();
    assert!(!is_lent(400_000));
    let late = pool.acquire(MODEL, 150_000, &[]).expect("a key");
    lend(&pool).record_failure(&busy(Some(10)));
    assert_eq!([SMALL, 199_999, 400_000].map(is_lent), [false; 3]);
    // The failure of an earlier large request neither lifts nor extends the cooldown.
    late.record_failure(&busy(Some(3_000)));
    assert_eq!(pool.acquire(MODEL, SMALL, &[]).err(), Some(NoKeyAvailable::CoolingDown(Duration::from_secs(10))));
    tokio::time::advance(Duration::from_secs(10)).await;
    assert_eq!([SMALL, 400_000].map(is_lent), [true, true]);
}

#[tokio::test(start_paused = true)]
async fn retries_a_lone_key_early_with_backoff() {
    let pool = pool(&["a"]);
    for seconds in [30, 60, 120, 200, 200] {
        lend(&pool).record_failure(&busy(Some(200)));
        assert_eq!(
            pool.acquire(MODEL, SMALL, &[]).err(),
            Some(NoKeyAvailable::CoolingDown(Duration::from_secs(seconds)))
        );
        tokio::time::advance(Duration::from_secs(seconds)).await;
    }
    lend(&pool).record_success();
    // Concurrent requests are refused together.
    let together: Vec<KeyLease> = (0..9).map(|_| lend(&pool)).collect();
    together.iter().for_each(|lease| _ = lease.record_failure(&busy(Some(200))));
    assert_eq!(pool.acquire(MODEL, SMALL, &[]).err(), Some(NoKeyAvailable::CoolingDown(Duration::from_secs(30))));
    // The key cools down until its daily quota is renewed.
    let day = KeyPool::new(vec![Secret::new("a")], None, Duration::from_secs(1));
    lend(&day).record_failure(&busy(Some(20 * 3_600)));
    assert_eq!(
        day.acquire(MODEL, SMALL, &[]).err(),
        Some(NoKeyAvailable::CoolingDown(Duration::from_secs(20 * 3_600)))
    );
    // A key of the same project doesn't count as another key.
    let project = self::pool(&["work=aaaaaaaaaaaa1111", "work=aaaaaaaaaaaa2222"]);
    lend(&project).record_failure(&busy(Some(200)));
    assert_eq!(project.acquire(MODEL, SMALL, &[]).err(), Some(NoKeyAvailable::CoolingDown(Duration::from_secs(30))));
}

#[tokio::test(start_paused = true)]
async fn does_not_publish_cooldowns_for_large_requests() {
    let (here, there) = (pool(&["a"]), pool(&["a"]));
    let hearer = Arc::clone(&there);
    here.set_listener(move |key, model, fate| hearer.apply_state(key, model, fate));
    here.acquire(MODEL, 400_000, &[]).expect("a key").record_failure(&busy(Some(20)));
    there.acquire(MODEL, 400_000, &[]).expect("the cooldown is not published");
    lend(&here).record_failure(&busy(Some(20)));
    assert_eq!(there.acquire(MODEL, SMALL, &[]).err(), Some(NoKeyAvailable::CoolingDown(Duration::from_secs(20))));
}

#[tokio::test(start_paused = true)]
async fn cools_down_keys_of_one_project_together() {
    let pool = pool(&["work=aaaaaaaaaaaa1111", "work=aaaaaaaaaaaa2222", "other=aaaaaaaaaaaa3333"]);
    assert!(lend(&pool).record_failure(&busy(Some(30))));
    assert_eq!(name(&lend(&pool)), "aaaaaaaaaaaa3333");
    tokio::time::advance(Duration::from_secs(30)).await;
    assert_eq!(name(&lend(&pool)), "aaaaaaaaaaaa2222");
}

#[tokio::test(start_paused = true)]
async fn applies_state_changes_of_other_instances() {
    let (here, there) = (pool(&["a", "b"]), pool(&["a", "b"]));
    let hearer = Arc::clone(&there);
    here.set_listener(move |key, model, fate| hearer.apply_state(key, model, fate));
    lend(&here).record_failure(&busy(Some(30)));
    assert_eq!(name(&lend(&there)), "b");
    assert_eq!(name(&there.acquire("other", SMALL, &[]).expect("a key")), "a", "the cooldown applies to one model");
    here.acquire("other", SMALL, &[0]).expect("b").record_failure(&AiError::Credentials);
    assert_eq!(there.acquire(MODEL, SMALL, &[]).err(), Some(NoKeyAvailable::CoolingDown(Duration::from_secs(30))));
    tokio::time::advance(FIRST_PROBE_DELAY).await;
    here.acquire(MODEL, SMALL, &[0]).expect("a probe").record_success();
    assert_eq!(name(&there.acquire(MODEL, SMALL, &[0]).expect("b")), "b");
}

#[test]
fn parses_project_prefixes() {
    assert_eq!(split_project("work=AIza1"), (Some("work"), "AIza1"));
    for key in ["sk-1", "YWJj", "abc=", "abc==", "ABC=x"] {
        assert_eq!(split_project(key), (None, key));
    }
}

#[tokio::test(start_paused = true)]
async fn doubles_cooldowns_until_a_success() {
    let pool = pool(&["a"]);
    for seconds in [1, 2, 4] {
        lend(&pool).record_failure(&busy(None));
        assert_eq!(
            pool.acquire(MODEL, SMALL, &[]).err(),
            Some(NoKeyAvailable::CoolingDown(Duration::from_secs(seconds)))
        );
        tokio::time::advance(Duration::from_secs(seconds)).await;
    }
    lend(&pool).record_success();
    lend(&pool).record_failure(&busy(None));
    assert_eq!(pool.acquire(MODEL, SMALL, &[]).err(), Some(NoKeyAvailable::CoolingDown(Duration::from_secs(1))));
}

#[tokio::test(start_paused = true)]
async fn disables_rejected_keys_until_a_probe_succeeds() {
    let pool = pool(&["a", "b"]);
    lend(&pool).record_failure(&AiError::Credentials);
    assert_eq!(name(&lend(&pool)), "b");
    assert_eq!(name(&lend(&pool)), "b");
    tokio::time::advance(FIRST_PROBE_DELAY).await;
    let probe = lend(&pool);
    assert_eq!(name(&probe), "a");
    assert_eq!(name(&lend(&pool)), "b", "one probe at a time");
    probe.record_success();
    drop(probe);
    assert_eq!(name(&lend(&pool)), "a");
}

#[tokio::test(start_paused = true)]
async fn probes_with_each_request_if_all_keys_are_disabled() {
    let pool = pool(&["a"]);
    lend(&pool).record_failure(&AiError::Credentials);
    let probe = lend(&pool);
    assert_eq!(pool.acquire(MODEL, SMALL, &[]).err(), Some(NoKeyAvailable::Disabled));
    probe.record_success();
    drop(probe);
    lend(&pool);
}

#[tokio::test(start_paused = true)]
async fn cools_down_after_server_errors_only_with_other_keys() {
    let alone = pool(&["a"]);
    let two = pool(&["a", "b"]);
    for _ in 0..FAILURES_BEFORE_COOLDOWN {
        lend(&alone).record_failure(&AiError::Timeout);
        two.acquire(MODEL, SMALL, &[1]).expect("a").record_failure(&AiError::Timeout);
    }
    lend(&alone);
    assert_eq!(two.acquire(MODEL, SMALL, &[1]).err(), Some(NoKeyAvailable::CoolingDown(FAILURE_COOLDOWN)));
    assert_eq!(name(&lend(&two)), "b");
}

#[tokio::test(start_paused = true)]
async fn enforces_the_per_minute_limit() {
    let pool = KeyPool::new(Vec::new(), Some(2), Duration::from_secs(1));
    lend(&pool);
    tokio::time::advance(Duration::from_secs(20)).await;
    lend(&pool);
    assert_eq!(pool.acquire(MODEL, SMALL, &[]).err(), Some(NoKeyAvailable::CoolingDown(Duration::from_secs(40))));
    tokio::time::advance(Duration::from_secs(40)).await;
    lend(&pool);
}
