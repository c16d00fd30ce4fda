//! Repairs messages in forms of other APIs, which clients carry over from a conversation with
//! another library: part types of the Responses and Messages APIs, an empty list of calls, and
//! media in tool results.

use memchr::memmem;
use serde_json::{Map, Value, json};

use super::messages::{append_content, role};

/// Text of a tool result whose only content follows in a user message.
pub(crate) const MOVED_NOTE: &str = "[The content follows in the next message.]";

/// Part types that tool messages can't carry.
const MEDIA_TYPES: [&str; 7] = ["image_url", "input_image", "image", "file", "input_file", "input_audio", "video_url"];

/// True if a chat completions body may have such a message.
pub(super) fn may_have_foreign_parts(body: &[u8]) -> bool {
    let has = |needle: &str| memmem::find(body, needle.as_bytes()).is_some();
    let has_field = |name: &str| has(&format!("\"{name}\""));
    ["input_text", "output_text", "input_image", "input_file"].into_iter().any(has_field)
        || (has_field("image") && has_field("source"))
        || has_empty_list(body, "\"tool_calls\"")
        || (has_field("tool") && MEDIA_TYPES.into_iter().any(has_field))
}

/// True if a field may be an empty list.
fn has_empty_list(body: &[u8], key: &str) -> bool {
    memmem::find_iter(body, key).any(|at| {
        let value = body[at + key.len()..].trim_ascii_start();
        let list = value.strip_prefix(b":").map(<[u8]>::trim_ascii_start).and_then(|value| value.strip_prefix(b"["));
        list.is_some_and(|list| list.trim_ascii_start().starts_with(b"]"))
    })
}

/// Converts the parts of a message and removes an empty list of calls, which OpenAI rejects. True if
/// anything changes.
pub(super) fn convert(message: &mut Value) -> bool {
    let Some(fields) = message.as_object_mut() else { return false };
    let has_no_calls = fields.get("tool_calls").and_then(Value::as_array).is_some_and(Vec::is_empty);
    if has_no_calls {
        fields.shift_remove("tool_calls");
    }
    let parts = fields.get_mut("content").and_then(Value::as_array_mut).into_iter().flatten();
    let mut is_changed = has_no_calls;
    for part in parts {
        if let Some(converted) = converted(part) {
            *part = converted;
            is_changed = true;
        }
    }
    is_changed
}

/// The same part in the form of chat completions. `None` if it has this form, or none is known.
fn converted(part: &Value) -> Option<Value> {
    match part["type"].as_str()? {
        "input_text" | "output_text" => {
            let mut text = json!({"type": "text", "text": part["text"].as_str()?});
            if let Some(mark) = part.get("cache_control") {
                text["cache_control"] = mark.clone();
            }
            Some(text)
        }
        "input_image" => {
            let mut image = json!({"url": part["image_url"].as_str()?});
            if let Some(detail) = part["detail"].as_str() {
                image["detail"] = detail.into();
            }
            Some(json!({"type": "image_url", "image_url": image}))
        }
        "input_file" => {
            let named = ["filename", "file_data", "file_id"].into_iter();
            let file: Map<String, Value> =
                named.filter_map(|name| Some((name.to_owned(), part.get(name)?.clone()))).collect();
            Some(json!({"type": "file", "file": file}))
        }
        "image" => {
            let source = &part["source"];
            let url = match source["type"].as_str()? {
                "base64" => format!("data:{};base64,{}", source["media_type"].as_str()?, source["data"].as_str()?),
                "url" => source["url"].as_str()?.to_owned(),
                _ => return None,
            };
            Some(json!({"type": "image_url", "image_url": {"url": url}}))
        }
        _ => None,
    }
}

