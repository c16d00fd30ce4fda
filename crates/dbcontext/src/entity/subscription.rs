//! What a person or a workspace has, and until when.

use appcore::{PaymentMethodId, PlanId, Timestamp, UserId, WorkspaceId};
use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "subscriptions")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// The person's or the workspace's.
    pub account_id: Uuid,
    pub workspace_id: Option<WorkspaceId>,
    /// Who pays, and is written to.
    pub user_id: UserId,
    pub plan_id: PlanId,
    /// Of the period; none in a trial.
    pub payment_id: Option<Uuid>,
    pub state: String,
    pub gateway: Option<String>,
    pub currency: Option<String>,
    pub seats: i64,
    /// The day of the month on which periods end; 0: that of `period_end`.
    pub anchor_day: i64,
    pub period: i64,
    pub starts_at: Timestamp,
    pub period_end: Timestamp,
    /// Until when it holds: the time after the period's end in which it may still be paid is part of it.
    pub ends_at: Timestamp,
    /// What it becomes with the next period.
    pub next_plan_id: Option<PlanId>,
    pub next_seats: Option<i64>,
    /// What the next period is charged to.
    pub method_id: Option<PaymentMethodId>,
    /// How often the next period was charged, and whether one such charge is under way.
    pub attempts: i64,
    pub is_charging: bool,
    /// Last period whose end the payer was reminded of.
    pub reminded_period: i64,
    /// When there is something to do about it.
    pub due_at: Option<Timestamp>,
    pub updated_at: Timestamp,
}

impl ActiveModelBehavior for ActiveModel {}
