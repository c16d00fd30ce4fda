//! Pairs tool calls with their results: each call has exactly one, right after it, and no result is
//! without its call. Clients that trim or interrupt a conversation leave others behind, and servers
//! refuse every later request of the conversation.

use std::collections::HashSet;

use serde_json::{Value, json};

use super::messages::content_text;

/// Result of a call that was interrupted.
const BROKEN_OFF: &str = "It was broken off before it had a result.";

/// Calls of an assistant message, in order: original id, unique id, and whether the result is found.
#[derive(Default)]
struct OpenCalls(Vec<(String, String, bool)>);

impl OpenCalls {
    /// Adds a call. Replaces its id if an earlier call has the same one.
    fn add(&mut self, id: &mut Value, seen: &mut HashSet<String>) {
        let original = id.as_str().unwrap_or_default().to_owned();
        let mut unique = original.clone();
        let mut number = 1;
        while unique.is_empty() || !seen.insert(unique.clone()) {
            number += 1;
            unique = format!("{original}_{number}");
        }
        *id = unique.clone().into();
        self.0.push((original, unique, false));
    }

    /// Id of the first call with this original id whose result isn't found yet. Its result counts as
    /// found.
    fn resolve(&mut self, id: &Value) -> Option<Value> {
        let call = self.0.iter_mut().find(|(original, _, is_found)| !is_found && id == original)?;
        call.2 = true;
        Some(call.1.as_str().into())
    }

    fn unanswered(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter(|(.., is_found)| !is_found).map(|(_, id, _)| id.as_str())
    }
}

fn orphan_text(content: &Value) -> String {
    format!("[What a tool has answered]\n{}", content_text(content))
}

fn is_assistant(message: &Value) -> bool {
    message["role"] == "assistant"
}

/// Pairs calls with results in chat completions. True if something changes.
pub(super) fn pair_in_chat(messages: &mut Vec<Value>) -> bool {
    let before = messages.clone();
    let (mut paired, mut seen) = (Vec::with_capacity(messages.len()), HashSet::new());
    let mut rest = std::mem::take(messages).into_iter().peekable();
    let mut calls = OpenCalls::default();
    loop {
        // Messages up to the next one of the assistant.
        let (mut results, mut others) = (Vec::new(), Vec::new());
        while let Some(mut message) = rest.next_if(|message| !is_assistant(message)) {
            if message["role"] != "tool" {
                others.push(message);
            } else if let Some(id) = calls.resolve(&message["tool_call_id"]) {
                message["tool_call_id"] = id;
                results.push(message);
            } else {
                others.push(json!({"role": "user", "content": orphan_text(&message["content"])}));
            }
        }
        let broken = |id: &str| json!({"role": "tool", "tool_call_id": id, "content": BROKEN_OFF});
        results.extend(calls.unanswered().map(broken));
        paired.append(&mut results);
        paired.append(&mut others);
        calls = OpenCalls::default();
        let Some(mut message) = rest.next() else { break };
        for call in message.get_mut("tool_calls").and_then(Value::as_array_mut).into_iter().flatten() {
            if let Some(id) = call.get_mut("id") {
                calls.add(id, &mut seen);
            }
        }
        paired.push(message);
    }
    *messages = paired;
    *messages != before
}

/// Pairs calls with results in the Messages API. True if something changes.
pub(super) fn pair_in_messages(messages: &mut Vec<Value>) -> bool {
    let before = messages.clone();
    let (mut paired, mut seen) = (Vec::with_capacity(messages.len()), HashSet::new());
    let mut rest = std::mem::take(messages).into_iter().peekable();
    let mut calls = OpenCalls::default();
    loop {
        let (mut results, mut users) = (Vec::new(), Vec::new());
        while let Some(mut message) = rest.next_if(|message| !is_assistant(message)) {
            if let Some(blocks) = message.get_mut("content").and_then(Value::as_array_mut) {
                let mut others = Vec::with_capacity(blocks.len());
                for mut block in std::mem::take(blocks) {
                    if block["type"] != "tool_result" {
                        others.push(block);
                    } else if let Some(id) = calls.resolve(&block["tool_use_id"]) {
                        block["tool_use_id"] = id;
                        results.push(block);
                    } else {
                        others.push(json!({"type": "text", "text": orphan_text(&block["content"])}));
                    }
                }
                *blocks = others;
            }
            users.push(message);
        }
        let broken =
            |id: &str| json!({"type": "tool_result", "tool_use_id": id, "content": BROKEN_OFF, "is_error": true});
        results.extend(calls.unanswered().map(broken));
        users.retain(|user| user["content"].as_array().is_none_or(|blocks| !blocks.is_empty()));
        if !results.is_empty() {
            match users.first_mut().filter(|first| first["role"] == "user") {
                Some(first) => {
                    let own = match first["content"].take() {
                        Value::Array(blocks) => blocks,
                        text => vec![json!({"type": "text", "text": text})],
                    };
                    first["content"] = results.into_iter().chain(own).collect();
                }
                None => users.insert(0, json!({"role": "user", "content": results})),
            }
        }
        paired.append(&mut users);
        calls = OpenCalls::default();
        let Some(mut message) = rest.next() else { break };
        let blocks = message.get_mut("content").and_then(Value::as_array_mut).into_iter().flatten();
        for block in blocks.filter(|block| block["type"] == "tool_use") {
            if let Some(id) = block.get_mut("id") {
                calls.add(id, &mut seen);
            }
        }
        paired.push(message);
    }
    *messages = paired;
    *messages != before
}
