//! Durable jobs: enqueued in a transaction and executed after its commit, by the first instance
//! that claims them.
//!
//! A job is inserted in the transaction that makes it necessary: the job of an answer in the
//! transaction of the message that requests it, the job of an email in the transaction of the
//! change that it reports. A [worker](Workers) claims it with a lease and renews the lease while it
//! works; if the worker dies, the lease expires and another worker runs the job from the start. An
//! instance that shuts down returns its jobs at once.
//!
//! This crate is only the engine; the kinds of jobs are defined elsewhere. Code that enqueues a job
//! needs only its [payload](JobPayload). The [handler](Job) may be in a crate on a higher layer.
//! The program that uses the engine implements [`Host`] and provides the table of
//! [kinds](JobRegistration). Each kind has its own concurrency limit on each instance, so that a
//! hundred answers of a slow model don't delay an email.
//!
//! A failed job is retried on schedule (`jobs.backoff`: 1 min, 10 min, 1 h, 1 day); after that it
//! becomes a dead letter, which an administrator can requeue.
//!
//! If an instance is killed, others detect that within two seconds and take over its jobs. If a
//! whole host vanishes, its jobs are taken over when their leases expire.

mod kind;
mod lease;
mod liveness;
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
    kind::{Job, JobContext, JobOutcome, JobPayload, JobRegistration},
    lease::{Lease, LeaseEnd},
    worker::{Workers, catch_panic, start_workers},
};

/// Program that uses the engine.
pub trait Host: Send + Sync + 'static {
    fn db(&self) -> &Database;

    fn bus(&self) -> &dyn EventBus;

    fn config(&self) -> &Config;

    fn instance_id(&self) -> InstanceId;

    /// Handles a signal of this or another instance that may be about running jobs.
    fn on_signal(&self, signal: Signal);
}

/// Enqueues a job in the caller's transaction. Workers find it within a second; calling [`wake`]
/// after the commit makes them poll at once.
pub async fn enqueue<C: ConnectionTrait>(db: &C, now: Timestamp, job: &impl JobPayload) -> Result<(), AppError> {
    enqueue_after(db, now, job, Duration::ZERO).await
}

/// Like [`enqueue`], but with an owner. Jobs of a kind are claimed in turn by owner, so that many
/// jobs of one user don't delay those of others.
pub async fn enqueue_for<C: ConnectionTrait>(
    db: &C,
    now: Timestamp,
    job: &impl JobPayload,
    owner: impl Into<JobOwner>,
) -> Result<(), AppError> {
    enqueue_for_after(db, now, job, Duration::ZERO, owner).await
}

/// Like [`enqueue_for`], but the job is due after a delay.
pub async fn enqueue_for_after<C: ConnectionTrait>(
    db: &C,
    now: Timestamp,
    job: &impl JobPayload,
    wait: Duration,
    owner: impl Into<JobOwner>,
) -> Result<(), AppError> {
    let piece = query::jobs::insert_after(db.get_database_backend(), vec![job.new_job_for(owner)?], now, wait)?;
    query::execute(db, vec![piece]).await
}

/// Like [`enqueue_for`], but the job is due at a given time.
pub async fn enqueue_for_at<C: ConnectionTrait>(
    db: &C,
    now: Timestamp,
    job: &impl JobPayload,
    at: Timestamp,
    owner: impl Into<JobOwner>,
) -> Result<(), AppError> {
    let wait = Duration::from_millis(at.0.saturating_sub(now.0).max(1).unsigned_abs());
    enqueue_for_after(db, now, job, wait, owner).await
}

/// Like [`enqueue`], but the job is due after a delay.
pub async fn enqueue_after<C: ConnectionTrait>(
    db: &C,
    now: Timestamp,
    job: &impl JobPayload,
    wait: Duration,
) -> Result<(), AppError> {
    let piece = query::jobs::insert_after(db.get_database_backend(), vec![job.new_job()?], now, wait)?;
    query::execute(db, vec![piece]).await
}

/// Removes the jobs of kind `J` about `subject` that have not started, in the caller's transaction.
pub async fn cancel<J: JobPayload>(db: &impl ConnectionTrait, subject: Uuid) -> Result<(), AppError> {
    query::jobs::remove_waiting(db, J::KIND, subject).await
}

/// Notifies the workers of all instances of new jobs.
pub fn wake_workers(bus: &dyn EventBus) {
    drop(bus.publish(vec![BusMessage::Signal(Signal::JobsWaiting)]));
}
