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

/// Default for the maximum number of concurrent jobs of a kind per instance.
const DEFAULT_MAX_CONCURRENT: usize = 8;
/// Field of the payload that contains the trace context of the request that enqueued the job.
const TRACEPARENT: &str = "traceparent";

/// Payload of a job. Code that only enqueues the job needs nothing else.
pub trait JobPayload: Serialize + Sized {
    const KIND: &'static str;

    /// Concurrency key: jobs with the same key run one at a time.
    fn concurrency_key(&self) -> String;

    /// Id of the entity the job is about; indexed for look-ups.
    fn subject(&self) -> Uuid;

    /// Creates the row of a job without an owner.
    fn new_job(&self) -> Result<NewJob, AppError> {
        Ok(NewJob {
            kind: Self::KIND,
            concurrency_key: self.concurrency_key(),
            subject: self.subject(),
            payload: payload(self).map_err(AppError::internal)?,
            owner: None,
        })
    }

    /// Creates the row of a job with an owner, for fair scheduling; see [`new_job`](Self::new_job).
    fn new_job_for(&self, owner: impl Into<JobOwner>) -> Result<NewJob, AppError> {
        Ok(NewJob { owner: Some(owner.into()), ..self.new_job()? })
    }
}

/// Handler of a kind of job. `S` is the state that it needs: the [host](Host) or a part of it.
pub trait Job<S>: JobPayload + DeserializeOwned + Send {
    /// Maximum number of concurrent jobs of this kind per instance. Each kind has its own limit, so
    /// that slow jobs delay only jobs of their kind.
    fn max_concurrent(_config: &Config) -> usize {
        DEFAULT_MAX_CONCURRENT
    }

    /// Maximum number of these that may belong to the same user, so that other users get their
    /// share.
    fn max_concurrent_per_user(config: &Config) -> usize {
        Self::max_concurrent(config).div_ceil(2)
    }

    fn run(self, work: JobContext<'_, S>) -> impl Future<Output = Result<JobOutcome, AppError>> + Send;
}

/// Serialises a job. Adds the trace context if tracing is on.
fn payload(job: &impl Serialize) -> Result<String, serde_json::Error> {
    let Some(from) = telemetry::traceparent() else { return serde_json::to_string(job) };
    let mut payload = serde_json::to_value(job)?;
    if let Value::Object(fields) = &mut payload {
        fields.insert(TRACEPARENT.to_owned(), from.into());
    }
    Ok(payload.to_string())
}

/// Creates the tracing span of a claimed job.
pub(super) fn job_span(claim: &job::Model) -> Span {
    if !telemetry::is_on() {
        return Span::default();
    }
    let payload: Value = serde_json::from_str(&claim.payload).unwrap_or_default();
    let span = Span::start_within(Consumer, format!("job {}", claim.kind), payload[TRACEPARENT].as_str());
    span.set_attribute("messaging.system", "natter");
    span.set_attribute("messaging.operation.name", "process");
    span.set_attribute("messaging.operation.type", "process");
    span.set_attribute("messaging.destination.name", claim.kind.clone());
    span.set_attribute("messaging.message.id", claim.id.to_string());
    span.set_attribute("natter.job.attempt", i64::from(claim.attempt));
    span
}

/// Claimed job, with the state that its handler needs.
pub struct JobContext<'a, S> {
    pub state: &'a S,
    pub claim: &'a job::Model,
    pub lease: &'a Lease,
    /// Cancelled when this instance shuts down. A job that can't finish soon should then return
    /// [`JobOutcome::Requeued`].
    pub draining: &'a CancellationToken,
}

impl<'a, S> JobContext<'a, S> {
    /// Returns the same job with another state.
    #[must_use]
    pub const fn with_state<T>(self, state: &'a T) -> JobContext<'a, T> {
        JobContext { state, claim: self.claim, lease: self.lease, draining: self.draining }
    }
}

impl<S> Clone for JobContext<'_, S> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<S> Copy for JobContext<'_, S> {}

/// Outcome of an attempt. If the handler returns an error instead, the job is retried on schedule.
#[derive(Debug, PartialEq, Eq)]
pub enum JobOutcome {
    Done,
    /// This instance is shutting down; the job goes back to the queue.
    Requeued,
    /// Another worker has taken over the job.
    Lost,
    /// The job is suspended and will be claimed again later.
    Suspended,
    /// Retrying is of no use: the job becomes a dead letter. The text is the reason, for operators.
    DeadLettered(String),
}

/// Kind of job in a form that doesn't depend on its types.
pub struct JobRegistration<H> {
    pub(crate) name: &'static str,
    pub(crate) max_concurrent: fn(&Config) -> usize,
    pub(crate) max_concurrent_per_user: fn(&Config) -> usize,
    pub(crate) run: for<'a> fn(JobContext<'a, H>) -> BoxFuture<'a, Result<JobOutcome, AppError>>,
}

impl<H: Sync> JobRegistration<H> {
    /// Registers the jobs `J`, which run with the state `S` of the host.
    #[must_use]
    pub const fn of<J: Job<S>, S: Sync>() -> Self
    where
        H: AsRef<S>,
    {
        Self {
            name: J::KIND,
            max_concurrent: J::max_concurrent,
            max_concurrent_per_user: J::max_concurrent_per_user,
            run: run::<H, S, J>,
        }
    }
}

impl<H> JobRegistration<H> {
    /// Name of the kind, as in [`Job::KIND`].
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }
}

fn run<H: AsRef<S> + Sync, S: Sync, J: Job<S>>(work: JobContext<'_, H>) -> BoxFuture<'_, Result<JobOutcome, AppError>> {
    async move {
        let job: J = serde_json::from_str(&work.claim.payload).map_err(AppError::internal)?;
        job.run(work.with_state(work.state.as_ref())).await
    }
    .boxed()
}
