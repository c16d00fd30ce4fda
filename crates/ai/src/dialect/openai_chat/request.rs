//! Parser of chat completions requests.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::{
    GatewayError,
    canonical::{
        AudioFormat, AudioRequest, Effort, Format, Media, MediaKind, Part, Reasoning, Request, Source, Speaker, Tool,
        ToolCall, ToolChoice, ToolResult,
    },
    dialect::{
        anthropic::request::read_block,
        fields::{Fields, data, data_url, kind_of, whole_number},
    },
    reasoning_blocks, web_search,
};

type Read<T> = Result<T, GatewayError>;

/// Options for writing the answer that are not part of the provider-independent request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct WriteOptions {
    pub usage: bool,
    /// Format of the spoken answer.
    pub audio: AudioFormat,
}

pub(crate) fn read(body: &Value) -> Read<(Request, WriteOptions)> {
    let fields = Fields::root(body)?;
    let mut request = Request {
        stream: fields.flag("stream")?.unwrap_or(false),
        max_output: match fields.count("max_completion_tokens")? {
            Some(most) => Some(most),
            None => fields.count("max_tokens")?,
        },
        temperature: fields.number("temperature")?,
        top_p: fields.number("top_p")?,
        // Not a field of OpenAI's API, but many servers and clients know it.
        top_k: fields.get("top_k").and_then(whole_number),
        stop: fields.texts("stop")?,
        choices: fields.count("n")?,
        seed: fields.integer("seed")?,
        presence_penalty: fields.number("presence_penalty")?,
        frequency_penalty: fields.number("frequency_penalty")?,
        parallel_tools: fields.flag("parallel_tool_calls")?,
        verbosity: fields.text("verbosity")?.map(str::to_owned),
        user: fields.text("user")?.map(str::to_owned),
        ..Request::default()
    };
    if fields.flag("logprobs")?.unwrap_or(false) {
        request.logprobs = Some(fields.count("top_logprobs")?.unwrap_or(0));
    }
    if let Some(effort) = fields.text("reasoning_effort")?.filter(|name| !Effort::is_default(name)) {
        let effort = Effort::parse(effort)
            .ok_or_else(|| fields.error("reasoning_effort", "`reasoning_effort` isn't one of the known efforts."))?;
        request.reasoning = Some(Reasoning { effort: Some(effort), budget: None, shown: true });
    }
    read_thinking(&fields, &mut request)?;
    read_cache_key(&fields, &mut request)?;
    let messages = fields.objects("messages")?;
    if messages.is_empty() {
        return Err(fields.error("messages", "`messages` must have at least one message."));
    }
    for message in &messages {
        read_message(message, &mut request)?;
    }
    request.tools = read_tools(&fields, &mut request.custom_tools)?;
    request.tool_choice = read_tool_choice(&fields)?;
    request.format = read_format(&fields)?;
    request.audio = read_audio(&fields)?;
    let audio = request.audio.as_ref().and_then(|audio| AudioFormat::parse(&audio.format)).unwrap_or_default();
    web_search::read_into(body, &mut request);
    let options = fields.object("stream_options")?;
    let usage = options.map(|options| options.flag("include_usage")).transpose()?.flatten().unwrap_or(false);
    Ok((request, WriteOptions { usage: usage && request_streams(&fields)?, audio }))
}

/// Reads the audio that the model should speak. `None` if the answer is text.
fn read_audio(fields: &Fields<'_>) -> Read<Option<AudioRequest>> {
    if !fields.texts("modalities")?.iter().any(|name| name == "audio") {
        return Ok(None);
    }
    let audio = fields.required_object("audio")?;
    let voice = match audio.get("voice") {
        Some(Value::Object(voice)) => voice.get("id").and_then(Value::as_str),
        _ => audio.text("voice")?,
    };
    let format = audio.required_text("format")?.to_owned();
    Ok(Some(AudioRequest { voice: voice.map(str::to_owned), format }))
}

fn request_streams(fields: &Fields<'_>) -> Read<bool> {
    Ok(fields.flag("stream")?.unwrap_or(false))
}

