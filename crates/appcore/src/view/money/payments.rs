//! Payments, refunds, disputes and payment gateways.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::Price;
use crate::{Timestamp, UserId, WorkspaceId, view::stored_by_name};

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

stored_by_name! {
    DifferenceState { Open = "open", Healed = "healed", Closed = "closed" }
    RefundDecision { Ask = "ask", Done = "done", Failed = "failed" }
    RefundFilter { Stuck = "stuck" }
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
