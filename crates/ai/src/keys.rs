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

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};

use appcore::event::KeyFate;
use tokio::time::Instant;

use crate::{AiError, Secret, wire::failure::LONGEST_ASKED};

pub use health::{KeyHealth, KeyState};

/// A rest after a 429 without a time starts with the pool's back-off and doubles up to this.
const LONGEST_REST: Duration = Duration::from_secs(60);
/// Rest of a key whose quota is spent, where the provider does not say when it is renewed.
const QUOTA_REST: Duration = Duration::from_secs(600);
/// The longest wait that is accepted from a provider.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 3_600);
/// First rest after a 429 with a time, where no other key is ready; doubles up to that time.
const FIRST_LONE_REST: Duration = Duration::from_secs(30);
/// A question of more tokens is a large one.
const LARGE: u64 = 20_000;
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
    /// Tokens of the question and the most of its answers.
    size: u64,
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
                let before = model.and_then(|model| slot.models.get(model)).filter(|rest| rest.from == 0);
                let rest = Rest { until, in_a_row: before.map_or(0, |rest| rest.in_a_row), from: 0 };
                state.rest(key, model, rest, now);
            }
            (KeyFate::Off, _) if slot.off.is_none() => slot.off = Some(Off::new(now, FIRST_PROBE)),
            (KeyFate::Off, _) => {}
            (KeyFate::On, _) => slot.off = None,
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

fn milliseconds(wait: Duration) -> u64 {
    u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)
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

impl KeyLease {
    pub fn key(&self) -> Option<&Secret> {
        self.key.as_ref()
    }

