//! The key pool of one provider: which key is used next, which rests, which is switched off.
//!
//! A key rests for one model after a 429, for as long as the provider says, else for a back-off that doubles. It rests for all
//! models when its quota is spent. Keys of one project rest together, since a quota is the project's. A key is switched off by 401
//! and 403, and back on by the first request that succeeds with it:
//! one request is lent a key that is off when its time for a probe has come, or at once when no other key is left (whoever waits
//! for an answer is as good a probe as any). Server errors rest a key only where there are others, since they are seldom its fault.
//!
//! What a pool learns of a key it [tells](KeyPool::tell_to), so that other instances need not learn it by failures of their own.

mod health;

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};

use appcore::event::KeyFate;
use tokio::time::Instant;

use crate::{AiError, Secret};

pub use health::{KeyHealth, KeyState};

/// A rest after a 429 without a time starts with the pool's back-off and doubles up to this.
const LONGEST_REST: Duration = Duration::from_secs(60);
/// Rest of a key whose quota is spent, where the provider does not say when it is renewed.
const QUOTA_REST: Duration = Duration::from_secs(600);
/// The longest wait that is accepted from a provider.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 3_600);
/// Rest after [`FAILURES_BEFORE_REST`] server errors in a row.
const FAILURE_REST: Duration = Duration::from_secs(5);
const FAILURES_BEFORE_REST: u32 = 3;
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

#[derive(Debug)]
struct Rest {
    until: Instant,
    in_a_row: u32,
}

#[derive(Debug)]
struct Off {
    since: Instant,
    probe_at: Instant,
    wait: Duration,
    probing: bool,
}

/// Hears the key's place, the model that the news is about (none: all), and the news.
type Tell = Box<dyn Fn(usize, Option<&str>, KeyFate) + Send + Sync>;

/// Why no key could be lent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoKey {
    /// All that might serve are resting; the soonest is back after this time.
    Resting(Duration),
    /// All are switched off.
    Off,
}

/// A key while one request uses it.
pub struct KeyLease {
    pool: Arc<KeyPool>,
    index: usize,
    key: Option<Secret>,
    model: String,
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
    pub fn tell_to(&self, hearer: impl Fn(usize, Option<&str>, KeyFate) + Send + Sync + 'static) {
        let _ = self.tell.set(Box::new(hearer));
    }

    fn tell(&self, key: usize, model: Option<&str>, fate: KeyFate) {
        let is_short = matches!(fate, KeyFate::Rests(milliseconds) if milliseconds < SHORTEST_TOLD);
        if let (Some(tell), false) = (self.tell.get(), is_short) {
            tell(key, model, fate);
        }
    }

    /// Takes in what another instance has learned.
    pub fn hear(&self, key: usize, model: Option<&str>, fate: KeyFate) {
        let now = Instant::now();
        let mut state = self.state();
        let Some(slot) = state.slots.get_mut(key) else { return };
        match (fate, model) {
            (KeyFate::Rests(milliseconds), model) => {
                let until = now + Duration::from_millis(milliseconds).min(LONGEST_WAIT);
                let in_a_row = model.and_then(|model| slot.models.get(model)).map_or(0, |rest| rest.in_a_row);
                state.rest(key, model, until, in_a_row);
            }
            (KeyFate::Off, _) if slot.off.is_none() => slot.off = Some(Off::new(now, FIRST_PROBE)),
            (KeyFate::Off, _) => {}
            (KeyFate::On, _) => slot.off = None,
        }
    }

