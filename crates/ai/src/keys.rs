//! Key pool of one provider: selects the key of the next request, cools keys down, and disables
//! them.
//!
//! A key cools down for one model after a 429: for the time that the provider says, otherwise with
//! exponential backoff. If no other key is ready it is retried sooner, because a provider's delay
//! is often longer than necessary and no user is answered meanwhile. It cools down for all models
//! when its quota is spent. Keys of one project cool down together, since the quota is the
//! project's. A key is disabled by 401 and 403 and re-enabled by the first request that succeeds
//! with it: a disabled key is lent to one request when its probe is due, or at once if no other key
//! is left. Server errors cool a key down only if there are other keys, since they are seldom the
//! key's fault.
//!
//! A 429 for a large request may be caused by its size: it is refused while smaller ones are
//! answered. The key then cools down only for large requests, and the first small one that is
//! refused too cools it down for all. So no user blocks a model for others by sending large
//! requests.
//!
//! Key state changes are [published](KeyPool::tell_to), so that other instances need not learn them
//! from failures of their own. Cooldowns for large requests are not published; each instance learns
//! them from one failure.

mod health;
mod lease;
#[cfg(test)]
mod tests;

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};

use appcore::event::ProviderKeyChange;
use tokio::time::Instant;

pub use self::{
    health::{KeyHealth, KeyState},
    lease::KeyLease,
};
use crate::Secret;

/// Maximum delay accepted from a provider.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(24 * 3_600);
/// First delay before a disabled key is probed; doubles up to [`MAX_PROBE_DELAY`].
const FIRST_PROBE_DELAY: Duration = Duration::from_secs(30);
const MAX_PROBE_DELAY: Duration = Duration::from_secs(600);
/// Shorter cooldowns, in milliseconds, are not published, because they end before other instances
/// learn of them.
const MIN_PUBLISHED_MS: u64 = 2_000;
const MINUTE: Duration = Duration::from_secs(60);

/// Keys of one provider.
pub struct KeyPool {
    listener: OnceLock<StateListener>,
    requests_per_minute: Option<u32>,
    /// First cooldown after a 429 that names no delay. It must not exceed the delay before the next
    /// attempt; otherwise each attempt would find the key still cooling down.
    backoff: Duration,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    slots: Vec<Slot>,
    /// Start times of the last minute's requests; kept only with a per-minute limit.
    started: VecDeque<Instant>,
}

#[derive(Debug, Default)]
struct Slot {
    /// API key; `None` for a provider that needs none.
    key: Option<Secret>,
    in_flight: u32,
    used: u64,
    failed: u64,
    /// Number of consecutive server errors.
    failures: u32,
    /// Cooldowns per model, with the number of consecutive 429s.
    models: HashMap<String, Cooldown>,
    cooldown_until: Option<Instant>,
    disabled: Option<DisabledKey>,
    /// Project whose quota the key uses.
    project: Option<String>,
}

#[derive(Debug, Clone, Copy)]
struct Cooldown {
    until: Instant,
    consecutive: u32,
    /// Minimum size of the requests that the cooldown applies to, in tokens; 0 for all requests.
    from: u64,
}

#[derive(Debug)]
struct DisabledKey {
    since: Instant,
    probe_at: Instant,
    wait: Duration,
    probing: bool,
}

/// Listener for state changes: the key's index, the model (`None`: all), and the change.
type StateListener = Box<dyn Fn(usize, Option<&str>, ProviderKeyChange) + Send + Sync>;

/// Reason why no key could be lent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoKeyAvailable {
    /// All eligible keys are cooling down; the first is ready after this time.
    CoolingDown(Duration),
    /// All keys are disabled.
    Disabled,
}

impl KeyPool {
    pub fn new(keys: Vec<Secret>, requests_per_minute: Option<u32>, backoff: Duration) -> Arc<Self> {
        let slot = |written: Secret| {
            let (project, key) = split_project(written.expose());
            Slot { key: Some(Secret::new(key)), project: project.map(str::to_owned), ..Slot::default() }
        };
        let mut slots: Vec<Slot> = keys.into_iter().map(slot).collect();
        if slots.is_empty() {
            slots.push(Slot::default());
        }
        let state = Mutex::new(State { slots, started: VecDeque::new() });
        Arc::new(Self { listener: OnceLock::new(), requests_per_minute, backoff, state })
    }

    /// Sets the listener for state changes; later calls are ignored.
    pub fn set_listener(&self, hearer: impl Fn(usize, Option<&str>, ProviderKeyChange) + Send + Sync + 'static) {
        let _ = self.listener.set(Box::new(hearer));
    }

    fn publish_state(&self, key: usize, model: Option<&str>, fate: ProviderKeyChange) {
        let is_short = matches!(fate, ProviderKeyChange::Paused(milliseconds) if milliseconds < MIN_PUBLISHED_MS);
        if let (Some(publish_state), false) = (self.listener.get(), is_short) {
            publish_state(key, model, fate);
        }
    }

    /// Applies a state change of another instance.
    pub fn apply_state(&self, key: usize, model: Option<&str>, fate: ProviderKeyChange) {
        let now = Instant::now();
        let mut state = self.state();
        let Some(slot) = state.slots.get_mut(key) else { return };
        match (fate, model) {
            (ProviderKeyChange::Paused(milliseconds), model) => {
                let until = now + Duration::from_millis(milliseconds).min(MAX_RETRY_AFTER);
                let before = model.and_then(|model| slot.models.get(model)).filter(|rest| rest.from == 0);
                let rest = Cooldown { until, consecutive: before.map_or(0, |rest| rest.consecutive), from: 0 };
                state.cool_down(key, model, rest, now);
            }
            (ProviderKeyChange::Disabled, _) if slot.disabled.is_none() => {
                slot.disabled = Some(DisabledKey::new(now, FIRST_PROBE_DELAY))
            }
            (ProviderKeyChange::Disabled, _) => {}
            (ProviderKeyChange::Enabled, _) => slot.disabled = None,
        }
    }