    /// The last characters of the key, by which an operator knows it, where it has enough to show them.
    pub fn tail(&self) -> Option<&str> {
        self.key.as_ref().and_then(|key| tail(key.expose()))
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
        // A small question says nothing of large ones.
        if slot.models.get(&self.model).is_some_and(|rest| self.size >= rest.from) {
            slot.models.remove(&self.model);
        }
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
                let from = if self.size > LARGE { self.size / 2 } else { 0 };
                let before = slot.models.get(&self.model).filter(|rest| (rest.from > 0) == (from > 0)).copied();
                // Of questions that were under way together all are refused: that is one time.
                let in_a_row = before.map_or(0, |rest| rest.in_a_row.saturating_sub(u32::from(rest.until > now)));
                let is_alone = !state.has_other(self.index, &self.model, self.size, now);
                let wait = match *retry_after {
                    None => self.pool.backoff.saturating_mul(1 << in_a_row.min(6)).min(LONGEST_REST),
                    // Only the renewal of a day's quota is so far away, and known.
                    Some(asked) if asked > LONGEST_ASKED => asked.min(LONGEST_WAIT),
                    Some(asked) if is_alone => asked.min(FIRST_LONE_REST.saturating_mul(1 << in_a_row.min(7))),
                    Some(asked) => asked,
                };
                let rest = Rest { until: now + wait, in_a_row: in_a_row.saturating_add(1), from };
                state.rest(self.index, Some(&self.model), rest, now);
                drop(state);
                if from == 0 {
                    self.pool.tell(self.index, Some(&self.model), KeyFate::Rests(milliseconds(wait)));
                }
                true
            }
            AiError::Quota => {
                state.rest(self.index, None, Rest { until: now + QUOTA_REST, in_a_row: 0, from: 0 }, now);
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

/// The last four characters of a key; `None` where it is so short that they would give it away.
fn tail(key: &str) -> Option<&str> {
    let start = key.char_indices().rev().nth(3).map_or(0, |(start, _)| start);
    (key.len() >= 12).then(|| &key[start..])
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
    const SMALL: u64 = 1_000;

    fn pool(keys: &[&str]) -> Arc<KeyPool> {
        KeyPool::new(keys.iter().map(|&key| Secret::new(key)).collect(), None, Duration::from_secs(1))
    }

    fn lend(pool: &Arc<KeyPool>) -> KeyLease {
        pool.lend(MODEL, SMALL, &[]).expect("a key")
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
        assert_eq!(name(&pool.lend("other", SMALL, &[]).expect("a key")), "a", "the rest is for one model");
        lend(&pool).failed(&busy(Some(10)));
        assert_eq!(pool.lend(MODEL, SMALL, &[]).err(), Some(NoKey::Resting(Duration::from_secs(10))));
        tokio::time::advance(Duration::from_secs(10)).await;
        assert_eq!(name(&lend(&pool)), "b");
    }

    #[tokio::test(start_paused = true)]
    async fn a_question_rests_a_key_for_what_is_its_own_fault_alone() {
        let (limited, told) = (|| busy(None), || busy(Some(3_600)));
        // What was asked, what came of it, and whether a small question, and one as large, is lent the key a moment later.
        for (size, error, small, as_large) in [
            (SMALL, limited(), false, false),
            (SMALL, told(), false, false),
            (LARGE, limited(), false, false),
            (LARGE + 1, limited(), true, false),
            (400_000, limited(), true, false),
            (400_000, told(), true, false),
            (400_000, AiError::Quota, false, false),
            (400_000, AiError::TooLong, true, true),
            (400_000, AiError::Rejected, true, true),
            (400_000, AiError::Declined, true, true),
            (400_000, AiError::UnknownModel, true, true),
            (400_000, AiError::Barred, true, true),
            (400_000, AiError::WrongCountry, true, true),
            (400_000, AiError::Timeout, true, true),
            (400_000, AiError::Cut, true, true),
        ] {
            let pool = pool(&["a"]);
            pool.lend(MODEL, size, &[]).expect("a key").failed(&error);
            assert_eq!(pool.lend(MODEL, SMALL, &[]).is_ok(), small, "a small one after {size}: {error:?}");
            assert_eq!(pool.lend(MODEL, size, &[]).is_ok(), as_large, "one of {size} after {error:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_large_question_rests_a_key_for_half_its_size_until_a_small_one_is_refused_too() {
        let pool = pool(&["a"]);
        let is_lent = |size| pool.lend(MODEL, size, &[]).is_ok();
        pool.lend(MODEL, 400_000, &[]).expect("a key").failed(&busy(Some(20)));
        assert_eq!([SMALL, LARGE, 199_999, 200_000].map(is_lent), [true, true, true, false]);
        // The answer to a small one says nothing of large ones.
        lend(&pool).succeeded();
        assert!(!is_lent(400_000));
        let late = pool.lend(MODEL, 150_000, &[]).expect("a key");
        lend(&pool).failed(&busy(Some(10)));
        assert_eq!([SMALL, 199_999, 400_000].map(is_lent), [false; 3]);
        // What a large one is told now neither lifts nor prolongs it.
        late.failed(&busy(Some(3_000)));
        assert_eq!(pool.lend(MODEL, SMALL, &[]).err(), Some(NoKey::Resting(Duration::from_secs(10))));
        tokio::time::advance(Duration::from_secs(10)).await;
        assert_eq!([SMALL, 400_000].map(is_lent), [true, true]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_lone_key_is_tried_again_before_its_time_and_ever_later() {
        let pool = pool(&["a"]);
        for seconds in [30, 60, 120, 200, 200] {
            lend(&pool).failed(&busy(Some(200)));
            assert_eq!(pool.lend(MODEL, SMALL, &[]).err(), Some(NoKey::Resting(Duration::from_secs(seconds))));
            tokio::time::advance(Duration::from_secs(seconds)).await;
        }
        lend(&pool).succeeded();
        // Those that were under way together are refused together.
        let together: Vec<KeyLease> = (0..9).map(|_| lend(&pool)).collect();
        together.iter().for_each(|lease| _ = lease.failed(&busy(Some(200))));
        assert_eq!(pool.lend(MODEL, SMALL, &[]).err(), Some(NoKey::Resting(Duration::from_secs(30))));
        // The renewal of a day's quota is waited for.
        let day = KeyPool::new(vec![Secret::new("a")], None, Duration::from_secs(1));
        lend(&day).failed(&busy(Some(20 * 3_600)));
        assert_eq!(day.lend(MODEL, SMALL, &[]).err(), Some(NoKey::Resting(Duration::from_secs(20 * 3_600))));
        // A key of the same project is no other one.
        let project = self::pool(&["work=aaaaaaaaaaaa1111", "work=aaaaaaaaaaaa2222"]);
        lend(&project).failed(&busy(Some(200)));
        assert_eq!(project.lend(MODEL, SMALL, &[]).err(), Some(NoKey::Resting(Duration::from_secs(30))));
    }

    #[tokio::test(start_paused = true)]
    async fn of_a_large_question_no_other_instance_hears() {
        let (here, there) = (pool(&["a"]), pool(&["a"]));
        let hearer = Arc::clone(&there);
        here.tell_to(move |key, model, fate| hearer.hear(key, model, fate));
        here.lend(MODEL, 400_000, &[]).expect("a key").failed(&busy(Some(20)));
        there.lend(MODEL, 400_000, &[]).expect("it learns that by itself");
        lend(&here).failed(&busy(Some(20)));
        assert_eq!(there.lend(MODEL, SMALL, &[]).err(), Some(NoKey::Resting(Duration::from_secs(20))));
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
        assert_eq!(name(&there.lend("other", SMALL, &[]).expect("a key")), "a", "the rest is for one model");
        here.lend("other", SMALL, &[0]).expect("b").failed(&AiError::Credentials);
        assert_eq!(there.lend(MODEL, SMALL, &[]).err(), Some(NoKey::Resting(Duration::from_secs(30))));
        tokio::time::advance(FIRST_PROBE).await;
        here.lend(MODEL, SMALL, &[0]).expect("a probe").succeeded();
        assert_eq!(name(&there.lend(MODEL, SMALL, &[0]).expect("b")), "b");
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
            assert_eq!(pool.lend(MODEL, SMALL, &[]).err(), Some(NoKey::Resting(Duration::from_secs(seconds))));
            tokio::time::advance(Duration::from_secs(seconds)).await;
        }
        lend(&pool).succeeded();
        lend(&pool).failed(&busy(None));
        assert_eq!(pool.lend(MODEL, SMALL, &[]).err(), Some(NoKey::Resting(Duration::from_secs(1))));
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
        assert_eq!(pool.lend(MODEL, SMALL, &[]).err(), Some(NoKey::Off));
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
            two.lend(MODEL, SMALL, &[1]).expect("a").failed(&AiError::Timeout);
        }
        lend(&alone);
        assert_eq!(two.lend(MODEL, SMALL, &[1]).err(), Some(NoKey::Resting(FAILURE_REST)));
        assert_eq!(name(&lend(&two)), "b");
    }

    #[tokio::test(start_paused = true)]
    async fn a_limit_per_minute_holds_requests_back() {
        let pool = KeyPool::new(Vec::new(), Some(2), Duration::from_secs(1));
        lend(&pool);
        tokio::time::advance(Duration::from_secs(20)).await;
        lend(&pool);
        assert_eq!(pool.lend(MODEL, SMALL, &[]).err(), Some(NoKey::Resting(Duration::from_secs(40))));
        tokio::time::advance(Duration::from_secs(40)).await;
        lend(&pool);
    }
}