    /// Lends the least used key for `model`, leaving out those in `tried`.
    pub fn lend(self: &Arc<Self>, model: &str, tried: &[usize]) -> Result<KeyLease, NoKey> {
        let now = Instant::now();
        let mut state = self.state();
        if let Some(wait) = state.wait_for_minute(self.requests_per_minute, now) {
            return Err(NoKey::Resting(wait));
        }
        let fresh = |index: &usize| !tried.contains(index);
        let ready = (0..state.slots.len())
            .filter(fresh)
            .filter(|&index| state.slots[index].is_ready(model, now))
            .min_by_key(|&index| (state.slots[index].in_flight, state.slots[index].used));
        let index = match ready {
            Some(index) => index,
            None => match state.soonest(model, now) {
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
        Ok(KeyLease { pool: Arc::clone(self), index, key, model: model.to_owned() })
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
    fn rest(&mut self, key: usize, model: Option<&str>, until: Instant, in_a_row: u32) {
        let project = self.slots[key].project.clone();
        let concerned =
            |(index, slot): &(usize, &mut Slot)| *index == key || (project.is_some() && slot.project == project);
        for (_, slot) in self.slots.iter_mut().enumerate().filter(concerned) {
            match model {
                Some(model) => _ = slot.models.insert(model.to_owned(), Rest { until, in_a_row }),
                None => slot.resting_until = Some(until),
            }
        }
    }

    /// The time until the first enabled key has rested.
    fn soonest(&self, model: &str, now: Instant) -> Option<Duration> {
        let on = self.slots.iter().filter(|slot| slot.off.is_none());
        let rests = on.filter_map(|slot| slot.rested_at(model)).filter(|&until| until > now);
        rests.min().map(|until| until - now)
    }
}

impl Off {
    fn new(now: Instant, wait: Duration) -> Self {
        Self { since: now, probe_at: now + wait, wait, probing: false }
    }
}

fn milliseconds(wait: Duration) -> u64 {
    u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)
}

impl Slot {
    fn is_ready(&self, model: &str, now: Instant) -> bool {
        let on = match &self.off {
            Some(off) => !off.probing && off.probe_at <= now,
            None => true,
        };
        on && self.rested_at(model).is_none_or(|until| until <= now)
    }

    fn rested_at(&self, model: &str) -> Option<Instant> {
        self.resting_until.max(self.models.get(model).map(|rest| rest.until))
    }
}

impl KeyLease {
    pub fn key(&self) -> Option<&Secret> {
        self.key.as_ref()
    }

    /// The last characters of the key, by which an operator knows it.
    pub fn tail(&self) -> &str {
        self.key.as_ref().map_or("", |key| tail(key.expose()))
    }

    /// This key's place in the pool, to leave it out when another is lent.
    pub fn index(&self) -> usize {
        self.index
    }

    /// Records a success.
    pub fn succeeded(&self) {
        let mut state = self.pool.state();
        let slot = &mut state.slots[self.index];
        slot.failures = 0;
        slot.resting_until = None;
        slot.models.remove(&self.model);
        let was_off = slot.off.take().is_some();
        drop(state);
        if was_off {
            self.pool.tell(self.index, None, KeyFate::On);
        }
    }

    /// Records a failure. Returns whether another key may succeed at once.
    pub fn failed(&self, error: &AiError) -> bool {
        let now = Instant::now();
        let mut state = self.pool.state();
        let alone = state.slots.len() == 1;
        let slot = &mut state.slots[self.index];
        slot.failed += 1;
        match error {
            AiError::Busy { retry_after } => {
                let in_a_row = slot.models.get(&self.model).map_or(0, |rest| rest.in_a_row);
                let backoff = self.pool.backoff.saturating_mul(1 << in_a_row.min(6)).min(LONGEST_REST);
                let wait = retry_after.map_or(backoff, |wait| wait.min(LONGEST_WAIT));
                state.rest(self.index, Some(&self.model), now + wait, in_a_row.saturating_add(1));
                drop(state);
                self.pool.tell(self.index, Some(&self.model), KeyFate::Rests(milliseconds(wait)));
                true
            }
            AiError::Quota => {
                state.rest(self.index, None, now + QUOTA_REST, 0);
                drop(state);
                self.pool.tell(self.index, None, KeyFate::Rests(milliseconds(QUOTA_REST)));
                true
            }
            AiError::Credentials => {
                let wait = slot.off.as_ref().map_or(FIRST_PROBE, |off| off.wait.saturating_mul(2).min(LAST_PROBE));
                let since = slot.off.as_ref().map_or(now, |off| off.since);
                let was_on = slot.off.replace(Off { since, ..Off::new(now, wait) }).is_none();
                drop(state);
                if was_on {
                    self.pool.tell(self.index, None, KeyFate::Off);
                }
                true
            }
            AiError::Unavailable { .. } | AiError::Timeout | AiError::Cut => {
                slot.failures = slot.failures.saturating_add(1);
                if slot.failures >= FAILURES_BEFORE_REST && !alone {
                    slot.failures = 0;
                    slot.resting_until = Some(now + FAILURE_REST);
                }
                false
            }
            _ => false,
        }
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

/// The last four characters of a key; none of one so short that they would give it away.
fn tail(key: &str) -> &str {
    let start = key.char_indices().rev().nth(3).map_or(0, |(start, _)| start);
    if key.len() < 12 { "" } else { &key[start..] }
}

impl Drop for KeyLease {
    fn drop(&mut self) {
        let mut state = self.pool.state();
        let slot = &mut state.slots[self.index];
        slot.in_flight = slot.in_flight.saturating_sub(1);
        if let Some(off) = &mut slot.off {
            off.probing = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODEL: &str = "m";

    fn pool(keys: &[&str]) -> Arc<KeyPool> {
        KeyPool::new(keys.iter().map(|&key| Secret::new(key)).collect(), None, Duration::from_secs(1))
    }

    fn lend(pool: &Arc<KeyPool>) -> KeyLease {
        pool.lend(MODEL, &[]).expect("a key")
    }

    fn busy(seconds: Option<u64>) -> AiError {
        AiError::Busy { retry_after: seconds.map(Duration::from_secs) }
    }

    fn name(lease: &KeyLease) -> &str {
        lease.key().map_or("none", Secret::expose)
    }

    #[tokio::test(start_paused = true)]
    async fn the_least_used_key_is_lent() {
        let pool = pool(&["a", "b"]);
        let first = lend(&pool);
        let second = lend(&pool);
        assert_eq!((name(&first), name(&second)), ("a", "b"));
        drop(second);
        assert_eq!(name(&lend(&pool)), "b", "a is still busy");
    }

    #[tokio::test(start_paused = true)]
    async fn a_busy_key_rests_for_its_model_as_long_as_it_was_told() {
        let pool = pool(&["a", "b"]);
        assert!(lend(&pool).failed(&busy(Some(30))));
        assert_eq!(name(&lend(&pool)), "b");
        assert_eq!(name(&pool.lend("other", &[]).expect("a key")), "a", "the rest is for one model");
        lend(&pool).failed(&busy(Some(10)));
        assert_eq!(pool.lend(MODEL, &[]).err(), Some(NoKey::Resting(Duration::from_secs(10))));
        tokio::time::advance(Duration::from_secs(10)).await;
        assert_eq!(name(&lend(&pool)), "b");
    }

    #[tokio::test(start_paused = true)]
    async fn keys_of_one_project_rest_together() {
        let pool = pool(&["work=aaaaaaaaaaaa1111", "work=aaaaaaaaaaaa2222", "other=aaaaaaaaaaaa3333"]);
        assert!(lend(&pool).failed(&busy(Some(30))));
        assert_eq!(name(&lend(&pool)), "aaaaaaaaaaaa3333");
        tokio::time::advance(Duration::from_secs(30)).await;
        assert_eq!(name(&lend(&pool)), "aaaaaaaaaaaa2222");
    }

    #[tokio::test(start_paused = true)]
    async fn what_one_instance_learns_another_one_knows() {
        let (here, there) = (pool(&["a", "b"]), pool(&["a", "b"]));
        let hearer = Arc::clone(&there);
        here.tell_to(move |key, model, fate| hearer.hear(key, model, fate));
        lend(&here).failed(&busy(Some(30)));
        assert_eq!(name(&lend(&there)), "b");
        assert_eq!(name(&there.lend("other", &[]).expect("a key")), "a", "the rest is for one model");
        here.lend("other", &[0]).expect("b").failed(&AiError::Credentials);
        assert_eq!(there.lend(MODEL, &[]).err(), Some(NoKey::Resting(Duration::from_secs(30))));
        tokio::time::advance(FIRST_PROBE).await;
        here.lend(MODEL, &[0]).expect("a probe").succeeded();
        assert_eq!(name(&there.lend(MODEL, &[0]).expect("b")), "b");
    }

    #[test]
    fn a_key_may_name_its_project() {
        assert_eq!(split_project("work=AIza1"), (Some("work"), "AIza1"));
        for key in ["sk-1", "YWJj", "abc=", "abc==", "ABC=x"] {
            assert_eq!(split_project(key), (None, key));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn rests_without_a_time_double_until_a_success() {
        let pool = pool(&["a"]);
        for seconds in [1, 2, 4] {
            lend(&pool).failed(&busy(None));
            assert_eq!(pool.lend(MODEL, &[]).err(), Some(NoKey::Resting(Duration::from_secs(seconds))));
            tokio::time::advance(Duration::from_secs(seconds)).await;
        }
        lend(&pool).succeeded();
        lend(&pool).failed(&busy(None));
        assert_eq!(pool.lend(MODEL, &[]).err(), Some(NoKey::Resting(Duration::from_secs(1))));
    }

    #[tokio::test(start_paused = true)]
    async fn a_refused_key_is_off_until_a_probe_succeeds() {
        let pool = pool(&["a", "b"]);
        lend(&pool).failed(&AiError::Credentials);
        assert_eq!(name(&lend(&pool)), "b");
        assert_eq!(name(&lend(&pool)), "b");
        tokio::time::advance(FIRST_PROBE).await;
        let probe = lend(&pool);
        assert_eq!(name(&probe), "a");
        assert_eq!(name(&lend(&pool)), "b", "one probe at a time");
        probe.succeeded();
        drop(probe);
        assert_eq!(name(&lend(&pool)), "a");
    }

    #[tokio::test(start_paused = true)]
    async fn with_all_keys_off_each_request_is_a_probe() {
        let pool = pool(&["a"]);
        lend(&pool).failed(&AiError::Credentials);
        let probe = lend(&pool);
        assert_eq!(pool.lend(MODEL, &[]).err(), Some(NoKey::Off));
        probe.succeeded();
        drop(probe);
        lend(&pool);
    }

    #[tokio::test(start_paused = true)]
    async fn server_errors_rest_a_key_only_where_there_are_others() {
        let alone = pool(&["a"]);
        let two = pool(&["a", "b"]);
        for _ in 0..FAILURES_BEFORE_REST {
            lend(&alone).failed(&AiError::Timeout);
            two.lend(MODEL, &[1]).expect("a").failed(&AiError::Timeout);
        }
        lend(&alone);
        assert_eq!(two.lend(MODEL, &[1]).err(), Some(NoKey::Resting(FAILURE_REST)));
        assert_eq!(name(&lend(&two)), "b");
    }

    #[tokio::test(start_paused = true)]
    async fn a_limit_per_minute_holds_requests_back() {
        let pool = KeyPool::new(Vec::new(), Some(2), Duration::from_secs(1));
        lend(&pool);
        tokio::time::advance(Duration::from_secs(20)).await;
        lend(&pool);
        assert_eq!(pool.lend(MODEL, &[]).err(), Some(NoKey::Resting(Duration::from_secs(40))));
        tokio::time::advance(Duration::from_secs(40)).await;
        lend(&pool);
    }
}
