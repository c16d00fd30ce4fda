//! Chat completions as a provider format: encoder of requests, parser of answers.

mod reader;

use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

pub(crate) use self::reader::ChatReader;
use crate::{
    Finish, GatewayError,
    canonical::{Effort, Format, Media, MediaKind, Part, Request, Source, Speaker, Tool, ToolChoice},
    dialect::fields::text_of_file,
    params::{self, Thinking, Thoughts},
    profile::adapt::MOVED_NOTE,
    schema,
    web_search::{OwnSearch, WebSearchTool},
};

/// Kind of server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Server {
    /// OpenAI's own service or Azure's: knows the newer field names and rejects unknown fields.
    OpenAi,
    /// Mistral's service, which rejects unknown fields.
    Mistral,
    /// OpenRouter, which needs the `reasoning_details` of its answers back.
    OpenRouter,
    Other,
}

/// Maximum number of stop sequences that OpenAI accepts.
const MAX_STOP_SEQUENCES: usize = 4;

/// OpenAI's reasoning models, which reject parameters that other models accept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum OpenAiFamily {
    /// GPT-5 and later without the chat-only variants.
    Gpt5,
    /// o1, o3, o4-mini.
    O,
    Other,
}

impl OpenAiFamily {
    fn from_model(model: &str) -> Self {
        let plain = params::canonical_name(model);
        let is_of_o = |number: char| plain.strip_prefix('o').is_some_and(|rest| rest.starts_with(number));
        if ["gpt-5", "gpt-6"].iter().any(|name| plain.starts_with(name)) && !plain.contains("-chat") {
            Self::Gpt5
        } else if ['1', '3', '4'].into_iter().any(is_of_o) {
            Self::O
        } else {
            Self::Other
        }
    }
}

/// True if the model accepts the output limit only as `max_completion_tokens`: OpenAI's reasoning
/// models, on any server.
pub(super) fn wants_newer_limit(model: &str) -> bool {
    matches!(OpenAiFamily::from_model(model), OpenAiFamily::Gpt5 | OpenAiFamily::O)
}

/// Encodes a request.
pub(crate) fn encode(request: &Request, model: &str, server: Server) -> Result<Value, GatewayError> {
    reject_file_urls(request)?;
    let mut body = Map::new();
    let mut put = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            body.insert(name.to_owned(), value);
        }
    };
    put("model", Some(model.into()));
    let thoughts = params::for_request(request, model).map_or(Thoughts::Never, |takes| takes.thoughts);
    put("messages", Some(messages(request, server, thoughts)));
    let kind = OpenAiFamily::from_model(model);
    let is_new = server == Server::OpenAi || wants_newer_limit(model);
    let limit = if is_new { "max_completion_tokens" } else { "max_tokens" };
    put(limit, request.max_output.map(Into::into));
    put("temperature", request.temperature.map(Into::into));
    put("top_p", request.top_p.map(Into::into));
    // OpenAI accepts four stop sequences, and none for reasoning models.
    let stops: Vec<&String> = request.stop.iter().filter(|stop| !stop.is_empty()).take(MAX_STOP_SEQUENCES).collect();
    put("stop", (!stops.is_empty() && kind == OpenAiFamily::Other).then(|| json!(stops)));
    put("n", request.choices.map(Into::into));
    put("seed", request.seed.map(Into::into));
    put("presence_penalty", request.presence_penalty.map(Into::into));
    put("frequency_penalty", request.frequency_penalty.map(Into::into));
    put("user", request.user.as_deref().map(|user| short_user(user).into()));
    // Models before GPT-5 and servers without the parameter reject `verbosity`.
    let is_plain = params::for_request(request, model).is_some_and(|takes| takes.thinking == Thinking::None);
    let is_verbose =
        kind == OpenAiFamily::Gpt5 || (server == Server::OpenAi && kind == OpenAiFamily::Other && !is_plain);
    put("verbosity", request.verbosity.clone().filter(|_| is_verbose).map(Into::into));
    if let Some(top) = request.logprobs {
        put("logprobs", Some(true.into()));
        put("top_logprobs", (top > 0).then(|| top.into()));
    }
    let effort = request
        .reasoning
        .as_ref()
        .and_then(|reasoning| reasoning.effort.or_else(|| reasoning.budget.map(Effort::from_budget)));
    put("reasoning_effort", effort.map(|effort| effort.name().into()));
    put("response_format", response_format(&request.format));
    if !request.tools.is_empty() {
        // Only OpenAI supports a choice among some of the tools. For other servers the remaining
        // tools are removed from the request.
        let some = match &request.tool_choice {
            Some(ToolChoice::Among { names, required }) if server != Server::OpenAi => Some((names, *required)),
            _ => None,
        };
        let is_offered = |tool: &&Tool| some.is_none_or(|(names, _)| names.contains(&tool.name));
        put("tools", Some(request.tools.iter().filter(is_offered).map(tool).collect()));
        let choice = some.map(|(_, required)| Value::from(if required { "required" } else { "auto" }));
        put("tool_choice", choice.or_else(|| request.tool_choice.as_ref().map(tool_choice)));
        put("parallel_tool_calls", request.parallel_tools.filter(|_| kind != OpenAiFamily::O).map(Into::into));
    }
    if let Some(search) = &request.web_search {
        put("web_search_options", (search.own == Some(OwnSearch::Options)).then(|| search_options(search)));
        put("plugins", (search.own == Some(OwnSearch::Plugin)).then(|| json!([{"id": "web"}])));
    }
    if request.stream {
        put("stream", Some(true.into()));
        put("stream_options", Some(json!({"include_usage": true})));
    }
    for (name, value) in &request.extra {
        put(name, Some(value.clone()));
    }
    Ok(Value::Object(body))
}

