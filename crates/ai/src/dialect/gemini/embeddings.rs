//! Embeddings, which Gemini makes in batches of contents.

use bytes::Bytes;
use serde_json::{Value, json};

use crate::{
    AiError, GatewayError, Meter,
    embeddings::{Wish, count, read_vector, write_vector},
    wire::failure::{self, Failure},
};

/// A request for each text.
pub(super) fn write(wish: &Wish, model: &str) -> Result<Value, GatewayError> {
    if wish.texts.is_empty() {
        return Err(GatewayError::invalid_param("input", "This model takes texts only, no tokens."));
    }
    let name = super::name(model);
    let request = |text: &String| {
        let mut request = json!({"model": name, "content": {"parts": [{"text": text}]}});
        if let Some(dimensions) = wish.dimensions {
            request["outputDimensionality"] = dimensions.into();
        }
        request
    };
    let requests: Vec<Value> = wish.texts.iter().map(request).collect();
    Ok(json!({ "requests": requests }))
}

/// Vectors in OpenAI's form.
pub(super) fn read(answer: &[u8], wish: &Wish, model: &str, meter: &Meter) -> Result<Bytes, Failure> {
    let value: Value = serde_json::from_slice(answer).map_err(|_| AiError::Garbled)?;
    if let Some(failure) = failure::of_value(&value) {
        return Err(failure);
    }
    let vectors = value["embeddings"].as_array().filter(|vectors| vectors.len() == wish.texts.len());
    let item = |(index, embedding): (usize, &Value)| {
        let vector = read_vector(&embedding["values"]).ok_or(AiError::Garbled)?;
        Ok(json!({"object": "embedding", "index": index, "embedding": write_vector(&vector, wish.base64)}))
    };
    let data: Result<Vec<Value>, AiError> = vectors.ok_or(AiError::Garbled)?.iter().enumerate().map(item).collect();
    count(value["usageMetadata"]["promptTokenCount"].as_u64(), meter);
    let tokens = meter.usage().input.unwrap_or(0);
    let usage = json!({"prompt_tokens": tokens, "total_tokens": tokens});
    Ok(json!({"object": "list", "data": data?, "model": model, "usage": usage}).to_string().into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::embeddings;

    #[test]
    fn gemini_is_asked_for_each_text_with_the_models_name() {
        let asked =
            embeddings::read(&json!({"model": "m", "input": ["a", "b"], "dimensions": 8}).to_string().into()).unwrap();
        let one = |text: &str| json!({"model": "models/e", "content": {"parts": [{"text": text}]}, "outputDimensionality": 8});
        assert_eq!(write(&asked, "e").unwrap(), json!({"requests": [one("a"), one("b")]}));
        let answer = json!({"embeddings": [{"values": [0.5]}, {"values": [-1.0]}]}).to_string();
        let written = read(answer.as_bytes(), &asked, "e", &Meter::default()).unwrap();
        let written: Value = serde_json::from_slice(&written).unwrap();
        assert_eq!(written["data"][1], json!({"object": "embedding", "index": 1, "embedding": [-1.0]}));
        let short = json!({"embeddings": [{"values": [0.5]}]}).to_string();
        assert!(read(short.as_bytes(), &asked, "e", &Meter::default()).is_err());
    }

    #[test]
    fn tokens_of_another_model_are_refused() {
        let tokens = embeddings::read(&json!({"model": "m", "input": [[1, 2]]}).to_string().into()).unwrap();
        assert!(write(&tokens, "e").is_err());
    }
}
