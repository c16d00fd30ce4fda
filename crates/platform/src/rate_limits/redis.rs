//! Counting of all instances together, in Redis. Each question is one script call, so it is atomic and one round trip; the time is
//! Redis's own, because the clocks of two instances differ.

use std::time::Duration;

use appcore::limit::{Limit, RateGroup, Strategy};
use deadpool_redis::redis::{Script, cmd};
use uuid::Uuid;

use super::{RateDecision, Subject, Window, slices::SLICES};
use crate::redis::Redis;

/// How long a limit may wait for Redis.
const PATIENCE: Duration = Duration::from_secs(1);
/// A call that is said to be under way longer than this belongs to an instance that died.
const LIFETIME: Duration = Duration::from_secs(120);

pub(super) struct RedisLimits {
    redis: Redis,
    fixed: Script,
    sliding: Script,
    bucket: Script,
    enter: Script,
}

impl RedisLimits {
    pub fn new(redis: Redis) -> Self {
        Self {
            redis,
            fixed: Script::new(include_str!("fixed.lua")),
            sliding: Script::new(include_str!("sliding.lua")),
            bucket: Script::new(include_str!("bucket.lua")),
            enter: Script::new(include_str!("enter.lua")),
        }
    }

    /// `None`: Redis is away.
    pub async fn take(
        &self,
        group: RateGroup,
        limit: Limit,
        subject: Subject,
    ) -> Option<(RateDecision, Option<ConcurrencySlot>)> {
        // What instances of an earlier version count under `limit` is made differently.
        let kind = if limit.strategy == Strategy::SlidingWindow { "slices" } else { "limit" };
        let key = format!("natter:{kind}:{}:{subject}", group.as_str());
        match self.redis.within(PATIENCE, self.ask(key, limit)).await {
            Ok(answer) => Some(answer),
            Err(error) => {
                tracing::debug!(error = format!("{error:#}"), "limits are counted by each instance for itself");
                None
            }
        }
    }

    async fn ask(&self, key: String, limit: Limit) -> anyhow::Result<(RateDecision, Option<ConcurrencySlot>)> {
        let mut connection = self.redis.connection().await?;
        let window = i64::try_from(limit.window.as_millis()).unwrap_or(i64::MAX);
        let script = match limit.strategy {
            Strategy::FixedWindow => &self.fixed,
            Strategy::SlidingWindow => &self.sliding,
            Strategy::TokenBucket => &self.bucket,
            Strategy::Concurrency => return self.enter(&mut connection, key, limit).await,
        };
        // Is it allowed; how many are left; milliseconds until all are there again; milliseconds that are worth waiting.
        let (allowed, remaining, reset, wait): (bool, u32, u64, u64) =
            script.key(key).arg(limit.limit).arg(window).arg(SLICES).invoke_async(&mut connection).await?;
        let verdict = RateDecision {
            limit: limit.limit,
            window: Some(Window { remaining, reset: Duration::from_millis(reset) }),
            retry_after: (!allowed).then(|| Duration::from_millis(wait.max(1))),
        };
        Ok((verdict, None))
    }

    async fn enter(
        &self,
        connection: &mut deadpool_redis::Connection,
        key: String,
        limit: Limit,
    ) -> anyhow::Result<(RateDecision, Option<ConcurrencySlot>)> {
        let id = Uuid::now_v7().simple().to_string();
        let lifetime = i64::try_from(LIFETIME.as_millis()).unwrap_or(i64::MAX);
        let allowed: bool =
            self.enter.key(&key).arg(limit.limit).arg(&id).arg(lifetime).invoke_async(connection).await?;
        let retry_after = (!allowed).then_some(Duration::from_secs(1));
        let place = allowed.then(|| ConcurrencySlot { redis: self.redis.clone(), key, id });
        Ok((RateDecision { limit: limit.limit, window: None, retry_after }, place))
    }
}

/// A call that is under way.
pub(super) struct ConcurrencySlot {
    redis: Redis,
    key: String,
    id: String,
}

impl Drop for ConcurrencySlot {
    fn drop(&mut self) {
        // Without a runtime the program ends, and the entry with its lifetime.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let (redis, key, id) = (self.redis.clone(), std::mem::take(&mut self.key), std::mem::take(&mut self.id));
        runtime.spawn(async move {
            let leaving = async {
                let mut connection = redis.connection().await?;
                Ok(cmd("ZREM").arg(key).arg(id).query_async::<()>(&mut connection).await?)
            };
            if let Err(error) = redis.within(PATIENCE, leaving).await {
                tracing::debug!(%error, "the end of a call could not be counted");
            }
        });
    }
}