/// Reads reasoning options of OpenRouter (`reasoning`), Anthropic (`thinking`) and Gemini
/// (`extra_body.google`), which many clients send to this API. OpenAI's own field takes precedence.
fn read_thinking(fields: &Fields<'_>, request: &mut Request) -> Read<()> {
    if request.reasoning.is_some() {
        return Ok(());
    }
    let effort = |object: &Fields<'_>, name: &str| object.get(name).and_then(Value::as_str).and_then(Effort::parse);
    let (off, shown) = (|| Reasoning { effort: Some(Effort::None), budget: None, shown: false }, true);
    if let Some(reasoning) = fields.get("reasoning").filter(|reasoning| reasoning.is_object()) {
        let reasoning = Fields::at(reasoning, fields.path_of("reasoning"))?;
        let (effort, budget) = (effort(&reasoning, "effort"), reasoning.count("max_tokens")?);
        let is_on = reasoning.flag("enabled")?;
        let shown = !reasoning.flag("exclude")?.unwrap_or(false);
        request.reasoning = match (effort, budget, is_on) {
            (_, _, Some(false)) => Some(off()),
            (None, None, None) => None,
            (None, None, Some(true)) => Some(Reasoning { effort: Some(Effort::Medium), budget, shown }),
            (effort, budget, _) => Some(Reasoning { effort, budget, shown }),
        };
    } else if let Some(thinking) = fields.get("thinking").filter(|thinking| thinking.is_object()) {
        let thinking = Fields::at(thinking, fields.path_of("thinking"))?;
        request.reasoning = match thinking.text("type")? {
            Some("disabled") => Some(off()),
            Some(_) => {
                // Vercel's AI SDK sends the camel case of its own options.
                let budget = thinking.count("budget_tokens")?.or(thinking.count("budgetTokens")?);
                Some(Reasoning { effort: None, budget, shown })
            }
            None => None,
        };
    } else if let Some(config) = fields.get("extra_body").or(fields.get("google")) {
        let config = [&config["google"]["thinking_config"], &config["thinking_config"]];
        let Some(config) = config.into_iter().find(|config| config.is_object()) else { return Ok(()) };
        let shown = config["include_thoughts"] == true;
        let budget = config["thinking_budget"].as_u64();
        let effort = config["thinking_level"].as_str().and_then(|level| Effort::parse(&level.to_ascii_lowercase()));
        request.reasoning = Some(Reasoning { effort, budget, shown });
    }
    Ok(())
}

fn read_message(message: &Fields<'_>, request: &mut Request) -> Read<()> {
    match message.required_text("role")? {
        "system" | "developer" => {
            let parts = read_content(message)?;
            let is_top = request.turns.is_empty();
            let mut texts = Vec::new();
            for part in parts {
                match part {
                    Part::Text(text) => texts.push(text),
                    Part::Cached(control) if is_top => {
                        let place = (request.system.len() + texts.len()).checked_sub(1);
                        request.system_cached.extend(place.map(|place| (place, control)));
                    }
                    _ => {}
                }
            }
            request.append_instructions(texts);
        }
        "user" => {
            let parts = read_content(message)?;
            request.append(Speaker::User, parts);
        }
        "assistant" => {
            let mut parts = Vec::new();
            for block in message.objects("thinking_blocks")? {
                parts.push(match block.text("data")? {
                    Some(data) => Part::Redacted(data.to_owned()),
                    None => {
                        let text = block.text("thinking")?.unwrap_or_default().to_owned();
                        reasoning_blocks::read(text, block.text("signature")?)
                    }
                });
            }
            if parts.is_empty() {
                let told = ["reasoning_content", "reasoning"].map(|name| message.get(name).and_then(Value::as_str));
                let text = told.into_iter().flatten().find(|text| !text.is_empty());
                parts.extend(text.map(|text| reasoning_blocks::read(text.to_owned(), None)));
            }
            parts.extend(read_content(message)?);
            if let Some(refusal) = message.text("refusal")? {
                parts.push(Part::Text(refusal.to_owned()));
            }
            for call in message.objects("tool_calls")? {
                parts.push(Part::Call(read_call(&call)?));
            }
            if let Some(call) = message.object("function_call")? {
                let name = call.required_text("name")?.to_owned();
                let arguments = read_arguments(&call)?;
                parts.push(Part::Call(ToolCall { id: format!("call_{name}"), name, arguments, signature: None }));
            }
            request.append(Speaker::Assistant, parts);
        }
        "tool" => {
            let id = message.required_text("tool_call_id")?.to_owned();
            let is_mark = |part: &Part| matches!(part, Part::Cached(_));
            let (marks, parts): (Vec<Part>, Vec<Part>) = read_content(message)?.into_iter().partition(is_mark);
            let result = Part::Result(ToolResult { id, parts, is_error: false });
            request.append(Speaker::User, [result].into_iter().chain(marks.into_iter().take(1)));
        }
        "function" => {
            let id = format!("call_{}", message.required_text("name")?);
            let parts = read_content(message)?;
            request.append(Speaker::User, [Part::Result(ToolResult { id, parts, is_error: false })]);
        }
        _ => return Err(message.error("role", "`role` must be system, developer, user, assistant or tool.")),
    }
    Ok(())
}

