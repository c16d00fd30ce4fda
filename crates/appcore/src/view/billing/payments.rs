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
    /// Requested; the gateway may not know of it yet.
    Created,
    /// Waiting for the payer or the payer's bank.
    Pending,
    Paid,
    Failed,
    Expired,
    PartlyRefunded,
    Refunded,
    Disputed,
    /// The gateway's report is inconsistent; an administrator has to review it.
    Quarantined,
}

/// A payment.
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
    /// Workspace that it was bought for. Null: for the payer.
    #[schema(required)]
    pub workspace_id: Option<WorkspaceId>,
    #[schema(required)]
    pub subscription_id: Option<Uuid>,
    /// Payment page, while the payment can be made.
    #[schema(required)]
    pub redirect_url: Option<String>,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
    #[schema(required)]
    pub paid_at: Option<Timestamp>,
    pub refunded_amount: i64,
    /// Number of the receipt, such as `2026-0001`.
    #[schema(required)]
    pub receipt: Option<String>,
    pub credit_notes: Vec<CreditNote>,
}

/// Credit note of a refund.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct CreditNote {
    /// Number from the same sequence as receipts.
    pub number: String,
    pub amount: i64,
    pub created_at: Timestamp,
}

/// Billing details on receipts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BillingDetails {
    /// Null: the name of the payer or of the workspace.
    #[schema(required)]
    pub name: Option<String>,
    /// Address, possibly of several lines.
    #[schema(required)]
    pub address: Option<String>,
    /// ISO 3166 code of two letters.
    #[schema(required)]
    pub country: Option<String>,
    #[schema(required)]
    pub vat_id: Option<String>,
}

/// State of a payment difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DifferenceState {
    /// Not reviewed yet.
    Open,
    /// Resolved, because both records match now.
    Healed,
    /// Closed by an administrator.
    Closed,
}

/// Mismatch between our records and the gateway's.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct PaymentDifference {
    pub id: Uuid,
    pub gateway: String,
    /// `unknown_here`, `not_paid_here`, `not_paid_there`, `amount` or `refund`.
    pub kind: String,
    #[schema(required)]
    pub payment_id: Option<Uuid>,
    /// Id of the payment, or the gateway's reference.
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

/// Payment, as seen by administrators.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct AdminPayment {
    #[serde(flatten)]
    pub payment: Payment,
    pub user_id: UserId,
    /// Reason of the quarantine.
    #[schema(required)]
    pub quarantine: Option<String>,
    /// The gateway's reference of the payment.
    #[schema(required)]
    pub reference: Option<String>,
    /// The gateway's reference of the charge. Null if it has not reported one.
    #[schema(required)]
    pub charge: Option<String>,
    /// Paid amount as the gateway reports it, if it differs.
    #[schema(required)]
    pub paid_amount: Option<i64>,
    #[schema(required)]
    pub paid_currency: Option<String>,
}

/// Event of a payment, as reported by the gateway.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct PaymentEvent {
    pub id: String,
    /// The gateway's name of the event.
    #[serde(rename = "type")]
    pub kind: String,
    /// Amount of the event: paid, refunded or disputed.
    #[schema(required)]
    pub money: Option<Price>,
    /// True if the event belongs to our account and mode. False if it is of another account, or if
    /// test and live mode don't match.
    pub is_ours: bool,
    pub received_at: Timestamp,
    /// Null if the event waits for the payment that it refers to.
    #[schema(required)]
    pub applied_at: Option<Timestamp>,
}

/// Refund of a payment.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct PaymentRefund {
    pub id: Uuid,
    pub amount: i64,
    /// `pending`, `done` or `failed`.
    pub state: String,
    pub reason: String,
    pub created_at: Timestamp,
    /// Number of requests to the gateway since the refund was started, or since an administrator
    /// restarted it.
    pub tries: i64,
    /// Last response of the gateway that did not settle the refund.
    #[schema(required)]
    pub last_answer: Option<String>,
    /// Time of the next request to the gateway.
    #[schema(required)]
    pub next_try_at: Option<Timestamp>,
    /// True if the refund is pending and is not retried any more, so that an administrator has to
    /// settle it.
    pub is_stuck: bool,
}

/// Dispute of a payment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PaymentDispute {
    /// The gateway's reference of the dispute.
    pub reference: String,
    /// Part of the payment that is treated as disputed and clawed back.
    pub amount: i64,
    /// Disputed amount as the gateway reports it, if known.
    #[schema(required)]
    pub reported: Option<Price>,
    /// `open`, `won` or `lost`.
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
    /// Accept the payment with the requested amount.
    Asked,
    /// Accept the payment with the paid amount, and that part of the credits.
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
    /// Request the refund from the gateway again, immediately and with the full retry schedule.
    Ask,
    /// The money has been refunded.
    Done,
    /// The refund failed: the credits are returned.
    Failed,
}

/// Filter of refunds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RefundFilter {
    /// Pending and not retried any more.
    Stuck,
}

/// Payment gateway.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PaymentGateway {
    pub name: String,
    /// True if it can be used now.
    pub enabled: bool,
    /// Supported currencies.
    pub currencies: Vec<String>,
    /// True for the demo gateway, which moves no real money.
    pub is_demo: bool,
    /// True if the gateway can save payment methods for later charges.
    pub saves_methods: bool,
}

/// Payment gateway, as seen by administrators.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AdminPaymentGateway {
    #[serde(flatten)]
    pub gateway: PaymentGateway,
    /// Time of its last event.
    pub last_event_at: Option<Timestamp>,
    /// Time of its last paid payment.
    pub last_paid_at: Option<Timestamp>,
    /// Payments that have been open for ten minutes or more.
    pub waiting: i64,
    /// Refunds that it has not answered yet.
    pub refunds_waiting: i64,
    /// Refunds that it has not answered in a week, which an administrator has to settle.
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
