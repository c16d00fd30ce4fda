//! Repairs answers of servers that deviate from OpenAI's format, where client libraries depend on
//! it: tool calls, the finish reason behind them, and the name of the reasoning field.

use std::collections::BTreeSet;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Map, Value, json, value::RawValue};

use super::{
    super::{
        finish,
        provider_format::{self, ChatReader},
    },
    FINISH_KEY, MODEL_FIELD, REASONING_KEY,
    chunk::ParsedChoice,
    has_calls, has_non_null_value,
    request::{byte_range, present, replace_ranges},
};
use crate::{
    canonical::{Event, Reader},
    dialect::gemini::strip_model_prefix,
    used_call_ids::UsedCallIds,
};

/// Byte range of an answer or chunk, and the text that replaces it.
pub(crate) type Edit = ((usize, usize), String);

const STOP: &str = r#""stop""#;
const TOOL_CALLS: &str = r#""tool_calls""#;
/// Finish reasons that client libraries know.
const STANDARD_REASONS: [&str; 6] =
    [STOP, TOOL_CALLS, r#""length""#, r#""content_filter""#, r#""function_call""#, "null"];

/// JSON of the finish reason that replaces this one; `None` if it stays. Client libraries refuse unknown
/// ones, take an empty one for the end, and wait for calls that `tool_calls` announces.
fn standard_reason(reason: &str, has_calls: bool) -> Option<String> {
    let name = reason.trim_matches('"');
    if name.is_empty() || !reason.starts_with('"') {
        return (reason != "null").then(|| "null".to_owned());
    }
    let standard = if STANDARD_REASONS.contains(&reason) {
        reason.to_owned()
    } else {
        Value::from(provider_format::reason(finish(name))).to_string()
    };
    let fitting = match standard.as_str() {
        STOP if has_calls => TOOL_CALLS.to_owned(),
        TOOL_CALLS if !has_calls => STOP.to_owned(),
        _ => standard,
    };
    (fitting != reason).then_some(fitting)
}

/// True if the finish reason of a whole answer may have to be replaced.
fn has_odd_finish(body: &[u8]) -> bool {
    FINISH_KEY.find_iter(body).any(|at| {
        let value = body[at + FINISH_KEY.needle().len()..].trim_ascii_start();
        let value = value.strip_prefix(b":").unwrap_or(value).trim_ascii_start();
        // Without calls, `tool_calls` is odd too.
        !STANDARD_REASONS.iter().any(|reason| *reason != TOOL_CALLS && value.starts_with(reason.as_bytes()))
    })
}

/// Repairs the chunks of one stream.
#[derive(Debug, Default)]
pub(super) struct ChunkRepairer {
    /// Matches increments to calls, as for streams that are converted.
    calls: ChatReader,
    /// Choices that have a call.
    with_calls: BTreeSet<u32>,
    /// Ids of the calls so far in the conversation.
    used_ids: UsedCallIds,
}

impl ChunkRepairer {
    pub(super) fn new(used_ids: UsedCallIds) -> Self {
        Self { used_ids, ..Self::default() }
    }

    /// Returns the edits of a chunk; none if it conforms to the format.
    pub(super) fn repair(&mut self, data: &Bytes, choices: &[ParsedChoice<'_>]) -> Vec<Edit> {
        let mut edits = Vec::new();
        for choice in choices {
            if let Some(message) = choice.delta.and_then(Message::read) {
                edits.extend(message.copied_reasoning(data));
                for call in message.calls() {
                    let repaired = self.repair_increment(choice.place(), call);
                    edits.extend(repaired.map(|repaired| (byte_range(data, call), repaired)));
                }
            }
            if let Some(reason) = choice.finish_reason
                && let Some(standard) = standard_reason(reason.get(), self.with_calls.contains(&choice.place()))
            {
                edits.push((byte_range(data, reason), standard));
            }
        }
        edits
    }

    /// True if the choice has a call.
    pub(super) fn has_calls(&self, choice: u32) -> bool {
        self.with_calls.contains(&choice)
    }

    /// Returns the increment of a call with the index of its call, and with id and name only at the
    /// call's start, because client libraries concatenate them. `None` if nothing changes.
    fn repair_increment(&mut self, choice: u32, raw: &RawValue) -> Option<String> {
        let Ok(Value::Object(mut call)) = serde_json::from_str(raw.get()) else { return None };
        let (mut start, mut index) = (None, None);
        for event in self.read_increment(choice, &call) {
            match event {
                Event::Call { tool, id, .. } => (start, index) = (Some(id), Some(tool)),
                Event::Arguments { tool, .. } => index = Some(tool),
                _ => {}
            }
        }
        let mut is_changed = false;
        if let Some(index) = index.filter(|index| call.get("index").and_then(Value::as_u64) != Some((*index).into())) {
            call.insert("index".to_owned(), index.into());
            is_changed = true;
        }
        match start {
            Some(id) => {
                self.with_calls.insert(choice);
                let id = self.used_ids.replacement(&id).unwrap_or(id);
                is_changed |= complete(&mut call, &id);
            }
            None => {
                is_changed |= remove_text(&mut call, "id");
                for kind in ["function", "custom"] {
                    let function = call.get_mut(kind).and_then(Value::as_object_mut);
                    is_changed |= function.is_some_and(|function| remove_text(function, "name"));
                }
            }
        }
        is_changed |= write_arguments_as_text(&mut call, "");
        is_changed.then(|| Value::Object(call).to_string())
    }

    /// Events of an increment. Custom calls are counted as functions, since they share the indexes.
    fn read_increment(&mut self, choice: u32, call: &Map<String, Value>) -> Vec<Event> {
        let function = match call.get("custom").filter(|custom| custom.is_object()) {
            Some(custom) => json!({"name": custom["name"], "arguments": custom["input"]}),
            None => call.get("function").cloned().unwrap_or_default(),
        };
        let call = json!({"index": call.get("index"), "id": call.get("id"), "function": function});
        let chunk = json!({"choices": [{"index": choice, "delta": {"tool_calls": [call]}}]});
        let mut events = Vec::new();
        // An increment that can't be read passes unchanged.
        match self.calls.read(chunk.to_string().as_bytes(), &mut events) {
            Ok(()) => events,
            Err(_) => Vec::new(),
        }
    }
}

/// Repairs a whole answer.
pub(crate) fn repair_whole(body: Bytes, mut used_ids: UsedCallIds) -> Bytes {
    let body = strip_model_prefix(body, MODEL_FIELD);
    #[derive(Deserialize)]
    struct Answer<'a> {
        #[serde(borrow)]
        choices: Vec<AnswerChoice<'a>>,
    }
    #[derive(Deserialize)]
    struct AnswerChoice<'a> {
        #[serde(borrow)]
        message: Option<&'a RawValue>,
        #[serde(borrow)]
        finish_reason: Option<&'a RawValue>,
    }
    if !has_calls(&body) && !has_non_null_value(&REASONING_KEY, &body) && !has_odd_finish(&body) {
        return body;
    }
    let Ok(answer) = serde_json::from_slice::<Answer<'_>>(&body) else { return body };
    let mut edits = Vec::new();
    for AnswerChoice { message, finish_reason } in answer.choices {
        let Some(message) = message.and_then(Message::read) else { continue };
        edits.extend(message.copied_reasoning(&body));
        let calls = message.calls();
        for &call in &calls {
            edits.extend(repair_call(call, &mut used_ids).map(|repaired| (byte_range(&body, call), repaired)));
        }
        if let Some(reason) = finish_reason
            && let Some(standard) = standard_reason(reason.get(), !calls.is_empty())
        {
            edits.push((byte_range(&body, reason), standard));
        }
    }
    if edits.is_empty() { body } else { replace_ranges(&body, edits) }
}

