//! Money that went back to payers.

use appcore::{PaymentRefundId, Timestamp, UserId, credits::MicroCredits};
use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "payment_refunds")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: PaymentRefundId,
    pub payment_id: Uuid,
    pub reference: Option<String>,
    pub amount: i64,
    pub credits: MicroCredits,
    pub state: String,
    pub reason: String,
    pub requested_by: Option<UserId>,
    pub created_at: Timestamp,
    /// When it is asked about next. None, while it is pending: nobody asks any more, and an administrator has to end it.
    pub check_at: Option<Timestamp>,
    /// Attempts and polls since the start, or since an administrator restarted it.
    pub attempts: i64,
    /// Since when it may have been done without our knowing: written before the gateway hears of it.
    pub unknown_since: Option<Timestamp>,
    /// What the gateway has said instead of what became of it.
    pub last_answer: Option<String>,
    /// Gateway's time of the event that set the state. `None`: no gateway event did.
    pub reported_at: Option<Timestamp>,
    /// How often it was done after it had failed.
    pub reversals: i64,
    /// Year and number of the credit note, set together with `refunded_at`.
    pub credit_note_year: Option<i64>,
    pub credit_note_number: Option<i64>,
    pub refunded_at: Option<Timestamp>,
}

impl ActiveModelBehavior for ActiveModel {}
