//! Measurement of an answer: its times, tokens, cost and reasoning.
//!
//! A model that calls tools is called several times for one answer. Each model call is paid
//! separately; the figures of the answer are totals.

use std::{sync::Arc, time::Duration};

use ai::{Meter, Usage};
use appcore::{
    credits::MicroCredits,
    view::{AnswerContext, AnswerStats, ContextFile},
};
use gateway::ModelCallReservation;
use tokio::time::Instant;

use super::draft::TextDelta;

/// Maximum stored length of the reasoning, in bytes.
const MAX_THOUGHTS: usize = 64 * 1024;

/// Measurement of one attempt at an answer.
pub(super) struct AnswerMetrics {
    started: Instant,
    context: AnswerContext,
    files: Vec<ContextFile>,
    reasoning_started_at: Option<Instant>,
    first_text_at: Option<Instant>,
    reasoning: String,
    /// Length of the published part of `thoughts`, in bytes and in UTF-16 code units.
    published: usize,
    published_units: u64,
    /// Model call in progress.
    current_call: Option<MeasuredCall>,
    usage: Usage,
    cost: Option<MicroCredits>,
}

/// Model call with its measurement.
pub(super) struct MeasuredCall {
    pub meter: Arc<Meter>,
    /// Reservation for the cost of the call; `None` if the user who asked is unknown.
    pub reservation: Option<ModelCallReservation>,
    started: Instant,
}

impl MeasuredCall {
    pub fn first_token(&self) -> Option<Duration> {
        self.meter.first_token_at().map(|first| first.saturating_duration_since(self.started.into_std()))
    }

    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }
}

impl AnswerMetrics {
    /// Starts the measurement of an answer with this context and these files.
    pub fn start(context: AnswerContext, files: Vec<ContextFile>) -> Self {
        Self {
            started: Instant::now(),
            context,
            files,
            reasoning_started_at: None,
            first_text_at: None,
            reasoning: String::new(),
            published: 0,
            published_units: 0,
            current_call: None,
            usage: Usage::default(),
            cost: None,
        }
    }

    /// Starts a model call with its reservation. The returned meter counts its usage.
    pub fn start_call(&mut self, hold: Option<ModelCallReservation>) -> Arc<Meter> {
        let round = MeasuredCall { meter: Arc::default(), reservation: hold, started: Instant::now() };
        Arc::clone(&self.current_call.insert(round).meter)
    }

    /// Removes and returns the finished model call, so that it is paid only once.
    pub fn take_call(&mut self) -> Option<MeasuredCall> {
        let round = self.current_call.take()?;
        self.usage = self.usage.plus(round.meter.usage());
        Some(round)
    }

    /// Returns the reservation of the current call, if it no longer covers the usage.
    pub fn exceeded_reservation(&mut self) -> Option<&mut ModelCallReservation> {
        let MeasuredCall { meter, reservation: hold, .. } = self.current_call.as_mut()?;
        hold.as_mut().filter(|hold| hold.is_exceeded(&meter.usage()))
    }

    /// Adds the cost of a model call.
    pub fn add_cost(&mut self, cost: Option<MicroCredits>) {
        self.cost = match (self.cost, cost) {
            (Some(before), Some(cost)) => Some(MicroCredits(before.0.saturating_add(cost.0))),
            (before, cost) => before.or(cost),
        };
    }

    /// Records the time of the first text.
    pub fn record_text(&mut self) {
        self.first_text_at.get_or_insert_with(Instant::now);
    }

    /// Appends reasoning of the model, without NUL characters, which PostgreSQL can't store.
    pub fn add_reasoning(&mut self, thought: &str) {
        self.reasoning_started_at.get_or_insert_with(Instant::now);
        let room = MAX_THOUGHTS.saturating_sub(self.reasoning.len());
        let thought = &thought[..thought.floor_char_boundary(room)];
        self.reasoning.extend(thought.chars().filter(|&char| char != '\0'));
    }

    pub fn has_unpublished(&self) -> bool {
        self.published < self.reasoning.len()
    }

    /// Returns the unpublished reasoning and marks it as published.
    pub fn take_unpublished(&mut self) -> TextDelta {
        let (text, offset) = (self.reasoning[self.published..].to_owned(), self.published_units);
        self.published = self.reasoning.len();
        self.published_units += text.encode_utf16().count() as u64;
        TextDelta { offset, text }
    }

    /// Totals of the finished model calls.
    pub fn stats(&self) -> AnswerStats {
        let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        let thought = self.reasoning_started_at.map(|begun| self.first_text_at.unwrap_or_else(Instant::now) - begun);
        let usage = self.usage;
        AnswerStats {
            first_token_ms: self.first_text_at.map(|first| millis(first - self.started)),
            duration_ms: millis(self.started.elapsed()),
            thought_ms: thought.map(millis),
            input_tokens: usage.input,
            cached_tokens: usage.cached,
            output_tokens: usage.output,
            reasoning_tokens: usage.reasoning,
            cost: self.cost.map(|cost| cost.0),
            estimated: usage.estimated,
            context: AnswerContext {
                used: usage.input.filter(|used| *used > 0).unwrap_or(self.context.used),
                ..self.context
            },
            files: self.files.clone(),
            ..AnswerStats::default()
        }
    }

    /// Removes and returns the reasoning; `None` if there is none.
    pub fn take_reasoning(&mut self) -> Option<String> {
        let thoughts = std::mem::take(&mut self.reasoning);
        (!thoughts.trim().is_empty()).then_some(thoughts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context() -> AnswerContext {
        AnswerContext { used: 120, window: 1_000, messages: 3 }
    }

    #[test]
    fn sums_costs_and_takes_each_call_once() {
        let mut measure = AnswerMetrics::start(context(), Vec::new());
        for cost in [Some(MicroCredits(3)), None, Some(MicroCredits(4))] {
            measure.start_call(None);
            measure.record_text();
            assert!(measure.take_call().is_some() && measure.take_call().is_none());
            measure.add_cost(cost);
        }
        let figures = measure.stats();
        assert_eq!((figures.cost, figures.input_tokens, figures.estimated), (Some(7), Some(0), false));
        assert!(figures.first_token_ms.is_some() && figures.thought_ms.is_none());
        assert_eq!(figures.context, context());
    }

    #[test]
    fn truncates_reasoning() {
        let mut measure = AnswerMetrics::start(context(), Vec::new());
        assert_eq!(measure.take_reasoning(), None);
        measure.add_reasoning("h\0m");
        measure.add_reasoning(&"ơ".repeat(MAX_THOUGHTS));
        let piece = |offset, text: &str| TextDelta { offset, text: text.to_owned() };
        assert!(measure.has_unpublished());
        let all = measure.take_unpublished();
        assert!(all.offset == 0 && all.text.starts_with("hmơ") && !measure.has_unpublished());
        assert_eq!(measure.take_unpublished(), piece(all.text.encode_utf16().count() as u64, ""));
        assert!(measure.stats().thought_ms.is_some());
        let thoughts = measure.take_reasoning().unwrap();
        assert!(thoughts.starts_with("hmơ") && thoughts.len() <= MAX_THOUGHTS);
    }
}
