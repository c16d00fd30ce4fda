//! Adapts the messages of chat completions to a [`Profile`].

use serde_json::{Value, json};

use super::{
    super::{LastMessage, Profile, SystemPosition, ThoughtsField},
    foreign_parts, tool_results,
};
use crate::{
    canonical::{MediaKind, system_reminder},
    dialect::openai_chat::provider_format::sha256_hex,
};

/// Length of Mistral's call ids.
const SHORT_CALL_ID_LEN: usize = 9;
/// Text of an assistant message that has to stand between a tool result and a user message.
const ACKNOWLEDGEMENT: &str = "OK.";
/// Text of a user message that has to be the last one.
const CONTINUATION: &str = "Continue.";

impl Profile {
    pub(super) fn adapt_messages(&self, messages: &mut Vec<Value>) -> bool {
        let mut is_changed = messages.iter_mut().map(foreign_parts::convert).filter(|converted| *converted).count() > 0;
        is_changed |= self.adapt_empty_content(messages, false);
        is_changed |= self.pairs_tool_results && tool_results::pair_in_chat(messages);
        for message in messages.iter_mut() {
            if self.refuses_developer && message["role"] == "developer" {
                message["role"] = "system".into();
                is_changed = true;
            }
            is_changed |= self.leave_out_media(message);
            is_changed |= self.set_thoughts(message);
            is_changed |= self.has_short_call_ids && shorten_call_ids(message);
        }
        is_changed |= foreign_parts::move_media_from_results(messages);
        if self.system != SystemPosition::Any {
            is_changed |= place_system_first(messages);
        }
        if self.system == SystemPosition::None {
            is_changed |= fold_system_into_user(messages);
        }
        if self.refuses_user_after_tool {
            is_changed |= separate_user_from_tool(messages);
        }
        if self.alternates {
            is_changed |= join_neighbours(messages);
        }
        is_changed |= match self.last {
            LastMessage::Any => false,
            LastMessage::User => append_user_turn(messages),
            LastMessage::Prefix => mark_as_prefix(messages),
        };
        if self.refuses_text_parts {
            is_changed |= messages.iter_mut().map(join_text_parts).filter(|joined| *joined).count() > 0;
        }
        is_changed
    }

    /// Replaces media that the model can't read by a note, so that a conversation with an image goes
    /// on.
    fn leave_out_media(&self, message: &mut Value) -> bool {
        let Some(parts) = message.get_mut("content").and_then(Value::as_array_mut) else { return false };
        let mut is_changed = false;
        for part in parts.iter_mut() {
            let kind = match part["type"].as_str() {
                Some("image_url" | "input_image" | "image") => MediaKind::Image,
                Some("file" | "input_file") => MediaKind::File,
                Some("input_audio" | "audio_url") => MediaKind::Audio,
                _ => continue,
            };
            if self.left_out.contains(&kind) {
                let note = match kind {
                    MediaKind::Image => "[An image was left out: this model can't see images.]",
                    MediaKind::File => "[A file was left out: this model can't read files.]",
                    MediaKind::Audio => "[A recording was left out: this model can't hear recordings.]",
                };
                *part = json!({"type": "text", "text": note});
                is_changed = true;
            }
        }
        if is_changed {
            join_text_parts(message);
        }
        is_changed
    }

    fn set_thoughts(&self, message: &mut Value) -> bool {
        let is_assistant = role(message) == "assistant";
        let Some(fields) = message.as_object_mut().filter(|_| is_assistant) else { return false };
        match self.thoughts {
            ThoughtsField::AsIs => false,
            ThoughtsField::No => {
                let names = ["reasoning_content", "reasoning", "reasoning_details"];
                names.into_iter().filter(|name| fields.shift_remove(*name).is_some()).count() > 0
            }
            ThoughtsField::Reasoning => match fields.shift_remove("reasoning_content") {
                Some(thoughts) => {
                    fields.entry("reasoning").or_insert(thoughts);
                    true
                }
                None => false,
            },
            ThoughtsField::Always => {
                let is_given = |name: &str| {
                    fields.get(name).and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned)
                };
                if !fields.contains_key("tool_calls") || is_given("reasoning_content").is_some() {
                    return false;
                }
                // A server that requires the field rejects an empty text.
                let thoughts = is_given("reasoning").unwrap_or_else(|| " ".to_owned());
                fields.insert("reasoning_content".to_owned(), thoughts.into());
                true
            }
        }
    }
}

