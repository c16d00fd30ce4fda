//! Usage of a call, readable at any moment by the billing code.
//!
//! The provider's last report counts. If an answer ends before a report, the input is estimated
//! from the request's size and the output from the delivered text. A call that delivered nothing is
//! free, unless its client disconnected while a provider was working.

mod history;
mod usage;

use std::{
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use reqwest::Response;
use telemetry::Span;

pub(crate) use self::usage::merge_count;
pub use self::{
    history::{CallHistory, FailedAttempt},
    usage::{ExtraCalls, ToolUses, Usage},
};
use crate::{AiError, GatewayError, chat::Finish};

/// Assumed output rate of a provider, in tokens per second, for output that was not seen.
const TOKENS_PER_SECOND: u64 = 60;

/// Time that a provider may take to read a request before unseen output is assumed.
const INPUT_READING_TIME: Duration = Duration::from_secs(5);

/// Assumed uses of provider-run tools per answer, if nothing bounds them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AssumedUses {
    pub searches: u64,
    pub images: u64,
}

impl AssumedUses {
    /// Streamed answer, whose reservation can grow as it proceeds.
    pub const STREAM: Self = Self { searches: 10, images: 2 };
    /// Whole answer, whose cost is unknown until it arrives.
    pub const WHOLE: Self = Self { searches: 30, images: 4 };

    pub fn for_call(is_stream: bool) -> Self {
        if is_stream { Self::STREAM } else { Self::WHOLE }
    }
}

/// Substrings of the names of OpenAI models that search the web for each answer.
const SEARCH_MODEL_MARKS: [&str; 2] = ["-search-preview", "-search-api"];

/// True if a model searches the web for each answer, which is billed separately.
pub(crate) fn searches_always(model: &str) -> bool {
    SEARCH_MODEL_MARKS.iter().any(|mark| model.contains(mark))
}

/// Deployment that answered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServedBy {
    pub provider: String,
    /// Provider's name of the model.
    pub model: String,
    /// Last characters of the key, if it is long enough to show them.
    pub key_tail: Option<String>,
}

/// Meter of one call.
#[derive(Debug, Default)]
pub struct Meter {
    state: Mutex<State>,
    first_token_at: OnceLock<Instant>,
    /// Estimated input tokens.
    estimated_input: AtomicU64,
    /// Estimated delivered output, in quarters of a token.
    delivered: AtomicU64,
    /// Reason for ending the answer early.
    abort_error: OnceLock<GatewayError>,
}

#[derive(Debug, Default)]
struct State {
    reported: Option<Usage>,
    /// Usage of earlier requests for the same answer. Their provider has answered them, so they are
    /// billed even if a later one fails.
    earlier: Usage,
    /// Web searches that the gateway has run for the answer.
    gateway_searches: u64,
    /// True if the answer is complete: no later report can come.
    is_closed: bool,
    finish: Option<Finish>,
    served: ServedBy,
    tries: u32,
    attempt_started_at: Option<Instant>,
    history: CallHistory,
    dropped_tools: Vec<String>,
    /// Time at which the request was sent to the provider that is working on it; `None` after a
    /// refusal.
    asked_at: Option<Instant>,
    /// True if answering includes a web search, even if the provider doesn't count it.
    searches: bool,
    /// Tracing span of the request to the provider; `None` if it isn't exported.
    span: Option<Arc<Span>>,
}

impl State {
    /// Adds the reported tokens to the span and releases it.
    fn release_span(&mut self) {
        let (Some(span), Some(usage)) = (self.span.take(), self.reported) else { return };
        for (name, tokens) in [("gen_ai.usage.input_tokens", usage.input), ("gen_ai.usage.output_tokens", usage.output)]
        {
            if let Some(tokens) = tokens {
                span.set_attribute(name, i64::try_from(tokens).unwrap_or(i64::MAX));
            }
        }
    }

    /// True if the last report is complete.
    fn is_final(&self) -> bool {
        self.is_closed && self.reported.is_some_and(|usage| usage.input.is_some() && usage.output.is_some())
    }

