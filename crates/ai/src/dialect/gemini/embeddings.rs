//! Embeddings by `batchEmbedContents`.

use bytes::Bytes;
use serde_json::{Value, json};

use crate::{
    AiError, GatewayError, Meter,
    dialect::fields,
    embeddings::{EmbeddingParams, meter_input, read_vector, write_vector},
    provider_http::failure::{self, Failure},
};

/// Maximum number of requests in a batch.
const MAX_BATCH_LEN: usize = 100;

/// Writes batches with one request per text.
pub(super) fn write(wish: &EmbeddingParams, model: &str) -> Result<Vec<Value>, GatewayError> {
    if wish.texts.is_empty() {
        return Err(GatewayError::invalid_param("input", "This model accepts text only, not tokens."));
    }
    let name = super::resource_name(model);
    let request = |(index, text): (usize, &String)| {
        let mut request = json!({"model": name, "content": {"parts": [{"text": text}]}});
        if let Some(dimensions) = wish.dimensions {
            request["outputDimensionality"] = dimensions.into();
        }
        for (name, value) in wish.gemini_fields.get(index).into_iter().flatten() {
            request[name] = value.clone();
        }
        request
    };
    let requests: Vec<Value> = wish.texts.iter().enumerate().map(request).collect();
    Ok(requests.chunks(MAX_BATCH_LEN).map(|batch| json!({ "requests": batch })).collect())
}

/// Converts the vectors of all batches to OpenAI's format, in order.
pub(super) fn read(answers: &[Bytes], wish: &EmbeddingParams, model: &str, meter: &Meter) -> Result<Bytes, Failure> {
    let mut data = Vec::with_capacity(wish.texts.len());
    // The total is unknown if the provider reports no count for one of the batches.
    let mut counted = Some(0_u64);
    for (answer, texts) in answers.iter().zip(wish.texts.chunks(MAX_BATCH_LEN)) {
        let value: Value = serde_json::from_slice(answer).map_err(|_| AiError::Garbled)?;
        if let Some(failure) = failure::parse_value(&value) {
            return Err(failure);
        }
        let vectors = value["embeddings"].as_array().filter(|vectors| vectors.len() == texts.len());
        for embedding in vectors.ok_or(AiError::Garbled)? {
            let vector = read_vector(&embedding["values"]).filter(|vector| !vector.is_empty());
            let vector = vector.ok_or(AiError::Garbled)?;
            let vector = write_vector(&vector, wish.base64);
            data.push(json!({"object": "embedding", "index": data.len(), "embedding": vector}));
        }
        let tokens = fields::lenient_count(&value["usageMetadata"]["promptTokenCount"]);
        counted = counted.zip(tokens).map(|(before, tokens)| before.saturating_add(tokens));
    }
    if data.len() != wish.texts.len() {
        return Err(AiError::Garbled.into());
    }
    meter_input(counted, meter);
    let tokens = meter.usage().input.unwrap_or(0);
    let usage = json!({"prompt_tokens": tokens, "total_tokens": tokens});
    Ok(json!({"object": "list", "data": data, "model": model, "usage": usage}).to_string().into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::embeddings;

    #[test]
    fn writes_one_request_per_text_with_the_model_name() {
        let asked =
            embeddings::read(&json!({"model": "m", "input": ["a", "b"], "dimensions": 8}).to_string().into()).unwrap();
        let one = |text: &str| json!({"model": "models/e", "content": {"parts": [{"text": text}]}, "outputDimensionality": 8});
        assert_eq!(write(&asked, "e").unwrap(), [json!({"requests": [one("a"), one("b")]})]);
        let answer = json!({"embeddings": [{"values": [0.5]}, {"values": [-1.0]}]}).to_string();
        let written = read(&[answer.into()], &asked, "e", &Meter::default()).unwrap();
        let written: Value = serde_json::from_slice(&written).unwrap();
        assert_eq!(written["data"][1], json!({"object": "embedding", "index": 1, "embedding": [-1.0]}));
        let short = json!({"embeddings": [{"values": [0.5]}]}).to_string();
        assert!(read(&[short.into()], &asked, "e", &Meter::default()).is_err());
        let empty = json!({"embeddings": [{"values": [0.5]}, {"values": []}]}).to_string();
        assert!(read(&[empty.into()], &asked, "e", &Meter::default()).is_err());
    }

    #[test]
    fn keeps_vector_order_across_batches() {
        let texts: Vec<String> = (0..250).map(|number| format!("t{number}")).collect();
        let asked = embeddings::read(&json!({"model": "m", "input": texts}).to_string().into()).unwrap();
        let batches = write(&asked, "e").unwrap();
        let sizes: Vec<usize> = batches.iter().map(|batch| batch["requests"].as_array().unwrap().len()).collect();
        assert_eq!(sizes, [100, 100, 50]);
        let answer = |from: usize, to: usize, tokens: Value| {
            let vectors: Vec<Value> = (from..to).map(|number| json!({"values": [number]})).collect();
            Bytes::from(json!({"embeddings": vectors, "usageMetadata": {"promptTokenCount": tokens}}).to_string())
        };
        let answers = [answer(0, 100, 7.into()), answer(100, 200, 8.into()), answer(200, 250, 9.into())];
        let meter = Meter::default();
        let written: Value = serde_json::from_slice(&read(&answers, &asked, "e", &meter).unwrap()).unwrap();
        let data = written["data"].as_array().unwrap();
        assert_eq!((data.len(), &data[249]["index"], &data[249]["embedding"]), (250, &json!(249), &json!([249.0])));
        assert_eq!((meter.usage().input, meter.usage().estimated), (Some(24), false));
        let uncounted = [answer(0, 100, 7.into()), answer(100, 200, Value::Null), answer(200, 250, 9.into())];
        let meter = Meter::default();
        assert!(read(&uncounted, &asked, "e", &meter).is_ok() && meter.usage().estimated);
        assert!(read(&answers[..2], &asked, "e", &Meter::default()).is_err());
    }

    #[test]
    fn rejects_token_input() {
        let tokens = embeddings::read(&json!({"model": "m", "input": [[1, 2]]}).to_string().into()).unwrap();
        assert!(write(&tokens, "e").is_err());
    }
}
