//! Durable jobs: what was asked for in a transaction and is done after it, by whichever instance gets to it first.
//!
//! A job is inserted in the transaction that makes it necessary: an answer with the message that asks for it, a
//! letter with the change that it tells of. A [worker](Workers) claims it with a lease and renews the lease
//! while it works; when it dies, the lease runs out and another worker starts over. An instance that is told to stop gives its
//! jobs back at once.
//!
//! This crate is the engine and knows no kind of job. What a job says is [stored](Stored) by whoever asks for it; how it is done is its
//! [kind](Job), which may stand far above them. The program that the engine works for is its [`Host`], with the table of [kinds](Kind). Each kind
//! has its own places on each instance, so that a hundred answers of a slow model don't keep a letter waiting.
//!
//! A job that fails is tried again by the schedule (`jobs.backoff`: 1 min, 10 min, 1 h, 1 day), then it is a dead letter, from where an
//! administrator can put it back.
//!
//! An instance that is killed is missed within two seconds (`survivors`), and others go on with what it held; a host that vanishes is given up
//! with its leases.

mod kind;
mod lease;
mod survivors;
mod worker;

use std::time::Duration;

use appcore::{
    AppError, InstanceId, Timestamp,
    config::Config,
    event::{BusMessage, EventBus, Signal},
};
use dbcontext::{
    Database,
    query::{self, jobs::JobOwner},
};
use sea_orm::ConnectionTrait;
use uuid::Uuid;

pub use self::{
    kind::{Ended, Job, Kind, Stored, Work},
    lease::{Lease, Over},
    worker::{Workers, caught, start_workers},
};

/// The program that the engine works for.
pub trait Host: Send + Sync + 'static {
    fn db(&self) -> &Database;

    fn bus(&self) -> &dyn EventBus;

    fn config(&self) -> &Config;

    fn instance_id(&self) -> InstanceId;

    /// Hears what other parts, here and on other instances, want of jobs that are being worked on.
    fn heard(&self, signal: Signal);
}

/// Asks for a job, in the caller's transaction. It is found within a second; [`wake`] after the commit makes haste.
pub async fn ask<C: ConnectionTrait>(db: &C, now: Timestamp, job: &impl Stored) -> Result<(), AppError> {
    ask_after(db, now, job, Duration::ZERO).await
}

/// [`ask`] on somebody's behalf: jobs of its kind are claimed in turn, so whoever asks for many keeps nobody else waiting.
pub async fn ask_for<C: ConnectionTrait>(
    db: &C,
    now: Timestamp,
    job: &impl Stored,
    owner: impl Into<JobOwner>,
) -> Result<(), AppError> {
    ask_for_after(db, now, job, Duration::ZERO, owner).await
}

/// [`ask_for`] a job that is done when `wait` has passed.
pub async fn ask_for_after<C: ConnectionTrait>(
    db: &C,
    now: Timestamp,
    job: &impl Stored,
    wait: Duration,
    owner: impl Into<JobOwner>,
) -> Result<(), AppError> {
    let piece = query::jobs::insert_after(db.get_database_backend(), vec![job.new_job_for(owner)?], now, wait)?;
    query::execute(db, vec![piece]).await
}

/// [`ask_for`] a job that is done at a time.
pub async fn ask_for_at<C: ConnectionTrait>(
    db: &C,
    now: Timestamp,
    job: &impl Stored,
    at: Timestamp,
    owner: impl Into<JobOwner>,
) -> Result<(), AppError> {
    let wait = Duration::from_millis(at.0.saturating_sub(now.0).max(1).unsigned_abs());
    ask_for_after(db, now, job, wait, owner).await
}

/// [`ask`] for a job that is done when `wait` has passed.
pub async fn ask_after<C: ConnectionTrait>(
    db: &C,
    now: Timestamp,
    job: &impl Stored,
    wait: Duration,
) -> Result<(), AppError> {
    let piece = query::jobs::insert_after(db.get_database_backend(), vec![job.new_job()?], now, wait)?;
    query::execute(db, vec![piece]).await
}

/// Removes the jobs of kind `J` about `subject` that have not started, in the caller's transaction.
pub async fn cancel<J: Stored>(db: &impl ConnectionTrait, subject: Uuid) -> Result<(), AppError> {
    query::jobs::remove_waiting(db, J::KIND, subject).await
}

/// Tells the workers of all instances that there is something to do.
pub fn wake(bus: &dyn EventBus) {
    drop(bus.publish(vec![BusMessage::Signal(Signal::JobsWaiting)]));
}
