//! Subscriptions and saved payment methods.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{PlanName, Price, PricingPlan, QuotaUse};
use crate::{Timestamp, UserId, WorkspaceId, view::stored_by_name};

/// How a subscription stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SubscriptionStatus {
    Trialing,
    /// It is paid; with `ends_at`, it ends then.
    Active,
    /// The period is over and the next one isn't paid; it still works until `grace_until`.
    PastDue,
    Ended,
}

/// What a gateway keeps for later charges: no more of a card than this.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PaymentMethod {
    pub id: Uuid,
    pub gateway: String,
    /// Such as `visa`.
    pub brand: String,
    pub last4: String,
    #[schema(required)]
    pub exp_month: Option<i64>,
    #[schema(required)]
    pub exp_year: Option<i64>,
    /// Whether what comes next is charged to it.
    pub is_default: bool,
    pub created_at: Timestamp,
}

/// How far somebody got who saves a payment method.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SetupStatus {
    Open,
    Saved,
    Failed,
    Expired,
}

/// A payment method that is being saved, without buying anything.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct PaymentMethodSetup {
    pub id: Uuid,
    pub gateway: String,
    pub status: SetupStatus,
    /// What was saved.
    #[schema(required)]
    pub method: Option<PaymentMethod>,
    #[schema(required)]
    pub workspace_id: Option<WorkspaceId>,
    /// How long it can be.
    pub expires_at: Timestamp,
}

/// What a person or a workspace has.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Subscription {
    pub id: Uuid,
    pub plan: PricingPlan,
    pub status: SubscriptionStatus,
    /// Null: nothing was paid yet.
    #[schema(required)]
    pub gateway: Option<String>,
    /// Of one period, for all seats.
    #[schema(required)]
    pub price: Option<Price>,
    /// Null: a person's own.
    #[schema(required)]
    pub seats: Option<i64>,
    #[schema(required)]
    pub seats_used: Option<i64>,
    #[schema(required)]
    pub workspace_id: Option<WorkspaceId>,
    pub period_start: Timestamp,
    pub period_end: Timestamp,
    #[schema(required)]
    pub renews_at: Option<Timestamp>,
    /// It ends then, unless it is resumed.
    #[schema(required)]
    pub ends_at: Option<Timestamp>,
    #[schema(required)]
    pub trial_ends_at: Option<Timestamp>,
    /// Until when it still works, though it isn't paid.
    #[schema(required)]
    pub grace_until: Option<Timestamp>,
    /// Whether the subscription renews automatically. If false, the payer is emailed a payment link before it ends.
    pub auto_renews: bool,
    #[schema(required)]
    pub next_attempt_at: Option<Timestamp>,
    pub failed_attempts: i64,
    /// What it becomes with the next period.
    #[schema(required)]
    pub next_plan: Option<PlanName>,
    #[schema(required)]
    pub next_seats: Option<i64>,
    #[schema(required)]
    pub method: Option<PaymentMethod>,
}

/// A subscription as administrators see it.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct AdminSubscription {
    #[serde(flatten)]
    pub subscription: Subscription,
    pub user_id: UserId,
}

/// Whether a change comes at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PlanChange {
    /// At once, against the difference.
    Upgrade,
    /// With the next period.
    Downgrade,
}

/// What would follow from a change of a plan or its seats.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ChangePreview {
    pub kind: PlanChange,
    /// What is to be paid now.
    pub due_now: Price,
    /// What the rest of the period is worth, which `due_now` leaves out.
    pub credit: Price,
    /// Null: now.
    #[schema(required)]
    pub takes_effect_at: Option<Timestamp>,
    /// What each period costs from then on.
    pub next: Price,
    /// Today's usage in excess of the new plan's limits.
    pub excess: Vec<QuotaUse>,
    /// Members who would have no seat: then it can't be changed.
    pub seats_missing: i64,
}

stored_by_name! {
    SetupStatus { Open = "open", Saved = "saved", Failed = "failed", Expired = "expired" }
    SubscriptionStatus { Trialing = "trialing", Active = "active", PastDue = "past_due", Ended = "ended" }
}
