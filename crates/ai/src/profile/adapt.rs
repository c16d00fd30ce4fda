//! Adapts the JSON body of a request to a [`Profile`].

use bytes::Bytes;
use memchr::memmem;
use serde_json::{Map, Value, json};

use super::{
    ForcedTool, LastMessage, Profile, SchemaSupport, SystemPosition, ThinkingSwitch, ThoughtsField, ToolEffort,
};
use crate::{
    ProviderKind,
    canonical::{Effort, MediaKind, system_reminder},
    dialect::{fields::schema_instruction, openai_chat::provider_format::sha256_hex},
    params::nearest,
};

/// Fields that are never removed: without them a request would mean something else, or cost more.
const ESSENTIAL_FIELDS: [&str; 21] = [
    "model",
    "messages",
    "input",
    "contents",
    "prompt",
    "system",
    "instructions",
    "systemInstruction",
    "stream",
    "tools",
    "response_format",
    "text",
    "max_tokens",
    "max_completion_tokens",
    "max_output_tokens",
    "role",
    "content",
    "parts",
    "tool_calls",
    "tool_call_id",
    "function",
];
/// Fields of a tool that are never removed.
const ESSENTIAL_TOOL_FIELDS: [&str; 5] = ["name", "type", "parameters", "input_schema", "functionDeclarations"];
/// Maximum length of short fields such as `user`, in characters.
const SHORT_FIELD_CHARS: usize = 64;
/// Length of Mistral's call ids.
const SHORT_CALL_ID_LEN: usize = 9;
/// Text of an assistant message that has to stand between a tool result and a user message.
const ACKNOWLEDGEMENT: &str = "OK.";
/// Text of a user message that has to follow a last assistant message.
const CONTINUATION: &str = "Continue.";

/// Format of a request body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BodyFormat {
    Chat,
    Responses,
    Messages,
    Gemini,
}

impl BodyFormat {
    /// Format of a provider's chat requests.
    pub fn of(kind: ProviderKind) -> Self {
        match kind.name() {
            "anthropic" => Self::Messages,
            "gemini" => Self::Gemini,
            _ => Self::Chat,
        }
    }
}

/// True if the field may be removed from a request. A path names fields within fields, joined by
/// dots.
pub(super) fn may_drop(path: &str) -> bool {
    let Some(last) = path.rsplit('.').next().filter(|_| super::is_path(path)) else { return false };
    let is_essential_of_tool = path.starts_with("tools.") && ESSENTIAL_TOOL_FIELDS.contains(&last);
    !ESSENTIAL_FIELDS.contains(&last) && !is_essential_of_tool
}

/// Adapts a body. Returns `None` if it stays unchanged.
pub(crate) fn adapt(profile: &Profile, format: BodyFormat, body: &Bytes) -> Option<Bytes> {
    if !profile.may_change(format, body) {
        return None;
    }
    // A malformed body is reported by the provider.
    let mut value: Value = serde_json::from_slice(body).ok()?;
    let fields = value.as_object_mut()?;
    let is_changed = match format {
        BodyFormat::Chat => profile.adapt_chat(fields),
        BodyFormat::Responses => profile.adapt_responses(fields),
        BodyFormat::Messages => profile.adapt_anthropic(fields),
        BodyFormat::Gemini => profile.drop_fields(fields),
    };
    is_changed.then(|| value.to_string().into())
}

