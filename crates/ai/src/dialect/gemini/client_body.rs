//! Bodies of Gemini's API as clients send them, normalised to one form.
//!
//! Google accepts each field in camel case and in snake case, a single item in place of a list, and
//! base64 in two alphabets. All later code sees only the first of each, with the model and the kind
//! of answer, which Google's API has in the path.

use appcore::work_pool::WorkOwner;
use bytes::Bytes;
use serde_json::{Map, Value, json};

use crate::{GatewayError, blocking_pool::run, dialect::lone_surrogates};

/// Method of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GeminiMethod {
    GenerateContent,
    StreamGenerateContent,
    CountTokens,
    EmbedContent,
    BatchEmbedContents,
}

impl GeminiMethod {
    pub const ALL: [Self; 5] = [
        Self::GenerateContent,
        Self::StreamGenerateContent,
        Self::CountTokens,
        Self::EmbedContent,
        Self::BatchEmbedContents,
    ];

    /// Name in the path.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::GenerateContent => "generateContent",
            Self::StreamGenerateContent => "streamGenerateContent",
            Self::CountTokens => "countTokens",
            Self::EmbedContent => "embedContent",
            Self::BatchEmbedContents => "batchEmbedContents",
        }
    }

    fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|method| method.name() == name)
    }

    fn embeds(self) -> bool {
        matches!(self, Self::EmbedContent | Self::BatchEmbedContents)
    }
}

/// Splits the last part of a path, such as `gemini-2.5-flash:generateContent`, into the model and
/// its method. Returns `None` if there is no such method.
#[must_use]
pub fn parse_gemini_path(name: &str) -> Option<(&str, GeminiMethod)> {
    let (model, method) = name.rsplit_once(':')?;
    let model = model.strip_prefix("models/").unwrap_or(model);
    Some((model, GeminiMethod::parse(method)?)).filter(|_| !model.is_empty())
}

/// Normalises a body and adds `model` and, for answers, `stream`.
pub async fn normalise_gemini_body(
    owner: WorkOwner,
    method: GeminiMethod,
    model: &str,
    body: &Bytes,
) -> Result<Bytes, GatewayError> {
    let (body, model) = (body.clone(), model.to_owned());
    run(owner, body.len(), move || normalise(method, &model, &body)).await?
}

/// Fields whose content is the caller's own data or a schema.
const OPAQUE_FIELDS: [&str; 8] = [
    "args",
    "response",
    "parameters",
    "parametersJsonSchema",
    "responseSchema",
    "responseJsonSchema",
    "_responseJsonSchema",
    "labels",
];
/// Lists that may be a single item.
const LISTS: [&str; 9] = [
    "contents",
    "parts",
    "tools",
    "functionDeclarations",
    "stopSequences",
    "safetySettings",
    "allowedFunctionNames",
    "responseModalities",
    "requests",
];
/// Fields of an embedding request.
const EMBEDDING_FIELDS: [&str; 5] = ["content", "requests", "taskType", "title", "outputDimensionality"];

pub(crate) fn normalise(method: GeminiMethod, model: &str, body: &[u8]) -> Result<Bytes, GatewayError> {
    let Value::Object(fields) = lone_surrogates::parse_request(body)? else {
        return Err(GatewayError::invalid("The request body must be a JSON object."));
    };
    let mut fields = normalise_fields("", fields);
    if method == GeminiMethod::CountTokens
        && let Some(Value::Object(counted)) = fields.shift_remove("generateContentRequest")
    {
        fields.extend(counted);
    }
    if method.embeds() {
        fields.retain(|name, _| EMBEDDING_FIELDS.contains(&name.as_str()));
    } else {
        reject_stored_objects(&fields)?;
    }
    let mut whole = Map::new();
    whole.insert("model".to_owned(), model.into());
    if matches!(method, GeminiMethod::GenerateContent | GeminiMethod::StreamGenerateContent) {
        whole.insert("stream".to_owned(), (method == GeminiMethod::StreamGenerateContent).into());
    }
    whole.extend(fields.into_iter().filter(|(name, _)| name != "model" && name != "stream"));
    Ok(Value::Object(whole).to_string().into())
}

/// Normalises the fields of the object with this name.
fn normalise_fields(parent: &str, fields: Map<String, Value>) -> Map<String, Value> {
    let field = |(name, value): (String, Value)| {
        let name = camel_case(name);
        let value = match value {
            value if OPAQUE_FIELDS.contains(&name.as_str()) => value,
            Value::String(data) if parent == "inlineData" && name == "data" => standard_base64(data).into(),
            value => normalise_value(&name, value),
        };
        let is_single = !value.is_array() && !value.is_null() && LISTS.contains(&name.as_str());
        let value = if is_single { json!([value]) } else { value };
        (name, value)
    };
    fields.into_iter().map(field).collect()
}

fn normalise_value(name: &str, value: Value) -> Value {
    match value {
        Value::Object(fields) => normalise_fields(name, fields).into(),
        Value::Array(items) => items.into_iter().map(|item| normalise_value(name, item)).collect(),
        value => value,
    }
}

