//! Usage of chat completions.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::Usage;

#[derive(Debug, Clone, Copy, Default, Deserialize)]
pub(crate) struct CompletionUsage {
    prompt_tokens: Option<u64>,
    completion_tokens: Option<u64>,
    prompt_tokens_details: Option<PromptDetails>,
    completion_tokens_details: Option<CompletionDetails>,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
struct PromptDetails {
    cached_tokens: Option<u64>,
    audio_tokens: Option<u64>,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
struct CompletionDetails {
    reasoning_tokens: Option<u64>,
    audio_tokens: Option<u64>,
}

impl From<CompletionUsage> for Usage {
    fn from(usage: CompletionUsage) -> Self {
        let prompt = usage.prompt_tokens_details.unwrap_or_default();
        let completion = usage.completion_tokens_details.unwrap_or_default();
        let audio = [prompt.audio_tokens, completion.audio_tokens].into_iter().flatten();
        Self {
            input: usage.prompt_tokens,
            cached: prompt.cached_tokens,
            cache_write: None,
            output: usage.completion_tokens,
            reasoning: completion.reasoning_tokens,
            audio: audio.reduce(u64::saturating_add),
            audio_output: completion.audio_tokens,
            estimated: false,
        }
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