/// Moves media from tool messages, which can't carry them, to the user message behind the results.
pub(super) fn move_media_from_results(messages: &mut Vec<Value>) -> bool {
    let is_media = |part: &Value| part["type"].as_str().is_some_and(|kind| MEDIA_TYPES.contains(&kind));
    let has_media = |message: &Value| {
        role(message) == "tool" && message["content"].as_array().is_some_and(|parts| parts.iter().any(is_media))
    };
    if !messages.iter().any(has_media) {
        return false;
    }
    let mut moved = Vec::new();
    let mut placed: Vec<Value> = Vec::with_capacity(messages.len() + 1);
    for mut message in std::mem::take(messages) {
        if role(&message) == "tool" {
            if let Some(parts) = message["content"].as_array_mut() {
                moved.extend(parts.extract_if(.., |part| is_media(part)));
                if parts.is_empty() {
                    message["content"] = MOVED_NOTE.into();
                }
            }
        } else if !moved.is_empty() {
            let mut content = Value::from(std::mem::take(&mut moved));
            if role(&message) == "user" {
                append_content(&mut content, &message["content"]);
                message["content"] = content;
            } else {
                placed.push(json!({"role": "user", "content": content}));
            }
        }
        placed.push(message);
    }
    if !moved.is_empty() {
        placed.push(json!({"role": "user", "content": moved}));
    }
    *messages = placed;
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn converts_parts_of_other_apis() {
        for (part, expected) in [
            (json!({"type": "input_text", "text": "a"}), json!({"type": "text", "text": "a"})),
            (json!({"type": "output_text", "text": "b", "annotations": []}), json!({"type": "text", "text": "b"})),
            (
                json!({"type": "input_image", "image_url": "data:image/png;base64,aGk=", "detail": "low"}),
                json!({"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk=", "detail": "low"}}),
            ),
            (
                json!({"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,aGk="}),
                json!({"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,aGk="}}),
            ),
            (
                json!({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGk="}}),
                json!({"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}}),
            ),
        ] {
            let mut message = json!({"role": "user", "content": [part]});
            assert!(may_have_foreign_parts(message.to_string().as_bytes()), "{part}");
            assert!(convert(&mut message), "{part}");
            assert_eq!(message["content"], json!([expected]));
            assert!(!convert(&mut message), "{expected}");
        }
        let unknown =
            json!({"role": "user", "content": [{"type": "image", "source": {"type": "file"}}, {"type": "text"}, 7]});
        assert!(!convert(&mut unknown.clone()));
    }

    #[test]
    fn removes_empty_lists_of_calls() {
        let mut message = json!({"role": "assistant", "content": "a", "tool_calls": []});
        assert!(may_have_foreign_parts(br#"{"tool_calls" : [ ]}"#));
        assert!(!may_have_foreign_parts(br#"{"tool_calls": [{}], "x": []}"#));
        assert!(convert(&mut message));
        assert_eq!(message, json!({"role": "assistant", "content": "a"}));
    }

    #[test]
    fn moves_media_behind_the_results() {
        let image = json!({"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}});
        let result = |id: &str, content: Value| json!({"role": "tool", "tool_call_id": id, "content": content});
        let text = |text: &str| json!({"type": "text", "text": text});
        let call = json!({"role": "assistant", "tool_calls": [{"id": "a"}, {"id": "b"}]});
        let results = [result("a", json!([text("shot"), image])), result("b", json!([image]))];
        let moved = [result("a", json!([text("shot")])), result("b", json!(MOVED_NOTE))];
        for (next, expected) in [
            (None, Some(json!({"role": "user", "content": [image, image]}))),
            (
                Some(json!({"role": "user", "content": "go on"})),
                Some(json!({"role": "user", "content": [image, image, text("go on")]})),
            ),
        ] {
            let mut messages = vec![call.clone()];
            messages.extend(results.clone());
            messages.extend(next);
            assert!(may_have_foreign_parts(json!(messages).to_string().as_bytes()));
            assert!(move_media_from_results(&mut messages));
            let expected: Vec<Value> = [call.clone()].into_iter().chain(moved.clone()).chain(expected).collect();
            assert_eq!(messages, expected);
            assert!(!move_media_from_results(&mut messages));
        }
        let mut messages = vec![results[1].clone(), call.clone()];
        assert!(move_media_from_results(&mut messages));
        assert_eq!(messages, [moved[1].clone(), json!({"role": "user", "content": [image]}), call]);
    }
}
