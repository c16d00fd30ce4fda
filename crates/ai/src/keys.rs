//! The key pool of one provider: which key is used next, which rests, which is switched off.
//!
//! A key rests for one model after a 429, for as long as the provider says, else for a back-off that doubles. Where no other key is ready it is
//! tried again sooner: a provider's wait is often longer than it has to be, and nobody is answered meanwhile. It rests for all
//! models when its quota is spent. Keys of one project rest together, since a quota is the project's. A key is switched off by 401
//! and 403, and back on by the first request that succeeds with it:
//! one request is lent a key that is off when its time for a probe has come, or at once when no other key is left (whoever waits
//! for an answer is as good a probe as any). Server errors rest a key only where there are others, since they are seldom its fault.
//!
//! A 429 for a large question may be that question's fault: it is refused while smaller ones are answered. So the key rests for large ones alone,
//! and the first small one that is refused as well makes it a rest for all. Nobody takes a model from others by asking too much.
//!
//! What a pool learns of a key it [tells](KeyPool::tell_to), so that other instances need not learn it by failures of their own; but for the
//! rests from large questions, which they learn at the cost of one.

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

/// The longest wait that is accepted from a provider.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 3_600);
/// First wait before a key that was switched off is probed; doubles up to [`LAST_PROBE`].
const FIRST_PROBE: Duration = Duration::from_secs(30);
const LAST_PROBE: Duration = Duration::from_secs(600);
/// A shorter rest, in milliseconds, is over before others know of it.
const SHORTEST_TOLD: u64 = 2_000;
const MINUTE: Duration = Duration::from_secs(60);

/// The keys of one provider.
pub struct KeyPool {
    tell: OnceLock<Tell>,
    requests_per_minute: Option<u32>,
    /// First rest after a 429 without a time: no longer than the wait before the next try, or each try would come too early.
    backoff: Duration,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    slots: Vec<Slot>,
    /// When the requests of the last minute started; kept only under a limit per minute.
    started: VecDeque<Instant>,
}

#[derive(Debug, Default)]
struct Slot {
    /// `None`: a provider that asks for no key.
    key: Option<Secret>,
    in_flight: u32,
    used: u64,
    failed: u64,
    /// Server errors in a row.
    failures: u32,
    /// Rests of the key for a model, with the 429s in a row that led to them.
    models: HashMap<String, Rest>,
    resting_until: Option<Instant>,
    off: Option<Off>,
    /// Whose quota the key uses.
    project: Option<String>,
}

#[derive(Debug, Clone, Copy)]
struct Rest {
    until: Instant,
    in_a_row: u32,
    /// It is for questions of so many tokens and more. 0: for all.
    from: u64,
}

#[derive(Debug)]
struct Off {
    since: Instant,
    probe_at: Instant,
    wait: Duration,
    probing: bool,
}

/// Hears the key's place, the model that the news is about (none: all), and the news.
type Tell = Box<dyn Fn(usize, Option<&str>, ProviderKeyChange) + Send + Sync>;

