//! Token usage of Messages answers. Anthropic counts cache reads and writes in addition to
//! `input_tokens`; other providers include them.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::{ExtraCalls, Usage, dialect::fields::lenient_count, meter::merge_count};

/// Types of iterations whose tokens the totals exclude: conversation compaction, and calls to the
/// advisor model.
const EXTRA_ITERATIONS: [&str; 2] = ["compaction", "advisor_message"];

/// Fields whose sum is the input of an iteration.
const INPUT_FIELDS: [&str; 3] = ["input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens"];

/// Parsed leniently, because malformed usage must not fail the answer.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(from = "Value")]
pub(crate) struct MessageUsage {
    input_tokens: Option<u64>,
    cache_read_input_tokens: Option<u64>,
    cache_creation_input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    thinking_tokens: Option<u64>,
    searches: Option<u64>,
    containers: Option<u64>,
    /// Tokens of iterations that the totals exclude: input, cache reads, cache writes, output.
    extra: [Option<u64>; 4],
    /// Largest input of one of these iterations, in tokens.
    longest_extra: Option<u64>,
}

impl From<Value> for MessageUsage {
    fn from(said: Value) -> Self {
        let is_beside = |round: &&Value| round["type"].as_str().is_some_and(|kind| EXTRA_ITERATIONS.contains(&kind));
        let rounds: Vec<&Value> = said["iterations"].as_array().into_iter().flatten().filter(is_beside).collect();
        let beside =
            |name: &str| rounds.iter().filter_map(|round| lenient_count(&round[name])).reduce(u64::saturating_add);
        let input = |round: &&Value| {
            INPUT_FIELDS.iter().filter_map(|name| lenient_count(&round[*name])).fold(0, u64::saturating_add)
        };
        Self {
            input_tokens: lenient_count(&said["input_tokens"]),
            cache_read_input_tokens: lenient_count(&said["cache_read_input_tokens"]),
            cache_creation_input_tokens: lenient_count(&said["cache_creation_input_tokens"]),
            output_tokens: lenient_count(&said["output_tokens"]),
            thinking_tokens: lenient_count(&said["output_tokens_details"]["thinking_tokens"]),
            searches: lenient_count(&said["server_tool_use"]["web_search_requests"]),
            containers: None,
            extra: ["input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens", "output_tokens"]
                .map(beside),
            longest_extra: rounds.iter().map(input).max(),
        }
    }
}

impl MessageUsage {
    /// Merges a later report, whose totals replace the earlier ones.
    pub fn update(&mut self, later: Self) {
        self.input_tokens = merge_count(self.input_tokens, later.input_tokens);
        self.cache_read_input_tokens = merge_count(self.cache_read_input_tokens, later.cache_read_input_tokens);
        self.cache_creation_input_tokens =
            merge_count(self.cache_creation_input_tokens, later.cache_creation_input_tokens);
        self.output_tokens = merge_count(self.output_tokens, later.output_tokens);
        self.thinking_tokens = merge_count(self.thinking_tokens, later.thinking_tokens);
        self.searches = later.searches.or(self.searches);
        self.containers = later.containers.or(self.containers);
        for (before, later) in self.extra.iter_mut().zip(later.extra) {
            *before = merge_count(*before, later);
        }
        self.longest_extra = merge_count(self.longest_extra, later.longest_extra);
    }

    /// Counts a started web search. The final report replaces the count, since failed searches are
    /// free.
    pub fn record_search(&mut self) {
        self.searches = Some(self.searches.unwrap_or(0) + 1);
    }

    /// Records the container in which code ran, if the message has one.
    pub fn record_container(&mut self, container: &Value) {
        if container["id"].is_string() {
            self.containers = Some(1);
        }
    }
}

impl From<MessageUsage> for Usage {
    fn from(usage: MessageUsage) -> Self {
        let sum = |counts: &[Option<u64>]| counts.iter().copied().flatten().reduce(u64::saturating_add);
        let [asked, read, written, said] = usage.extra;
        let cached = sum(&[usage.cache_read_input_tokens, read]);
        let cache_write = sum(&[usage.cache_creation_input_tokens, written]);
        let beside = ExtraCalls {
            input: sum(&[asked, read, written]).unwrap_or(0),
            cached: read.unwrap_or(0),
            cache_write: written.unwrap_or(0),
            output: said.unwrap_or(0),
            longest: usage.longest_extra.unwrap_or(0),
        };
        Self {
            input: sum(&[usage.input_tokens, asked, cached, cache_write]),
            cached,
            cache_write,
            output: sum(&[usage.output_tokens, said]),
            reasoning: usage.thinking_tokens,
            searches: usage.searches,
            containers: usage.containers,
            extra: beside,
            ..Self::default()
        }
    }
}

/// Writes the `usage` object of an answer.
pub(crate) fn write(usage: &Usage) -> Value {
    let cached = usage.cached.unwrap_or(0);
    let written = usage.cache_write.unwrap_or(0);
    let mut counts = json!({
        "input_tokens": usage.input.unwrap_or(0).saturating_sub(cached).saturating_sub(written),
        "cache_read_input_tokens": cached,
        "cache_creation_input_tokens": written,
        "output_tokens": usage.output.unwrap_or(0),
    });
    if let Some(thinking) = usage.reasoning {
        counts["output_tokens_details"] = json!({"thinking_tokens": thinking});
    }
    let searches = usage.searches.unwrap_or(0).saturating_add(usage.gateway_searches.unwrap_or(0));
    if searches > 0 {
        counts["server_tool_use"] = json!({"web_search_requests": searches});
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_iterations_outside_the_totals() {
        let mut usage = MessageUsage::default();
        for said in [
            json!({"input_tokens": 23_000, "cache_read_input_tokens": 5, "output_tokens": 1}),
            json!({"output_tokens": 1_000, "iterations": [
                {"type": "compaction", "input_tokens": 180_000, "cache_read_input_tokens": 7, "output_tokens": 3_500},
                {"type": "advisor_message", "model": "other", "input_tokens": 800, "output_tokens": 500},
                {"type": "message", "input_tokens": 23_000, "output_tokens": 1_000}]}),
        ] {
            usage.update(serde_json::from_value(said).unwrap());
        }
        let counted = Usage::from(usage);
        assert_eq!((counted.input, counted.cached), (Some(203_812), Some(12)));
        assert_eq!((counted.cache_write, counted.output), (None, Some(5_000)));
        let beside = ExtraCalls { input: 180_807, cached: 7, cache_write: 0, output: 4_000, longest: 180_007 };
        assert_eq!(counted.extra, beside, "each iteration is classified separately");
        assert_eq!(Usage::from(MessageUsage::default()), Usage::default());
    }
}
