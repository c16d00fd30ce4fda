//! Truncated view of an answer's tool calls, for the readers of the message.

use appcore::{AppError, view::ToolCall};
use dbcontext::query::tool_calls::ToolCallRow;

/// Limits on the arguments and results of tool calls that are stored with a message, in characters:
/// maximum per field, approximate maximum in total, and minimum per field. The full texts are in
/// the answer's details.
const MAX_FIELD_CHARS: usize = 2_000;
const MAX_TOTAL_CHARS: usize = 32_000;
const MIN_FIELD_CHARS: usize = 100;

/// Converts the stored tool calls of a message to the truncated form shown to readers.
pub(crate) fn truncate_all(rows: &[ToolCallRow]) -> Vec<ToolCall> {
    let most = (MAX_TOTAL_CHARS / (2 * rows.len().max(1))).clamp(MIN_FIELD_CHARS, MAX_FIELD_CHARS);
    rows.iter().map(|row| truncate(row.clone().into(), most)).collect()
}

/// Truncates a call that is in progress, for users who are viewing the conversation.
pub fn truncate_call(call: ToolCall) -> ToolCall {
    truncate(call, MAX_FIELD_CHARS)
}

fn truncate(call: ToolCall, most: usize) -> ToolCall {
    let short = |text: String| match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    };
    ToolCall { arguments: short(call.arguments), result: call.result.map(short), ..call }
}

/// Serialises the truncated tool calls for storage with their message; `None` if there are none.
pub fn truncate_to_json(rows: &[ToolCallRow]) -> Result<Option<String>, AppError> {
    if rows.is_empty() {
        return Ok(None);
    }
    serde_json::to_string(&truncate_all(rows)).map(Some).map_err(AppError::internal)
}
