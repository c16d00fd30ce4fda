//! Where a gateway and we don't say the same.

use appcore::{PaymentDifferenceId, Timestamp};
use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "payment_differences")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: PaymentDifferenceId,
    pub gateway: String,
    pub kind: String,
    /// The payment's id, or what the gateway calls it.
    pub subject: String,
    pub payment_id: Option<Uuid>,
    pub recorded_amount: Option<i64>,
    pub reported_amount: Option<i64>,
    pub currency: Option<String>,
    pub state: String,
    pub note: Option<String>,
    pub found_at: Timestamp,
    pub closed_at: Option<Timestamp>,
}

impl ActiveModelBehavior for ActiveModel {}
