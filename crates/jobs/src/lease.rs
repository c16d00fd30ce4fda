//! A worker's hold on a job.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use appcore::{AppError, JobId};
use dbcontext::{Database, entity::job, query};
use tokio::time::Instant;

/// How long a claim holds without being renewed.
pub(super) const LEASE: Duration = Duration::from_secs(10);
/// How often it is renewed: two renewals may fail before it is lost. A stop that went astray on the bus is seen here too.
const RENEWAL: Duration = Duration::from_secs(3);

/// The claim of a job. It holds as long as this instance can be sure that nobody else has the job.
#[derive(Debug)]
pub struct Lease {
    id: JobId,
    attempt: i32,
    holds_until: Mutex<Instant>,
}

/// Why a lease is not kept any longer.
#[derive(Debug, PartialEq, Eq)]
pub enum Over {
    /// A reader asked for the job to stop.
    StopRequested,
    /// Another worker has the job, or will soon.
    Lost,
}

impl Lease {
    /// Of a job that was claimed just now.
    pub(super) fn new(claim: &job::Model, claimed: Instant) -> Self {
        Self { id: claim.id, attempt: claim.attempt, holds_until: Mutex::new(claimed + LEASE) }
    }

    /// Whether nobody else can have the job: an instance that stood still for long finds out before it acts again.
    pub fn holds(&self) -> bool {
        Instant::now() < *self.holds_until.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Renews the lease for as long as it can be renewed.
    pub async fn keep(&self, db: &Database) -> Over {
        loop {
            tokio::time::sleep(RENEWAL).await;
            match self.renew(db).await {
                Ok(Some(renewed)) if renewed.stop_requested => return Over::StopRequested,
                Ok(Some(_)) => {}
                Ok(None) => return Over::Lost,
                Err(error) => {
                    tracing::warn!(%error, job = %self.id, "a job's lease could not be renewed");
                    if !self.holds() {
                        return Over::Lost;
                    }
                }
            }
        }
    }

    /// Extends the lease; `None` when it is lost.
    async fn renew(&self, db: &Database) -> Result<Option<query::jobs::LeaseState>, AppError> {
        // From before the question: the database counts from a later moment, so this side never holds it for longer.
        let asked = Instant::now();
        let renewed = query::jobs::renew(db.writer(), self.id, self.attempt, LEASE).await?;
        if renewed.is_some() {
            *self.holds_until.lock().unwrap_or_else(PoisonError::into_inner) = asked + LEASE;
        }
        Ok(renewed)
    }
}
