//! Rewrites passthrough requests: sets the provider's model, disables storage, and rejects
//! references to data stored under the provider's API key.

use std::{borrow::Cow, sync::LazyLock};

use bytes::Bytes;
use memchr::memmem::Finder;
use serde::{Deserialize, de::IgnoredAny};
use serde_json::{Value, json, value::RawValue};

use super::super::{compaction, request};
use crate::{
    GatewayError,
    dialect::{
        fields::{may_have, parse_list},
        openai_chat::passthrough::{RewrittenRequest, byte_range, first_field, present, replace_ranges, shorten_id},
    },
    params,
    reasoning_blocks::is_own_marker,
    used_call_ids::UsedCallIds,
};

#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow)]
    model: &'a RawValue,
    stream: Option<bool>,
    #[serde(borrow, default, deserialize_with = "present")]
    store: Option<&'a RawValue>,
    background: Option<bool>,
    previous_response_id: Option<IgnoredAny>,
    conversation: Option<IgnoredAny>,
    prompt: Option<IgnoredAny>,
    #[serde(borrow)]
    input: Option<&'a RawValue>,
    #[serde(borrow)]
    tools: Option<&'a RawValue>,
    #[serde(borrow)]
    tool_choice: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    include: Option<&'a RawValue>,
}

/// Conditions under which a request passes.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct PassthroughTerms {
    /// True if provider-hosted tools stay in the request.
    pub hosted: bool,
    /// True if the answer is stored by the gateway, unless the caller asks for `store: false`.
    pub is_stored: bool,
    /// Whether the model reasons; `None` if that isn't configured.
    pub thinks: Option<bool>,
}

