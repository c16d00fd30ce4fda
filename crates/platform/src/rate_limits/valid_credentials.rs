//! Credentials that were valid a moment ago.
//!
//! Many people and programs may call from one address, each with limits of their own, so their calls don't count against the address as well. Whether
//! credentials are valid is known only behind the flood guard, which uses the latest result. Neither the credentials nor comparable hashes are kept:
//! the hash is keyed with a secret of this process.

use std::{
    hash::{BuildHasher as _, RandomState},
    time::Duration,
};

use crate::recent::Recent;

/// Lifetime of a result.
const TTL: Duration = Duration::from_secs(60);
/// Maximum number of credentials. Calls with others count against their address.
const CAPACITY: usize = 20_000;

/// The credentials that this instance has found valid.
pub struct ValidCredentials {
    secret: RandomState,
    recent: Recent<u64, ()>,
}

impl Default for ValidCredentials {
    fn default() -> Self {
        Self { secret: RandomState::new(), recent: Recent::for_a_time(CAPACITY, TTL) }
    }
}

impl ValidCredentials {
    pub fn insert(&self, token: &str) {
        let hash = self.secret.hash_one(token);
        // Reading is cheaper than writing, and most calls repeat credentials.
        if self.recent.get(&hash).is_none() {
            self.recent.insert(hash, ());
        }
    }

    pub fn remove(&self, token: &str) {
        self.recent.remove(&self.secret.hash_one(token));
    }

    #[must_use]
    pub fn contains(&self, token: &str) -> bool {
        self.recent.get(&self.secret.hash_one(token)).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn credentials_count_as_valid_for_a_minute_or_until_they_are_refused() {
        let valid = ValidCredentials::default();
        for token in ["nk_one", "nk_two"] {
            assert!(!valid.contains(token));
            valid.insert(token);
        }
        valid.remove("nk_two");
        assert_eq!(["nk_one", "nk_two", "nk_on", ""].map(|token| valid.contains(token)), [true, false, false, false]);
        tokio::time::advance(TTL / 2 - Duration::from_secs(1)).await;
        assert!(valid.contains("nk_one"));
        tokio::time::advance(TTL / 2 + Duration::from_secs(1)).await;
        assert!(!valid.contains("nk_one"));
    }
}
