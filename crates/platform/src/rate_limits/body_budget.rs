//! Memory budget of request bodies. Received bytes are counted by caller and for this instance
//! until the body is released, so any number of requests, however slow, stay within the budget.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use appcore::{AppError, Code, config::Config};
use metrics::metrics;

use super::LimitSubject;

/// Maximum size of a small body. The last quarter of the instance's budget is reserved for small
/// bodies, so that a few users with large bodies don't block sign-ins and messages.
const SMALL_BODY_BYTES: usize = 64 * 1024;
/// Suggested delay before a retry.
const RETRY_AFTER: Duration = Duration::from_secs(2);

/// Budget of this instance.
#[derive(Debug)]
pub struct BodyBudget {
    limit: usize,
    limit_per_user: usize,
    limit_per_address: usize,
    held: Mutex<BudgetUsage>,
}

#[derive(Debug, Default)]
struct BudgetUsage {
    all: usize,
    by_subject: HashMap<LimitSubject, usize>,
}

/// Part of the budget that one body occupies until the lease is dropped.
#[derive(Debug)]
pub struct BodyLease {
    budget: Arc<BodyBudget>,
    /// Caller that the bytes count for; with `None` they count for the instance only.
    subject: Option<LimitSubject>,
    bytes: usize,
}

impl BodyBudget {
    #[must_use]
    pub fn new(config: &Config) -> Arc<Self> {
        let server = &config.server;
        // Without rate limits callers are not distinguished, but the instance's budget still
        // applies.
        let of = |most| if config.rate_limit.enabled { most } else { usize::MAX };
        Arc::new(Self {
            limit: server.body_bytes,
            limit_per_user: of(server.body_bytes_per_user),
            limit_per_address: of(server.body_bytes_per_address),
            held: Mutex::default(),
        })
    }

    /// Starts counting a body of this caller.
    pub fn start_lease(self: &Arc<Self>, subject: Option<LimitSubject>) -> BodyLease {
        BodyLease { budget: Arc::clone(self), subject: subject.map(LimitSubject::canonical), bytes: 0 }
    }

    /// Bytes that all bodies currently occupy.
    #[must_use]
    pub fn bytes_in_use(&self) -> usize {
        self.lock().all
    }

    const fn max_bytes_of(&self, subject: LimitSubject) -> usize {
        match subject {
            LimitSubject::User(_) | LimitSubject::Session(_) => self.limit_per_user,
            LimitSubject::Address(_) | LimitSubject::ForeignPages(_) => self.limit_per_address,
        }
    }

    const fn max_bytes_of_large(&self) -> usize {
        self.limit / 4 * 3
    }

    // A panic can't leave the sums inconsistent, so a poisoned lock is still usable.
    fn lock(&self) -> MutexGuard<'_, BudgetUsage> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl BodyLease {
    /// Maximum size of a single body in bytes, which applies even when the budget is unused.
    #[must_use]
    pub fn max_body_bytes(&self) -> usize {
        let large = self.budget.max_bytes_of_large().max(SMALL_BODY_BYTES.min(self.budget.limit));
        self.subject.map_or(large, |subject| large.min(self.budget.max_bytes_of(subject)))
    }

    /// Reserves more bytes for the body. Returns `RateLimited` if the caller's share is exhausted,
    /// `Unavailable` if the instance's budget is.
    pub fn reserve(&mut self, bytes: usize) -> Result<(), AppError> {
        let most =
            if self.bytes + bytes > SMALL_BODY_BYTES { self.budget.max_bytes_of_large() } else { self.budget.limit };
        let mut held = self.budget.lock();
        if let Some(subject) = self.subject {
            let of_subject = held.by_subject.get(&subject).copied().unwrap_or_default() + bytes;
            if of_subject > self.budget.max_bytes_of(subject) {
                metrics().gates.body_refused("caller");
                return Err(refusal(Code::RateLimited, "You're sending too much at once. Try again in a moment."));
            }
            if held.all + bytes <= most {
                held.by_subject.insert(subject, of_subject);
            }
        }
        if held.all + bytes > most {
            metrics().gates.body_refused("instance");
            return Err(refusal(Code::Unavailable, "The server is receiving too much at once. Try again in a moment."));
        }
        held.all += bytes;
        self.bytes += bytes;
        Ok(())
    }
}

