//! Refunds of payments.

use appcore::{PaymentRefundId, Timestamp, UserId, credits::MicroCredits};
use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "payment_refunds")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: PaymentRefundId,
    pub payment_id: Uuid,
    pub reference: Option<String>,
    pub amount: i64,
    /// Credits clawed back for the refund.
    pub credits: MicroCredits,
    pub state: String,
    pub reason: String,
    pub requested_by: Option<UserId>,
    /// Time at which the gateway is polled next. If `None` while the refund is pending, an
    /// administrator must resolve it.
    pub check_at: Option<Timestamp>,
    /// Year of the credit note; with `credit_note_number` it identifies the note.
    pub credit_note_year: Option<i64>,
    pub credit_note_number: Option<i64>,
    pub refunded_at: Option<Timestamp>,
    pub attempts: i64,
    /// Time since which the outcome is unknown; written before the request is sent to the gateway.
    pub unknown_since: Option<Timestamp>,
    /// Gateway's last response that did not settle the refund.
    pub last_answer: Option<String>,
    /// Time, according to the gateway, of the event that set the state.
    pub reported_at: Option<Timestamp>,
    /// Number of times that the gateway reported success after a failure.
    pub reversals: i64,
    pub created_at: Timestamp,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
