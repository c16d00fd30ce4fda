//! Batches of calls, in the formats of OpenAI and Anthropic.

use std::time::Duration;

use ::batches::{
    message_batches::{self, BatchQuery},
    openai_batches,
};
use appcore::AppError;
use bytes::Bytes;
use natter_macro::{dto, endpoint};

use super::{
    call::{authenticate_key, betas},
    json_reply, max_body,
};
use crate::{Access, Bound, Ctx, Endpoint, EndpointDef, FailureForm, RateGroup, Raw, Reply};

pub(super) const ENDPOINTS: &[EndpointDef] = &[
    EndpointDef::of::<CreateBatch>(),
    EndpointDef::of::<ListBatches>(),
    EndpointDef::of::<ShowBatch>(),
    EndpointDef::of::<CancelBatch>(),
    EndpointDef::of::<CreateMessageBatch>(),
    EndpointDef::of::<ListMessageBatches>(),
    EndpointDef::of::<ShowMessageBatch>(),
    EndpointDef::of::<DeleteMessageBatch>(),
    EndpointDef::of::<CancelMessageBatch>(),
    EndpointDef::of::<ReadMessageBatchResults>(),
];

/// Deadline of the creation of a message batch, whose requests are written to a file.
const CREATE_DEADLINE: Duration = Duration::from_secs(120);

#[dto(request)]
pub struct CreateBatchRequest {
    #[from(bytes, "application/json")]
    pub body: Bytes,
}

#[dto(request)]
pub struct BatchRequest {
    #[from(path)]
    pub id: String,
}

/// Create a batch (OpenAI)
///
/// Executes the requests of a file with the purpose `batch` within 24 hours, at the prices of
/// ordinary calls.
#[endpoint(POST "/v1/batches", tag = "gateway", access = Access::Key, rate = RateGroup::Gateway, content("application/json"), errors(NotFound, WrongState), failure = FailureForm::Gateway)]
impl Endpoint for CreateBatch {
    type Request = CreateBatchRequest;
    type Response = Raw;

    async fn handle(ctx: &Ctx, request: CreateBatchRequest) -> Result<Reply<Raw>, AppError> {
        let caller = authenticate_key(ctx).await?;
        Ok(json_reply(&openai_batches::create(ctx.batches(), &caller, &request.body).await?))
    }
}

#[dto(request)]
pub struct ListBatchesRequest {
    /// Id of the last batch of the previous page.
    #[from(query)]
    pub after: Option<String>,
    /// Page size, by default 20 and at most 100.
    #[from(query)]
    pub limit: Option<u64>,
}

/// List batches (OpenAI)
#[endpoint(GET "/v1/batches", tag = "gateway", access = Access::Key, rate = RateGroup::Gateway, content("application/json"), errors(NotFound), failure = FailureForm::Gateway)]
impl Endpoint for ListBatches {
    type Request = ListBatchesRequest;
    type Response = Raw;

    async fn handle(ctx: &Ctx, request: ListBatchesRequest) -> Result<Reply<Raw>, AppError> {
        let caller = authenticate_key(ctx).await?;
        let found = openai_batches::list(ctx.batches(), &caller, request.after.as_deref(), request.limit).await?;
        Ok(json_reply(&found))
    }
}

/// Show a batch (OpenAI)
#[endpoint(GET "/v1/batches/{id}", tag = "gateway", access = Access::Key, rate = RateGroup::Gateway, content("application/json"), failure = FailureForm::Gateway)]
impl Endpoint for ShowBatch {
    type Request = BatchRequest;
    type Response = Raw;

    async fn handle(ctx: &Ctx, request: BatchRequest) -> Result<Reply<Raw>, AppError> {
        let caller = authenticate_key(ctx).await?;
        Ok(json_reply(&openai_batches::find(ctx.batches(), &caller, &request.id).await?))
    }
}

/// Cancel a batch (OpenAI)
///
/// Requests in progress are finished.
#[endpoint(POST "/v1/batches/{id}/cancel", tag = "gateway", access = Access::Key, rate = RateGroup::Gateway, content("application/json"), errors(WrongState), failure = FailureForm::Gateway)]
impl Endpoint for CancelBatch {
    type Request = BatchRequest;
    type Response = Raw;

    async fn handle(ctx: &Ctx, request: BatchRequest) -> Result<Reply<Raw>, AppError> {
        let caller = authenticate_key(ctx).await?;
        Ok(json_reply(&openai_batches::cancel(ctx.batches(), &caller, &request.id).await?))
    }
}

