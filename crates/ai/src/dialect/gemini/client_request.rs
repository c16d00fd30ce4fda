//! Parser of `generateContent` requests, in the [normalised](super::client_body) form.

mod contents;

use serde_json::{Map, Value, json};

use super::{client_format::AnswerOptions, google_schema::to_json_schema};
use crate::{
    GatewayError,
    canonical::{Effort, Format, Reasoning, Request, Tool, ToolChoice},
    dialect::fields::Fields,
    web_search,
};

type Read<T> = Result<T, GatewayError>;

/// Field that holds the answer if the client's schema isn't that of an object. Most providers
/// accept only objects.
pub(super) const WRAPPED_FIELD: &str = "value";

pub(crate) fn read(body: &Value) -> Read<(Request, AnswerOptions)> {
    let fields = Fields::root(body)?;
    let mut request = Request { stream: fields.flag("stream")?.unwrap_or(false), ..Request::default() };
    request.system = contents::read_system(&fields)?;
    contents::read(&fields, &mut request)?;
    read_tools(&fields, &mut request)?;
    let mut options = AnswerOptions::default();
    if let Some(config) = fields.object("generationConfig")? {
        read_config(&config, &mut request)?;
        request.reasoning = read_thinking(&config)?;
        options.is_wrapped = read_format(&config, &mut request)?;
    }
    options.shows_thoughts = request.reasoning.as_ref().is_some_and(|reasoning| reasoning.shown);
    web_search::read_into(body, &mut request);
    Ok((request, options))
}

fn read_config(config: &Fields<'_>, request: &mut Request) -> Read<()> {
    request.max_output = count(config, "maxOutputTokens")?.filter(|&most| most > 0);
    request.temperature = config.number("temperature")?;
    request.top_p = config.number("topP")?;
    request.top_k = count(config, "topK")?;
    request.stop = config.texts("stopSequences")?;
    request.choices = count(config, "candidateCount")?.filter(|&choices| choices > 0);
    request.seed = integer(config, "seed")?;
    request.presence_penalty = config.number("presencePenalty")?;
    request.frequency_penalty = config.number("frequencyPenalty")?;
    if config.flag("responseLogprobs")? == Some(true) {
        request.logprobs = Some(count(config, "logprobs")?.unwrap_or(0));
    }
    Ok(())
}

/// Reads a count. Google's JSON also has numbers as strings.
fn count(fields: &Fields<'_>, name: &str) -> Read<Option<u64>> {
    match fields.get(name).and_then(Value::as_str).and_then(|text| text.parse().ok()) {
        Some(count) => Ok(Some(count)),
        None => fields.count(name),
    }
}

fn integer(fields: &Fields<'_>, name: &str) -> Read<Option<i64>> {
    match fields.get(name).and_then(Value::as_str).and_then(|text| text.parse().ok()) {
        Some(integer) => Ok(Some(integer)),
        None => fields.integer(name),
    }
}

fn read_thinking(config: &Fields<'_>) -> Read<Option<Reasoning>> {
    let Some(thinking) = config.object("thinkingConfig")? else { return Ok(None) };
    let shown = thinking.flag("includeThoughts")?.unwrap_or(false);
    // A negative budget leaves the amount to the model.
    let budget = integer(&thinking, "thinkingBudget")?;
    let effort = thinking.text("thinkingLevel")?.and_then(|level| Effort::parse(&level.to_ascii_lowercase()));
    if !shown && budget.is_none() && effort.is_none() {
        return Ok(None);
    }
    let budget = budget.and_then(|tokens| u64::try_from(tokens).ok());
    let effort = if budget == Some(0) { Some(Effort::None) } else { effort };
    Ok(Some(Reasoning { effort, budget, shown }))
}

