//! Embeddings in the format of Gemini's API.

use bytes::Bytes;
use serde_json::{Map, Value, json};

use crate::{
    AiError, GatewayError,
    dialect::fields::Fields,
    embeddings::{self, EmbeddingParams},
};

/// Fields of a text's request besides the text, which only Gemini's models know.
const GEMINI_FIELDS: [&str; 2] = ["taskType", "title"];

/// A request in OpenAI's format, and the properties of its answer.
pub(crate) struct EmbeddingRequest {
    pub body: Bytes,
    pub params: EmbeddingParams,
    /// True if the caller expects a list of vectors.
    pub is_batch: bool,
}

/// Reads a [normalised](super::client_body) request.
pub(crate) fn read(body: &Bytes) -> Result<EmbeddingRequest, GatewayError> {
    let body: Value = serde_json::from_slice(body).map_err(|error| GatewayError::unreadable(&error))?;
    let fields = Fields::root(&body)?;
    let is_batch = fields.get("requests").is_some();
    let requests = if is_batch { fields.objects("requests")? } else { vec![fields.clone()] };
    let (mut texts, mut gemini_fields, mut dimensions) = (Vec::new(), Vec::new(), None);
    for (index, request) in requests.iter().enumerate() {
        texts.push(read_text(request)?);
        let own = GEMINI_FIELDS.iter().filter_map(|name| Some(((*name).to_owned(), request.get(name)?.clone())));
        gemini_fields.push(own.collect::<Map<_, _>>());
        let asked = request.count("outputDimensionality")?;
        if index > 0 && asked != dimensions {
            return Err(
                request.error("outputDimensionality", "All requests must have the same `outputDimensionality`.")
            );
        }
        dimensions = asked;
    }
    let mut written = json!({"model": fields.required_text("model")?, "input": texts});
    if let Some(dimensions) = dimensions {
        written["dimensions"] = dimensions.into();
    }
    let body = Bytes::from(written.to_string());
    let params = EmbeddingParams { gemini_fields, ..embeddings::read(&body)? };
    Ok(EmbeddingRequest { body, params, is_batch })
}

fn read_text(request: &Fields<'_>) -> Result<String, GatewayError> {
    let mut texts = Vec::new();
    for part in request.required_object("content")?.objects("parts")? {
        let text = part.text("text")?;
        texts.push(text.ok_or_else(|| part.error("text", "Only texts can be embedded."))?);
    }
    Ok(texts.join("\n"))
}

/// Converts an answer in OpenAI's format.
pub(crate) fn write(answer: &[u8], is_batch: bool) -> Result<Bytes, AiError> {
    let mut answer: Value = serde_json::from_slice(answer).map_err(|_| AiError::Garbled)?;
    let vectors = answer["data"].as_array_mut().ok_or(AiError::Garbled)?;
    let mut vectors: Vec<Value> = vectors.iter_mut().map(|item| json!({"values": item["embedding"].take()})).collect();
    let mut written = if is_batch {
        json!({ "embeddings": vectors })
    } else {
        json!({ "embedding": vectors.pop().ok_or(AiError::Garbled)? })
    };
    written["usageMetadata"] = json!({"promptTokenCount": answer["usage"]["prompt_tokens"].as_u64().unwrap_or(0)});
    Ok(written.to_string().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(text: &str, more: Value) -> Value {
        let mut request = json!({"model": "models/other", "content": {"parts": [{"text": text}]}});
        request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        request
    }

    #[test]
    fn converts_requests_and_answers() {
        let batch = [
            request("a", json!({"taskType": "X", "outputDimensionality": 8})),
            request("b", json!({"outputDimensionality": 8})),
        ];
        let body = json!({"model": "m", "requests": batch}).to_string().into();
        let EmbeddingRequest { body, params, is_batch } = read(&body).ok().unwrap();
        let written: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(written, json!({"model": "m", "input": ["a", "b"], "dimensions": 8}));
        assert_eq!((params.texts.len(), is_batch), (2, true));
        assert_eq!(Value::from(params.gemini_fields), json!([{"taskType": "X"}, {}]));

        let answer =
            json!({"data": [{"embedding": [0.5]}, {"embedding": [1.0]}], "usage": {"prompt_tokens": 3}}).to_string();
        let written = |is_batch| serde_json::from_slice::<Value>(&write(answer.as_bytes(), is_batch).unwrap()).unwrap();
        let usage = json!({"promptTokenCount": 3});
        assert_eq!(
            written(true),
            json!({"embeddings": [{"values": [0.5]}, {"values": [1.0]}], "usageMetadata": usage})
        );
        assert_eq!(written(false)["embedding"], json!({"values": [1.0]}));
    }

    #[test]
    fn rejects_content_other_than_text() {
        let image = json!({"model": "m", "content": {"parts": [{"inlineData": {"data": ""}}]}});
        let sizes = json!({"model": "m", "requests": [request("a", json!({})), request("b", json!({"outputDimensionality": 8}))]});
        for (body, param) in [
            (json!({"model": "m"}), "content"),
            (json!({"model": "m", "requests": []}), "input"),
            (image, "content.parts[0].text"),
            (sizes, "requests[1].outputDimensionality"),
        ] {
            let error = read(&body.to_string().into()).err().unwrap();
            assert_eq!(error.param.as_deref(), Some(param), "{body}");
        }
    }
}
