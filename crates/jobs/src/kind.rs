//! The kinds of jobs, and what each one says of itself.

use std::future::Future;

use appcore::{AppError, config::Config};
use dbcontext::{
    entity::job,
    query::jobs::{JobOwner, NewJob},
};
use futures_util::future::{BoxFuture, FutureExt as _};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use telemetry::{SpanRole::Consumer, Span};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::Lease;

/// Jobs of a kind that one instance works on at the same time, where the kind does not say otherwise.
const USUAL_PLACES: usize = 8;
/// The field of a payload that says what the job came of.
const TRACEPARENT: &str = "traceparent";

/// What is stored of a job. Whoever asks for it needs no more.
pub trait Stored: Serialize + Sized {
    const KIND: &'static str;

    /// Of the jobs with the same concurrency_key one runs at a time.
    fn concurrency_key(&self) -> String;

    /// What it works on: by this it is found again.
    fn subject(&self) -> Uuid;

    /// The job as it is stored.
    fn new_job(&self) -> Result<NewJob, AppError> {
        Ok(NewJob {
            kind: Self::KIND,
            concurrency_key: self.concurrency_key(),
            subject: self.subject(),
            payload: payload(self).map_err(AppError::internal)?,
            owner: None,
        })
    }

    /// [`new_job`](Self::new_job) on somebody's behalf.
    fn new_job_for(&self, owner: impl Into<JobOwner>) -> Result<NewJob, AppError> {
        Ok(NewJob { owner: Some(owner.into()), ..self.new_job()? })
    }
}

/// How a worker brings a job to its end. `S` is the state that it needs: the host, or a part of it.
pub trait Job<S>: Stored + DeserializeOwned + Send {
    /// How many of them this instance works on at the same time. Each kind has its own places: what is slow makes only its like wait.
    fn places(_config: &Config) -> usize {
        USUAL_PLACES
    }

    /// How many of these places one person's jobs take at most, so that others' find one.
    fn per_person(config: &Config) -> usize {
        Self::places(config).div_ceil(2)
    }

    fn run(self, work: Work<'_, S>) -> impl Future<Output = Result<Ended, AppError>> + Send;
}

/// A job as it is stored: with what it came of, where that is traced.
fn payload(job: &impl Serialize) -> Result<String, serde_json::Error> {
    let Some(from) = telemetry::traceparent() else { return serde_json::to_string(job) };
    let mut payload = serde_json::to_value(job)?;
    if let Value::Object(fields) = &mut payload {
        fields.insert(TRACEPARENT.to_owned(), from.into());
    }
    Ok(payload.to_string())
}

/// The span of a claimed job.
pub(super) fn trace(claim: &job::Model) -> Span {
    if !telemetry::is_on() {
        return Span::default();
    }
    let payload: Value = serde_json::from_str(&claim.payload).unwrap_or_default();
    let span = Span::within(Consumer, format!("job {}", claim.kind), payload[TRACEPARENT].as_str());
    span.set("natter.job.id", claim.id.to_string());
    span.set("natter.job.attempt", i64::from(claim.attempt));
    span
}

/// A claimed job and the state to work with.
pub struct Work<'a, S> {
    pub state: &'a S,
    pub claim: &'a job::Model,
    pub lease: &'a Lease,
    /// This instance stops: what can't be ended soon is for another one.
    pub draining: &'a CancellationToken,
}

impl<'a, S> Work<'a, S> {
    /// The same job with another state.
    #[must_use]
    pub const fn on<T>(self, state: &'a T) -> Work<'a, T> {
        Work { state, claim: self.claim, lease: self.lease, draining: self.draining }
    }
}

impl<S> Clone for Work<'_, S> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<S> Copy for Work<'_, S> {}

/// How the work on a job ended. An error means that it is tried again, as the schedule says.
#[derive(Debug, PartialEq, Eq)]
pub enum Ended {
    Done,
    /// This instance stops; the job is for another one.
    HandedOn,
    /// Another worker has the job.
    Lost,
    /// The job was put aside, to be claimed again later.
    Aside,
    /// Trying again would not help: a dead letter, with the reason for an operator.
    Hopeless(String),
}

/// A kind without its type.
pub struct Kind<H> {
    pub(crate) name: &'static str,
    pub(crate) places: fn(&Config) -> usize,
    pub(crate) per_person: fn(&Config) -> usize,
    pub(crate) run: for<'a> fn(Work<'a, H>) -> BoxFuture<'a, Result<Ended, AppError>>,
}

impl<H: Sync> Kind<H> {
    /// The kind of the jobs `J`, which run on the part `S` of the host.
    #[must_use]
    pub const fn of<J: Job<S>, S: Sync>() -> Self
    where
        H: AsRef<S>,
    {
        Self { name: J::KIND, places: J::places, per_person: J::per_person, run: run::<H, S, J> }
    }
}

fn run<H: AsRef<S> + Sync, S: Sync, J: Job<S>>(work: Work<'_, H>) -> BoxFuture<'_, Result<Ended, AppError>> {
    async move {
        let job: J = serde_json::from_str(&work.claim.payload).map_err(AppError::internal)?;
        job.run(work.on(work.state.as_ref())).await
    }
    .boxed()
}
