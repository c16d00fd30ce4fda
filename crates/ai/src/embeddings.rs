//! Embeddings in OpenAI's format.
//!
//! Vectors are returned in the requested encoding even if the provider ignores it.

use std::sync::Arc;

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use memchr::memmem;
use serde_json::{Map, Value, json, value::RawValue};
use tokio::time::Instant;

use crate::{
    Ai, AiError, AnswerBody, Call, Forwarded, GatewayError, Meter, Usage,
    blocking_pool::{run, run_for_answer},
    dialect::{
        Post,
        fields::{self, Fields, lenient_count},
        gemini::client_embeddings::{self, EmbeddingRequest},
        restricted_params,
    },
    forward::{AttemptError, JSON},
    provider_http::failure::{self, Failure},
    route::{Attempt, RouteAttempts},
};

/// Name of the field with a vector.
const VECTOR_FIELD: &[u8] = br#""embedding""#;
/// Maximum number of inputs per call.
const MAX_INPUTS: usize = 2_048;
/// Maximum number of tokens per call, if tokens are sent instead of text; OpenAI's limit.
const MAX_INPUT_TOKENS: usize = 300_000;

/// Request parameters that the answer depends on.
#[derive(Debug)]
pub(crate) struct EmbeddingParams {
    /// Inputs; empty if they are tokens.
    pub texts: Vec<String>,
    /// Number of inputs.
    pub inputs: usize,
    pub dimensions: Option<u64>,
    pub base64: bool,
    /// Fields of each text that only Gemini's models know; empty if there are none.
    pub gemini_fields: Vec<Map<String, Value>>,
}

impl Ai {
    /// Creates embeddings; the style of the call is ignored.
    pub async fn forward_embeddings(&self, call: Call) -> Result<Forwarded, GatewayError> {
        let body = call.body.clone();
        let wish = run(call.owner, body.len(), move || read(&body)).await??;
        let body = self.create_embeddings(&call, wish).await?;
        Ok(Forwarded { content_type: JSON, body: AnswerBody::Whole(body), meter: call.meter })
    }

    /// Creates embeddings for a call in the format of Gemini's API.
    pub async fn forward_gemini_embeddings(&self, mut call: Call) -> Result<Forwarded, GatewayError> {
        let body = call.body.clone();
        let reading = run(call.owner, body.len(), move || client_embeddings::read(&body));
        let EmbeddingRequest { body, params, is_batch } = reading.await??;
        call.body = body;
        let answer = self.create_embeddings(&call, params).await?;
        let writing = run_for_answer(call.owner, answer.len(), move || client_embeddings::write(&answer, is_batch));
        let body = writing.await?.map_err(Failure::from)?;
        Ok(Forwarded { content_type: JSON, body: AnswerBody::Whole(body), meter: call.meter })
    }

    /// Tries the route's deployments in order. Returns an answer in OpenAI's format.
    async fn create_embeddings(&self, call: &Call, wish: EmbeddingParams) -> Result<Bytes, GatewayError> {
        let wish = Arc::new(wish);
        let size = call.estimated_input();
        call.meter.set_estimated_input(size);
        let deadline = Instant::now() + self.limits().deadline;
        let route = Arc::clone(&call.route);
        let upstreams = self.upstreams();
        let mut tries = RouteAttempts::new(&upstreams, &route, size, self.retry_policy(), deadline);
        loop {
            let attempt = tries.next().await?;
            call.meter.start_attempt(&attempt.upstream.name, attempt.model, attempt.lease.tail());
            match embed(call, &wish, &attempt, deadline).await {
                Ok(body) => {
                    attempt.record_success();
                    return Ok(body);
                }
                Err(AttemptError::Final(error)) => return Err(error),
                Err(AttemptError::Retryable(failure)) => {
                    call.meter.record_attempt_failure(&failure.error);
                    tries.record_failure(attempt, failure)?;
                }
            }
        }
    }
}

pub(crate) fn read(body: &Bytes) -> Result<EmbeddingParams, GatewayError> {
    let body: Value = serde_json::from_slice(body).map_err(|error| GatewayError::unreadable(&error))?;
    let fields = Fields::root(&body)?;
    let wrong = || fields.error("input", "`input` must be a text, a list of texts, or tokens.");
    let texts = match fields.get("input") {
        Some(Value::String(text)) => vec![text.clone()],
        Some(Value::Array(items)) if items.is_empty() => return Err(wrong()),
        Some(Value::Array(items)) if items.len() > MAX_INPUTS && !items[0].is_number() => {
            return Err(fields.error("input", format!("`input` can have up to {MAX_INPUTS} items.")));
        }
        Some(Value::Array(items)) if items.iter().all(Value::is_string) => fields.texts("input")?,
        // Input in the form of token ids has a meaning only to the model for which it was made.
        Some(Value::Array(items)) if items.iter().all(|item| item.is_u64() || item.is_array()) => {
            let count = |item: &Value| item.as_array().map_or(1, Vec::len);
            if items.iter().map(count).sum::<usize>() > MAX_INPUT_TOKENS {
                return Err(fields.error("input", format!("`input` can have up to {MAX_INPUT_TOKENS} tokens.")));
            }
            Vec::new()
        }
        _ => return Err(wrong()),
    };
    let inputs = match fields.get("input") {
        Some(Value::Array(items)) if !items[0].is_number() => items.len(),
        _ => 1,
    };
    let base64 = match fields.text("encoding_format")? {
        None | Some("float") => false,
        Some("base64") => true,
        Some(_) => return Err(fields.error("encoding_format", "`encoding_format` must be float or base64.")),
    };
    let dimensions = fields.count("dimensions")?;
    Ok(EmbeddingParams { texts, inputs, dimensions, base64, gemini_fields: Vec::new() })
}

