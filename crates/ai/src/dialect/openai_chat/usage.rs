//! Token usage of chat completions.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::{Usage, dialect::fields::lenient_count};

/// Parsed leniently, because malformed usage must not fail the answer.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(from = "Value")]
pub(crate) struct CompletionUsage(Usage);

impl From<Value> for CompletionUsage {
    fn from(said: Value) -> Self {
        let (prompt, completion) = (&said["prompt_tokens_details"], &said["completion_tokens_details"]);
        // OpenRouter and Perplexity report searches in different fields.
        let searches = lenient_count(&said["server_tool_use"]["web_search_requests"]);
        let [heard, spoken] = [prompt, completion].map(|details| lenient_count(&details["audio_tokens"]));
        let first = |values: &[&Value]| values.iter().find_map(|value| lenient_count(value));
        Self(Usage {
            input: lenient_count(&said["prompt_tokens"]).or_else(|| lenient_count(&said["input_tokens"])),
            // Names of the field at OpenAI, DeepSeek, Kimi, Mistral and proxies of Claude, in this order.
            cached: first(&[
                &prompt["cached_tokens"],
                &said["prompt_cache_hit_tokens"],
                &said["cached_tokens"],
                &said["num_cached_tokens"],
                &said["cache_read_input_tokens"],
            ]),
            // Names of the field at OpenRouter and LiteLLM.
            cache_write: first(&[
                &prompt["cache_write_tokens"],
                &prompt["cache_creation_tokens"],
                &prompt["cached_creation_tokens"],
                &said["cache_creation_input_tokens"],
            ]),
            output: lenient_count(&said["completion_tokens"]).or_else(|| lenient_count(&said["output_tokens"])),
            reasoning: lenient_count(&completion["reasoning_tokens"]),
            audio: [heard, spoken].into_iter().flatten().reduce(u64::saturating_add),
            audio_output: spoken,
            searches: searches.or_else(|| lenient_count(&said["num_search_queries"])),
            ..Usage::default()
        })
    }
}

impl From<CompletionUsage> for Usage {
    fn from(usage: CompletionUsage) -> Self {
        usage.0
    }
}

/// Usage in an answer or chunk. Kimi sends it within a choice, Groq in a field of its own.
pub(crate) fn of_chunk(chunk: &Value) -> Option<CompletionUsage> {
    let choices = chunk["choices"].as_array().into_iter().flatten().map(|choice| &choice["usage"]);
    let mut places = [&chunk["usage"]].into_iter().chain(choices).chain([&chunk["x_groq"]["usage"]]);
    places.find(|usage| usage.is_object()).map(|usage| CompletionUsage::from(usage.clone()))
}

/// Writes the `usage` object of an answer. Input written to the cache has no field at OpenAI; it is
/// written in those of OpenRouter (`cache_write_tokens`) and `LiteLLM`
/// (`cache_creation_input_tokens`).
pub(crate) fn write(usage: &Usage) -> Value {
    let mut written = json!({
        "prompt_tokens": usage.input.unwrap_or(0),
        "completion_tokens": usage.output.unwrap_or(0),
        "total_tokens": usage.total(),
    });
    if let Some(cached) = usage.cached {
        written["prompt_tokens_details"]["cached_tokens"] = cached.into();
    }
    if let Some(cache_write) = usage.cache_write {
        written["prompt_tokens_details"]["cache_write_tokens"] = cache_write.into();
        written["cache_creation_input_tokens"] = cache_write.into();
    }
    if let Some(reasoning) = usage.reasoning {
        written["completion_tokens_details"] = json!({"reasoning_tokens": reasoning});
    }
    written
}
