//! Money that went back to payers.

use appcore::{Timestamp, UserId, credits::MicroCredits};
use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "payment_refunds")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub payment_id: Uuid,
    pub reference: Option<String>,
    pub amount: i64,
    pub credits: MicroCredits,
    pub state: String,
    pub reason: String,
    pub by_user: Option<UserId>,
    pub created_at: Timestamp,
    pub check_at: Option<Timestamp>,
    /// Of the credit note, once the money is back.
    pub note_year: Option<i64>,
    pub note_number: Option<i64>,
    pub done_at: Option<Timestamp>,
}

impl ActiveModelBehavior for ActiveModel {}
