//! Limits of API keys at the gateway: requests and tokens per minute, and concurrent requests.
//!
//! A key's minute starts with its first request. With Redis one script call decides for all
//! instances; without it, and while it is unavailable, each instance counts on its own. A request
//! first counts with its estimated number of tokens, which is corrected when it ends.

use std::{
    collections::HashMap,
    sync::{Arc, Weak},
    time::Duration,
};

use appcore::ApiKeyId;
use dashmap::DashMap;
use deadpool_redis::redis::{Script, cmd};
use futures_util::{StreamExt as _, TryStreamExt as _, future::ready, stream};
use tokio::{runtime::Handle, time::Instant};
use uuid::Uuid;

use crate::redis::Redis;

const MINUTE: Duration = Duration::from_secs(60);
/// Timeout of a limit check in Redis.
const REDIS_TIMEOUT: Duration = Duration::from_secs(1);
/// Time for which a request in progress is counted without a renewal. Then its instance is
/// considered dead.
const SLOT_TTL: Duration = Duration::from_secs(90);
const RENEW_INTERVAL: Duration = Duration::from_secs(30);
/// Number of keys whose requests are renewed concurrently.
const MAX_CONCURRENT_RENEWALS: usize = 16;
/// Suggested delay before a retry if too many requests are in progress.
const PARALLEL_RETRY_AFTER: Duration = Duration::from_secs(1);

/// Limits of a key. `None`: unlimited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeyLimit {
    pub rpm: Option<u32>,
    pub tpm: Option<u32>,
    pub parallel: Option<u32>,
}

impl KeyLimit {
    fn is_none(self) -> bool {
        self == Self::default()
    }
}

/// Value and remaining capacity of a limit, for the `x-ratelimit-*` headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitState {
    pub limit: u32,
    pub remaining: u32,
    pub reset: Duration,
}

/// Limits and remaining capacity in a key's current minute; `None` for a measure without a limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeyLimitStates {
    pub requests: Option<LimitState>,
    pub tokens: Option<LimitState>,
}

/// Measure that a key's limit applies to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyMeasure {
    Requests,
    Tokens,
    Parallel,
}

/// Limit that a refused request would exceed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exceeded {
    pub measure: KeyMeasure,
    pub retry_after: Duration,
    pub figures: KeyLimitStates,
}

/// Admission of a request.
#[must_use]
pub struct KeyAdmission {
    pub figures: KeyLimitStates,
    /// Number of tokens that the request was counted with.
    pub tokens: u32,
    pub slot: Option<KeySlot>,
}

/// Usage of a key in its current minute.
#[derive(Clone, Copy)]
struct Minute {
    started_at: Instant,
    requests: u32,
    tokens: u32,
    in_progress: u32,
}

/// Counters of all keys. Cheap to clone.
#[derive(Clone)]
pub struct KeyLimits(Arc<State>);

struct State {
    local: DashMap<ApiKeyId, Minute>,
    shared: Option<Shared>,
}

struct Shared {
    redis: Redis,
    admit_script: Script,
    renew: Script,
    tokens: Script,
    /// Requests of this instance in progress that are counted in Redis.
    in_progress: DashMap<Uuid, ApiKeyId>,
}

impl KeyLimits {
    #[must_use]
    pub fn start(redis: Option<Redis>) -> Self {
        let shared = redis.map(|redis| Shared {
            redis,
            admit_script: Script::new(include_str!("key.lua")),
            renew: Script::new(include_str!("key_renew.lua")),
            tokens: Script::new(include_str!("key_tokens.lua")),
            in_progress: DashMap::new(),
        });
        let state = Arc::new(State { local: DashMap::new(), shared });
        tokio::spawn(maintain(Arc::downgrade(&state)));
        Self(state)
    }

    /// Counts a request with an estimate of `tokens` tokens. Returns [`Exceeded`] if a limit is
    /// reached.
    pub async fn admit(&self, key: ApiKeyId, limit: KeyLimit, tokens: u64) -> Result<KeyAdmission, Exceeded> {
        let tokens = u32::try_from(tokens).unwrap_or(u32::MAX);
        if limit.is_none() {
            return Ok(KeyAdmission { figures: KeyLimitStates::default(), tokens: 0, slot: None });
        }
        // The estimate is capped at the limit, so that a request larger than the limit is admitted
        // as the only one of its minute.
        let tokens = limit.tpm.map_or(0, |most| tokens.min(most));
        if let Some(shared) = &self.0.shared {
            match shared.admit(key, limit, tokens).await {
                Ok(answer) => return answer.map(|figures| self.admission(figures, tokens, key, limit)),
                Err(error) => {
                    tracing::debug!(
                        error = format!("{error:#}"),
                        "redis unavailable, counting key limits per instance"
                    );
                }
            }
        }
        self.admit_locally(key, limit, tokens)
    }