/// Sets the provider's model, disables storage, and removes reasoning that the provider can't read.
pub(crate) fn rewrite_request(
    body: &Bytes,
    model: &str,
    terms: PassthroughTerms,
) -> Result<RewrittenRequest, GatewayError> {
    let expanded = compaction::expand_summaries(body);
    let body = expanded.as_ref().unwrap_or(body);
    let readable = strip_unreadable_reasoning(body);
    let body = readable.as_ref().unwrap_or(body);
    let head: Head<'_> = serde_json::from_slice(body).map_err(|error| GatewayError::unreadable(&error))?;
    let stored = [
        ("previous_response_id", head.previous_response_id),
        ("conversation", head.conversation),
        ("prompt", head.prompt),
    ];
    if let Some((name, _)) = stored.iter().find(|(_, value)| value.is_some()) {
        return Err(request::stored_response_error(name));
    }
    if head.background == Some(true) {
        return Err(request::in_background());
    }
    if let Some(input) = head.input {
        reject_stored_items(input)?;
    }
    let not_stored = match head.store {
        Some(store) => (byte_range(body, store), "false".to_owned()),
        None => (first_field(body), r#""store":false,"#.to_owned()),
    };
    let mut parts = vec![(byte_range(body, head.model), Value::from(model).to_string()), not_stored];
    parts.extend(head.input.map(|input| shorten_call_ids(body, input)).unwrap_or_default());
    let is_kept = terms.is_stored && head.store.is_none_or(|store| store.get() != "false");
    if is_kept && terms.thinks.unwrap_or_else(|| is_reasoning_model(model)) {
        parts.extend(include_encrypted_reasoning(body, head.include));
    }
    let later = head.input.map(later_tools).transpose()?.unwrap_or_default();
    if terms.hosted {
        let with_hosted = later.iter().map(|(tools, _)| *tools);
        head.tools.into_iter().chain(with_hosted).try_for_each(reject_stored_sources)?;
    } else {
        let kept = head.tools.and_then(strip_hosted_tools);
        let is_empty = kept.as_deref() == Some("[]");
        if let (Some(choice), true) = (head.tool_choice, is_empty || head.tool_choice.is_some_and(names_hosted)) {
            parts.push((byte_range(body, choice), r#""auto""#.to_owned()));
        }
        parts.extend(head.tools.zip(kept).map(|(tools, kept)| (byte_range(body, tools), kept)));
        parts.extend(later.into_iter().map(|(tools, kept)| (byte_range(body, tools), kept)));
    }
    let has_calls = CALL_ID.find(body).is_some();
    let used_ids = if has_calls { UsedCallIds::of_body(body) } else { UsedCallIds::default() };
    Ok(RewrittenRequest {
        body: replace_ranges(body, parts),
        stream: head.stream.unwrap_or(false),
        wants_usage: true,
        wants_several: false,
        searches: false,
        bills_code_container: false,
        used_ids,
    })
}

static CALL_ID: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(r#""call_id""#));

/// Edits that shorten the call ids of calls and their outputs.
fn shorten_call_ids(body: &Bytes, input: &RawValue) -> Vec<((usize, usize), String)> {
    #[derive(Deserialize)]
    struct Item<'a> {
        #[serde(borrow)]
        call_id: Option<&'a RawValue>,
    }
    if CALL_ID.find(input.get().as_bytes()).is_none() {
        return Vec::new();
    }
    let items: Vec<&RawValue> = serde_json::from_str(input.get()).unwrap_or_default();
    let items = items.into_iter().filter_map(|item| serde_json::from_str::<Item<'_>>(item.get()).ok());
    items.filter_map(|item| shorten_id(body, item.call_id?)).collect()
}

fn is_reasoning_model(model: &str) -> bool {
    params::find(model).is_some_and(|takes| takes.thinking.has_efforts())
}

/// Requests encrypted reasoning, which can be sent back although the provider stores nothing.
/// Models without reasoning reject it.
fn include_encrypted_reasoning(body: &Bytes, include: Option<&RawValue>) -> Option<((usize, usize), String)> {
    const THOUGHTS: &str = "reasoning.encrypted_content";
    let Some(raw) = include else { return Some((first_field(body), format!(r#""include":["{THOUGHTS}"],"#))) };
    let mut names: Vec<String> = serde_json::from_str::<Option<_>>(raw.get()).ok()?.unwrap_or_default();
    if names.iter().any(|name| name == THOUGHTS) {
        return None;
    }
    names.push(THOUGHTS.to_owned());
    Some((byte_range(body, raw), json!(names).to_string()))
}

static SUMMARY: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(r#""summary""#));

/// Removes reasoning items of other models and those without encrypted content. `None` if there are
/// none.
fn strip_unreadable_reasoning(body: &Bytes) -> Option<Bytes> {
    #[derive(Deserialize)]
    struct RequestBody<'a> {
        #[serde(borrow)]
        input: Option<&'a RawValue>,
    }
    SUMMARY.find(body)?;
    let input = serde_json::from_slice::<RequestBody<'_>>(body).ok()?.input?;
    let items: Vec<&RawValue> = serde_json::from_str(input.get()).ok()?;
    let kept: Vec<&str> = items.iter().filter(|item| !is_unreadable(item)).map(|item| item.get()).collect();
    (kept.len() < items.len())
        .then(|| replace_ranges(body, vec![(byte_range(body, input), format!("[{}]", kept.join(",")))]))
}

fn is_unreadable(item: &RawValue) -> bool {
    #[derive(Deserialize)]
    struct Thought<'a> {
        #[serde(borrow, rename = "type")]
        kind: Option<Cow<'a, str>>,
        #[serde(borrow)]
        encrypted_content: Option<Cow<'a, str>>,
        /// Readable reasoning text, sent by servers that don't hide it.
        #[serde(borrow)]
        content: Option<&'a RawValue>,
    }
    let Ok(thought) = serde_json::from_str::<Thought<'_>>(item.get()) else { return false };
    let says_nothing = || thought.content.is_none_or(|content| content.get() == "[]");
    thought.kind.as_deref() == Some("reasoning")
        && thought
            .encrypted_content
            .as_deref()
            .filter(|field| !field.is_empty())
            .map_or_else(says_nothing, is_own_marker)
}

#[derive(Deserialize)]
struct Kind<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<Cow<'a, str>>,
}

fn kind_of(raw: &RawValue) -> Option<Cow<'_, str>> {
    serde_json::from_str::<Kind<'_>>(raw.get()).ok()?.kind
}

/// Tools that the caller runs. All others count as provider-hosted, including unknown ones, whose
/// price is unknown too.
const CLIENT_TOOLS: [&str; 8] = [
    "function",
    "custom",
    "namespace",
    "local_shell",
    "apply_patch",
    "tool_search",
    "computer",
    "computer_use_preview",
];

/// True if the provider runs this tool, or may run it.
fn is_hosted(tool: &RawValue) -> bool {
    #[derive(Deserialize)]
    struct Shell<'a> {
        #[serde(borrow)]
        environment: &'a RawValue,
    }
    match kind_of(tool) {
        Some(kind) if kind == "shell" => {
            let shell = serde_json::from_str::<Shell<'_>>(tool.get()).ok();
            shell.and_then(|shell| kind_of(shell.environment)).is_none_or(|place| place != "local")
        }
        kind => kind.is_none_or(|kind| !CLIENT_TOOLS.contains(&kind.as_ref())),
    }
}

/// Removes provider-hosted tools. `None` if there are none.
fn strip_hosted_tools(list: &RawValue) -> Option<String> {
    let tools: Vec<&RawValue> = serde_json::from_str(list.get()).ok()?;
    let own: Vec<&str> = tools.iter().filter(|tool| !is_hosted(tool)).map(|tool| tool.get()).collect();
    (own.len() < tools.len()).then(|| format!("[{}]", own.join(",")))
}

/// True if the choice names a provider-hosted tool. Unreadable choices are left to the provider.
fn names_hosted(choice: &RawValue) -> bool {
    kind_of(choice).is_some_and(|kind| kind != "allowed_tools" && !CLIENT_TOOLS.contains(&kind.as_ref()))
}

/// Tool lists in the input that contain provider-hosted tools, with the remaining tools.
fn later_tools(input: &RawValue) -> Result<Vec<(&RawValue, String)>, GatewayError> {
    #[derive(Deserialize)]
    struct Item<'a> {
        #[serde(borrow, rename = "type")]
        kind: Option<Cow<'a, str>>,
        #[serde(borrow)]
        tools: Option<&'a RawValue>,
    }
    if !may_have(input.get().as_bytes(), LATER_TOOLS_MARK.as_slice()) {
        return Ok(Vec::new());
    }
    let Ok(items) = serde_json::from_str::<Vec<&RawValue>>(input.get()) else { return Ok(Vec::new()) };
    let mut lists = Vec::new();
    for (index, item) in items.into_iter().enumerate() {
        let unreadable = |error| {
            GatewayError::invalid_param(format!("input[{index}]"), format!("This item couldn't be read: {error}."))
        };
        let item: Item<'_> = serde_json::from_str(item.get()).map_err(unreadable)?;
        if let (Some("additional_tools"), Some(tools)) = (item.kind.as_deref(), item.tools)
            && let Some(kept) = strip_hosted_tools(tools)
        {
            lists.push((tools, kept));
        }
    }
    Ok(lists)
}

pub(in crate::dialect::openai_responses) static LATER_TOOLS_MARK: LazyLock<[Finder<'static>; 1]> =
    LazyLock::new(|| ["additional_tools"].map(Finder::new));

/// Substrings of references to stored data: as a JSON key, or as an item type.
static STORED_REFERENCE_MARKS: LazyLock<[Finder<'static>; 2]> =
    LazyLock::new(|| [r#""file_id""#, r#""item_reference""#].map(Finder::new));

static ID: LazyLock<[Finder<'static>; 1]> = LazyLock::new(|| [r#""id""#].map(Finder::new));

/// Rejects items and parts that refer to data stored under the provider's API key.
fn reject_stored_items(input: &RawValue) -> Result<(), GatewayError> {
    if let Some(index) = bare_reference(input) {
        return Err(request::item_reference_error(format!("input[{index}]")));
    }
    if !may_have(input.get().as_bytes(), STORED_REFERENCE_MARKS.as_slice()) {
        return Ok(());
    }
    for (index, item) in parse_list(input, "input")?.iter().enumerate() {
        if item["type"] == "item_reference" {
            return Err(request::item_reference_error(format!("input[{index}].type")));
        }
        for name in ["content", "output"] {
            let parts = item[name].as_array().map(Vec::as_slice).unwrap_or_default();
            if let Some(part) = parts.iter().position(|part| !part["file_id"].is_null()) {
                let message = "Files aren't stored here. Send the file itself.";
                return Err(GatewayError::invalid_param(format!("input[{index}].{name}[{part}].file_id"), message));
            }
        }
    }
    Ok(())
}

/// Index of the first item that has an id but neither type nor role: a reference to another item.
fn bare_reference(input: &RawValue) -> Option<usize> {
    #[derive(Deserialize)]
    struct Item<'a> {
        id: Option<IgnoredAny>,
        role: Option<IgnoredAny>,
        #[serde(borrow, rename = "type")]
        kind: Option<&'a RawValue>,
    }
    if !may_have(input.get().as_bytes(), ID.as_slice()) {
        return None;
    }
    let items: Vec<&RawValue> = serde_json::from_str(input.get()).ok()?;
    items.iter().position(|item| match serde_json::from_str::<Item<'_>>(item.get()) {
        Ok(item) => item.id.is_some() && item.role.is_none() && item.kind.is_none(),
        // If a key is duplicated, the provider may use either value, so the item counts as a
        // reference.
        Err(_) => item.get().starts_with('{'),
    })
}

/// Rejects provider-hosted tools that read data stored under the API key.
fn reject_stored_sources(tools: &RawValue) -> Result<(), GatewayError> {
    for (index, tool) in parse_list(tools, "tools")?.iter().enumerate() {
        let container = &tool["container"];
        let by_id = [
            ("vector_store_ids", !tool["vector_store_ids"].is_null()),
            ("container", container.is_string() || !container["file_ids"].is_null()),
            ("environment", !tool["environment"]["container_id"].is_null()),
        ];
        if let Some((name, _)) = by_id.into_iter().find(|(_, is_there)| *is_there) {
            let message = "Data stored with the provider's key can't be read, because everyone shares that key.";
            return Err(GatewayError::invalid_param(format!("tools[{index}].{name}"), message));
        }
    }
    Ok(())
}