pub(super) fn role(message: &Value) -> &str {
    message["role"].as_str().unwrap_or_default()
}

/// Text of a message's content.
pub(super) fn content_text(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => {
            let texts: Vec<&str> = parts.iter().filter_map(|part| part["text"].as_str()).collect();
            texts.join("\n")
        }
        _ => String::new(),
    }
}

/// Joins the parts of a message into a string if all of them are text. Returns false if nothing
/// changes.
fn join_text_parts(message: &mut Value) -> bool {
    let parts = message["content"].as_array();
    if parts.is_none_or(|parts| parts.iter().any(|part| part["type"] != "text")) {
        return false;
    }
    let text = content_text(&message["content"]);
    message["content"] = text.into();
    true
}

pub(super) fn mentions_json(content: &Value) -> bool {
    content_text(content).to_ascii_lowercase().contains("json")
}

/// Adds an instruction to the first system message.
pub(super) fn add_instruction(messages: &mut Vec<Value>, instruction: &str) {
    match messages.first_mut().filter(|first| matches!(role(first), "system" | "developer")) {
        Some(first) => append_content(&mut first["content"], &Value::from(instruction)),
        None => messages.insert(0, json!({"role": "system", "content": instruction})),
    }
}

/// Appends content, as text if both are text and as parts otherwise.
pub(super) fn append_content(content: &mut Value, more: &Value) {
    fn parts(content: &Value) -> Vec<Value> {
        match content {
            Value::Array(parts) => parts.clone(),
            Value::String(text) if !text.is_empty() => vec![json!({"type": "text", "text": text})],
            _ => Vec::new(),
        }
    }
    *content = match (&*content, more) {
        (Value::String(text), Value::String(more)) => [text.as_str(), more].join("\n\n").trim_start().into(),
        (content, more) => [parts(content), parts(more)].concat().into(),
    };
}

/// Joins the system messages at the beginning into one, and makes later ones user text.
fn place_system_first(messages: &mut Vec<Value>) -> bool {
    let is_system = |message: &Value| matches!(role(message), "system" | "developer");
    let leading = messages.iter().take_while(|message| is_system(message)).count();
    if leading <= 1 && !messages[leading..].iter().any(is_system) {
        return false;
    }
    let mut placed: Vec<Value> = Vec::with_capacity(messages.len());
    // Reminders that wait for the end of a call's results, and whether the last message is one.
    let (mut waiting, mut ends_with_reminder) = (Vec::new(), false);
    for (at, message) in std::mem::take(messages).into_iter().enumerate() {
        if is_system(&message) {
            match placed.first_mut().filter(|_| at < leading) {
                Some(first) => append_content(&mut first["content"], &message["content"]),
                None if at < leading => placed.push(message),
                None => waiting.push(Value::from(system_reminder(&content_text(&message["content"])))),
            }
            continue;
        }
        // Nothing may stand between calls and their results.
        if role(&message) != "tool" {
            ends_with_reminder = add_reminders(&mut placed, &mut waiting) || ends_with_reminder;
        }
        match placed.last_mut().filter(|_| ends_with_reminder && role(&message) == "user") {
            Some(last) => append_content(&mut last["content"], &message["content"]),
            None => placed.push(message),
        }
        ends_with_reminder = false;
    }
    add_reminders(&mut placed, &mut waiting);
    *messages = placed;
    true
}

