//! Rate limits of groups of calls, by user or by address.
//!
//! With Redis the counts are exact over all instances, with one script call per check; without it,
//! and while it is unavailable, each instance counts on its own.

mod body_budget;
mod keys;
mod memory;
mod redis;
mod slices;
#[cfg(test)]
mod tests;
mod valid_credentials;

use std::{
    fmt,
    net::{IpAddr, Ipv6Addr},
    time::Duration,
};

use appcore::{
    AppError, Clock, Code, RequestSource, SessionId, UserId,
    config::RateLimit,
    limit::{RateGroup, Strategy},
};
use metrics::metrics;

pub use self::body_budget::{BodyBudget, BodyLease};
pub use self::keys::{Exceeded, KeyLimit, KeyLimitStates, KeyLimits, KeyMeasure, KeySlot, LimitState};
pub use self::valid_credentials::ValidCredentials;
use self::{memory::MemoryLimits, redis::RedisLimits};
use crate::redis::Redis;

/// Caller whose calls are counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LimitSubject {
    User(UserId),
    /// Session, identified by its family of refresh tokens.
    Session(SessionId),
    Address(IpAddr),
    /// Pages of other sites that make browsers at this address send requests. Counted separately,
    /// so that they don't use up the limit of the users there.
    ForeignPages(IpAddr),
}

impl LimitSubject {
    /// Subject of a caller who is not signed in.
    #[must_use]
    pub fn from_source(source: RequestSource) -> Option<Self> {
        source.address.map(if source.is_cross_site { Self::ForeignPages } else { Self::Address })
    }

    /// Replaces an IPv6 address by its /64, which one client usually has as a whole.
    #[must_use]
    pub fn canonical(self) -> Self {
        let network = |address: IpAddr| match address {
            IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from(u128::from(address) & !u128::from(u64::MAX))),
            address => address,
        };
        match self {
            Self::Address(address) => Self::Address(network(address)),
            Self::ForeignPages(address) => Self::ForeignPages(network(address)),
            Self::User(_) | Self::Session(_) => self,
        }
    }
}

impl fmt::Display for LimitSubject {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(id) => write!(formatter, "u:{id}"),
            Self::Session(id) => write!(formatter, "s:{id}"),
            Self::Address(address) => write!(formatter, "a:{address}"),
            Self::ForeignPages(address) => write!(formatter, "f:{address}"),
        }
    }
}

/// Outcome of a rate limit check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateDecision {
    pub limit: u32,
    /// Remaining calls, and time until the limit is full again; `None` for concurrency limits.
    pub window: Option<Window>,
    /// Delay before a retry, if the call is refused.
    pub retry_after: Option<Duration>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    pub remaining: u32,
    pub reset: Duration,
}

impl RateDecision {
    /// Returns `RateLimited` if the call is refused.
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

/// Permit of a call with a concurrency limit, released on drop.
#[must_use]
pub struct ConcurrencyPermit(#[expect(dead_code, reason = "held for its Drop")] HeldSlot);

enum HeldSlot {
    Local(#[expect(dead_code, reason = "held for its Drop")] memory::ConcurrencySlot),
    Shared(#[expect(dead_code, reason = "held for its Drop")] redis::ConcurrencySlot),
}

/// Rate limits of this instance.
pub struct RateLimits {
    config: RateLimit,
    local: MemoryLimits,
    shared: Option<RedisLimits>,
}

impl RateLimits {
    #[must_use]
    pub fn new(config: &RateLimit, clock: Clock, redis: Option<Redis>) -> Self {
        Self { config: config.clone(), local: MemoryLimits::new(config, clock), shared: redis.map(RedisLimits::new) }
    }

    /// True if calls of this group are counted by address even if the user is known. This applies
    /// to groups with a concurrency limit.
    #[must_use]
    pub fn is_by_address(&self, group: RateGroup) -> bool {
        self.config.limit_for(group).strategy == Strategy::Concurrency
    }

    /// Counts a call on this instance only. This saves a round trip to Redis for calls that are
    /// frequent and cheap.
    pub fn admit_local(&self, group: RateGroup, subject: LimitSubject) -> Result<(), AppError> {
        if !self.config.enabled {
            return Ok(());
        }
        let (verdict, _) = self.local.admit(group, self.config.limit_for(group), subject.canonical());
        record_refusal(group, &verdict);
        verdict.check()
    }

    /// Counts a call. Returns `None` if rate limits are disabled.
    pub async fn admit(
        &self,
        group: RateGroup,
        subject: LimitSubject,
    ) -> Option<(RateDecision, Option<ConcurrencyPermit>)> {
        if !self.config.enabled {
            return None;
        }
        let limit = self.config.limit_for(group);
        let subject = subject.canonical();
        if let Some(shared) = &self.shared
            && let Some((verdict, place)) = shared.admit(group, limit, subject).await
        {
            record_refusal(group, &verdict);
            return Some((verdict, place.map(|place| ConcurrencyPermit(HeldSlot::Shared(place)))));
        }
        let (verdict, place) = self.local.admit(group, limit, subject);
        record_refusal(group, &verdict);
        Some((verdict, place.map(|place| ConcurrencyPermit(HeldSlot::Local(place)))))
    }
}

/// Records refusals in the metrics.
fn record_refusal(group: RateGroup, verdict: &RateDecision) {
    if verdict.retry_after.is_some() {
        metrics().gates.rate_limited(group.as_str());
    }
}
