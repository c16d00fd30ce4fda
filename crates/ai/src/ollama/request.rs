//! Requests of `/api/chat` and `/api/generate`.

use appcore::work_pool::WorkOwner;
use bytes::Bytes;
use serde_json::{Value, json};

use super::{
    OllamaEndpoint,
    answer::OllamaAnswer,
    context,
    messages::{content, convert},
    model_name,
};
use crate::{
    GatewayError,
    blocking_pool::run,
    canonical::Effort,
    dialect::{fields::Fields, lone_surrogates},
};

/// Maximum number of tokens of a text completion without `num_predict`. Chats have no limit then,
/// but the limit of text completions is only 16 by default.
const DEFAULT_COMPLETION_TOKENS: u64 = 2_048;

/// Options with the same name and meaning in OpenAI's API.
const SHARED_OPTIONS: [&str; 5] = ["temperature", "top_p", "min_p", "presence_penalty", "frequency_penalty"];

/// Form in which a request is forwarded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OllamaTarget {
    /// A chat completion.
    Chat,
    /// A text completion.
    Completions,
    /// None: the request only loads the model into memory or unloads it.
    Load,
}

/// Request of `/api/chat` or `/api/generate`, converted to OpenAI's API.
pub struct OllamaRequest {
    pub model: String,
    /// True if the answer is sent in lines.
    pub stream: bool,
    pub target: OllamaTarget,
    /// JSON body for the target.
    pub body: Bytes,
    /// Writer of the answer.
    pub answer: OllamaAnswer,
}

impl OllamaRequest {
    /// Reads a request, or returns the error in it.
    pub async fn read(owner: WorkOwner, endpoint: OllamaEndpoint, body: Bytes) -> Result<Self, GatewayError> {
        run(owner, body.len(), move || Self::parse(endpoint, &body)).await?
    }

    fn parse(endpoint: OllamaEndpoint, body: &[u8]) -> Result<Self, GatewayError> {
        let body = lone_surrogates::parse_request(body)?;
        let fields = Fields::root(&body)?;
        let model = model_name(&fields)?;
        let stream = fields.flag("stream")?.unwrap_or(true);
        let effort = read_effort(&fields)?;
        let mut history = Vec::new();
        let (target, mut converted) = match endpoint {
            OllamaEndpoint::Chat => (OllamaTarget::Chat, json!({"messages": convert(&fields.objects("messages")?)?})),
            OllamaEndpoint::Generate if completes_text(&fields)? => {
                let prompt = fields.text("prompt")?.unwrap_or_default();
                let mut converted = json!({"prompt": prompt});
                if let Some(suffix) = fields.text("suffix")?.filter(|suffix| !suffix.is_empty()) {
                    converted["suffix"] = suffix.into();
                }
                (OllamaTarget::Completions, converted)
            }
            OllamaEndpoint::Generate => {
                history = read_history(&fields)?;
                (OllamaTarget::Chat, json!({"messages": prompt_messages(&fields, &history)?}))
            }
        };
        let is_empty = converted["messages"].as_array().is_some_and(Vec::is_empty);
        let target = if is_empty { OllamaTarget::Load } else { target };
        converted["model"] = model.clone().into();
        converted["stream"] = stream.into();
        if stream {
            converted["stream_options"] = json!({"include_usage": true});
        }
        write_options(&fields, target, &mut converted)?;
        if target == OllamaTarget::Chat {
            write_chat_fields(&fields, effort, &mut converted)?;
        }
        let answer = OllamaAnswer::new(endpoint, &model)
            .with_history((target == OllamaTarget::Chat && endpoint == OllamaEndpoint::Generate).then_some(history))
            .with_thinking(effort != Some(Effort::None))
            .with_unload(unloads(&fields));
        Ok(Self { model, stream, target, body: converted.to_string().into(), answer })
    }
}

