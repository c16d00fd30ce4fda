//! Payments that payers have disputed.

use appcore::{Timestamp, credits::MicroCredits};
use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "payment_disputes")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub payment_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub reference: String,
    /// Of the payment's money: what it is taken to be about.
    pub amount: i64,
    pub credits: MicroCredits,
    pub state: String,
    pub created_at: Timestamp,
    /// Disputed amount that the gateway reported last. `None`: unknown.
    pub reported_amount: Option<i64>,
    pub reported_currency: Option<String>,
}

impl ActiveModelBehavior for ActiveModel {}
