//! What readers of a message see of the calls of tools that its answer came to.

use appcore::{AppError, view::ToolCall};
use dbcontext::query::tool_calls::ToolCallRow;

/// How much of arguments and of a result stands with a message, in characters, and how much of all of them about. The whole is in the
/// answer's details.
const SHOWN: usize = 2_000;
const SHOWN_IN_ALL: usize = 32_000;
const LEAST_SHOWN: usize = 100;

/// What readers of a message see of its calls.
pub(crate) fn shown(rows: &[ToolCallRow]) -> Result<Vec<ToolCall>, AppError> {
    let most = (SHOWN_IN_ALL / (2 * rows.len().max(1))).clamp(LEAST_SHOWN, SHOWN);
    rows.iter().map(|row| ToolCall::try_from(row.clone()).map(|call| cut(call, most))).collect()
}

/// A call as viewers hear of it while it goes on.
pub fn shown_call(call: ToolCall) -> ToolCall {
    cut(call, SHOWN)
}

fn cut(call: ToolCall, most: usize) -> ToolCall {
    let short = |text: String| match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    };
    ToolCall { arguments: short(call.arguments), result: call.result.map(short), ..call }
}

/// The calls as they are kept with their message.
pub fn shown_json(rows: &[ToolCallRow]) -> Result<Option<String>, AppError> {
    if rows.is_empty() {
        return Ok(None);
    }
    serde_json::to_string(&shown(rows)?).map(Some).map_err(AppError::internal)
}
