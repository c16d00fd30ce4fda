//! In-process counters of attempts.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use appcore::{Clock, Timestamp};
use uuid::Uuid;

use super::{Admission, Attempt, PENDING_TTL};

/// Above this many subjects, expired counters are evicted.
const EVICTION_THRESHOLD: usize = 10_000;

pub(super) struct MemoryThrottle {
    clock: Clock,
    subjects: Mutex<Subjects>,
}

#[derive(Default)]
struct Subjects {
    counters: HashMap<String, Counter>,
    evict_at: usize,
}

struct Counter {
    failed: u32,
    /// Time at which the failures expire.
    until: Timestamp,
    /// Pending attempts, each with the time at which it expires.
    pending: HashMap<Uuid, Timestamp>,
}

impl Counter {
    fn expire(&mut self, now: Timestamp) {
        self.pending.retain(|_, given_up| *given_up > now);
        if self.until <= now {
            self.failed = 0;
        }
    }

    fn is_idle(&self) -> bool {
        self.failed == 0 && self.pending.is_empty()
    }
}

impl MemoryThrottle {
    pub fn new(clock: Clock) -> Self {
        Self { clock, subjects: Mutex::default() }
    }

    pub fn begin(&self, attempt: &Attempt) -> Admission {
        let now = self.clock.now();
        let mut subjects = self.lock();
        subjects.evict_idle(now);
        let (mut wait, mut busy, mut has_failed) = (None, false, false);
        for subject in &attempt.subjects {
            let Some(counter) = subjects.counters.get_mut(&subject.name) else { continue };
            counter.expire(now);
            let pending = u32::try_from(counter.pending.len()).unwrap_or(u32::MAX);
            has_failed |= counter.failed > 0;
            if counter.failed >= subject.limit {
                let left = u64::try_from(counter.until.millis() - now.millis()).unwrap_or(0);
                wait = wait.max(Some(Duration::from_millis(left)));
            } else if counter.failed.saturating_add(pending) >= subject.limit {
                busy = true;
            }
        }
        if let Some(wait) = wait {
            return Admission::Exhausted(wait);
        }
        if busy {
            return Admission::Wait;
        }
        for subject in &attempt.subjects {
            let counter = subjects.counters.entry(subject.name.clone()).or_insert_with(|| Counter {
                failed: 0,
                until: now,
                pending: HashMap::new(),
            });
            counter.pending.insert(attempt.id, now.plus(PENDING_TTL));
        }
        Admission::Admit { has_failed }
    }

    pub fn finish(&self, attempt: &Attempt, failed: bool) {
        let now = self.clock.now();
        let mut subjects = self.lock();
        for subject in &attempt.subjects {
            if failed {
                let counter = subjects.counters.entry(subject.name.clone()).or_insert_with(|| Counter {
                    failed: 0,
                    until: now,
                    pending: HashMap::new(),
                });
                counter.expire(now);
                if counter.failed == 0 {
                    counter.until = now.plus(attempt.window);
                }
                counter.failed = counter.failed.saturating_add(1);
            }
            if let Some(counter) = subjects.counters.get_mut(&subject.name) {
                counter.pending.remove(&attempt.id);
                if counter.is_idle() {
                    subjects.counters.remove(&subject.name);
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Subjects> {
        self.subjects.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Subjects {
    fn evict_idle(&mut self, now: Timestamp) {
        if self.counters.len() < self.evict_at.max(EVICTION_THRESHOLD) {
            return;
        }
        self.counters.retain(|_, counter| {
            counter.expire(now);
            !counter.is_idle()
        });
        self.evict_at = self.counters.len() * 2;
    }
}
