//! Calls of `/api/embed` and its predecessor `/api/embeddings`.

use std::time::Instant;

use appcore::work_pool::WorkOwner;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};

use super::model_name;
use crate::{
    AiError, GatewayError,
    blocking_pool::{run, run_for_answer},
    dialect::{
        fields::{Fields, lenient_count},
        lone_surrogates,
    },
    provider_http::failure::Failure,
};

/// Endpoint for embeddings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OllamaEmbeddingEndpoint {
    /// `/api/embed`: one or several texts in `input`.
    Embed,
    /// `/api/embeddings`: one text in `prompt`.
    Embeddings,
}

/// Request for embeddings, converted to OpenAI's API.
pub struct OllamaEmbedding {
    pub model: String,
    /// JSON body of the request; `None` if there is nothing to embed.
    pub body: Option<Bytes>,
    endpoint: OllamaEmbeddingEndpoint,
    started_at: Instant,
}

impl OllamaEmbedding {
    /// Reads a request, or returns the error in it.
    pub async fn read(owner: WorkOwner, endpoint: OllamaEmbeddingEndpoint, body: Bytes) -> Result<Self, GatewayError> {
        run(owner, body.len(), move || Self::parse(endpoint, &body)).await?
    }

    fn parse(endpoint: OllamaEmbeddingEndpoint, body: &[u8]) -> Result<Self, GatewayError> {
        let body = lone_surrogates::parse_request(body)?;
        let fields = Fields::root(&body)?;
        let model = model_name(&fields)?;
        let texts = match endpoint {
            OllamaEmbeddingEndpoint::Embed => fields.texts("input")?,
            OllamaEmbeddingEndpoint::Embeddings => fields.text("prompt")?.map(str::to_owned).into_iter().collect(),
        };
        let has_input = !matches!(&texts[..], [] | [_] if texts.iter().all(String::is_empty));
        let mut converted = json!({"model": model, "input": texts});
        if let Some(dimensions) = fields.count("dimensions")? {
            converted["dimensions"] = dimensions.into();
        }
        let body = has_input.then(|| converted.to_string().into());
        Ok(Self { model, body, endpoint, started_at: Instant::now() })
    }

    /// Answer to a request without input.
    #[must_use]
    pub fn empty(&self) -> Bytes {
        self.render("", None).into()
    }

    /// Converts the embeddings in OpenAI's format.
    pub async fn write_whole(self, owner: WorkOwner, embeddings: Bytes) -> Result<Bytes, GatewayError> {
        run_for_answer(owner, embeddings.len(), move || self.convert_whole(&embeddings)).await?
    }

    fn convert_whole(&self, embeddings: &[u8]) -> Result<Bytes, GatewayError> {
        let garbled = |_| GatewayError::from(Failure::from(AiError::Garbled));
        let mut embeddings: Embeddings<'_> = serde_json::from_slice(embeddings).map_err(garbled)?;
        embeddings.data.sort_by_key(|vector| vector.index);
        let vectors: Vec<&str> = embeddings.data.iter().map(|vector| vector.embedding.get()).collect();
        let tokens = embeddings.usage.as_ref().and_then(|usage| lenient_count(&usage["prompt_tokens"]));
        Ok(self.render(&vectors.join(","), tokens).into())
    }