impl Profile {
    /// True if the body might have to change. Most requests need no change and aren't parsed.
    fn may_change(&self, format: BodyFormat, body: &[u8]) -> bool {
        let has = |needle: &str| memmem::find(body, needle.as_bytes()).is_some();
        let has_field = |name: &str| has(&format!("\"{name}\""));
        let has_any = |names: &[&str]| names.iter().any(|name| has_field(name));
        if self.dropped.iter().chain(&self.shortened).any(|path| path.rsplit('.').next().is_some_and(has_field)) {
            return true;
        }
        if format != BodyFormat::Chat {
            return self.max_output.is_some()
                || !self.efforts.is_empty()
                || self.forced_tool != ForcedTool::Yes
                || self.last == LastMessage::User;
        }
        let has_late_system = || {
            let mut places = memmem::find_iter(body, "\"system\"");
            match (places.next(), places.next()) {
                (Some(first), None) => {
                    let before = |name: &str| memmem::find(&body[..first], name.as_bytes()).is_some();
                    before("\"user\"") || before("\"assistant\"")
                }
                (Some(_), Some(_)) => true,
                (None, _) => false,
            }
        };
        let is_system_ill_placed = match self.system {
            SystemPosition::Any => false,
            SystemPosition::First => has_late_system(),
            SystemPosition::None => has_field("system"),
        };
        is_system_ill_placed
            || self.alternates
            || self.streams_only
            || (self.refuses_developer && has_field("developer"))
            || (self.system != SystemPosition::Any && has_field("developer"))
            || (self.refuses_user_after_tool && has_field("tool"))
            || (self.last != LastMessage::Any && has_field("assistant"))
            || (self.left_out.contains(&MediaKind::Image) && has_any(&["image_url", "input_image", "image"]))
            || (self.left_out.contains(&MediaKind::File) && has_any(&["file", "input_file"]))
            || (self.left_out.contains(&MediaKind::Audio) && has_any(&["input_audio", "audio_url"]))
            || ((self.schema != SchemaSupport::Full || self.needs_json_word) && has_field("response_format"))
            || ((self.forced_tool != ForcedTool::Yes || self.refuses_named_tool) && has_field("tool_choice"))
            || (self.tool_effort != ToolEffort::Any && has_field("tools"))
            || ((!self.efforts.is_empty() || self.thinking_switch != ThinkingSwitch::Effort)
                && has_field("reasoning_effort"))
            || (self.thoughts != ThoughtsField::AsIs && has_any(&["reasoning_content", "reasoning", "tool_calls"]))
            || (self.newer_limit.is_some() && has_any(&["max_tokens", "max_completion_tokens"]))
            || (self.max_output.is_some() && has_any(&["max_tokens", "max_completion_tokens"]))
            || (self.max_stops.is_some() && has_field("stop"))
            || (self.has_short_call_ids && has_any(&["tool_calls", "tool_call_id"]))
            || (self.refuses_empty_parameters && has_field("tools"))
            || has("\"tools\":[]")
            || has("\"tools\": []")
            || (has_any(&["tool_choice", "parallel_tool_calls"]) && !has_field("tools"))
    }

    fn adapt_chat(&self, fields: &mut Map<String, Value>) -> bool {
        let mut is_changed = self.drop_fields(fields);
        is_changed |= self.set_limit(fields);
        is_changed |= remove_empty_tools(fields);
        is_changed |= self.set_effort(fields);
        is_changed |= self.set_tool_choice(fields);
        is_changed |= self.set_response_format(fields);
        is_changed |= self.fill_parameters(fields);
        if let (Some(most), Some(stops)) = (self.max_stops, fields.get_mut("stop").and_then(Value::as_array_mut)) {
            is_changed |= stops.len() > most;
            stops.truncate(most);
        }
        if self.streams_only && fields.get("stream") != Some(&Value::Bool(true)) {
            fields.insert("stream".to_owned(), true.into());
            fields.insert("stream_options".to_owned(), json!({"include_usage": true}));
            is_changed = true;
        }
        if let Some(messages) = fields.get_mut("messages").and_then(Value::as_array_mut) {
            is_changed |= self.adapt_messages(messages);
        }
        is_changed
    }

    fn adapt_responses(&self, fields: &mut Map<String, Value>) -> bool {
        let mut is_changed = self.drop_fields(fields);
        is_changed |= clamp(fields, "max_output_tokens", self.max_output);
        if let Some(reasoning) = fields.get_mut("reasoning").and_then(Value::as_object_mut) {
            is_changed |= self.fit_effort(reasoning, "effort");
        }
        is_changed
    }

