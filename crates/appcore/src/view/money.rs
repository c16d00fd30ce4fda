//! Credits, plans and payments.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::stored_by_name;
use crate::{PlanId, Timestamp, UserId, WorkspaceId, credits::MicroCredits};

/// What somebody may use, and what is left of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Entitlements {
    /// The plan that is paid for; null: none.
    #[schema(required)]
    pub plan: Option<CurrentPlan>,
    /// Null: nothing is charged here.
    #[schema(required)]
    pub credits: Option<Credits>,
    pub quotas: Vec<QuotaUse>,
    #[schema(required)]
    pub trial_ends_at: Option<Timestamp>,
}

/// What a workspace has for what is used in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WorkspaceEntitlements {
    pub workspace_id: WorkspaceId,
    /// Whether it has credits: they pay for its members, in its conversations and by its keys.
    pub pays: bool,
    /// For owners and administrators; null where nothing is charged.
    #[schema(required)]
    pub credits: Option<Credits>,
    /// Null: none that holds.
    #[schema(required)]
    pub plan: Option<CurrentPlan>,
    pub quotas: Vec<QuotaUse>,
}

/// The plan that somebody has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CurrentPlan {
    pub id: Uuid,
    pub name: String,
    /// Null: it is not renewed by itself.
    #[schema(required)]
    pub renews_at: Option<Timestamp>,
    /// When it ends unless it is renewed.
    #[schema(required)]
    pub cancel_at: Option<Timestamp>,
}

/// Credits, in micro-credits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Credits {
    /// What is held is part of it.
    pub balance: MicroCredits,
    /// For what is under way.
    pub held: MicroCredits,
    pub available: MicroCredits,
    /// What was used or given back beyond the balance: the next credits pay it first.
    pub owed: MicroCredits,
    /// What the purchases and grants came to of which something is left: the balance is what is left of it.
    pub granted: MicroCredits,
}

/// What a plan allows of something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum QuotaMetric {
    /// Answers of assistants in a day.
    Answers,
    /// Calls of `/v1` in a day.
    GatewayCalls,
    /// Tokens in a day.
    Tokens,
    /// Bytes of one's files and texts.
    Storage,
    /// Members of a workspace, guests not counted.
    Members,
}

/// How much of a quota is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct QuotaUse {
    pub metric: QuotaMetric,
    pub used: i64,
    pub limit: i64,
    /// Null: it is of what is kept, and doesn't begin anew.
    #[schema(required)]
    pub resets_at: Option<Timestamp>,
}

/// Storage used by a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StorageUse {
    /// Size of all files and texts. The text of sent messages doesn't count.
    pub bytes: i64,
    /// The smaller of the plan's quota and the server's limit per person. Null: neither is set.
    #[schema(required)]
    pub quota_bytes: Option<i64>,
}

/// What a plan is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PlanKind {
    /// Credits and quotas for a period.
    Subscription,
    /// Credits that don't expire.
    Credits,
}

/// For how long a subscription is paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PlanInterval {
    Month,
    Year,
}

/// What a payment is to those who look at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PaymentStatus {
    /// It was asked for; the gateway may not know of it.
    Created,
    /// The gateway waits for the payer, or for the payer's bank.
    Pending,
    Paid,
    Failed,
    Expired,
    PartlyRefunded,
    Refunded,
    Disputed,
    /// What the gateway says doesn't fit: an administrator has to look.
    Quarantined,
}

stored_by_name! {
    QuotaMetric { Answers = "answers", GatewayCalls = "gateway_calls", Tokens = "tokens", Storage = "storage", Members = "members" }
    PlanKind { Subscription = "subscription", Credits = "credits" }
    PlanInterval { Month = "month", Year = "year" }
    DifferenceState { Open = "open", Healed = "healed", Closed = "closed" }
    RefundDecision { Ask = "ask", Done = "done", Failed = "failed" }
    RefundFilter { Stuck = "stuck" }
    SetupStatus { Open = "open", Saved = "saved", Failed = "failed", Expired = "expired" }
    SubscriptionStatus { Trialing = "trialing", Active = "active", PastDue = "past_due", Ended = "ended" }
    PaymentStatus {
        Created = "created",
        Pending = "pending",
        Paid = "paid",
        Failed = "failed",
        Expired = "expired",
        PartlyRefunded = "partly_refunded",
        Refunded = "refunded",
        Disputed = "disputed",
        Quarantined = "quarantined",
    }
}

