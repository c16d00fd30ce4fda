//! What models are asked: by the three APIs, and for vectors.

use ai::ApiStyle;
use appcore::AppError;
use bytes::Bytes;
use natter_macro::{dto, endpoint};

use super::{
    call::{ask, count, embed},
    deadline, max_body,
};
use crate::{Access, Ctx, Endpoint, EndpointDef, FailureForm, RateGroup, Raw, Reply};

pub(super) const ENDPOINTS: &[EndpointDef] = &[
    EndpointDef::of::<CompleteChat>(),
    EndpointDef::of::<CreateResponse>(),
    EndpointDef::of::<CreateMessage>(),
    EndpointDef::of::<CountTokens>(),
    EndpointDef::of::<CreateEmbeddings>(),
];

#[dto(request)]
pub struct Question {
    #[from(bytes, "application/json")]
    pub body: Bytes,
}

/// Ask a model (OpenAI's chat completions)
///
/// Whatever provider has the model. With `stream: true` the answer is Server-Sent Events.
#[endpoint(POST "/v1/chat/completions", tag = "gateway", access = Access::Key, rate = RateGroup::Gateway, content("application/json", "text/event-stream"), errors(NotFound, OutOfCredits), deadline = deadline(), max_body = max_body(), failure = FailureForm::Gateway, ends_with_client = true)]
impl Endpoint for CompleteChat {
    type Request = Question;
    type Response = Raw;

    async fn handle(ctx: &Ctx, question: Question) -> Result<Reply<Raw>, AppError> {
        ask(ctx, ApiStyle::Chat, question.body).await
    }
}

/// Ask a model (OpenAI's responses)
///
/// `previous_response_id` and `item_reference` name answers of the last hour that this server gave without `store: false`. `conversation`, `prompt` and `background` are refused.
#[endpoint(POST "/v1/responses", tag = "gateway", access = Access::Key, rate = RateGroup::Gateway, content("application/json", "text/event-stream"), errors(NotFound, OutOfCredits), deadline = deadline(), max_body = max_body(), failure = FailureForm::Gateway, ends_with_client = true)]
impl Endpoint for CreateResponse {
    type Request = Question;
    type Response = Raw;

    async fn handle(ctx: &Ctx, question: Question) -> Result<Reply<Raw>, AppError> {
        ask(ctx, ApiStyle::Responses, question.body).await
    }
}

/// Ask a model (Anthropic's messages)
#[endpoint(POST "/v1/messages", tag = "gateway", access = Access::Key, rate = RateGroup::Gateway, content("application/json", "text/event-stream"), errors(NotFound, OutOfCredits), deadline = deadline(), max_body = max_body(), failure = FailureForm::Gateway, ends_with_client = true)]
impl Endpoint for CreateMessage {
    type Request = Question;
    type Response = Raw;

    async fn handle(ctx: &Ctx, question: Question) -> Result<Reply<Raw>, AppError> {
        ask(ctx, ApiStyle::Messages, question.body).await
    }
}

/// Count the tokens of a question (Anthropic's messages)
///
/// As the model's provider counts them, else an estimate.
#[endpoint(POST "/v1/messages/count_tokens", tag = "gateway", access = Access::Key, rate = RateGroup::Gateway, content("application/json"), errors(NotFound, OutOfCredits), deadline = deadline(), max_body = max_body(), failure = FailureForm::Gateway, ends_with_client = true)]
impl Endpoint for CountTokens {
    type Request = Question;
    type Response = Raw;

    async fn handle(ctx: &Ctx, question: Question) -> Result<Reply<Raw>, AppError> {
        count(ctx, question.body).await
    }
}

/// Turn texts into vectors (OpenAI's embeddings)
#[endpoint(POST "/v1/embeddings", tag = "gateway", access = Access::Key, rate = RateGroup::Gateway, content("application/json"), errors(NotFound, OutOfCredits), deadline = deadline(), max_body = max_body(), failure = FailureForm::Gateway, ends_with_client = true)]
impl Endpoint for CreateEmbeddings {
    type Request = Question;
    type Response = Raw;

    async fn handle(ctx: &Ctx, question: Question) -> Result<Reply<Raw>, AppError> {
        embed(ctx, question.body).await
    }
}
