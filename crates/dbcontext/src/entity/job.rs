//! Durable jobs. `due_at` is the time from which one may be claimed: while it runs, the end of its lease; none once it has ended.

use appcore::{InstanceId, JobId, Timestamp, UserId, WorkspaceId};
use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "jobs")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: JobId,
    pub kind: String,
    /// Jobs with the same key run one at a time.
    pub concurrency_key: String,
    /// What it works on.
    pub subject: Uuid,
    /// What the kind needs, as JSON.
    pub payload: String,
    pub status: String,
    /// How often it was claimed.
    pub attempt: i32,
    /// How often it had been claimed when it was put back among the waiting; and how often it was handed on since.
    pub attempts_before: i32,
    pub due_at: Option<Timestamp>,
    pub leased_by: Option<InstanceId>,
    pub stop_requested: bool,
    /// Who asked for it, and in which workspace.
    pub owner: Option<UserId>,
    pub scope: Option<WorkspaceId>,
    /// The round in which it is claimed; none: when it is due.
    pub turn: Option<i64>,
    /// Its place among those of its workspace in that round.
    pub scope_turn: Option<i64>,
    /// Whether it waits for a running job with the same key.
    pub is_blocked: bool,
    /// What went wrong, for an operator.
    pub error: Option<String>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl ActiveModelBehavior for ActiveModel {}
