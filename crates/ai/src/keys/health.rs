//! Health of a provider's keys, and manual control of them.

use std::time::Duration;

use tokio::time::Instant;

use super::{KeyPool, Slot, lease::tail};

/// Availability of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyState {
    Ready,
    /// Cooling down, for one model or for all.
    CoolingDown,
    /// Rejected by the provider.
    Disabled,
}

/// Health of a key, identified by its last characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyHealth {
    /// Index among the provider's keys.
    pub id: usize,
    /// False if the provider needs no key.
    pub has_key: bool,
    /// Last characters of the key. `None` if there is no key or it is too short to show any of it.
    pub tail: Option<String>,
    pub state: KeyState,
    /// Time until the key is ready or probed.
    pub wait: Option<Duration>,
    pub requests: u64,
    pub failures: u64,
}

impl KeyPool {
    pub fn health(&self) -> Vec<KeyHealth> {
        let now = Instant::now();
        self.state().slots.iter().enumerate().map(|(id, slot)| slot.health(id, now)).collect()
    }

    /// Cools a key down for this time, or enables it at once if `None`. Returns false if there is
    /// no such key.
    pub fn cool_down_key(&self, id: usize, wait: Option<Duration>) -> bool {
        let mut state = self.state();
        let Some(slot) = state.slots.get_mut(id) else { return false };
        slot.cooldown_until = wait.map(|wait| Instant::now() + wait);
        if wait.is_none() {
            slot.models.clear();
            slot.failures = 0;
            slot.disabled = None;
        }
        true
    }
}

impl Slot {
    fn health(&self, id: usize, now: Instant) -> KeyHealth {
        // A key that cools down only for large requests counts as ready.
        let rests = self.models.values().filter(|rest| rest.from == 0).map(|rest| rest.until);
        let rests = rests.chain(self.cooldown_until).filter(|until| *until > now);
        let (state, until) = match (&self.disabled, rests.max()) {
            (Some(off), _) => (KeyState::Disabled, Some(off.probe_at)),
            (None, Some(until)) => (KeyState::CoolingDown, Some(until)),
            (None, None) => (KeyState::Ready, None),
        };
        KeyHealth {
            id,
            has_key: self.key.is_some(),
            tail: self.key.as_ref().and_then(|key| tail(key.expose())).map(str::to_owned),
            state,
            wait: until.map(|until| until.saturating_duration_since(now)),
            requests: self.used,
            failures: self.failed,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{AiError, Secret};

    #[tokio::test(start_paused = true)]
    async fn cools_down_and_re_enables_keys_manually() {
        let keys = ["a-key-that-is-long-1234", "a-key-that-is-long-5678"].map(Secret::new);
        let pool: Arc<KeyPool> = KeyPool::new(keys.to_vec(), None, Duration::from_secs(1));
        assert!(pool.cool_down_key(0, Some(Duration::from_secs(60))) && !pool.cool_down_key(2, None));
        let lease = pool.acquire("m", 100, &[]).expect("the other key");
        assert_eq!(lease.index(), 1);
        lease.record_failure(&AiError::Credentials);
        drop(lease);
        let health = pool.health();
        assert_eq!((health[0].tail.as_deref(), health[0].state), (Some("1234"), KeyState::CoolingDown));
        assert_eq!(health[0].wait, Some(Duration::from_secs(60)));
        assert_eq!((health[1].state, health[1].requests, health[1].failures), (KeyState::Disabled, 1, 1));
        assert!(pool.cool_down_key(0, None) && pool.cool_down_key(1, None));
        assert!(pool.health().iter().all(|key| key.state == KeyState::Ready && key.wait.is_none()));
    }

    #[test]
    fn hides_the_tail_of_short_keys() {
        let tails = |keys: &[&str]| -> Vec<(bool, Option<String>)> {
            let keys = keys.iter().map(|&key| Secret::new(key)).collect();
            let health = KeyPool::new(keys, None, Duration::from_secs(1)).health();
            health.into_iter().map(|key| (key.has_key, key.tail)).collect()
        };
        assert_eq!(tails(&["short-1234", "no-longer-short-1234"]), [(true, None), (true, Some("1234".to_owned()))]);
        assert_eq!(tails(&[]), [(false, None)]);
    }
}
