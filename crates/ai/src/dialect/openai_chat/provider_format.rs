//! Chat completions as a provider format: encoder of requests, parser of answers.

use std::collections::BTreeMap;

use serde::de::IgnoredAny;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::{reasoning_details, usage};
use crate::{
    AiError, Finish, GatewayError,
    canonical::{
        Citation, Citations, Effort, Event, Format, Media, MediaKind, Part, Reader, Request, Source, Speaker, Tool,
        ToolChoice,
    },
    dialect::fields::{data_url, text_of_file},
    params::{self, Thinking, Thoughts},
    provider_http::failure::{self, Failure},
    reasoning_blocks::text_of_details,
    schema,
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
    if request.stream {
        put("stream", Some(true.into()));
        put("stream_options", Some(json!({"include_usage": true})));
    }
    for (name, value) in &request.extra {
        put(name, Some(value.clone()));
    }
    Ok(Value::Object(body))
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
                if let Some(last) = content.last_mut().filter(|last| last["type"] == "text") {
                    last["cache_control"] = mark.clone();
                }
            }
            // A message of the role `tool` can't carry images; they follow in a user message.
            Part::Result(result) => {
                let (text, others) = split_text(&result.parts);
                let text = if result.is_error { mark_failed(&text) } else { text };
                messages.push(json!({"role": "tool", "tool_call_id": result.id, "content": text}));
                content.extend(others.into_iter().filter_map(user_part));
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
            Part::Media(_) | Part::Result(_) | Part::Redacted(_) | Part::Cached(_) => {}
        }
    }
    if text.is_empty() && calls.is_empty() {
        return None;
    }
    let content = if text.is_empty() { Value::Null } else { text.into() };
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

/// Parses `chat.completion.chunk`s up to `[DONE]`, or a whole `chat.completion`.
#[derive(Debug, Default)]
pub(crate) struct ChatReader {
    calls: Vec<Call>,
    /// Length of each choice's text so far, in characters.
    text_lengths: BTreeMap<u32, usize>,
    /// Web pages that the answer cites as a whole: URL and title.
    sources: Vec<(String, Option<String>)>,
    citations: Citations,
    /// OpenRouter's `reasoning_details` of each choice that no event has yet.
    details: BTreeMap<u32, Vec<Value>>,
    is_done: bool,
}

/// A call in progress.
#[derive(Debug)]
struct Call {
    choice: u32,
    /// Index among the choice's calls, counted here because some servers restart at 0 in each
    /// chunk.
    tool: u32,
    /// Index sent by the provider.
    index: Option<u64>,
    id: String,
    name: String,
    /// Arguments received so far.
    arguments: String,
}

impl Call {
    /// True if an increment with a name starts a new call although it has the id or index of this
    /// call: some servers give all calls the same index, and some repeat the name in each
    /// increment.
    fn is_over(&self, index: Option<u64>, name: &str, has_arguments: bool) -> bool {
        let is_elsewhere = index.is_some() && self.index.is_some() && index != self.index;
        // The arguments are parsed only if the increment may have ended an object; otherwise the
        // cost would be quadratic in the number of increments.
        let is_whole =
            || self.arguments.trim_end().ends_with('}') && serde_json::from_str::<IgnoredAny>(&self.arguments).is_ok();
        is_elsewhere || ((has_arguments || self.name != name) && is_whole())
    }
}

impl Reader for ChatReader {
    fn read(&mut self, data: &[u8], out: &mut Vec<Event>) -> Result<(), Failure> {
        let data = data.trim_ascii();
        if data == b"[DONE]" {
            self.is_done = true;
            for choice in self.text_lengths.keys().copied().collect::<Vec<_>>() {
                self.cite_sources(choice, out);
            }
            for choice in self.details.keys().copied().collect::<Vec<_>>() {
                out.extend(self.drain_details(choice));
            }
            return Ok(());
        }
        if data.is_empty() { Ok(()) } else { self.read_whole(data, out) }
    }

    fn read_whole(&mut self, body: &[u8], out: &mut Vec<Event>) -> Result<(), Failure> {
        let value: Value = serde_json::from_slice(body).map_err(|_| AiError::Garbled)?;
        if let Some(failure) = failure::parse_value(&value) {
            return Err(failure);
        }
        let Value::Object(chunk) = &value else { return Err(AiError::Garbled.into()) };
        self.read_sources(&value);
        match chunk.get("choices") {
            Some(Value::Array(choices)) => {
                for choice in choices {
                    self.read_choice(choice, out)?;
                }
            }
            None | Some(Value::Null) => {}
            Some(_) => return Err(AiError::Garbled.into()),
        }
        out.extend(usage::of_chunk(&value).map(|usage| Event::Usage(usage.into())));
        Ok(())
    }

    fn is_done(&self) -> bool {
        self.is_done
    }
}

