//! What a call used, readable at any moment by whoever settles it.
//!
//! The provider's last report counts. Where an answer broke off before one came, the question is estimated by its bytes and the
//! answer by the text that was delivered; a call that delivered nothing costs nothing, unless its caller left while a provider was at work.

use std::{
    sync::{
        Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use crate::{GatewayError, chat::Finish};

/// Larger counts are a provider's mistake, and would not fit the sums of a month.
const MOST_TOKENS: u64 = 1_000_000_000;
/// What a provider is taken to write in a second, where nobody saw it.
const TOKENS_PER_SECOND: u64 = 60;

/// So long a provider may take to read a question, without writing anything that nobody sees.
const READING: Duration = Duration::from_secs(5);

/// How often tools that a provider runs itself are taken to be used for an answer, where nothing bounds them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AssumedUses {
    pub searches: u64,
    pub images: u64,
}

impl AssumedUses {
    /// More can be held for a stream as it goes on.
    pub const STREAM: Self = Self { searches: 10, images: 2 };
    /// An answer in one piece may have cost anything when it comes.
    pub const WHOLE: Self = Self { searches: 30, images: 4 };

    pub fn of(is_stream: bool) -> Self {
        if is_stream { Self::STREAM } else { Self::WHOLE }
    }
}

/// Models of OpenAI's that search the web for each answer, by what their names have in them.
const SEARCHING: [&str; 2] = ["-search-preview", "-search-api"];

/// Whether a model searches the web for each answer, which costs beside the tokens.
pub(crate) fn searches_always(model: &str) -> bool {
    SEARCHING.iter().any(|mark| model.contains(mark))
}

/// Uses of tools that a provider runs itself and bills beside the tokens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ToolUses {
    /// Of the web.
    pub searches: u64,
    /// Containers in which code runs, one for each of their gigabytes.
    pub containers: u64,
    /// Pictures that are made.
    pub images: u64,
}

/// Tokens of calls that a provider makes beside the one that answers: those by which Anthropic shortens a conversation on its way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Beside {
    /// `cached` and `cache_write` included.
    pub input: u64,
    pub cached: u64,
    pub cache_write: u64,
    pub output: u64,
    /// The most input of one of these calls: whether they are long ones.
    pub longest: u64,
}

impl Beside {
    fn plus(self, other: Self) -> Self {
        Self {
            input: self.input.saturating_add(other.input),
            cached: self.cached.saturating_add(other.cached),
            cache_write: self.cache_write.saturating_add(other.cache_write),
            output: self.output.saturating_add(other.output),
            longest: self.longest.max(other.longest),
        }
    }

    fn bounded(self) -> Self {
        Self {
            input: self.input.min(MOST_TOKENS),
            cached: self.cached.min(MOST_TOKENS),
            cache_write: self.cache_write.min(MOST_TOKENS),
            output: self.output.min(MOST_TOKENS),
            longest: self.longest.min(MOST_TOKENS),
        }
    }
}

/// Tokens, as the provider counted them; `None` where it did not say. Zero is a count.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// All of the question, `cached` and `cache_write` included.
    pub input: Option<u64>,
    /// Of the question, read from the provider's cache.
    pub cached: Option<u64>,
    /// Of the question, written to the provider's cache.
    pub cache_write: Option<u64>,
    /// All of the answer, `reasoning` included.
    pub output: Option<u64>,
    pub reasoning: Option<u64>,
    /// Audio of question and answer.
    pub audio: Option<u64>,
    /// Of it, that of the answer.
    pub audio_output: Option<u64>,
    /// Searches of the web that the provider ran.
    pub searches: Option<u64>,
    /// Containers in which it ran code, one for each of their gigabytes.
    pub containers: Option<u64>,
    /// Pictures that a tool of the provider's made.
    pub images: Option<u64>,
    /// Of all these tokens, those of other calls than the one that answers: each call is long or not by itself.
    pub beside: Beside,
    /// At least one of the counts is ours.
    pub estimated: bool,
}