/// True if the prompt is completed as it is: it has a suffix, or the client has applied the model's
/// template itself.
fn completes_text(fields: &Fields<'_>) -> Result<bool, GatewayError> {
    let has_text = |name: &str| fields.text(name).map(|text| text.is_some_and(|text| !text.is_empty()));
    let is_raw = fields.flag("raw")?.unwrap_or(false) && fields.list("images")?.is_empty();
    Ok(has_text("prompt")? && (is_raw || has_text("suffix")?))
}

/// Conversation of a prompt: the context, the system message and the prompt itself, as texts.
fn read_history(fields: &Fields<'_>) -> Result<Vec<(String, String)>, GatewayError> {
    let prompt = fields.text("prompt")?.unwrap_or_default();
    if prompt.is_empty() && fields.list("images")?.is_empty() {
        return Ok(Vec::new());
    }
    let mut history = context::decode(fields.list("context")?);
    let system = fields.text("system")?.filter(|system| !system.is_empty());
    history.extend(system.map(|system| ("system".to_owned(), system.to_owned())));
    history.push(("user".to_owned(), prompt.to_owned()));
    Ok(history)
}

/// Messages of a conversation, with the images of the request at the last one.
fn prompt_messages(fields: &Fields<'_>, history: &[(String, String)]) -> Result<Vec<Value>, GatewayError> {
    let message = |(role, text): &(String, String)| json!({"role": role, "content": text});
    let mut messages: Vec<Value> = history.iter().map(message).collect();
    if let Some(last) = messages.last_mut() {
        last["content"] = content(fields, "prompt")?;
    }
    Ok(messages)
}

/// Writes the options that OpenAI's API has too. The others, such as the size of the context, are
/// up to the provider.
fn write_options(fields: &Fields<'_>, target: OllamaTarget, converted: &mut Value) -> Result<(), GatewayError> {
    let empty = Value::Object(serde_json::Map::new());
    let options = match fields.object("options")? {
        Some(options) => options,
        None => Fields::at(&empty, fields.path_of("options"))?,
    };
    for name in SHARED_OPTIONS {
        if let Some(number) = options.number(name)? {
            converted[name] = number.into();
        }
    }
    if let Some(count) = options.count("top_k")? {
        converted["top_k"] = count.into();
    }
    if let Some(seed) = options.integer("seed")? {
        converted["seed"] = seed.into();
    }
    let stop = options.texts("stop")?;
    if !stop.is_empty() {
        converted["stop"] = stop.into();
    }
    // Negative numbers stand for no limit.
    let limit = options.number("num_predict")?.filter(|limit| *limit >= 1.0);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is positive, and saturates")]
    let limit = limit.map(|limit| limit as u64);
    match target {
        OllamaTarget::Completions => converted["max_tokens"] = limit.unwrap_or(DEFAULT_COMPLETION_TOKENS).into(),
        OllamaTarget::Chat | OllamaTarget::Load => {
            if let Some(limit) = limit {
                converted["max_completion_tokens"] = limit.into();
            }
        }
    }
    Ok(())
}

/// Writes what only chats have: tools, the format of the answer and the reasoning effort.
fn write_chat_fields(fields: &Fields<'_>, effort: Option<Effort>, converted: &mut Value) -> Result<(), GatewayError> {
    let tools = fields.list("tools")?;
    if !tools.is_empty() {
        converted["tools"] = tools.into();
    }
    match fields.get("format") {
        None => {}
        Some(Value::String(format)) if format.is_empty() => {}
        Some(Value::String(format)) if format == "json" => {
            converted["response_format"] = json!({"type": "json_object"});
        }
        Some(schema @ Value::Object(_)) => {
            let schema = json!({"name": "answer", "schema": schema});
            converted["response_format"] = json!({"type": "json_schema", "json_schema": schema});
        }
        Some(_) => return Err(fields.error("format", "`format` must be \"json\" or a JSON schema.")),
    }
    if let Some(effort) = effort {
        converted["reasoning_effort"] = effort.name().into();
    }
    if fields.flag("logprobs")?.unwrap_or(false) {
        converted["logprobs"] = true.into();
        if let Some(count) = fields.count("top_logprobs")? {
            converted["top_logprobs"] = count.into();
        }
    }
    Ok(())
}

