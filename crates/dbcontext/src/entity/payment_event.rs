//! Events received from gateways.

use appcore::Timestamp;
use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "payment_events")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub gateway: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub event_id: String,
    pub kind: String,
    pub raw: String,
    /// Parsed event as JSON.
    pub notice: String,
    /// Subject that is unknown until a later event; `applied_at` is `None` while it waits.
    pub awaited_subject: Option<String>,
    pub payment_id: Option<Uuid>,
    pub verified_at: Timestamp,
    pub applied_at: Option<Timestamp>,
    /// Charge that a waiting event is about.
    pub charge: Option<String>,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