    /// Lends the least used key for a request of `size` tokens to `model`, except those in `tried`.
    /// `size` includes the maximum output, as providers count it.
    pub fn acquire(self: &Arc<Self>, model: &str, size: u64, tried: &[usize]) -> Result<KeyLease, NoKeyAvailable> {
        let now = Instant::now();
        let mut state = self.state();
        if let Some(wait) = state.wait_for_minute(self.requests_per_minute, now) {
            return Err(NoKeyAvailable::CoolingDown(wait));
        }
        let fresh = |index: &usize| !tried.contains(index);
        let ready = (0..state.slots.len())
            .filter(fresh)
            .filter(|&index| state.slots[index].is_ready(model, size, now))
            .min_by_key(|&index| (state.slots[index].in_flight, state.slots[index].used));
        let index = match ready {
            Some(index) => index,
            None => match state.next_ready(model, size, now) {
                Some(wait) => return Err(NoKeyAvailable::CoolingDown(wait)),
                None => (0..state.slots.len())
                    .filter(fresh)
                    .filter(|&index| state.slots[index].disabled.as_ref().is_some_and(|off| !off.probing))
                    .min_by_key(|&index| state.slots[index].disabled.as_ref().map(|off| off.since))
                    .ok_or(NoKeyAvailable::Disabled)?,
            },
        };
        let slot = &mut state.slots[index];
        slot.in_flight += 1;
        slot.used += 1;
        if let Some(off) = &mut slot.disabled {
            off.probing = true;
        }
        let key = slot.key.clone();
        if self.requests_per_minute.is_some() {
            state.started.push_back(now);
        }
        drop(state);
        Ok(KeyLease { pool: Arc::clone(self), index, key, model: model.to_owned(), size })
    }

    // The state is consistent between any two statements, so a poisoned lock is safe to use.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn wait_for_minute(&mut self, limit: Option<u32>, now: Instant) -> Option<Duration> {
        let limit = limit? as usize;
        while self.started.front().is_some_and(|&started| now.duration_since(started) >= MINUTE) {
            self.started.pop_front();
        }
        (self.started.len() >= limit)
            .then(|| self.started.front().map_or(MINUTE, |&oldest| MINUTE - now.duration_since(oldest)))
    }

    /// Cools down a key and those of its project, for one model or for all.
    fn cool_down(&mut self, key: usize, model: Option<&str>, rest: Cooldown, now: Instant) {
        let project = self.slots[key].project.clone();
        let concerned =
            |(index, slot): &(usize, &mut Slot)| *index == key || (project.is_some() && slot.project == project);
        for (_, slot) in self.slots.iter_mut().enumerate().filter(concerned) {
            match model {
                // The key already cools down for requests of this size, so another 429 for a large
                // request changes nothing.
                Some(model) if rest.from > 0 && slot.is_cooling_down(model, rest.from, now) => {}
                Some(model) => _ = slot.models.insert(model.to_owned(), rest),
                None => slot.cooldown_until = Some(rest.until),
            }
        }
    }

    /// Time until the first enabled key is ready.
    fn next_ready(&self, model: &str, size: u64, now: Instant) -> Option<Duration> {
        let on = self.slots.iter().filter(|slot| slot.disabled.is_none());
        let rests = on.filter_map(|slot| slot.ready_at(model, size)).filter(|&until| until > now);
        rests.min().map(|until| until - now)
    }

    /// True if a key of another project could be lent for the same request.
    fn has_other(&self, key: usize, model: &str, size: u64, now: Instant) -> bool {
        let project = &self.slots[key].project;
        let is_other =
            |(index, slot): &(usize, &Slot)| *index != key && (project.is_none() || slot.project != *project);
        self.slots.iter().enumerate().filter(is_other).any(|(_, slot)| slot.is_ready(model, size, now))
    }
}

impl DisabledKey {
    fn new(now: Instant, wait: Duration) -> Self {
        Self { since: now, probe_at: now + wait, wait, probing: false }
    }
}

impl Slot {
    fn is_ready(&self, model: &str, size: u64, now: Instant) -> bool {
        let on = match &self.disabled {
            Some(off) => !off.probing && off.probe_at <= now,
            None => true,
        };
        on && self.ready_at(model, size).is_none_or(|until| until <= now)
    }

    fn ready_at(&self, model: &str, size: u64) -> Option<Instant> {
        let rest = self.models.get(model).filter(|rest| size >= rest.from);
        self.cooldown_until.max(rest.map(|rest| rest.until))
    }

    /// True if the key cools down for requests of this size to this model.
    fn is_cooling_down(&self, model: &str, size: u64, now: Instant) -> bool {
        self.models.get(model).is_some_and(|rest| size >= rest.from && rest.until > now)
    }
}

/// Splits a configured key: `project=key`, or the key alone. A trailing `=` is base64 padding of a
/// key.
pub(crate) fn split_project(written: &str) -> (Option<&str>, &str) {
    let is_name = |name: &str| {
        (1..=32).contains(&name.len())
            && name
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_'))
    };
    match written.split_once('=') {
        Some((name, key)) if is_name(name) && !key.is_empty() && !key.starts_with('=') => (Some(name), key),
        _ => (None, written),
    }
}
