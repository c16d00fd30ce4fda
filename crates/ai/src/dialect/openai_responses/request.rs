//! Parser of Responses API requests.

use serde_json::{Value, json};

use super::{compaction, function_names};
use crate::{
    GatewayError,
    canonical::{
        Effort, Format, Media, MediaKind, Part, Reasoning, Request, Source, Speaker, Tool, ToolCall, ToolChoice,
        ToolResult,
    },
    dialect::{
        fields::{Fields, data, data_url, kind_of, render_server_tool},
        openai_chat::request::{
            custom_arguments, read_arguments, read_cache_key, read_custom_tool, read_function, read_schema, source,
        },
    },
    reasoning_blocks, web_search,
};

type Read<T> = Result<T, GatewayError>;

/// Fields that need a stored response.
pub(super) const STORED_RESPONSE_FIELDS: [&str; 3] = ["previous_response_id", "conversation", "prompt"];
/// Text that stands in place of the part of a conversation that OpenAI has compacted.
pub(crate) const COMPACTED_PLACEHOLDER: &str =
    "[What was said before this was shortened to a form that only its provider can read.]";

/// Request fields that a response echoes, with their defaults.
fn defaults() -> Value {
    json!({
        "instructions": null, "max_output_tokens": null, "metadata": {}, "parallel_tool_calls": true,
        "previous_response_id": null, "reasoning": {"effort": null, "summary": null}, "store": false, "temperature": 1.0,
        "text": {"format": {"type": "text"}}, "tool_choice": "auto", "tools": [], "top_p": 1.0, "truncation": "disabled",
    })
}

/// Parses a request; the second value holds the fields that the response echoes.
pub(crate) fn read(body: &Value) -> Read<(Request, Value)> {
    let fields = Fields::root(body)?;
    if let Some(name) = STORED_RESPONSE_FIELDS.into_iter().find(|name| fields.get(name).is_some()) {
        return Err(stored_response_error(name));
    }
    if fields.flag("background")?.unwrap_or(false) {
        return Err(in_background());
    }
    let mut request = Request {
        stream: fields.flag("stream")?.unwrap_or(false),
        max_output: fields.count("max_output_tokens")?,
        temperature: fields.number("temperature")?,
        top_p: fields.number("top_p")?,
        parallel_tools: fields.flag("parallel_tool_calls")?,
        user: fields.text("user")?.map(str::to_owned),
        ..Request::default()
    };
    read_cache_key(&fields, &mut request)?;
    request.system.extend(fields.text("instructions")?.map(str::to_owned));
    match fields.get("input") {
        Some(Value::String(text)) => request.append(Speaker::User, [Part::Text(text.clone())]),
        Some(Value::Array(_)) => {
            for item in fields.objects("input")? {
                read_item(&item, &mut request)?;
            }
        }
        None if !request.system.is_empty() => {}
        _ => return Err(fields.error("input", "`input` must be a string or an array of items.")),
    }
    for tool in fields.objects("tools")? {
        read_tool(&tool, &mut request)?;
    }
    request.tool_choice = read_tool_choice(&fields)?.filter(|_| !request.tools.is_empty());
    if let Some(text) = fields.object("text")? {
        request.verbosity = text.text("verbosity")?.map(str::to_owned);
        request.format = read_format(&text)?;
    }
    if let Some(reasoning) = fields.object("reasoning")? {
        let effort = match reasoning.text("effort")?.filter(|name| !Effort::is_default(name)) {
            Some(name) => Some(
                Effort::parse(name)
                    .ok_or_else(|| reasoning.error("effort", "`effort` isn't one of the known efforts."))?,
            ),
            None => None,
        };
        let shown = reasoning.text("summary")?.is_some();
        if effort.is_some() || shown {
            request.reasoning = Some(Reasoning { effort, budget: None, shown });
        }
    }
    web_search::read_into(body, &mut request);
    let wants_logprobs = fields.texts("include")?.iter().any(|name| name == "message.output_text.logprobs");
    if wants_logprobs {
        request.logprobs = Some(fields.count("top_logprobs")?.unwrap_or(0));
    }
    if compaction::requests_compaction(body) {
        compaction::request_summary(&mut request);
    }
    Ok((request, echoed_fields(&fields)))
}

