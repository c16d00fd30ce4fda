//! Outbox of the event stream for changes of accounts: events that the broker has not confirmed. Triggers insert them.

use appcore::{EventId, Timestamp, UserId, WorkspaceId};
use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "user_event_outbox")]
pub struct Model {
    /// Random bytes.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: EventId,
    /// Order of the events of a user.
    pub position: i64,
    pub kind: String,
    pub user_id: UserId,
    /// Workspace of the membership that has changed.
    pub workspace_id: Option<WorkspaceId>,
    /// JSON of the user or of the membership after the change; `None` if the account was deleted.
    pub data: Option<String>,
    pub created_at: Timestamp,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