    fn admission(
        &self,
        (figures, id): (KeyLimitStates, Uuid),
        tokens: u32,
        key: ApiKeyId,
        limit: KeyLimit,
    ) -> KeyAdmission {
        let slot = limit.parallel.map(|_| KeySlot { state: Arc::clone(&self.0), key, shared: Some(id) });
        if slot.is_some()
            && let Some(shared) = &self.0.shared
        {
            shared.in_progress.insert(id, key);
        }
        KeyAdmission { figures, tokens, slot }
    }

    fn admit_locally(&self, key: ApiKeyId, limit: KeyLimit, tokens: u32) -> Result<KeyAdmission, Exceeded> {
        let now = Instant::now();
        let mut minute =
            self.0.local.entry(key).or_insert(Minute { started_at: now, requests: 0, tokens: 0, in_progress: 0 });
        if now.duration_since(minute.started_at) >= MINUTE {
            *minute = Minute { started_at: now, requests: 0, tokens: 0, in_progress: minute.in_progress };
        }
        let left = MINUTE.saturating_sub(now.duration_since(minute.started_at));
        let figures = |minute: &Minute| KeyLimitStates::new(limit, minute.requests, minute.tokens, left);
        let refused = |measure, retry_after| Exceeded { measure, retry_after, figures: figures(&minute) };
        if limit.rpm.is_some_and(|most| minute.requests >= most) {
            return Err(refused(KeyMeasure::Requests, left));
        }
        if limit.tpm.is_some_and(|most| minute.tokens > 0 && minute.tokens.saturating_add(tokens) > most) {
            return Err(refused(KeyMeasure::Tokens, left));
        }
        if limit.parallel.is_some_and(|most| minute.in_progress >= most) {
            return Err(refused(KeyMeasure::Parallel, PARALLEL_RETRY_AFTER));
        }
        minute.requests += 1;
        minute.tokens = minute.tokens.saturating_add(tokens);
        let slot = limit.parallel.map(|_| {
            minute.in_progress += 1;
            KeySlot { state: Arc::clone(&self.0), key, shared: None }
        });
        Ok(KeyAdmission { figures: figures(&minute), tokens, slot })
    }

    /// Replaces the estimated number of tokens of an ended request (`counted`) by the number
    /// actually used.
    pub fn adjust_tokens(&self, key: ApiKeyId, limit: KeyLimit, counted: u32, used: u64) {
        let used = u32::try_from(used).unwrap_or(u32::MAX);
        if limit.tpm.is_none() || counted == used {
            return;
        }
        if let Some(mut minute) = self.0.local.get_mut(&key) {
            minute.tokens = minute.tokens.saturating_sub(counted).saturating_add(used);
        }
        let state = Arc::clone(&self.0);
        if state.shared.is_some()
            && let Ok(runtime) = Handle::try_current()
        {
            runtime.spawn(async move {
                if let Some(shared) = &state.shared {
                    shared.adjust_tokens(key, i64::from(used) - i64::from(counted)).await;
                }
            });
        }
    }
}

impl KeyLimitStates {
    fn new(limit: KeyLimit, requests: u32, tokens: u32, reset: Duration) -> Self {
        let figure = |limit: Option<u32>, used: u32| {
            limit.map(|limit| LimitState { limit, remaining: limit.saturating_sub(used), reset })
        };
        Self { requests: figure(limit.rpm, requests), tokens: figure(limit.tpm, tokens) }
    }
}

/// Key of the counters in Redis. The braces put both keys of an API key into the same hash slot of
/// a Redis cluster.
fn minute_key(key: ApiKeyId) -> String {
    format!("natter:key:{{{key}}}")
}

fn slots_key(key: ApiKeyId) -> String {
    format!("natter:key:{{{key}}}:under_way")
}

fn lifetime() -> i64 {
    i64::try_from(SLOT_TTL.as_millis()).unwrap_or(i64::MAX)
}

