//! OpenAI's responses on both sides: the bytes pass, and only what routing, billing and secrecy need is looked at.
//!
//! Nothing is stored upstream either: the provider's key is everybody's, so that anybody could go on from a stored answer. Nor is anything read that
//! somebody stored with that key, by its id.

use std::{borrow::Cow, sync::LazyLock};

use bytes::Bytes;
use memchr::memmem::Finder;
use serde::{Deserialize, de::IgnoredAny};
use serde_json::{Value, json, value::RawValue};

use crate::{
    AiError, Finish, GatewayError, Usage,
    dialect::{
        fields::{counted, listed, may_have},
        openai_chat::pass::{Rewritten, beginning, place, present, replace, text_length},
        pass::{EventReader, PassingTap},
    },
    given::Record,
    meter::Meter,
    takes,
    thoughts::is_ours,
    wire::failure::{self, Failure},
};

use super::{hosted::Used, request};

/// Passes the events of a stream.
pub(crate) type ResponsesTap = PassingTap<ResponseEvents>;

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

/// How a request passes.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Terms {
    /// Tools that the provider runs itself are not left out.
    pub hosted: bool,
    /// The answer can be named later on, and is sent again then, unless the caller asks for `store: false`.
    pub is_kept: bool,
    /// Whether its model thinks, where that is said of it.
    pub thinks: Option<bool>,
}

