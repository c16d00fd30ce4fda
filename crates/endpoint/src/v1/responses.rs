//! Endpoints of the Responses API beside the creation of ordinary responses: background responses,
//! stored responses, token counts and compaction.

use std::sync::Arc;

use ::batches::background_responses;
use ai::{ApiStyle, GatewayError, background};
use appcore::{AppError, BackgroundResponseId, view::GatewayEndpoint};
use bytes::Bytes;
use futures_util::stream;
use gateway::{GatewayCaller, authorize_endpoint};
use middleware::tracing::request_id;
use natter_macro::{dto, endpoint};
use serde_json::{Value, json};

use super::{
    call::{EVENT_STREAM, authenticate_key, compact, count_response},
    deadline, failure,
    inference::Question,
    json_reply,
    labels::with_headers,
    max_body,
};
use crate::{Access, Ctx, Endpoint, EndpointDef, FailureForm, RateGroup, Raw, Reply};

pub(super) const ENDPOINTS: &[EndpointDef] = &[
    EndpointDef::of::<ShowResponse>(),
    EndpointDef::of::<DeleteResponse>(),
    EndpointDef::of::<ListInputItems>(),
    EndpointDef::of::<CancelResponse>(),
    EndpointDef::of::<CountResponseTokens>(),
    EndpointDef::of::<CompactConversation>(),
];

/// Maximum page size.
const MAX_LIMIT: usize = 100;
/// Default page size.
const DEFAULT_LIMIT: usize = 20;

#[dto(request)]
pub struct ResponseId {
    #[from(path)]
    pub id: String,
}

#[dto(request)]
pub struct ShowResponseRequest {
    #[from(path)]
    pub id: String,
    /// If true, responds with the events of the response.
    #[from(query)]
    pub stream: Option<bool>,
    /// Sequence number of the last event that was received; the stream begins after it.
    #[from(query)]
    pub starting_after: Option<u64>,
}

/// Show a stored response (OpenAI)
///
/// Of this key, of the last hour, and created without `store: false`; background responses of the
/// last two days.
#[endpoint(GET "/v1/responses/{id}", tag = "gateway", access = Access::Key, rate = RateGroup::Gateway, content("application/json", "text/event-stream"), errors(NotFound), failure = FailureForm::Gateway)]
impl Endpoint for ShowResponse {
    type Request = ShowResponseRequest;
    type Response = Raw;

    async fn handle(ctx: &Ctx, request: ShowResponseRequest) -> Result<Reply<Raw>, AppError> {
        let shown = show(ctx, &request).await;
        Ok(shown.unwrap_or_else(|error| refusal(ctx, &error)))
    }
}

/// Delete a stored response (OpenAI)
#[endpoint(DELETE "/v1/responses/{id}", tag = "gateway", access = Access::Key, rate = RateGroup::Gateway, content("application/json"), errors(NotFound), failure = FailureForm::Gateway)]
impl Endpoint for DeleteResponse {
    type Request = ResponseId;
    type Response = Raw;

    async fn handle(ctx: &Ctx, request: ResponseId) -> Result<Reply<Raw>, AppError> {
        let delete = async |caller: &GatewayCaller| {
            match background_responses::parse_id(&request.id) {
                Some(id) => background_responses::delete(ctx.batches(), caller, id).await,
                None => gateway::delete_response(ctx.gateway(), caller.key_id, &request.id).await,
            }?;
            Ok(json!({ "id": request.id, "object": "response", "deleted": true }))
        };
        answer(ctx, delete).await
    }
}

#[dto(request)]
pub struct ListInputItemsRequest {
    #[from(path)]
    pub id: String,
    /// Page size from 1 to 100, by default 20.
    #[from(query)]
    pub limit: Option<u64>,
    /// `asc` or `desc`, by default `desc`.
    #[from(query)]
    pub order: Option<String>,
    /// Id of an item; lists those after it.
    #[from(query)]
    pub after: Option<String>,
}

/// List the input items of a stored response (OpenAI)
#[endpoint(GET "/v1/responses/{id}/input_items", tag = "gateway", access = Access::Key, rate = RateGroup::Gateway, content("application/json"), errors(NotFound), failure = FailureForm::Gateway)]
impl Endpoint for ListInputItems {
    type Request = ListInputItemsRequest;
    type Response = Raw;