impl Usage {
    /// This report with what a later one says differently.
    #[must_use]
    pub fn updated(self, later: Self) -> Self {
        Self {
            input: updated(self.input, later.input),
            cached: updated(self.cached, later.cached),
            cache_write: updated(self.cache_write, later.cache_write),
            output: updated(self.output, later.output),
            reasoning: updated(self.reasoning, later.reasoning),
            audio: later.audio.or(self.audio),
            audio_output: later.audio_output.or(self.audio_output),
            searches: later.searches.or(self.searches),
            containers: later.containers.or(self.containers),
            images: later.images.or(self.images),
            beside: if later.beside == Beside::default() { self.beside } else { later.beside },
            estimated: later.estimated,
        }
    }

    /// This and another one together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        let sum = |one: Option<u64>, other: Option<u64>| match (one, other) {
            (Some(one), Some(other)) => Some(one.saturating_add(other)),
            (one, other) => one.or(other),
        };
        Self {
            input: sum(self.input, other.input),
            cached: sum(self.cached, other.cached),
            cache_write: sum(self.cache_write, other.cache_write),
            output: sum(self.output, other.output),
            reasoning: sum(self.reasoning, other.reasoning),
            audio: sum(self.audio, other.audio),
            audio_output: sum(self.audio_output, other.audio_output),
            searches: sum(self.searches, other.searches),
            containers: sum(self.containers, other.containers),
            images: sum(self.images, other.images),
            beside: self.beside.plus(other.beside),
            estimated: self.estimated || other.estimated,
        }
    }

    #[must_use]
    pub fn total(&self) -> u64 {
        self.input.unwrap_or(0).saturating_add(self.output.unwrap_or(0))
    }

    /// What tools of the provider's did.
    #[must_use]
    pub fn tools(&self) -> ToolUses {
        let [searches, containers, images] =
            [self.searches, self.containers, self.images].map(|count| count.unwrap_or(0));
        ToolUses { searches, containers, images }
    }

    /// No count is larger than any question or answer can be.
    fn bounded(self) -> Self {
        let bound = |count: Option<u64>| count.map(|count| count.min(MOST_TOKENS));
        let bounded = Self {
            input: bound(self.input),
            cached: bound(self.cached),
            cache_write: bound(self.cache_write),
            output: bound(self.output),
            reasoning: bound(self.reasoning),
            audio: bound(self.audio),
            audio_output: bound(self.audio_output),
            searches: bound(self.searches),
            containers: bound(self.containers),
            images: bound(self.images),
            beside: self.beside.bounded(),
            estimated: self.estimated,
        };
        let estimated = self.estimated || bounded != self;
        Self { estimated, ..bounded }
    }
}

/// A count by a later report. Some servers end with one of nothing but zeros.
pub(crate) fn updated(before: Option<u64>, later: Option<u64>) -> Option<u64> {
    later.filter(|count| *count > 0).or(before).or(later)
}

/// Who answered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Served {
    pub provider: String,
    /// The upstream's name of the model.
    pub model: String,
    /// The last characters of the key, where it has enough to show them.
    pub key_tail: Option<String>,
}

/// The meter of one call.
#[derive(Debug, Default)]
pub struct Meter {
    state: Mutex<State>,
    first_token_at: OnceLock<Instant>,
    /// Tokens of the question by our estimate.
    asked: AtomicU64,
    /// Quarters of a token delivered, by our estimate.
    delivered: AtomicU64,
    /// Why the rest of the answer is not wanted.
    cut: OnceLock<GatewayError>,
}

#[derive(Debug, Default)]
struct State {
    reported: Option<Usage>,
    /// The answer is whole: no later report can come.
    is_closed: bool,
    finish: Option<Finish>,
    served: Served,
    tries: u32,
    /// Since when a provider is at work that has not refused.
    asked_at: Option<Instant>,
    /// The web is searched for the answer, whether the provider counts that or not.
    searches: bool,
}

impl State {
    /// Whether the last report tells all.
    fn is_final(&self) -> bool {
        self.is_closed && self.reported.is_some_and(|usage| usage.input.is_some() && usage.output.is_some())
    }

