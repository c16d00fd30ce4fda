//! Anthropic's messages, as a door and as an upstream.

pub(crate) mod answer;
pub(crate) mod door;
pub(crate) mod pass;
pub(crate) mod request;
pub(crate) mod upstream;
pub(crate) mod usage;

use crate::Finish;

/// What a `stop_reason` means.
pub(crate) fn finish(reason: &str) -> Finish {
    match reason {
        "max_tokens" | "model_context_window_exceeded" => Finish::Length,
        "tool_use" => Finish::ToolCalls,
        "refusal" => Finish::Filtered,
        _ => Finish::Stop,
    }
}

/// The `stop_reason` of an end.
pub(crate) fn reason(finish: Finish) -> &'static str {
    match finish {
        Finish::Stop => "end_turn",
        Finish::Length => "max_tokens",
        Finish::ToolCalls => "tool_use",
        Finish::Filtered => "refusal",
    }
}
