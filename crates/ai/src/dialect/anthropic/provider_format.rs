//! Encoder of requests to Anthropic's Messages API.

use std::borrow::Cow;

use serde_json::{Map, Value, json};

use super::strict_tools::StrictBudget;
use crate::{
    GatewayError,
    canonical::{
        Effort, Format, Media, MediaKind, Part, Request, Source, Speaker, Tool, ToolCall, ToolChoice, ToolResult, Turn,
    },
    dialect::{fields::text_of_file, openai_chat::provider_format::sha256_hex},
    params::{self, Sampling, Thinking},
    reasoning_blocks::is_own_marker,
    schema,
    web_search::{OwnSearch, WebSearchTool, approximate},
};

/// `max_tokens` sent if the caller sets none; the field is required.
const DEFAULT_MAX_TOKENS: u64 = 8_192;
/// Minimum thinking budget that Anthropic accepts, in tokens.
const MIN_THINKING_BUDGET: u64 = 1_024;
/// Models that reject a prefilled answer, so that the last turn must be the user's. All newer
/// models with adaptive thinking reject it too and aren't listed.
const NO_PREFILL_MODELS: [&str; 2] = ["claude-opus-4-6", "claude-sonnet-4-6"];
/// Maximum number of `cache_control` marks that Anthropic accepts.
const MAX_CACHE_MARKS: usize = 4;
/// Name of Anthropic's web search.
const SEARCH_NAME: &str = "web_search";
const JSON_ONLY: &str = "Answer with a single JSON object and nothing else.";

pub(crate) fn write(request: &Request, model: &str) -> Result<Value, GatewayError> {
    if request.choices.is_some_and(|choices| choices > 1) {
        let message = "This model gives one answer per request. Leave `n` out, and send one request per answer.";
        return Err(GatewayError::invalid_param("n", message));
    }
    let two_sided = request.without_system_turns();
    let request = &*two_sided;
    let mut system = request.system_text();
    let mut messages = Vec::with_capacity(request.turns.len());
    if request.turns.first().is_some_and(|turn| turn.speaker == Speaker::Assistant) {
        messages.push(json!({"role": "user", "content": "Continue."}));
    }
    let last = request.turns.len().saturating_sub(1);
    for (index, turn) in request.turns.iter().enumerate() {
        let role = match turn.speaker {
            Speaker::User | Speaker::System => "user",
            Speaker::Assistant => "assistant",
        };
        let content = blocks(turn, index == last)?;
        if !content.is_empty() {
            messages.push(json!({"role": role, "content": content}));
        }
    }
    if messages.is_empty() {
        let text =
            system.take().ok_or_else(|| GatewayError::invalid_param("messages", "The conversation is empty."))?;
        messages.push(json!({"role": "user", "content": text}));
    }
    let takes = params::for_request(request, model);
    let is_adaptive = takes.is_some_and(|takes| matches!(takes.thinking, Thinking::Adaptive(_)));
    let has_beginning = messages.last().is_some_and(|message| message["role"] == "assistant");
    if has_beginning
        && (is_adaptive || NO_PREFILL_MODELS.iter().any(|name| params::canonical_name(model).starts_with(name)))
    {
        messages.push(json!({"role": "user", "content": "Continue."}));
    }
    if request.format == Format::Json {
        system = Some(system.map_or_else(|| JSON_ONLY.to_owned(), |text| format!("{text}\n\n{JSON_ONLY}")));
    }
    let most = takes.and_then(|takes| takes.most_output).unwrap_or(u64::MAX);
    let mut max_tokens = request.max_output.unwrap_or_else(|| DEFAULT_MAX_TOKENS.min(most));
    let mut body = Map::new();
    let mut put = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            body.insert(name.to_owned(), value);
        }
    };
    put("model", Some(model.into()));
    put("messages", Some(messages.into()));
    put("system", system.map(|text| write_system(request, text)));
    // Anthropic rejects stop sequences of white space only.
    let stops: Vec<&String> = request.stop.iter().filter(|stop| !stop.trim().is_empty()).collect();
    put("stop_sequences", (!stops.is_empty()).then(|| json!(stops)));
    put("stream", request.stream.then(|| true.into()));
    put("metadata", request.user.as_deref().map(|user| json!({"user_id": anonymous_user(user)})));
    let (thinking, effort) = if is_adaptive {
        let (thinking, effort) = adaptive_thinking(request);
        if thinking.is_some() && request.max_output.is_none() {
            let expected = effort.unwrap_or(Effort::High).budget();
            max_tokens = max_tokens.saturating_add(expected).min(most);
        }
        (thinking, effort)
    } else {
        (budgeted_thinking(request, &mut max_tokens, most), None)
    };
    let mut output = Map::new();
    if let Format::Schema { schema, .. } = &request.format {
        output.insert("format".to_owned(), json!({"type": "json_schema", "schema": schema::for_claude(schema)}));
    }
    output.extend(effort.map(|effort| ("effort".to_owned(), effort.name().into())));
    put("output_config", (!output.is_empty()).then(|| output.into()));
    // Sampling parameters go only to models known to accept them: newer models reject them.
    // Anthropic's maximum temperature is 1, and it accepts either temperature or top_p.
    if thinking.is_none() && takes.is_some_and(|takes| takes.sampling != Sampling::Never) {
        put("temperature", request.temperature.map(|asked| asked.min(1.0).into()));
        put("top_p", request.top_p.filter(|_| request.temperature.is_none()).map(Into::into));
        put("top_k", request.top_k.map(Into::into));
    }
    put("thinking", thinking);
    put("max_tokens", Some(max_tokens.into()));
    let mut strict = StrictBudget::new(model);
    let offered = request.tools.iter().filter(|tool| is_offered(request, tool));
    let search = request.web_search.as_ref().filter(|search| search.own == Some(OwnSearch::Claude));
    let tools: Vec<Value> = offered.map(|tool| write_tool(tool, &mut strict)).chain(search.map(write_search)).collect();
    if !tools.is_empty() {
        put("tools", Some(tools.into()));
        put("tool_choice", tool_choice(request));
    }
    limit_cache_marks(&mut body);
    Ok(Value::Object(body))
}