    /// Whether nothing is left to be told: the answer is whole, or it has ended and the provider has counted it.
    fn is_told(&self) -> bool {
        let is_counted = || self.reported.is_some_and(|usage| usage.output.is_some_and(|output| output > 0));
        self.is_closed || (self.finish.is_some() && is_counted())
    }

    /// With the search that the answer has cost, where there is one.
    fn searched(&self, usage: Usage) -> Usage {
        if !self.searches || usage.total() == 0 {
            return usage;
        }
        Usage { searches: Some(usage.searches.unwrap_or(0).max(1)), ..usage }
    }
}

impl Meter {
    /// What to bill: the rules of the module's head.
    #[must_use]
    pub fn usage(&self) -> Usage {
        let state = self.state();
        let delivered = self.delivered.load(Ordering::Relaxed).div_ceil(4);
        let asked = self.asked.load(Ordering::Relaxed);
        let usage = match state.reported {
            Some(usage) if state.is_final() || delivered == 0 => usage,
            // Some providers report while they stream; what they delivered after the last report counts.
            Some(usage) => {
                let output = usage.output.unwrap_or(0).max(delivered);
                let input = usage.input.unwrap_or(asked);
                let estimated = usage.input != Some(input) || usage.output != Some(output);
                Usage { input: Some(input), output: Some(output), estimated, ..usage }
            }
            None if delivered == 0 => Usage { input: Some(0), output: Some(0), ..Usage::default() },
            None => Usage { input: Some(asked), output: Some(delivered), estimated: true, ..Usage::default() },
        };
        state.searched(usage)
    }

    /// What to bill where the caller left before the end: what a provider was given to read, and at least what it will have written by
    /// `now`, of `most` tokens: what nobody saw before the first words, and those. Providers bill all of it, whoever still waits for it. What they have
    /// counted by then has their thoughts in it.
    #[must_use]
    pub fn usage_left(&self, now: Instant, most: u64) -> Usage {
        let usage = self.usage();
        let state = self.state();
        let Some(asked_at) = state.asked_at.filter(|_| !state.is_told()) else { return usage };
        let in_silence = |time: Duration| time.as_secs().saturating_mul(TOKENS_PER_SECOND);
        if usage.total() == 0 {
            let written = in_silence(now.saturating_duration_since(asked_at)).min(most);
            let input = Some(self.asked.load(Ordering::Relaxed));
            return state.searched(Usage { input, output: Some(written), estimated: true, ..usage });
        }
        let began = self.first_token_at().unwrap_or(now);
        let thought = in_silence(began.saturating_duration_since(asked_at).saturating_sub(READING));
        let delivered = self.delivered.load(Ordering::Relaxed).div_ceil(4);
        let counted = usage.output.unwrap_or(0);
        let written = delivered.saturating_add(thought).min(most).max(counted);
        Usage { output: Some(written), estimated: usage.estimated || written > counted, ..usage }
    }

    /// When the first piece of the answer came.
    #[must_use]
    pub fn first_token_at(&self) -> Option<Instant> {
        self.first_token_at.get().copied()
    }

    /// How the answer ended; `None` where it didn't reach its end.
    #[must_use]
    pub fn finish(&self) -> Option<Finish> {
        self.state().finish
    }

    #[must_use]
    pub fn served(&self) -> Served {
        self.state().served.clone()
    }

    /// Ends a stream before its next frames, with this error. The connection upstream is closed then.
    pub fn cut_off(&self, error: GatewayError) {
        let _ = self.cut.set(error);
    }

    /// Why the answer was ended, where that was not the provider's doing.
    #[must_use]
    pub fn cut(&self) -> Option<&GatewayError> {
        self.cut.get()
    }

    /// How often a provider was asked.
    #[must_use]
    pub fn tries(&self) -> u32 {
        self.state().tries
    }

