//! Encoder of `generateContent` requests.

use serde_json::{Map, Value, json};

use super::audio;
use crate::{
    GatewayError,
    canonical::{
        Effort, Format, Media, Part, Reasoning, Request, Source, Speaker, Tool, ToolCall, ToolChoice, ToolResult,
    },
    dialect::{fields::schema_instruction, openai_chat::provider_format::split_text},
    schema,
    web_search::OwnSearch,
};

/// Placeholder for a lost thought signature; Gemini 3 rejects calls in the conversation without
/// one.
pub(crate) const LOST_SIGNATURE: &str = "skip_thought_signature_validator";

pub(crate) fn write(request: &Request, model: &str) -> Result<Value, GatewayError> {
    let two_sided = request.without_system_turns();
    let request = &*two_sided;
    let mut system = request.system_text();
    let mut contents = Vec::with_capacity(request.turns.len() + 1);
    let is_call = |part: &Part| matches!(part, Part::Call(_));
    let begins = request.turns.first().filter(|turn| turn.speaker == Speaker::Assistant);
    if begins.is_some_and(|turn| turn.parts.iter().any(is_call)) {
        // Gemini rejects a conversation that starts with a call.
        contents.push(json!({"role": "user", "parts": [{"text": "Continue."}]}));
    }
    for (place, turn) in request.turns.iter().enumerate() {
        let role = match turn.speaker {
            Speaker::User | Speaker::System => "user",
            Speaker::Assistant => "model",
        };
        let parts = parts(request, place, model)?;
        if !parts.is_empty() {
            contents.push(json!({"role": role, "parts": parts}));
        }
    }
    if contents.is_empty() {
        // `contents` must not be empty, so a lone system prompt is sent as user text.
        let text =
            system.take().ok_or_else(|| GatewayError::invalid_param("messages", "The conversation is empty."))?;
        contents.push(json!({"role": "user", "parts": [{"text": text}]}));
    }
    let mut body = json!({ "contents": contents });
    let told = format_in_words(request, model);
    let mut config = generation_config(request, model, told.is_some());
    if let Some(audio) = &request.audio {
        audio::write_config(audio, request.stream, &mut config)?;
        // Models that speak have no system prompt.
        if let (Some(style), Some(parts)) = (system.take(), body["contents"][0]["parts"].as_array_mut()) {
            parts.insert(0, json!({ "text": style }));
        }
    }
    let instructions: Vec<String> = system.into_iter().chain(told).collect();
    if !instructions.is_empty() {
        body["systemInstruction"] = json!({"parts": [{"text": instructions.join("\n\n")}]});
    }
    if !config.is_empty() {
        body["generationConfig"] = config.into();
    }
    write_tools(request, &mut body);
    Ok(body)
}

/// Encodes the parts of the turn at this index.
fn parts(request: &Request, place: usize, model: &str) -> Result<Vec<Value>, GatewayError> {
    let mut written = Vec::new();
    let mut is_first_call = true;
    for part in request.turns.get(place).into_iter().flat_map(|turn| &turn.parts) {
        match part {
            Part::Text(text) => written.push(json!({ "text": text })),
            Part::Media(media) => written.push(inline(media)?),
            Part::Call(call) => {
                written.push(function_call(call, is_first_call && generation(model) >= 3));
                is_first_call = false;
            }
            Part::Result(result) => {
                written.push(function_response(request, place, result));
                let (_, others) = split_text(&result.parts);
                for part in others {
                    if let Part::Media(media) = part {
                        written.push(inline(media)?);
                    }
                }
            }
            // Thinking without Google's signature is of no use to the model.
            Part::Thinking { .. } | Part::Redacted(_) | Part::ReasoningDetails { .. } | Part::Cached(_) => {}
        }
    }
    Ok(written)
}

fn inline(media: &Media) -> Result<Value, GatewayError> {
    match &media.source {
        Source::Data { mime, data } => Ok(json!({"inlineData": {"mimeType": mime, "data": data}})),
        Source::Url(url) if is_fetchable(url) => Ok(json!({"fileData": {"fileUri": url}})),
        Source::Url(_) => Err(GatewayError::invalid(
            "This model can't fetch files from the web. Send the file as a data URL with base64.",
        )),
    }
}

