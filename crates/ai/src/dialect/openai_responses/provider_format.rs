//! The Responses API as a provider format: encoder of requests, parser of answers.
//!
//! Nothing is stored at the provider, so reasoning returns with the conversation in encrypted form.

mod reader;

use serde_json::{Map, Value, json};

pub(crate) use self::reader::ResponsesReader;
use crate::{
    GatewayError,
    canonical::{
        Effort, Format, Media, MediaKind, Part, Reasoning, Request, Source, Speaker, Tool, ToolChoice, ToolResult,
    },
    dialect::{
        fields::text_of_file,
        openai_chat::provider_format::{self as chat, mark_failed, short_user, split_text},
    },
    params::{self, Thinking},
    reasoning_blocks::encrypted_content,
    schema,
    web_search::{OwnSearch, WebSearchTool, approximate},
};

/// Minimum `max_output_tokens` that OpenAI accepts.
const MIN_OUTPUT_TOKENS: u64 = 16;
/// Fields of [`Request::extra`] that this API has.
const EXTRA_FIELDS: [&str; 5] =
    ["metadata", "prompt_cache_key", "prompt_cache_retention", "safety_identifier", "service_tier"];

/// Encodes a request.
pub(crate) fn encode(request: &Request, model: &str) -> Result<Value, GatewayError> {
    if request.choices.is_some_and(|choices| choices > 1) {
        let message = "This model gives one answer per request. Leave `n` out, and send one request per answer.";
        return Err(GatewayError::invalid_param("n", message));
    }
    let mut instructions = request.system_text();
    let mut input = input_items(request);
    // OpenAI rejects JSON mode unless the input, not only the instructions, contains the word JSON.
    if (input.is_empty() || request.format == Format::Json)
        && let Some(text) = instructions.take()
    {
        input.insert(0, message("developer", vec![input_text(&text)]));
    }
    if input.is_empty() {
        return Err(GatewayError::invalid_param("messages", "The conversation is empty."));
    }
    let mut body = Map::new();
    let mut put = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            body.insert(name.to_owned(), value);
        }
    };
    put("model", Some(model.into()));
    put("instructions", instructions.map(Into::into));
    put("input", Some(input.into()));
    put("store", Some(false.into()));
    let search = request.web_search.as_ref().filter(|search| search.own == Some(OwnSearch::Responses));
    put("max_output_tokens", request.max_output.map(|most| most.max(MIN_OUTPUT_TOKENS).into()));
    put("temperature", request.temperature.map(Into::into));
    put("top_p", request.top_p.map(Into::into));
    put("user", request.user.as_deref().map(|user| short_user(user).into()));
    let thinking = params::for_request(request, model).map(|params| &params.thinking);
    let asked = request.reasoning.as_ref().filter(|_| thinking != Some(&Thinking::None));
    put("reasoning", asked.and_then(|asked| reasoning(asked, search.is_some())));
    let mut include = Vec::new();
    if returns_reasoning(request, model, thinking) {
        include.push("reasoning.encrypted_content");
    }
    if let Some(top) = request.logprobs {
        include.push("message.output_text.logprobs");
        put("top_logprobs", (top > 0).then(|| top.into()));
    }
    if search.is_some() {
        include.push("web_search_call.action.sources");
    }
    put("include", (!include.is_empty()).then(|| json!(include)));
    put("text", text_settings(request, model));
    if !request.tools.is_empty() || search.is_some() {
        let tools: Vec<Value> = request.tools.iter().map(tool).chain(search.map(search_tool)).collect();
        put("tools", Some(tools.into()));
        let forced = search.filter(|search| search.is_forced).map(|_| "required".into());
        put("tool_choice", forced.or_else(|| request.tool_choice.as_ref().map(tool_choice)));
        put("max_tool_calls", search.map(|search| search.most().into()));
        put("parallel_tool_calls", request.parallel_tools.map(Into::into));
    }
    put("stream", request.stream.then(|| true.into()));
    for name in EXTRA_FIELDS {
        put(name, request.extra.get(name).cloned());
    }
    Ok(Value::Object(body))
}

/// True for GPT-5 and later without the chat-only variants.
fn is_gpt5_or_later(model: &str) -> bool {
    let plain = params::canonical_name(model);
    ["gpt-5", "gpt-6"].iter().any(|name| plain.starts_with(name)) && !plain.contains("-chat")
}

/// True if the model returns encrypted reasoning. Models without reasoning reject a request for it.
fn returns_reasoning(request: &Request, model: &str, thinking: Option<&Thinking>) -> bool {
    match thinking {
        Some(Thinking::None) => false,
        Some(Thinking::Any) | None => {
            is_gpt5_or_later(model) || request.reasoning.as_ref().is_some_and(|reasoning| !reasoning.is_off())
        }
        Some(_) => true,
    }
}

