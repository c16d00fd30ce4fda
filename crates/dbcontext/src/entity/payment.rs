//! Payments.

use appcore::{PaymentMethodId, PlanId, Timestamp, UserId, WorkspaceId, credits::MicroCredits};
use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "payments")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub user_id: UserId,
    pub plan_id: PlanId,
    pub gateway: String,
    pub amount: i64,
    pub currency: String,
    pub stage: String,
    pub status: String,
    pub idempotency_key: String,
    pub return_path: Option<String>,
    pub reference: Option<String>,
    pub charge: Option<String>,
    pub redirect_url: Option<String>,
    pub refunded: i64,
    pub is_disputed: bool,
    pub quarantine: Option<String>,
    pub receipt_year: Option<i64>,
    pub receipt_number: Option<i64>,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
    pub paid_at: Option<Timestamp>,
    pub check_at: Option<Timestamp>,
    /// Whom it is for, where that is not the payer.
    pub workspace_id: Option<WorkspaceId>,
    /// `purchase`, `renewal` (of a period, by itself), or `change` of a plan.
    pub purpose: String,
    pub subscription_id: Option<Uuid>,
    pub period: Option<i64>,
    pub seats: i64,
    /// For each seat; none: those of the plan.
    pub credits: Option<MicroCredits>,
    /// What the gateway says was paid, where that is something else.
    pub paid_amount: Option<i64>,
    pub paid_currency: Option<String>,
    /// The time that it pays for.
    pub period_start: Option<Timestamp>,
    pub period_end: Option<Timestamp>,
    /// Who pays, as they were then: JSON.
    pub buyer: Option<String>,
    /// What it is charged to, where that was saved before.
    pub method_id: Option<PaymentMethodId>,
    /// When an administrator has refused it: what is paid for it afterwards goes back.
    pub refused_at: Option<Timestamp>,
    /// The payment that a change was priced against. None for other payments and for changes older than this column.
    pub base_payment_id: Option<Uuid>,
}

impl ActiveModelBehavior for ActiveModel {}
