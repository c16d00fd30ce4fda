//! Chat endpoints of the three APIs, token counting and embeddings.

use ai::ApiStyle;
use appcore::AppError;
use bytes::Bytes;
use natter_macro::{dto, endpoint};

use super::{
    call::{complete, count, embed},
    deadline, max_body,
    responses::create_in_background,
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

/// Create a chat completion (OpenAI)
///
/// For models of any provider. With `stream: true`, responds with Server-Sent Events.
#[endpoint(POST "/v1/chat/completions", tag = "gateway", access = Access::Key, rate = RateGroup::Gateway, content("application/json", "text/event-stream"), errors(NotFound, OutOfCredits), deadline = deadline(), max_body = max_body(), failure = FailureForm::Gateway, ends_with_client = true)]
impl Endpoint for CompleteChat {
    type Request = Question;
    type Response = Raw;

    async fn handle(ctx: &Ctx, question: Question) -> Result<Reply<Raw>, AppError> {
        complete(ctx, ApiStyle::Chat, question.body).await
    }
}

/// Create a response (OpenAI)
///
/// `previous_response_id` and `item_reference` may refer to responses of the last hour, unless with
/// `store: false`. With `background: true`, responds at once with a queued response, which is executed
/// within 24 hours. `conversation` and `prompt` are refused.
#[endpoint(POST "/v1/responses", tag = "gateway", access = Access::Key, rate = RateGroup::Gateway, content("application/json", "text/event-stream"), errors(NotFound, OutOfCredits), deadline = deadline(), max_body = max_body(), failure = FailureForm::Gateway, ends_with_client = true)]
impl Endpoint for CreateResponse {
    type Request = Question;
    type Response = Raw;

    async fn handle(ctx: &Ctx, question: Question) -> Result<Reply<Raw>, AppError> {
        match create_in_background(ctx, &question.body).await {
            Some(reply) => Ok(reply),
            None => complete(ctx, ApiStyle::Responses, question.body).await,
        }
    }
}

/// Create a message (Anthropic)
#[endpoint(POST "/v1/messages", tag = "gateway", access = Access::Key, rate = RateGroup::Gateway, content("application/json", "text/event-stream"), errors(NotFound, OutOfCredits), deadline = deadline(), max_body = max_body(), failure = FailureForm::Gateway, ends_with_client = true)]
impl Endpoint for CreateMessage {
    type Request = Question;
    type Response = Raw;

    async fn handle(ctx: &Ctx, question: Question) -> Result<Reply<Raw>, AppError> {
        complete(ctx, ApiStyle::Messages, question.body).await
    }
}

/// Count the tokens of a message (Anthropic)
///
/// The number from the model's provider, or an estimate.
#[endpoint(POST "/v1/messages/count_tokens", tag = "gateway", access = Access::Key, rate = RateGroup::Gateway, content("application/json"), errors(NotFound, OutOfCredits), deadline = deadline(), max_body = max_body(), failure = FailureForm::Gateway, ends_with_client = true)]
impl Endpoint for CountTokens {
    type Request = Question;
    type Response = Raw;

    async fn handle(ctx: &Ctx, question: Question) -> Result<Reply<Raw>, AppError> {
        count(ctx, question.body).await
    }
}

/// Create embeddings (OpenAI)
#[endpoint(POST "/v1/embeddings", tag = "gateway", access = Access::Key, rate = RateGroup::Gateway, content("application/json"), errors(NotFound, OutOfCredits), deadline = deadline(), max_body = max_body(), failure = FailureForm::Gateway, ends_with_client = true)]
impl Endpoint for CreateEmbeddings {
    type Request = Question;
    type Response = Raw;

    async fn handle(ctx: &Ctx, question: Question) -> Result<Reply<Raw>, AppError> {
        embed(ctx, question.body).await
    }
}