/// Error for a field that refers to a stored response.
pub(super) fn stored_response_error(name: &str) -> GatewayError {
    let message = format!("`{name}` isn't available: answers aren't stored here. Send the whole conversation.");
    GatewayError::invalid_param(name, message)
}

pub(super) fn in_background() -> GatewayError {
    GatewayError::invalid_param("background", "`background` is available in requests to `/v1/responses` only.")
}

/// Error for an item that only refers to another one. `place` is its path.
pub(super) fn item_reference_error(place: impl Into<String>) -> GatewayError {
    let message = "Items aren't stored here. Send the items themselves, and `store: false`.";
    GatewayError::invalid_param(place, message)
}

/// Parses a tool. Tools that the client runs become functions; tools that only OpenAI could run are
/// left out.
fn read_tool(tool: &Fields<'_>, request: &mut Request) -> Read<()> {
    match tool.required_text("type")? {
        "function" => request.tools.push(read_function(tool)?),
        "custom" => {
            let grammar = tool.object("format")?.filter(|format| format.get("definition").is_some());
            request.tools.push(read_custom_tool(tool, grammar.as_ref())?);
            request.custom_tools.push(tool.required_text("name")?.to_owned());
        }
        // OpenAI's own tool search is left out: all tools are sent at once.
        function_names::TOOL_SEARCH if is_client_side(tool)? => request.tools.push(Tool {
            name: function_names::TOOL_SEARCH.to_owned(),
            description: tool.text("description")?.map(str::to_owned),
            parameters: tool.get("parameters").cloned(),
            strict: None,
            cached: None,
        }),
        "namespace" => {
            let space = tool.required_text("name")?;
            for function in tool.objects("tools")? {
                if function.text("type")?.unwrap_or("function") == "function" {
                    let function = read_function(&function)?;
                    request
                        .tools
                        .push(Tool { name: function_names::flat_name(Some(space), &function.name), ..function });
                }
            }
        }
        function_names::TOOL_SEARCH => {}
        _ if web_search::is_search(tool) => {}
        kind => request.dropped_tools.push(kind.to_owned()),
    }
    Ok(())
}

/// Request fields that the response echoes, with their defaults.
pub(super) fn echoed_fields(fields: &Fields<'_>) -> Value {
    let mut repeated = defaults();
    for (name, value) in repeated.as_object_mut().into_iter().flatten() {
        if let (Some(asked), true) = (fields.get(name), name != "store") {
            *value = asked.clone();
        }
    }
    // Tools declared in the input are echoed too, because the answer restores the namespaces of
    // functions from the echoed tools.
    if let Some(tools) = repeated["tools"].as_array_mut() {
        let items = fields.get("input").and_then(Value::as_array).into_iter().flatten();
        let lists = items.filter(|item| item["type"] == "additional_tools" || item["type"] == "tool_search_output");
        let later = lists.filter_map(|item| item["tools"].as_array()).flatten();
        tools.extend(
            later.filter(|tool| tool["type"] == "namespace" || tool["type"] == function_names::TOOL_SEARCH).cloned(),
        );
    }
    repeated
}