fn read_effort(fields: &Fields<'_>) -> Result<Option<Effort>, GatewayError> {
    let wrong = || fields.error("think", "`think` must be true, false, \"low\", \"medium\" or \"high\".");
    match fields.get("think") {
        None => Ok(None),
        Some(Value::Bool(true)) => Ok(Some(Effort::Medium)),
        Some(Value::Bool(false)) => Ok(Some(Effort::None)),
        Some(Value::String(effort)) => Effort::parse(effort).map(Some).ok_or_else(wrong),
        Some(_) => Err(wrong()),
    }
}

/// True if `keep_alive` is zero: a number, or a duration such as `0s`.
fn unloads(fields: &Fields<'_>) -> bool {
    match fields.get("keep_alive") {
        Some(Value::String(time)) => time.trim_end_matches(|unit: char| unit.is_ascii_alphabetic()) == "0",
        Some(time) => time.as_f64() == Some(0.0),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(endpoint: OllamaEndpoint, body: &Value) -> Result<(OllamaTarget, Value), GatewayError> {
        let request = OllamaRequest::parse(endpoint, body.to_string().as_bytes())?;
        Ok((request.target, serde_json::from_slice(&request.body).unwrap()))
    }

    #[test]
    fn converts_chats() {
        let schema = json!({"type": "object", "properties": {"b": {}, "a": {}}});
        let tools = json!([{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]);
        let messages = json!([{"role": "user", "content": "Hello?"}]);
        let options = json!({
            "temperature": 0, "top_p": 0.5, "top_k": 40, "num_predict": 9, "stop": "end", "seed": 7, "num_ctx": 4096,
            "mirostat": 1, "presence_penalty": 0.5,
        });
        let sent = json!({
            "model": "m", "messages": messages, "tools": tools, "format": schema, "options": options, "think": "high",
            "keep_alive": "5m", "stream": false,
        });
        let format = json!({"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}});
        let expected = json!({
            "messages": messages, "model": "m", "stream": false, "temperature": 0.0, "top_p": 0.5, "presence_penalty": 0.5,
            "top_k": 40, "seed": 7, "stop": ["end"], "max_completion_tokens": 9, "tools": tools, "response_format": format,
            "reasoning_effort": "high",
        });
        assert_eq!(parsed(OllamaEndpoint::Chat, &sent).unwrap(), (OllamaTarget::Chat, expected));

        for (more, field, value) in [
            (json!({}), "stream", json!(true)),
            (json!({}), "stream_options", json!({"include_usage": true})),
            (json!({"format": "json"}), "response_format", json!({"type": "json_object"})),
            (json!({"format": ""}), "response_format", Value::Null),
            (json!({"think": true}), "reasoning_effort", json!("medium")),
            (json!({"think": false}), "reasoning_effort", json!("none")),
            (json!({"options": {"num_predict": -1}}), "max_completion_tokens", Value::Null),
            (json!({"options": null, "tools": []}), "tools", Value::Null),
            (json!({"logprobs": true, "top_logprobs": 2}), "top_logprobs", json!(2)),
        ] {
            let mut body = json!({"model": "m", "messages": messages});
            body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            assert_eq!(parsed(OllamaEndpoint::Chat, &body).unwrap().1[field], value, "{more}");
        }
    }

    #[test]
    fn names_wrong_fields() {
        for (body, param) in [
            (json!({}), "model"),
            (json!({"model": " "}), "model"),
            (json!({"model": "m", "messages": "Hello?"}), "messages"),
            (json!({"model": "m", "stream": "yes"}), "stream"),
            (json!({"model": "m", "think": "hard"}), "think"),
            (json!({"model": "m", "messages": [{"role": "user"}], "format": "xml"}), "format"),
            (json!({"model": "m", "options": {"temperature": "hot"}}), "options.temperature"),
            (json!({"model": "m", "options": {"stop": [1]}}), "options.stop"),
        ] {
            assert_eq!(parsed(OllamaEndpoint::Chat, &body).unwrap_err().param.as_deref(), Some(param), "{body}");
        }
        assert!(parsed(OllamaEndpoint::Chat, &json!([])).is_err());
    }

    #[test]
    fn converts_prompts() {
        let messages = |body: Value| {
            let (target, body) = parsed(OllamaEndpoint::Generate, &body).unwrap();
            assert_eq!(target, OllamaTarget::Chat, "{body}");
            body["messages"].clone()
        };
        let turn = |role: &str, content: Value| json!({"role": role, "content": content});
        assert_eq!(
            messages(json!({"model": "m", "prompt": "Hello?", "system": "Be kind.", "template": "{{ .Prompt }}"})),
            json!([turn("system", json!("Be kind.")), turn("user", json!("Hello?"))])
        );
        let image = json!({"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo"}});
        assert_eq!(
            messages(json!({"model": "m", "prompt": "", "images": ["iVBORw0KGgo"]})),
            json!([turn("user", json!([image]))])
        );
        let earlier = [("user".to_owned(), "Hello?".to_owned()), ("assistant".to_owned(), "Yes.".to_owned())];
        assert_eq!(
            messages(json!({"model": "m", "prompt": "Again.", "context": context::encode(&earlier)})),
            json!([turn("user", json!("Hello?")), turn("assistant", json!("Yes.")), turn("user", json!("Again."))])
        );
        assert_eq!(
            messages(json!({"model": "m", "prompt": "Again.", "context": [1, 2, 3]})),
            json!([turn("user", json!("Again."))])
        );
    }

    #[test]
    fn completes_text_without_a_template() {
        let completion = |more: Value| {
            let mut body = json!({"model": "m", "prompt": "Once", "stream": false});
            body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            let (target, body) = parsed(OllamaEndpoint::Generate, &body).unwrap();
            (target == OllamaTarget::Completions).then_some(body)
        };
        assert_eq!(
            completion(json!({"raw": true})),
            Some(json!({"prompt": "Once", "model": "m", "stream": false, "max_tokens": 2048}))
        );
        let asked = json!({"suffix": "ever after.", "options": {"num_predict": 9}});
        assert_eq!(
            completion(asked),
            Some(json!({"prompt": "Once", "suffix": "ever after.", "model": "m", "stream": false, "max_tokens": 9}))
        );
        for other in [json!({"suffix": ""}), json!({"raw": false}), json!({"raw": true, "images": ["iVBORw0KGgo"]})] {
            assert_eq!(completion(other), None);
        }
    }

    #[test]
    fn loads_models_without_a_prompt() {
        for (endpoint, body) in [
            (OllamaEndpoint::Chat, json!({"model": "m"})),
            (OllamaEndpoint::Chat, json!({"model": "m", "messages": [], "keep_alive": -1})),
            (OllamaEndpoint::Generate, json!({"model": "m", "keep_alive": 0})),
            (OllamaEndpoint::Generate, json!({"model": "m", "prompt": "", "raw": true, "system": "Be kind."})),
        ] {
            assert_eq!(parsed(endpoint, &body).unwrap().0, OllamaTarget::Load, "{body}");
        }
        for (time, is_zero) in
            [(json!(0), true), (json!("0"), true), (json!("0s"), true), (json!("10m"), false), (json!(-1), false)]
        {
            let body = json!({ "keep_alive": time });
            assert_eq!(unloads(&Fields::root(&body).unwrap()), is_zero, "{time}");
        }
    }
}