    pub(crate) fn ask(&self, provider: &str, model: &str, key_tail: Option<&str>) {
        let mut state = self.state();
        state.tries += 1;
        (state.reported, state.is_closed) = (None, false);
        state.asked_at = None;
        state.searches = searches_always(model);
        let served = &mut state.served;
        for (field, value) in [(&mut served.provider, provider), (&mut served.model, model)] {
            field.clear();
            field.push_str(value);
        }
        served.key_tail = key_tail.map(str::to_owned);
    }

    /// Who is asked searches the web for the answer.
    pub(crate) fn search(&self) {
        self.state().searches = true;
    }

    /// The question goes out: from now on a provider is at work. Before that its pictures are fetched, and it may wait to be written.
    pub(crate) fn sent(&self) {
        self.state().asked_at.get_or_insert_with(Instant::now);
    }

    /// The provider that was asked refused, or could not be reached.
    pub(crate) fn refused(&self) {
        self.state().asked_at = None;
    }

    pub(crate) fn estimate_question(&self, tokens: u64) {
        self.asked.store(tokens, Ordering::Relaxed);
    }

    /// The question by our estimate.
    pub(crate) fn estimated_question(&self) -> u64 {
        self.asked.load(Ordering::Relaxed)
    }

    /// More of the answer has come. `quarters` of tokens.
    pub(crate) fn deliver(&self, quarters: u64) {
        self.first_token_at.get_or_init(Instant::now);
        if quarters > 0 {
            self.delivered.fetch_add(quarters, Ordering::Relaxed);
        }
    }

    pub(crate) fn report(&self, usage: Usage) {
        let mut state = self.state();
        state.reported = Some(state.reported.unwrap_or_default().updated(usage.bounded()));
    }

    pub(crate) fn finished(&self, finish: Finish) {
        self.state().finish = Some(finish);
    }

    /// The answer is whole; the last report stands.
    pub(crate) fn close(&self) {
        self.state().is_closed = true;
    }

