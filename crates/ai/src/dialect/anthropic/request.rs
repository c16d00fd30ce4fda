//! Parser of Messages API requests.

use serde_json::{Value, json};

use super::client_tools;
use crate::{
    GatewayError,
    canonical::{
        Effort, Format, Media, MediaKind, Part, Reasoning, Request, Source, Speaker, Tool, ToolCall, ToolChoice,
        ToolResult,
    },
    dialect::fields::{Fields, data, render_server_tool},
    reasoning_blocks, web_search,
};

type Read<T> = Result<T, GatewayError>;

pub(crate) fn read(body: &Value) -> Read<Request> {
    let fields = Fields::root(body)?;
    let most = match fields.count("max_tokens")? {
        Some(0) => return Err(fields.error("max_tokens", "max_tokens: must be a whole number above zero.")),
        Some(most) => most,
        // Anthropic's words.
        None => return Err(fields.error("max_tokens", "max_tokens: Field required")),
    };
    let mut request = read_without_limit(&fields, Some(most))?;
    web_search::read_into(body, &mut request);
    Ok(request)
}

/// Parses a request that needs no `max_tokens`, because its tokens are only counted.
pub(crate) fn read_to_count(body: &Value) -> Read<Request> {
    read_without_limit(&Fields::root(body)?, None)
}

fn read_without_limit(fields: &Fields<'_>, max_output: Option<u64>) -> Read<Request> {
    let mut request = Request {
        stream: fields.flag("stream")?.unwrap_or(false),
        max_output,
        temperature: fields.number("temperature")?,
        top_p: fields.number("top_p")?,
        top_k: fields.count("top_k")?,
        stop: fields.texts("stop_sequences")?,
        ..Request::default()
    };
    if let Some(metadata) = fields.object("metadata")? {
        request.user = metadata.text("user_id")?.map(str::to_owned);
    }
    read_system(fields, &mut request)?;
    let messages = fields.objects("messages")?;
    if messages.is_empty() {
        return Err(fields.error("messages", "`messages` must have at least one message."));
    }
    for message in &messages {
        match message.required_text("role")? {
            "user" => {
                let parts = read_content(message)?;
                request.append(Speaker::User, parts);
            }
            "assistant" => {
                let parts = read_content(message)?;
                request.append(Speaker::Assistant, parts);
            }
            "system" => request.append_instructions(system_texts(message, "content")?),
            _ => return Err(message.error("role", "`role` must be user, assistant or system.")),
        }
    }
    let (mut has_search, mut dropped_names) = (false, Vec::new());
    for tool in fields.objects("tools")? {
        // All tools are sent at once, so tool search is unnecessary.
        if tool.text("type")?.is_some_and(|kind| kind.starts_with("tool_search_tool")) {
            continue;
        }
        if web_search::is_search(&tool) {
            has_search = true;
            continue;
        }
        match predefined_kind(&tool)? {
            // A count must not fail because of an unknown tool.
            Some(kind) if is_server_tool(kind) || (max_output.is_none() && !client_tools::is_known(kind)) => {
                request.dropped_tools.push(kind.to_owned());
                dropped_names.extend(tool.text("name")?);
            }
            _ => request.tools.push(read_tool(&tool)?),
        }
    }
    read_tool_choice(fields, &mut request)?;
    let is_dropped = match &request.tool_choice {
        Some(ToolChoice::Named(name)) => dropped_names.contains(&name.as_str()),
        _ => !dropped_names.is_empty() && request.tools.is_empty() && !has_search,
    };
    if is_dropped {
        request.tool_choice = None;
    }
    read_thinking(fields, &mut request)?;
    Ok(request)
}

fn system_texts(fields: &Fields<'_>, name: &str) -> Read<Vec<String>> {
    match fields.get(name) {
        None => Ok(Vec::new()),
        Some(Value::String(text)) => Ok(vec![text.clone()]),
        Some(_) => fields.objects(name)?.iter().map(|block| Ok(block.required_text("text")?.to_owned())).collect(),
    }
}