/// True for URLs that Gemini can fetch itself.
pub(crate) fn is_fetchable(url: &str) -> bool {
    ["https://generativelanguage.googleapis.com/", "https://www.youtube.com/", "https://youtu.be/"]
        .iter()
        .any(|prefix| url.starts_with(prefix))
}

fn function_call(call: &ToolCall, needs_signature: bool) -> Value {
    let args: Value = serde_json::from_str(&call.arguments).unwrap_or(Value::Null);
    let args = if args.is_object() { args } else { json!({}) };
    let mut part = json!({"functionCall": {"id": call.id, "name": call.name, "args": args}});
    match &call.signature {
        Some(signature) => part["thoughtSignature"] = signature.as_str().into(),
        None if needs_signature => part["thoughtSignature"] = LOST_SIGNATURE.into(),
        None => {}
    }
    part
}

fn function_response(request: &Request, place: usize, result: &ToolResult) -> Value {
    let (text, _) = split_text(&result.parts);
    let response = match serde_json::from_str::<Value>(&text) {
        // Gemini would try to resolve a `$ref` in the result and reject the request, so such a
        // result is sent as text.
        _ if text.contains("\"$ref\"") && !result.is_error => json!({ "result": text }),
        Ok(object @ Value::Object(_)) if !result.is_error => object,
        _ if result.is_error => json!({ "error": text }),
        Ok(value) if !value.is_null() => json!({ "result": value }),
        _ => json!({ "result": text }),
    };
    let name = request.tool_name_of_call(&result.id, place).unwrap_or(&result.id);
    json!({"functionResponse": {"id": result.id, "name": name, "response": response}})
}

/// Instruction for the answer format, for models before Gemini 3, which reject a response type
/// together with tools. `None` if the field is used.
fn format_in_words(request: &Request, model: &str) -> Option<String> {
    if (request.tools.is_empty() && !uses_search(request)) || !model.contains("gemini-") || generation(model) >= 3 {
        return None;
    }
    match &request.format {
        Format::Text => None,
        Format::Json => Some(schema_instruction(None)),
        Format::Schema { schema, .. } => Some(schema_instruction(Some(schema))),
    }
}

/// Generation config. If `is_told` is true, the instructions describe the answer format, so it is
/// left out here.
fn generation_config(request: &Request, model: &str, is_told: bool) -> Map<String, Value> {
    let mut config = Map::new();
    let mut put = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            config.insert(name.to_owned(), value);
        }
    };
    put("temperature", request.temperature.map(Into::into));
    put("topP", request.top_p.map(Into::into));
    put("topK", request.top_k.map(Into::into));
    put("candidateCount", request.choices.filter(|&choices| choices > 1).map(Into::into));
    put("maxOutputTokens", request.max_output.map(Into::into));
    // Gemini accepts at most five stop sequences, none empty.
    let stops: Vec<&String> = request.stop.iter().filter(|stop| !stop.is_empty()).take(5).collect();
    put("stopSequences", (!stops.is_empty()).then(|| json!(stops)));
    put("seed", request.seed.map(|seed| short_seed(seed).into()));
    // Newer models reject penalties; zero is their default anyway.
    let weighs = |penalty: &f64| *penalty != 0.0 && predates_2_5(model);
    put("presencePenalty", request.presence_penalty.filter(weighs).map(Into::into));
    put("frequencyPenalty", request.frequency_penalty.filter(weighs).map(Into::into));
    if let Some(top) = request.logprobs {
        put("responseLogprobs", Some(true.into()));
        put("logprobs", (top > 0).then(|| top.into()));
    }
    match &request.format {
        Format::Text => {}
        _ if is_told => {}
        Format::Json => put("responseMimeType", Some("application/json".into())),
        Format::Schema { schema, .. } => {
            put("responseMimeType", Some("application/json".into()));
            put("responseJsonSchema", Some(schema::for_gemini(schema)));
        }
    }
    put("thinkingConfig", request.reasoning.as_ref().and_then(|reasoning| thinking_config(reasoning, model)));
    config
}

/// Truncates a seed to Gemini's 32 bits; other providers use 64.
fn short_seed(seed: i64) -> i32 {
    const POSITIVE: i64 = 0x7fff_ffff;
    i32::try_from(seed).or_else(|_| i32::try_from(seed & POSITIVE)).unwrap_or_default()
}