fn read_item(item: &Fields<'_>, request: &mut Request) -> Read<()> {
    match item.text("type")?.unwrap_or("message") {
        "message" => {
            let parts = read_content(item, "content")?;
            match item.required_text("role")? {
                "user" => request.append(Speaker::User, parts),
                "assistant" => request.append(Speaker::Assistant, parts),
                "system" | "developer" => {
                    request.append_instructions(parts.into_iter().filter_map(|part| match part {
                        Part::Text(text) => Some(text),
                        _ => None,
                    }))
                }
                _ => return Err(item.error("role", "`role` must be user, assistant, system or developer.")),
            }
        }
        "function_call" => {
            let call = ToolCall {
                id: item.required_text("call_id")?.to_owned(),
                name: function_names::flat_name(item.text("namespace")?, item.required_text("name")?),
                arguments: read_arguments(item)?,
                signature: None,
            };
            request.append(Speaker::Assistant, [Part::Call(call)]);
        }
        "custom_tool_call" => {
            let call = ToolCall {
                id: item.required_text("call_id")?.to_owned(),
                name: item.required_text("name")?.to_owned(),
                arguments: custom_arguments(item.text("input")?.unwrap_or_default()),
                signature: None,
            };
            request.append(Speaker::Assistant, [Part::Call(call)]);
        }
        "function_call_output" | "custom_tool_call_output" => {
            let id = item.required_text("call_id")?.to_owned();
            let result = ToolResult { id, parts: read_content(item, "output")?, is_error: false };
            request.append(Speaker::User, [Part::Result(result)]);
        }
        "reasoning" => {
            let mut told = item.objects("summary")?;
            if told.is_empty() {
                told = item.objects("content")?;
            }
            let texts: Read<Vec<&str>> = told.iter().map(|part| Ok(part.text("text")?.unwrap_or_default())).collect();
            let thought = reasoning_blocks::read(texts?.join("\n\n"), item.text("encrypted_content")?);
            request.append(Speaker::Assistant, [thought]);
        }
        // Tools added in the input: declared by the client or found by its search.
        kind @ ("additional_tools" | "tool_search_output") => {
            let before = request.tools.len();
            for tool in item.objects("tools")? {
                read_tool(&tool, request)?;
            }
            if let (true, Some(id)) = (kind == "tool_search_output" && is_client_side(item)?, item.text("call_id")?) {
                let found: Vec<&str> = request.tools.iter().skip(before).map(|tool| tool.name.as_str()).collect();
                let text = if found.is_empty() { "none".to_owned() } else { found.join(", ") };
                let parts = vec![Part::Text(format!("Tools available: {text}"))];
                request.append(Speaker::User, [Part::Result(ToolResult { id: id.to_owned(), parts, is_error: false })]);
            }
        }
        // Tool searches that the client has run become tool calls.
        "tool_search_call" if is_client_side(item)? && item.get("call_id").is_some() => {
            let call = ToolCall {
                id: item.required_text("call_id")?.to_owned(),
                name: function_names::TOOL_SEARCH.to_owned(),
                arguments: read_arguments(item)?,
                signature: None,
            };
            request.append(Speaker::Assistant, [Part::Call(call)]);
        }
        // OpenAI's own tool searches and lists of tools are dropped.
        "tool_search_call" | "mcp_list_tools" => {}
        // Those of OpenAI are readable only there. The placeholder tells the model that something is missing.
        kind if compaction::is_compaction(kind) => {
            let summary = item.text("encrypted_content")?.and_then(compaction::summary_text);
            let text = summary.unwrap_or_else(|| COMPACTED_PLACEHOLDER.to_owned());
            request.append(Speaker::User, [Part::Text(text)]);
        }
        // Items that serve only the client are dropped.
        "compaction_trigger" | "ghost_snapshot" => {}
        "item_reference" => return Err(item_reference_error(item.path_of("type"))),
        kind if kind.ends_with("_output") || kind == "mcp_approval_response" => {
            request.append(Speaker::User, [Part::Text(render_server_tool(kind, item))]);
        }
        kind if kind.ends_with("_call") || kind == "mcp_approval_request" => {
            request.append(Speaker::Assistant, [Part::Text(render_server_tool(kind, item))]);
        }
        other => return Err(item.error("type", format!("Items of type `{other}` aren't available here."))),
    }
    Ok(())
}

/// True if the client runs the tool search itself.
fn is_client_side(search: &Fields<'_>) -> Read<bool> {
    Ok(search.text("execution")? == Some("client"))
}