    fn adapt_anthropic(&self, fields: &mut Map<String, Value>) -> bool {
        let mut is_changed = self.drop_fields(fields);
        is_changed |= clamp(fields, "max_tokens", self.max_output);
        if let Some(config) = fields.get_mut("output_config").and_then(Value::as_object_mut) {
            is_changed |= self.fit_effort(config, "effort");
        }
        let is_forced = |choice: &Value| matches!(choice["type"].as_str(), Some("any" | "tool"));
        match self.forced_tool {
            ForcedTool::Yes => {}
            ForcedTool::NotThinking => {
                if fields.get("tool_choice").is_some_and(is_forced) {
                    is_changed |= fields.shift_remove("thinking").is_some();
                }
            }
            ForcedTool::No => {
                if fields.get("tool_choice").is_some_and(is_forced) {
                    fields.insert("tool_choice".to_owned(), json!({"type": "auto"}));
                    is_changed = true;
                }
            }
        }
        if self.last == LastMessage::User
            && let Some(messages) = fields.get_mut("messages").and_then(Value::as_array_mut)
        {
            is_changed |= append_user_turn(messages);
        }
        is_changed
    }

    fn drop_fields(&self, fields: &mut Map<String, Value>) -> bool {
        let mut is_changed = false;
        for path in &self.dropped {
            let names: Vec<&str> = path.split('.').collect();
            is_changed |= match names.as_slice() {
                [] => false,
                [name] => fields.shift_remove(*name).is_some(),
                [first, rest @ ..] => fields.get_mut(*first).is_some_and(|inner| remove(inner, rest)),
            };
        }
        for name in &self.shortened {
            if let Some(Value::String(text)) = fields.get_mut(name)
                && text.chars().count() > SHORT_FIELD_CHARS
            {
                *text = sha256_hex(text);
                is_changed = true;
            }
        }
        is_changed
    }

    fn set_limit(&self, fields: &mut Map<String, Value>) -> bool {
        let mut is_changed = false;
        let names = match self.newer_limit {
            Some(true) => Some(("max_tokens", "max_completion_tokens")),
            Some(false) => Some(("max_completion_tokens", "max_tokens")),
            None => None,
        };
        if let Some((refused, accepted)) = names
            && let Some(limit) = fields.shift_remove(refused)
        {
            fields.entry(accepted).or_insert(limit);
            is_changed = true;
        }
        for name in ["max_tokens", "max_completion_tokens"] {
            is_changed |= clamp(fields, name, self.max_output);
        }
        is_changed
    }

    /// Replaces an effort that isn't supported by the nearest one.
    fn fit_effort(&self, fields: &mut Map<String, Value>, name: &str) -> bool {
        if self.efforts.is_empty() {
            return false;
        }
        let Some(effort) = fields.get(name).and_then(Value::as_str).and_then(Effort::parse) else { return false };
        let fitted = nearest(effort, &self.efforts);
        if fitted != effort {
            fields.insert(name.to_owned(), fitted.name().into());
        }
        fitted != effort
    }

    fn set_effort(&self, fields: &mut Map<String, Value>) -> bool {
        const EFFORT: &str = "reasoning_effort";
        let has_tools = fields.get("tools").and_then(Value::as_array).is_some_and(|tools| !tools.is_empty());
        match self.tool_effort {
            ToolEffort::None if has_tools => {
                let is_set = fields.get(EFFORT).is_some_and(|effort| effort == "none");
                fields.insert(EFFORT.to_owned(), "none".into());
                return !is_set;
            }
            ToolEffort::Drop if has_tools => return fields.shift_remove(EFFORT).is_some(),
            _ => {}
        }
        let is_changed = self.fit_effort(fields, EFFORT);
        let effort = fields.get(EFFORT).and_then(Value::as_str).and_then(Effort::parse);
        match (self.thinking_switch, effort) {
            (ThinkingSwitch::Thinking | ThinkingSwitch::EnableThinking, Some(Effort::None)) => {
                self.switch_thinking_off(fields)
            }
            (ThinkingSwitch::EnableThinking, Some(effort)) => {
                fields.shift_remove(EFFORT);
                fields.insert("enable_thinking".to_owned(), true.into());
                fields.entry("thinking_budget").or_insert_with(|| effort.budget().into());
                true
            }
            _ => is_changed,
        }
    }

