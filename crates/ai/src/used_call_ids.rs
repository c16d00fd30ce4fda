//! Ids of the tool calls in a conversation, which later answers must not contain again.
//!
//! Clients match the result of a call by its id in the whole conversation. Some servers number the
//! calls of each answer from zero, and clients then take a new call for one that has its result. An
//! id that is empty or in the conversation is replaced before the client gets it, so nothing has to
//! be mapped back.

use std::collections::HashSet;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, value::RawValue};

use crate::{
    call_ids::{MAX_ID_LEN, hashed_id},
    canonical::{Part, Request},
    dialect::openai_chat::new_call_id,
};

#[derive(Debug, Clone, Default)]
pub(crate) struct UsedCallIds(HashSet<String>);

/// Fields with the calls of a conversation, in the formats of all client APIs.
#[derive(Deserialize)]
struct Conversation<'a> {
    #[serde(borrow)]
    messages: Option<&'a RawValue>,
    #[serde(borrow)]
    input: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    tool_calls: Option<&'a RawValue>,
    #[serde(borrow)]
    content: Option<&'a RawValue>,
}

/// Call of chat completions or item of a response.
#[derive(Deserialize)]
struct Call {
    #[serde(default)]
    id: Value,
    #[serde(default)]
    call_id: Value,
}

/// Content block of the Messages API.
#[derive(Deserialize)]
struct Block {
    #[serde(rename = "type")]
    kind: String,
    id: String,
}

impl UsedCallIds {
    /// Ids in a parsed request.
    pub fn of_request(request: &Request) -> Self {
        let parts = request.turns.iter().flat_map(|turn| &turn.parts);
        let ids = parts.filter_map(|part| match part {
            Part::Call(call) => Some(call.id.clone()),
            _ => None,
        });
        Self(ids.collect())
    }

    /// Ids in a request body of chat completions, the Responses API or the Messages API. A malformed
    /// body has none.
    pub fn of_body(body: &[u8]) -> Self {
        let Ok(conversation) = serde_json::from_slice::<Conversation<'_>>(body) else { return Self::default() };
        let mut used = Self::default();
        for message in list(conversation.messages) {
            let Ok(message) = serde_json::from_str::<Message<'_>>(message.get()) else { continue };
            used.0.extend(list(message.tool_calls).into_iter().filter_map(|call| id_of_call(call, false)));
            let blocks = message.content.filter(|content| content.get().contains("tool_use"));
            let blocks = list(blocks).into_iter().filter_map(|block| serde_json::from_str::<Block>(block.get()).ok());
            used.0.extend(blocks.filter(|block| block.kind == "tool_use").map(|block| block.id));
        }
        used.0.extend(list(conversation.input).into_iter().filter_map(|item| id_of_call(item, true)));
        used
    }

    /// Records the id of a new call. Returns another one for it if the id is empty or used.
    pub fn replacement(&mut self, id: &str) -> Option<String> {
        // Longer ids of earlier calls are in the conversation as their hashes.
        let is_used = self.0.contains(id) || (id.len() > MAX_ID_LEN && self.0.contains(&hashed_id(id)));
        let other = (id.is_empty() || is_used).then(new_call_id);
        self.0.insert(other.clone().unwrap_or_else(|| id.to_owned()));
        other
    }

    /// Replaces the ids of calls in a whole answer of the Messages API.
    pub fn replace_in_message(&mut self, body: Bytes) -> Bytes {
        if memchr::memmem::find(&body, br#""tool_use""#).is_none() {
            return body;
        }
        let Ok(mut message) = serde_json::from_slice::<Value>(&body) else { return body };
        let blocks = message.get_mut("content").and_then(Value::as_array_mut).into_iter().flatten();
        let replaced = blocks.filter_map(|block| self.replace_in_block(block).then_some(())).count();
        if replaced > 0 { message.to_string().into() } else { body }
    }

    /// Replaces the id of a content block of the Messages API if it is a call. True if it changes.
    pub fn replace_in_block(&mut self, block: &mut Value) -> bool {
        block["type"] == "tool_use" && self.replace_field(block, "id")
    }

    /// Replaces the call id of an output item of the Responses API. True if it changes.
    pub fn replace_in_item(&mut self, item: &mut Value) -> bool {
        is_client_call(item) && self.replace_field(item, "call_id")
    }

    fn replace_field(&mut self, value: &mut Value, name: &str) -> bool {
        let other = self.replacement(value[name].as_str().unwrap_or_default());
        let is_changed = other.is_some();
        if let (Some(fields), Some(id)) = (value.as_object_mut(), other) {
            fields.insert(name.to_owned(), id.into());
        }
        is_changed
    }
}

/// True for an output item of the Responses API that the client answers with a result.
pub(crate) fn is_client_call(item: &Value) -> bool {
    matches!(item["type"].as_str(), Some("function_call" | "custom_tool_call"))
}

/// Id of a call; of an item of the Responses API that is its `call_id`.
fn id_of_call(raw: &RawValue, is_item: bool) -> Option<String> {
    if is_item && !raw.get().contains("call_id") {
        return None;
    }
    let call: Call = serde_json::from_str(raw.get()).ok()?;
    let id = if is_item { call.call_id } else { call.id };
    id.as_str().map(str::to_owned)
}

fn list(raw: Option<&RawValue>) -> Vec<&RawValue> {
    raw.and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn reads_the_ids_of_all_formats() {
        let call = |id: &str| json!({"id": id, "type": "function", "function": {"name": "w", "arguments": "{}"}});
        for (body, expected) in [
            (
                json!({"messages": [
                    {"role": "user", "content": "tool_use"},
                    {"role": "assistant", "content": null, "tool_calls": [call("a"), call("b")]},
                    {"role": "tool", "tool_call_id": "a", "content": "1"},
                ]}),
                vec!["a", "b"],
            ),
            (
                json!({"messages": [
                    {"role": "assistant", "content": [{"type": "text", "text": "x"}, {"type": "tool_use", "id": "t", "name": "w", "input": {}}]},
                    {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "tool_use"}]},
                ]}),
                vec!["t"],
            ),
            (
                json!({"input": [
                    {"type": "function_call", "id": "fc_1", "call_id": "r", "name": "w", "arguments": "{}"},
                    {"type": "function_call_output", "call_id": "r", "output": "1"},
                    {"role": "user", "content": "call_id"},
                ]}),
                vec!["r"],
            ),
            (json!({"input": "call_id"}), vec![]),
            (json!({"messages": 7, "input": {"call_id": "x"}}), vec![]),
            (json!([]), vec![]),
        ] {
            let used = UsedCallIds::of_body(body.to_string().as_bytes());
            assert_eq!(used.0, expected.into_iter().map(str::to_owned).collect(), "{body}");
        }
    }

    #[test]
    fn replaces_ids_that_are_empty_or_used() {
        let long = "call_".repeat(20);
        let mut used = UsedCallIds(["a".to_owned(), hashed_id(&long)].into());
        for (id, is_replaced) in
            [("b", false), ("b", true), ("a", true), ("", true), (long.as_str(), true), ("c", false)]
        {
            let other = used.replacement(id);
            assert_eq!(other.is_some(), is_replaced, "{id}");
            assert!(other.is_none_or(|other| used.0.contains(&other) && other != id));
        }
    }
}
