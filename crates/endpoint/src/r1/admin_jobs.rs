//! Administration of durable jobs, both pending jobs and those that have failed permanently.

use appcore::{
    AppError, JobId,
    page::{Page, PageRequest},
    view::{Job, JobKind, JobStatus},
};
use identity::accounts::Confirmed;
use natter_macro::{dto, endpoint};
use ops::console::jobs;

use crate::{Access, Ctx, Endpoint, EndpointDef, NoData, NoInput, RateGroup, Reply};

pub(crate) const ENDPOINTS: &[EndpointDef] = &[
    EndpointDef::of::<ListJobs>(),
    EndpointDef::of::<ListJobKinds>(),
    EndpointDef::of::<RequeueJobs>(),
    EndpointDef::of::<DeleteJobs>(),
    EndpointDef::of::<RequeueJob>(),
    EndpointDef::of::<DeleteJob>(),
];

#[dto(request)]
pub struct ListJobsRequest {
    /// Only jobs with this status; `dead` if all attempts failed.
    #[from(query)]
    pub status: Option<JobStatus>,
    /// Only jobs of this kind, such as `mail`.
    #[from(query)]
    pub kind: Option<String>,
    #[from(page)]
    pub page: PageRequest,
}

/// List durable jobs
///
/// Newest first, without completed jobs.
#[endpoint(GET "/r1/admin/jobs", tag = "admin", access = Access::Admin, rate = RateGroup::Read)]
impl Endpoint for ListJobs {
    type Request = ListJobsRequest;
    type Response = Page<Job>;

    async fn handle(ctx: &Ctx, request: ListJobsRequest) -> Result<Reply<Page<Job>>, AppError> {
        Ok(Reply::of(jobs::list(ctx.ops(), request.status, request.kind.as_deref(), request.page).await?))
    }
}

/// List the kinds of durable jobs
///
/// Kinds of current jobs, with counts.
#[endpoint(GET "/r1/admin/job_kinds", tag = "admin", access = Access::Admin, rate = RateGroup::Read)]
impl Endpoint for ListJobKinds {
    type Request = NoInput;
    type Response = Vec<JobKind>;

    async fn handle(ctx: &Ctx, _: NoInput) -> Result<Reply<Vec<JobKind>>, AppError> {
        Ok(Reply::of(jobs::kinds(ctx.ops()).await?))
    }
}

#[dto(request)]
pub struct RequeueJobsRequest {
    /// Kind of the jobs; by default all.
    pub kind: Option<String>,
}

#[dto(response)]
pub struct RequeuedJobs {
    /// Number of jobs requeued.
    pub requeued: u64,
}

/// Retry the dead jobs of a kind
///
/// Runs at once, with the full number of attempts.
#[endpoint(POST "/r1/admin/jobs/requeue", tag = "admin", access = Access::Admin, rate = RateGroup::Write)]
impl Endpoint for RequeueJobs {
    type Request = RequeueJobsRequest;
    type Response = RequeuedJobs;

    async fn handle(ctx: &Ctx, request: RequeueJobsRequest) -> Result<Reply<RequeuedJobs>, AppError> {
        let requeued = jobs::requeue_all(ctx.ops(), ctx.user()?, request.kind.as_deref()).await?;
        Ok(Reply::of(RequeuedJobs { requeued }))
    }
}

#[dto(request)]
pub struct DeleteJobsRequest {
    /// Kind of the jobs; by default all.
    pub kind: Option<String>,
}

#[dto(response)]
pub struct DeletedJobs {
    /// Number of jobs deleted.
    pub deleted: u64,
}

/// Delete the dead jobs of a kind
///
/// Requires a fresh sign-in.
#[endpoint(DELETE "/r1/admin/jobs", tag = "admin", access = Access::Admin, rate = RateGroup::Write, requires = Confirmed)]
impl Endpoint for DeleteJobs {
    type Request = DeleteJobsRequest;
    type Response = DeletedJobs;

    async fn handle(ctx: &Ctx, request: DeleteJobsRequest, by: &Confirmed) -> Result<Reply<DeletedJobs>, AppError> {
        let deleted = jobs::delete_all(ctx.ops(), by, request.kind.as_deref()).await?;
        Ok(Reply::of(DeletedJobs { deleted }))
    }
}

#[dto(request)]
pub struct JobRequest {
    #[from(path)]
    pub id: JobId,
}

/// Retry a dead job
///
/// Runs at once, with the full number of attempts.
#[endpoint(POST "/r1/admin/jobs/{id}/requeue", tag = "admin", access = Access::Admin, rate = RateGroup::Write, errors(WrongState))]
impl Endpoint for RequeueJob {
    type Request = JobRequest;
    type Response = Job;

    async fn handle(ctx: &Ctx, request: JobRequest) -> Result<Reply<Job>, AppError> {
        Ok(Reply::of(jobs::requeue(ctx.ops(), ctx.user()?, request.id).await?))
    }
}

/// Delete a dead job
///
/// Requires a fresh sign-in.
#[endpoint(DELETE "/r1/admin/jobs/{id}", tag = "admin", access = Access::Admin, rate = RateGroup::Write, requires = Confirmed, errors(WrongState))]
impl Endpoint for DeleteJob {
    type Request = JobRequest;
    type Response = NoData;

    async fn handle(ctx: &Ctx, request: JobRequest, by: &Confirmed) -> Result<Reply<NoData>, AppError> {
        jobs::delete(ctx.ops(), by, request.id).await?;
        Ok(Reply::of(NoData))
    }
}
