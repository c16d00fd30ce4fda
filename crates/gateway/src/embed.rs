//! Embeddings for the server's own use: of assistants' knowledge files and of the questions about
//! them.

use std::{sync::Arc, time::Instant};

use ::ai::{ApiStyle, Call, ErrorKind, GatewayError, RequestLabels, Route, TokenEstimate};
use appcore::{Code, credits::MicroCredits, view::GatewayEndpoint};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

use crate::{
    BillingIdentity, GatewayService, Refusal, cost,
    models::Model,
    usage_row::{ServedCall, UsageRow},
};

/// Substring of model names that identifies an embedding model if none is configured.
const MODEL_NAME_MARKER: &str = "embed";

/// Embedding model.
#[derive(Clone, Debug)]
pub struct Embedder {
    model: Arc<Model>,
    /// Route limited to deployments of one upstream model, so that all vectors are comparable.
    route: Arc<Route>,
    /// Upstream name of the model. Vectors of different models aren't comparable.
    pub space: String,
}

impl Embedder {
    /// Name of the model on this server.
    pub fn name(&self) -> &str {
        &self.model.name
    }
}

/// Failure to create embeddings.
#[derive(Debug)]
pub struct EmbedFailure {
    /// Message for users.
    pub sentence: String,
    pub cause: EmbedCause,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EmbedCause {
    /// Temporary failure that may be retried.
    Transient,
    /// The payer has no budget, credits or quota left.
    Payer,
    /// The model or its route is misconfigured.
    Model,
}

/// Returns the server's embedding model, if there is one.
pub fn embedder(service: &GatewayService) -> Option<Embedder> {
    let table = service.table();
    let model = match service.config.knowledge.model.as_deref() {
        Some(name) => table.find(name)?,
        None => table.models().find(|model| model.name.to_ascii_lowercase().contains(MODEL_NAME_MARKER)).cloned()?,
    };
    let first = model.route.deployments.iter().min_by_key(|deployment| deployment.priority)?;
    let space = first.model.clone();
    let mut route = Route::clone(&model.route);
    route.deployments.retain(|deployment| deployment.model == space);
    let fallbacks = &mut route.fallbacks;
    for deployments in [&mut fallbacks.context_length, &mut fallbacks.content_policy, &mut fallbacks.failure] {
        deployments.retain(|deployment| deployment.model == space);
    }
    Some(Embedder { route: Arc::new(route), model, space })
}

/// Embeddings with their cost.
pub struct Embedded {
    /// Unit vectors in the order of the texts.
    pub vectors: Vec<Vec<f32>>,
    pub cost: MicroCredits,
}

/// Creates embeddings of the texts. `request_id` is recorded in the usage log.
pub async fn embed(
    service: &Arc<GatewayService>,
    payer: BillingIdentity,
    request_id: Uuid,
    embedder: &Embedder,
    texts: &[String],
) -> Result<Embedded, EmbedFailure> {
    let model = &embedder.model;
    service.check_price(&model.name, Some(model.as_ref())).map_err(refusal_failure)?;
    let body = json!({ "model": &*model.name, "input": texts, "encoding_format": "base64" }).to_string();
    let estimated = texts.iter().map(|text| ::ai::estimate_tokens(text) as u64).sum();
    let amount = service.max_cost(model, GatewayEndpoint::Embeddings, TokenEstimate::text_only(estimated, None));
    let held = service.reserve_internal(payer, amount).await.map_err(refusal_failure)?;
    let (created_at, began) = (service.clock.now(), Instant::now());
    let call = Call::new(ApiStyle::Chat, body.into(), Arc::clone(&embedder.route), request_id.to_string())
        .on_behalf_of(payer.work_owner());
    let meter = Arc::clone(&call.meter);
    let answered = service.ai.forward_embeddings(call).await;
    let (served, usage) = (meter.served(), meter.usage());
    let status = answered.as_ref().map_or_else(|error| error.status(ApiStyle::Chat), |_| 200);
    let cost = model.price.map(|price| cost(&price, &usage)).unwrap_or_default();
    service.key_tokens.add(&served.provider, served.key_tail.as_deref(), usage.total());
    let row = UsageRow {
        created_at,
        request_id: request_id.to_string(),
        key_id: None,
        asker: payer,
        labels: RequestLabels::default(),
        endpoint: GatewayEndpoint::Embeddings.as_str().to_owned(),
        requested_model: model.name.to_string(),
        model_name: model.name.to_string(),
        price_version: model.price_version.to_string(),
    };
    let row = row.served(ServedCall {
        usage: &usage,
        cost,
        model: served.model,
        deployment: served.provider,
        status,
        first_token: None,
        duration: began.elapsed(),
        tries: meter.attempts(),
        history: meter.history(),
        batch_price_percent: None,
    });
    held.settle(row, Arc::clone(&model.name), 0);
    let answer = match answered.map_err(|error| gateway_failure(&error))?.body {
        ::ai::AnswerBody::Whole(answer) => answer,
        ::ai::AnswerBody::Stream(_) => return Err(malformed_response()),
    };
    let vectors = read(&answer, texts.len()).ok_or_else(malformed_response)?;
    Ok(Embedded { vectors, cost })
}

#[derive(Deserialize)]
struct Answer {
    data: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    index: Option<usize>,
    embedding: String,
}

/// Parses the vectors of a response; `None` if they don't match the request.
fn read(answer: &[u8], expected: usize) -> Option<Vec<Vec<f32>>> {
    let answer: Answer = serde_json::from_slice(answer).ok()?;
    let mut vectors = vec![Vec::new(); expected];
    for (place, item) in answer.data.into_iter().enumerate() {
        let bytes = STANDARD.decode(item.embedding).ok()?;
        let (numbers, rest) = bytes.as_chunks::<4>();
        let vector: Vec<f32> = numbers.iter().map(|number| f32::from_le_bytes(*number)).collect();
        let place = vectors.get_mut(item.index.unwrap_or(place)).filter(|place| place.is_empty() && rest.is_empty())?;
        *place = normalize(vector)?;
    }
    let dimensions = vectors.first()?.len();
    vectors.iter().all(|vector| !vector.is_empty() && vector.len() == dimensions).then_some(vectors)
}

fn normalize(mut vector: Vec<f32>) -> Option<Vec<f32>> {
    let length = vector.iter().map(|number| f64::from(*number).powi(2)).sum::<f64>().sqrt();
    if !length.is_finite() || length == 0.0 {
        return None;
    }
    for number in &mut vector {
        #[expect(clippy::cast_possible_truncation, reason = "vectors are of f32")]
        let scaled = (f64::from(*number) / length) as f32;
        *number = scaled;
    }
    Some(vector)
}

fn refusal_failure(refusal: Refusal) -> EmbedFailure {
    let cause = match &refusal {
        Refusal::OutOfBudget(_) | Refusal::OutOfCredits | Refusal::QuotaReached(_) => EmbedCause::Payer,
        Refusal::Failed(_) | Refusal::RateLimited(_) => EmbedCause::Transient,
        Refusal::ScopeMissing | Refusal::EndpointNotAllowed | Refusal::UnknownModel(_) | Refusal::NoPrice(_) => {
            EmbedCause::Model
        }
    };
    let sentence = match refusal {
        Refusal::OutOfBudget(_) => "The AI budget that pays for it is used up.".into(),
        Refusal::OutOfCredits => "There are no credits left to pay for it.".into(),
        Refusal::QuotaReached(_) => "A limit of the plan that pays for it is reached.".into(),
        Refusal::Failed(_) => Code::Unavailable.sentence().into(),
        other => other.sentence(),
    };
    EmbedFailure { sentence: sentence.into_owned(), cause }
}

fn gateway_failure(error: &GatewayError) -> EmbedFailure {
    let (sentence, cause) = match error.kind() {
        ErrorKind::RateLimited | ErrorKind::Unavailable | ErrorKind::Timeout | ErrorKind::Internal => {
            ("The embedding model can’t be reached right now.", EmbedCause::Transient)
        }
        ErrorKind::OutOfBudget => ("The embedding model’s provider requires payment first.", EmbedCause::Model),
        ErrorKind::ContextTooLong => ("The text is too long for the embedding model.", EmbedCause::Model),
        ErrorKind::Declined => ("The embedding model’s provider rejected this text.", EmbedCause::Model),
        ErrorKind::Invalid
        | ErrorKind::Unauthenticated
        | ErrorKind::Forbidden
        | ErrorKind::UnknownModel
        | ErrorKind::NotFound
        | ErrorKind::MethodNotAllowed
        | ErrorKind::TooLarge
        | ErrorKind::UnsupportedMediaType
        | ErrorKind::BadUpstream => ("The embedding model isn’t set up correctly.", EmbedCause::Model),
    };
    tracing::warn!(kind = ?error.kind(), "failed to create embeddings");
    EmbedFailure { sentence: sentence.to_owned(), cause }
}

fn malformed_response() -> EmbedFailure {
    EmbedFailure { sentence: "The embedding model sent an unexpected response.".to_owned(), cause: EmbedCause::Model }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(index: Option<usize>, vector: &[f32]) -> serde_json::Value {
        let bytes: Vec<u8> = vector.iter().flat_map(|number| number.to_le_bytes()).collect();
        json!({ "index": index, "embedding": STANDARD.encode(bytes) })
    }

    #[test]
    fn returns_unit_vectors_in_the_order_of_the_texts() {
        let answer = json!({ "data": [item(Some(1), &[0.0, 2.0]), item(Some(0), &[3.0, 4.0])] }).to_string();
        assert_eq!(read(answer.as_bytes(), 2), Some(vec![vec![0.6, 0.8], vec![0.0, 1.0]]));
        assert_eq!(read(answer.as_bytes(), 3), None, "one vector is missing");
        for wrong in [
            vec![item(Some(0), &[1.0]), item(Some(0), &[1.0])],
            vec![item(Some(0), &[1.0]), item(Some(1), &[1.0, 0.0])],
            vec![item(Some(0), &[1.0]), item(Some(7), &[1.0])],
            vec![item(Some(0), &[0.0]), item(Some(1), &[1.0])],
            vec![item(Some(0), &[f32::NAN]), item(Some(1), &[1.0])],
        ] {
            assert_eq!(read(json!({ "data": wrong }).to_string().as_bytes(), 2), None, "{wrong:?}");
        }
    }
}