impl ChatReader {
    fn read_choice(&mut self, value: &Value, out: &mut Vec<Event>) -> Result<(), Failure> {
        let choice = value.get("index").and_then(Value::as_u64).unwrap_or(0);
        let choice = u32::try_from(choice).map_err(|_| AiError::Garbled)?;
        let reason = value.get("finish_reason").and_then(Value::as_str).filter(|reason| !reason.is_empty());
        let said = ["delta", "message"].into_iter().find_map(|name| value.get(name).filter(|said| said.is_object()));
        if let Some(said) = said {
            let details = reasoning_details::read(said);
            read_thinking(choice, said, &details, out)?;
            self.read_details(choice, details, value.get("delta").is_some_and(Value::is_object));
            let has_calls = self.calls.iter().any(|call| call.choice == choice);
            let output_start = out.len();
            let parts = || said.get("content").and_then(Value::as_array).into_iter().flatten();
            if let Some(text) = text_of(said, "content")? {
                *self.text_lengths.entry(choice).or_default() += text.chars().count();
                out.push(Event::Text { choice, text });
            }
            self.read_annotations(choice, said, out);
            if reason.is_some() {
                self.cite_sources(choice, out);
            }
            let images = said.get("images").and_then(Value::as_array).into_iter().flatten();
            out.extend(images.chain(parts()).filter_map(|image| picture(choice, image)));
            if let Some(text) = text_of(said, "refusal")? {
                out.push(Event::Refusal { choice, text });
            }
            for call in said.get("tool_calls").and_then(Value::as_array).into_iter().flatten() {
                self.read_call(choice, call, out);
            }
            if let Some(function) = said.get("function_call").filter(|call| call.is_object()) {
                self.read_call(choice, &json!({"index": 0, "function": function}), out);
            }
            // Details go before the output that follows the thinking. They don't interrupt calls,
            // whose arguments may be incomplete.
            if out.len() > output_start
                && !has_calls
                && let Some(details) = self.drain_details(choice)
            {
                out.insert(output_start, details);
            }
        }
        let logprobs = value.get("logprobs").and_then(|logprobs| logprobs.get("content")).and_then(Value::as_array);
        if let Some(tokens) = logprobs.filter(|tokens| !tokens.is_empty()) {
            out.push(Event::Logprobs { choice, tokens: tokens.clone() });
        }
        if let Some(failure) = super::choice_failure(value) {
            return Err(failure);
        }
        if let Some(reason) = reason {
            out.extend(self.drain_details(choice));
            let finish = super::finish(reason);
            let stop_sequence = if finish == Finish::Stop { stop_sequence(value) } else { None };
            out.push(Event::Finish { choice, finish, stop_sequence });
        }
        Ok(())
    }

    /// Reads `reasoning_details`, which are complete once output follows.
    fn read_details(&mut self, choice: u32, details: Vec<Value>, is_delta: bool) {
        if details.is_empty() {
            return;
        }
        let known = self.details.entry(choice).or_default();
        if is_delta {
            reasoning_details::append_delta(known, details);
        } else {
            known.extend(details);
        }
    }

    /// Event of the `reasoning_details` so far, if there are any.
    fn drain_details(&mut self, choice: u32) -> Option<Event> {
        let details = self.details.remove(&choice)?;
        Some(Event::ReasoningDetails { choice, details })
    }

    /// Reads the web pages that Perplexity, xAI and GLM list beside the choices.
    fn read_sources(&mut self, chunk: &Value) {
        for name in ["search_results", "web_search", "citations"] {
            for source in chunk[name].as_array().into_iter().flatten() {
                let text = |name: &str| source[name].as_str();
                let Some(url) = source.as_str().or_else(|| text("url")).or_else(|| text("link")) else { continue };
                let title = text("title").map(str::to_owned);
                match self.sources.iter().position(|(known, _)| known == url) {
                    Some(at) => {
                        let known = &mut self.sources[at].1;
                        *known = known.take().or(title);
                    }
                    None if url.is_empty() || self.sources.len() == Citations::MAX => {}
                    None => self.sources.push((url.to_owned(), title)),
                }
            }
        }
    }

    /// Reads the citations of a message or delta.
    fn read_annotations(&mut self, choice: u32, said: &Value, out: &mut Vec<Event>) {
        for annotation in said["annotations"].as_array().into_iter().flatten() {
            if annotation["type"] != "url_citation" {
                continue;
            }
            // Some servers send the flat form of the Responses API.
            let fields = annotation.get("url_citation").unwrap_or(annotation);
            let Some(url) = fields["url"].as_str().filter(|url| !url.is_empty()) else { continue };
            let title = fields["title"].as_str();
            let index = |name: &str| fields[name].as_u64().and_then(|index| usize::try_from(index).ok());
            // OpenRouter sends zeros if the range is unknown.
            let range = index("start_index").zip(index("end_index")).filter(|(start, end)| start < end);
            let citation = match range {
                Some((start, end)) => Citation { start, ..Citation::new(url, title, end) },
                None if self.citations.has_url(choice, url) => continue,
                None => Citation::new(url, title, self.text_length(choice)),
            };
            self.citations.add(choice, citation, out);
        }
    }

