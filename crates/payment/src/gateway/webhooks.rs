//! Webhook events of gateways, and their responses.

use appcore::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::GatewayError;
use crate::{DisputeState, Money, RefundState};

/// Transport of a gateway's webhooks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PaymentWebhookTransport {
    /// POST with a JSON body.
    Body,
    /// GET with query parameters.
    Query,
}

/// A received webhook request.
#[derive(Clone, Copy)]
pub struct WebhookRequest<'a> {
    /// Returns a header by its lower-case name.
    pub header: &'a (dyn Fn(&str) -> Option<String> + Sync),
    pub query: &'a str,
    pub body: &'a [u8],
    pub now: Timestamp,
}

/// A request that is proven to come from the gateway. Only gateways can create one.
#[derive(Debug)]
pub struct VerifiedWebhook(pub(crate) Vec<u8>);

impl VerifiedWebhook {
    /// Signed content, as it is stored.
    #[must_use]
    pub fn raw(&self) -> &[u8] {
        &self.0
    }
}

/// Reason why a request isn't accepted, for the log.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    #[error("{0}")]
    Signature(&'static str),
    /// Data that is needed for the verification can't be fetched at the moment.
    #[error("failed to verify the request: {0}")]
    Unverifiable(GatewayError),
}

/// A verified request that can't be parsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed event")]
pub struct MalformedEvent;

/// Subject of an event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum WebhookSubject {
    Payment(Uuid),
    /// Payment with this [`Checkout::reference`](crate::Checkout::reference).
    Reference(String),
    /// Payment with this [`Snapshot::charge`](crate::Snapshot::charge).
    Charge(String),
    /// Payment-method setup with this [`SetupOrder::setup_id`](crate::SetupOrder::setup_id).
    Setup(Uuid),
    Nothing,
}

/// Update of a refund.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefundUpdate {
    pub reference: String,
    /// [`RefundOrder::refund_id`](crate::RefundOrder::refund_id), if Natter has requested the refund.
    pub ours: Option<Uuid>,
    pub money: Money,
    pub state: RefundState,
    /// Time at which the refund reached this state, if the gateway reports it.
    #[serde(default)]
    pub at: Option<Timestamp>,
}

/// Update reported by an event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PaymentUpdate {
    /// The payer has finished, but the bank has not decided yet.
    Pending,
    /// The payer has approved; the payment must be captured.
    Approved,
    Paid {
        money: Money,
        charge: Option<String>,
    },
    Failed,
    Expired,
    Refund(RefundUpdate),
    /// All refunds of the payment, once [`Gateway::confirm`](crate::Gateway::confirm) has fetched them.
    Refunds(Vec<RefundUpdate>),
    Dispute {
        reference: String,
        /// Disputed amount. `None` if the gateway doesn't report it, or reports it in an unknown currency.
        money: Option<Money>,
        state: DisputeState,
    },
    /// A payment or refund in an unknown currency.
    Foreign,
    /// An event that Natter doesn't use.
    Other,
}

impl PaymentUpdate {
    /// The amount of the update, if it has exactly one.
    #[must_use]
    pub const fn money(&self) -> Option<Money> {
        match self {
            Self::Paid { money, .. } => Some(*money),
            Self::Refund(refund) => Some(refund.money),
            Self::Dispute { money, .. } => *money,
            _ => None,
        }
    }
}

/// A parsed webhook event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentWebhookEvent {
    /// Event id; the same for each repetition.
    pub event_id: String,
    /// Event type in the gateway's terms.
    pub kind: String,
    pub about: WebhookSubject,
    /// False if the event is from another account, or from test mode in live mode or vice versa.
    pub is_ours: bool,
    pub news: PaymentUpdate,
}

/// Outcome of a webhook request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WebhookOutcome {
    Applied,
    AppliedBefore,
    UnknownPayment,
    WrongAmount,
    BadSignature,
    /// The gateway must repeat the event.
    OurFailure,
}

/// HTTP response for a gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookResponse {
    pub status: u16,
    pub content_type: &'static str,
    pub body: String,
}

impl WebhookResponse {
    /// Response for a gateway that only checks the status.
    #[must_use]
    pub fn by_status(outcome: WebhookOutcome, done: u16) -> Self {
        let status = match outcome {
            WebhookOutcome::BadSignature => 400,
            WebhookOutcome::OurFailure => 503,
            _ => done,
        };
        let body = if status == 204 { String::new() } else { "{}".to_owned() };
        Self { status, content_type: "application/json", body }
    }
}
