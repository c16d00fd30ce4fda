//! Adapts messages without content to a [`Profile`]. They come from interrupted answers and from
//! tools without output, and stay in the conversation.

use memchr::memmem;
use serde_json::Value;

use super::super::Profile;

/// Text in place of an empty one, for servers that require a text.
const PLACEHOLDER: &str = "(empty)";

/// True if the body may have messages or text parts without content.
pub(super) fn may_have_empty_content(body: &[u8]) -> bool {
    let has_empty_value = |key: &str| {
        memmem::find_iter(body, key.as_bytes()).any(|at| {
            let value = body[at + key.len()..].trim_ascii_start();
            value.strip_prefix(b":").is_some_and(|value| starts_with_empty(value.trim_ascii_start()))
        })
    };
    // Content may also be missing beside reasoning.
    let has = |name: &str| memmem::find(body, name.as_bytes()).is_some();
    has_empty_value("\"content\"") || has_empty_value("\"text\"") || (has("\"assistant\"") && has("\"reasoning"))
}

/// True if JSON starts with null, an empty list, or a string of white space.
fn starts_with_empty(value: &[u8]) -> bool {
    let Some(mut text) = value.strip_prefix(b"\"") else {
        let list = value.strip_prefix(b"[").map(<[u8]>::trim_ascii_start);
        return value.starts_with(b"null") || list.is_some_and(|list| list.starts_with(b"]"));
    };
    loop {
        text = match text {
            [b' ', rest @ ..] | [b'\\', b'n' | b'r' | b't', rest @ ..] => rest,
            _ => return text.starts_with(b"\""),
        };
    }
}

impl Profile {
    /// Leaves out empty text parts and assistant messages with neither text nor calls. Other messages
    /// without content get a placeholder if the server requires one, or if `needs_content` is true.
    pub(super) fn adapt_empty_content(&self, messages: &mut Vec<Value>, needs_content: bool) -> bool {
        if !self.refuses_empty_answers && !self.refuses_empty_content {
            return false;
        }
        let fills = self.refuses_empty_content || needs_content;
        let mut is_changed = false;
        let last = messages.len().saturating_sub(1);
        let mut place = 0;
        messages.retain_mut(|message| {
            let is_last = place == last;
            place += 1;
            let Some(fields) = message.as_object_mut() else { return true };
            let role = fields.get("role").and_then(Value::as_str).unwrap_or_default().to_owned();
            let is_answer = role == "assistant";
            let has_calls = fields.get("tool_calls").and_then(Value::as_array).is_some_and(|calls| !calls.is_empty())
                || ["function_call", "audio", "refusal"].iter().any(|name| fields.get(*name).is_some_and(is_given));
            if let Some(content) = fields.get_mut("content") {
                let is_removed = remove_empty_parts(content);
                is_changed |= is_removed;
                if content.as_array().is_some_and(Vec::is_empty) && (is_removed || !needs_content) {
                    *content = if has_calls { Value::Null } else { Value::from("") };
                    is_changed = true;
                }
            }
            if fields.get("content").is_some_and(is_given) {
                return true;
            }
            if is_answer {
                // Anthropic accepts an empty answer at the end.
                let stays = has_calls || (needs_content && is_last && !self.refuses_empty_content);
                is_changed |= !stays;
                return stays;
            }
            if fills && matches!(role.as_str(), "user" | "tool") {
                fields.insert("content".to_owned(), PLACEHOLDER.into());
                is_changed = true;
            }
            true
        });
        is_changed
    }
}

/// True if a value has content.
fn is_given(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::String(text) => !text.trim().is_empty(),
        Value::Array(items) => !items.is_empty(),
        _ => true,
    }
}

/// Removes text parts without text, also from tool results. True if there are any.
fn remove_empty_parts(content: &mut Value) -> bool {
    let Some(parts) = content.as_array_mut() else { return false };
    let before = parts.len();
    parts.retain(|part| part["type"] != "text" || part["text"].as_str().is_none_or(|text| !text.trim().is_empty()));
    let mut is_changed = parts.len() < before;
    for result in parts.iter_mut().filter(|part| part["type"] == "tool_result") {
        is_changed |= result.get_mut("content").is_some_and(remove_empty_parts);
    }
    is_changed
}
