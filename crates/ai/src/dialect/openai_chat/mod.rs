//! OpenAI's chat completions, as spoken by OpenAI and by every server that is compatible with it.

pub(crate) mod door;
pub(crate) mod pass;
pub(crate) mod request;
pub(crate) mod upstream;
pub(crate) mod usage;

use crate::Finish;

/// What a `finish_reason` means.
pub(crate) fn finish(reason: &str) -> Finish {
    match reason {
        "length" => Finish::Length,
        "content_filter" => Finish::Filtered,
        "tool_calls" | "function_call" => Finish::ToolCalls,
        _ => Finish::Stop,
    }
}

/// An id for a call that came without one.
pub(crate) fn new_call_id() -> String {
    format!("call_{:016x}{:08x}", rand::random::<u64>(), rand::random::<u32>())
}