/// Removes the first cache marks of the conversation if there are more than Anthropic accepts.
/// Tools and system text keep theirs because they change least.
fn limit_cache_marks(body: &mut Map<String, Value>) {
    fn clear_cache_marks<'a>(blocks: impl Iterator<Item = &'a mut Value>, excess: &mut usize) {
        for block in blocks {
            if *excess > 0 && block.as_object_mut().and_then(|fields| fields.shift_remove("cache_control")).is_some() {
                *excess -= 1;
            }
        }
    }
    let list = |body: &Map<String, Value>, name: &str| -> usize {
        let blocks = body.get(name).and_then(Value::as_array).into_iter().flatten();
        let count = |block: &Value| {
            let inner = block["content"].as_array().into_iter().flatten();
            inner.chain([block]).filter(|block| block.get("cache_control").is_some()).count()
        };
        blocks.map(count).sum()
    };
    let marks: usize = ["tools", "system", "messages"].into_iter().map(|name| list(body, name)).sum();
    let mut excess = marks.saturating_sub(MAX_CACHE_MARKS);
    if excess == 0 {
        return;
    }
    let messages = body.get_mut("messages").and_then(Value::as_array_mut).into_iter().flatten();
    let blocks = messages.filter_map(|message| message.get_mut("content")?.as_array_mut()).flatten();
    clear_cache_marks(blocks, &mut excess);
    for name in ["tools", "system"] {
        clear_cache_marks(body.get_mut(name).and_then(Value::as_array_mut).into_iter().flatten(), &mut excess);
    }
}

/// User id of at most 256 characters without e-mail addresses or telephone numbers, which Anthropic
/// rejects; other ids are sent as a hash.
fn anonymous_user(user: &str) -> Cow<'_, str> {
    const MAX_USER_LEN: usize = 256;
    let is_of_number = |letter: char| letter.is_ascii_digit() || matches!(letter, '+' | '-' | '(' | ')' | ' ');
    let is_number = user.len() >= 7 && user.chars().all(is_of_number);
    if user.chars().count() <= MAX_USER_LEN && !user.contains('@') && !is_number {
        return user.into();
    }
    sha256_hex(user).into()
}

/// Returns the `thinking` field and the effort for adaptive models, which choose their own budget.
/// They return thinking text only if a summary is requested.
fn adaptive_thinking(request: &Request) -> (Option<Value>, Option<Effort>) {
    let Some(reasoning) = &request.reasoning else { return (None, None) };
    let effort = reasoning.effort.or_else(|| reasoning.budget.map(Effort::from_budget));
    if effort == Some(Effort::None) {
        return (None, None);
    }
    let mut thinking = json!({"type": "adaptive"});
    if reasoning.shown {
        thinking["display"] = "summarized".into();
    }
    ((!is_forced(request)).then_some(thinking), effort)
}

/// True if a tool call is required; Anthropic rejects thinking then.
fn is_forced(request: &Request) -> bool {
    is_search_forced(request)
        || matches!(
            request.tool_choice,
            Some(ToolChoice::Required | ToolChoice::Named(_) | ToolChoice::Among { required: true, .. })
        )
}

