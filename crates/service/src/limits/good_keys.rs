//! API keys that were good a moment ago.
//!
//! A backend calls from one address with a key that has limits of its own, so that its calls need not count against the address as well. Whether
//! a key is good is known only behind the flood guard; before it there is but what was found of it last. Neither the keys are kept nor what others
//! could compare with theirs: a hash with a secret that ends with this process.

use std::{
    hash::{BuildHasher as _, RandomState},
    time::Duration,
};

use crate::recent::Recent;

/// For so long a key is taken to be good, at most.
const GOOD: Duration = Duration::from_secs(60);
/// More are not remembered: their calls count against their addresses, as all others do.
const MOST: usize = 20_000;

/// The keys that this instance has found to be good.
pub struct GoodKeys {
    secret: RandomState,
    recent: Recent<u64, ()>,
}

impl Default for GoodKeys {
    fn default() -> Self {
        Self { secret: RandomState::new(), recent: Recent::for_a_time(MOST, GOOD) }
    }
}

impl GoodKeys {
    /// It has been found good.
    pub fn learn(&self, key: &str) {
        self.recent.insert(self.secret.hash_one(key), ());
    }

    /// It is not good, or no longer.
    pub fn forget(&self, key: &str) {
        self.recent.remove(&self.secret.hash_one(key));
    }

    #[must_use]
    pub fn knows(&self, key: &str) -> bool {
        self.recent.get(&self.secret.hash_one(key)).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_key_is_good_for_a_minute_at_most_or_until_it_is_refused() {
        let keys = GoodKeys::default();
        for key in ["nk_one", "nk_two"] {
            assert!(!keys.knows(key));
            keys.learn(key);
        }
        keys.forget("nk_two");
        assert_eq!(["nk_one", "nk_two", "nk_on", ""].map(|key| keys.knows(key)), [true, false, false, false]);
        tokio::time::advance(GOOD / 2 - Duration::from_secs(1)).await;
        assert!(keys.knows("nk_one"));
        tokio::time::advance(GOOD / 2 + Duration::from_secs(1)).await;
        assert!(!keys.knows("nk_one"));
    }
}
