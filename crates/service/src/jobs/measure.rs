//! What an answer takes: time, tokens, and what the model thought on the way.

use std::time::Duration;

use ai::Usage;
use appcore::view::{AnswerContext, AnswerFigures};
use tokio::time::Instant;

/// What is kept of the thinking at most, in bytes.
const MAX_THOUGHTS: usize = 64 * 1024;

/// Measures one attempt at an answer.
#[derive(Debug)]
pub(super) struct Measure {
    asked: Instant,
    context: AnswerContext,
    thought_at: Option<Instant>,
    first_word: Option<Instant>,
    thoughts: String,
    usage: Option<Usage>,
}

impl Measure {
    /// Begins when the model is asked with this context.
    pub fn begin(context: AnswerContext) -> Self {
        Self {
            asked: Instant::now(),
            context,
            thought_at: None,
            first_word: None,
            thoughts: String::new(),
            usage: None,
        }
    }

    /// The model wrote something.
    pub fn wrote(&mut self) {
        self.first_word.get_or_insert_with(Instant::now);
    }

    /// The model thinks this. NUL, which PostgreSQL can't store, is left out.
    pub fn thought(&mut self, thought: &str) {
        self.thought_at.get_or_insert_with(Instant::now);
        let room = MAX_THOUGHTS.saturating_sub(self.thoughts.len());
        let thought = &thought[..thought.floor_char_boundary(room)];
        self.thoughts.extend(thought.chars().filter(|&char| char != '\0'));
    }

    /// The provider said what was used.
    pub fn used(&mut self, usage: Option<Usage>) {
        self.usage = usage.or(self.usage);
    }

    /// What is to be paid for: what the provider counted, else the question and what came of the answer. Nothing where nothing came.
    pub fn usage(&self, estimated_output: u64) -> Usage {
        match self.usage {
            Some(usage) => Usage {
                input: usage.input.or(Some(self.context.used)),
                output: usage.output.or(Some(estimated_output)),
                estimated: usage.estimated || usage.input.is_none() || usage.output.is_none(),
                ..usage
            },
            None if self.first_word.is_none() && self.thought_at.is_none() => Usage::default(),
            None => Usage {
                input: Some(self.context.used),
                output: Some(estimated_output),
                estimated: true,
                ..Usage::default()
            },
        }
    }

    pub fn first_word(&self) -> Option<Duration> {
        self.first_word.map(|first| first - self.asked)
    }

    pub fn elapsed(&self) -> Duration {
        self.asked.elapsed()
    }

    pub fn figures(&self, estimated_output: u64) -> AnswerFigures {
        let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        let usage = self.usage.unwrap_or_default();
        let thought = self.thought_at.map(|begun| self.first_word.unwrap_or_else(Instant::now) - begun);
        AnswerFigures {
            first_token_ms: self.first_word.map(|first| millis(first - self.asked)),
            duration_ms: millis(self.asked.elapsed()),
            thought_ms: thought.map(millis),
            input_tokens: usage.input.or(Some(self.context.used)),
            cached_tokens: usage.cached,
            output_tokens: usage.output.or(Some(estimated_output)),
            reasoning_tokens: usage.reasoning,
            cost: None,
            estimated: usage.estimated || usage.input.is_none() || usage.output.is_none(),
            context: AnswerContext { used: usage.input.unwrap_or(self.context.used), ..self.context },
        }
    }

    /// What the model thought, where it said so.
    pub fn thoughts(&mut self) -> Option<String> {
        let thoughts = std::mem::take(&mut self.thoughts);
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
    fn what_the_provider_counted_is_told_and_the_rest_is_estimated() {
        let mut measure = Measure::begin(context());
        measure.wrote();
        let figures = measure.figures(7);
        assert_eq!((figures.input_tokens, figures.output_tokens, figures.estimated), (Some(120), Some(7), true));
        assert!(figures.first_token_ms.is_some() && figures.thought_ms.is_none());
        measure.used(Some(Usage { input: Some(99), output: Some(5), ..Usage::default() }));
        measure.used(None);
        let figures = measure.figures(7);
        assert_eq!((figures.input_tokens, figures.output_tokens, figures.estimated), (Some(99), Some(5), false));
        assert_eq!(figures.context, AnswerContext { used: 99, ..context() });
    }

    #[test]
    fn thoughts_are_kept_up_to_a_limit() {
        let mut measure = Measure::begin(context());
        assert_eq!(measure.thoughts(), None);
        measure.thought("h\0m");
        measure.thought(&"ơ".repeat(MAX_THOUGHTS));
        assert!(measure.figures(0).thought_ms.is_some());
        let thoughts = measure.thoughts().unwrap();
        assert!(thoughts.starts_with("hmơ") && thoughts.len() <= MAX_THOUGHTS);
    }
}
