//! Subscriptions and saved payment methods.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{PlanName, Price, PricingPlan, QuotaUse};
use crate::{Timestamp, UserId, WorkspaceId, view::stored_by_name};

/// Status of a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SubscriptionStatus {
    Trialing,
    /// The current period is paid. If `ends_at` is set, the subscription ends then.
    Active,
    /// The period is over and the next one isn't paid. The subscription still works until
    /// `grace_until`.
    PastDue,
    Ended,
}

/// Payment method that a gateway has saved. No other card data is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PaymentMethod {
    pub id: Uuid,
    pub gateway: String,
    /// Brand of the card, such as `visa`.
    pub brand: String,
    pub last4: String,
    #[schema(required)]
    pub exp_month: Option<i64>,
    #[schema(required)]
    pub exp_year: Option<i64>,
    /// True for the payment method charged by default.
    pub is_default: bool,
    pub created_at: Timestamp,
}

/// Status of saving a payment method.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SetupStatus {
    Open,
    Saved,
    Failed,
    Expired,
}

/// Process of saving a payment method without a purchase.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct PaymentMethodSetup {
    pub id: Uuid,
    pub gateway: String,
    pub status: SetupStatus,
    /// Saved payment method; null if none yet.
    #[schema(required)]
    pub method: Option<PaymentMethod>,
    #[schema(required)]
    pub workspace_id: Option<WorkspaceId>,
    /// Time until which the process can be completed.
    pub expires_at: Timestamp,
}

/// Subscription of a user or a workspace.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Subscription {
    pub id: Uuid,
    pub plan: PricingPlan,
    pub status: SubscriptionStatus,
    /// Gateway of the last payment; null if none.
    #[schema(required)]
    pub gateway: Option<String>,
    /// Price of one period, for all seats.
    #[schema(required)]
    pub price: Option<Price>,
    /// Seats; null for a user's own subscription.
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
    /// End of the subscription unless it is resumed.
    #[schema(required)]
    pub ends_at: Option<Timestamp>,
    #[schema(required)]
    pub trial_ends_at: Option<Timestamp>,
    /// End of the grace period without payment.
    #[schema(required)]
    pub grace_until: Option<Timestamp>,
    /// True if it renews automatically; otherwise a payment link is e-mailed before the end.
    pub auto_renews: bool,
    #[schema(required)]
    pub next_attempt_at: Option<Timestamp>,
    pub failed_attempts: i64,
    /// Plan from the next period on; null if unchanged.
    #[schema(required)]
    pub next_plan: Option<PlanName>,
    #[schema(required)]
    pub next_seats: Option<i64>,
    #[schema(required)]
    pub method: Option<PaymentMethod>,
}

/// Subscription, as shown to administrators.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct AdminSubscription {
    #[serde(flatten)]
    pub subscription: Subscription,
    pub user_id: UserId,
}

/// Time at which a change of plan takes effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PlanChange {
    /// The change takes effect at once, and the difference is charged.
    Upgrade,
    /// The change takes effect at the start of the next period.
    Downgrade,
}

/// Effects of a change of plan or seats.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ChangePreview {
    pub kind: PlanChange,
    /// Amount due now.
    pub due_now: Price,
    /// Value of the rest of the paid period, already subtracted from `due_now`.
    pub credit: Price,
    /// Time of the change; null for at once.
    #[schema(required)]
    pub takes_effect_at: Option<Timestamp>,
    /// Price of each period after the change.
    pub next: Price,
    /// Usage above the limits of the new plan.
    pub excess: Vec<QuotaUse>,
    /// Number of members without a seat after the change, which is refused unless this is 0.
    pub seats_missing: i64,
}

stored_by_name! {
    SetupStatus { Open = "open", Saved = "saved", Failed = "failed", Expired = "expired" }
    SubscriptionStatus { Trialing = "trialing", Active = "active", PastDue = "past_due", Ended = "ended" }
}