/// Why no key could be lent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoKey {
    /// All that might serve are resting; the soonest is back after this time.
    Resting(Duration),
    /// All are switched off.
    Off,
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
        Arc::new(Self { tell: OnceLock::new(), requests_per_minute, backoff, state })
    }

    /// Names who hears what is learned of the keys. Only the first one does.
    pub fn tell_to(&self, hearer: impl Fn(usize, Option<&str>, ProviderKeyChange) + Send + Sync + 'static) {
        let _ = self.tell.set(Box::new(hearer));
    }

    fn tell(&self, key: usize, model: Option<&str>, fate: ProviderKeyChange) {
        let is_short = matches!(fate, ProviderKeyChange::Paused(milliseconds) if milliseconds < SHORTEST_TOLD);
        if let (Some(tell), false) = (self.tell.get(), is_short) {
            tell(key, model, fate);
        }
    }

    /// Takes in what another instance has learned.
    pub fn hear(&self, key: usize, model: Option<&str>, fate: ProviderKeyChange) {
        let now = Instant::now();
        let mut state = self.state();
        let Some(slot) = state.slots.get_mut(key) else { return };
        match (fate, model) {
            (ProviderKeyChange::Paused(milliseconds), model) => {
                let until = now + Duration::from_millis(milliseconds).min(LONGEST_WAIT);
                let before = model.and_then(|model| slot.models.get(model)).filter(|rest| rest.from == 0);
                let rest = Rest { until, in_a_row: before.map_or(0, |rest| rest.in_a_row), from: 0 };
                state.rest(key, model, rest, now);
            }
            (ProviderKeyChange::Disabled, _) if slot.off.is_none() => slot.off = Some(Off::new(now, FIRST_PROBE)),
            (ProviderKeyChange::Disabled, _) => {}
            (ProviderKeyChange::Enabled, _) => slot.off = None,
        }
    }

    /// Lends the least used key for a question of `size` tokens to `model`, leaving out those in `tried`. What its answers may have at most
    /// counts too, as providers count it.
    pub fn lend(self: &Arc<Self>, model: &str, size: u64, tried: &[usize]) -> Result<KeyLease, NoKey> {
        let now = Instant::now();
        let mut state = self.state();
        if let Some(wait) = state.wait_for_minute(self.requests_per_minute, now) {
            return Err(NoKey::Resting(wait));
        }
        let fresh = |index: &usize| !tried.contains(index);
        let ready = (0..state.slots.len())
            .filter(fresh)
            .filter(|&index| state.slots[index].is_ready(model, size, now))
            .min_by_key(|&index| (state.slots[index].in_flight, state.slots[index].used));
        let index = match ready {
            Some(index) => index,
            None => match state.soonest(model, size, now) {
                Some(wait) => return Err(NoKey::Resting(wait)),
                None => (0..state.slots.len())
                    .filter(fresh)
                    .filter(|&index| state.slots[index].off.as_ref().is_some_and(|off| !off.probing))
                    .min_by_key(|&index| state.slots[index].off.as_ref().map(|off| off.since))
                    .ok_or(NoKey::Off)?,
            },
        };
        let slot = &mut state.slots[index];
        slot.in_flight += 1;
        slot.used += 1;
        if let Some(off) = &mut slot.off {
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

    /// Rests a key, and those of its project, for a model or for all.
    fn rest(&mut self, key: usize, model: Option<&str>, rest: Rest, now: Instant) {
        let project = self.slots[key].project.clone();
        let concerned =
            |(index, slot): &(usize, &mut Slot)| *index == key || (project.is_some() && slot.project == project);
        for (_, slot) in self.slots.iter_mut().enumerate().filter(concerned) {
            match model {
                // What a large question was told is nothing new to a key that rests for it anyway.
                Some(model) if rest.from > 0 && slot.rests(model, rest.from, now) => {}
                Some(model) => _ = slot.models.insert(model.to_owned(), rest),
                None => slot.resting_until = Some(rest.until),
            }
        }
    }

    /// The time until the first enabled key has rested.
    fn soonest(&self, model: &str, size: u64, now: Instant) -> Option<Duration> {
        let on = self.slots.iter().filter(|slot| slot.off.is_none());
        let rests = on.filter_map(|slot| slot.rested_at(model, size)).filter(|&until| until > now);
        rests.min().map(|until| until - now)
    }

    /// Whether another key, of another project, could be lent for the same question.
    fn has_other(&self, key: usize, model: &str, size: u64, now: Instant) -> bool {
        let project = &self.slots[key].project;
        let is_other =
            |(index, slot): &(usize, &Slot)| *index != key && (project.is_none() || slot.project != *project);
        self.slots.iter().enumerate().filter(is_other).any(|(_, slot)| slot.is_ready(model, size, now))
    }
}

impl Off {
    fn new(now: Instant, wait: Duration) -> Self {
        Self { since: now, probe_at: now + wait, wait, probing: false }
    }
}

impl Slot {
    fn is_ready(&self, model: &str, size: u64, now: Instant) -> bool {
        let on = match &self.off {
            Some(off) => !off.probing && off.probe_at <= now,
            None => true,
        };
        on && self.rested_at(model, size).is_none_or(|until| until <= now)
    }

    fn rested_at(&self, model: &str, size: u64) -> Option<Instant> {
        let rest = self.models.get(model).filter(|rest| size >= rest.from);
        self.resting_until.max(rest.map(|rest| rest.until))
    }

    /// Whether it rests for questions of this size to this model, after a 429.
    fn rests(&self, model: &str, size: u64, now: Instant) -> bool {
        self.models.get(model).is_some_and(|rest| size >= rest.from && rest.until > now)
    }
}

/// A key as it is configured: `project=key`, or the key alone. What ends in `=` as base64 does is a key.
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