async fn embed(
    call: &Call,
    wish: &Arc<EmbeddingParams>,
    attempt: &Attempt<'_>,
    deadline: Instant,
) -> Result<Bytes, AttemptError> {
    let (upstream, kind) = (attempt.upstream, attempt.upstream.kind);
    let (body, passes) = (call.body.clone(), call.passthrough_params(upstream));
    let (asked, model) = (Arc::clone(wish), attempt.model.to_owned());
    let writing = run(call.owner, body.len(), move || {
        let left = restricted_params::strip_restricted(&body, &passes)?;
        kind.dialect().write_embedding(left.as_ref().unwrap_or(&body), &asked, &model)
    });
    let posts = writing.await.map_err(AttemptError::Final)?.map_err(AttemptError::Final)?;
    let mut answers = Vec::with_capacity(posts.len());
    for Post { path: place, body } in posts {
        call.meter.record_request_sent();
        let response = upstream.post(call.owner, attempt, &upstream.url(&place), body, false, deadline).await?;
        answers.push(upstream.http.read_whole(response, deadline).await?);
    }
    // Embeddings of many texts are the largest answers, hence parsed off the event loop.
    let size = answers.iter().map(Bytes::len).sum();
    let (asked, model, meter) = (Arc::clone(wish), attempt.model.to_owned(), Arc::clone(&call.meter));
    let reading =
        run_for_answer(call.owner, size, move || kind.dialect().read_embedding(answers, &asked, &model, &meter));
    Ok(reading.await.map_err(AttemptError::Final)??)
}

/// Returns the provider's answer with its vectors in the requested encoding. Fails unless it has a
/// vector for each input: callers match vectors to inputs by position.
pub(crate) fn pass_answer(answer: Bytes, wish: &EmbeddingParams, meter: &Meter) -> Result<Bytes, Failure> {
    // Vectors make up most of the answer, so it is searched for the field instead of being parsed.
    let is_text = memmem::find_iter(&answer, VECTOR_FIELD).find_map(|at| {
        let mut rest = answer[at + VECTOR_FIELD.len()..].iter().filter(|byte| !byte.is_ascii_whitespace());
        // The word `embedding` is also the value of the field `object`.
        (rest.next() == Some(&b':')).then(|| rest.next() == Some(&b'"'))
    });
    let is_right = is_text == Some(wish.base64);
    let Ok(head) = serde_json::from_slice::<Head<'_>>(&answer) else {
        let mended = fields::normalised(&answer, &[]).filter(|mended| serde_json::from_str::<Head<'_>>(mended).is_ok());
        return pass_answer(mended.ok_or(AiError::Garbled)?.into(), wish, meter);
    };
    let Some(data) = &head.data else {
        let value: Value = serde_json::from_slice(&answer).map_err(|_| AiError::Garbled)?;
        return Err(failure::parse_value(&value).unwrap_or_else(|| AiError::Garbled.into()));
    };
    if data.len() != wish.inputs || data.iter().any(Item::is_empty) {
        tracing::warn!(inputs = wish.inputs, vectors = data.len(), "provider answer rejected, vectors missing");
        return Err(AiError::Garbled.into());
    }
    meter_input(head.usage.as_ref().and_then(|usage| lenient_count(&usage["prompt_tokens"])), meter);
    if is_right {
        return Ok(answer);
    }
    let mut value: Value = serde_json::from_slice(&answer).map_err(|_| AiError::Garbled)?;
    for item in value["data"].as_array_mut().into_iter().flatten() {
        let vector = read_vector(&item["embedding"]).ok_or(AiError::Garbled)?;
        item["embedding"] = write_vector(&vector, wish.base64);
    }
    Ok(value.to_string().into())
}

#[derive(serde::Deserialize)]
struct Head<'a> {
    #[serde(borrow)]
    data: Option<Vec<Item<'a>>>,
    /// Parsed leniently, because malformed usage must not fail the answer.
    usage: Option<Value>,
}

/// A vector of the answer.
#[derive(serde::Deserialize)]
struct Item<'a> {
    #[serde(borrow)]
    embedding: Option<&'a RawValue>,
}

impl Item<'_> {
    /// True if the vector is missing or has no numbers.
    fn is_empty(&self) -> bool {
        let Some(vector) = self.embedding.map(RawValue::get) else { return true };
        vector.trim_matches(['[', ']', '"']).trim().is_empty()
    }
}

