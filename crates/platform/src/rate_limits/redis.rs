//! Rate limits of all instances together, in Redis. Each check is one script call, so it is atomic
//! and takes one round trip. It uses the clock of Redis because the clocks of instances differ.

use std::time::Duration;

use appcore::limit::{Limit, RateGroup, Strategy};
use deadpool_redis::redis::{Script, cmd};
use uuid::Uuid;

use super::{LimitSubject, RateDecision, Window, slices::SLICES};
use crate::redis::Redis;

/// Timeout of a limit check in Redis.
const REDIS_TIMEOUT: Duration = Duration::from_secs(1);
/// Time for which a call in progress is counted at most. Then its instance is considered dead.
const SLOT_TTL: Duration = Duration::from_secs(120);

pub(super) struct RedisLimits {
    redis: Redis,
    fixed: Script,
    sliding: Script,
    bucket: Script,
    slot_script: Script,
}

impl RedisLimits {
    pub fn new(redis: Redis) -> Self {
        Self {
            redis,
            fixed: Script::new(include_str!("fixed.lua")),
            sliding: Script::new(include_str!("sliding.lua")),
            bucket: Script::new(include_str!("bucket.lua")),
            slot_script: Script::new(include_str!("enter.lua")),
        }
    }

    /// Counts a call. Returns `None` if Redis is unavailable.
    pub async fn admit(
        &self,
        group: RateGroup,
        limit: Limit,
        subject: LimitSubject,
    ) -> Option<(RateDecision, Option<ConcurrencySlot>)> {
        // The key must differ from `limit`, under which instances of an earlier version store
        // another format.
        let kind = if limit.strategy == Strategy::SlidingWindow { "slices" } else { "limit" };
        let key = format!("natter:{kind}:{}:{subject}", group.as_str());
        match self.redis.execute(REDIS_TIMEOUT, self.invoke(key, limit)).await {
            Ok(answer) => Some(answer),
            Err(error) => {
                tracing::debug!(error = format!("{error:#}"), "redis unavailable, counting rate limits per instance");
                None
            }
        }
    }

    async fn invoke(&self, key: String, limit: Limit) -> anyhow::Result<(RateDecision, Option<ConcurrencySlot>)> {
        let mut connection = self.redis.connection().await?;
        let window = i64::try_from(limit.window.as_millis()).unwrap_or(i64::MAX);
        let script = match limit.strategy {
            Strategy::FixedWindow => &self.fixed,
            Strategy::SlidingWindow => &self.sliding,
            Strategy::TokenBucket => &self.bucket,
            Strategy::Concurrency => return self.acquire_slot(&mut connection, key, limit).await,
        };
        // Result of the script: whether the call is allowed, the remaining calls, milliseconds
        // until the limit is full again, and milliseconds to wait before a retry.
        let (allowed, remaining, reset, wait): (bool, u32, u64, u64) =
            script.key(key).arg(limit.limit).arg(window).arg(SLICES).invoke_async(&mut connection).await?;
        let verdict = RateDecision {
            limit: limit.limit,
            window: Some(Window { remaining, reset: Duration::from_millis(reset) }),
            retry_after: (!allowed).then(|| Duration::from_millis(wait.max(1))),
        };
        Ok((verdict, None))
    }

    async fn acquire_slot(
        &self,
        connection: &mut crate::redis::Connection,
        key: String,
        limit: Limit,
    ) -> anyhow::Result<(RateDecision, Option<ConcurrencySlot>)> {
        let id = Uuid::now_v7().simple().to_string();
        let lifetime = i64::try_from(SLOT_TTL.as_millis()).unwrap_or(i64::MAX);
        let allowed: bool =
            self.slot_script.key(&key).arg(limit.limit).arg(&id).arg(lifetime).invoke_async(connection).await?;
        let retry_after = (!allowed).then_some(Duration::from_secs(1));
        let place = allowed.then(|| ConcurrencySlot { redis: self.redis.clone(), key, id });
        Ok((RateDecision { limit: limit.limit, window: None, retry_after }, place))
    }
}

/// Slot of a call in progress, released on drop.
pub(super) struct ConcurrencySlot {
    redis: Redis,
    key: String,
    id: String,
}

impl Drop for ConcurrencySlot {
    fn drop(&mut self) {
        // Without a runtime the process is exiting. The entry in Redis then expires.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let (redis, key, id) = (self.redis.clone(), std::mem::take(&mut self.key), std::mem::take(&mut self.id));
        runtime.spawn(async move {
            let leaving = async {
                let mut connection = redis.connection().await?;
                Ok(cmd("ZREM").arg(key).arg(id).query_async::<()>(&mut connection).await?)
            };
            if let Err(error) = redis.execute(REDIS_TIMEOUT, leaving).await {
                tracing::debug!(%error, "failed to release concurrency slot");
            }
        });
    }
}
