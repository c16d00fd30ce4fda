//! Payments and their state at the gateway.

use appcore::{PaymentMethodId, PlanId, Timestamp, UserId, WorkspaceId, credits::MicroCredits, view::PaymentStatus};
use sea_orm::entity::prelude::*;

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
    /// Progress of the payer through the checkout; `status` also covers refunds and disputes.
    pub stage: String,
    pub status: PaymentStatus,
    pub idempotency_key: String,
    pub return_path: Option<String>,
    /// Id of the order at the gateway; `charge` is the gateway's id of the paid charge.
    pub reference: Option<String>,
    pub charge: Option<String>,
    pub redirect_url: Option<String>,
    pub refunded: i64,
    pub is_disputed: bool,
    pub quarantine: Option<String>,
    pub receipt_year: Option<i64>,
    pub receipt_number: Option<i64>,
    pub expires_at: Timestamp,
    pub paid_at: Option<Timestamp>,
    /// Time at which the gateway is polled next.
    pub check_at: Option<Timestamp>,
    pub workspace_id: Option<WorkspaceId>,
    /// `purchase`, `renewal` or `change`.
    pub purpose: String,
    pub subscription_id: Option<Uuid>,
    pub period: Option<i64>,
    pub seats: i64,
    /// Credits per seat; `None` for the credits of the plan.
    pub credits: Option<MicroCredits>,
    /// Amount reported by the gateway, if it differs from the price.
    pub paid_amount: Option<i64>,
    pub paid_currency: Option<String>,
    pub period_start: Option<Timestamp>,
    pub period_end: Option<Timestamp>,
    /// Billing details at the time of the payment as JSON.
    pub buyer: Option<String>,
    /// Saved payment method that is charged.
    pub method_id: Option<PaymentMethodId>,
    /// Time at which an administrator refused the payment; money that arrives later is refunded.
    pub refused_at: Option<Timestamp>,
    /// For a plan change: payment of the current period, against which the change was priced.
    pub base_payment_id: Option<Uuid>,
    pub created_at: Timestamp,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