    async fn handle(ctx: &Ctx, request: ListInputItemsRequest) -> Result<Reply<Raw>, AppError> {
        let list = async |caller: &GatewayCaller| {
            let items = match background_responses::parse_id(&request.id) {
                Some(id) => background_responses::input_items(ctx.batches(), caller, id).await,
                None => ctx.app().gateway.ai().response_input_items(caller.key_id, &request.id).await,
            };
            page_of(items?, &request)
        };
        answer(ctx, list).await
    }
}

/// Cancel a background response (OpenAI)
///
/// Aborts the call if it is in progress. A response that has ended stays as it is.
#[endpoint(POST "/v1/responses/{id}/cancel", tag = "gateway", access = Access::Key, rate = RateGroup::Gateway, content("application/json"), errors(NotFound), failure = FailureForm::Gateway)]
impl Endpoint for CancelResponse {
    type Request = ResponseId;
    type Response = Raw;

    async fn handle(ctx: &Ctx, request: ResponseId) -> Result<Reply<Raw>, AppError> {
        let cancel = async |caller: &GatewayCaller| {
            if let Some(id) = background_responses::parse_id(&request.id) {
                return background_responses::cancel(ctx.batches(), caller, id).await;
            }
            ctx.app().gateway.ai().stored_response(caller.key_id, &request.id).await?;
            Err(GatewayError::invalid("Only responses created with `background: true` can be cancelled."))
        };
        answer(ctx, cancel).await
    }
}

/// Count the input tokens of a response (OpenAI)
///
/// The number from the model's provider, or an estimate.
#[endpoint(POST "/v1/responses/input_tokens", tag = "gateway", access = Access::Key, rate = RateGroup::Gateway, content("application/json"), errors(NotFound, OutOfCredits), deadline = deadline(), max_body = max_body(), failure = FailureForm::Gateway, ends_with_client = true)]
impl Endpoint for CountResponseTokens {
    type Request = Question;
    type Response = Raw;

    async fn handle(ctx: &Ctx, question: Question) -> Result<Reply<Raw>, AppError> {
        count_response(ctx, question.body).await
    }
}

/// Compact a conversation (OpenAI)
///
/// Responds with one item that replaces the conversation in later requests. For models without a
/// compaction of their own it holds a summary by the model.
#[endpoint(POST "/v1/responses/compact", tag = "gateway", access = Access::Key, rate = RateGroup::Gateway, content("application/json"), errors(NotFound, OutOfCredits), deadline = deadline(), max_body = max_body(), failure = FailureForm::Gateway, ends_with_client = true)]
impl Endpoint for CompactConversation {
    type Request = Question;
    type Response = Raw;

    async fn handle(ctx: &Ctx, question: Question) -> Result<Reply<Raw>, AppError> {
        compact(ctx, question.body).await
    }
}

/// Creates a response in the background. `None` if the request doesn't ask for that.
pub(super) async fn create_in_background(ctx: &Ctx, body: &Bytes) -> Option<Reply<Raw>> {
    if !background::may_be_requested(body) {
        return None;
    }
    let created = async {
        let caller = caller(ctx).await?;
        if !background::is_requested(caller.work_owner(), body).await? {
            return Ok(None);
        }
        let label = |labels| with_headers(caller.policy.end_users, ctx.http().headers(), labels);
        let created = background_responses::create(ctx.batches(), &caller, body.clone(), label).await?;
        Ok(Some(if created.stream { stream_events(ctx, &caller, created.id, 0) } else { json_reply(&created.object) }))
    };
    let created: Result<_, GatewayError> = created.await;
    created.unwrap_or_else(|error| Some(refusal(ctx, &error)))
}

