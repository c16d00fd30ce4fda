//! What gateways have told.

use appcore::Timestamp;
use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "payment_events")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub gateway: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub event_id: String,
    pub kind: String,
    pub raw: String,
    /// JSON.
    pub notice: String,
    pub awaited_subject: Option<String>,
    pub payment_id: Option<Uuid>,
    pub verified_at: Timestamp,
    pub applied_at: Option<Timestamp>,
    /// While it waits for one: the charge that it is about.
    pub charge: Option<String>,
}

impl ActiveModelBehavior for ActiveModel {}