fn reasoning(reasoning: &Reasoning, has_search: bool) -> Option<Value> {
    let effort = reasoning.effort.or_else(|| reasoning.budget.map(Effort::from_budget));
    // OpenAI rejects its web search beside minimal reasoning.
    let effort = effort.map(|effort| if has_search && effort == Effort::Minimal { Effort::Low } else { effort });
    let mut fields = Map::new();
    fields.extend(effort.map(|effort| ("effort".to_owned(), effort.name().into())));
    if reasoning.shown && !reasoning.is_off() {
        fields.insert("summary".to_owned(), "auto".into());
    }
    (!fields.is_empty()).then(|| fields.into())
}

/// Encodes the `text` field: answer format and verbosity.
fn text_settings(request: &Request, model: &str) -> Option<Value> {
    let mut fields = Map::new();
    fields.extend(text_format(&request.format).map(|format| ("format".to_owned(), format)));
    // OpenAI's models before GPT-5 reject `verbosity`.
    if let Some(verbosity) = &request.verbosity
        && (is_gpt5_or_later(model) || params::find(model).is_none())
    {
        fields.insert("verbosity".to_owned(), verbosity.as_str().into());
    }
    (!fields.is_empty()).then(|| fields.into())
}

fn text_format(format: &Format) -> Option<Value> {
    match format {
        Format::Text => None,
        Format::Json => Some(json!({"type": "json_object"})),
        Format::Schema { name, description, schema, strict } => {
            let is_strict = *strict == Some(true) && schema::is_strict(schema);
            let mut written = json!({"type": "json_schema", "name": name, "schema": schema, "strict": is_strict});
            if let Some(description) = description {
                written["description"] = description.as_str().into();
            }
            Some(written)
        }
    }
}

/// Encodes a tool. `strict` is always sent, because it defaults to true in this API.
fn tool(tool: &Tool) -> Value {
    let parameters = schema::parameters(tool.parameters.as_ref().unwrap_or(&Value::Null));
    let is_strict = tool.strict == Some(true) && !parameters.is_merged && schema::is_strict(&parameters.schema);
    let mut written = json!({"type": "function", "name": tool.name, "strict": is_strict});
    written["parameters"] = parameters.schema;
    if let Some(description) = &tool.description {
        written["description"] = description.as_str().into();
    }
    written
}

fn search_tool(search: &WebSearchTool) -> Value {
    let mut written = json!({"type": "web_search"});
    if let Some(size) = &search.context_size {
        written["search_context_size"] = size.as_str().into();
    }
    if let Some(location) = &search.location {
        written["user_location"] = approximate(location);
    }
    if !search.allowed_domains.is_empty() {
        written["filters"] = json!({"allowed_domains": search.allowed_domains});
    }
    written
}

fn tool_choice(choice: &ToolChoice) -> Value {
    let named = |name: &String| json!({"type": "function", "name": name});
    match choice {
        ToolChoice::Auto => "auto".into(),
        ToolChoice::None => "none".into(),
        ToolChoice::Required => "required".into(),
        ToolChoice::Named(name) => named(name),
        ToolChoice::Among { names, required } => {
            let mode = if *required { "required" } else { "auto" };
            let tools: Vec<Value> = names.iter().map(named).collect();
            json!({"type": "allowed_tools", "mode": mode, "tools": tools})
        }
    }
}

fn input_items(request: &Request) -> Vec<Value> {
    let (mut items, mut waiting) = (Vec::new(), Vec::new());
    for turn in &request.turns {
        match turn.speaker {
            Speaker::User => append_user_items(&turn.parts, &mut waiting, &mut items),
            Speaker::Assistant => {
                items.append(&mut waiting);
                append_assistant_items(&turn.parts, &mut items);
            }
            // Nothing may stand between calls and their results.
            Speaker::System => waiting.push(message("developer", vec![input_text(&split_text(&turn.parts).0)])),
        }
    }
    items.append(&mut waiting);
    items
}

fn message(role: &str, content: Vec<Value>) -> Value {
    let mut item = json!({"type": "message", "role": role});
    item["content"] = content.into();
    item
}

fn input_text(text: &str) -> Value {
    json!({"type": "input_text", "text": text})
}

/// Appends tool results, then `waiting`, then the other parts.
fn append_user_items(parts: &[Part], waiting: &mut Vec<Value>, items: &mut Vec<Value>) {
    let mut content = Vec::new();
    for part in parts {
        match part {
            Part::Result(result) => {
                let mut item = json!({"type": "function_call_output", "call_id": result.id});
                item["output"] = output(result);
                items.push(item);
                // Results can't carry audio; it follows in a message.
                content.extend(result.parts.iter().filter(|part| is_audio(part)).filter_map(input_part));
            }
            part => content.extend(input_part(part)),
        }
    }
    items.append(waiting);
    if !content.is_empty() {
        items.push(message("user", content));
    }
}

