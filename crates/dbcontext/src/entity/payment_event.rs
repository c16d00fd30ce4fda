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
    /// Parsed event (`PaymentWebhookEvent`) as JSON.
    pub notice: String,
    /// Payment or other subject that the event is about and that isn't known yet. The event waits
    /// for it; `applied_at` is `None` until then.
    pub awaited_subject: Option<String>,
    pub payment_id: Option<Uuid>,
    pub verified_at: Timestamp,
    pub applied_at: Option<Timestamp>,
    /// Charge that the waiting event is about.
    pub charge: Option<String>,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