    /// True if no report is pending: the answer is complete, or it has ended and the provider has
    /// counted it.
    fn is_settled(&self) -> bool {
        let is_counted = || self.reported.is_some_and(|usage| usage.output.is_some_and(|output| output > 0));
        self.is_closed || (self.finish.is_some() && is_counted())
    }

    /// Adds the answer's web search to the usage, if the web is searched for it.
    fn with_search(&self, usage: Usage) -> Usage {
        if !self.searches || usage.total() == 0 {
            return usage;
        }
        Usage { searches: Some(usage.searches.unwrap_or(0).max(1)), ..usage }
    }

    /// Adds earlier requests and the gateway's searches to the usage of the current request.
    fn with_earlier(&self, usage: Usage) -> Usage {
        let gateway_searches = Some(self.gateway_searches).filter(|count| *count > 0);
        Usage { gateway_searches, ..self.earlier.plus(usage) }
    }
}

impl Drop for State {
    fn drop(&mut self) {
        self.release_span();
    }
}

impl Meter {
    /// Usage to bill, by the rules in the documentation of this module.
    #[must_use]
    pub fn usage(&self) -> Usage {
        let state = self.state();
        state.with_earlier(self.request_usage(&state))
    }

    /// Usage of the current request for the answer, without that of earlier ones.
    pub(crate) fn usage_of_request(&self) -> Usage {
        self.request_usage(&self.state())
    }

    fn request_usage(&self, state: &State) -> Usage {
        let delivered = self.delivered.load(Ordering::Relaxed).div_ceil(4);
        let asked = self.estimated_input.load(Ordering::Relaxed);
        let usage = match state.reported {
            Some(usage) if state.is_final() || delivered == 0 => usage,
            // Some providers report while they stream; output delivered after the last report
            // counts too.
            Some(usage) => {
                let output = usage.output.unwrap_or(0).max(delivered);
                let input = usage.input.unwrap_or(asked);
                let estimated = usage.input != Some(input) || usage.output != Some(output);
                Usage { input: Some(input), output: Some(output), estimated, ..usage }
            }
            None if delivered == 0 => Usage { input: Some(0), output: Some(0), ..Usage::default() },
            None => Usage { input: Some(asked), output: Some(delivered), estimated: true, ..Usage::default() },
        };
        state.with_search(usage)
    }

    /// Usage to bill if the client disconnected before the end: the input, and the output that the
    /// provider is assumed to have written by `now`, at most `most` tokens.
    ///
    /// Providers bill unseen output too: reasoning before the first text, and text after the
    /// disconnect. Counts reported by then already include reasoning.
    #[must_use]
    pub fn usage_after_disconnect(&self, now: Instant, most: u64) -> Usage {
        let state = self.state();
        state.with_earlier(self.request_usage_after_disconnect(&state, now, most))
    }

    fn request_usage_after_disconnect(&self, state: &State, now: Instant, most: u64) -> Usage {
        let usage = self.request_usage(state);
        let Some(asked_at) = state.asked_at.filter(|_| !state.is_settled()) else { return usage };
        let in_silence = |time: Duration| time.as_secs().saturating_mul(TOKENS_PER_SECOND);
        if usage.total() == 0 {
            let written = in_silence(now.saturating_duration_since(asked_at)).min(most);
            let input = Some(self.estimated_input.load(Ordering::Relaxed));
            return state.with_search(Usage { input, output: Some(written), estimated: true, ..usage });
        }
        let began = self.first_token_at().unwrap_or(now);
        let thought = in_silence(began.saturating_duration_since(asked_at).saturating_sub(INPUT_READING_TIME));
        let delivered = self.delivered.load(Ordering::Relaxed).div_ceil(4);
        let counted = usage.output.unwrap_or(0);
        let written = delivered.saturating_add(thought).min(most).max(counted);
        Usage { output: Some(written), estimated: usage.estimated || written > counted, ..usage }
    }

    /// Time of the first output.
    #[must_use]
    pub fn first_token_at(&self) -> Option<Instant> {
        self.first_token_at.get().copied()
    }

    /// Reason why the answer ended; `None` if it didn't reach its end.
    #[must_use]
    pub fn finish(&self) -> Option<Finish> {
        self.state().finish
    }

