//! Violation counters. They are in Redis and shared by all instances, or in this process without
//! Redis and while it is unavailable.

use std::{collections::VecDeque, time::Duration};

use crate::redis::Redis;
use appcore::{Clock, Timestamp};
use dashmap::DashMap;
use deadpool_redis::redis::Script;
use ipnet::IpNet;

/// Timeout of counting a violation in Redis.
const REDIS_TIMEOUT: Duration = Duration::from_secs(1);
/// Maximum number of networks counted in this process, which bounds the memory that an attacker can
/// use.
const MAX_NETWORKS: usize = 100_000;

pub(super) struct Violations {
    max_violations: usize,
    window: Duration,
    clock: Clock,
    local: DashMap<IpNet, VecDeque<Timestamp>>,
    shared: Option<Shared>,
}

struct Shared {
    redis: Redis,
    script: Script,
}

impl Violations {
    pub(super) fn new(most: usize, window: Duration, clock: Clock, redis: Option<Redis>) -> Self {
        let script = || Script::new(include_str!("violations.lua"));
        let shared = redis.map(|redis| Shared { redis, script: script() });
        Self { max_violations: most, window, clock, local: DashMap::new(), shared }
    }

    /// Counts a violation of the network. Returns true if the limit is reached; the count is reset
    /// then.
    pub(super) async fn record(&self, network: IpNet) -> bool {
        if self.max_violations == 0 {
            return false;
        }
        match self.record_in_redis(network).await {
            Some(is_enough) => is_enough,
            None => self.record_locally(network),
        }
    }

    /// Removes counters whose violations are all older than the window.
    pub(super) fn sweep(&self) {
        let since = self.clock.now().minus(self.window);
        self.local.retain(|_, moments| moments.back().is_some_and(|latest| *latest >= since));
    }

    /// Counts in Redis. Returns `None` if it is unavailable.
    async fn record_in_redis(&self, network: IpNet) -> Option<bool> {
        let shared = self.shared.as_ref()?;
        let asked = async {
            let mut connection = shared.redis.connection().await?;
            let window = u64::try_from(self.window.as_millis()).unwrap_or(u64::MAX);
            let mut call = shared.script.key(format!("natter:violations:{network}"));
            anyhow::Ok(call.arg(self.max_violations).arg(window).invoke_async::<bool>(&mut connection).await?)
        };
        match shared.redis.execute(REDIS_TIMEOUT, asked).await {
            Ok(is_enough) => Some(is_enough),
            Err(error) => {
                tracing::debug!(error = format!("{error:#}"), "redis unavailable, counting violations per instance");
                None
            }
        }
    }

    fn record_locally(&self, network: IpNet) -> bool {
        if self.local.len() >= MAX_NETWORKS && !self.local.contains_key(&network) {
            return false;
        }
        let now = self.clock.now();
        let is_enough = {
            let mut moments = self.local.entry(network).or_default();
            moments.push_back(now);
            if moments.len() > self.max_violations {
                moments.pop_front();
            }
            let since = now.minus(self.window);
            moments.len() == self.max_violations && moments.front().is_some_and(|first| *first >= since)
        };
        if is_enough {
            self.local.remove(&network);
        }
        is_enough
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A network that is unique to the test.
    fn somebody() -> IpNet {
        super::super::network::network_of_len(std::net::Ipv6Addr::from(uuid::Uuid::new_v4().as_u128()).into(), 64)
    }

    #[tokio::test]
    async fn only_the_violation_that_reaches_the_limit_bans() {
        let mut each = vec![vec![Violations::new(5, Duration::from_secs(60), Clock::system(), None)]];
        if let Some(pool) = stage::redis_pool() {
            let one = || Violations::new(5, Duration::from_secs(60), Clock::system(), Some(Redis::new(pool.clone())));
            each.push(vec![one(), one()]);
        }
        for instances in each {
            let network = somebody();
            let racing = (0..23).map(|n| instances[n % instances.len()].record(network));
            let bans = futures_util::future::join_all(racing).await.into_iter().filter(|is_ban| *is_ban).count();
            assert_eq!(bans, 4, "{} instances", instances.len());
            assert!(!instances[0].record(somebody()).await, "other networks are counted separately");
        }
    }

    #[tokio::test]
    async fn violations_outside_the_window_do_not_count() {
        let clock = Clock::stopped_at(Timestamp(0));
        let violations = Violations::new(3, Duration::from_secs(10), clock.clone(), None);
        let network = somebody();
        for seconds in [0, 6, 6, 6] {
            clock.advance(Duration::from_secs(seconds));
            assert!(!violations.record(network).await);
        }
        clock.advance(Duration::from_secs(1));
        assert!(violations.record(network).await);
        clock.advance(Duration::from_secs(60));
        assert!(!violations.record(somebody()).await);
        violations.sweep();
        assert_eq!(violations.local.len(), 1);
    }

    #[tokio::test]
    async fn a_limit_of_zero_disables_bans() {
        let violations = Violations::new(0, Duration::from_secs(10), Clock::system(), None);
        assert!(!violations.record(somebody()).await);
    }
}