/// What something costs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// ISO 4217.
    pub currency: String,
    /// In the currency's smallest unit: cents, but whole yen and dong.
    pub amount: i64,
}

/// Something that can be bought.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PricingPlan {
    #[schema(value_type = String, format = Uuid)]
    pub id: PlanId,
    pub name: String,
    pub kind: PlanKind,
    /// Of subscriptions.
    #[schema(required)]
    pub interval: Option<PlanInterval>,
    pub prices: Vec<Price>,
    /// Micro-credits: once, or for each period.
    pub credits: MicroCredits,
    /// What is not in it has no limit.
    pub quotas: BTreeMap<QuotaMetric, i64>,
    /// Sentences for the page with the plans.
    pub features: Vec<String>,
    pub trial_days: u32,
    pub is_active: bool,
}

/// A payment.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Payment {
    pub id: Uuid,
    pub status: PaymentStatus,
    pub gateway: String,
    /// In the currency's smallest unit.
    pub amount: i64,
    pub currency: String,
    pub plan_id: Uuid,
    pub plan_name: String,
    /// For which it was bought; null: for the payer.
    #[schema(required)]
    pub workspace_id: Option<WorkspaceId>,
    #[schema(required)]
    pub subscription_id: Option<Uuid>,
    /// Where the payer pays, while the payer can.
    #[schema(required)]
    pub redirect_url: Option<String>,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
    #[schema(required)]
    pub paid_at: Option<Timestamp>,
    pub refunded_amount: i64,
    /// Of the receipt, such as `2026-0001`.
    #[schema(required)]
    pub receipt: Option<String>,
    pub credit_notes: Vec<CreditNote>,
}

/// The paper of a refund.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct CreditNote {
    /// From the same numbers as receipts.
    pub number: String,
    pub amount: i64,
    pub created_at: Timestamp,
}

/// Who pays, as receipts name them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BillingDetails {
    /// Null: the payer's or the workspace's.
    #[schema(required)]
    pub name: Option<String>,
    /// Lines.
    #[schema(required)]
    pub address: Option<String>,
    /// ISO 3166, two letters.
    #[schema(required)]
    pub country: Option<String>,
    #[schema(required)]
    pub vat_id: Option<String>,
}

/// What became of a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DifferenceState {
    /// Somebody has to look.
    Open,
    /// Both sides say the same now.
    Healed,
    /// By an administrator.
    Closed,
}

/// Where a gateway and we don't say the same.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct PaymentDifference {
    pub id: Uuid,
    pub gateway: String,
    /// `unknown_here`, `not_paid_here`, `not_paid_there`, `amount` or `refund`.
    pub kind: String,
    #[schema(required)]
    pub payment_id: Option<Uuid>,
    /// The payment's id, or what the gateway calls it.
    pub reference: String,
    /// Amount in Natter's records, in the currency's smallest unit.
    #[schema(required)]
    pub local: Option<i64>,
    /// Amount in the gateway's records, in the currency's smallest unit.
    #[schema(required)]
    pub remote: Option<i64>,
    #[schema(required)]
    pub currency: Option<String>,
    pub state: DifferenceState,
    pub found_at: Timestamp,
    #[schema(required)]
    pub closed_at: Option<Timestamp>,
    #[schema(required)]
    pub note: Option<String>,
}

/// A payment as administrators see it.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct AdminPayment {
    #[serde(flatten)]
    pub payment: Payment,
    pub user_id: UserId,
    /// What is wrong with it.
    #[schema(required)]
    pub quarantine: Option<String>,
    /// By which the gateway knows it.
    #[schema(required)]
    pub reference: Option<String>,
    /// By which the gateway knows what was paid. Null: it hasn't said that anything was.
    #[schema(required)]
    pub charge: Option<String>,
    /// What the gateway says was paid, where that is something else.
    #[schema(required)]
    pub paid_amount: Option<i64>,
    #[schema(required)]
    pub paid_currency: Option<String>,
}

