//! Endpoints whose calls are passed to a provider that has them.

use ai::{PassthroughBody, PassthroughEndpoint};
use appcore::AppError;
use bytes::Bytes;
use natter_macro::{dto, endpoint};

use super::{call::pass, deadline, form::read_form, max_body};
use crate::{Access, Ctx, Endpoint, EndpointDef, FailureForm, RateGroup, Raw, Reply};

pub(super) const ENDPOINTS: &[EndpointDef] = &[
    EndpointDef::of::<CreateCompletion>(),
    EndpointDef::of::<RankDocuments>(),
    EndpointDef::of::<RankDocumentsV2>(),
    EndpointDef::of::<CreateModeration>(),
    EndpointDef::of::<CreateImages>(),
    EndpointDef::of::<EditImages>(),
    EndpointDef::of::<CreateSpeech>(),
];

#[dto(request)]
pub struct JsonRequest {
    #[from(bytes, "application/json")]
    pub body: Bytes,
}

#[dto(request)]
pub struct FormRequest {
    #[from(bytes, "multipart/form-data")]
    pub body: Bytes,
}

/// Create a completion (OpenAI)
///
/// Where no provider of the model has completions, a single text is completed by a chat.
#[endpoint(POST "/v1/completions", tag = "gateway", access = Access::Key, rate = RateGroup::Gateway, content("application/json", "text/event-stream"), errors(NotFound, OutOfCredits), deadline = deadline(), max_body = max_body(), failure = FailureForm::Gateway, ends_with_client = true)]
impl Endpoint for CreateCompletion {
    type Request = JsonRequest;
    type Response = Raw;

    async fn handle(ctx: &Ctx, request: JsonRequest) -> Result<Reply<Raw>, AppError> {
        pass(ctx, PassthroughEndpoint::Completions, Ok(PassthroughBody::Json(request.body))).await
    }
}

/// Rank documents (Jina)
#[endpoint(POST "/v1/rerank", tag = "gateway", access = Access::Key, rate = RateGroup::Gateway, content("application/json"), errors(NotFound, OutOfCredits), deadline = deadline(), max_body = max_body(), failure = FailureForm::Gateway, ends_with_client = true)]
impl Endpoint for RankDocuments {
    type Request = JsonRequest;
    type Response = Raw;

    async fn handle(ctx: &Ctx, request: JsonRequest) -> Result<Reply<Raw>, AppError> {
        pass(ctx, PassthroughEndpoint::JinaRerank, Ok(PassthroughBody::Json(request.body))).await
    }
}

/// Rank documents (Cohere)
#[endpoint(POST "/v2/rerank", tag = "gateway", access = Access::Key, rate = RateGroup::Gateway, content("application/json"), errors(NotFound, OutOfCredits), deadline = deadline(), max_body = max_body(), failure = FailureForm::Gateway, ends_with_client = true)]
impl Endpoint for RankDocumentsV2 {
    type Request = JsonRequest;
    type Response = Raw;

    async fn handle(ctx: &Ctx, request: JsonRequest) -> Result<Reply<Raw>, AppError> {
        pass(ctx, PassthroughEndpoint::CohereRerank, Ok(PassthroughBody::Json(request.body))).await
    }
}

/// Classify content (OpenAI)
#[endpoint(POST "/v1/moderations", tag = "gateway", access = Access::Key, rate = RateGroup::Gateway, content("application/json"), errors(NotFound, OutOfCredits), deadline = deadline(), max_body = max_body(), failure = FailureForm::Gateway, ends_with_client = true)]
impl Endpoint for CreateModeration {
    type Request = JsonRequest;
    type Response = Raw;

    async fn handle(ctx: &Ctx, request: JsonRequest) -> Result<Reply<Raw>, AppError> {
        pass(ctx, PassthroughEndpoint::Moderations, Ok(PassthroughBody::Json(request.body))).await
    }
}

/// Create images (OpenAI)
#[endpoint(POST "/v1/images/generations", tag = "gateway", access = Access::Key, rate = RateGroup::Gateway, content("application/json", "text/event-stream"), errors(NotFound, OutOfCredits), deadline = deadline(), max_body = max_body(), failure = FailureForm::Gateway, ends_with_client = true)]
impl Endpoint for CreateImages {
    type Request = JsonRequest;
    type Response = Raw;

    async fn handle(ctx: &Ctx, request: JsonRequest) -> Result<Reply<Raw>, AppError> {
        pass(ctx, PassthroughEndpoint::ImageGenerations, Ok(PassthroughBody::Json(request.body))).await
    }
}

/// Edit images (OpenAI)
#[endpoint(POST "/v1/images/edits", tag = "gateway", access = Access::Key, rate = RateGroup::Gateway, content("application/json", "text/event-stream"), errors(NotFound, OutOfCredits), deadline = deadline(), max_body = max_body(), failure = FailureForm::Gateway, ends_with_client = true)]
impl Endpoint for EditImages {
    type Request = FormRequest;
    type Response = Raw;

    async fn handle(ctx: &Ctx, request: FormRequest) -> Result<Reply<Raw>, AppError> {
        let form = read_form(ctx, request.body).await;
        pass(ctx, PassthroughEndpoint::ImageEdits, form.map(PassthroughBody::Form)).await
    }
}

/// Create speech (OpenAI)
#[endpoint(POST "/v1/audio/speech", tag = "gateway", access = Access::Key, rate = RateGroup::Gateway, content("audio/mpeg", "text/event-stream"), errors(NotFound, OutOfCredits), deadline = deadline(), max_body = max_body(), failure = FailureForm::Gateway, ends_with_client = true)]
impl Endpoint for CreateSpeech {
    type Request = JsonRequest;
    type Response = Raw;

    async fn handle(ctx: &Ctx, request: JsonRequest) -> Result<Reply<Raw>, AppError> {
        pass(ctx, PassthroughEndpoint::Speech, Ok(PassthroughBody::Json(request.body))).await
    }
}
