//! Limits: how often each person, or each address, may do what belongs to a group.
//!
//! With Redis the counting is exact over all instances, by one script call for each question; without it, and while it is away,
//! every instance counts for itself.

mod memory;
mod redis;
#[cfg(test)]
mod tests;

use std::{
    fmt,
    net::{IpAddr, Ipv6Addr},
    time::Duration,
};

use appcore::{
    AppError, Clock, Code, RequestSource, UserId,
    config::RateLimit,
    limit::{Limit, RateGroup, Strategy},
};

use self::{memory::MemoryLimits, redis::RedisLimits};
use crate::redis::Redis;

/// Whose calls are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Subject {
    User(UserId),
    Address(IpAddr),
    /// What pages of other sites make browsers at this address send: it must not use up what the people there may do.
    ForeignPages(IpAddr),
}

impl Subject {
    /// Who is counted where nobody is signed in.
    #[must_use]
    pub fn of(source: RequestSource) -> Option<Self> {
        source.address.map(if source.is_foreign_page { Self::ForeignPages } else { Self::Address })
    }

    /// Who has one IPv6 address has all of its /64.
    fn canonical(self) -> Self {
        let network = |address: IpAddr| match address {
            IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from(u128::from(address) & !u128::from(u64::MAX))),
            address => address,
        };
        match self {
            Self::Address(address) => Self::Address(network(address)),
            Self::ForeignPages(address) => Self::ForeignPages(network(address)),
            Self::User(id) => Self::User(id),
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(id) => write!(formatter, "u:{id}"),
            Self::Address(address) => write!(formatter, "a:{address}"),
            Self::ForeignPages(address) => write!(formatter, "f:{address}"),
        }
    }
}

/// What the counting says of one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateDecision {
    pub limit: u32,
    /// What is left, and when all of it is there again; nothing of the kind is known of concurrency.
    pub window: Option<Window>,
    /// The call is one too many; how long it is worth waiting.
    pub retry_after: Option<Duration>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    pub remaining: u32,
    pub reset: Duration,
}

impl RateDecision {
    /// An error for a call that is one too many.
    pub fn check(&self) -> Result<(), AppError> {
        match self.retry_after {
            None => Ok(()),
            Some(wait) => {
                let retry_after = Some(Duration::from_secs(wait.as_millis().div_ceil(1_000).max(1) as u64));
                Err(AppError::Refused { code: Code::RateLimited, message: None, retry_after })
            }
        }
    }
}

/// A call that is under way, where calls at the same time are counted; it is over when this is dropped.
#[must_use]
pub struct ConcurrencyPermit(#[expect(dead_code, reason = "it is there to be dropped")] Held);

enum Held {
    Here(#[expect(dead_code, reason = "it is there to be dropped")] memory::ConcurrencySlot),
    Shared(#[expect(dead_code, reason = "it is there to be dropped")] redis::ConcurrencySlot),
}

/// The counters of this instance.
pub struct Limits {
    config: RateLimit,
    own: MemoryLimits,
    shared: Option<RedisLimits>,
}

impl Limits {
    #[must_use]
    pub fn new(config: &RateLimit, clock: Clock, redis: Option<Redis>) -> Self {
        Self { config: config.clone(), own: MemoryLimits::new(config, clock), shared: redis.map(RedisLimits::new) }
    }

    /// Whether calls of this group are counted by address even where the person is known.
    #[must_use]
    pub fn is_by_address(&self, group: RateGroup) -> bool {
        self.config.of(group).strategy == Strategy::Concurrency
    }

    /// Counts a call. Nothing is said where nothing is limited.
    pub async fn take(&self, group: RateGroup, subject: Subject) -> Option<(RateDecision, Option<ConcurrencyPermit>)> {
        if !self.config.enabled {
            return None;
        }
        let limit = self.config.of(group);
        let subject = subject.canonical();
        if let Some(shared) = &self.shared
            && let Some((verdict, place)) = shared.take(group, limit, subject).await
        {
            return Some((verdict, place.map(|place| ConcurrencyPermit(Held::Shared(place)))));
        }
        let (verdict, place) = self.own.take(group, limit, subject);
        Some((verdict, place.map(|place| ConcurrencyPermit(Held::Here(place)))))
    }
}

/// How much is used by sliding-window counting: all of this window, and of the one before the share that is still inside.
fn sliding(before: u32, now: u32, elapsed: Duration, window: Duration) -> f64 {
    let share = 1.0 - elapsed.as_secs_f64() / window.as_secs_f64();
    f64::from(before) * share.clamp(0.0, 1.0) + f64::from(now)
}

/// How long until the window that slides has room for one more.
fn until_room(before: u32, now: u32, elapsed: Duration, limit: Limit) -> Duration {
    let window = limit.window.as_secs_f64();
    let left = window - elapsed.as_secs_f64();
    let most = f64::from(limit.limit) - 1.0;
    // When the share of `count` calls has shrunk so far that `room` is not exceeded, from the beginning of the window after theirs.
    let shrunk = |count: u32, room: f64| window * (1.0 - (room / f64::from(count)).clamp(0.0, 1.0));
    let wait = if f64::from(now) <= most {
        shrunk(before, most - f64::from(now)) - elapsed.as_secs_f64()
    } else {
        left + shrunk(now, most)
    };
    Duration::from_secs_f64(wait.max(0.001))
}
