//! Attempt counters in Redis, shared by all instances. Each operation is one script call, so it is
//! atomic and takes one round trip.

use std::time::Duration;

use deadpool_redis::redis::Script;

use super::{Admission, Attempt, PENDING_TTL};
use crate::redis::Redis;

/// Timeout of a call to Redis.
const REDIS_TIMEOUT: Duration = Duration::from_millis(500);

pub(super) struct RedisThrottle {
    redis: Redis,
    begin: Script,
    finish: Script,
}

impl RedisThrottle {
    pub fn new(redis: Redis) -> Self {
        Self { redis, begin: Script::new(include_str!("begin.lua")), finish: Script::new(include_str!("finish.lua")) }
    }

    /// Starts an attempt. Returns `None` if Redis is unavailable.
    pub async fn begin(&self, attempt: &Attempt) -> Option<Admission> {
        let mut arguments = vec![attempt.id.to_string(), millis(PENDING_TTL).to_string()];
        arguments.extend(attempt.subjects.iter().map(|subject| subject.limit.to_string()));
        Some(match self.invoke(&self.begin, attempt, arguments).await? {
            0 => Admission::Admit { has_failed: false },
            -2 => Admission::Admit { has_failed: true },
            -1 => Admission::Wait,
            wait => Admission::Exhausted(Duration::from_millis(u64::try_from(wait).unwrap_or_default())),
        })
    }

    /// Ends an attempt. Returns false if Redis is unavailable.
    pub async fn finish(&self, attempt: &Attempt, failed: bool) -> bool {
        let window = millis(attempt.window).to_string();
        self.invoke(&self.finish, attempt, vec![attempt.id.to_string(), u8::from(failed).to_string(), window])
            .await
            .is_some()
    }

    async fn invoke(&self, script: &Script, attempt: &Attempt, arguments: Vec<String>) -> Option<i64> {
        let call = async {
            let mut connection = self.redis.connection().await?;
            let mut call = script.prepare_invoke();
            for subject in &attempt.subjects {
                call.key(format!("natter:attempts:{}:failed", subject.name));
                call.key(format!("natter:attempts:{}:pending", subject.name));
            }
            for argument in &arguments {
                call.arg(argument);
            }
            anyhow::Ok(call.invoke_async(&mut connection).await?)
        };
        match self.redis.execute(REDIS_TIMEOUT, call).await {
            Ok(answer) => Some(answer),
            Err(error) => {
                tracing::debug!(error = format!("{error:#}"), "redis unavailable, counting attempts per instance");
                None
            }
        }
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