fn is_search_forced(request: &Request) -> bool {
    request.web_search.as_ref().is_some_and(|search| search.is_forced && search.own == Some(OwnSearch::Claude))
}

/// Returns the `thinking` field with a token budget, unless the model can't think: with a forced
/// tool, a prefilled answer, or a tool round that started without signed thinking. The budget counts
/// against `max_tokens`, which is raised, up to the model's maximum `most`, only if the caller set
/// none.
fn budgeted_thinking(request: &Request, max_tokens: &mut u64, most: u64) -> Option<Value> {
    let reasoning = request.reasoning.as_ref()?;
    let budget = reasoning.budget.or_else(|| reasoning.effort.map(Effort::budget))?;
    let has_prefill = request.turns.last().is_some_and(|turn| turn.speaker == Speaker::Assistant);
    if budget == 0 || is_forced(request) || has_prefill || lacks_signed_thinking(request) {
        return None;
    }
    let budget = budget.max(MIN_THINKING_BUDGET);
    if request.max_output.is_none() {
        *max_tokens = max_tokens.saturating_add(budget).min(most);
    }
    let budget = budget.min(max_tokens.saturating_sub(1));
    (budget >= MIN_THINKING_BUDGET).then(|| json!({"type": "enabled", "budget_tokens": budget}))
}

/// True if the last tool round started without signed thinking; thinking can't be on then.
fn lacks_signed_thinking(request: &Request) -> bool {
    let last = request.turns.iter().rev().find(|turn| turn.speaker == Speaker::Assistant);
    last.is_some_and(|turn| {
        let calls = turn.parts.iter().any(|part| matches!(part, Part::Call(_)));
        let is_signed = |part: &Part| match part {
            Part::Thinking { signature: Some(signature), .. } => !is_own_marker(signature),
            Part::Redacted(_) => true,
            _ => false,
        };
        calls && !turn.parts.iter().any(is_signed)
    })
}

fn blocks(turn: &Turn, is_last: bool) -> Result<Vec<Value>, GatewayError> {
    let mut written: Vec<(bool, Value)> = Vec::new();
    for part in &turn.parts {
        if let Part::Cached(control) = part {
            if let Some((_, before)) = written.last_mut() {
                mark_cached(before, control);
            }
            continue;
        }
        let block = block(part)?;
        if !block.is_null() {
            written.push((!matches!(part, Part::Result(_)), block));
        }
    }
    // Tool results must come before other user content.
    written.sort_by_key(|(is_other, _)| *is_other);
    let mut written: Vec<Value> = written.into_iter().map(|(_, block)| block).collect();
    if let (true, Speaker::Assistant, Some(block)) = (is_last, turn.speaker, written.last_mut())
        && let Some(text) = block["text"].as_str()
    {
        // A prefilled answer must not end in white space.
        block["text"] = text.trim_end().to_owned().into();
    }
    Ok(written)
}

/// Sets the cache mark on a block. Thinking blocks can't carry one.
fn mark_cached(block: &mut Value, control: &Value) {
    if block["type"] != "thinking" && block["type"] != "redacted_thinking" {
        block["cache_control"] = control.clone();
    }
}

/// Writes the system prompt as one text, or as several blocks if some of them are marked for the
/// cache.
fn write_system(request: &Request, text: String) -> Value {
    if request.system_cached.is_empty() {
        return text.into();
    }
    let texts = request.system.iter().map(|text| text.trim()).enumerate().filter(|(_, text)| !text.is_empty());
    let mut blocks: Vec<Value> = texts
        .map(|(place, text)| {
            let mut block = json!({"type": "text", "text": text});
            if let Some(control) = request.system_cached.get(&place) {
                mark_cached(&mut block, control);
            }
            block
        })
        .collect();
    if request.format == Format::Json {
        blocks.push(json!({"type": "text", "text": JSON_ONLY}));
    }
    blocks.into()
}

fn block(part: &Part) -> Result<Value, GatewayError> {
    Ok(match part {
        Part::Text(text) => json!({"type": "text", "text": text}),
        Part::Media(media) => media_block(media)?,
        Part::Call(call) => tool_use(call),
        Part::Result(result) => tool_result(result)?,
        Part::Thinking { text, signature: Some(signature) } if !is_own_marker(signature) => {
            json!({"type": "thinking", "thinking": text, "signature": signature})
        }
        // Other thinking is from another provider's model, and Anthropic would reject it.
        Part::Thinking { .. } | Part::ReasoningDetails { .. } | Part::Cached(_) => Value::Null,
        Part::Redacted(data) => json!({"type": "redacted_thinking", "data": data}),
    })
}

