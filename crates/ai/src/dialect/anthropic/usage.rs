//! Usage of messages. Anthropic counts what the cache read and wrote beside `input_tokens`; everybody else, within.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::{Usage, dialect::fields::counted, meter::updated};

/// Whatever a server writes there, its answer stands.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(from = "Value")]
pub(crate) struct MessageUsage {
    input_tokens: Option<u64>,
    cache_read_input_tokens: Option<u64>,
    cache_creation_input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    searches: Option<u64>,
    containers: Option<u64>,
}

impl From<Value> for MessageUsage {
    fn from(said: Value) -> Self {
        Self {
            input_tokens: counted(&said["input_tokens"]),
            cache_read_input_tokens: counted(&said["cache_read_input_tokens"]),
            cache_creation_input_tokens: counted(&said["cache_creation_input_tokens"]),
            output_tokens: counted(&said["output_tokens"]),
            searches: counted(&said["server_tool_use"]["web_search_requests"]),
            containers: None,
        }
    }
}

impl MessageUsage {
    /// A later report, whose totals replace the earlier ones.
    pub fn update(&mut self, later: Self) {
        self.input_tokens = updated(self.input_tokens, later.input_tokens);
        self.cache_read_input_tokens = updated(self.cache_read_input_tokens, later.cache_read_input_tokens);
        self.cache_creation_input_tokens = updated(self.cache_creation_input_tokens, later.cache_creation_input_tokens);
        self.output_tokens = updated(self.output_tokens, later.output_tokens);
        self.searches = later.searches.or(self.searches);
        self.containers = later.containers.or(self.containers);
    }

    /// The web is searched once more. What is told of it at the end goes before that: what failed there costs nothing.
    pub fn note_search(&mut self) {
        self.searches = Some(self.searches.unwrap_or(0) + 1);
    }

    /// What a message tells of its container: code has run in one.
    pub fn note_container(&mut self, container: &Value) {
        if container["id"].is_string() {
            self.containers = Some(1);
        }
    }
}

impl From<MessageUsage> for Usage {
    fn from(usage: MessageUsage) -> Self {
        let parts = [usage.input_tokens, usage.cache_read_input_tokens, usage.cache_creation_input_tokens];
        Self {
            input: parts.into_iter().flatten().reduce(u64::saturating_add),
            cached: usage.cache_read_input_tokens,
            cache_write: usage.cache_creation_input_tokens,
            output: usage.output_tokens,
            searches: usage.searches,
            containers: usage.containers,
            ..Self::default()
        }
    }
}

/// The object `usage` of an answer.
pub(crate) fn write(usage: &Usage) -> Value {
    let cached = usage.cached.unwrap_or(0);
    let written = usage.cache_write.unwrap_or(0);
    json!({
        "input_tokens": usage.input.unwrap_or(0).saturating_sub(cached).saturating_sub(written),
        "cache_read_input_tokens": cached,
        "cache_creation_input_tokens": written,
        "output_tokens": usage.output.unwrap_or(0),
    })
}