fn read_call(call: &Fields<'_>) -> Read<ToolCall> {
    let id = call.required_text("id")?.to_owned();
    let google = call.object("extra_content")?.map(|extra| extra.object("google")).transpose()?.flatten();
    let signature = google.map(|google| google.text("thought_signature")).transpose()?.flatten().map(str::to_owned);
    if let Some(custom) = call.object("custom")? {
        let arguments = custom_arguments(custom.text("input")?.unwrap_or_default());
        return Ok(ToolCall { id, name: custom.required_text("name")?.to_owned(), arguments, signature });
    }
    let function = call.required_object("function")?;
    let arguments = read_arguments(&function)?;
    Ok(ToolCall { id, name: function.required_text("name")?.to_owned(), arguments, signature })
}

/// Returns the arguments as JSON text. Some clients send an object instead of JSON text.
pub(crate) fn read_arguments(call: &Fields<'_>) -> Read<String> {
    match call.get("arguments") {
        Some(object @ Value::Object(_)) => Ok(object.to_string()),
        _ => Ok(call.text("arguments")?.unwrap_or("{}").to_owned()),
    }
}

fn read_content(message: &Fields<'_>) -> Read<Vec<Part>> {
    let mut parts = Vec::new();
    match message.get("content") {
        None => return Ok(parts),
        Some(Value::String(text)) => parts.push(Part::Text(text.clone())),
        Some(Value::Array(_)) => {
            for part in message.objects("content")? {
                parts.push(read_part(&part)?);
                parts.extend(cache_control(&part).map(Part::Cached));
            }
        }
        Some(_) => {
            let message =
                message.error("content", format!("`{}` must be a string or an array.", message.path_of("content")));
            return Err(message);
        }
    }
    parts.extend(cache_control(message).map(Part::Cached));
    Ok(parts)
}

/// Anthropic's cache mark, which many clients send to this API: the provider's cache should hold
/// everything up to here.
fn cache_control(fields: &Fields<'_>) -> Option<Value> {
    fields.get("cache_control").filter(|control| control.is_object()).cloned()
}

/// Reads the key of OpenAI's prompt cache.
pub(crate) fn read_cache_key(fields: &Fields<'_>, request: &mut Request) -> Read<()> {
    let key = fields.text("prompt_cache_key")?;
    request.extra.extend(key.map(|key| ("prompt_cache_key", Value::from(key))));
    Ok(())
}

