//! Repairs the tool calls in the conversation of a passthrough request.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, value::RawValue};

use super::{
    TOOL_CALLS_KEY,
    repair::Edit,
    request::{byte_range, present, replace_ranges},
};
use crate::call_ids::{hashed_id, repaired_arguments};

/// Maximum length of a call id at OpenAI, in characters.
const MAX_ID_LEN: usize = 64;

#[derive(Deserialize)]
struct Conversation<'a> {
    #[serde(borrow)]
    messages: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    tool_call_id: Option<&'a RawValue>,
    #[serde(borrow)]
    tool_calls: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Call<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    function: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Function<'a> {
    #[serde(borrow, default, deserialize_with = "present")]
    arguments: Option<&'a RawValue>,
}

/// Repairs what the server would reject: OpenAI limits the length of call ids, and other servers
/// require arguments that are JSON objects. `None` if nothing changes.
pub(crate) fn repair_history(body: &Bytes, is_openai: bool) -> Option<Bytes> {
    TOOL_CALLS_KEY.find(body)?;
    let conversation: Conversation<'_> = serde_json::from_slice(body).ok()?;
    let mut edits = Vec::new();
    for message in list(conversation.messages) {
        let Ok(message) = serde_json::from_str::<Message<'_>>(message.get()) else { continue };
        if is_openai {
            edits.extend(message.tool_call_id.and_then(|id| shorten_id(body, id)));
        }
        for call in list(message.tool_calls) {
            let Ok(call) = serde_json::from_str::<Call<'_>>(call.get()) else { continue };
            edits.extend(if is_openai {
                call.id.and_then(|id| shorten_id(body, id))
            } else {
                call.function.and_then(|function| repair_arguments(body, function))
            });
        }
    }
    (!edits.is_empty()).then(|| replace_ranges(body, edits))
}

fn list(raw: Option<&RawValue>) -> Vec<&RawValue> {
    raw.and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default()
}

/// Edit that replaces a call id above OpenAI's maximum length by its hash.
pub(crate) fn shorten_id(body: &Bytes, raw: &RawValue) -> Option<Edit> {
    // In JSON a text is at least as long as itself, plus the quotes.
    if raw.get().len() <= MAX_ID_LEN + 2 {
        return None;
    }
    let id: String = serde_json::from_str(raw.get()).ok()?;
    let is_long = id.chars().count() > MAX_ID_LEN;
    is_long.then(|| (byte_range(body, raw), Value::from(hashed_id(&id)).to_string()))
}

/// Edit that replaces arguments that aren't JSON text of an object.
fn repair_arguments(body: &Bytes, function: &RawValue) -> Option<Edit> {
    let function: Function<'_> = serde_json::from_str(function.get()).ok()?;
    let raw = function.arguments?;
    let repaired = match serde_json::from_str::<Value>(raw.get()).ok()? {
        Value::String(arguments) => repaired_arguments(&arguments)?,
        // Some clients send an object instead of JSON text.
        Value::Object(_) => raw.get().to_owned(),
        _ => repaired_arguments(raw.get())?,
    };
    Some((byte_range(body, raw), Value::from(repaired).to_string()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A request whose conversation has calls with these ids and arguments, each with a result.
    fn request(calls: &[(&str, Value)]) -> Value {
        let call = |(id, arguments): &(&str, Value)| json!({"id": id, "type": "function", "function": {"name": "w", "arguments": arguments}});
        let result = |(id, _): &(&str, Value)| json!({"role": "tool", "tool_call_id": id, "content": "ok"});
        let mut messages = vec![json!({"role": "user", "content": "the \"arguments\" of \"tool_calls\""})];
        messages.push(json!({"role": "assistant", "tool_calls": calls.iter().map(call).collect::<Vec<_>>()}));
        messages.extend(calls.iter().map(result));
        json!({"model": "m", "messages": messages})
    }

    fn repaired(body: &Value, is_openai: bool) -> Option<Value> {
        let repaired = repair_history(&body.to_string().into(), is_openai)?;
        Some(serde_json::from_slice(&repaired).unwrap())
    }

    #[test]
    fn sends_arguments_that_are_objects_to_other_servers() {
        for (sent, expected) in [
            (json!(""), json!("{}")),
            (json!("{\"city\": "), json!("{\"_raw\":\"{\\\"city\\\": \"}")),
            (json!({"city": "Huế"}), json!("{\"city\":\"Huế\"}")),
            (Value::Null, json!("{}")),
        ] {
            let body = request(&[("a", json!("{}")), ("b", sent.clone())]);
            let expected = request(&[("a", json!("{}")), ("b", expected)]);
            assert_eq!(repaired(&body, false), Some(expected), "{sent}");
            assert_eq!(repaired(&body, true), None, "{sent}");
        }
        assert_eq!(repaired(&request(&[("a", json!("{\"city\":1}"))]), false), None);
        let custom = json!({"messages": [{"role": "assistant", "tool_calls": [{"id": "a", "type": "custom", "custom": {"name": "p", "input": ""}}]}]});
        assert_eq!(repaired(&custom, false), None);
        for body in
            ["", "{\"tool_calls\"", r#"{"messages":{"tool_calls":[]}}"#, r#"{"messages":[{"tool_calls":{}}, 7]}"#]
        {
            assert_eq!(repair_history(&Bytes::from(body), false), None, "{body}");
        }
    }

    #[test]
    fn hashes_long_call_ids_for_openai() {
        let (long, other, longest) = ("call_x.".repeat(10), "call_y.".repeat(10), "Đ".repeat(MAX_ID_LEN));
        let body =
            request(&[(long.as_str(), json!("{}")), (longest.as_str(), json!("{}")), (other.as_str(), json!("{}"))]);
        let sent = repaired(&body, true).unwrap();
        let ids = |at: usize| {
            let call = sent["messages"][1]["tool_calls"][at]["id"].as_str().unwrap();
            (call, sent["messages"][at + 2]["tool_call_id"].as_str().unwrap())
        };
        for at in 0..3 {
            let (call, result) = ids(at);
            assert!(call == result && call.chars().count() <= MAX_ID_LEN, "{sent}");
        }
        assert!(ids(0) != ids(2) && ids(1).0 == longest, "{sent}");
        assert_eq!(repaired(&body, true), Some(sent.clone()), "the same ids each time");
        assert_eq!(repaired(&body, false), None);
    }
}
