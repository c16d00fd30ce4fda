//! The kinds of jobs, and what each one says of itself.

use std::future::Future;

use appcore::{AppError, config::Config};
use dbcontext::{entity::job, query::jobs::NewJob};
use futures_util::future::{BoxFuture, FutureExt as _};
use serde::{Serialize, de::DeserializeOwned};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::lease::Lease;
use crate::App;

/// Jobs of a kind that one instance works on at the same time, where the kind does not say otherwise.
const USUAL_PLACES: usize = 8;

/// A job: what is stored of it, and how a worker brings it to its end.
pub(crate) trait Job: Serialize + DeserializeOwned + Send {
    const KIND: &'static str;

    /// How many of them this instance works on at the same time. Each kind has its own places: what is slow makes only its like wait.
    fn places(_config: &Config) -> usize {
        USUAL_PLACES
    }

    /// Of the jobs with the same concurrency_key one runs at a time.
    fn concurrency_key(&self) -> String;

    /// What it works on: by this it is found again.
    fn subject(&self) -> Uuid;

    fn run(self, work: Work<'_>) -> impl Future<Output = Result<Ended, AppError>> + Send;

    /// The job as it is stored.
    fn new_job(&self) -> Result<NewJob, AppError> {
        Ok(NewJob {
            kind: Self::KIND,
            concurrency_key: self.concurrency_key(),
            subject: self.subject(),
            payload: serde_json::to_string(self).map_err(AppError::internal)?,
            owner: None,
        })
    }
}

/// What a worker has in hand.
#[derive(Clone, Copy)]
pub(crate) struct Work<'a> {
    pub app: &'a App,
    pub claim: &'a job::Model,
    pub lease: &'a Lease,
    /// This instance stops: what can't be ended soon is for another one.
    pub draining: &'a CancellationToken,
}

/// How the work on a job ended. An error means that it is tried again, as the schedule says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Ended {
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

/// A kind without its type. The table of kinds stands where the [`App`] is built.
pub(crate) struct Kind {
    pub name: &'static str,
    pub places: fn(&Config) -> usize,
    pub run: for<'a> fn(Work<'a>) -> BoxFuture<'a, Result<Ended, AppError>>,
}

impl Kind {
    pub const fn of<J: Job>() -> Self {
        Self { name: J::KIND, places: J::places, run: run::<J> }
    }
}

fn run<J: Job>(work: Work<'_>) -> BoxFuture<'_, Result<Ended, AppError>> {
    async move {
        let job: J = serde_json::from_str(&work.claim.payload).map_err(AppError::internal)?;
        job.run(work).await
    }
    .boxed()
}