/// Reads the format of the answer; true if the answer will be [wrapped](WRAPPED_FIELD).
fn read_format(config: &Fields<'_>, request: &mut Request) -> Read<bool> {
    let mime = config.text("responseMimeType")?;
    let json_schema = config.get("responseJsonSchema").or_else(|| config.get("_responseJsonSchema")).cloned();
    let schema = json_schema.or_else(|| config.get("responseSchema").map(to_json_schema));
    match (mime, schema) {
        (Some("text/x.enum"), Some(schema)) => {
            let options = schema["enum"].as_array().map(Vec::as_slice).unwrap_or_default();
            let options: Vec<&str> = options.iter().filter_map(Value::as_str).collect();
            request.system.push(format!("Answer with one of these and nothing else: {}", options.join(", ")));
            Ok(false)
        }
        (_, Some(schema)) => {
            let is_wrapped = !may_be_object(&schema);
            let schema = if is_wrapped { wrapped(schema) } else { schema };
            request.format = Format::Schema { name: "answer".to_owned(), description: None, schema, strict: None };
            Ok(is_wrapped)
        }
        (Some("application/json"), None) => {
            request.format = Format::Json;
            Ok(false)
        }
        (_, None) => Ok(false),
    }
}

fn may_be_object(schema: &Value) -> bool {
    schema["type"] == "object" || !schema["properties"].is_null() || !schema["$ref"].is_null()
}

/// Schema of an object that holds what fits `schema`. Definitions stay at the root, where
/// references expect them.
fn wrapped(mut schema: Value) -> Value {
    let mut definitions = Map::new();
    if let Some(fields) = schema.as_object_mut() {
        for name in ["$defs", "definitions"] {
            definitions.extend(fields.shift_remove_entry(name));
        }
    }
    let mut outer = json!({"type": "object", "properties": {WRAPPED_FIELD: schema}, "required": [WRAPPED_FIELD],
        "additionalProperties": false});
    if let Some(fields) = outer.as_object_mut() {
        fields.append(&mut definitions);
    }
    outer
}

/// Reads the client's functions. Tools that Google runs are for its own models only.
fn read_tools(fields: &Fields<'_>, request: &mut Request) -> Read<()> {
    for tool in fields.objects("tools")? {
        for declaration in tool.objects("functionDeclarations")? {
            let json_schema = declaration.get("parametersJsonSchema").cloned();
            request.tools.push(Tool {
                name: declaration.required_text("name")?.to_owned(),
                description: declaration.text("description")?.map(str::to_owned),
                parameters: json_schema.or_else(|| declaration.get("parameters").map(to_json_schema)),
                strict: None,
                cached: None,
            });
        }
        let is_dropped = |name: &&str| *name != "functionDeclarations" && !web_search::is_search(&tool);
        request.dropped_tools.extend(tool.names().filter(is_dropped).map(str::to_owned));
    }
    let config = fields.object("toolConfig")?.map(|config| config.object("functionCallingConfig")).transpose()?;
    let Some(config) = config.flatten() else { return Ok(()) };
    let names = config.texts("allowedFunctionNames")?;
    let mode = config.text("mode")?.unwrap_or("AUTO").to_ascii_uppercase();
    request.tool_choice = match (mode.as_str(), names.as_slice()) {
        ("NONE", _) => Some(ToolChoice::None),
        ("ANY", []) => Some(ToolChoice::Required),
        ("ANY", [name]) => Some(ToolChoice::Named(name.clone())),
        ("ANY", _) => Some(ToolChoice::Among { names, required: true }),
        ("VALIDATED", [_, ..]) => Some(ToolChoice::Among { names, required: false }),
        ("AUTO" | "VALIDATED", _) => Some(ToolChoice::Auto),
        ("MODE_UNSPECIFIED", _) => None,
        _ => return Err(config.error("mode", "`mode` must be AUTO, ANY, NONE or VALIDATED.")),
    };
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wraps_schemas_other_than_objects() {
        for (schema, is_wrapped) in [
            (json!({"type": "object"}), false),
            (json!({"properties": {}}), false),
            (json!({"$ref": "#/$defs/A", "$defs": {}}), false),
            (json!({"type": "array", "items": {}}), true),
            (json!({"anyOf": []}), true),
        ] {
            assert_eq!(!may_be_object(&schema), is_wrapped, "{schema}");
        }
        let list = json!({"type": "array", "items": {"$ref": "#/$defs/A"}, "$defs": {"A": {"type": "string"}}});
        let expected = json!({"type": "object", "properties": {"value": {"type": "array", "items": {"$ref": "#/$defs/A"}}},
            "required": ["value"], "additionalProperties": false, "$defs": {"A": {"type": "string"}}});
        assert_eq!(wrapped(list), expected);
    }
}