    fn switch_thinking_off(&self, fields: &mut Map<String, Value>) -> bool {
        let (name, off) = match self.thinking_switch {
            ThinkingSwitch::Effort => ("reasoning_effort", json!("none")),
            ThinkingSwitch::Thinking => ("thinking", json!({"type": "disabled"})),
            ThinkingSwitch::EnableThinking => ("enable_thinking", json!(false)),
        };
        let is_changed = fields.get(name) != Some(&off);
        fields.insert(name.to_owned(), off);
        for other in ["reasoning_effort", "thinking_budget", "reasoning"] {
            if other != name {
                fields.shift_remove(other);
            }
        }
        is_changed
    }

    fn set_tool_choice(&self, fields: &mut Map<String, Value>) -> bool {
        let choice = fields.get("tool_choice").unwrap_or(&Value::Null);
        let is_named = choice.is_object() && choice["type"] != "allowed_tools";
        if !is_named && !matches!(choice.as_str(), Some("required" | "any")) {
            return false;
        }
        let mut is_changed = false;
        if is_named && self.refuses_named_tool {
            fields.insert("tool_choice".to_owned(), "required".into());
            is_changed = true;
        }
        match self.forced_tool {
            ForcedTool::Yes => is_changed,
            ForcedTool::NotThinking => self.switch_thinking_off(fields) || is_changed,
            ForcedTool::No => {
                fields.insert("tool_choice".to_owned(), "auto".into());
                true
            }
        }
    }

    fn set_response_format(&self, fields: &mut Map<String, Value>) -> bool {
        const FORMAT: &str = "response_format";
        let Some(format) = fields.get(FORMAT) else { return false };
        let (is_schema, is_object) = (format["type"] == "json_schema", format["type"] == "json_object");
        let schema = &format["json_schema"]["schema"];
        let instruction = schema_instruction((is_schema && schema.is_object()).then_some(schema));
        let is_described = match self.schema {
            SchemaSupport::Object if is_schema => {
                fields.insert(FORMAT.to_owned(), json!({"type": "json_object"}));
                true
            }
            SchemaSupport::None if is_schema || is_object => {
                fields.shift_remove(FORMAT);
                true
            }
            SchemaSupport::Only if is_object => {
                let schema = json!({"name": "answer", "schema": {"type": "object"}});
                fields.insert(FORMAT.to_owned(), json!({"type": "json_schema", "json_schema": schema}));
                return true;
            }
            _ => false,
        };
        let Some(messages) = fields.get_mut("messages").and_then(Value::as_array_mut) else { return is_described };
        let lacks_word = || !messages.iter().any(|message| mentions_json(&message["content"]));
        if is_described || (self.needs_json_word && is_object && lacks_word()) {
            add_instruction(messages, &instruction);
            return true;
        }
        false
    }

    fn fill_parameters(&self, fields: &mut Map<String, Value>) -> bool {
        if !self.refuses_empty_parameters {
            return false;
        }
        let tools = fields.get_mut("tools").and_then(Value::as_array_mut).into_iter().flatten();
        let mut is_changed = false;
        for function in tools.filter_map(|tool| tool.get_mut("function")?.as_object_mut()) {
            if function.get("parameters").is_none_or(|parameters| parameters["type"].is_null()) {
                function.insert("parameters".to_owned(), json!({"type": "object", "properties": {}}));
                is_changed = true;
            }
        }
        is_changed
    }

