//! Removes earlier reasoning from a conversation in the formats in which the provider signs or
//! encrypts it.

use serde_json::{Map, Value};

use super::BodyFormat;
use crate::dialect::gemini::request::LOST_SIGNATURE;

/// Removes earlier reasoning. True if there is any.
pub(super) fn remove(fields: &mut Map<String, Value>, format: BodyFormat) -> bool {
    match format {
        BodyFormat::Chat => false,
        BodyFormat::Messages => remove_blocks(fields),
        BodyFormat::Responses => remove_items(fields),
        BodyFormat::Gemini => remove_signatures(fields),
    }
}

fn remove_blocks(fields: &mut Map<String, Value>) -> bool {
    let Some(messages) = fields.get_mut("messages").and_then(Value::as_array_mut) else { return false };
    let is_thought = |block: &Value| matches!(block["type"].as_str(), Some("thinking" | "redacted_thinking"));
    let mut is_changed = false;
    messages.retain_mut(|message| {
        let Some(blocks) = message.get_mut("content").and_then(Value::as_array_mut) else { return true };
        let before = blocks.len();
        blocks.retain(|block| !is_thought(block));
        is_changed |= blocks.len() < before;
        !blocks.is_empty() || before == 0
    });
    let answer = messages.iter().rev().find(|message| message["role"] == "assistant");
    let blocks = answer.and_then(|answer| answer["content"].as_array());
    let has_calls = blocks.is_some_and(|blocks| blocks.iter().any(|block| block["type"] == "tool_use"));
    if is_changed && has_calls {
        // Claude can't think in a turn that has started without thinking.
        fields.shift_remove("thinking");
    }
    is_changed
}

fn remove_items(fields: &mut Map<String, Value>) -> bool {
    let Some(items) = fields.get_mut("input").and_then(Value::as_array_mut) else { return false };
    let before = items.len();
    items.retain(|item| item["type"] != "reasoning");
    items.len() < before
}

/// Removes the signatures of parts. A call gets the placeholder that Gemini accepts in their place.
fn remove_signatures(fields: &mut Map<String, Value>) -> bool {
    let contents = fields.get_mut("contents").and_then(Value::as_array_mut).into_iter().flatten();
    let parts = contents.filter_map(|content| content.get_mut("parts")?.as_array_mut()).flatten();
    let mut is_changed = false;
    for part in parts.filter_map(Value::as_object_mut) {
        let is_call = part.contains_key("functionCall");
        match part.get_mut("thoughtSignature") {
            Some(signature) if is_call && signature != LOST_SIGNATURE => *signature = LOST_SIGNATURE.into(),
            Some(_) if !is_call => _ = part.shift_remove("thoughtSignature"),
            _ => continue,
        }
        is_changed = true;
    }
    is_changed
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn removes_reasoning_by_format() {
        let (signed, text) =
            (json!({"type": "thinking", "thinking": "hm", "signature": "s"}), json!({"type": "text", "text": "a"}));
        let call = json!({"type": "tool_use", "id": "t", "name": "w", "input": {}});
        let thinking = json!({"type": "enabled", "budget_tokens": 1024});
        let said = |blocks: Value| json!([{"role": "user", "content": "x"}, {"role": "assistant", "content": blocks}, {"role": "user", "content": "y"}]);
        let body = |thinking: &Value, messages: Value| {
            let mut body = json!({"messages": messages});
            if thinking.is_object() {
                body["thinking"] = thinking.clone();
            }
            body
        };
        for (format, before, after) in [
            (BodyFormat::Messages, body(&thinking, said(json!([signed, text]))), body(&thinking, said(json!([text])))),
            (
                BodyFormat::Messages,
                body(&thinking, said(json!([signed, call]))),
                body(&Value::Null, said(json!([call]))),
            ),
            (
                BodyFormat::Messages,
                body(&thinking, said(json!([{"type": "redacted_thinking", "data": "d"}]))),
                body(&thinking, json!([{"role": "user", "content": "x"}, {"role": "user", "content": "y"}])),
            ),
            (
                BodyFormat::Responses,
                json!({"input": [{"type": "reasoning", "encrypted_content": "e"}, {"type": "function_call"}], "reasoning": {}}),
                json!({"input": [{"type": "function_call"}], "reasoning": {}}),
            ),
            (
                BodyFormat::Gemini,
                json!({"contents": [{"parts": [{"text": "a", "thoughtSignature": "s"}, {"functionCall": {}, "thoughtSignature": "s"}]}]}),
                json!({"contents": [{"parts": [{"text": "a"}, {"functionCall": {}, "thoughtSignature": LOST_SIGNATURE}]}]}),
            ),
        ] {
            let mut fields = before.as_object().unwrap().clone();
            assert!(remove(&mut fields, format), "{before}");
            assert_eq!(Value::Object(fields.clone()), after);
            assert!(!remove(&mut fields, format), "{after}");
        }
        assert!(!remove(
            &mut json!({"input": "x", "messages": "y"}).as_object().unwrap().clone(),
            BodyFormat::Responses
        ));
    }
}
