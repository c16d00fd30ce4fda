//! State of the publisher of the event stream, in one row.

use appcore::{InstanceId, Timestamp};
use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "event_stream")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: i16,
    /// Instance that publishes; `None` before the first one.
    pub holder: Option<InstanceId>,
    pub lease_until: Timestamp,
    /// Position of the last event in the broker's stream.
    pub published: i64,
    /// Reason for which the last attempt failed; `None` after a success.
    pub last_error: Option<String>,
    /// True if changes of accounts are recorded in `user_event_outbox`.
    pub user_events: bool,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
