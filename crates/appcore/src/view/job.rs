//! Durable jobs, in the admin console.

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
    /// Attempts since the job was last requeued.
    pub attempts: u32,
    /// Last error.
    pub error: Option<String>,
    /// Earliest start. Null: the job runs only if it is requeued.
    pub run_at: Option<Timestamp>,
    pub created_at: Timestamp,
    /// Ids in the job's payload by their names there and, for mail, the kind of the mail. Contains
    /// no user content.
    pub about: BTreeMap<String, String>,
}

/// Counts of the jobs of a kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct JobKind {
    pub kind: String,
    /// Jobs that are ready to run.
    pub due: i64,
    pub running: i64,
    pub dead: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum JobStatus {
    /// Waiting for its time or for a worker.
    Queued,
    Running,
    /// Failed too often, or permanently.
    Dead,
}

stored_by_name! {
    JobStatus { Queued = "queued", Running = "running", Dead = "dead" }
}