/// The caller's request with the upstream's model, its answer not to be stored, and without thoughts that the provider can't read.
pub(crate) fn rewrite(body: &Bytes, model: &str, terms: Terms) -> Result<Rewritten, GatewayError> {
    let readable = without_unreadable(body);
    let body = readable.as_ref().unwrap_or(body);
    let head: Head<'_> = serde_json::from_slice(body).map_err(|error| GatewayError::unreadable(&error))?;
    let stored = [
        ("previous_response_id", head.previous_response_id),
        ("conversation", head.conversation),
        ("prompt", head.prompt),
    ];
    if let Some((name, _)) = stored.iter().find(|(_, value)| value.is_some()) {
        return Err(request::stored(name));
    }
    if head.background == Some(true) {
        return Err(request::in_background());
    }
    if let Some(input) = head.input {
        refuse_stored_items(input)?;
    }
    let not_stored = match head.store {
        Some(store) => (place(body, store), "false".to_owned()),
        None => (beginning(body), r#""store":false,"#.to_owned()),
    };
    let mut parts = vec![(place(body, head.model), Value::from(model).to_string()), not_stored];
    let is_kept = terms.is_kept && head.store.is_none_or(|store| store.get() != "false");
    if is_kept && terms.thinks.unwrap_or_else(|| thinks(model)) {
        parts.extend(with_thoughts(body, head.include));
    }
    let later = head.input.map(later_tools).transpose()?.unwrap_or_default();
    if terms.hosted {
        let with_hosted = later.iter().map(|(tools, _)| *tools);
        head.tools.into_iter().chain(with_hosted).try_for_each(refuse_stored_sources)?;
    } else {
        let kept = head.tools.and_then(own_tools);
        let is_empty = kept.as_deref() == Some("[]");
        if let (Some(choice), true) = (head.tool_choice, is_empty || head.tool_choice.is_some_and(names_hosted)) {
            parts.push((place(body, choice), r#""auto""#.to_owned()));
        }
        parts.extend(head.tools.zip(kept).map(|(tools, kept)| (place(body, tools), kept)));
        parts.extend(later.into_iter().map(|(tools, kept)| (place(body, tools), kept)));
    }
    Ok(Rewritten {
        body: replace(body, parts),
        stream: head.stream.unwrap_or(false),
        wants_usage: true,
        wants_several: false,
        searches: false,
        pays_for_code: false,
    })
}

fn thinks(model: &str) -> bool {
    takes::of(model).is_some_and(|takes| takes.thinking.has_efforts())
}

/// What makes the provider send its thoughts in the form in which they can come back, as it stores none itself. Models that don't think refuse it.
fn with_thoughts(body: &Bytes, include: Option<&RawValue>) -> Option<((usize, usize), String)> {
    const THOUGHTS: &str = "reasoning.encrypted_content";
    let Some(raw) = include else { return Some((beginning(body), format!(r#""include":["{THOUGHTS}"],"#))) };
    let mut names: Vec<String> = serde_json::from_str::<Option<_>>(raw.get()).ok()?.unwrap_or_default();
    if names.iter().any(|name| name == THOUGHTS) {
        return None;
    }
    names.push(THOUGHTS.to_owned());
    Some((place(body, raw), json!(names).to_string()))
}

static SUMMARY: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(r#""summary""#));

/// The body without thoughts of other models, and without those that came back without what they are read by. None: it has none of them.
fn without_unreadable(body: &Bytes) -> Option<Bytes> {
    #[derive(Deserialize)]
    struct RequestBody<'a> {
        #[serde(borrow)]
        input: Option<&'a RawValue>,
    }
    SUMMARY.find(body)?;
    let input = serde_json::from_slice::<RequestBody<'_>>(body).ok()?.input?;
    let items: Vec<&RawValue> = serde_json::from_str(input.get()).ok()?;
    let kept: Vec<&str> = items.iter().filter(|item| !is_unreadable(item)).map(|item| item.get()).collect();
    (kept.len() < items.len()).then(|| replace(body, vec![(place(body, input), format!("[{}]", kept.join(",")))]))
}

fn is_unreadable(item: &RawValue) -> bool {
    #[derive(Deserialize)]
    struct Thought<'a> {
        #[serde(borrow, rename = "type")]
        kind: Option<Cow<'a, str>>,
        #[serde(borrow)]
        encrypted_content: Option<Cow<'a, str>>,
        /// Servers that hide no thoughts have them here.
        #[serde(borrow)]
        content: Option<&'a RawValue>,
    }
    let Ok(thought) = serde_json::from_str::<Thought<'_>>(item.get()) else { return false };
    let says_nothing = || thought.content.is_none_or(|content| content.get() == "[]");
    thought.kind.as_deref() == Some("reasoning")
        && thought.encrypted_content.as_deref().filter(|field| !field.is_empty()).map_or_else(says_nothing, is_ours)
}

#[derive(Deserialize)]
struct Kind<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<Cow<'a, str>>,
}

fn kind_of(raw: &RawValue) -> Option<Cow<'_, str>> {
    serde_json::from_str::<Kind<'_>>(raw.get()).ok()?.kind
}

/// Tools that the caller runs. Others are the provider's, also those that are not known yet: what they cost is not known either.
const OWN: [&str; 8] = [
    "function",
    "custom",
    "namespace",
    "local_shell",
    "apply_patch",
    "tool_search",
    "computer",
    "computer_use_preview",
];

/// Whether the provider runs this tool itself, or may do so.
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
        kind => kind.is_none_or(|kind| !OWN.contains(&kind.as_ref())),
    }
}

/// A list of tools without those that the provider runs. None: it has none of them.
fn own_tools(list: &RawValue) -> Option<String> {
    let tools: Vec<&RawValue> = serde_json::from_str(list.get()).ok()?;
    let own: Vec<&str> = tools.iter().filter(|tool| !is_hosted(tool)).map(|tool| tool.get()).collect();
    (own.len() < tools.len()).then(|| format!("[{}]", own.join(",")))
}

/// Whether a choice names a tool that the provider runs. What can't be read is left to it.
fn names_hosted(choice: &RawValue) -> bool {
    kind_of(choice).is_some_and(|kind| kind != "allowed_tools" && !OWN.contains(&kind.as_ref()))
}

/// The lists of tools among the items that have some of the provider's, and what stays of them.
fn later_tools(input: &RawValue) -> Result<Vec<(&RawValue, String)>, GatewayError> {
    #[derive(Deserialize)]
    struct Item<'a> {
        #[serde(borrow, rename = "type")]
        kind: Option<Cow<'a, str>>,
        #[serde(borrow)]
        tools: Option<&'a RawValue>,
    }
    if !may_have(input.get().as_bytes(), LATER.as_slice()) {
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
            && let Some(kept) = own_tools(tools)
        {
            lists.push((tools, kept));
        }
    }
    Ok(lists)
}

pub(super) static LATER: LazyLock<[Finder<'static>; 1]> = LazyLock::new(|| ["additional_tools"].map(Finder::new));
/// What names something that is stored, where it is a key or a type.
static BY_ID: LazyLock<[Finder<'static>; 2]> =
    LazyLock::new(|| [r#""file_id""#, r#""item_reference""#].map(Finder::new));
static ID: LazyLock<[Finder<'static>; 1]> = LazyLock::new(|| [r#""id""#].map(Finder::new));

/// Refuses items and parts that name what is stored with the provider's key.
fn refuse_stored_items(input: &RawValue) -> Result<(), GatewayError> {
    if let Some(index) = bare_reference(input) {
        return Err(request::referenced(format!("input[{index}]")));
    }
    if !may_have(input.get().as_bytes(), BY_ID.as_slice()) {
        return Ok(());
    }
    for (index, item) in listed(input, "input")?.iter().enumerate() {
        if item["type"] == "item_reference" {
            return Err(request::referenced(format!("input[{index}].type")));
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

/// The first item that has an id and says neither what it is nor whose: it names another one.
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
        // Of a key that stands there twice it is the provider's affair which one it heeds.
        Err(_) => item.get().starts_with('{'),
    })
}

/// Refuses tools of the provider that read what is stored with its key.
fn refuse_stored_sources(tools: &RawValue) -> Result<(), GatewayError> {
    for (index, tool) in listed(tools, "tools")?.iter().enumerate() {
        let container = &tool["container"];
        let by_id = [
            ("vector_store_ids", !tool["vector_store_ids"].is_null()),
            ("container", container.is_string() || !container["file_ids"].is_null()),
            ("environment", !tool["environment"]["container_id"].is_null()),
        ];
        if let Some((name, _)) = by_id.into_iter().find(|(_, is_there)| *is_there) {
            let message = "What is stored with the provider's key can't be read: the key is everybody's.";
            return Err(GatewayError::invalid_param(format!("tools[{index}].{name}"), message));
        }
    }
    Ok(())
}

/// Whatever a server writes there, its answer stands.
fn read_usage(said: &Value) -> Usage {
    Usage {
        input: counted(&said["input_tokens"]),
        cached: counted(&said["input_tokens_details"]["cached_tokens"]),
        output: counted(&said["output_tokens"]),
        reasoning: counted(&said["output_tokens_details"]["reasoning_tokens"]),
        ..Usage::default()
    }
}

/// Reads what billing needs of an answer in one piece; fails where it is none.
pub(crate) fn meter_whole(body: &[u8], meter: &Meter, record: Option<&Record>) -> Result<(), Failure> {
    let response: Value = serde_json::from_slice(body).map_err(|_| AiError::Garbled)?;
    let unsaid = || (response["status"] == "failed").then(failure::unknown);
    if let Some(failure) = failed(&response).or_else(|| failure::of_value(&response)).or_else(unsaid) {
        return Err(failure);
    }
    if !response["output"].is_array() {
        return Err(AiError::Garbled.into());
    }
    meter.deliver(delivered(&TEXT, body));
    ended(&response, &Used::of(&response), meter);
    if let Some(record) = record {
        record.keep(&response);
    }
    Ok(())
}

/// The error that an answer consists of.
fn failed(response: &Value) -> Option<Failure> {
    let error = response.get("error").filter(|error| !error.is_null())?;
    failure::of_value(&json!({ "error": error }))
}

fn ended(response: &Value, used: &Used, meter: &Meter) {
    if let Some(tools) = used.usage() {
        meter.report(tools);
    }
    if let Some(usage) = response.get("usage").filter(|usage| usage.is_object()) {
        meter.report(read_usage(usage));
    }
    meter.finished(if response["status"] == "incomplete" { Finish::Length } else { Finish::Stop });
    meter.close();
}

static TEXT: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(r#""text":"#));
static DELTA: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(r#""delta":"#));
static NUMBER: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(r#""sequence_number":"#));
/// What the frames have that tell of the end, of an error, of an item that is there as a whole, or of a picture that can be seen.
static MARKS: LazyLock<[Finder<'static>; 6]> = LazyLock::new(|| {
    [
        "response.completed",
        "response.incomplete",
        "response.failed",
        r#""response.output_item.done""#,
        r#""response.image_generation_call.partial_image""#,
        r#""error""#,
    ]
    .map(Finder::new)
});

/// Quarters of the tokens in the texts under this key.
fn delivered(key: &Finder<'static>, block: &[u8]) -> u64 {
    key.find_iter(block).map(|at| text_length(&block[at + key.needle().len()..])).sum()
}

/// What the events of a stream say.
#[derive(Debug, Default)]
pub(crate) struct ResponseEvents {
    is_done: bool,
    count: u64,
    /// Tools that the provider ran.
    used: Used,
    record: Option<Record>,
}

impl ResponseEvents {
    /// Of an answer that is kept where there is something to keep it.
    pub fn kept(record: Option<Record>) -> Self {
        Self { record, ..Self::default() }
    }
}

impl EventReader for ResponseEvents {
    fn delivered(block: &[u8]) -> u64 {
        delivered(&DELTA, block)
    }

    fn is_marked(block: &[u8]) -> bool {
        MARKS.iter().any(|mark| mark.find(block).is_some())
    }

    fn read(&mut self, said: &Value, meter: &Meter) -> Result<(), Failure> {
        match said["type"].as_str() {
            Some("response.created") => {
                self.used.note_tools(&said["response"]);
                Ok(())
            }
            // Who leaves in the middle pays for what was done until then, or could be seen.
            Some(kind @ ("response.output_item.done" | "response.image_generation_call.partial_image")) => {
                let is_done = kind == "response.output_item.done";
                let is_new = if is_done { self.used.note(&said["item"]) } else { self.used.note_seen(said) };
                if is_new && let Some(tools) = self.used.usage() {
                    meter.report(tools);
                }
                Ok(())
            }
            Some("response.completed" | "response.incomplete") => {
                self.is_done = true;
                self.used.add(Used::of(&said["response"]));
                ended(&said["response"], &self.used, meter);
                if let Some(record) = &self.record {
                    record.keep(&said["response"]);
                }
                Ok(())
            }
            Some(_) => Ok(()),
            None => Err(AiError::Garbled.into()),
        }
    }

    fn failure(said: &Value) -> Option<Failure> {
        match said["type"].as_str() {
            // Some servers have the error beside the response.
            Some("response.failed") => {
                let told = failed(&said["response"]).or_else(|| failure::of_value(said));
                Some(told.unwrap_or_else(failure::unknown))
            }
            // The error's fields stand beside the type, or under a name of their own.
            Some("error") => failure::of_value(said).or_else(|| failure::of_value(&json!({ "error": said }))),
            _ => failure::of_value(said),
        }
    }

    fn count(&mut self, passed: &[u8]) {
        self.count += NUMBER.find_iter(passed).count() as u64;
    }

    fn is_done(&self) -> bool {
        self.is_done
    }

    fn is_whole(&self) -> bool {
        self.is_done
    }

    fn sequence(&self) -> u64 {
        self.count
    }

    fn end(&mut self, _: &Meter) -> Result<&'static [u8], Failure> {
        Err(AiError::Cut.into())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::relay::Tap;

    const CREATED: &str = "event: response.created\ndata: {\"type\":\"response.created\",\"sequence_number\":0,\"response\":{\"id\":\"r\",\"error\":null}}\n\n";
    const DELTA: &str = "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"sequence_number\":1,\"delta\":\"Hello\"}\n\n";
    const COMPLETED: &str = "event: response.completed\ndata: {\"type\":\"response.completed\",\"sequence_number\":2,\"response\":{\"status\":\"completed\",\"error\":null,\"output\":[],\"usage\":{\"input_tokens\":3,\"input_tokens_details\":{\"cached_tokens\":1},\"output_tokens\":2,\"output_tokens_details\":{\"reasoning_tokens\":0}}}}\n\n";
    const FAILED: &str = "event: response.failed\ndata: {\"type\":\"response.failed\",\"response\":{\"error\":{\"code\":\"rate_limit_exceeded\",\"message\":\"slow\"}}}\n\n";

    const HOSTED: Terms = Terms { hosted: true, is_kept: false, thinks: None };

    fn bytes(text: &'static str) -> Bytes {
        Bytes::from_static(text.as_bytes())
    }

    #[test]
    fn an_answer_is_never_stored() {
        let rewritten =
            |body: &'static str| rewrite(&bytes(body), "best", Terms::default()).map(|request| request.body).unwrap();
        assert_eq!(rewritten(r#"{"model":"m","input":"x"}"#), r#"{"store":false,"model":"best","input":"x"}"#);
        assert_eq!(rewritten(r#"{"store": true,"model":"m"}"#), r#"{"store": false,"model":"best"}"#);
        assert_eq!(rewritten(r#"{"model":"m","store":null}"#), r#"{"model":"best","store":false}"#);
    }

    #[test]
    fn what_the_provider_runs_is_left_out_unless_it_may_pass_and_all_else_stays() {
        let rewritten = |body: String, hosted| {
            let terms = Terms { hosted, ..Terms::default() };
            let request = rewrite(&Bytes::from(body), "m", terms).unwrap();
            serde_json::from_slice::<Value>(&request.body).unwrap()
        };
        let custom = json!({"type": "custom", "name": "apply_patch", "format": {"type": "grammar", "syntax": "lark", "definition": "start: /.+/s"}});
        let space = json!({"type": "namespace", "name": "agents", "tools": [{"type": "function", "name": "spawn"}]});
        let shell = json!({"type": "shell", "environment": {"type": "local"}});
        let away = json!({"type": "shell", "environment": {"type": "container_auto"}});
        let search = json!({"type": "web_search", "external_web_access": false});
        let later = |tools: Value| json!({"type": "additional_tools", "role": "developer", "tools": tools});
        let items = json!([
            {"role": "user", "content": "x"},
            {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search", "query": "q"}},
            {"type": "custom_tool_call_output", "call_id": "c1", "output": "the word \"file_id\" is no file"},
        ]);
        let mut input = items.as_array().unwrap().clone();
        input.push(later(json!([search, space])));
        let body = json!({"model": "m", "store": false, "tools": [custom, search, space, shell, away, {"type": "image_generation"}], "input": input,
            "tool_choice": {"type": "web_search"}, "include": ["reasoning.encrypted_content"], "client_metadata": {"a": "b"}});
        let kept = rewritten(body.to_string(), false);
        assert_eq!((&kept["tools"], &kept["tool_choice"]), (&json!([custom, space, shell]), &json!("auto")));
        assert_eq!((&kept["input"][3], &kept["client_metadata"]), (&later(json!([space])), &json!({"a": "b"})));
        assert_eq!(kept["input"].as_array().unwrap()[..3], items.as_array().unwrap()[..]);
        assert_eq!(rewritten(body.to_string(), true), body);
        let own = json!({"model": "m", "store": false, "tools": [custom], "tool_choice": "required", "input": "x"});
        assert_eq!(rewritten(own.to_string(), false), own);
        let none = rewritten(json!({"model": "m", "tools": [search], "tool_choice": "required"}).to_string(), false);
        assert_eq!((&none["tools"], &none["tool_choice"]), (&json!([]), &json!("auto")));
        let hidden = r#"{"model":"m","input":[{"type":"additional\u005ftools","tools":[{"type":"web_search"}]}]}"#;
        assert_eq!(rewritten(hidden.to_owned(), false)["input"][0]["tools"], json!([]));
    }

    #[test]
    fn thoughts_that_the_provider_cannot_read_are_left_out() {
        let thought = |encrypted: Value| json!({"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": encrypted});
        let (user, own) = (json!({"role": "user", "content": "x"}), thought(json!("gAAAAABo")));
        let open = json!({"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": "hm"}]});
        let body = |input: &[&Value]| json!({"model": "m", "store": false, "input": input});
        let all = body(&[&user, &thought(json!("nt1.e30")), &own, &thought(Value::Null), &open]);
        let passed = rewrite(&Bytes::from(all.to_string()), "m", Terms::default()).unwrap().body;
        assert_eq!(serde_json::from_slice::<Value>(&passed).unwrap(), body(&[&user, &own, &open]));
    }

    #[test]
    fn an_answer_that_is_kept_has_its_thoughts_in_it_where_the_model_has_any() {
        let included = |body: Value, model: &str, terms: Terms| {
            let passed = rewrite(&Bytes::from(body.to_string()), model, terms).unwrap().body;
            serde_json::from_slice::<Value>(&passed).unwrap()["include"].clone()
        };
        let include =
            |body: Value, model: &str, is_kept: bool| included(body, model, Terms { is_kept, ..Terms::default() });
        let (thoughts, logprobs) = ("reasoning.encrypted_content", "message.output_text.logprobs");
        let plain = json!({"model": "m", "input": "x"});
        assert_eq!(include(plain.clone(), "gpt-5-mini", true), json!([thoughts]));
        assert_eq!(include(plain.clone(), "gpt-4o", true), Value::Null);
        for (model, thinks, found) in [("mine", true, json!([thoughts])), ("gpt-5-mini", false, Value::Null)] {
            let terms = Terms { is_kept: true, thinks: Some(thinks), ..Terms::default() };
            assert_eq!(included(plain.clone(), model, terms), found, "{model}");
        }
        assert_eq!(include(plain, "gpt-5-mini", false), Value::Null);
        assert_eq!(include(json!({"model": "m", "input": "x", "store": false}), "gpt-5-mini", true), Value::Null);
        let asked = |include: Value| json!({"model": "m", "input": "x", "include": include});
        assert_eq!(include(asked(json!([logprobs])), "o3", true), json!([logprobs, thoughts]));
        assert_eq!(include(asked(Value::Null), "o3", true), json!([thoughts]));
        assert_eq!(include(asked(json!([thoughts])), "o3", true), json!([thoughts]));
    }

    #[test]
    fn nothing_that_is_stored_is_named() {
        let file = json!([{"role": "user", "content": [{"type": "input_file", "file_id": "file-1"}]}]);
        let reference = json!([{"type": "item_reference", "id": "rs_1"}]);
        let hidden =
            r#"{"model":"m","input":[{"role":"user","content":[{"type":"input_file","file\u005fid":"file-1"}]}]}"#;
        let refused = rewrite(&bytes(hidden), "m", HOSTED).err().and_then(|error| error.param);
        assert_eq!(refused.as_deref(), Some("input[0].content[0].file_id"));
        for (body, at) in [
            (json!({"model": "m", "input": "x", "previous_response_id": "r"}), "previous_response_id"),
            (json!({"model": "m", "input": "x", "background": true}), "background"),
            (json!({"model": "m", "input": file}), "input[0].content[0].file_id"),
            (json!({"model": "m", "input": reference}), "input[0].type"),
            (json!({"model": "m", "input": [{"role": "user", "content": "x"}, {"id": "msg_1"}]}), "input[1]"),
            (json!({"model": "m", "input": [{"type": null, "id": "msg_1"}]}), "input[0]"),
            (
                json!({"model": "m", "input": "x", "tools": [{"type": "file_search", "vector_store_ids": ["vs"]}]}),
                "tools[0].vector_store_ids",
            ),
            (
                json!({"model": "m", "input": "x", "tools": [{"type": "code_interpreter", "container": "c"}]}),
                "tools[0].container",
            ),
            (
                json!({"model": "m", "input": [{"type": "additional_tools", "tools": [{"type": "file_search", "vector_store_ids": ["vs"]}]}]}),
                "tools[0].vector_store_ids",
            ),
        ] {
            let refused = rewrite(&Bytes::from(body.to_string()), "m", HOSTED).err().and_then(|error| error.param);
            assert_eq!(refused.as_deref(), Some(at));
        }
        for (unreadable, at) in [
            (r#"{"model":"m","input":[{"type":"item_reference","id":"rs_1"},{"content":"\ud83d"}]}"#, "input"),
            (
                r#"{"model":"m","tools":[{"type":"file_search","vector_store_ids":["vs"],"max_num_results":1e999}]}"#,
                "tools",
            ),
        ] {
            let refused = rewrite(&bytes(unreadable), "m", HOSTED).err().and_then(|error| error.param);
            assert_eq!(refused.as_deref(), Some(at));
        }
        let own = json!({"model": "m", "input": [{"role": "assistant", "id": "msg_1", "content": "x"}, {"type": "reasoning", "id": "rs_1"}]});
        assert!(rewrite(&Bytes::from(own.to_string()), "m", HOSTED).is_ok());
        let open = json!({"model": "m", "previous_response_id": null, "tools": [{"type": "code_interpreter", "container": {"type": "auto"}}]});
        assert!(rewrite(&Bytes::from(open.to_string()), "m", HOSTED).is_ok());
    }

    #[test]
    fn events_pass_as_they_are_and_the_last_one_counts() {
        let (mut tap, meter) = (ResponsesTap::default(), Meter::default());
        let mut out = Vec::new();
        for event in [CREATED, DELTA, COMPLETED] {
            out.extend(tap.pass(bytes(event), &meter).unwrap().unwrap());
        }
        assert_eq!(out, [CREATED, DELTA, COMPLETED].concat().into_bytes());
        let counted =
            Usage { input: Some(3), cached: Some(1), output: Some(2), reasoning: Some(0), ..Usage::default() };
        assert_eq!((meter.usage(), tap.is_done(), tap.sequence()), (counted, true, 3));
    }

    #[test]
    fn tools_that_the_provider_ran_count_as_they_are_done() {
        const SEARCHED: &str = "data: {\"type\":\"response.output_item.done\",\"item\":{\"type\":\"web_search_call\",\"action\":{\"type\":\"search\"}}}\n\n";
        const SEEN: &str = "data: {\"type\":\"response.image_generation_call.partial_image\",\"item_id\":\"ig_1\",\"partial_image_b64\":\"\"}\n\n";
        const DRAWN: &str = "data: {\"type\":\"response.output_item.done\",\"item\":{\"type\":\"image_generation_call\",\"id\":\"ig_1\"}}\n\n";
        let (mut tap, meter) = (ResponsesTap::default(), Meter::default());
        for event in [CREATED, SEARCHED, DELTA, SEARCHED] {
            tap.pass(bytes(event), &meter).unwrap();
        }
        assert_eq!(meter.usage().searches, Some(2), "whoever leaves now");
        tap.pass(bytes(COMPLETED), &meter).unwrap();
        let usage = meter.usage();
        assert_eq!((usage.searches, usage.input, usage.output), (Some(2), Some(3), Some(2)));

        let (mut tap, meter) = (ResponsesTap::default(), Meter::default());
        for event in [CREATED, SEEN, SEEN, DRAWN] {
            tap.pass(bytes(event), &meter).unwrap();
            let expected = (event != CREATED).then_some(1);
            assert_eq!(meter.usage().images, expected, "a picture that was seen is paid for, once");
        }
    }

    #[test]
    fn what_breaks_off_or_fails_says_so() {
        let (mut tap, meter) = (ResponsesTap::default(), Meter::default());
        assert!(tap.pass(bytes(FAILED), &meter).is_err(), "another one can be asked");
        tap.pass(bytes(CREATED), &meter).unwrap();
        tap.pass(bytes(DELTA), &meter).unwrap();
        assert_eq!(tap.end(Bytes::new(), &meter), Err(AiError::Cut.into()));
        assert!(meter.usage().estimated);
        let beside = "data: {\"type\":\"response.failed\",\"response\":{\"error\":null},\"error\":{\"code\":\"rate_limit_exceeded\",\"message\":\"slow\"}}\n\n";
        let failed = tap.pass(bytes(beside), &meter).unwrap_err().error;
        assert_eq!(failed, AiError::Busy { retry_after: None }, "the error may stand beside the response");
        let both = Bytes::from([DELTA, FAILED].concat());
        assert_eq!(tap.pass(both, &meter).unwrap().unwrap(), DELTA);
        assert!(tap.failure().is_some());
        assert!(meter_whole(br#"{"error":{"message":"no","code":"server_error"},"output":[]}"#, &meter, None).is_err());
        assert!(meter_whole(br#"{"choices":[]}"#, &meter, None).is_err());
        let whole = br#"{"status":"incomplete","error":null,"output":[],"usage":{"input_tokens":1,"output_tokens":9}}"#;
        meter_whole(whole, &meter, None).unwrap();
        assert_eq!((meter.finish(), meter.usage().output), (Some(Finish::Length), Some(9)));
    }

    proptest! {
        #[test]
        fn garbage_never_panics(body in prop::collection::vec(any::<u8>(), 0..300)) {
            let (mut tap, meter, body) = (ResponsesTap::default(), Meter::default(), Bytes::from(body));
            let _ = (rewrite(&body, "m", HOSTED).is_ok(), rewrite(&body, "m", Terms::default()).is_ok(), meter_whole(&body, &meter, None).is_ok(), tap.pass(body.clone(), &meter).is_ok());
            let _ = tap.end(body, &meter).is_ok();
        }
    }
}
