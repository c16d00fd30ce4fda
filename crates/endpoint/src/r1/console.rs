//! What the console tells of the installation, for its administrators.

use std::time::Duration;

use actix_web::http::header::{CONTENT_DISPOSITION, HeaderValue};
use appcore::{
    AppError,
    view::{Checks, Figures, FiguresRange, Instance, ProfileKind},
};
use natter_macro::{dto, endpoint};
use ops::{checks, console};

use crate::{Access, Ctx, Endpoint, EndpointDef, NoInput, RateGroup, Raw, Reply, endpoint_trait::Bound};

pub(crate) const ENDPOINTS: &[EndpointDef] = &[
    EndpointDef::of::<ReadFigures>(),
    EndpointDef::of::<ListInstances>(),
    EndpointDef::of::<RunChecks>(),
    EndpointDef::of::<TakeProfile>(),
];

/// What is looked at for half a minute takes as long again to be written.
const PROFILE: Duration = Duration::from_secs(60);

#[dto(request)]
pub struct ReadFiguresRequest {
    #[from(query)]
    pub range: Option<FiguresRange>,
}

/// Read the installation's figures
///
/// Ten figures of all instances together over an hour (where nothing is said), a day or thirty days, what holds now, and what was wrong in
/// that time. The last value is of a time that is not over.
#[endpoint(GET "/r1/admin/figures", tag = "admin", access = Access::Admin, rate = RateGroup::Read)]
impl Endpoint for ReadFigures {
    type Request = ReadFiguresRequest;
    type Response = Figures;

    async fn handle(ctx: &Ctx, request: ReadFiguresRequest) -> Result<Reply<Figures>, AppError> {
        Ok(Reply::of(console::figures(ctx.ops(), request.range.unwrap_or_default()).await?))
    }
}

/// List the instances
///
/// Those that run, the eldest first, as each has said of itself in the last minute.
#[endpoint(GET "/r1/admin/instances", tag = "admin", access = Access::Admin, rate = RateGroup::Read)]
impl Endpoint for ListInstances {
    type Request = NoInput;
    type Response = Vec<Instance>;

    async fn handle(ctx: &Ctx, _: NoInput) -> Result<Reply<Vec<Instance>>, AppError> {
        Ok(Reply::of(console::instances(ctx.ops()).await?))
    }
}

/// Check what the installation needs
///
/// What `natter doctor` says, as the instance that answers sees it: configuration, disk, key, database, clock, search, Redis, mail server, AI providers,
/// public address, backups, open files, jobs. The list is kept for ten seconds. Faults among what it depends on stand in `/health` too.
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
    /// How long is looked; 10 where nothing is said.
    #[from(query)]
    #[validate(range(min = 1, max = 30))]
    pub seconds: Option<u64>,
}

/// Take a profile
///
/// Of the instance that answers, in pprof's format: what its processors do (99 times a second), or who allocates what stays in use. Only where the program
/// was built with the feature `profiling` (404 otherwise), one at a time (409), and it stands in the audit log.
#[endpoint(GET "/r1/admin/profile", tag = "admin", access = Access::Admin, rate = RateGroup::Read, deadline = Bound::Fixed(PROFILE), errors(NotFound, WrongState), content("application/octet-stream"))]
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