    // The state is consistent between any two statements, so a poisoned lock is safe to use.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Quarters of a token that `text` makes: ASCII characters a quarter each, others one token.
pub(crate) fn quarters(text: &[u8]) -> u64 {
    let (mut ascii, mut other) = (0_u64, 0_u64);
    for &byte in text {
        ascii += u64::from(byte < 0x80);
        other += u64::from(byte >= 0xC0);
    }
    ascii + other * 4
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage(input: u64, output: u64) -> Usage {
        Usage { input: Some(input), output: Some(output), ..Usage::default() }
    }

    /// The meter of a call whose first words came so many seconds after it was asked.
    fn begun_after(seconds: u64) -> Meter {
        let meter = Meter::default();
        meter.estimate_question(1_000);
        meter.ask("main", "gpt-5-mini", None);
        meter.sent();
        let asked_at = meter.state().asked_at.expect("it was asked");
        meter.first_token_at.set(asked_at + Duration::from_secs(seconds)).expect("nothing has come");
        meter.deliver(quarters(b"twenty characters..."));
        meter
    }

    #[test]
    fn a_call_without_output_is_free() {
        let meter = Meter::default();
        meter.estimate_question(1_000);
        assert_eq!(meter.usage(), usage(0, 0));
    }

    #[test]
    fn who_leaves_pays_for_what_a_provider_was_asked() {
        let meter = Meter::default();
        meter.estimate_question(1_000);
        let later = |seconds| Instant::now() + Duration::from_secs(seconds);
        assert_eq!(meter.usage_left(later(10), 500), usage(0, 0), "nobody was asked");
        meter.ask("main", "small", None);
        assert_eq!(meter.usage_left(later(10), 500), usage(0, 0), "the question has not gone out");
        meter.sent();
        assert_eq!(meter.usage_left(later(2), 500), Usage { estimated: true, ..usage(1_000, 120) });
        assert_eq!(meter.usage_left(later(600), 500).output, Some(500), "no more than was asked for");
        meter.refused();
        assert_eq!(meter.usage_left(later(10), 500), usage(0, 0));
        meter.ask("other", "small", None);
        meter.sent();
        meter.deliver(quarters(b"twenty characters..."));
        assert_eq!(meter.usage_left(later(600), 500), Usage { estimated: true, ..usage(1_000, 5) });
    }

    #[test]
    fn who_leaves_pays_for_what_was_thought_before_the_first_words() {
        let now = Instant::now();
        let meter = begun_after(25);
        let left = |output| Usage { estimated: true, ..usage(1_000, output) };
        assert_eq!(meter.usage(), left(5));
        assert_eq!(meter.usage_left(now, 10_000), left(20 * TOKENS_PER_SECOND + 5));
        assert_eq!(meter.usage_left(now, 500), left(500), "no more than was asked for");
        meter.finished(Finish::Stop);
        assert_eq!(meter.usage_left(now, 500), left(500), "it has not been counted yet");
        meter.report(usage(7, 900));
        assert_eq!(meter.usage_left(now, 10_000), usage(7, 900), "it has");
        assert_eq!(begun_after(5).usage_left(now, 10_000), left(5), "so long it may have read");

        let silent = begun_after(25);
        silent.finished(Finish::Stop);
        silent.close();
        assert_eq!(silent.usage_left(now, 10_000), left(5), "a provider that never counts");
    }

    #[test]
    fn what_was_thought_is_not_paid_for_twice_where_a_provider_counts_as_it_writes() {
        let left = |reported: u64| {
            let meter = begun_after(25);
            meter.report(usage(7, reported));
            meter.usage_left(Instant::now(), 10_000)
        };
        let thought = 20 * TOKENS_PER_SECOND;
        assert_eq!(left(thought + 300), usage(7, thought + 300), "it counts its thoughts");
        assert_eq!(left(5), Usage { estimated: true, ..usage(7, thought + 5) }, "it has not counted them yet");
    }

    #[test]
    fn an_answer_that_the_web_is_searched_for_has_at_least_one_search() {
        let meter = Meter::default();
        meter.estimate_question(1_000);
        meter.ask("main", "gpt-4o-search-preview", None);
        meter.sent();
        assert_eq!(meter.usage().searches, None, "it has not answered");
        let later = Instant::now() + Duration::from_secs(2);
        assert_eq!(meter.usage_left(later, 500).searches, Some(1), "its caller has left");
        meter.report(usage(7, 3));
        assert_eq!(meter.usage().searches, Some(1));
        meter.report(Usage { searches: Some(4), ..usage(7, 3) });
        assert_eq!(meter.usage().searches, Some(4), "the provider has counted them");
        meter.ask("other", "small", None);
        meter.report(usage(7, 3));
        assert_eq!(meter.usage().searches, None);
        meter.search();
        assert_eq!(meter.usage().searches, Some(1));
    }

    #[test]
    fn what_cannot_be_is_bounded() {
        let meter = Meter::default();
        meter.report(usage(1 << 63, u64::MAX));
        meter.close();
        assert_eq!(meter.usage(), Usage { estimated: true, ..usage(MOST_TOKENS, MOST_TOKENS) });
    }

    #[test]
    fn an_answer_cut_before_any_report_is_estimated() {
        let meter = Meter::default();
        meter.estimate_question(1_000);
        meter.deliver(quarters(b"twenty characters..."));
        assert_eq!(meter.usage(), Usage { estimated: true, ..usage(1_000, 5) });
    }

    #[test]
    fn the_last_report_counts_and_zero_is_a_count() {
        let meter = Meter::default();
        meter.deliver(400);
        meter.report(usage(7, 1));
        assert_eq!(meter.usage(), Usage { estimated: true, ..usage(7, 100) }, "cut after a first report");
        meter.report(usage(7, 3));
        meter.report(usage(7, 0));
        meter.close();
        assert_eq!(meter.usage(), usage(7, 3), "a zero that comes last takes nothing back");
        let silent = Meter::default();
        silent.report(usage(7, 0));
        silent.close();
        assert_eq!(silent.usage(), usage(7, 0));
    }

    #[test]
    fn what_is_no_ascii_is_a_token_each() {
        assert_eq!((quarters(b"abcd"), quarters("日本".as_bytes()), quarters("é".as_bytes())), (4, 8, 4));
    }
}