fn search_options(search: &WebSearchTool) -> Value {
    let mut options = json!({});
    if let Some(size) = &search.context_size {
        options["search_context_size"] = size.as_str().into();
    }
    if let Some(location) = &search.location {
        options["user_location"] = json!({"type": "approximate", "approximate": location});
    }
    options
}

/// Rejects files by URL: this format would send them as images.
fn reject_file_urls(request: &Request) -> Result<(), GatewayError> {
    fn is_refused(part: &Part) -> bool {
        match part {
            Part::Media(Media { kind: MediaKind::File, source: Source::Url(_), .. }) => true,
            Part::Result(result) => result.parts.iter().any(is_refused),
            _ => false,
        }
    }
    if request.turns.iter().flat_map(|turn| &turn.parts).any(is_refused) {
        let message = "This model can't fetch files by URL. Send the file itself as base64.";
        return Err(GatewayError::invalid(message));
    }
    Ok(())
}

/// Shortens the user id to a hash if necessary. OpenAI accepts 64 characters and others up to 128;
/// Claude Code sends 150.
pub(crate) fn short_user(user: &str) -> String {
    const MAX_USER_LEN: usize = 64;
    if user.chars().count() <= MAX_USER_LEN { user.to_owned() } else { sha256_hex(user) }
}

/// SHA-256 of a name, in hexadecimal.
pub(crate) fn sha256_hex(name: &str) -> String {
    hex::encode(Sha256::digest(name))
}

fn messages(request: &Request, server: Server, thoughts: Thoughts) -> Value {
    let system = match server {
        Server::OpenRouter if !request.system_cached.is_empty() => {
            Some(json!({"role": "system", "content": marked_system(request)}))
        }
        _ => request.system_text().map(|text| json!({"role": "system", "content": text})),
    };
    let mut messages: Vec<Value> = system.into_iter().collect();
    let mut waiting = Vec::new();
    for turn in &request.turns {
        match turn.speaker {
            Speaker::User => user_messages(&turn.parts, server, &mut waiting, &mut messages),
            Speaker::Assistant => {
                messages.append(&mut waiting);
                messages.extend(assistant_message(&turn.parts, server, thoughts));
            }
            // Nothing may stand between calls and their results.
            Speaker::System => waiting.push(json!({"role": "system", "content": split_text(&turn.parts).0})),
        }
    }
    messages.append(&mut waiting);
    messages.into()
}

/// The system prompt in parts, with OpenRouter's marks for prompt caches.
fn marked_system(request: &Request) -> Value {
    let texts = request.system.iter().enumerate().filter(|(_, text)| !text.trim().is_empty());
    let part = |(place, text): (usize, &String)| {
        let mut part = json!({"type": "text", "text": text});
        if let Some(mark) = request.system_cached.get(&place) {
            part["cache_control"] = mark.clone();
        }
        part
    };
    texts.map(part).collect()
}