    /// Cites the sources of the whole answer that no annotation has cited.
    fn cite_sources(&mut self, choice: u32, out: &mut Vec<Event>) {
        let length = self.text_length(choice);
        for (url, title) in &self.sources {
            if !self.citations.has_url(choice, url) {
                self.citations.add(choice, Citation::new(url, title.as_deref(), length), out);
            }
        }
    }

    /// Length of a choice's text so far, in characters.
    fn text_length(&self, choice: u32) -> usize {
        self.text_lengths.get(&choice).copied().unwrap_or(0)
    }

    fn read_call(&mut self, choice: u32, value: &Value, out: &mut Vec<Event>) {
        let index = value.get("index").and_then(Value::as_u64);
        let id = value.get("id").and_then(Value::as_str).filter(|id| !id.is_empty());
        let function = value.get("function");
        let text = |name| function.and_then(|function| function.get(name)).and_then(Value::as_str);
        let name = text("name").filter(|name| !name.is_empty());
        let arguments = match function.and_then(|function| function.get("arguments")) {
            Some(Value::String(json)) => json.clone(),
            // Some servers send the arguments as an object instead of JSON text.
            Some(object @ Value::Object(_)) => object.to_string(),
            _ => String::new(),
        };
        let known = || self.calls.iter().rev().filter(move |call| call.choice == choice);
        let of_index = |index| known().find(|call| call.index == Some(index));
        let of_id = |id: &str| {
            let here = known().find(|call| call.id == id && call.index == index);
            here.or_else(|| known().find(|call| call.id == id))
        };
        let place = match (id, index) {
            // Increments of a call may have a different id each time.
            (Some(id), _) => of_id(id).or_else(|| index.filter(|_| name.is_none()).and_then(of_index)),
            (None, Some(index)) => of_index(index),
            (None, None) if name.is_some() => None,
            (None, None) => known().next(),
        };
        let is_over = |call: &Call| name.is_some_and(|name| call.is_over(index, name, !arguments.trim().is_empty()));
        let place = place.filter(|call| !is_over(call)).map(|call| call.tool);
        let tool = match (place, name) {
            (Some(tool), _) => tool,
            (None, Some(name)) => {
                let tool = u32::try_from(known().count()).unwrap_or(u32::MAX);
                let is_new = |id: &&str| !known().any(|call| call.id == *id);
                let own = id.filter(is_new).map_or_else(super::new_call_id, str::to_owned);
                let google = value.get("extra_content").and_then(|extra| extra.get("google"));
                let signature = google.and_then(|google| google.get("thought_signature")).and_then(Value::as_str);
                let signature = signature.map(str::to_owned);
                let (id, name) = (id.unwrap_or_default().to_owned(), name.to_owned());
                out.push(Event::Call { choice, tool, id: own, name: name.clone(), signature });
                self.calls.push(Call { choice, tool, index, id, name, arguments: String::new() });
                tool
            }
            // The increment belongs to no call that has started.
            (None, None) => return,
        };
        if !arguments.is_empty() {
            if let Some(call) = self.calls.iter_mut().find(|call| (call.choice, call.tool) == (choice, tool)) {
                call.arguments.push_str(&arguments);
            }
            out.push(Event::Arguments { choice, tool, json: arguments });
        }
    }
}

fn read_thinking(choice: u32, said: &Value, details: &[Value], out: &mut Vec<Event>) -> Result<(), AiError> {
    let told = match text_of(said, "reasoning_content")? {
        Some(text) => Some(text),
        None => text_of(said, "reasoning")?,
    };
    let text = told.unwrap_or_else(|| text_of_details(details));
    if !text.is_empty() {
        out.push(Event::Thinking { choice, text });
    }
    // Mistral sends the thinking as parts of the content.
    let parts = said.get("content").and_then(Value::as_array).into_iter().flatten();
    for part in parts.filter(|part| part["type"] == "thinking") {
        out.extend(text_of(part, "thinking")?.map(|text| Event::Thinking { choice, text }));
    }
    Ok(())
}

/// Stop sequence that ended the choice. Servers name it in a field of their own: vLLM in
/// `stop_reason`, `SGLang` in `matched_stop`. A number is the id of a stop token.
fn stop_sequence(choice: &Value) -> Option<String> {
    let names = ["stop_reason", "matched_stop"];
    names.into_iter().find_map(|name| choice.get(name)?.as_str()).map(str::to_owned)
}

/// Generated image in the format of OpenRouter and `LiteLLM`. Images by URL are ignored.
fn picture(choice: u32, image: &Value) -> Option<Event> {
    let url = image["image_url"]["url"].as_str().or(image["image_url"].as_str())?;
    let (mime, data) = data_url(url)?;
    Some(Event::Picture { choice, mime: mime.to_owned(), data: data.to_owned() })
}

fn text_of(said: &Value, name: &str) -> Result<Option<String>, AiError> {
    match said.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.is_empty() => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        // Some servers send the text as a list of parts.
        Some(Value::Array(parts)) => {
            let text: String = parts.iter().filter_map(|part| part.get("text").and_then(Value::as_str)).collect();
            Ok((!text.is_empty()).then_some(text))
        }
        Some(_) if name == "reasoning" => Ok(None),
        Some(_) => Err(AiError::Garbled),
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