fn media_block(media: &Media) -> Result<Value, GatewayError> {
    let source = match &media.source {
        Source::Data { mime, data } => json!({"type": "base64", "media_type": mime, "data": data}),
        // Anthropic fetches the URL itself.
        Source::Url(url) => json!({"type": "url", "url": url}),
    };
    match media.kind {
        MediaKind::Image => Ok(json!({"type": "image", "source": source})),
        MediaKind::File => {
            // Plain-text files have a source type of their own.
            let source = match text_of_file(&media.source) {
                None => source,
                Some(Ok(text)) => json!({"type": "text", "media_type": "text/plain", "data": text}),
                Some(Err(())) => {
                    return Err(GatewayError::invalid("A text file must be UTF-8, encoded as base64."));
                }
            };
            let mut document = json!({"type": "document", "source": source});
            if let Some(name) = &media.name {
                document["title"] = name.as_str().into();
            }
            Ok(document)
        }
        MediaKind::Audio => Err(GatewayError::invalid("This model doesn't accept audio.")),
    }
}

fn tool_use(call: &ToolCall) -> Value {
    let input: Value = serde_json::from_str(&call.arguments).unwrap_or(Value::Null);
    let input = if input.is_object() { input } else { json!({}) };
    json!({"type": "tool_use", "id": plain_id(&call.id), "name": call.name, "input": input})
}

fn tool_result(result: &ToolResult) -> Result<Value, GatewayError> {
    let content: Result<Vec<Value>, _> = result.parts.iter().map(block).collect();
    let mut content = content?;
    content.retain(|block| !block.is_null() && (block["type"] != "text" || block["text"] != ""));
    let mut written = json!({"type": "tool_result", "tool_use_id": plain_id(&result.id)});
    if !content.is_empty() {
        written["content"] = content.into();
    }
    if result.is_error {
        written["is_error"] = true.into();
    }
    Ok(written)
}

/// Replaces characters that Anthropic rejects in ids.
fn plain_id(id: &str) -> String {
    let plain = |char: char| if char.is_ascii_alphanumeric() || matches!(char, '_' | '-') { char } else { '_' };
    id.chars().map(plain).collect()
}

fn is_offered(request: &Request, tool: &Tool) -> bool {
    match &request.tool_choice {
        Some(ToolChoice::Among { names, .. }) => names.contains(&tool.name),
        _ => true,
    }
}

fn write_tool(tool: &Tool, strict: &mut StrictBudget) -> Value {
    let parameters = schema::parameters(tool.parameters.as_ref().unwrap_or(&Value::Null));
    let is_strict = tool.strict == Some(true) && !parameters.is_merged && strict.reserve(&parameters.schema);
    let schema = if is_strict { schema::for_claude(&parameters.schema) } else { parameters.schema };
    let mut written = json!({"name": tool.name, "input_schema": schema});
    if is_strict {
        written["strict"] = true.into();
    }
    if let Some(description) = &tool.description {
        written["description"] = description.as_str().into();
    }
    if let Some(control) = &tool.cached {
        mark_cached(&mut written, control);
    }
    written
}

fn write_search(search: &WebSearchTool) -> Value {
    let mut written = json!({"type": "web_search_20250305", "name": SEARCH_NAME, "max_uses": search.most()});
    // Anthropic rejects a request with both filters.
    if !search.allowed_domains.is_empty() {
        written["allowed_domains"] = search.allowed_domains.clone().into();
    } else if !search.blocked_domains.is_empty() {
        written["blocked_domains"] = search.blocked_domains.clone().into();
    }
    if let Some(location) = &search.location {
        written["user_location"] = approximate(location);
    }
    written
}

fn tool_choice(request: &Request) -> Option<Value> {
    let mut choice = match request.tool_choice.as_ref() {
        _ if is_search_forced(request) => json!({"type": "tool", "name": SEARCH_NAME}),
        Some(ToolChoice::None) => return Some(json!({"type": "none"})),
        Some(ToolChoice::Required | ToolChoice::Among { required: true, .. }) => json!({"type": "any"}),
        Some(ToolChoice::Named(name)) => json!({"type": "tool", "name": name}),
        Some(ToolChoice::Auto | ToolChoice::Among { .. }) => json!({"type": "auto"}),
        None if request.parallel_tools == Some(false) => json!({"type": "auto"}),
        None => return None,
    };
    if request.parallel_tools == Some(false) {
        choice["disable_parallel_tool_use"] = true.into();
    }
    Some(choice)
}
