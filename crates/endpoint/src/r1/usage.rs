//! What was asked of AI models, and what it cost.

use appcore::{
    ApiKeyId, AppError, Timestamp, UserId,
    page::{Page, PageRequest},
    view::{UsageGroup, UsageGrouping, UsageRequest},
};
use gateway::usage::{self, UsageQuery};
use natter_macro::{dto, endpoint};

use crate::{Access, Ctx, Endpoint, EndpointDef, RateGroup, Reply};

pub(crate) const ENDPOINTS: &[EndpointDef] = &[EndpointDef::of::<ReadUsage>(), EndpointDef::of::<ListUsageRequests>()];

#[dto(request)]
pub struct ReadUsageRequest {
    /// The first day; left out, thirty days ago.
    #[from(query)]
    pub from: Option<Timestamp>,
    /// Until then, which is not included.
    #[from(query)]
    pub to: Option<Timestamp>,
    /// Left out: by day.
    #[from(query)]
    pub group: Option<UsageGrouping>,
    #[from(query)]
    pub key_id: Option<ApiKeyId>,
    /// Only this model, by the name that the groups of `model` have.
    #[from(query)]
    pub model: Option<String>,
    /// Somebody else's is for administrators.
    #[from(query)]
    pub user_id: Option<UserId>,
    #[from(page)]
    pub page: PageRequest,
}

/// Read what was used
///
/// By whole days of UTC, in micro-credits and tokens. One's own; for administrators everybody's, where they don't name anybody.
#[endpoint(GET "/r1/usage", tag = "usage", access = Access::User, rate = RateGroup::Read, errors(Forbidden))]
impl Endpoint for ReadUsage {
    type Request = ReadUsageRequest;
    type Response = Page<UsageGroup>;

    async fn handle(ctx: &Ctx, request: ReadUsageRequest) -> Result<Reply<Page<UsageGroup>>, AppError> {
        let ReadUsageRequest { from, to, group, key_id, model, user_id, page } = request;
        let query = UsageQuery { from, to, key_id, user_id };
        let (model, group) = (model.as_deref(), group.unwrap_or_default());
        let groups = usage::grouped(ctx.gateway(), ctx.user()?, query, model, group, page).await?;
        Ok(Reply::of(groups))
    }
}

#[dto(request)]
pub struct ListUsageRequestsRequest {
    /// Left out: thirty days ago.
    #[from(query)]
    pub from: Option<Timestamp>,
    /// Until then, which is not included.
    #[from(query)]
    pub to: Option<Timestamp>,
    #[from(query)]
    pub key_id: Option<ApiKeyId>,
    /// Somebody else's are for administrators.
    #[from(query)]
    pub user_id: Option<UserId>,
    #[from(page)]
    pub page: PageRequest,
}

/// List requests to models
///
/// One row each, the newest first. One's own; for administrators everybody's, where they don't name anybody.
#[endpoint(GET "/r1/usage/requests", tag = "usage", access = Access::User, rate = RateGroup::Read, errors(Forbidden))]
impl Endpoint for ListUsageRequests {
    type Request = ListUsageRequestsRequest;
    type Response = Page<UsageRequest>;

    async fn handle(ctx: &Ctx, request: ListUsageRequestsRequest) -> Result<Reply<Page<UsageRequest>>, AppError> {
        let ListUsageRequestsRequest { from, to, key_id, user_id, page } = request;
        let query = UsageQuery { from, to, key_id, user_id };
        Ok(Reply::of(usage::requests(ctx.gateway(), ctx.user()?, query, page).await?))
    }
}