    fn adapt_messages(&self, messages: &mut Vec<Value>) -> bool {
        let mut is_changed = false;
        for message in messages.iter_mut() {
            if self.refuses_developer && message["role"] == "developer" {
                message["role"] = "system".into();
                is_changed = true;
            }
            is_changed |= self.leave_out_media(message);
            is_changed |= self.set_thoughts(message);
            is_changed |= self.has_short_call_ids && shorten_call_ids(message);
        }
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
        // Some servers take only a string.
        if is_changed && parts.iter().all(|part| part["type"] == "text") {
            let text = content_text(&message["content"]);
            message["content"] = text.into();
        }
        is_changed
    }

    fn set_thoughts(&self, message: &mut Value) -> bool {
        let is_assistant = role(message) == "assistant";
        let Some(fields) = message.as_object_mut().filter(|_| is_assistant) else { return false };
        match self.thoughts {
            ThoughtsField::AsIs => false,
            ThoughtsField::No => {
                let content = fields.shift_remove("reasoning_content").is_some();
                fields.shift_remove("reasoning").is_some() || content
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

/// Limits a number.
fn clamp(fields: &mut Map<String, Value>, name: &str, most: Option<u64>) -> bool {
    let Some(most) = most else { return false };
    let is_above = fields.get(name).and_then(Value::as_u64).is_some_and(|asked| asked > most);
    if is_above {
        fields.insert(name.to_owned(), most.into());
    }
    is_above
}

/// Removes a field by its path, in all elements of lists. A name that an object doesn't have is
/// skipped, because providers add the variant's name to the path.
fn remove(value: &mut Value, path: &[&str]) -> bool {
    let [name, rest @ ..] = path else { return false };
    match value {
        Value::Array(items) => items.iter_mut().map(|item| remove(item, path)).filter(|removed| *removed).count() > 0,
        Value::Object(fields) if rest.is_empty() => fields.shift_remove(*name).is_some(),
        Value::Object(fields) => match fields.get_mut(*name) {
            Some(inner) => remove(inner, rest),
            None => remove(value, rest),
        },
        _ => false,
    }
}

/// Removes an empty list of tools, and the fields that are allowed only beside tools.
fn remove_empty_tools(fields: &mut Map<String, Value>) -> bool {
    if fields.get("tools").is_some_and(|tools| tools.as_array().is_none_or(|tools| !tools.is_empty())) {
        return false;
    }
    // The older `functions` has a choice of its own.
    ["tools", "tool_choice", "parallel_tool_calls"].iter().filter_map(|name| fields.shift_remove(*name)).count() > 0
}

fn role(message: &Value) -> &str {
    message["role"].as_str().unwrap_or_default()
}

/// Text of a message's content.
fn content_text(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => {
            let texts: Vec<&str> = parts.iter().filter_map(|part| part["text"].as_str()).collect();
            texts.join("\n")
        }
        _ => String::new(),
    }
}

fn mentions_json(content: &Value) -> bool {
    content_text(content).to_ascii_lowercase().contains("json")
}

/// Adds an instruction to the first system message.
fn add_instruction(messages: &mut Vec<Value>, instruction: &str) {
    match messages.first_mut().filter(|first| matches!(role(first), "system" | "developer")) {
        Some(first) => append_content(&mut first["content"], &Value::from(instruction)),
        None => messages.insert(0, json!({"role": "system", "content": instruction})),
    }
}

/// Appends content, as text if both are text and as parts otherwise.
fn append_content(content: &mut Value, more: &Value) {
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

fn append_user_turn(messages: &mut Vec<Value>) -> bool {
    let is_assistant = messages.last().is_some_and(|last| role(last) == "assistant");
    if is_assistant {
        messages.push(json!({"role": "user", "content": CONTINUATION}));
    }
    is_assistant
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