/// Writes tool results, then `waiting`, then the other parts.
fn user_messages(parts: &[Part], server: Server, waiting: &mut Vec<Value>, messages: &mut Vec<Value>) {
    let mut content: Vec<Value> = Vec::new();
    for part in parts {
        match part {
            Part::Cached(mark) if server == Server::OpenRouter => {
                match content.iter_mut().rev().find(|part| part["type"] == "text") {
                    Some(last) => last["cache_control"] = mark.clone(),
                    None => mark_earlier_text(messages, mark),
                }
            }
            // A message of the role `tool` can't carry images; they follow in a user message.
            Part::Result(result) => {
                let (text, others) = split_text(&result.parts);
                let mut text = if result.is_error { mark_failed(&text) } else { text };
                let others: Vec<Value> = others.into_iter().filter_map(user_part).collect();
                if text.is_empty() && !others.is_empty() {
                    text = MOVED_NOTE.to_owned();
                }
                messages.push(json!({"role": "tool", "tool_call_id": result.id, "content": text}));
                content.extend(others);
            }
            part => content.extend(user_part(part)),
        }
    }
    messages.append(waiting);
    match content.as_slice() {
        [] => {}
        [only] if only["type"] == "text" && only["cache_control"].is_null() => {
            messages.push(json!({"role": "user", "content": only["text"]}))
        }
        _ => messages.push(json!({"role": "user", "content": content})),
    }
}

/// Marks the last text for the cache that isn't a tool result: OpenRouter never answers a request
/// with a mark on one.
fn mark_earlier_text(messages: &mut [Value], mark: &Value) {
    let can_carry = |message: &&mut Value| matches!(message["role"].as_str(), Some("user" | "assistant"));
    for message in messages.iter_mut().rev().filter(can_carry) {
        match &mut message["content"] {
            Value::String(text) if !text.is_empty() => {
                message["content"] = json!([{"type": "text", "text": text, "cache_control": mark}]);
                return;
            }
            Value::Array(parts) => {
                if let Some(part) = parts.iter_mut().rev().find(|part| part["type"] == "text") {
                    part["cache_control"] = mark.clone();
                    return;
                }
            }
            _ => {}
        }
    }
}

/// Marks a failed tool result, which this format can only express as text.
pub(crate) fn mark_failed(text: &str) -> String {
    let begins = text.trim_start().get(..5).is_some_and(|word| word.eq_ignore_ascii_case("error"));
    if begins { text.to_owned() } else { format!("Error: {text}").trim_end().to_owned() }
}

/// Returns the joined text of the parts, and the parts that aren't text.
pub(crate) fn split_text(parts: &[Part]) -> (String, Vec<&Part>) {
    let mut texts = Vec::new();
    let mut others = Vec::new();
    for part in parts {
        match part {
            Part::Text(text) => texts.push(text.as_str()),
            other => others.push(other),
        }
    }
    (texts.join("\n"), others)
}

fn user_part(part: &Part) -> Option<Value> {
    match part {
        Part::Text(text) => Some(json!({"type": "text", "text": text})),
        Part::Media(media) => Some(media_part(media)),
        Part::Call(_)
        | Part::Result(_)
        | Part::Thinking { .. }
        | Part::Redacted(_)
        | Part::ReasoningDetails { .. }
        | Part::Cached(_) => None,
    }
}

pub(crate) fn media_part(media: &Media) -> Value {
    let url = match &media.source {
        Source::Data { mime, data } => format!("data:{mime};base64,{data}"),
        Source::Url(url) => url.clone(),
    };
    match (&media.kind, &media.source) {
        (MediaKind::Audio, Source::Data { mime, data }) => {
            let format = match mime.as_str() {
                "audio/mpeg" | "audio/mp3" => "mp3",
                "audio/x-wav" | "audio/wave" => "wav",
                other => other.rsplit('/').next().unwrap_or(other),
            };
            json!({"type": "input_audio", "input_audio": {"data": data, "format": format}})
        }
        (MediaKind::File, Source::Data { .. }) => {
            let name = media.name.as_deref().unwrap_or("file");
            // Servers reject text files that are sent as files, so they are sent as text.
            if let Some(Ok(text)) = text_of_file(&media.source) {
                return json!({"type": "text", "text": format!("{name}:\n{text}")});
            }
            json!({"type": "file", "file": {"filename": name, "file_data": url}})
        }
        _ => {
            let mut image = json!({ "url": url });
            if let Some(detail) = &media.detail {
                image["detail"] = detail.as_str().into();
            }
            json!({"type": "image_url", "image_url": image})
        }
    }
}