fn is_audio(part: &Part) -> bool {
    matches!(part, Part::Media(Media { kind: MediaKind::Audio, .. }))
}

/// Encodes the output of a tool: as text, or in parts if there are images or files.
fn output(result: &ToolResult) -> Value {
    let has_media = result.parts.iter().any(|part| matches!(part, Part::Media(_)) && !is_audio(part));
    if !has_media {
        let (text, _) = split_text(&result.parts);
        let text = if result.is_error { mark_failed(&text) } else { text };
        return text.into();
    }
    let mut parts: Vec<Value> = result.parts.iter().filter(|part| !is_audio(part)).filter_map(input_part).collect();
    if result.is_error {
        match parts.iter_mut().find(|part| part["type"] == "input_text") {
            Some(first) => first["text"] = mark_failed(first["text"].as_str().unwrap_or_default()).into(),
            None => parts.insert(0, input_text(&mark_failed(""))),
        }
    }
    parts.into()
}

fn input_part(part: &Part) -> Option<Value> {
    match part {
        Part::Text(text) => Some(input_text(text)),
        Part::Media(media) => Some(media_part(media)),
        Part::Call(_)
        | Part::Result(_)
        | Part::Thinking { .. }
        | Part::Redacted(_)
        | Part::ReasoningDetails { .. }
        | Part::Cached(_) => None,
    }
}

fn media_part(media: &Media) -> Value {
    match (media.kind, &media.source) {
        // Chat completions have the same form of audio.
        (MediaKind::Audio, Source::Data { .. }) => chat::media_part(media),
        (MediaKind::Image, source) => {
            let mut image = json!({"type": "input_image", "image_url": url(source)});
            if let Some(detail) = &media.detail {
                image["detail"] = detail.as_str().into();
            }
            image
        }
        (MediaKind::File | MediaKind::Audio, Source::Url(url)) => json!({"type": "input_file", "file_url": url}),
        (MediaKind::File, Source::Data { mime, .. }) => {
            let name = media.name.as_deref().unwrap_or("file");
            // Servers reject text files that are sent as files, so they are sent as text.
            if let Some(Ok(text)) = text_of_file(&media.source) {
                return input_text(&format!("{name}:\n{text}"));
            }
            json!({"type": "input_file", "filename": file_name(name, mime), "file_data": url(&media.source)})
        }
    }
}

fn url(source: &Source) -> String {
    match source {
        Source::Data { mime, data } => format!("data:{mime};base64,{data}"),
        Source::Url(url) => url.clone(),
    }
}

/// Returns a file name with the extension of PDF files, by which OpenAI detects them.
fn file_name(name: &str, mime: &str) -> String {
    let has_extension = name.to_ascii_lowercase().ends_with(".pdf");
    if mime == "application/pdf" && !has_extension { format!("{name}.pdf") } else { name.to_owned() }
}

/// Appends the items of an assistant turn. Reasoning stands directly before the item that followed
/// it; OpenAI rejects reasoning that no item follows.
fn append_assistant_items(parts: &[Part], items: &mut Vec<Value>) {
    let (mut own, mut thoughts) = (Vec::new(), Vec::new());
    for part in parts {
        match part {
            Part::Text(text) => {
                let text = json!({"type": "output_text", "text": text});
                let open = own.last_mut().filter(|item: &&mut Value| thoughts.is_empty() && item["type"] == "message");
                match open.and_then(|item| item["content"].as_array_mut()) {
                    Some(content) => content.push(text),
                    None => {
                        own.append(&mut thoughts);
                        own.push(message("assistant", vec![text]));
                    }
                }
            }
            Part::Call(call) => {
                own.append(&mut thoughts);
                own.push(json!({
                    "type": "function_call", "call_id": call.id, "name": call.name, "arguments": call.arguments,
                }));
            }
            // Thinking of other providers is left out.
            Part::Thinking { text, signature } => {
                let content = signature.as_deref().and_then(encrypted_content);
                thoughts.extend(content.map(|content| reasoning_item(text, content)));
            }
            Part::Media(_) | Part::Result(_) | Part::Redacted(_) | Part::ReasoningDetails { .. } | Part::Cached(_) => {}
        }
    }
    items.append(&mut own);
}

/// Encodes a reasoning item without an id: an id would refer to a stored item.
fn reasoning_item(text: &str, content: &str) -> Value {
    let summary = if text.is_empty() { json!([]) } else { json!([{"type": "summary_text", "text": text}]) };
    json!({"type": "reasoning", "summary": summary, "encrypted_content": content})
}
