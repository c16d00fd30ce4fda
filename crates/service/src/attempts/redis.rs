//! Counting of all instances together, in Redis. Each question is one script call, so it is atomic and one round trip.

use std::time::Duration;

use deadpool_redis::redis::Script;

use super::{Admission, Attempt, LIFETIME};
use crate::redis::Redis;

/// Nobody waits long for a Redis that does not answer.
const PATIENCE: Duration = Duration::from_millis(500);

pub(super) struct RedisAttempts {
    redis: Redis,
    begin: Script,
    finish: Script,
}

impl RedisAttempts {
    pub fn new(redis: Redis) -> Self {
        Self { redis, begin: Script::new(include_str!("begin.lua")), finish: Script::new(include_str!("finish.lua")) }
    }

    /// `None`: Redis is away.
    pub async fn begin(&self, attempt: &Attempt) -> Option<Admission> {
        let lifetime = millis(LIFETIME);
        let limit = i64::from(attempt.quota.limit);
        let answer =
            self.ask(&self.begin, attempt, [limit.to_string(), attempt.id.to_string(), lifetime.to_string()]).await?;
        Some(match u64::try_from(answer) {
            Ok(0) => Admission::Go,
            Ok(wait) => Admission::Spent(Duration::from_millis(wait)),
            Err(_) => Admission::Wait,
        })
    }

    /// `false`: Redis is away.
    pub async fn finish(&self, attempt: &Attempt, failed: bool) -> bool {
        let window = millis(attempt.quota.window).to_string();
        self.ask(&self.finish, attempt, [attempt.id.to_string(), u8::from(failed).to_string(), window]).await.is_some()
    }

    async fn ask(&self, script: &Script, attempt: &Attempt, arguments: [String; 3]) -> Option<i64> {
        let call = async {
            let mut connection = self.redis.connection().await?;
            let mut call = script.prepare_invoke();
            for subject in &attempt.subjects {
                call.key(format!("natter:attempts:{subject}:failed"));
                call.key(format!("natter:attempts:{subject}:pending"));
            }
            for argument in &arguments {
                call.arg(argument);
            }
            anyhow::Ok(call.invoke_async(&mut connection).await?)
        };
        match self.redis.within(PATIENCE, call).await {
            Ok(answer) => Some(answer),
            Err(error) => {
                tracing::debug!(error = format!("{error:#}"), "attempts are counted by each instance for itself");
                None
            }
        }
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
