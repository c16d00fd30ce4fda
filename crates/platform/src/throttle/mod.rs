//! What may fail only so often: guessing a password, and the like.
//!
//! An attempt takes its place before it is made and says afterwards how it went. So many guesses at the same time get no further than
//! one after the other, and what succeeds costs nothing. With Redis all instances count together, by one call for each of the two;
//! without it, and while it is away, every instance counts for itself.

mod memory;
mod redis;
#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration};

use appcore::{AppError, Clock, Code};
use uuid::Uuid;

use self::{memory::MemoryAttempts, redis::RedisAttempts};
use crate::redis::Redis;

/// How long an attempt waits while others, which may all fail, are under way.
const PATIENCE: Duration = Duration::from_secs(4);
/// How often it asks meanwhile.
const AGAIN: Duration = Duration::from_millis(25);
/// An attempt that is said to be under way longer than this belongs to an instance that died.
const LIFETIME: Duration = Duration::from_secs(30);

/// How often something may fail, and in which time from the first failure.
#[derive(Clone, Copy, Debug)]
pub struct Quota {
    pub limit: u32,
    pub window: Duration,
}

/// Something at which only so much may fail.
#[derive(Clone, Debug)]
pub struct Subject {
    /// Of the caller's choice, the same on all instances.
    pub name: String,
    pub limit: u32,
}

/// What the counting says to an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Admission {
    Go {
        /// One of its subjects has failed in the window.
        has_failed: bool,
    },
    /// What is under way may use up what is left.
    Wait,
    /// Too often; how long until that is forgotten.
    Spent(Duration),
}

/// The counters of this instance.
pub struct Attempts {
    enabled: bool,
    counters: Arc<Counters>,
}

struct Counters {
    own: MemoryAttempts,
    shared: Option<RedisAttempts>,
}

impl Attempts {
    pub fn new(enabled: bool, clock: Clock, redis: Option<Redis>) -> Self {
        let own = MemoryAttempts::new(clock);
        let shared = redis.map(RedisAttempts::new);
        Self { enabled, counters: Arc::new(Counters { own, shared }) }
    }

    /// Takes a place among the attempts on all `subjects`, or refuses where one of them has failed too often in the `window` since its first
    /// failure.
    pub async fn begin(&self, subjects: Vec<Subject>, window: Duration) -> Result<Attempt, AppError> {
        let mut attempt = Attempt { counters: None, subjects, id: Uuid::now_v7(), window, has_failed: false };
        if !self.enabled {
            return Ok(attempt);
        }
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            match self.counters.begin(&attempt).await {
                Admission::Go { has_failed } => {
                    attempt.has_failed = has_failed;
                    attempt.counters = Some(Arc::clone(&self.counters));
                    return Ok(attempt);
                }
                Admission::Spent(wait) => return Err(refusal(wait)),
                Admission::Wait if tokio::time::Instant::now() >= deadline => return Err(refusal(AGAIN)),
                Admission::Wait => tokio::time::sleep(AGAIN).await,
            }
        }
    }

    /// Counts something that may be done only so often; `false`: it is once too often.
    pub async fn spend(&self, subject: String, quota: Quota) -> Result<bool, AppError> {
        let subject = Subject { name: subject, limit: quota.limit };
        match self.begin(vec![subject], quota.window).await {
            Ok(attempt) => {
                attempt.failed().await;
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
        self.own.begin(attempt)
    }

    async fn finish(&self, attempt: &Attempt, failed: bool) {
        // Also where it began in this process while Redis was away: what one does not know changes nothing there.
        self.own.finish(attempt, failed && self.shared.is_none());
        if let Some(shared) = &self.shared
            && !shared.finish(attempt, failed).await
        {
            self.own.finish(attempt, failed);
        }
    }
}

/// An attempt that is under way. Given up without a word, it has not failed.
#[must_use]
pub struct Attempt {
    /// None: nothing is counted, or it has ended.
    counters: Option<Arc<Counters>>,
    subjects: Vec<Subject>,
    id: Uuid,
    window: Duration,
    has_failed: bool,
}

impl Attempt {
    /// Whether one of its subjects has failed of late.
    pub fn is_doubted(&self) -> bool {
        self.has_failed
    }

    pub async fn failed(mut self) {
        if let Some(counters) = self.counters.take() {
            counters.finish(&self, true).await;
        }
    }

    pub async fn passed(mut self) {
        if let Some(counters) = self.counters.take() {
            counters.finish(&self, false).await;
        }
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        let Some(counters) = self.counters.take() else { return };
        // Without a runtime the program ends, and the place with its lifetime.
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
