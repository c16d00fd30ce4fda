//! Announcements by administrators.

use appcore::{
    AppError, BroadcastId, Timestamp,
    page::{Page, PageRequest},
    view::{Audience, Broadcast, BroadcastChannel, BroadcastPreview, BroadcastStatus, Severity, ShownBroadcast},
};
use conversations::broadcasts::{self, BroadcastChange, NewBroadcast};
use natter_macro::{dto, endpoint};

use crate::{Access, Ctx, Endpoint, EndpointDef, NoData, NoInput, RateGroup, Reply};

pub(crate) const ENDPOINTS: &[EndpointDef] = &[
    EndpointDef::of::<ListBroadcasts>(),
    EndpointDef::of::<CreateBroadcast>(),
    EndpointDef::of::<PreviewBroadcast>(),
    EndpointDef::of::<ListShownBroadcasts>(),
    EndpointDef::of::<ReadBroadcast>(),
    EndpointDef::of::<ChangeBroadcast>(),
    EndpointDef::of::<WithdrawBroadcast>(),
    EndpointDef::of::<SeeBroadcast>(),
    EndpointDef::of::<DismissBroadcast>(),
];

#[dto(request)]
pub struct ListBroadcastsRequest {
    /// Only announcements with this status.
    #[from(query)]
    pub status: Option<BroadcastStatus>,
    /// Only announcements with this severity.
    #[from(query)]
    pub severity: Option<Severity>,
    /// Text that the title must contain.
    #[from(query)]
    pub q: Option<String>,
    #[from(page)]
    pub page: PageRequest,
}

/// List announcements
///
/// Newest first, with the delivery status.
#[endpoint(GET "/r1/broadcasts", tag = "broadcasts", access = Access::Admin, rate = RateGroup::Read)]
impl Endpoint for ListBroadcasts {
    type Request = ListBroadcastsRequest;
    type Response = Page<Broadcast>;

    async fn handle(ctx: &Ctx, request: ListBroadcastsRequest) -> Result<Reply<Page<Broadcast>>, AppError> {
        let ListBroadcastsRequest { status, severity, q, page } = request;
        Ok(Reply::of(broadcasts::list(ctx.conversations(), status, severity, q, page).await?))
    }
}

#[dto(request)]
pub struct CreateBroadcastRequest {
    #[schema(min_length = 1, max_length = 120)]
    pub title: String,
    /// Body in Markdown.
    #[schema(max_length = 2_000)]
    pub body: String,
    /// Severity; if omitted, `info`.
    pub severity: Option<Severity>,
    pub audience: Audience,
    /// Start; if omitted or past, now.
    pub starts_at: Option<Timestamp>,
    /// End; by default it runs until it is withdrawn.
    pub ends_at: Option<Timestamp>,
    /// True if users can dismiss it; by default unless it is critical.
    pub dismissible: Option<bool>,
    /// Channels of delivery; by default `banner`.
    pub channels: Option<Vec<BroadcastChannel>>,
}

/// Create an announcement
///
/// Connected users receive `broadcast` within a second of its start, others get it from
/// `GET /r1/broadcasts/active`. Delivery by `mail` can't be undone and requires a fresh sign-in.
#[endpoint(POST "/r1/broadcasts", tag = "broadcasts", access = Access::Admin, rate = RateGroup::Write, status = 201, errors(FreshSignInRequired))]
impl Endpoint for CreateBroadcast {
    type Request = CreateBroadcastRequest;
    type Response = Broadcast;

    async fn handle(ctx: &Ctx, request: CreateBroadcastRequest) -> Result<Reply<Broadcast>, AppError> {
        let new = NewBroadcast {
            title: request.title,
            body: request.body,
            severity: request.severity.unwrap_or_default(),
            audience: request.audience,
            channels: request.channels.unwrap_or_else(|| vec![BroadcastChannel::Banner]),
            dismissible: request.dismissible,
            starts_at: request.starts_at,
            ends_at: request.ends_at,
        };
        Ok(Reply::of(broadcasts::create(ctx.conversations(), ctx.user()?, new).await?))
    }
}

#[dto(request)]
pub struct PreviewBroadcastRequest {
    pub audience: Audience,
}

/// Preview the audience of an announcement
///
/// Number of accounts in the audience, and how many are online.
#[endpoint(POST "/r1/broadcasts/preview", tag = "broadcasts", access = Access::Admin, rate = RateGroup::Read)]
impl Endpoint for PreviewBroadcast {
    type Request = PreviewBroadcastRequest;
    type Response = BroadcastPreview;

    async fn handle(ctx: &Ctx, request: PreviewBroadcastRequest) -> Result<Reply<BroadcastPreview>, AppError> {
        Ok(Reply::of(broadcasts::preview(ctx.conversations(), request.audience).await?))
    }
}

