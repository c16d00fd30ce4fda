//! Durable jobs.

use appcore::{InstanceId, JobId, Timestamp, UserId, WorkspaceId};
use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "jobs")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: JobId,
    pub kind: String,
    /// Concurrency key: jobs that share one run one at a time.
    pub concurrency_key: String,
    /// Id of the entity the job is about; indexed for look-ups.
    pub subject: Uuid,
    pub payload: String,
    /// `waiting`, `running`, `done` or `dead`.
    pub status: String,
    /// Number of times that the job was claimed; tells one claim from the next.
    pub attempt: i32,
    /// Earliest start while the job waits, end of the lease while it runs, `None` once it has
    /// ended.
    pub due_at: Option<Timestamp>,
    pub leased_by: Option<InstanceId>,
    pub stop_requested: bool,
    /// Last error, for operators.
    pub error: Option<String>,
    /// User who requested the job; `scope` is the workspace.
    pub owner: Option<UserId>,
    pub scope: Option<WorkspaceId>,
    /// Round of fair scheduling in which the job is claimed; `None` if it is claimed at `due_at`.
    pub turn: Option<i64>,
    /// Position of the job among those of its workspace in that round.
    pub scope_turn: Option<i64>,
    /// True if the job waits for another job with the same concurrency key.
    pub is_blocked: bool,
    /// Number of claims that don't count as failed attempts: those before the last requeue or
    /// suspension, and those that a worker has released.
    pub attempts_before: i32,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