fn read_content(item: &Fields<'_>, name: &str) -> Read<Vec<Part>> {
    match item.get(name) {
        None => Ok(Vec::new()),
        Some(Value::String(text)) => Ok(vec![Part::Text(text.clone())]),
        // Some clients send a tool result as an object.
        Some(object @ Value::Object(_)) if name == "output" => Ok(vec![Part::Text(object.to_string())]),
        Some(_) => item.objects(name)?.iter().map(read_part).collect(),
    }
}

fn read_part(part: &Fields<'_>) -> Read<Part> {
    let media = |kind, source, detail, name| Part::Media(Media { kind, source, detail, name });
    match part.required_text("type")? {
        "input_text" | "output_text" | "text" => Ok(Part::Text(part.required_text("text")?.to_owned())),
        "refusal" => Ok(Part::Text(part.required_text("refusal")?.to_owned())),
        "input_image" => {
            // Some clients use the format of chat completions.
            let url = match part.get("image_url") {
                Some(Value::Object(_)) => part.required_object("image_url")?.text("url")?,
                _ => part.text("image_url")?,
            };
            let url = url.ok_or_else(|| {
                part.error("image_url", "Send the picture in `image_url`; stored files aren't kept here.")
            })?;
            let detail = part.text("detail")?.map(str::to_owned);
            let source = source(part, url)?;
            Ok(media(kind_of(&source, MediaKind::Image), source, detail, None))
        }
        "input_file" => {
            let name = part.text("filename")?.map(str::to_owned);
            let sent = part.text("file_data")?.or(part.text("file_url")?);
            let sent = sent.ok_or_else(|| {
                part.error("file_data", "Send the file in `file_data`; stored files aren't kept here.")
            })?;
            let is_address = data_url(sent).is_some() || sent.starts_with("http");
            let source = if is_address { source(part, sent)? } else { data("application/pdf", sent) };
            Ok(media(kind_of(&source, MediaKind::File), source, None, name))
        }
        "input_audio" => {
            let audio = part.required_object("input_audio")?;
            let mime = format!("audio/{}", audio.required_text("format")?);
            Ok(media(
                MediaKind::Audio,
                Source::Data { mime, data: audio.required_text("data")?.to_owned() },
                None,
                None,
            ))
        }
        other => Err(part.error("type", format!("Parts of type `{other}` aren't supported."))),
    }
}

fn read_tool_choice(fields: &Fields<'_>) -> Read<Option<ToolChoice>> {
    let wrong = || fields.error("tool_choice", "`tool_choice` isn't one of the known choices.");
    match fields.get("tool_choice") {
        None => Ok(None),
        Some(Value::String(choice)) => match choice.as_str() {
            "auto" => Ok(Some(ToolChoice::Auto)),
            "none" => Ok(Some(ToolChoice::None)),
            // `any` is used by Anthropic and Mistral.
            "required" | "any" => Ok(Some(ToolChoice::Required)),
            _ => Err(wrong()),
        },
        Some(_) => {
            let choice = fields.required_object("tool_choice")?;
            match choice.required_text("type")? {
                "function" | "custom" => Ok(Some(ToolChoice::Named(choice.required_text("name")?.to_owned()))),
                "allowed_tools" => {
                    let tools = choice.objects("tools")?;
                    let own = tools.iter().filter(|tool| tool.get("name").is_some());
                    let names: Read<Vec<String>> = own.map(|tool| Ok(tool.required_text("name")?.to_owned())).collect();
                    let required = choice.text("mode")? == Some("required");
                    Ok(Some(ToolChoice::Among { names: names?, required }))
                }
                // The chosen tool was left out of the request.
                _ => Ok(None),
            }
        }
    }
}

fn read_format(text: &Fields<'_>) -> Read<Format> {
    let Some(format) = text.object("format")? else { return Ok(Format::Text) };
    match format.required_text("type")? {
        "text" => Ok(Format::Text),
        "json_object" => Ok(Format::Json),
        "json_schema" => read_schema(&format),
        _ => Err(format.error("type", "`text.format.type` must be text, json_object or json_schema.")),
    }
}