pub(crate) fn meter_input(input: Option<u64>, meter: &Meter) {
    meter.record_output(0);
    let estimated = input.is_none();
    let input = input.or_else(|| Some(meter.estimated_input()));
    meter.record_usage(Usage { input, output: Some(0), estimated, ..Usage::default() });
    meter.close();
}

#[expect(clippy::cast_possible_truncation, reason = "vectors are of f32")]
pub(crate) fn read_vector(value: &Value) -> Option<Vec<f32>> {
    match value {
        Value::Array(numbers) => numbers.iter().map(|number| number.as_f64().map(|number| number as f32)).collect(),
        Value::String(text) => {
            let bytes = STANDARD.decode(text).ok()?;
            let (floats, rest) = bytes.as_chunks::<4>();
            rest.is_empty().then(|| floats.iter().map(|float| f32::from_le_bytes(*float)).collect())
        }
        _ => None,
    }
}

pub(crate) fn write_vector(vector: &[f32], base64: bool) -> Value {
    if base64 {
        let bytes: Vec<u8> = vector.iter().flat_map(|float| float.to_le_bytes()).collect();
        STANDARD.encode(bytes).into()
    } else {
        json!(vector)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish(body: &Value) -> Result<EmbeddingParams, GatewayError> {
        read(&body.to_string().into())
    }

    /// A request with one input.
    fn one(base64: bool) -> EmbeddingParams {
        let texts = vec!["a".to_owned()];
        EmbeddingParams { texts, inputs: 1, dimensions: None, base64, gemini_fields: Vec::new() }
    }

    #[test]
    fn returns_vectors_in_the_requested_encoding() {
        let floats = json!({"data": [{"index": 0, "embedding": [0.5, -1.0]}], "usage": {"prompt_tokens": 3}});
        let text = json!({"data": [{"index": 0, "embedding": "AAAAPwAAgL8="}], "usage": {"prompt_tokens": 3}});
        for (sent, base64, expected) in
            [(&floats, true, &text), (&text, false, &floats), (&floats, false, &floats), (&text, true, &text)]
        {
            let meter = Meter::default();
            let passed = pass_answer(sent.to_string().into(), &one(base64), &meter).unwrap();
            assert_eq!(&serde_json::from_slice::<Value>(&passed).unwrap(), expected);
            assert_eq!(meter.usage(), Usage { input: Some(3), output: Some(0), ..Usage::default() });
        }
        for usage in [
            r#""usage":{"prompt_tokens":3.0}"#,
            r#""usage":{"prompt_tokens":"3"}"#,
            r#""usage":null,"usage":{"prompt_tokens":3}"#,
        ] {
            let (meter, answer) =
                (Meter::default(), format!(r#"{{"data":[{{"index":0,"embedding":[0.5]}}],{usage}}}"#));
            assert!(pass_answer(answer.into(), &one(false), &meter).is_ok(), "{usage}");
            assert_eq!(meter.usage().input, Some(3), "{usage}");
        }
        let failed = pass_answer(json!({"error": {"code": 429}}).to_string().into(), &one(true), &Meter::default());
        assert_eq!(failed.unwrap_err().error, AiError::Busy { retry_after: None });
    }

    #[test]
    fn rejects_answers_without_a_vector_for_each_input() {
        for (input, vectors, is_whole) in [
            (json!("a"), json!([[0.5]]), true),
            (json!(["a", "b"]), json!([[0.5], [0.5]]), true),
            (json!([1, 2, 3]), json!([[0.5]]), true),
            (json!([[1, 2], [3]]), json!([[0.5], [0.5]]), true),
            (json!(["a"]), json!(["AAAAPw=="]), true),
            (json!(["a"]), json!([[]]), false),
            (json!(["a"]), json!([""]), false),
            (json!(["a"]), json!([null]), false),
            (json!(["a", "b"]), json!([[0.5], []]), false),
            (json!(["a", "b"]), json!([[0.5]]), false),
            (json!("a"), json!([[0.5], [0.5]]), false),
            (json!("a"), json!([]), false),
        ] {
            let vectors = vectors.as_array().unwrap().iter();
            let data: Vec<Value> = vectors.map(|vector| json!({ "embedding": vector })).collect();
            let (wish, meter) = (wish(&json!({"model": "m", "input": input})).unwrap(), Meter::default());
            let passed = pass_answer(json!({ "data": data }).to_string().into(), &wish, &meter);
            let expected = if is_whole { None } else { Some(AiError::Garbled) };
            assert_eq!(passed.err().map(|failure| failure.error), expected, "{input} {data:?}");
        }
    }

    #[test]
    fn accepts_texts_and_tokens() {
        for input in [json!("a"), json!(["a"]), json!([1, 2]), json!([[1, 2], [3]])] {
            assert!(wish(&json!({"model": "m", "input": input})).is_ok(), "{input}");
        }
        for input in [json!([]), json!(7), json!(["a", 1]), json!({}), Value::Null] {
            assert_eq!(
                wish(&json!({"model": "m", "input": input})).err().map(|error| error.status(crate::ApiStyle::Chat)),
                Some(400)
            );
        }
    }
}
