//! Announcements of the administrators.

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
    /// Only these.
    #[from(query)]
    pub status: Option<BroadcastStatus>,
    /// Only these.
    #[from(query)]
    pub severity: Option<Severity>,
    /// A part of the title.
    #[from(query)]
    pub q: Option<String>,
    #[from(page)]
    pub page: PageRequest,
}

/// List announcements
///
/// All of them, the newest first, with what has become of each.
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
    /// Markdown.
    #[schema(max_length = 2_000)]
    pub body: String,
    /// Left out, `info`.
    pub severity: Option<Severity>,
    pub audience: Audience,
    /// Left out, or past: now.
    pub starts_at: Option<Timestamp>,
    /// Left out: until it is withdrawn.
    pub ends_at: Option<Timestamp>,
    /// Whether people can put it away. Left out, unless it is critical.
    pub dismissible: Option<bool>,
    /// Left out, `banner`.
    pub channels: Option<Vec<BroadcastChannel>>,
}

/// Announce something
///
/// Those concerned who are here are told (`broadcast`) within a second of its beginning, on every instance; who comes later reads
/// `GET /r1/broadcasts/active`. What goes out by `mail` can't be taken back, and needs a fresh sign-in.
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

/// Count whom an announcement would reach
///
/// People with an account whom the audience has, and those of them who are here now.
#[endpoint(POST "/r1/broadcasts/preview", tag = "broadcasts", access = Access::Admin, rate = RateGroup::Read)]
impl Endpoint for PreviewBroadcast {
    type Request = PreviewBroadcastRequest;
    type Response = BroadcastPreview;

    async fn handle(ctx: &Ctx, request: PreviewBroadcastRequest) -> Result<Reply<BroadcastPreview>, AppError> {
        Ok(Reply::of(broadcasts::preview(ctx.conversations(), request.audience).await?))
    }
}

/// List the announcements that are shown to the caller
///
/// Those that hold now, concern the caller, and were not put away by them; the earliest first.
#[endpoint(GET "/r1/broadcasts/active", tag = "broadcasts", access = Access::User, rate = RateGroup::Read)]
impl Endpoint for ListShownBroadcasts {
    type Request = NoInput;
    type Response = Page<ShownBroadcast>;

    async fn handle(ctx: &Ctx, _: NoInput) -> Result<Reply<Page<ShownBroadcast>>, AppError> {
        let shown = broadcasts::shown(ctx.conversations(), ctx.user()?).await?;
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
/// With how many it got to, had it before their eyes, and put it away.
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
    /// Markdown.
    #[schema(max_length = 2_000)]
    pub body: Option<String>,
    pub severity: Option<Severity>,
    /// Only before it begins.
    pub audience: Option<Audience>,
    /// Only before it begins.
    pub starts_at: Option<Timestamp>,
    /// Null: until it is withdrawn.
    pub ends_at: Option<Option<Timestamp>>,
    pub dismissible: Option<bool>,
    /// Only before it begins.
    pub channels: Option<Vec<BroadcastChannel>>,
}

/// Change an announcement
///
/// One that is not over. Those who have it are told at once. Where it has yet to go out by `mail` it needs a fresh sign-in.
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
        Ok(Reply::of(broadcasts::change(ctx.conversations(), ctx.user()?, request.id, change).await?))
    }
}

/// Withdraw an announcement
///
/// It is taken away wherever it is shown: those who have it are told with `withdrawn_at`. Again, it stays withdrawn.
#[endpoint(POST "/r1/broadcasts/{id}/withdraw", tag = "broadcasts", access = Access::Admin, rate = RateGroup::Write, errors(WrongState))]
impl Endpoint for WithdrawBroadcast {
    type Request = BroadcastRequest;
    type Response = Broadcast;

    async fn handle(ctx: &Ctx, request: BroadcastRequest) -> Result<Reply<Broadcast>, AppError> {
        Ok(Reply::of(broadcasts::withdraw(ctx.conversations(), ctx.user()?, request.id).await?))
    }
}

/// Say that one has had an announcement before one's eyes
#[endpoint(POST "/r1/broadcasts/{id}/seen", tag = "broadcasts", access = Access::User, rate = RateGroup::Write)]
impl Endpoint for SeeBroadcast {
    type Request = BroadcastRequest;
    type Response = NoData;

    async fn handle(ctx: &Ctx, request: BroadcastRequest) -> Result<Reply<NoData>, AppError> {
        broadcasts::see(ctx.conversations(), ctx.user()?, request.id).await?;
        Ok(Reply::of(NoData))
    }
}

/// Put an announcement away
///
/// It is remembered for the person: their other devices are told (`broadcast.dismissed`).
#[endpoint(POST "/r1/broadcasts/{id}/dismiss", tag = "broadcasts", access = Access::User, rate = RateGroup::Write, errors(WrongState))]
impl Endpoint for DismissBroadcast {
    type Request = BroadcastRequest;
    type Response = NoData;

    async fn handle(ctx: &Ctx, request: BroadcastRequest) -> Result<Reply<NoData>, AppError> {
        broadcasts::dismiss(ctx.conversations(), ctx.user()?, request.id).await?;
        Ok(Reply::of(NoData))
    }
}