fn read_part(part: &Fields<'_>) -> Read<Part> {
    match part.required_text("type")? {
        "text" | "input_text" | "output_text" => Ok(Part::Text(part.required_text("text")?.to_owned())),
        "thinking" => {
            let text = part.get("thinking").map(thought).unwrap_or_default();
            Ok(reasoning_blocks::read(text, part.text("signature")?))
        }
        "redacted_thinking" => Ok(Part::Redacted(part.text("data")?.unwrap_or_default().to_owned())),
        "refusal" => Ok(Part::Text(part.required_text("refusal")?.to_owned())),
        "image_url" => {
            // Some clients send the URL directly.
            let (url, detail) = match part.get("image_url") {
                Some(Value::String(url)) => (url.as_str(), None),
                _ => {
                    let image = part.required_object("image_url")?;
                    (image.required_text("url")?, image.text("detail")?.map(str::to_owned))
                }
            };
            let source = source(part, url)?;
            Ok(Part::Media(Media { kind: kind_of(&source, MediaKind::Image), source, detail, name: None }))
        }
        "input_audio" => {
            let audio = part.required_object("input_audio")?;
            let mime = match audio.required_text("format")? {
                "mp3" => "audio/mp3".to_owned(),
                format => format!("audio/{format}"),
            };
            let source = Source::Data { mime, data: audio.required_text("data")?.to_owned() };
            Ok(Part::Media(Media { kind: MediaKind::Audio, source, detail: None, name: None }))
        }
        "file" => {
            let file = part.required_object("file")?;
            let sent = file.text("file_data")?.ok_or_else(|| {
                part.error("file", "Only files with `file_data` can be sent; stored files aren't kept here.")
            })?;
            let is_address = data_url(sent).is_some() || sent.starts_with("http");
            let source = if is_address { source(part, sent)? } else { data("application/pdf", sent) };
            let name = file.text("filename")?.map(str::to_owned);
            Ok(Part::Media(Media { kind: kind_of(&source, MediaKind::File), source, detail: None, name }))
        }
        // Videos have a part of this form at vLLM, Kimi and OpenRouter.
        "video_url" => {
            let url = match part.get("video_url") {
                Some(Value::String(url)) => url.as_str(),
                _ => part.required_object("video_url")?.required_text("url")?,
            };
            Ok(Part::Media(Media { kind: MediaKind::File, source: source(part, url)?, detail: None, name: None }))
        }
        // Anthropic's blocks; some clients use one format for all models.
        "image" | "document" | "tool_use" | "tool_result" => read_block(part),
        other => Err(part.error("type", format!("Parts of type `{other}` aren't supported."))),
    }
}

/// Thinking text, as a string (Anthropic) or in parts (Mistral).
fn thought(said: &Value) -> String {
    match said {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts.iter().filter_map(|part| part["text"].as_str()).collect(),
        _ => String::new(),
    }
}

/// Parses a data URL or web address.
pub(crate) fn source(part: &Fields<'_>, url: &str) -> Read<Source> {
    match data_url(url) {
        Some((mime, text)) => Ok(data(mime, text)),
        None if url.starts_with("https://") || url.starts_with("http://") => Ok(Source::Url(url.to_owned())),
        None => Err(part.error("url", "Send an https address or a data URL with base64.")),
    }
}

fn read_tools(fields: &Fields<'_>, free: &mut Vec<String>) -> Read<Vec<Tool>> {
    let mut tools = Vec::new();
    for tool in fields.objects("tools")?.into_iter().filter(|tool| !web_search::is_search(tool)) {
        match tool.text("type")?.unwrap_or("function") {
            "function" => {
                // Some clients use the format of the Responses API or Anthropic's.
                let object = match tool.object("function")? {
                    None if tool.get("name").is_some() => tool.clone(),
                    None => tool.required_object("function")?,
                    Some(function) => function,
                };
                let cached = cache_control(&tool).or_else(|| cache_control(&object));
                tools.push(Tool { cached, ..read_function(&object)? });
            }
            "custom" => {
                let custom = tool.required_object("custom")?;
                let grammar = custom.object("format")?.map(|format| format.object("grammar")).transpose()?.flatten();
                tools.push(read_custom_tool(&custom, grammar.as_ref())?);
                free.push(custom.required_text("name")?.to_owned());
            }
            other => {
                return Err(tool.error("type", format!("Tools of type `{other}` aren't available for this model.")));
            }
        }
    }
    for function in fields.objects("functions")? {
        tools.push(read_function(&function)?);
    }
    Ok(tools)
}

