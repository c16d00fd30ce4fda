//! Cache of recently validated credentials.
//!
//! Many users and API clients may share an address, each with their own limits, so their calls
//! don't count against the address as well. Credentials are validated only after the flood guard
//! has counted the request, so the flood guard relies on the latest result for the same
//! credentials. Neither the credentials nor comparable hashes are stored: the hash is keyed with a
//! secret of this process.

use std::{
    hash::{BuildHasher as _, RandomState},
    time::Duration,
};

use moka::{policy::EvictionPolicy, sync::Cache};

/// Lifetime of a result.
const TTL: Duration = Duration::from_secs(60);
/// Maximum number of remembered credentials. Calls with other credentials count against their
/// address.
const CAPACITY: u64 = 20_000;

/// Credentials that this instance has recently found valid.
pub struct ValidCredentials {
    secret: RandomState,
    recent: Cache<u64, ()>,
}

impl Default for ValidCredentials {
    fn default() -> Self {
        Self::with_ttl(TTL)
    }
}

impl ValidCredentials {
    fn with_ttl(ttl: Duration) -> Self {
        let recent = Cache::builder().max_capacity(CAPACITY).time_to_live(ttl).eviction_policy(EvictionPolicy::lru());
        Self { secret: RandomState::new(), recent: recent.build() }
    }

    pub fn insert(&self, token: &str) {
        let hash = self.secret.hash_one(token);
        // Reads are cheaper than writes, and most calls repeat credentials.
        if !self.recent.contains_key(&hash) {
            self.recent.insert(hash, ());
        }
    }

    pub fn remove(&self, token: &str) {
        self.recent.invalidate(&self.secret.hash_one(token));
    }

    #[must_use]
    pub fn contains(&self, token: &str) -> bool {
        self.recent.contains_key(&self.secret.hash_one(token))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_valid_until_removed() {
        let valid = ValidCredentials::default();
        for token in ["nk_one", "nk_two"] {
            assert!(!valid.contains(token));
            valid.insert(token);
        }
        valid.remove("nk_two");
        assert_eq!(["nk_one", "nk_two", "nk_on", ""].map(|token| valid.contains(token)), [true, false, false, false]);
    }

    #[tokio::test]
    async fn credentials_expire_after_the_ttl() {
        let valid = ValidCredentials::with_ttl(Duration::from_millis(50));
        valid.insert("nk_one");
        stage::until(async || !valid.contains("nk_one")).await;
    }
}
