//! Usage of chat completions.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::{Usage, dialect::fields::counted};

/// Whatever a server writes there, its answer stands.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(from = "Value")]
pub(crate) struct CompletionUsage(Usage);

impl From<Value> for CompletionUsage {
    fn from(said: Value) -> Self {
        let (prompt, completion) = (&said["prompt_tokens_details"], &said["completion_tokens_details"]);
        // As OpenRouter tells of them, and Perplexity.
        let searches = counted(&said["server_tool_use"]["web_search_requests"]);
        let [heard, spoken] = [prompt, completion].map(|details| counted(&details["audio_tokens"]));
        Self(Usage {
            input: counted(&said["prompt_tokens"]),
            cached: counted(&prompt["cached_tokens"]),
            cache_write: None,
            output: counted(&said["completion_tokens"]),
            reasoning: counted(&completion["reasoning_tokens"]),
            audio: [heard, spoken].into_iter().flatten().reduce(u64::saturating_add),
            audio_output: spoken,
            searches: searches.or_else(|| counted(&said["num_search_queries"])),
            containers: None,
            images: None,
            estimated: false,
        })
    }
}

impl From<CompletionUsage> for Usage {
    fn from(usage: CompletionUsage) -> Self {
        usage.0
    }
}

/// The object `usage` of an answer.
pub(crate) fn write(usage: &Usage) -> Value {
    let mut written = json!({
        "prompt_tokens": usage.input.unwrap_or(0),
        "completion_tokens": usage.output.unwrap_or(0),
        "total_tokens": usage.total(),
    });
    if let Some(cached) = usage.cached {
        written["prompt_tokens_details"] = json!({"cached_tokens": cached});
    }
    if let Some(reasoning) = usage.reasoning {
        written["completion_tokens_details"] = json!({"reasoning_tokens": reasoning});
    }
    written
}
