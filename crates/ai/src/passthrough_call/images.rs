//! Generation and editing of images.

use serde_json::Value;

use super::{
    AnswerParams, ParsedRequest, RequestFields,
    media::{MediaParams, Medium},
};
use crate::{GatewayError, TokenEstimate, ToolUses, dialect::fields::lenient_count};

/// Maximum number of images per call.
const MAX_IMAGES: u64 = 10;
/// Maximum output tokens of an image: a large one of the highest quality, with partial images.
const MAX_IMAGE_TOKENS: u64 = 6_600;
/// Estimated output tokens of an image if the provider reports none.
const IMAGE_TOKENS: u64 = 1_000;

/// Reads a request. `event` is the first part of the names of its stream's events.
pub(super) fn read(request: &RequestFields<'_>, event: &'static str) -> Result<ParsedRequest, GatewayError> {
    let RequestFields { fields, value, tokens } = request;
    if let Some(path) = stored_file(value, "") {
        return Err(GatewayError::invalid_param(path, "Files aren't stored here. Send the file itself."));
    }
    // Fields of a form are texts.
    let count = fields.get("n").map_or(Some(1), lenient_count);
    let count = count.filter(|count| (1..=MAX_IMAGES).contains(count));
    let count = count.ok_or_else(|| fields.error("n", format!("`n` must be between 1 and {MAX_IMAGES}.")))?;
    let stream = match fields.get("stream") {
        // Python clients send `True` in forms.
        Some(Value::String(text)) => text.eq_ignore_ascii_case("true") || text == "1",
        _ => fields.flag("stream")?.unwrap_or(false),
    };
    let estimate = TokenEstimate {
        choices: count,
        tools: ToolUses { images: count, ..ToolUses::default() },
        ..TokenEstimate::text_only(*tokens, Some(MAX_IMAGE_TOKENS))
    };
    let params = MediaParams { medium: Medium::Image { event }, count, output: IMAGE_TOKENS * count };
    Ok(ParsedRequest { estimate, stream, params: AnswerParams::Media(params) })
}

/// Path of a reference to a file that is stored with the provider's key, which all callers share.
fn stored_file(value: &Value, path: &str) -> Option<String> {
    match value {
        Value::Object(fields) => fields.iter().find_map(|(name, value)| {
            let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            let is_reference = name == "file_id" || name.ends_with("[file_id]");
            if is_reference && !value.is_null() { Some(path) } else { stored_file(value, &path) }
        }),
        Value::Array(items) => {
            items.iter().enumerate().find_map(|(index, item)| stored_file(item, &format!("{path}[{index}]")))
        }
        _ => None,
    }
}
