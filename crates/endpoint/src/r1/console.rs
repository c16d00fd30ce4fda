//! Figures, health and diagnostics for the administration console.

use std::time::Duration;

use actix_web::http::header::{CONTENT_DISPOSITION, HeaderValue};
use appcore::{
    AppError,
    view::{Checks, DrainState, EventStreamState, Figures, FiguresRange, Instance, ProfileKind},
};
use natter_macro::{dto, endpoint};
use ops::{checks, console};

use crate::{Access, Ctx, Endpoint, EndpointDef, NoInput, RateGroup, Raw, Reply, endpoint_trait::Bound};

pub(crate) const ENDPOINTS: &[EndpointDef] = &[
    EndpointDef::of::<ReadFigures>(),
    EndpointDef::of::<ListInstances>(),
    EndpointDef::of::<RunChecks>(),
    EndpointDef::of::<TakeProfile>(),
    EndpointDef::of::<ReadEventStream>(),
    EndpointDef::of::<StartDrain>(),
    EndpointDef::of::<StopDrain>(),
];

/// Deadline of a request for a profile. Writing a 30-second profile takes about as long as
/// recording it.
const PROFILE_DEADLINE: Duration = Duration::from_secs(60);

#[dto(request)]
pub struct ReadFiguresRequest {
    #[from(query)]
    pub range: Option<FiguresRange>,
}

/// Show key figures of the installation
///
/// Ten figures of all instances for the last hour (the default), day or thirty days, with current
/// values and problems. The last interval is not over yet.
#[endpoint(GET "/r1/admin/figures", tag = "admin", access = Access::Admin, rate = RateGroup::Read)]
impl Endpoint for ReadFigures {
    type Request = ReadFiguresRequest;
    type Response = Figures;

    async fn handle(ctx: &Ctx, request: ReadFiguresRequest) -> Result<Reply<Figures>, AppError> {
        Ok(Reply::of(console::figures(ctx.ops(), request.range.unwrap_or_default()).await?))
    }
}

/// List the running instances
///
/// Longest running first, as reported by each within the last minute.
#[endpoint(GET "/r1/admin/instances", tag = "admin", access = Access::Admin, rate = RateGroup::Read)]
impl Endpoint for ListInstances {
    type Request = NoInput;
    type Response = Vec<Instance>;

    async fn handle(ctx: &Ctx, _: NoInput) -> Result<Reply<Vec<Instance>>, AppError> {
        Ok(Reply::of(console::instances(ctx.ops()).await?))
    }
}

/// Run the installation's health checks
///
/// Like `natter doctor` on this instance: configuration, disk, key, database, clock, search, Redis,
/// mail server, AI providers, public address, backups, open files and jobs. Cached for ten seconds.
/// Failures of dependencies are also in `/health`.
#[endpoint(GET "/r1/admin/checks", tag = "admin", access = Access::Admin, rate = RateGroup::Read)]
impl Endpoint for RunChecks {
    type Request = NoInput;
    type Response = Checks;

    async fn handle(ctx: &Ctx, _: NoInput) -> Result<Reply<Checks>, AppError> {
        Ok(Reply::of(checks::all(ctx.ops()).await))
    }
}

#[dto(request)]
pub struct TakeProfileRequest {
    #[from(query)]
    pub kind: Option<ProfileKind>,
    /// Duration in seconds; by default 10.
    #[from(query)]
    #[validate(range(min = 1, max = 30))]
    pub seconds: Option<u64>,
}

/// Record a profile
///
/// Profiles this instance in pprof format: CPU usage (99 samples per second) or heap allocations in
/// use. Returns 404 in builds without the feature `profiling`, and 409 while another profile is
/// recorded. Recorded in the audit log.
#[endpoint(GET "/r1/admin/profile", tag = "admin", access = Access::Admin, rate = RateGroup::Read, deadline = Bound::Fixed(PROFILE_DEADLINE), errors(NotFound, WrongState), content("application/octet-stream"))]
impl Endpoint for TakeProfile {
    type Request = TakeProfileRequest;
    type Response = Raw;

    async fn handle(ctx: &Ctx, request: TakeProfileRequest) -> Result<Reply<Raw>, AppError> {
        let time = Duration::from_secs(request.seconds.unwrap_or(10));
        let kind = request.kind.unwrap_or_default();
        let profile = console::profile(ctx.ops(), ctx.user()?, kind, time).await?;
        let name = HeaderValue::from_static("attachment; filename=\"natter.pprof\"");
        Ok(Reply::bytes("application/octet-stream", profile.into()).header(CONTENT_DISPOSITION, name))
    }
}

/// Show the event stream
///
/// State of the message broker (`events.url`) through which other programs receive events.
#[endpoint(GET "/r1/admin/streams", tag = "admin", access = Access::Admin, rate = RateGroup::Read)]
impl Endpoint for ReadEventStream {
    type Request = NoInput;
    type Response = EventStreamState;

    async fn handle(ctx: &Ctx, _: NoInput) -> Result<Reply<EventStreamState>, AppError> {
        Ok(Reply::of(event_log::stream::state(&ctx.app().events).await?))
    }
}

/// Drain this instance
///
/// Closes the real-time connections of the instance that answers this request (WebSocket close code 1012), spread over at
/// most a quarter of `server.shutdown_grace_seconds`, and refuses new ones. `/health/simple` answers 503, so that load
/// balancers use other instances. The process keeps running: jobs and requests in progress continue.
#[endpoint(POST "/r1/admin/drain", tag = "admin", access = Access::Admin, rate = RateGroup::Write)]
impl Endpoint for StartDrain {
    type Request = NoInput;
    type Response = DrainState;

    async fn handle(ctx: &Ctx, _: NoInput) -> Result<Reply<DrainState>, AppError> {
        Ok(Reply::of(console::set_draining(ctx.ops(), ctx.user()?, true).await?))
    }
}

/// Stop draining this instance
///
/// The instance that answers this request accepts real-time connections again.
#[endpoint(DELETE "/r1/admin/drain", tag = "admin", access = Access::Admin, rate = RateGroup::Write)]
impl Endpoint for StopDrain {
    type Request = NoInput;
    type Response = DrainState;

    async fn handle(ctx: &Ctx, _: NoInput) -> Result<Reply<DrainState>, AppError> {
        Ok(Reply::of(console::set_draining(ctx.ops(), ctx.user()?, false).await?))
    }
}