/// Converts a free-form tool to a function. Its grammar goes into the description because only
/// OpenAI enforces it.
pub(crate) fn read_custom_tool(tool: &Fields<'_>, grammar: Option<&Fields<'_>>) -> Read<Tool> {
    let mut description = tool.text("description")?.unwrap_or_default().to_owned();
    if let Some(grammar) = grammar {
        let (syntax, definition) = (grammar.text("syntax")?.unwrap_or_default(), grammar.required_text("definition")?);
        // Writing to a string can't fail.
        let _ = write!(description, "\n\n`input` must match this grammar ({syntax}):\n{definition}");
    }
    let description = description.trim();
    Ok(Tool {
        name: tool.required_text("name")?.to_owned(),
        description: (!description.is_empty()).then(|| description.to_owned()),
        parameters: Some(json!({"type": "object", "properties": {"input": {"type": "string"}}, "required": ["input"]})),
        strict: None,
        cached: None,
    })
}

/// Arguments of a call of a converted free-form tool.
pub(crate) fn custom_arguments(input: &str) -> String {
    json!({ "input": input }).to_string()
}

/// Parses a function with its schema.
pub(crate) fn read_function(function: &Fields<'_>) -> Read<Tool> {
    Ok(Tool {
        name: function.required_text("name")?.to_owned(),
        description: function.text("description")?.map(str::to_owned),
        parameters: function.get("parameters").or(function.get("input_schema")).cloned(),
        strict: function.flag("strict")?,
        cached: None,
    })
}

fn read_tool_choice(fields: &Fields<'_>) -> Read<Option<ToolChoice>> {
    let name = if fields.get("tool_choice").is_some() { "tool_choice" } else { "function_call" };
    let wrong = || fields.error(name, format!("`{name}` isn't one of the known choices."));
    match fields.get(name) {
        None => Ok(None),
        Some(Value::String(choice)) => match choice.as_str() {
            "auto" => Ok(Some(ToolChoice::Auto)),
            "none" => Ok(Some(ToolChoice::None)),
            // `any` is used by Anthropic and Mistral.
            "required" | "any" => Ok(Some(ToolChoice::Required)),
            _ => Err(wrong()),
        },
        Some(_) => {
            let choice = fields.required_object(name)?;
            if let Some(allowed) = choice.object("allowed_tools")? {
                let of_function = |tool: Fields<'_>| -> Read<String> {
                    Ok(tool.required_object("function")?.required_text("name")?.to_owned())
                };
                let names: Read<Vec<String>> = allowed.objects("tools")?.into_iter().map(of_function).collect();
                let required = allowed.text("mode")? == Some("required");
                return Ok(Some(ToolChoice::Among { names: names?, required }));
            }
            // Some clients send the tool choice in Anthropic's format.
            match choice.text("type")? {
                Some("auto") => return Ok(Some(ToolChoice::Auto)),
                Some("none") => return Ok(Some(ToolChoice::None)),
                Some("any" | "required") => return Ok(Some(ToolChoice::Required)),
                _ => {}
            }
            let function = match choice.object("function")? {
                Some(function) => function,
                None => choice.object("custom")?.unwrap_or(choice),
            };
            Ok(Some(ToolChoice::Named(function.required_text("name")?.to_owned())))
        }
    }
}

fn read_format(fields: &Fields<'_>) -> Read<Format> {
    let Some(format) = fields.object("response_format")? else { return Ok(Format::Text) };
    match format.required_text("type")? {
        "text" => Ok(Format::Text),
        "json_object" => Ok(Format::Json),
        "json_schema" => read_schema(&format.required_object("json_schema")?),
        _ => Err(format.error("type", "`response_format.type` must be text, json_object or json_schema.")),
    }
}

/// Parses a named answer schema.
pub(crate) fn read_schema(schema: &Fields<'_>) -> Read<Format> {
    Ok(Format::Schema {
        name: schema.text("name")?.unwrap_or("answer").to_owned(),
        description: schema.text("description")?.map(str::to_owned),
        schema: schema.get("schema").cloned().unwrap_or_else(|| json!({"type": "object"})),
        strict: schema.flag("strict")?,
    })
}
