//! Ollama's API, for programs that know no other. Calls are converted to OpenAI's API and back.

mod call;
mod models;

use ai::{OllamaEmbeddingEndpoint, OllamaEndpoint};
use appcore::AppError;
use bytes::Bytes;
use natter_macro::{dto, endpoint};
use serde_json::json;

use super::{deadline, json_reply, max_body};
use crate::{Access, Ctx, Endpoint, EndpointDef, FailureForm, NoInput, RateGroup, Raw, Reply};

pub(super) const ENDPOINTS: &[EndpointDef] = &[
    EndpointDef::of::<CreateOllamaChat>(),
    EndpointDef::of::<GenerateOllamaText>(),
    EndpointDef::of::<CreateOllamaEmbeddings>(),
    EndpointDef::of::<CreateOllamaEmbedding>(),
    EndpointDef::of::<ListOllamaModels>(),
    EndpointDef::of::<ShowOllamaModel>(),
    EndpointDef::of::<ListRunningOllamaModels>(),
    EndpointDef::of::<ShowOllamaVersion>(),
];

/// Version of Ollama whose API is offered. Some clients refuse servers that are too old.
const VERSION: &str = "0.13.0";

#[dto(request)]
pub struct OllamaCallRequest {
    #[from(bytes, "application/json")]
    pub body: Bytes,
}

/// Create a chat completion (Ollama)
///
/// For models of any provider. Responds with lines of JSON, unless with `stream: false`.
#[endpoint(POST "/api/chat", tag = "gateway", access = Access::Key, rate = RateGroup::Gateway, content("application/x-ndjson", "application/json"), errors(NotFound, OutOfCredits), deadline = deadline(), max_body = max_body(), failure = FailureForm::Ollama, ends_with_client = true)]
impl Endpoint for CreateOllamaChat {
    type Request = OllamaCallRequest;
    type Response = Raw;

    async fn handle(ctx: &Ctx, request: OllamaCallRequest) -> Result<Reply<Raw>, AppError> {
        call::answer(ctx, OllamaEndpoint::Chat, request.body).await
    }
}

/// Answer a prompt (Ollama)
///
/// For models of any provider. Responds with lines of JSON, unless with `stream: false`.
#[endpoint(POST "/api/generate", tag = "gateway", access = Access::Key, rate = RateGroup::Gateway, content("application/x-ndjson", "application/json"), errors(NotFound, OutOfCredits), deadline = deadline(), max_body = max_body(), failure = FailureForm::Ollama, ends_with_client = true)]
impl Endpoint for GenerateOllamaText {
    type Request = OllamaCallRequest;
    type Response = Raw;

    async fn handle(ctx: &Ctx, request: OllamaCallRequest) -> Result<Reply<Raw>, AppError> {
        call::answer(ctx, OllamaEndpoint::Generate, request.body).await
    }
}

/// Create embeddings (Ollama)
#[endpoint(POST "/api/embed", tag = "gateway", access = Access::Key, rate = RateGroup::Gateway, content("application/json"), errors(NotFound, OutOfCredits), deadline = deadline(), max_body = max_body(), failure = FailureForm::Ollama, ends_with_client = true)]
impl Endpoint for CreateOllamaEmbeddings {
    type Request = OllamaCallRequest;
    type Response = Raw;

    async fn handle(ctx: &Ctx, request: OllamaCallRequest) -> Result<Reply<Raw>, AppError> {
        call::embed(ctx, OllamaEmbeddingEndpoint::Embed, request.body).await
    }
}

/// Create one embedding (Ollama)
#[endpoint(POST "/api/embeddings", tag = "gateway", access = Access::Key, rate = RateGroup::Gateway, content("application/json"), errors(NotFound, OutOfCredits), deadline = deadline(), max_body = max_body(), failure = FailureForm::Ollama, ends_with_client = true)]
impl Endpoint for CreateOllamaEmbedding {
    type Request = OllamaCallRequest;
    type Response = Raw;

    async fn handle(ctx: &Ctx, request: OllamaCallRequest) -> Result<Reply<Raw>, AppError> {
        call::embed(ctx, OllamaEmbeddingEndpoint::Embeddings, request.body).await
    }
}

/// List the models that this key may call (Ollama)
#[endpoint(GET "/api/tags", tag = "gateway", access = Access::Key, rate = RateGroup::Gateway, content("application/json"), failure = FailureForm::Ollama)]
impl Endpoint for ListOllamaModels {
    type Request = NoInput;
    type Response = Raw;

    async fn handle(ctx: &Ctx, _: NoInput) -> Result<Reply<Raw>, AppError> {
        models::list(ctx).await
    }
}

/// Show a model that this key may call (Ollama)
#[endpoint(POST "/api/show", tag = "gateway", access = Access::Key, rate = RateGroup::Gateway, content("application/json"), errors(NotFound), failure = FailureForm::Ollama)]
impl Endpoint for ShowOllamaModel {
    type Request = OllamaCallRequest;
    type Response = Raw;

    async fn handle(ctx: &Ctx, request: OllamaCallRequest) -> Result<Reply<Raw>, AppError> {
        models::show(ctx, &request.body).await
    }
}

/// List the models in memory (Ollama)
///
/// The list is empty, because providers load their models themselves.
#[endpoint(GET "/api/ps", tag = "gateway", access = Access::Key, rate = RateGroup::Gateway, content("application/json"), failure = FailureForm::Ollama)]
impl Endpoint for ListRunningOllamaModels {
    type Request = NoInput;
    type Response = Raw;

    async fn handle(_: &Ctx, _: NoInput) -> Result<Reply<Raw>, AppError> {
        Ok(json_reply(&json!({ "models": [] })))
    }
}

/// Show the version of the API (Ollama)
#[endpoint(GET "/api/version", tag = "gateway", access = Access::Key, rate = RateGroup::Gateway, content("application/json"), failure = FailureForm::Ollama)]
impl Endpoint for ShowOllamaVersion {
    type Request = NoInput;
    type Response = Raw;

    async fn handle(_: &Ctx, _: NoInput) -> Result<Reply<Raw>, AppError> {
        Ok(json_reply(&json!({ "version": VERSION })))
    }
}