impl Drop for BodyLease {
    fn drop(&mut self) {
        if self.bytes == 0 {
            return;
        }
        let mut held = self.budget.lock();
        held.all -= self.bytes;
        if let Some(subject) = self.subject
            && let Entry::Occupied(mut of_subject) = held.by_subject.entry(subject)
        {
            *of_subject.get_mut() -= self.bytes;
            if *of_subject.get() == 0 {
                of_subject.remove();
            }
        }
    }
}

fn refusal(code: Code, message: &'static str) -> AppError {
    AppError::Refused { code, message: Some(message.into()), retry_after: Some(RETRY_AFTER) }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use appcore::UserId;

    use super::*;

    const KIB: usize = 1024;

    fn budget(most: usize) -> Arc<BodyBudget> {
        let held = Mutex::default();
        Arc::new(BodyBudget { limit: most, limit_per_user: 200 * KIB, limit_per_address: 100 * KIB, held })
    }

    fn address_subject(address: &str) -> Option<LimitSubject> {
        address.parse().ok().map(LimitSubject::Address)
    }

    #[test]
    fn callers_are_limited_separately() {
        let budget = budget(1_000 * KIB);
        let mut first = budget.start_lease(address_subject("2001:db8::1"));
        first.reserve(60 * KIB).unwrap();
        // Both IPv6 addresses are in one /64 and share a budget.
        let mut second = budget.start_lease(address_subject("2001:db8::2"));
        let error = second.reserve(60 * KIB).unwrap_err();
        assert_eq!((error.code(), error.retry_after()), (Code::RateLimited, Some(RETRY_AFTER)));
        second.reserve(40 * KIB).unwrap();
        budget.start_lease(address_subject("2001:db8:0:1::1")).reserve(60 * KIB).unwrap();
        budget.start_lease(Some(LimitSubject::User(UserId::new()))).reserve(150 * KIB).unwrap();
        assert_eq!(budget.bytes_in_use(), 100 * KIB, "rejected and released bodies occupy no budget");
        drop(first);
        second.reserve(60 * KIB).unwrap();
        drop(second);
        assert_eq!((budget.bytes_in_use(), budget.lock().by_subject.len()), (0, 0));
    }

    #[test]
    fn large_bodies_leave_space_for_small_ones() {
        let budget = budget(400 * KIB);
        let mut large: Vec<BodyLease> = (0..3).map(|_| budget.start_lease(None)).collect();
        large.iter_mut().for_each(|lease| lease.reserve(100 * KIB).unwrap());
        assert_eq!(large[0].reserve(1).unwrap_err().code(), Code::Unavailable);
        let mut small = budget.start_lease(None);
        small.reserve(SMALL_BODY_BYTES).unwrap();
        assert_eq!(small.reserve(1).unwrap_err().code(), Code::Unavailable, "the body counts as large now");
        assert_eq!(budget.start_lease(None).reserve(37 * KIB).unwrap_err().code(), Code::Unavailable);
        assert_eq!((budget.bytes_in_use(), small.max_body_bytes()), (364 * KIB, 300 * KIB));
        assert_eq!(budget.start_lease(address_subject("192.0.2.1")).max_body_bytes(), 100 * KIB);
    }

    #[test]
    fn concurrent_bodies_never_exceed_the_budget() {
        const THREADS: usize = 16;
        let budget = budget(100 * KIB);
        let took: usize = std::thread::scope(|scope| {
            let each = |n: usize| {
                let budget = &budget;
                move || {
                    let subject = IpAddr::from([192, 0, 2, u8::try_from(n).unwrap()]);
                    let mut lease = budget.start_lease(Some(LimitSubject::Address(subject)));
                    let took = (0..1_000).filter(|_| lease.reserve(100).is_ok()).count();
                    assert!(budget.bytes_in_use() <= 100 * KIB);
                    (took, lease)
                }
            };
            let threads: Vec<_> = (0..THREADS).map(|n| scope.spawn(each(n))).collect();
            // Keeps all leases until the last thread has tried.
            let ended: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
            ended.iter().map(|(took, _)| took).sum()
        });
        assert_eq!(took, 100 * KIB / 100);
        assert_eq!(budget.bytes_in_use(), 0);
    }
}
