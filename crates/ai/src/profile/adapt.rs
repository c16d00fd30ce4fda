//! Adapts the JSON body of a request to a [`Profile`].

mod cache_marks;
mod empty;
mod foreign_parts;
mod messages;
mod thoughts;
mod tool_results;

use bytes::Bytes;
use memchr::memmem;
use serde_json::{Map, Value, json};

pub(crate) use self::foreign_parts::MOVED_NOTE;
use self::messages::{add_instruction, append_user_turn, mentions_json};
use super::{
    ForcedTool, LastMessage, Profile, SchemaSupport, SystemPosition, ThinkingSwitch, ThoughtsField, ToolEffort,
};
use crate::{
    ProviderKind,
    canonical::{Effort, MediaKind},
    dialect::{fields::schema_instruction, openai_chat::provider_format::sha256_hex},
    params::nearest,
    schema,
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
        BodyFormat::Gemini => profile.drop_fields(fields) | profile.remove_thoughts(fields, format),
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
        let may_leave_out_empty =
            || (self.refuses_empty_answers || self.refuses_empty_content) && empty::may_have_empty_content(body);
        let may_pair =
            || self.pairs_tool_results && has_any(&["tool_calls", "tool_call_id", "tool_use", "tool_result"]);
        let has_excess_marks = || self.max_cache_marks.is_some() && has_field("cache_control");
        let has_thoughts = || {
            let names = ["thinking", "redacted_thinking", "reasoning", "thoughtSignature"];
            self.thoughts == ThoughtsField::No && has_any(&names)
        };
        if format != BodyFormat::Chat && has_thoughts() {
            return true;
        }
        if format == BodyFormat::Messages && (may_leave_out_empty() || may_pair() || has_excess_marks()) {
            return true;
        }
        if format != BodyFormat::Chat {
            return self.max_output.is_some()
                || self.repairs_tool_schemas
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
            || may_leave_out_empty()
            || may_pair()
            || foreign_parts::may_have_foreign_parts(body)
            || (self.refuses_developer && has_field("developer"))
            || (self.system != SystemPosition::Any && has_field("developer"))
            || (self.refuses_user_after_tool && has_field("tool"))
            || (self.last != LastMessage::Any && has_any(&["assistant", "system"]))
            || has_excess_marks()
            || (self.left_out.contains(&MediaKind::Image) && has_any(&["image_url", "input_image", "image"]))
            || (self.left_out.contains(&MediaKind::File) && has_any(&["file", "input_file"]))
            || (self.left_out.contains(&MediaKind::Audio) && has_any(&["input_audio", "audio_url"]))
            || (self.refuses_text_parts && has_field("text"))
            || ((self.schema != SchemaSupport::Full || self.needs_json_word) && has_field("response_format"))
            || ((self.forced_tool != ForcedTool::Yes || self.refuses_named_tool) && has_field("tool_choice"))
            || (self.tool_effort != ToolEffort::Any && has_field("tools"))
            || ((!self.efforts.is_empty() || self.thinking_switch != ThinkingSwitch::Effort)
                && has_field("reasoning_effort"))
            || (self.thoughts != ThoughtsField::AsIs
                && has_any(&["reasoning_content", "reasoning", "reasoning_details", "tool_calls"]))
            || (self.newer_limit.is_some() && has_any(&["max_tokens", "max_completion_tokens"]))
            || (self.max_output.is_some() && has_any(&["max_tokens", "max_completion_tokens"]))
            || (self.max_stops.is_some() && has_field("stop"))
            || (self.max_temperature.is_some() && has_field("temperature"))
            || (self.has_short_call_ids && has_any(&["tool_calls", "tool_call_id"]))
            || ((self.refuses_empty_parameters || self.repairs_tool_schemas) && has_field("tools"))
            || has("\"tools\":[]")
            || has("\"tools\": []")
            || (has_any(&["tool_choice", "parallel_tool_calls"]) && !has_field("tools"))
    }

    fn adapt_chat(&self, fields: &mut Map<String, Value>) -> bool {
        let mut is_changed = self.drop_fields(fields);
        is_changed |= self.remove_excess_marks(fields);
        is_changed |= self.set_limit(fields);
        is_changed |= remove_empty_tools(fields);
        is_changed |= self.set_effort(fields);
        is_changed |= self.set_tool_choice(fields);
        is_changed |= self.set_response_format(fields);
        is_changed |= self.fill_parameters(fields);
        is_changed |= self.repair_tool_schemas(fields);
        if let (Some(most), Some(stops)) = (self.max_stops, fields.get_mut("stop").and_then(Value::as_array_mut)) {
            is_changed |= stops.len() > most;
            stops.truncate(most);
        }
        if let Some(most) = self.max_temperature
            && fields.get("temperature").and_then(Value::as_f64).is_some_and(|asked| asked > f64::from(most))
        {
            fields.insert("temperature".to_owned(), most.into());
            is_changed = true;
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
        is_changed |= self.remove_thoughts(fields, BodyFormat::Responses);
        is_changed |= self.repair_tool_schemas(fields);
        is_changed |= clamp(fields, "max_output_tokens", self.max_output);
        if let Some(reasoning) = fields.get_mut("reasoning").and_then(Value::as_object_mut) {
            is_changed |= self.fit_effort(reasoning, "effort");
        }
        is_changed
    }

    fn adapt_anthropic(&self, fields: &mut Map<String, Value>) -> bool {
        let mut is_changed = self.drop_fields(fields);
        is_changed |= self.remove_thoughts(fields, BodyFormat::Messages);
        is_changed |= self.remove_excess_marks(fields);
        is_changed |= self.repair_tool_schemas(fields);
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
        if let Some(messages) = fields.get_mut("messages").and_then(Value::as_array_mut) {
            is_changed |= self.adapt_empty_content(messages, true);
            is_changed |= self.pairs_tool_results && tool_results::pair_in_messages(messages);
            is_changed |= self.last == LastMessage::User && append_user_turn(messages);
        }
        is_changed
    }

    /// Removes earlier reasoning if the provider can't read it.
    fn remove_thoughts(&self, fields: &mut Map<String, Value>, format: BodyFormat) -> bool {
        self.thoughts == ThoughtsField::No && thoughts::remove(fields, format)
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

    fn remove_excess_marks(&self, fields: &mut Map<String, Value>) -> bool {
        self.max_cache_marks.is_some_and(|most| cache_marks::remove_excess(fields, most))
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

    fn repair_tool_schemas(&self, fields: &mut Map<String, Value>) -> bool {
        if !self.repairs_tool_schemas {
            return false;
        }
        let tools = fields.get_mut("tools").and_then(Value::as_array_mut).into_iter().flatten();
        let mut is_changed = false;
        for tool in tools {
            let tool = if tool["function"].is_object() { &mut tool["function"] } else { tool };
            let names = ["parameters", "input_schema"];
            let schema = names.into_iter().find(|name| tool.get(*name).is_some()).and_then(|name| tool.get_mut(name));
            is_changed |= schema.is_some_and(schema::repair_tool_schema);
        }
        is_changed
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