/// List the announcements shown to you
///
/// Active announcements that the caller has not dismissed, earliest first.
#[endpoint(GET "/r1/broadcasts/active", tag = "broadcasts", access = Access::User, rate = RateGroup::Read)]
impl Endpoint for ListShownBroadcasts {
    type Request = NoInput;
    type Response = Page<ShownBroadcast>;

    async fn handle(ctx: &Ctx, _: NoInput) -> Result<Reply<Page<ShownBroadcast>>, AppError> {
        let shown = broadcasts::active(ctx.conversations(), ctx.user()?).await?;
        let total = shown.len() as u64;
        Ok(Reply::of(Page::new(shown, PageRequest::new(None, None), total)))
    }
}

#[dto(request)]
pub struct BroadcastRequest {
    #[from(path)]
    pub id: BroadcastId,
}

/// Show an announcement
///
/// With the numbers of users who received, saw and dismissed it.
#[endpoint(GET "/r1/broadcasts/{id}", tag = "broadcasts", access = Access::Admin, rate = RateGroup::Read)]
impl Endpoint for ReadBroadcast {
    type Request = BroadcastRequest;
    type Response = Broadcast;

    async fn handle(ctx: &Ctx, request: BroadcastRequest) -> Result<Reply<Broadcast>, AppError> {
        Ok(Reply::of(broadcasts::find(ctx.conversations(), request.id).await?))
    }
}

#[dto(request)]
pub struct ChangeBroadcastRequest {
    #[from(path)]
    pub id: BroadcastId,
    #[schema(min_length = 1, max_length = 120)]
    pub title: Option<String>,
    /// Body in Markdown.
    #[schema(max_length = 2_000)]
    pub body: Option<String>,
    pub severity: Option<Severity>,
    /// Audience; fixed after the start.
    pub audience: Option<Audience>,
    /// Start; fixed after the start.
    pub starts_at: Option<Timestamp>,
    /// End; null to run until it is withdrawn.
    pub ends_at: Option<Option<Timestamp>>,
    pub dismissible: Option<bool>,
    /// Channels of delivery; fixed after the start.
    pub channels: Option<Vec<BroadcastChannel>>,
}

/// Change an announcement
///
/// Possible until the end. Users who received it get the update at once. Requires a fresh sign-in
/// if `mail` is yet to be sent.
#[endpoint(PATCH "/r1/broadcasts/{id}", tag = "broadcasts", access = Access::Admin, rate = RateGroup::Write, errors(FreshSignInRequired, WrongState))]
impl Endpoint for ChangeBroadcast {
    type Request = ChangeBroadcastRequest;
    type Response = Broadcast;

    async fn handle(ctx: &Ctx, request: ChangeBroadcastRequest) -> Result<Reply<Broadcast>, AppError> {
        let change = BroadcastChange {
            title: request.title,
            body: request.body,
            severity: request.severity,
            audience: request.audience,
            channels: request.channels,
            dismissible: request.dismissible,
            starts_at: request.starts_at,
            ends_at: request.ends_at,
        };
        Ok(Reply::of(broadcasts::update(ctx.conversations(), ctx.user()?, request.id, change).await?))
    }
}

/// Withdraw an announcement
///
/// Users who received it get an update with `withdrawn_at`. Idempotent.
#[endpoint(POST "/r1/broadcasts/{id}/withdraw", tag = "broadcasts", access = Access::Admin, rate = RateGroup::Write, errors(WrongState))]
impl Endpoint for WithdrawBroadcast {
    type Request = BroadcastRequest;
    type Response = Broadcast;

    async fn handle(ctx: &Ctx, request: BroadcastRequest) -> Result<Reply<Broadcast>, AppError> {
        Ok(Reply::of(broadcasts::withdraw(ctx.conversations(), ctx.user()?, request.id).await?))
    }
}

/// Mark an announcement as seen
#[endpoint(POST "/r1/broadcasts/{id}/seen", tag = "broadcasts", access = Access::User, rate = RateGroup::Write)]
impl Endpoint for SeeBroadcast {
    type Request = BroadcastRequest;
    type Response = NoData;

    async fn handle(ctx: &Ctx, request: BroadcastRequest) -> Result<Reply<NoData>, AppError> {
        broadcasts::mark_seen(ctx.conversations(), ctx.user()?, request.id).await?;
        Ok(Reply::of(NoData))
    }
}

/// Dismiss an announcement
///
/// Applies to all devices: the other connections receive `broadcast.dismissed`.
#[endpoint(POST "/r1/broadcasts/{id}/dismiss", tag = "broadcasts", access = Access::User, rate = RateGroup::Write, errors(WrongState))]
impl Endpoint for DismissBroadcast {
    type Request = BroadcastRequest;
    type Response = NoData;

    async fn handle(ctx: &Ctx, request: BroadcastRequest) -> Result<Reply<NoData>, AppError> {
        broadcasts::dismiss(ctx.conversations(), ctx.user()?, request.id).await?;
        Ok(Reply::of(NoData))
    }
}