/// Create a message batch (Anthropic)
///
/// Executes the requests within 24 hours, at the prices of ordinary calls.
#[endpoint(POST "/v1/messages/batches", tag = "gateway", access = Access::Key, rate = RateGroup::Gateway, content("application/json"), errors(WrongState, QuotaExceeded), deadline = Bound::Fixed(CREATE_DEADLINE), max_body = max_body(), failure = FailureForm::Gateway)]
impl Endpoint for CreateMessageBatch {
    type Request = CreateBatchRequest;
    type Response = Raw;

    async fn handle(ctx: &Ctx, request: CreateBatchRequest) -> Result<Reply<Raw>, AppError> {
        let caller = authenticate_key(ctx).await?;
        let (betas, base_url) = (betas(ctx), ctx.base_url());
        let created = message_batches::create(ctx.batches(), &caller, request.body, betas, &base_url).await?;
        Ok(json_reply(&created))
    }
}

#[dto(request)]
pub struct ListMessageBatchesRequest {
    /// Id of a batch; lists those that are newer.
    #[from(query)]
    pub before_id: Option<String>,
    /// Id of a batch; lists those that are older.
    #[from(query)]
    pub after_id: Option<String>,
    /// Page size, by default 20 and at most 1,000.
    #[from(query)]
    pub limit: Option<u64>,
}

/// List message batches (Anthropic)
#[endpoint(GET "/v1/messages/batches", tag = "gateway", access = Access::Key, rate = RateGroup::Gateway, content("application/json"), errors(NotFound), failure = FailureForm::Gateway)]
impl Endpoint for ListMessageBatches {
    type Request = ListMessageBatchesRequest;
    type Response = Raw;

    async fn handle(ctx: &Ctx, request: ListMessageBatchesRequest) -> Result<Reply<Raw>, AppError> {
        let ListMessageBatchesRequest { before_id, after_id, limit } = request;
        let caller = authenticate_key(ctx).await?;
        let query = BatchQuery { before_id, after_id, limit };
        Ok(json_reply(&message_batches::list(ctx.batches(), &caller, query, &ctx.base_url()).await?))
    }
}

/// Show a message batch (Anthropic)
#[endpoint(GET "/v1/messages/batches/{id}", tag = "gateway", access = Access::Key, rate = RateGroup::Gateway, content("application/json"), failure = FailureForm::Gateway)]
impl Endpoint for ShowMessageBatch {
    type Request = BatchRequest;
    type Response = Raw;

    async fn handle(ctx: &Ctx, request: BatchRequest) -> Result<Reply<Raw>, AppError> {
        let caller = authenticate_key(ctx).await?;
        Ok(json_reply(&message_batches::find(ctx.batches(), &caller, &request.id, &ctx.base_url()).await?))
    }
}

/// Delete a message batch that has ended (Anthropic)
#[endpoint(DELETE "/v1/messages/batches/{id}", tag = "gateway", access = Access::Key, rate = RateGroup::Gateway, content("application/json"), errors(WrongState), failure = FailureForm::Gateway)]
impl Endpoint for DeleteMessageBatch {
    type Request = BatchRequest;
    type Response = Raw;

    async fn handle(ctx: &Ctx, request: BatchRequest) -> Result<Reply<Raw>, AppError> {
        let caller = authenticate_key(ctx).await?;
        Ok(json_reply(&message_batches::delete(ctx.batches(), &caller, &request.id).await?))
    }
}

/// Cancel a message batch (Anthropic)
///
/// Requests in progress are finished.
#[endpoint(POST "/v1/messages/batches/{id}/cancel", tag = "gateway", access = Access::Key, rate = RateGroup::Gateway, content("application/json"), errors(WrongState), failure = FailureForm::Gateway)]
impl Endpoint for CancelMessageBatch {
    type Request = BatchRequest;
    type Response = Raw;

    async fn handle(ctx: &Ctx, request: BatchRequest) -> Result<Reply<Raw>, AppError> {
        let caller = authenticate_key(ctx).await?;
        Ok(json_reply(&message_batches::cancel(ctx.batches(), &caller, &request.id, &ctx.base_url()).await?))
    }
}

/// Read the results of a message batch (Anthropic)
///
/// One result per line, as JSON. 404 until the batch has ended.
#[endpoint(GET "/v1/messages/batches/{id}/results", tag = "gateway", access = Access::Key, rate = RateGroup::Gateway, content("application/x-jsonl"), failure = FailureForm::Gateway)]
impl Endpoint for ReadMessageBatchResults {
    type Request = BatchRequest;
    type Response = Raw;

    async fn handle(ctx: &Ctx, request: BatchRequest) -> Result<Reply<Raw>, AppError> {
        let caller = authenticate_key(ctx).await?;
        let content = message_batches::open_results(ctx.batches(), &caller, &request.id).await?;
        Ok(Reply::sized("application/x-jsonl", content.bytes, content.chunks))
    }
}
