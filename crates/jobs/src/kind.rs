//! Job kinds: stored payload, limits and handler.

use std::future::Future;

use appcore::{AppError, config::Config};
use dbcontext::{
    entity::job,
    query::jobs::{JobOwner, NewJob},
};
use futures_util::future::{BoxFuture, FutureExt as _};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use telemetry::{Span, SpanRole::Consumer};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::Lease;

/// Default number of concurrent jobs of a kind per instance.
const DEFAULT_MAX_CONCURRENT: usize = 8;
/// Payload field with the trace context of the request that enqueued the job.
const TRACEPARENT: &str = "traceparent";

/// Payload of a job. It is all that code needs to enqueue the job.
pub trait JobPayload: Serialize + Sized {
    const KIND: &'static str;

    /// Jobs with the same key run one at a time.
    fn concurrency_key(&self) -> String;

    /// Id of the entity the job is about; indexed for look-ups.
    fn subject(&self) -> Uuid;

    /// Row of the job, without an owner.
    fn new_job(&self) -> Result<NewJob, AppError> {
        Ok(NewJob {
            kind: Self::KIND,
            concurrency_key: self.concurrency_key(),
            subject: self.subject(),
            payload: payload(self).map_err(AppError::internal)?,
            owner: None,
        })
    }

    /// Row of the job ([`new_job`](Self::new_job)) with an owner, for fair scheduling.
    fn new_job_for(&self, owner: impl Into<JobOwner>) -> Result<NewJob, AppError> {
        Ok(NewJob { owner: Some(owner.into()), ..self.new_job()? })
    }
}

/// Handler of a job kind. `S` is the state it needs: the host, or a part of it.
pub trait Job<S>: JobPayload + DeserializeOwned + Send {
    /// Maximum number of concurrent jobs of this kind per instance. Limits are per kind, so that
    /// slow jobs delay only their own kind.
    fn places(_config: &Config) -> usize {
        DEFAULT_MAX_CONCURRENT
    }

    /// Maximum number of concurrent jobs of one user within this limit, so that others get their
    /// share.
    fn per_person(config: &Config) -> usize {
        Self::places(config).div_ceil(2)
    }

    fn run(self, work: JobContext<'_, S>) -> impl Future<Output = Result<JobOutcome, AppError>> + Send;
}

/// Serialised job, with the trace context if tracing is on.
fn payload(job: &impl Serialize) -> Result<String, serde_json::Error> {
    let Some(from) = telemetry::traceparent() else { return serde_json::to_string(job) };
    let mut payload = serde_json::to_value(job)?;
    if let Value::Object(fields) = &mut payload {
        fields.insert(TRACEPARENT.to_owned(), from.into());
    }
    Ok(payload.to_string())
}

/// Tracing span of a claimed job.
pub(super) fn job_span(claim: &job::Model) -> Span {
    if !telemetry::is_on() {
        return Span::default();
    }
    let payload: Value = serde_json::from_str(&claim.payload).unwrap_or_default();
    let span = Span::start_within(Consumer, format!("job {}", claim.kind), payload[TRACEPARENT].as_str());
    span.set("natter.job.id", claim.id.to_string());
    span.set("natter.job.attempt", i64::from(claim.attempt));
    span
}

/// Claimed job with the state to work on.
pub struct JobContext<'a, S> {
    pub state: &'a S,
    pub claim: &'a job::Model,
    pub lease: &'a Lease,
    /// Cancelled when this instance shuts down; jobs that can't end soon should hand over.
    pub draining: &'a CancellationToken,
}

impl<'a, S> JobContext<'a, S> {
    /// Same job with another state.
    #[must_use]
    pub const fn on<T>(self, state: &'a T) -> JobContext<'a, T> {
        JobContext { state, claim: self.claim, lease: self.lease, draining: self.draining }
    }
}

impl<S> Clone for JobContext<'_, S> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<S> Copy for JobContext<'_, S> {}

/// Outcome of an attempt. An error means that the job is retried on schedule.
#[derive(Debug, PartialEq, Eq)]
pub enum JobOutcome {
    Done,
    /// This instance shuts down; the job goes back to the queue.
    Requeued,
    /// Another worker has taken over the job.
    Lost,
    /// The job is suspended and will be claimed again later.
    Suspended,
    /// A retry can't succeed: the job becomes a dead letter, with the reason for operators.
    DeadLettered(String),
}

/// Type-erased job kind.
pub struct JobRegistration<H> {
    pub(crate) name: &'static str,
    pub(crate) places: fn(&Config) -> usize,
    pub(crate) per_person: fn(&Config) -> usize,
    pub(crate) run: for<'a> fn(JobContext<'a, H>) -> BoxFuture<'a, Result<JobOutcome, AppError>>,
}

impl<H: Sync> JobRegistration<H> {
    /// Kind of the jobs `J`, which run on the part `S` of the host.
    #[must_use]
    pub const fn of<J: Job<S>, S: Sync>() -> Self
    where
        H: AsRef<S>,
    {
        Self { name: J::KIND, places: J::places, per_person: J::per_person, run: run::<H, S, J> }
    }
}

fn run<H: AsRef<S> + Sync, S: Sync, J: Job<S>>(work: JobContext<'_, H>) -> BoxFuture<'_, Result<JobOutcome, AppError>> {
    async move {
        let job: J = serde_json::from_str(&work.claim.payload).map_err(AppError::internal)?;
        job.run(work.on(work.state.as_ref())).await
    }
    .boxed()
}
