//! Lease of a worker on a job.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use appcore::{AppError, JobId};
use dbcontext::{Database, entity::job, query};
use tokio::time::Instant;

/// Duration of a lease if it is not renewed.
pub(super) const LEASE_DURATION: Duration = Duration::from_secs(10);
/// Interval of renewals. Two may fail before the lease is lost. A renewal also detects stop
/// requests that were lost on the bus.
const RENEWAL_INTERVAL: Duration = Duration::from_secs(3);

/// Lease of a claimed job. It holds for as long as this instance can be sure that no other instance
/// has the job.
#[derive(Debug)]
pub struct Lease {
    id: JobId,
    attempt: i32,
    valid_until: Mutex<Instant>,
}

/// Reason for the end of a lease.
#[derive(Debug, PartialEq, Eq)]
pub enum LeaseEnd {
    /// A user has requested the job to stop.
    StopRequested,
    /// Another worker has taken over the job, or is about to.
    Lost,
}

impl Lease {
    /// Creates the lease of a job that has just been claimed.
    pub(super) fn new(claim: &job::Model, claimed: Instant) -> Self {
        Self { id: claim.id, attempt: claim.attempt, valid_until: Mutex::new(claimed + LEASE_DURATION) }
    }

    /// True if no other worker can have the job. An instance that was paused for long must check
    /// this before it continues.
    pub fn is_valid(&self) -> bool {
        Instant::now() < *self.valid_until.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Renews the lease repeatedly until it ends; returns the reason.
    pub async fn keep_alive(&self, db: &Database) -> LeaseEnd {
        loop {
            tokio::time::sleep(RENEWAL_INTERVAL).await;
            match self.renew(db).await {
                Ok(Some(renewed)) if renewed.stop_requested => return LeaseEnd::StopRequested,
                Ok(Some(_)) => {}
                Ok(None) => return LeaseEnd::Lost,
                Err(error) => {
                    tracing::warn!(%error, job = %self.id, "failed to renew lease");
                    if !self.is_valid() {
                        return LeaseEnd::Lost;
                    }
                }
            }
        }
    }

    /// Extends the lease; returns `None` if it is lost.
    async fn renew(&self, db: &Database) -> Result<Option<query::jobs::LeaseState>, AppError> {
        // The time is taken before the query. The database counts from a later moment, so this
        // instance never considers the lease valid for longer than the database does.
        let asked = Instant::now();
        let renewed = query::jobs::renew(db.writer(), self.id, self.attempt, LEASE_DURATION).await?;
        if renewed.is_some() {
            *self.valid_until.lock().unwrap_or_else(PoisonError::into_inner) = asked + LEASE_DURATION;
        }
        Ok(renewed)
    }
}