    #[must_use]
    pub fn served(&self) -> ServedBy {
        self.state().served.clone()
    }

    /// Ends a stream with this error before its next frames, and closes the upstream connection.
    pub fn abort(&self, error: GatewayError) {
        let _ = self.abort_error.set(error);
    }

    /// Error by which this server ended the answer.
    #[must_use]
    pub fn abort_error(&self) -> Option<&GatewayError> {
        self.abort_error.get()
    }

    /// Number of attempts.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        self.state().tries
    }

    pub(crate) fn start_attempt(&self, provider: &str, model: &str, key_tail: Option<&str>) {
        let mut state = self.state();
        state.release_span();
        state.tries += 1;
        state.attempt_started_at = Some(Instant::now());
        (state.reported, state.is_closed) = (None, false);
        state.asked_at = None;
        state.dropped_tools.clear();
        state.searches = searches_always(model);
        let served = &mut state.served;
        for (field, value) in [(&mut served.provider, provider), (&mut served.model, model)] {
            field.clear();
            field.push_str(value);
        }
        served.key_tail = key_tail.map(str::to_owned);
    }

    /// Records that the web is searched for the answer.
    pub(crate) fn record_search(&self) {
        self.state().searches = true;
    }

    /// Records that the request is being sent, so that a provider counts as working from now on.
    /// Called after image downloads and queueing.
    pub(crate) fn record_request_sent(&self) {
        self.state().asked_at.get_or_insert_with(Instant::now);
    }

    /// Adds the tokens of this answer to the tracing span of its request.
    pub(crate) fn trace(&self, response: &Response) {
        self.state().span = response.extensions().get::<Arc<Span>>().filter(|span| span.is_on()).cloned();
    }

    /// Records that the provider refused or was unreachable.
    pub(crate) fn record_attempt_failure(&self, error: &AiError) {
        let mut state = self.state();
        let failed = FailedAttempt {
            provider: state.served.provider.clone(),
            model: state.served.model.clone(),
            error: error.code(),
            duration: state.attempt_started_at.map(|at| at.elapsed()).unwrap_or_default(),
        };
        state.history.record_failure(failed);
        state.asked_at = None;
    }

    /// Records the settings by which a request was adapted after a refusal.
    pub(crate) fn record_repair(&self, settings: &[String]) {
        self.state().history.record_repairs(settings);
    }

    /// Records the types of tools that were removed from the request because only another provider
    /// runs them.
    pub(crate) fn record_dropped_tools(&self, kinds: &[String]) {
        kinds.clone_into(&mut self.state().dropped_tools);
    }

    /// Types of the tools that were removed from the request.
    #[must_use]
    pub fn dropped_tools(&self) -> Vec<String> {
        self.state().dropped_tools.clone()
    }

    /// Returns the failed attempts and the repairs so far.
    #[must_use]
    pub fn history(&self) -> CallHistory {
        self.state().history.clone()
    }

    /// Starts another request for the same answer.
    pub(crate) fn start_round(&self) {
        let mut state = self.state();
        let usage = self.request_usage(&state);
        state.earlier = state.earlier.plus(usage.into_extra());
        (state.reported, state.is_closed, state.finish, state.asked_at) = (None, false, None, None);
        self.delivered.store(0, Ordering::Relaxed);
    }

    /// Counts a web search that the gateway has run for the answer.
    pub(crate) fn record_gateway_search(&self) {
        self.state().gateway_searches += 1;
    }

    pub(crate) fn set_estimated_input(&self, tokens: u64) {
        self.estimated_input.store(tokens, Ordering::Relaxed);
    }

    /// Estimated input tokens.
    pub(crate) fn estimated_input(&self) -> u64 {
        self.estimated_input.load(Ordering::Relaxed)
    }

    /// Records delivered output, in quarters of a token.
    pub(crate) fn record_output(&self, quarters: u64) {
        self.first_token_at.get_or_init(Instant::now);
        if quarters > 0 {
            self.delivered.fetch_add(quarters, Ordering::Relaxed);
        }
    }

    pub(crate) fn record_usage(&self, usage: Usage) {
        let mut state = self.state();
        state.reported = Some(state.reported.unwrap_or_default().merged_with(usage.clamped()));
    }

    pub(crate) fn record_finish(&self, finish: Finish) {
        self.state().finish = Some(finish);
    }

    /// Records that the answer is complete and the last report is final.
    pub(crate) fn close(&self) {
        let mut state = self.state();
        state.is_closed = true;
        state.release_span();
    }

    // The state is consistent between any two statements, so a poisoned lock is safe to use.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Estimated tokens of a text, in quarters: one quarter per ASCII character, one token per other
