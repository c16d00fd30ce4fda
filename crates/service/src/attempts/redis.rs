//! Counting of all instances together, in Redis. Each question is one script call, so it is atomic and one round trip.

use std::{
    sync::atomic::{AtomicI64, Ordering},
    time::Duration,
};

use appcore::Clock;
use deadpool_redis::{Pool, redis::Script};

use super::{Admission, Attempt, LIFETIME};

/// Nobody waits long for a Redis that does not answer.
const PATIENCE: Duration = Duration::from_millis(500);
/// How long Redis is not asked after it did not answer.
const PAUSE: Duration = Duration::from_secs(1);

pub(super) struct RedisAttempts {
    pool: Pool,
    clock: Clock,
    begin: Script,
    finish: Script,
    /// Milliseconds since 1970 before which it is not asked.
    paused_until: AtomicI64,
}

impl RedisAttempts {
    pub fn new(pool: Pool, clock: Clock) -> Self {
        Self {
            pool,
            clock,
            begin: Script::new(include_str!("begin.lua")),
            finish: Script::new(include_str!("finish.lua")),
            paused_until: AtomicI64::new(0),
        }
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
        if self.clock.now().millis() < self.paused_until.load(Ordering::Relaxed) {
            return None;
        }
        let call = async {
            let mut connection = self.pool.get().await?;
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
        let asked = tokio::time::timeout(PATIENCE, call).await.map_err(anyhow::Error::from);
        match asked.and_then(|answer| answer) {
            Ok(answer) => Some(answer),
            Err(error) => {
                self.paused_until.store(self.clock.now().plus(PAUSE).millis(), Ordering::Relaxed);
                tracing::warn!(error = format!("{error:#}"), "attempts are counted by each instance for itself");
                None
            }
        }
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