fn camel_case(name: String) -> String {
    if name.starts_with('_') || !name.contains('_') {
        return name;
    }
    let mut words = name.split('_');
    let mut camel = words.next().unwrap_or_default().to_owned();
    for word in words {
        let mut letters = word.chars();
        camel.extend(letters.next().map(|first| first.to_ascii_uppercase()));
        camel.push_str(letters.as_str());
    }
    camel
}

/// Converts base64 to the standard alphabet. Google's library for Python sends the one for URLs.
fn standard_base64(data: String) -> String {
    if data.contains(['-', '_']) { data.replace('-', "+").replace('_', "/") } else { data }
}

/// Rejects references to objects that are stored with the provider's key, which all callers share.
fn reject_stored_objects(fields: &Map<String, Value>) -> Result<(), GatewayError> {
    let is_given = |value: Option<&Value>| value.is_some_and(|value| !value.is_null());
    if is_given(fields.get("cachedContent")) {
        let message = "Cached contents aren't kept here. Send the contents themselves instead of `cachedContent`.";
        return Err(GatewayError::invalid_param("cachedContent", message));
    }
    let tools = fields.get("tools").and_then(Value::as_array);
    if tools.into_iter().flatten().any(|tool| is_given(tool.get("fileSearch"))) {
        return Err(GatewayError::invalid_param(
            "tools",
            "File search stores aren't kept here. Leave `fileSearch` out.",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normalised(method: GeminiMethod, body: &Value) -> Result<Value, Option<String>> {
        let written = normalise(method, "m", body.to_string().as_bytes()).map_err(|error| error.param)?;
        Ok(serde_json::from_slice(&written).unwrap())
    }

    #[test]
    fn finds_the_model_and_the_method_of_a_path() {
        for (name, expected) in [
            ("gemini-2.5-flash:generateContent", Some(("gemini-2.5-flash", GeminiMethod::GenerateContent))),
            ("models/m:streamGenerateContent", Some(("m", GeminiMethod::StreamGenerateContent))),
            ("tunedModels/m:countTokens", Some(("tunedModels/m", GeminiMethod::CountTokens))),
            ("openai/gpt-5:free:embedContent", Some(("openai/gpt-5:free", GeminiMethod::EmbedContent))),
            ("m:batchEmbedContents", Some(("m", GeminiMethod::BatchEmbedContents))),
            ("m:predict", None),
            (":generateContent", None),
            ("m", None),
        ] {
            assert_eq!(parse_gemini_path(name), expected, "{name}");
        }
    }

    #[test]
    fn normalises_spelling_lists_and_base64() {
        let body = json!({
            "system_instruction": {"parts": {"text": "s_1"}},
            "contents": {"role": "user", "parts": [
                {"inline_data": {"mime_type": "image/jpeg", "data": "_9j-"}},
                {"function_call": {"name": "f", "args": {"snake_case": {"inline_data": {"data": "_"}}}}},
                {"function_response": {"name": "f", "response": {"snake_case": 1}}}]},
            "generation_config": {"max_output_tokens": 5, "stop_sequences": "x", "response_schema": {"any_of": []}},
            "tools": {"function_declarations": {"name": "f", "parameters": {"min_items": "1"}}},
            "unknown_field": [{"inner_field": 1}],
            "model": "models/other", "stream": true,
        });
        let expected = json!({
            "model": "m", "stream": false,
            "systemInstruction": {"parts": [{"text": "s_1"}]},
            "contents": [{"role": "user", "parts": [
                {"inlineData": {"mimeType": "image/jpeg", "data": "/9j+"}},
                {"functionCall": {"name": "f", "args": {"snake_case": {"inline_data": {"data": "_"}}}}},
                {"functionResponse": {"name": "f", "response": {"snake_case": 1}}}]}],
            "generationConfig": {"maxOutputTokens": 5, "stopSequences": ["x"], "responseSchema": {"any_of": []}},
            "tools": [{"functionDeclarations": [{"name": "f", "parameters": {"min_items": "1"}}]}],
            "unknownField": [{"innerField": 1}],
        });
        assert_eq!(normalised(GeminiMethod::GenerateContent, &body), Ok(expected));
        let counted = json!({"generateContentRequest": {"model": "models/x", "contents": [{"parts": []}]}});
        let expected = json!({"model": "m", "contents": [{"parts": []}]});
        assert_eq!(normalised(GeminiMethod::CountTokens, &counted), Ok(expected));
        let embedded = json!({"content": {"parts": {"text": "a"}}, "task_type": "X", "stream": false});
        let expected = json!({"model": "m", "content": {"parts": [{"text": "a"}]}, "taskType": "X"});
        assert_eq!(normalised(GeminiMethod::EmbedContent, &embedded), Ok(expected));
    }

    #[test]
    fn rejects_stored_objects_and_other_bodies() {
        let cached = json!({"contents": [], "cached_content": "cachedContents/1"});
        assert_eq!(normalised(GeminiMethod::GenerateContent, &cached), Err(Some("cachedContent".to_owned())));
        let searched = json!({"tools": {"file_search": {}}});
        assert_eq!(normalised(GeminiMethod::StreamGenerateContent, &searched), Err(Some("tools".to_owned())));
        assert_eq!(normalised(GeminiMethod::GenerateContent, &json!([])), Err(None));
        assert!(normalise(GeminiMethod::GenerateContent, "m", b"{").is_err());
    }
}
