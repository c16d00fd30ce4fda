//! Throttle of operations with a limited number of failures, such as password checks.
//!
//! An attempt counts as pending before it is made and reports its outcome afterwards. Pending
//! attempts count against the limit, so concurrent attempts get no more tries than sequential ones.
//! Successful attempts are not counted. With Redis all instances count together, with one call at
//! the start and one at the end; without it, and while it is unavailable, each instance counts on
//! its own.

mod memory;
mod redis;
#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration};

use appcore::{AppError, Clock, Code};
use uuid::Uuid;

use self::{memory::MemoryThrottle, redis::RedisThrottle};
use crate::redis::Redis;

/// Maximum time that an attempt waits while other pending attempts could exhaust the limit if all
/// of them failed.
const MAX_WAIT: Duration = Duration::from_secs(4);
/// Interval at which a waiting attempt tries again.
const POLL_INTERVAL: Duration = Duration::from_millis(25);
/// Time for which a pending attempt is counted at most. Then its instance is considered dead.
const PENDING_TTL: Duration = Duration::from_secs(30);

/// Allowed number of uses, and the window that starts with the first one.
#[derive(Clone, Copy, Debug)]
pub struct Quota {
    pub limit: u32,
    pub window: Duration,
}

/// Subject with a limited number of failures.
#[derive(Clone, Debug)]
pub struct ThrottleSubject {
    /// Name chosen by the caller, the same on all instances.
    pub name: String,
    pub limit: u32,
}

/// Decision on an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Admission {
    Admit {
        /// True if one of the attempt's subjects has failed in the window.
        has_failed: bool,
    },
    /// The attempt has to wait, because the pending attempts would exhaust the limit if all of them
    /// failed.
    Wait,
    /// The limit is exhausted. The value is the time until the failures expire.
    Exhausted(Duration),
}

/// Throttle of this instance.
pub struct Throttle {
    enabled: bool,
    counters: Arc<Counters>,
}

struct Counters {
    local: MemoryThrottle,
    shared: Option<RedisThrottle>,
}

impl Throttle {
    pub fn new(enabled: bool, clock: Clock, redis: Option<Redis>) -> Self {
        let own = MemoryThrottle::new(clock);
        let shared = redis.map(RedisThrottle::new);
        Self { enabled, counters: Arc::new(Counters { local: own, shared }) }
    }

    /// Starts an attempt on all `subjects`. Returns `TooManySignins` if one of them has failed too
    /// often in the `window` since its first failure.
    pub async fn begin(&self, subjects: Vec<ThrottleSubject>, window: Duration) -> Result<Attempt, AppError> {
        let mut attempt = Attempt { counters: None, subjects, id: Uuid::now_v7(), window, has_failed: false };
        if !self.enabled {
            return Ok(attempt);
        }
        let deadline = tokio::time::Instant::now() + MAX_WAIT;
        loop {
            match self.counters.begin(&attempt).await {
                Admission::Admit { has_failed } => {
                    attempt.has_failed = has_failed;
                    attempt.counters = Some(Arc::clone(&self.counters));
                    return Ok(attempt);
                }
                Admission::Exhausted(wait) => return Err(refusal(wait)),
                Admission::Wait if tokio::time::Instant::now() >= deadline => return Err(refusal(POLL_INTERVAL)),
                Admission::Wait => tokio::time::sleep(POLL_INTERVAL).await,
            }
        }
    }

    /// Counts a use of a quota. Returns false if the quota is exhausted.
    pub async fn consume(&self, subject: String, quota: Quota) -> Result<bool, AppError> {
        let subject = ThrottleSubject { name: subject, limit: quota.limit };
        match self.begin(vec![subject], quota.window).await {
            Ok(attempt) => {
                attempt.record_failure().await;
                Ok(true)
            }
            Err(AppError::Refused { code: Code::TooManySignins, .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

fn refusal(wait: Duration) -> AppError {
    let retry_after = Duration::from_secs(wait.as_millis().div_ceil(1_000).max(1) as u64);
    AppError::Refused { code: Code::TooManySignins, message: None, retry_after: Some(retry_after) }
}

impl Counters {
    async fn begin(&self, attempt: &Attempt) -> Admission {
        if let Some(shared) = &self.shared
            && let Some(answer) = shared.begin(attempt).await
        {
            return answer;
        }
        self.local.begin(attempt)
    }

    async fn finish(&self, attempt: &Attempt, failed: bool) {
        // The attempt may have started in this process while Redis was unavailable, so it is
        // finished here as well. Finishing an unknown attempt changes nothing.
        self.local.finish(attempt, failed && self.shared.is_none());
        if let Some(shared) = &self.shared
            && !shared.finish(attempt, failed).await
        {
            self.local.finish(attempt, failed);
        }
    }
}

/// Pending attempt. Dropping it ends the attempt without a failure.
#[must_use]
pub struct Attempt {
    /// `None` if the throttle is disabled, or if the attempt has ended.
    counters: Option<Arc<Counters>>,
    subjects: Vec<ThrottleSubject>,
    id: Uuid,
    window: Duration,
    has_failed: bool,
}

impl Attempt {
    /// True if one of the attempt's subjects has failed recently.
    pub fn has_recent_failures(&self) -> bool {
        self.has_failed
    }

    pub async fn record_failure(mut self) {
        if let Some(counters) = self.counters.take() {
            counters.finish(&self, true).await;
        }
    }

    pub async fn record_success(mut self) {
        if let Some(counters) = self.counters.take() {
            counters.finish(&self, false).await;
        }
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        let Some(counters) = self.counters.take() else { return };
        // Without a runtime the process is exiting. The entry in Redis then expires.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let left = Self {
            counters: None,
            subjects: std::mem::take(&mut self.subjects),
            id: self.id,
            window: self.window,
            has_failed: self.has_failed,
        };
        runtime.spawn(async move { counters.finish(&left, false).await });
    }
}
