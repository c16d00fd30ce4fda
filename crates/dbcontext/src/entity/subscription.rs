//! Subscriptions. An account has at most one; a new subscription replaces an ended one.

use appcore::{PaymentMethodId, PlanId, Timestamp, UserId, WorkspaceId};
use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "subscriptions")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// User or workspace that the subscription is for; `user_id` pays.
    pub account_id: Uuid,
    pub workspace_id: Option<WorkspaceId>,
    pub user_id: UserId,
    pub plan_id: PlanId,
    /// Payment of the current period.
    pub payment_id: Option<Uuid>,
    pub state: String,
    pub gateway: Option<String>,
    pub currency: Option<String>,
    pub seats: i64,
    /// Day of the month on which periods end; 0 to use the day of `period_end`.
    pub anchor_day: i64,
    pub period: i64,
    pub starts_at: Timestamp,
    pub period_end: Timestamp,
    /// End of the subscription, including the grace period after `period_end`.
    pub ends_at: Timestamp,
    pub next_plan_id: Option<PlanId>,
    pub next_seats: Option<i64>,
    pub method_id: Option<PaymentMethodId>,
    /// Number of attempts to charge for the next period.
    pub attempts: i64,
    /// True if a charge attempt is in progress.
    pub is_charging: bool,
    /// Last period of whose end the payer was reminded.
    pub reminded_period: i64,
    pub due_at: Option<Timestamp>,
    pub updated_at: Timestamp,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