/// True for Gemini models before version 2.5.
fn predates_2_5(model: &str) -> bool {
    ["gemini-1", "gemini-2.0"].iter().any(|old| model.contains(old))
}

/// Major version of a model; 2 if its name has none, and the newest for `-latest`.
pub(super) fn generation(model: &str) -> u32 {
    if model.ends_with("-latest") {
        return 3;
    }
    let number =
        model.split("gemini-").nth(1).map(|rest| rest.chars().take_while(char::is_ascii_digit).collect::<String>());
    number.and_then(|number| number.parse().ok()).unwrap_or(2)
}

fn thinking_config(reasoning: &Reasoning, model: &str) -> Option<Value> {
    if predates_2_5(model) {
        return None;
    }
    let effort = reasoning.effort.or_else(|| reasoning.budget.map(Effort::from_budget));
    let mut config = json!({});
    if reasoning.shown && effort != Some(Effort::None) {
        config["includeThoughts"] = true.into();
    }
    if generation(model) >= 3 {
        let level = effort.map(|effort| match effort {
            Effort::None | Effort::Minimal => "MINIMAL",
            Effort::Low => "LOW",
            Effort::Medium => "MEDIUM",
            Effort::High | Effort::Xhigh | Effort::Max => "HIGH",
        });
        if let Some(level) = level {
            config["thinkingLevel"] = level.into();
        }
    } else if let Some(budget) = reasoning.budget.or_else(|| effort.map(Effort::budget)) {
        config["thinkingBudget"] = budget.into();
    }
    Some(config)
}

/// True if the model may search by Google. Gemini rejects that beside functions.
fn uses_search(request: &Request) -> bool {
    let search = request.web_search.as_ref().filter(|_| request.tools.is_empty());
    search.is_some_and(|search| search.own == Some(OwnSearch::Google))
}

fn write_tools(request: &Request, body: &mut Value) {
    if uses_search(request) {
        body["tools"] = json!([{"googleSearch": {}}]);
    }
    if request.tools.is_empty() {
        return;
    }
    let (mode, allowed) = match &request.tool_choice {
        None => (None, None),
        Some(ToolChoice::Auto) => (Some("AUTO"), None),
        Some(ToolChoice::None) => (Some("NONE"), None),
        Some(ToolChoice::Required) => (Some("ANY"), None),
        Some(ToolChoice::Named(name)) => (Some("ANY"), Some(vec![name.clone()])),
        Some(ToolChoice::Among { names, required: true }) => (Some("ANY"), Some(names.clone())),
        Some(ToolChoice::Among { .. }) => (Some("AUTO"), None),
    };
    let offered = |tool: &&Tool| match &request.tool_choice {
        Some(ToolChoice::Among { names, required: false }) => names.contains(&tool.name),
        _ => true,
    };
    let declarations: Vec<Value> = request.tools.iter().filter(offered).map(declaration).collect();
    // Gemini rejects a tool choice without tools.
    if declarations.is_empty() {
        return;
    }
    body["tools"] = json!([{"functionDeclarations": declarations}]);
    if let Some(mode) = mode {
        let mut config = json!({ "mode": mode });
        if let Some(names) = allowed {
            config["allowedFunctionNames"] = names.into();
        }
        body["toolConfig"] = json!({"functionCallingConfig": config});
    }
}

fn declaration(tool: &Tool) -> Value {
    let mut written = json!({"name": tool.name});
    if let Some(description) = &tool.description {
        written["description"] = description.as_str().into();
    }
    let Some(parameters) = &tool.parameters else { return written };
    let Value::Object(mut fields) = schema::for_gemini(&schema::parameters(parameters).schema) else { return written };
    let is_empty = |value: &Value| value.as_object().is_some_and(Map::is_empty);
    fields.retain(|name, value| name != "properties" || !is_empty(value));
    // Gemini rejects a parameter schema without properties, so it is left out.
    let is_open = fields.get("additionalProperties").is_some_and(|others| others.is_object() || others == true);
    if is_open || fields.contains_key("properties") {
        written["parametersJsonSchema"] = fields.into();
    }
    written
}