/// Reads the system prompt with its cache marks, without the line for Anthropic's billing.
fn read_system(fields: &Fields<'_>, request: &mut Request) -> Read<()> {
    if let Some(Value::String(text)) = fields.get("system") {
        request.system = vec![strip_billing_line(text).to_owned()];
        return Ok(());
    }
    for block in fields.objects("system")? {
        let text = block.required_text("text")?;
        let kept = strip_billing_line(text);
        if kept.is_empty() && !text.is_empty() {
            continue;
        }
        request.system_cached.extend(cache_control(&block).map(|mark| (request.system.len(), mark)));
        request.system.push(kept.to_owned());
    }
    Ok(())
}

/// Removes the line with which Claude Code starts its system prompt for Anthropic's billing. It has a
/// hash of the request, with which the prompt caches of other providers would never match.
fn strip_billing_line(text: &str) -> &str {
    const BILLING_LINE: &str = "x-anthropic-billing-header:";
    if text.starts_with(BILLING_LINE) { text.split_once('\n').map_or("", |(_, rest)| rest) } else { text }
}

/// Mark that the provider's cache should hold everything up to here.
fn cache_control(fields: &Fields<'_>) -> Option<Value> {
    fields.get("cache_control").filter(|control| control.is_object()).cloned()
}

fn read_content(message: &Fields<'_>) -> Read<Vec<Part>> {
    match message.get("content") {
        None => Ok(Vec::new()),
        Some(Value::String(text)) => Ok(vec![Part::Text(text.clone())]),
        Some(_) => {
            let mut parts = Vec::new();
            for block in message.objects("content")? {
                match citable_content(&block)? {
                    Some(content) => {
                        parts.extend(block.text("title")?.map(|title| Part::Text(title.to_owned())));
                        parts.extend(read_content(&content)?);
                    }
                    None => parts.push(read_block(&block)?),
                }
                parts.extend(cache_control(&block).map(Part::Cached));
            }
            Ok(parts)
        }
    }
}

/// Object that holds the content of a citable block: the source of a document made of blocks, or
/// the search result itself. `None` for other blocks.
fn citable_content<'a>(block: &Fields<'a>) -> Read<Option<Fields<'a>>> {
    match block.required_text("type")? {
        "document" => {
            let source = block.required_object("source")?;
            Ok((source.required_text("type")? == "content").then_some(source))
        }
        "search_result" => Ok(Some(block.clone())),
        _ => Ok(None),
    }
}

/// Parses a content block.
pub(crate) fn read_block(block: &Fields<'_>) -> Read<Part> {
    let text = |name: &str| Ok::<_, GatewayError>(block.text(name)?.unwrap_or_default().to_owned());
    match block.required_text("type")? {
        "text" => Ok(Part::Text(block.required_text("text")?.to_owned())),
        "image" => Ok(Part::Media(read_media(block, MediaKind::Image)?)),
        "document" => {
            let source = block.required_object("source")?;
            match source.required_text("type")? {
                "text" => Ok(Part::Text(source.required_text("data")?.to_owned())),
                _ => Ok(Part::Media(read_media(block, MediaKind::File)?)),
            }
        }
        "tool_use" => Ok(Part::Call(ToolCall {
            id: block.required_text("id")?.to_owned(),
            name: block.required_text("name")?.to_owned(),
            arguments: match block.get("input") {
                // Some clients send the arguments as the JSON text that they received.
                Some(Value::String(text)) if text.trim_start().starts_with('{') => text.clone(),
                input => input.map_or_else(|| "{}".to_owned(), Value::to_string),
            },
            signature: None,
        })),
        "tool_result" => Ok(Part::Result(ToolResult {
            id: block.required_text("tool_use_id")?.to_owned(),
            // A mark within the result isn't read: the block's own mark follows it.
            parts: read_content(block)?.into_iter().filter(|part| !matches!(part, Part::Cached(_))).collect(),
            is_error: block.flag("is_error")?.unwrap_or(false),
        })),
        "thinking" => Ok(reasoning_blocks::read(text("thinking")?, block.text("signature")?)),
        "redacted_thinking" => Ok(Part::Redacted(text("data")?)),
        // Summary that replaces the earlier part of the conversation.
        "compaction" => Ok(Part::Text(text("content")?)),
        "tool_reference" => Ok(Part::Text(format!("Tool available: {}", block.required_text("tool_name")?))),
        // Calls of server tools and their results.
        kind if kind.ends_with("_tool_use") || kind.ends_with("_tool_result") || kind == "container_upload" => {
            Ok(Part::Text(render_server_tool(kind, block)))
        }
        other => Err(block.error("type", format!("Blocks of type `{other}` aren't available for this model."))),
    }
}