/// character.
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
    use super::{usage::MAX_TOKEN_COUNT, *};

    fn usage(input: u64, output: u64) -> Usage {
        Usage { input: Some(input), output: Some(output), ..Usage::default() }
    }

    /// Meter of a call whose first output came this many seconds after the request.
    fn begun_after(seconds: u64) -> Meter {
        let meter = Meter::default();
        meter.set_estimated_input(1_000);
        meter.start_attempt("main", "gpt-5-mini", None);
        meter.record_request_sent();
        let asked_at = meter.state().asked_at.expect("a provider was asked");
        meter.first_token_at.set(asked_at + Duration::from_secs(seconds)).expect("no output yet");
        meter.record_output(quarters(b"twenty characters..."));
        meter
    }

    #[test]
    fn calls_without_output_are_free() {
        let meter = Meter::default();
        meter.set_estimated_input(1_000);
        assert_eq!(meter.usage(), usage(0, 0));
    }

    #[test]
    fn bills_input_after_a_disconnect() {
        let meter = Meter::default();
        meter.set_estimated_input(1_000);
        let later = |seconds| Instant::now() + Duration::from_secs(seconds);
        assert_eq!(meter.usage_after_disconnect(later(10), 500), usage(0, 0), "no provider was called");
        meter.start_attempt("main", "small", None);
        assert_eq!(meter.usage_after_disconnect(later(10), 500), usage(0, 0), "the request has not been sent");
        meter.record_request_sent();
        assert_eq!(meter.usage_after_disconnect(later(2), 500), Usage { estimated: true, ..usage(1_000, 120) });
        assert_eq!(meter.usage_after_disconnect(later(600), 500).output, Some(500), "at most the requested output");
        meter.record_attempt_failure(&AiError::Timeout);
        assert_eq!(meter.usage_after_disconnect(later(10), 500), usage(0, 0));
        let failed = meter.history().failed_attempts;
        assert_eq!(
            failed.iter().map(|it| (&*it.provider, it.error)).collect::<Vec<_>>(),
            [("main", "provider_timeout")]
        );
        meter.start_attempt("other", "small", None);
        meter.record_request_sent();
        meter.record_output(quarters(b"twenty characters..."));
        assert_eq!(meter.usage_after_disconnect(later(600), 500), Usage { estimated: true, ..usage(1_000, 5) });
    }

    #[test]
    fn bills_unseen_reasoning_after_a_disconnect() {
        let now = Instant::now();
        let meter = begun_after(25);
        let left = |output| Usage { estimated: true, ..usage(1_000, output) };
        assert_eq!(meter.usage(), left(5));
        assert_eq!(meter.usage_after_disconnect(now, 10_000), left(20 * TOKENS_PER_SECOND + 5));
        assert_eq!(meter.usage_after_disconnect(now, 500), left(500), "at most the requested output");
        meter.record_finish(Finish::Stop);
        assert_eq!(meter.usage_after_disconnect(now, 500), left(500), "usage is not reported yet");
        meter.record_usage(usage(7, 900));
        assert_eq!(meter.usage_after_disconnect(now, 10_000), usage(7, 900), "usage is reported");
        assert_eq!(
            begun_after(5).usage_after_disconnect(now, 10_000),
            left(5),
            "time in which the provider may have read the input"
        );

        let silent = begun_after(25);
        silent.record_finish(Finish::Stop);
        silent.close();
        assert_eq!(silent.usage_after_disconnect(now, 10_000), left(5), "a provider that never reports usage");
    }

    #[test]
    fn bills_reported_reasoning_once() {
        let left = |reported: u64| {
            let meter = begun_after(25);
            meter.record_usage(usage(7, reported));
            meter.usage_after_disconnect(Instant::now(), 10_000)
        };
        let thought = 20 * TOKENS_PER_SECOND;
        assert_eq!(left(thought + 300), usage(7, thought + 300), "the provider counts reasoning");
        assert_eq!(left(5), Usage { estimated: true, ..usage(7, thought + 5) }, "reasoning is not reported yet");
    }

    #[test]
    fn counts_at_least_one_search_for_search_models() {
        let meter = Meter::default();
        meter.set_estimated_input(1_000);
        meter.start_attempt("main", "gpt-4o-search-preview", None);
        meter.record_request_sent();
        assert_eq!(meter.usage().searches, None, "there is no answer yet");
        let later = Instant::now() + Duration::from_secs(2);
        assert_eq!(meter.usage_after_disconnect(later, 500).searches, Some(1), "the caller has disconnected");
        meter.record_usage(usage(7, 3));
        assert_eq!(meter.usage().searches, Some(1));
        meter.record_usage(Usage { searches: Some(4), ..usage(7, 3) });
        assert_eq!(meter.usage().searches, Some(4), "the provider has reported them");
        meter.start_attempt("other", "small", None);
        meter.record_usage(usage(7, 3));
        assert_eq!(meter.usage().searches, None);
        meter.record_search();
        assert_eq!(meter.usage().searches, Some(1));
    }

    #[test]
    fn bounds_implausible_counts() {
        let meter = Meter::default();
        meter.record_usage(usage(1 << 63, u64::MAX));
        meter.close();
        assert_eq!(meter.usage(), Usage { estimated: true, ..usage(MAX_TOKEN_COUNT, MAX_TOKEN_COUNT) });
    }

    #[test]
    fn estimates_answers_without_a_report() {
        let meter = Meter::default();
        meter.set_estimated_input(1_000);
        meter.record_output(quarters(b"twenty characters..."));
        assert_eq!(meter.usage(), Usage { estimated: true, ..usage(1_000, 5) });
    }

    #[test]
    fn uses_the_last_report_and_accepts_zero() {
        let meter = Meter::default();
        meter.record_output(400);
        meter.record_usage(usage(7, 1));
        assert_eq!(meter.usage(), Usage { estimated: true, ..usage(7, 100) }, "cut off after a first usage report");
        meter.record_usage(usage(7, 3));
        meter.record_usage(usage(7, 0));
        meter.close();
        assert_eq!(meter.usage(), usage(7, 3), "a final zero doesn't reduce the usage");
        let silent = Meter::default();
        silent.record_usage(usage(7, 0));
        silent.close();
        assert_eq!(silent.usage(), usage(7, 0));
    }

    #[test]
    fn adds_the_rounds_of_an_answer() {
        let meter = Meter::default();
        meter.set_estimated_input(1_000);
        meter.start_attempt("main", "small", None);
        meter.record_usage(usage(100, 10));
        meter.record_finish(Finish::ToolCalls);
        meter.close();
        meter.record_gateway_search();
        meter.start_round();
        assert_eq!((meter.finish(), meter.usage().total()), (None, 110), "the answer goes on");
        meter.record_usage(usage(300, 20));
        meter.close();
        let used = meter.usage();
        assert_eq!((used.input, used.output, used.gateway_searches), (Some(400), Some(30), Some(1)));
        assert_eq!(used.extra, ExtraCalls { input: 100, output: 10, longest: 100, ..ExtraCalls::default() });
        meter.start_round();
        meter.record_attempt_failure(&AiError::Timeout);
        assert_eq!(meter.usage().total(), 430, "a failed request costs nothing, the earlier ones are billed");
        meter.start_attempt("other", "small", None);
        meter.record_usage(usage(100, 10));
        meter.close();
        assert_eq!((meter.usage().total(), meter.usage().gateway_searches), (540, Some(1)));
    }

    #[test]
    fn counts_non_ascii_characters_as_tokens() {
        assert_eq!((quarters(b"abcd"), quarters("日本".as_bytes()), quarters("é".as_bytes())), (4, 8, 4));
    }
}