impl Shared {
    async fn admit(
        &self,
        key: ApiKeyId,
        limit: KeyLimit,
        tokens: u32,
    ) -> anyhow::Result<Result<(KeyLimitStates, Uuid), Exceeded>> {
        let id = Uuid::now_v7();
        let asking = async {
            let mut connection = self.redis.connection().await?;
            let answer: (u8, u32, u32, u64) = self
                .admit_script
                .key(minute_key(key))
                .key(slots_key(key))
                .arg(limit.rpm.unwrap_or(0))
                .arg(limit.tpm.unwrap_or(0))
                .arg(limit.parallel.unwrap_or(0))
                .arg(tokens)
                .arg(id.simple().to_string())
                .arg(lifetime())
                .invoke_async(&mut connection)
                .await?;
            Ok(answer)
        };
        let (refusal, requests, tokens, left) = self.redis.execute(REDIS_TIMEOUT, asking).await?;
        let left = Duration::from_millis(left);
        let figures = KeyLimitStates::new(limit, requests, tokens, left);
        let refused = |measure, retry_after| Ok(Err(Exceeded { measure, retry_after, figures }));
        match refusal {
            0 => Ok(Ok((figures, id))),
            1 => refused(KeyMeasure::Requests, left),
            2 => refused(KeyMeasure::Tokens, left),
            _ => refused(KeyMeasure::Parallel, PARALLEL_RETRY_AFTER),
        }
    }

    async fn adjust_tokens(&self, key: ApiKeyId, tokens: i64) {
        let correcting = async {
            let mut connection = self.redis.connection().await?;
            Ok(self.tokens.key(minute_key(key)).arg(tokens).invoke_async::<()>(&mut connection).await?)
        };
        if let Err(error) = self.redis.execute(REDIS_TIMEOUT, correcting).await {
            tracing::debug!(error = format!("{error:#}"), "failed to correct the tokens of a request");
        }
    }

    /// Renews the requests in progress with one call to Redis per API key, so that all of them are
    /// renewed well before they expire.
    async fn renew(&self) {
        // The ids are copied first, so that no lock is held during the calls to Redis.
        let mut under_way: HashMap<ApiKeyId, Vec<String>> = HashMap::new();
        for entry in &self.in_progress {
            under_way.entry(*entry.value()).or_default().push(entry.key().simple().to_string());
        }
        let renewing = under_way.into_iter().map(|(key, ids)| self.renew_key(key, ids));
        let renewed =
            stream::iter(renewing).buffer_unordered(MAX_CONCURRENT_RENEWALS).try_for_each(|()| ready(Ok(()))).await;
        if let Err(error) = renewed {
            tracing::debug!(error = format!("{error:#}"), "failed to renew requests in progress");
        }
    }

    async fn renew_key(&self, key: ApiKeyId, ids: Vec<String>) -> anyhow::Result<()> {
        let renewing = async {
            let mut connection = self.redis.connection().await?;
            let mut renewal = self.renew.key(slots_key(key));
            renewal.arg(lifetime()).arg(ids);
            Ok(renewal.invoke_async::<()>(&mut connection).await?)
        };
        self.redis.execute(REDIS_TIMEOUT, renewing).await
    }
}

/// Removes expired minutes and renews requests in progress, until all clones of the limits are
/// dropped.
async fn maintain(state: Weak<State>) {
    let mut tick = tokio::time::interval(RENEW_INTERVAL);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let Some(state) = state.upgrade() else { return };
        state.local.retain(|_, minute| minute.in_progress > 0 || minute.started_at.elapsed() < MINUTE);
        if let Some(shared) = &state.shared {
            shared.renew().await;
        }
    }
}

/// Concurrency slot of a request in progress, released on drop.
#[must_use]
pub struct KeySlot {
    state: Arc<State>,
    key: ApiKeyId,
    /// Id of the request in Redis; `None` if it is counted in this process.
    shared: Option<Uuid>,
}

