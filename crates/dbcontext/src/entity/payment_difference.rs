//! Differences between the records of a gateway and ours.

use appcore::{PaymentDifferenceId, Timestamp, view::DifferenceState};
use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "payment_differences")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: PaymentDifferenceId,
    pub gateway: String,
    pub kind: String,
    /// Id of the payment or of the gateway's record.
    pub subject: String,
    pub payment_id: Option<Uuid>,
    pub recorded_amount: Option<i64>,
    pub reported_amount: Option<i64>,
    pub currency: Option<String>,
    pub state: DifferenceState,
    pub note: Option<String>,
    pub found_at: Timestamp,
    pub closed_at: Option<Timestamp>,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