/// Adds reminders to the last message if it is the user's, otherwise as a user message. Returns true
/// if there were any.
fn add_reminders(messages: &mut Vec<Value>, waiting: &mut Vec<Value>) -> bool {
    let is_any = !waiting.is_empty();
    for text in waiting.drain(..) {
        match messages.last_mut().filter(|last| role(last) == "user") {
            Some(last) => append_content(&mut last["content"], &text),
            None => messages.push(json!({"role": "user", "content": text})),
        }
    }
    is_any
}

/// Moves the text of the first system message to the beginning of the first user message.
fn fold_system_into_user(messages: &mut Vec<Value>) -> bool {
    if messages.first().is_none_or(|first| role(first) != "system") {
        return false;
    }
    let text = content_text(&messages.remove(0)["content"]);
    match messages.first_mut().filter(|first| role(first) == "user") {
        Some(user) => {
            let mut content = Value::from(text);
            append_content(&mut content, &user["content"]);
            user["content"] = content;
        }
        None => messages.insert(0, json!({"role": "user", "content": text})),
    }
    true
}

/// Separates a user message from the tool result before it: a reminder becomes part of the result,
/// and any other message follows an assistant message.
fn separate_user_from_tool(messages: &mut Vec<Value>) -> bool {
    let mut separated: Vec<Value> = Vec::with_capacity(messages.len());
    let mut is_changed = false;
    for message in std::mem::take(messages) {
        if role(&message) == "user"
            && let Some(last) = separated.last_mut().filter(|last| role(last) == "tool")
        {
            is_changed = true;
            let is_reminder =
                message["content"].as_str().is_some_and(|text| text.trim_start().starts_with("<system-reminder>"));
            if is_reminder {
                append_content(&mut last["content"], &message["content"]);
                continue;
            }
            separated.push(json!({"role": "assistant", "content": ACKNOWLEDGEMENT}));
        }
        separated.push(message);
    }
    *messages = separated;
    is_changed
}

/// Joins neighbouring user messages, and neighbouring assistant messages without calls.
fn join_neighbours(messages: &mut Vec<Value>) -> bool {
    let before = messages.len();
    let mut joined: Vec<Value> = Vec::with_capacity(before);
    let is_joinable = |message: &Value| match role(message) {
        "user" => true,
        "assistant" => message["tool_calls"].is_null(),
        _ => false,
    };
    for message in std::mem::take(messages) {
        let last = joined.last_mut();
        match last.filter(|last| last["role"] == message["role"] && is_joinable(last) && is_joinable(&message)) {
            Some(last) => append_content(&mut last["content"], &message["content"]),
            None => joined.push(message),
        }
    }
    *messages = joined;
    messages.len() != before
}

pub(super) fn append_user_turn(messages: &mut Vec<Value>) -> bool {
    let is_missing = messages.last().is_some_and(|last| !matches!(role(last), "user" | "tool" | "function"));
    if is_missing {
        messages.push(json!({"role": "user", "content": CONTINUATION}));
    }
    is_missing
}

fn mark_as_prefix(messages: &mut [Value]) -> bool {
    let last = messages.last_mut().filter(|last| role(last) == "assistant" && last["tool_calls"].is_null());
    let Some(last) = last.filter(|last| last["prefix"] != true) else { return false };
    last["prefix"] = true.into();
    true
}

/// Replaces call ids of other providers by ids that Mistral accepts.
fn shorten_call_ids(message: &mut Value) -> bool {
    let mut is_changed = false;
    let mut shorten = |id: &mut Value| {
        let is_long = |id: &&str| id.len() != SHORT_CALL_ID_LEN || !id.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if let Some(own) = id.as_str().filter(is_long) {
            *id = Value::from(&sha256_hex(own)[..SHORT_CALL_ID_LEN]);
            is_changed = true;
        }
    };
    let calls = message.get_mut("tool_calls").and_then(Value::as_array_mut).into_iter().flatten();
    calls.filter_map(|call| call.get_mut("id")).for_each(&mut shorten);
    message.get_mut("tool_call_id").into_iter().for_each(&mut shorten);
    is_changed
}
