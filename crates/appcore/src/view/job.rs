//! Durable jobs, for administrators.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::stored_by_name;
use crate::{JobId, Timestamp};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Job {
    pub id: JobId,
    /// What it does, such as `mail` or `answer`.
    pub kind: String,
    pub status: JobStatus,
    /// How often it was begun, since it was put back last.
    pub attempts: u32,
    /// What went wrong last.
    pub error: Option<String>,
    /// When it is begun at the earliest. Null: never again, unless it is put back.
    pub run_at: Option<Timestamp>,
    pub created_at: Timestamp,
    /// What it is about: the ids in what it was told, by their names there, and of mail which letter it is. Nothing that somebody wrote.
    pub about: BTreeMap<String, String>,
}

/// The jobs of a kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct JobKind {
    pub kind: String,
    /// Those that somebody could work on now.
    pub due: i64,
    pub running: i64,
    pub dead: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum JobStatus {
    /// It waits for its time or for a worker.
    Queued,
    Running,
    /// It failed too often, or for good.
    Dead,
}

stored_by_name! {
    JobStatus { Queued = "queued", Running = "running", Dead = "dead" }
}