    /// Renders an answer with these vectors, which are separated by commas. They aren't parsed,
    /// because they make up most of a large answer.
    fn render(&self, vectors: &str, tokens: Option<u64>) -> String {
        let duration = u64::try_from(self.started_at.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let (model, tokens) = (Value::from(self.model.as_str()), tokens.unwrap_or(0));
        match self.endpoint {
            OllamaEmbeddingEndpoint::Embed => format!(
                r#"{{"model":{model},"embeddings":[{vectors}],"total_duration":{duration},"load_duration":0,"prompt_eval_count":{tokens}}}"#
            ),
            OllamaEmbeddingEndpoint::Embeddings if vectors.is_empty() => r#"{"embedding":[]}"#.to_owned(),
            OllamaEmbeddingEndpoint::Embeddings => format!(r#"{{"embedding":{vectors}}}"#),
        }
    }
}

#[derive(Deserialize)]
struct Embeddings<'a> {
    #[serde(borrow)]
    data: Vec<EmbeddingVector<'a>>,
    usage: Option<Value>,
}

#[derive(Deserialize)]
struct EmbeddingVector<'a> {
    #[serde(default)]
    index: u64,
    #[serde(borrow)]
    embedding: &'a RawValue,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(endpoint: OllamaEmbeddingEndpoint, body: &Value) -> Result<OllamaEmbedding, GatewayError> {
        OllamaEmbedding::parse(endpoint, body.to_string().as_bytes())
    }

    fn converted(endpoint: OllamaEmbeddingEndpoint, body: &Value) -> Option<Value> {
        request(endpoint, body).unwrap().body.map(|body| serde_json::from_slice(&body).unwrap())
    }

    #[test]
    fn converts_requests() {
        let (embed, embeddings) = (OllamaEmbeddingEndpoint::Embed, OllamaEmbeddingEndpoint::Embeddings);
        for (endpoint, sent, expected) in [
            (embed, json!({"model": "m", "input": "a"}), Some(json!({"model": "m", "input": ["a"]}))),
            (
                embed,
                json!({"model": "m", "input": ["a", ""], "truncate": true, "dimensions": 2, "options": {}}),
                Some(json!({"model": "m", "input": ["a", ""], "dimensions": 2})),
            ),
            (embeddings, json!({"model": "m", "prompt": "a"}), Some(json!({"model": "m", "input": ["a"]}))),
            (embed, json!({"model": "m", "input": []}), None),
            (embed, json!({"model": "m", "input": ""}), None),
            (embed, json!({"model": "m"}), None),
            (embeddings, json!({"model": "m", "prompt": ""}), None),
        ] {
            assert_eq!(converted(endpoint, &sent), expected, "{sent}");
        }
        assert_eq!(request(embed, &json!({"model": "m", "input": 7})).err().unwrap().param.as_deref(), Some("input"));
        assert_eq!(request(embeddings, &json!({"prompt": "a"})).err().unwrap().param.as_deref(), Some("model"));
    }

    #[test]
    fn converts_answers() {
        let embeddings = json!({
            "data": [{"index": 1, "embedding": [0.25]}, {"index": 0, "embedding": [0.5, -1.0]}],
            "usage": {"prompt_tokens": 3},
        });
        let answer = |endpoint, embeddings: &Value| -> Value {
            let request = request(endpoint, &json!({"model": "m", "input": "a", "prompt": "a"})).unwrap();
            let answer = request.convert_whole(embeddings.to_string().as_bytes()).unwrap();
            serde_json::from_slice(&answer).unwrap()
        };
        let answered = answer(OllamaEmbeddingEndpoint::Embed, &embeddings);
        assert_eq!(
            (&answered["model"], &answered["embeddings"], &answered["prompt_eval_count"]),
            (&json!("m"), &json!([[0.5, -1.0], [0.25]]), &json!(3))
        );
        assert!(answered["total_duration"].is_u64(), "{answered}");
        let one = json!({"data": [{"embedding": [0.5]}]});
        assert_eq!(answer(OllamaEmbeddingEndpoint::Embeddings, &one), json!({"embedding": [0.5]}));
        for endpoint in [OllamaEmbeddingEndpoint::Embed, OllamaEmbeddingEndpoint::Embeddings] {
            let request = request(endpoint, &json!({"model": "m"})).unwrap();
            let empty: Value = serde_json::from_slice(&request.empty()).unwrap();
            assert!(empty["embeddings"] == json!([]) || empty == json!({"embedding": []}), "{empty}");
            assert!(request.convert_whole(b"{}").is_err());
        }
    }
}
