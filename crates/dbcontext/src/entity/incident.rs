//! Incidents detected by instances.

use appcore::{InstanceId, Timestamp};
use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "incidents")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// Kind of incident; unknown here if a newer release has written it.
    pub kind: String,
    /// Instance that detected the incident.
    pub instance_id: InstanceId,
    pub began_at: Timestamp,
    pub ended_at: Option<Timestamp>,
    /// Number of failed or late requests, if known.
    pub impact: Option<i64>,
    pub affected_users: Option<i64>,
    pub detail: Option<String>,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
