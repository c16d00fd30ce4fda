//! Durable jobs, as shown in the admin console.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::stored_by_name;
use crate::{JobId, Timestamp};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Job {
    pub id: JobId,
    /// Kind of the job, such as `mail` or `answer`.
    pub kind: String,
    pub status: JobStatus,
    /// Attempts since the last requeueing.
    pub attempts: u32,
    /// Error of the last attempt.
    pub error: Option<String>,
    /// Next attempt at the earliest; null if it must be requeued.
    pub run_at: Option<Timestamp>,
    pub created_at: Timestamp,
    /// Ids in the job's data, by name; for mail also its kind. No content of users.
    pub about: BTreeMap<String, String>,
}

/// Numbers of jobs of one kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct JobKind {
    pub kind: String,
    /// Number of jobs that are ready to run.
    pub due: i64,
    pub running: i64,
    pub dead: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum JobStatus {
    /// The job waits for its time or for a worker.
    Queued,
    Running,
    /// The job has failed permanently, or too often.
    Dead,
}

stored_by_name! {
    JobStatus { Queued = "queued", Running = "running", Dead = "dead" }
}