impl Drop for KeySlot {
    fn drop(&mut self) {
        let Some(id) = self.shared else {
            if let Some(mut minute) = self.state.local.get_mut(&self.key) {
                minute.in_progress = minute.in_progress.saturating_sub(1);
            }
            return;
        };
        let (state, key) = (Arc::clone(&self.state), self.key);
        let Some(shared) = &state.shared else { return };
        shared.in_progress.remove(&id);
        // Without a runtime the process is exiting. The entry in Redis then expires.
        let Ok(runtime) = Handle::try_current() else { return };
        let redis = shared.redis.clone();
        runtime.spawn(async move {
            let leaving = async {
                let mut connection = redis.connection().await?;
                let leave = cmd("ZREM").arg(slots_key(key)).arg(id.simple().to_string()).to_owned();
                Ok(leave.query_async::<()>(&mut connection).await?)
            };
            if let Err(error) = redis.execute(REDIS_TIMEOUT, leaving).await {
                tracing::debug!(error = format!("{error:#}"), "failed to release concurrency slot");
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NO_LIMIT: KeyLimit = KeyLimit { rpm: None, tpm: None, parallel: None };

    #[tokio::test(start_paused = true)]
    async fn minute_starts_with_the_first_request_and_is_limited() {
        let (limits, key) = (KeyLimits::start(None), ApiKeyId::new());
        let limit = KeyLimit { rpm: Some(2), ..NO_LIMIT };
        for remaining in [1, 0] {
            let taken = limits.admit(key, limit, 10).await.ok().unwrap();
            assert_eq!(taken.figures.requests.unwrap().remaining, remaining);
        }
        tokio::time::advance(Duration::from_secs(59)).await;
        let refused = limits.admit(key, limit, 10).await.err().unwrap();
        assert_eq!((refused.measure, refused.retry_after), (KeyMeasure::Requests, Duration::from_secs(1)));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(limits.admit(key, limit, 10).await.is_ok());
        assert!(limits.admit(ApiKeyId::new(), limit, 10).await.is_ok(), "other keys are counted separately");
    }

    #[tokio::test(start_paused = true)]
    async fn tokens_are_estimated_first_and_corrected_later() {
        let (limits, key) = (KeyLimits::start(None), ApiKeyId::new());
        let limit = KeyLimit { tpm: Some(100), ..NO_LIMIT };
        let first = limits.admit(key, limit, 5_000).await.ok().unwrap();
        assert_eq!(first.tokens, 100, "a request that is larger than the limit is admitted alone");
        assert_eq!(limits.admit(key, limit, 1).await.err().unwrap().measure, KeyMeasure::Tokens);
        limits.adjust_tokens(key, limit, first.tokens, 30);
        let second = limits.admit(key, limit, 70).await.ok().unwrap();
        assert_eq!(second.figures.tokens.unwrap().remaining, 0);
    }

    #[tokio::test]
    async fn dropping_a_slot_releases_it() {
        let (limits, key) = (KeyLimits::start(None), ApiKeyId::new());
        let limit = KeyLimit { parallel: Some(1), ..NO_LIMIT };
        let first = limits.admit(key, limit, 1).await.ok().unwrap();
        assert_eq!(limits.admit(key, limit, 1).await.err().unwrap().measure, KeyMeasure::Parallel);
        drop(first);
        assert!(limits.admit(key, limit, 1).await.is_ok());
    }

    #[tokio::test]
    async fn renews_all_requests_in_progress() {
        let Some(redis) = stage::redis_pool().map(Redis::new) else { return };
        let limits = KeyLimits::start(Some(redis.clone()));
        let (one, other) = (ApiKeyId::new(), ApiKeyId::new());
        let limit = KeyLimit { parallel: Some(5), ..NO_LIMIT };
        let mut taken = Vec::new();
        for key in [one, one, other] {
            taken.push(limits.admit(key, limit, 1).await.ok().unwrap());
        }
        // Adds the entry of a request that has ended in the meantime and is gone from Redis.
        let shared = limits.0.shared.as_ref().unwrap();
        shared.in_progress.insert(Uuid::now_v7(), one);
        let mut connection = redis.connection().await.unwrap();
        for key in [one, other] {
            let all = cmd("ZRANGE").arg(slots_key(key)).arg(0).arg(-1).to_owned();
            let ids: Vec<String> = all.query_async(&mut connection).await.unwrap();
            for id in ids {
                let ended = cmd("ZADD").arg(slots_key(key)).arg(1).arg(id).to_owned();
                ended.query_async::<()>(&mut connection).await.unwrap();
            }
        }
        shared.renew().await;
        for (key, record_refusal) in [(one, 2), (other, 1)] {
            let renewed = cmd("ZCOUNT").arg(slots_key(key)).arg(2).arg("+inf").to_owned();
            assert_eq!(renewed.query_async::<i64>(&mut connection).await.unwrap(), record_refusal);
        }
        drop(taken);
    }
}
