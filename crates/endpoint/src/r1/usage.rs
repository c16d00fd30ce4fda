//! AI usage and its cost.

use std::sync::Arc;

use actix_web::http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, HeaderValue};
use appcore::{
    ApiKeyId, AppError, Timestamp, UserId,
    page::{Page, PageRequest},
    view::{UsageGroup, UsageGrouping, UsageRequest, UsageRequestDetails},
};
use gateway::{
    usage::{self, UsageQuery},
    usage_export,
};
use natter_macro::{dto, endpoint};

use crate::{Access, Ctx, Endpoint, EndpointDef, RateGroup, Raw, Reply};

pub(crate) const ENDPOINTS: &[EndpointDef] = &[
    EndpointDef::of::<ReadUsage>(),
    EndpointDef::of::<ListUsageRequests>(),
    EndpointDef::of::<ExportUsageRequests>(),
    EndpointDef::of::<ExplainUsageRequest>(),
];

#[dto(request)]
pub struct ReadUsageRequest {
    /// First day; by default thirty days ago.
    #[from(query)]
    pub from: Option<Timestamp>,
    /// End, exclusive.
    #[from(query)]
    pub to: Option<Timestamp>,
    /// Grouping; by default by day.
    #[from(query)]
    pub group: Option<UsageGrouping>,
    #[from(query)]
    pub key_id: Option<ApiKeyId>,
    /// Only this model, named as in a response grouped by `model`.
    #[from(query)]
    pub model: Option<String>,
    /// User; only administrators may name another one.
    #[from(query)]
    pub user_id: Option<UserId>,
    /// End user whom callers named.
    #[from(query)]
    pub end_user: Option<String>,
    /// Tag that callers set.
    #[from(query)]
    pub tag: Option<String>,
    #[from(page)]
    pub page: PageRequest,
}

/// Show AI usage
///
/// Usage in micro-credits and tokens, for whole UTC days: the user's own or, for administrators
/// without `user_id`, that of all users. Usage by end user or tag covers the requests that are
/// kept
/// (`gateway.retention_days`).
#[endpoint(GET "/r1/usage", tag = "usage", access = Access::User, rate = RateGroup::Read, errors(Forbidden))]
impl Endpoint for ReadUsage {
    type Request = ReadUsageRequest;
    type Response = Page<UsageGroup>;

    async fn handle(ctx: &Ctx, request: ReadUsageRequest) -> Result<Reply<Page<UsageGroup>>, AppError> {
        let ReadUsageRequest { from, to, group, key_id, model, user_id, end_user, tag, page } = request;
        let (end_user, tag) = (end_user.as_deref(), tag.as_deref());
        let query = UsageQuery { from, to, key_id, user_id, end_user, tag };
        let (model, group) = (model.as_deref(), group.unwrap_or_default());
        let groups = usage::list_groups(ctx.gateway(), ctx.user()?, query, model, group, page).await?;
        Ok(Reply::of(groups))
    }
}

#[dto(request)]
pub struct ListUsageRequestsRequest {
    /// Start; by default thirty days ago.
    #[from(query)]
    pub from: Option<Timestamp>,
    /// End, exclusive.
    #[from(query)]
    pub to: Option<Timestamp>,
    #[from(query)]
    pub key_id: Option<ApiKeyId>,
    /// User; only administrators may name another one.
    #[from(query)]
    pub user_id: Option<UserId>,
    /// End user whom callers named.
    #[from(query)]
    pub end_user: Option<String>,
    /// Tag that callers set.
    #[from(query)]
    pub tag: Option<String>,
    #[from(page)]
    pub page: PageRequest,
}

/// List requests to AI models
///
/// One item per request, newest first: the user's own or, for administrators without `user_id`,
/// those of all users.
#[endpoint(GET "/r1/usage/requests", tag = "usage", access = Access::User, rate = RateGroup::Read, errors(Forbidden))]
impl Endpoint for ListUsageRequests {
    type Request = ListUsageRequestsRequest;
    type Response = Page<UsageRequest>;

    async fn handle(ctx: &Ctx, request: ListUsageRequestsRequest) -> Result<Reply<Page<UsageRequest>>, AppError> {
        let ListUsageRequestsRequest { from, to, key_id, user_id, end_user, tag, page } = request;
        let (end_user, tag) = (end_user.as_deref(), tag.as_deref());
        let query = UsageQuery { from, to, key_id, user_id, end_user, tag };
        Ok(Reply::of(usage::list_requests(ctx.gateway(), ctx.user()?, query, page).await?))
    }
}

#[dto(request)]
pub struct ExportUsageRequestsRequest {
    /// Start; by default thirty days ago.
    #[from(query)]
    pub from: Option<Timestamp>,
    /// End, exclusive.
    #[from(query)]
    pub to: Option<Timestamp>,
    #[from(query)]
    pub key_id: Option<ApiKeyId>,
    /// User; only administrators may name another one.
    #[from(query)]
    pub user_id: Option<UserId>,
    /// End user whom callers named.
    #[from(query)]
    pub end_user: Option<String>,
    /// Tag that callers set.
    #[from(query)]
    pub tag: Option<String>,
}

/// Export requests to AI models as CSV
///
/// One line per request, the oldest first: the user's own or, for administrators without `user_id`,
/// those of all users. The columns are the fields of a request, with the cost in `credits`.
#[endpoint(GET "/r1/usage/requests/export", tag = "usage", access = Access::User, rate = RateGroup::Read, content("text/csv"), errors(Forbidden))]
impl Endpoint for ExportUsageRequests {
    type Request = ExportUsageRequestsRequest;
    type Response = Raw;

    async fn handle(ctx: &Ctx, request: ExportUsageRequestsRequest) -> Result<Reply<Raw>, AppError> {
        let ExportUsageRequestsRequest { from, to, key_id, user_id, end_user, tag } = request;
        let (end_user, tag) = (end_user.as_deref(), tag.as_deref());
        let query = UsageQuery { from, to, key_id, user_id, end_user, tag };
        let chunks = usage_export::export(Arc::clone(&ctx.app().gateway), ctx.user()?, query).await?;
        Ok(Reply::stream("text/csv", chunks)
            .header(CACHE_CONTROL, HeaderValue::from_static("private, no-store"))
            .header(CONTENT_DISPOSITION, HeaderValue::from_static("attachment; filename=\"usage.csv\"")))
    }
}

#[dto(request)]
pub struct ExplainUsageRequestRequest {
    /// Id of the request, as in the header `x-request-id`, or id of an answer in a chat.
    #[from(path)]
    pub request_id: String,
    #[from(page)]
    pub page: PageRequest,
}

/// Explain a request to an AI model
///
/// Its route, attempts, repairs, tokens, price and refusal. An answer in a chat may have several
/// calls, the oldest first. Administrators can read the requests of all users.
#[endpoint(GET "/r1/usage/requests/{request_id}", tag = "usage", access = Access::User, rate = RateGroup::Read)]
impl Endpoint for ExplainUsageRequest {
    type Request = ExplainUsageRequestRequest;
    type Response = Page<UsageRequestDetails>;

    async fn handle(
        ctx: &Ctx,
        request: ExplainUsageRequestRequest,
    ) -> Result<Reply<Page<UsageRequestDetails>>, AppError> {
        let ExplainUsageRequestRequest { request_id, page } = request;
        Ok(Reply::of(usage::find_request(ctx.gateway(), ctx.user()?, &request_id, page).await?))
    }
}