fn read_media(block: &Fields<'_>, kind: MediaKind) -> Read<Media> {
    let source = block.required_object("source")?;
    let source = match source.required_text("type")? {
        "base64" => data(source.required_text("media_type")?, source.required_text("data")?),
        "url" => Source::Url(source.required_text("url")?.to_owned()),
        _ => return Err(source.error("type", "A source must be base64 or url. Files aren't stored here.")),
    };
    Ok(Media { kind, source, detail: None, name: block.text("title")?.map(str::to_owned) })
}

/// Type of a tool that Anthropic defines; `None` for the client's own tools.
fn predefined_kind<'a>(tool: &Fields<'a>) -> Read<Option<&'a str>> {
    Ok(tool.text("type")?.filter(|kind| *kind != "custom"))
}

/// True for tools that Anthropic runs: those of a version that the client doesn't run, and MCP
/// servers.
fn is_server_tool(kind: &str) -> bool {
    let version = kind.rsplit_once('_').map(|(_, version)| version);
    let is_date = |version: &str| version.len() == 8 && version.bytes().all(|byte| byte.is_ascii_digit());
    kind == "mcp_toolset" || (version.is_some_and(is_date) && !client_tools::is_known(kind))
}

fn read_tool(tool: &Fields<'_>) -> Read<Tool> {
    if let Some(kind) = predefined_kind(tool)? {
        let unavailable = || tool.error("type", format!("Tools of type `{kind}` aren't available for this model."));
        let definition = client_tools::definition(kind, tool)?.ok_or_else(unavailable)?;
        return Ok(Tool {
            name: tool.required_text("name")?.to_owned(),
            description: Some(definition.description),
            parameters: Some(definition.parameters),
            strict: None,
            cached: cache_control(tool),
        });
    }
    Ok(Tool {
        name: tool.required_text("name")?.to_owned(),
        description: tool.text("description")?.map(str::to_owned),
        parameters: tool.get("input_schema").cloned(),
        strict: tool.flag("strict")?,
        cached: cache_control(tool),
    })
}

fn read_tool_choice(fields: &Fields<'_>, request: &mut Request) -> Read<()> {
    let Some(choice) = fields.object("tool_choice")? else { return Ok(()) };
    request.tool_choice = Some(match choice.required_text("type")? {
        "auto" => ToolChoice::Auto,
        "any" => ToolChoice::Required,
        "none" => ToolChoice::None,
        "tool" => ToolChoice::Named(choice.required_text("name")?.to_owned()),
        _ => return Err(choice.error("type", "`tool_choice.type` must be auto, any, tool or none.")),
    });
    request.parallel_tools = choice.flag("disable_parallel_tool_use")?.map(|disabled| !disabled);
    Ok(())
}

fn read_thinking(fields: &Fields<'_>, request: &mut Request) -> Read<()> {
    let output = fields.object("output_config")?;
    let effort = match &output {
        Some(output) => output.text("effort")?.and_then(Effort::parse),
        None => None,
    };
    if let Some(thinking) = fields.object("thinking")? {
        request.reasoning = match thinking.required_text("type")? {
            "disabled" => Some(Reasoning { effort: Some(Effort::None), budget: None, shown: false }),
            _ => {
                let shown = thinking.text("display")? != Some("omitted");
                Some(Reasoning { effort, budget: thinking.count("budget_tokens")?, shown })
            }
        };
    } else if effort.is_some() {
        request.reasoning = Some(Reasoning { effort, budget: None, shown: false });
    }
    let format = output.map(|output| output.object("format")).transpose()?.flatten();
    // Older name of the field, from the beta `structured-outputs-2025-11-13`.
    let format = if format.is_none() { fields.object("output_format")? } else { format };
    if let Some(format) = format {
        let schema = format.get("schema").cloned().unwrap_or_else(|| json!({"type": "object"}));
        let name = "answer".to_owned();
        request.format = Format::Schema { name, description: None, schema, strict: Some(true) };
    }
    Ok(())
}
