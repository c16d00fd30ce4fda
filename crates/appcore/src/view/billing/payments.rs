//! Payments, refunds, disputes and payment gateways.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::Price;
use crate::{Timestamp, UserId, WorkspaceId, view::stored_by_name};

/// Status of a payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PaymentStatus {
    /// The payment was requested, and the gateway may not know of it yet.
    Created,
    /// The payment waits for the payer or the payer's bank.
    Pending,
    Paid,
    Failed,
    Expired,
    PartlyRefunded,
    Refunded,
    Disputed,
    /// The gateway's report is inconsistent, so an administrator has to review the payment.
    Quarantined,
}

/// Payment.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Payment {
    pub id: Uuid,
    pub status: PaymentStatus,
    pub gateway: String,
    /// Amount in the currency's smallest unit.
    pub amount: i64,
    pub currency: String,
    pub plan_id: Uuid,
    pub plan_name: String,
    /// Workspace of the purchase; null if for the payer.
    #[schema(required)]
    pub workspace_id: Option<WorkspaceId>,
    #[schema(required)]
    pub subscription_id: Option<Uuid>,
    /// URL for paying, while the payment is possible.
    #[schema(required)]
    pub redirect_url: Option<String>,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
    #[schema(required)]
    pub paid_at: Option<Timestamp>,
    pub refunded_amount: i64,
    /// Number of the receipt, such as `2026-0001`; null if none yet.
    #[schema(required)]
    pub receipt: Option<String>,
    pub credit_notes: Vec<CreditNote>,
}

/// Credit note of a refund.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct CreditNote {
    /// Number of the credit note, from the sequence of the receipts.
    pub number: String,
    pub amount: i64,
    pub created_at: Timestamp,
}

/// Billing details, which are printed on receipts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BillingDetails {
    /// Name on receipts; null for that of the payer or workspace.
    #[schema(required)]
    pub name: Option<String>,
    /// Address, which may have several lines.
    #[schema(required)]
    pub address: Option<String>,
    /// Country, as ISO 3166-1 alpha-2 code.
    #[schema(required)]
    pub country: Option<String>,
    #[schema(required)]
    pub vat_id: Option<String>,
}

/// State of a payment difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DifferenceState {
    /// The difference is not reviewed yet.
    Open,
    /// The difference is resolved, because both records now match.
    Healed,
    /// An administrator has closed the difference.
    Closed,
}

/// Difference between our records of a payment and the gateway's.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct PaymentDifference {
    pub id: Uuid,
    pub gateway: String,
    /// Kind: `unknown_here`, `not_paid_here`, `not_paid_there`, `amount` or `refund`.
    pub kind: String,
    #[schema(required)]
    pub payment_id: Option<Uuid>,
    /// Id of the payment or, if unknown here, the gateway's reference.
    pub reference: String,
    /// Amount in our records, in minor units.
    #[schema(required)]
    pub local: Option<i64>,
    /// Amount in the gateway's records, in minor units.
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

/// Payment, as shown to administrators.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct AdminPayment {
    #[serde(flatten)]
    pub payment: Payment,
    pub user_id: UserId,
    /// Reason for the quarantine; null if none.
    #[schema(required)]
    pub quarantine: Option<String>,
    /// Gateway's reference of the payment.
    #[schema(required)]
    pub reference: Option<String>,
    /// Gateway's reference of the charge; null if not reported.
    #[schema(required)]
    pub charge: Option<String>,
    /// Paid amount, if it differs from the requested one.
    #[schema(required)]
    pub paid_amount: Option<i64>,
    #[schema(required)]
    pub paid_currency: Option<String>,
}

/// Event of a payment that its gateway has reported.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct PaymentEvent {
    pub id: String,
    /// Name of the event at the gateway.
    #[serde(rename = "type")]
    pub kind: String,
    /// Amount that was paid, refunded or disputed, depending on the event.
    #[schema(required)]
    pub money: Option<Price>,
    /// True if the event is of our account and the configured mode; false if of another account, or
    /// of test mode on one side only.
    pub is_ours: bool,
    pub received_at: Timestamp,
    /// Time at which the event was applied; null while it waits for its payment.
    #[schema(required)]
    pub applied_at: Option<Timestamp>,
}

/// Refund of a payment.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct PaymentRefund {
    pub id: Uuid,
    pub amount: i64,
    /// State of the refund: `pending`, `done` or `failed`.
    pub state: String,
    pub reason: String,
    pub created_at: Timestamp,
    /// Number of requests to the gateway since the last start.
    pub tries: i64,
    /// Last response of the gateway that did not complete the refund.
    #[schema(required)]
    pub last_answer: Option<String>,
    /// Time of the next request to the gateway.
    #[schema(required)]
    pub next_try_at: Option<Timestamp>,
    /// True if it is pending but no longer retried; an administrator has to settle it.
    pub is_stuck: bool,
}

/// Dispute of a payment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PaymentDispute {
    /// Gateway's reference of the dispute.
    pub reference: String,
    /// Part of the payment that counts as disputed and whose credits are taken back, in minor
    /// units.
    pub amount: i64,
    /// Disputed amount at the gateway; null if unknown.
    #[schema(required)]
    pub reported: Option<Price>,
    /// State of the dispute: `open`, `won` or `lost`.
    pub state: String,
    pub created_at: Timestamp,
}

/// Payment with its events, refunds and disputes.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct AdminPaymentDetails {
    #[serde(flatten)]
    pub payment: AdminPayment,
    pub events: Vec<PaymentEvent>,
    pub refunds: Vec<PaymentRefund>,
    pub disputes: Vec<PaymentDispute>,
}

/// Decision on a payment in quarantine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReleaseAs {
    /// Accept the payment as if the requested amount had been paid.
    Asked,
    /// Accept the amount that was paid, and grant the corresponding part of the credits.
    Paid,
    /// Reject the payment and refund it.
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

/// Decision on a pending refund.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RefundDecision {
    /// Request the refund from the gateway again, at once and with all retries.
    Ask,
    /// Record that the money was refunded.
    Done,
    /// Record that the refund failed, and return the credits.
    Failed,
}

/// Restriction to payments with certain refunds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RefundFilter {
    /// Refunds that are pending but no longer retried.
    Stuck,
}

/// Payment gateway.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PaymentGateway {
    pub name: String,
    /// True if the gateway can be used now.
    pub enabled: bool,
    /// Supported currencies.
    pub currencies: Vec<String>,
    /// True for the demo gateway, which moves no real money.
    pub is_demo: bool,
    /// True if it can save payment methods for later charges.
    pub saves_methods: bool,
}

/// Payment gateway, as shown to administrators.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AdminPaymentGateway {
    #[serde(flatten)]
    pub gateway: PaymentGateway,
    /// Time of the gateway's last event.
    pub last_event_at: Option<Timestamp>,
    /// Time of the last successful payment.
    pub last_paid_at: Option<Timestamp>,
    /// Number of payments pending for ten minutes or more.
    pub waiting: i64,
    /// Number of unconfirmed refunds.
    pub refunds_waiting: i64,
    /// Number of refunds unconfirmed for a week, which an administrator has to settle.
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