async fn show(ctx: &Ctx, request: &ShowResponseRequest) -> Result<Reply<Raw>, GatewayError> {
    let caller = caller(ctx).await?;
    let first = request.starting_after.map_or(0, |last| last.saturating_add(1));
    let is_stream = request.stream == Some(true);
    let found = match background_responses::parse_id(&request.id) {
        Some(id) if is_stream => {
            background_responses::find(ctx.batches(), &caller, id).await?;
            return Ok(stream_events(ctx, &caller, id, first));
        }
        Some(id) => background_responses::find(ctx.batches(), &caller, id).await?,
        None => ctx.app().gateway.ai().stored_response(caller.key_id, &request.id).await?,
    };
    if is_stream {
        let events = background::render_stored_events(&found, first);
        return Ok(Reply::stream(EVENT_STREAM, stream::iter([Ok(events)])));
    }
    Ok(json_reply(&found))
}

fn stream_events(ctx: &Ctx, caller: &GatewayCaller, id: BackgroundResponseId, first: u64) -> Reply<Raw> {
    let service = Arc::clone(&ctx.app().batches);
    Reply::stream(EVENT_STREAM, background_responses::events(service, caller, id, first))
}

/// Answers with what `read` returns for the caller, if its key may use the Responses API.
async fn answer(
    ctx: &Ctx,
    read: impl AsyncFnOnce(&GatewayCaller) -> Result<Value, GatewayError>,
) -> Result<Reply<Raw>, AppError> {
    let body = async { read(&caller(ctx).await?).await };
    Ok(body.await.map_or_else(|error| refusal(ctx, &error), |body| json_reply(&body)))
}

/// Caller, if its key may use the Responses API.
async fn caller(ctx: &Ctx) -> Result<GatewayCaller, GatewayError> {
    let caller = authenticate_key(ctx).await.map_err(|error| failure::to_gateway_error(&error))?;
    authorize_endpoint(&caller, GatewayEndpoint::Responses)?;
    Ok(caller)
}

fn refusal(ctx: &Ctx, error: &GatewayError) -> Reply<Raw> {
    failure::reply(error, ApiStyle::Responses, &request_id(ctx.http()))
}

/// Page of items, which are given oldest first.
fn page_of(mut items: Vec<Value>, request: &ListInputItemsRequest) -> Result<Value, GatewayError> {
    let limit = request.limit.map_or(DEFAULT_LIMIT, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
    if !(1..=MAX_LIMIT).contains(&limit) {
        return Err(GatewayError::invalid_param("limit", format!("`limit` must be from 1 to {MAX_LIMIT}.")));
    }
    match request.order.as_deref() {
        None | Some("desc") => items.reverse(),
        Some("asc") => {}
        Some(_) => return Err(GatewayError::invalid_param("order", "`order` must be asc or desc.")),
    }
    if let Some(after) = &request.after {
        let place = items.iter().position(|item| item["id"] == after.as_str());
        let place = place.ok_or_else(|| GatewayError::invalid_param("after", "`after` isn't the id of an item."))?;
        items.drain(..=place);
    }
    let has_more = items.len() > limit;
    items.truncate(limit);
    let id = |item: Option<&Value>| item.map(|item| item["id"].clone());
    Ok(json!({
        "object": "list", "first_id": id(items.first()), "last_id": id(items.last()), "has_more": has_more,
        "data": items,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_items() {
        let page = |limit: Option<u64>, order: Option<&str>, after: Option<&str>| {
            let items = ["a", "b", "c"].map(|id| json!({ "id": id })).to_vec();
            let (order, after) = (order.map(str::to_owned), after.map(str::to_owned));
            let page = page_of(items, &ListInputItemsRequest { id: String::new(), limit, order, after });
            let ids = |page: Value| {
                page["data"].as_array().unwrap().iter().map(|item| item["id"].clone()).collect::<Vec<_>>()
            };
            page.map(|page| (page["has_more"] == true, ids(page))).map_err(|error| error.message().to_owned())
        };
        assert_eq!(page(None, None, None).unwrap(), (false, vec![json!("c"), json!("b"), json!("a")]));
        assert_eq!(page(Some(2), Some("asc"), None).unwrap(), (true, vec![json!("a"), json!("b")]));
        assert_eq!(page(Some(2), Some("asc"), Some("b")).unwrap(), (false, vec![json!("c")]));
        for (limit, order, after) in
            [(Some(0), None, None), (Some(101), None, None), (None, Some("up"), None), (None, None, Some("x"))]
        {
            assert!(page(limit, order, after).is_err());
        }
    }
}