/// What a gateway has told of a payment.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct PaymentEvent {
    pub id: String,
    /// The gateway's word for it.
    #[serde(rename = "type")]
    pub kind: String,
    /// The money that it is about: paid, given back or disputed.
    #[schema(required)]
    pub money: Option<Price>,
    /// Not: it is of another account, or of a test where real money is meant, or the other way round.
    pub is_ours: bool,
    pub received_at: Timestamp,
    /// Null: it waits for what it is about.
    #[schema(required)]
    pub applied_at: Option<Timestamp>,
}

/// Money that went back.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct PaymentRefund {
    pub id: Uuid,
    pub amount: i64,
    /// `pending`, `done` or `failed`.
    pub state: String,
    pub reason: String,
    pub created_at: Timestamp,
    /// How often the gateway was asked since it was begun, or since an administrator had it asked again.
    pub tries: i64,
    /// What it has said instead of what became of it.
    #[schema(required)]
    pub last_answer: Option<String>,
    /// When it is asked next.
    #[schema(required)]
    pub next_try_at: Option<Timestamp>,
    /// It is pending, and nobody asks any more: an administrator has to end it.
    pub is_stuck: bool,
}

/// A dispute of a payment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PaymentDispute {
    /// By which the gateway knows it.
    pub reference: String,
    /// What of the payment it is taken to be about, and so is kept back.
    pub amount: i64,
    /// Disputed amount as the gateway reports it, if known.
    #[schema(required)]
    pub reported: Option<Price>,
    /// `open`, `won` or `lost`.
    pub state: String,
    pub created_at: Timestamp,
}

/// A payment with all that is known of it.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct AdminPaymentDetails {
    #[serde(flatten)]
    pub payment: AdminPayment,
    pub events: Vec<PaymentEvent>,
    pub refunds: Vec<PaymentRefund>,
    pub disputes: Vec<PaymentDispute>,
}

/// What becomes of a payment in quarantine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReleaseAs {
    /// It counts as what was asked for.
    Asked,
    /// It counts as what was really paid, with that part of the credits.
    Paid,
    /// It doesn't count, and what was paid goes back.
    Refused,
}

impl ReleaseAs {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Asked => "asked",
            Self::Paid => "paid",
            Self::Refused => "refused",
        }
    }
}

/// What an administrator says of a refund that is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RefundDecision {
    /// The gateway is asked again, at once and by the whole schedule.
    Ask,
    /// The money is back at the payer.
    Done,
    /// It won't come back: the credits are given back.
    Failed,
}

/// Of what kind a refund has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RefundFilter {
    /// It is pending, and nobody asks any more.
    Stuck,
}

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

/// A plan by its name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PlanName {
    pub id: Uuid,
    pub name: String,
    #[schema(required)]
    pub interval: Option<PlanInterval>,
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

/// A payment method.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PaymentGateway {
    pub name: String,
    /// Whether it can be used now.
    pub enabled: bool,
    /// The currencies that it takes.
    pub currencies: Vec<String>,
    /// Whether it is only for show: no real money.
    pub is_demo: bool,
    /// Whether the gateway can save payment methods for later charges.
    pub saves_methods: bool,
}

/// A payment method, for administrators.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AdminPaymentGateway {
    #[serde(flatten)]
    pub gateway: PaymentGateway,
    /// When it told of something last.
    pub last_event_at: Option<Timestamp>,
    /// When something was paid by it last.
    pub last_paid_at: Option<Timestamp>,
    /// Payments that have been open for ten minutes or more.
    pub waiting: i64,
    /// Refunds that it has not answered yet.
    pub refunds_waiting: i64,
    /// Refunds that it has not answered in a week, which an administrator has to end.
    pub refunds_stuck: i64,
}

/// One line of somebody's account.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct LedgerEntry {
    pub id: Uuid,
    /// `purchase`, `grant`, `hold`, `release`, `settle`, `expire`, `refund`, …
    pub kind: String,
    /// Less than nothing: it was taken.
    pub amount: MicroCredits,
    pub balance_after: MicroCredits,
    /// What it was for, such as `payment:0199…`.
    pub source: String,
    #[schema(required)]
    pub note: Option<String>,
    pub created_at: Timestamp,
}