/// Writes an assistant turn. `None` if it has nothing that this format carries, such as a turn of
/// thinking only.
fn assistant_message(parts: &[Part], server: Server, thoughts: Thoughts) -> Option<Value> {
    let (mut text, mut thought, mut calls) = (String::new(), String::new(), Vec::new());
    let mut mark = None;
    let mut details: Vec<Value> = Vec::new();
    for part in parts {
        match part {
            Part::Text(more) => text.push_str(more),
            Part::Thinking { text: more, .. } => thought.push_str(more),
            Part::ReasoningDetails { text: more, details: own } => {
                thought.push_str(more);
                details.extend(own.iter().cloned());
            }
            Part::Call(call) => {
                let mut written = json!({
                    "id": call.id, "type": "function",
                    "function": {"name": call.name, "arguments": call.arguments},
                });
                if let (Some(signature), Server::Other | Server::OpenRouter) = (&call.signature, server) {
                    written["extra_content"] = json!({"google": {"thought_signature": signature}});
                }
                calls.push(written);
            }
            Part::Cached(control) if server == Server::OpenRouter => mark = Some(control),
            Part::Media(_) | Part::Result(_) | Part::Redacted(_) | Part::Cached(_) => {}
        }
    }
    if text.is_empty() && calls.is_empty() {
        return None;
    }
    let content = match mark {
        _ if text.is_empty() => Value::Null,
        Some(mark) => json!([{"type": "text", "text": text, "cache_control": mark}]),
        None => text.into(),
    };
    let mut message = json!({"role": "assistant", "content": content});
    match thoughts {
        Thoughts::Known | Thoughts::Always if !thought.is_empty() => message["reasoning_content"] = thought.into(),
        // The thinking was lost or is from another model. The server requires the field and rejects
        // an empty string.
        Thoughts::Always => message["reasoning_content"] = " ".into(),
        Thoughts::Known | Thoughts::Never => {}
    }
    if server == Server::OpenRouter && !details.is_empty() {
        message["reasoning_details"] = details.into();
    }
    if !calls.is_empty() {
        message["tool_calls"] = calls.into();
    }
    Some(message)
}

fn tool(tool: &Tool) -> Value {
    let mut function = json!({"name": tool.name});
    if let Some(description) = &tool.description {
        function["description"] = description.as_str().into();
    }
    let parameters = tool.parameters.as_ref().map(schema::parameters);
    let is_strict =
        parameters.as_ref().is_none_or(|parameters| !parameters.is_merged && schema::is_strict(&parameters.schema));
    if let Some(strict) = tool.strict.filter(|strict| is_strict || !strict) {
        function["strict"] = strict.into();
    }
    if let Some(parameters) = parameters {
        function["parameters"] = parameters.schema;
    }
    json!({"type": "function", "function": function})
}

fn tool_choice(choice: &ToolChoice) -> Value {
    let named = |name: &String| json!({"type": "function", "function": {"name": name}});
    match choice {
        ToolChoice::Auto => "auto".into(),
        ToolChoice::None => "none".into(),
        ToolChoice::Required => "required".into(),
        ToolChoice::Named(name) => named(name),
        ToolChoice::Among { names, required } => {
            let mode = if *required { "required" } else { "auto" };
            let tools: Vec<Value> = names.iter().map(named).collect();
            json!({"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": tools}})
        }
    }
}

fn response_format(format: &Format) -> Option<Value> {
    match format {
        Format::Text => None,
        Format::Json => Some(json!({"type": "json_object"})),
        Format::Schema { name, description, schema, strict } => {
            let mut written = json!({"name": name, "schema": schema});
            if let Some(description) = description {
                written["description"] = description.as_str().into();
            }
            if let Some(strict) = strict.filter(|strict| !strict || schema::is_strict(schema)) {
                written["strict"] = strict.into();
            }
            Some(json!({"type": "json_schema", "json_schema": written}))
        }
    }
}

/// Returns the `finish_reason` that stands for a finish.
pub(crate) fn reason(finish: Finish) -> &'static str {
    match finish {
        Finish::Stop => "stop",
        Finish::Length => "length",
        Finish::Filtered => "content_filter",
        Finish::ToolCalls => "tool_calls",
    }
}