/// Returns a call with id, type and textual arguments. `None` if nothing changes.
fn repair_call(raw: &RawValue, used_ids: &mut UsedCallIds) -> Option<String> {
    let Ok(Value::Object(mut call)) = serde_json::from_str(raw.get()) else { return None };
    let id = call.get("id").and_then(Value::as_str).unwrap_or_default();
    let id = used_ids.replacement(id).unwrap_or_else(|| id.to_owned());
    let is_completed = complete(&mut call, &id);
    (write_arguments_as_text(&mut call, "{}") || is_completed).then(|| Value::Object(call).to_string())
}

/// Sets the id of a call, and its type if that is missing. False if nothing changes.
fn complete(call: &mut Map<String, Value>, id: &str) -> bool {
    let mut is_changed = false;
    if call.get("id").and_then(Value::as_str) != Some(id) {
        call.insert("id".to_owned(), id.into());
        is_changed = true;
    }
    if call.get("type").and_then(Value::as_str).is_none_or(str::is_empty) {
        let kind = if call.contains_key("custom") { "custom" } else { "function" };
        call.insert("type".to_owned(), kind.into());
        is_changed = true;
    }
    is_changed
}

/// Writes a function's arguments as JSON text if the server sent the JSON itself, and missing ones
/// as `empty`. False if nothing changes.
fn write_arguments_as_text(call: &mut Map<String, Value>, empty: &str) -> bool {
    let function = call.get_mut("function").and_then(Value::as_object_mut);
    let Some(arguments) = function.and_then(|function| function.get_mut("arguments")) else { return false };
    let text = match &*arguments {
        Value::String(text) if !text.is_empty() || empty.is_empty() => return false,
        Value::String(_) | Value::Null => empty.to_owned(),
        json => json.to_string(),
    };
    *arguments = text.into();
    true
}

/// Removes a text that isn't empty. False if there is none.
fn remove_text(fields: &mut Map<String, Value>, name: &str) -> bool {
    let is_there = fields.get(name).and_then(Value::as_str).is_some_and(|text| !text.is_empty());
    is_there && fields.shift_remove(name).is_some()
}

/// Message of a whole answer, or its increment in a chunk.
#[derive(Deserialize)]
struct Message<'a> {
    /// Name of the field at vLLM, Ollama, Groq and OpenRouter.
    #[serde(borrow)]
    reasoning: Option<&'a RawValue>,
    /// Name of the field at DeepSeek and most other servers, which client libraries read.
    #[serde(borrow, default, deserialize_with = "present")]
    reasoning_content: Option<&'a RawValue>,
    #[serde(borrow)]
    tool_calls: Option<&'a RawValue>,
}

impl<'a> Message<'a> {
    fn read(raw: &'a RawValue) -> Option<Self> {
        serde_json::from_str(raw.get()).ok()
    }

    /// Edit that adds `reasoning_content` to a message that has only `reasoning`.
    fn copied_reasoning(&self, data: &Bytes) -> Option<Edit> {
        let text = self.reasoning.filter(|text| text.get().starts_with('"') && text.get() != r#""""#)?;
        match self.reasoning_content {
            None => {
                let (_, end) = byte_range(data, text);
                Some(((end, end), format!(r#","reasoning_content":{}"#, text.get())))
            }
            Some(empty) if matches!(empty.get(), "null" | r#""""#) => {
                Some((byte_range(data, empty), text.get().to_owned()))
            }
            Some(_) => None,
        }
    }

    fn calls(&self) -> Vec<&'a RawValue> {
        self.tool_calls.and_then(|calls| serde_json::from_str(calls.get()).ok()).unwrap_or_default()
    }
}
