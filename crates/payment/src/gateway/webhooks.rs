//! What a gateway tells by itself, and what it is answered.

use appcore::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::GatewayError;
use crate::{DisputeState, Money, RefundState};

/// How a gateway tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PaymentWebhookTransport {
    /// By a POST, in a body of JSON.
    Body,
    /// By a GET, in its query.
    Query,
}

/// A request of a gateway's, as it came.
#[derive(Clone, Copy)]
pub struct WebhookRequest<'a> {
    /// The value of a header, by its name in small letters.
    pub header: &'a (dyn Fn(&str) -> Option<String> + Sync),
    pub query: &'a str,
    pub body: &'a [u8],
    pub now: Timestamp,
}

/// A request that is proven to be the gateway's: only gateways can make one.
#[derive(Debug)]
pub struct VerifiedWebhook(pub(crate) Vec<u8>);

impl VerifiedWebhook {
    /// What was signed, to be kept.
    #[must_use]
    pub fn raw(&self) -> &[u8] {
        &self.0
    }
}

/// Why a request is not believed. The text is for the log.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    #[error("{0}")]
    Signature(&'static str),
    /// What is needed to check it can't be had now.
    #[error("it can't be checked: {0}")]
    Unverifiable(GatewayError),
}

/// A verified request that makes no sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the notice can't be read")]
pub struct MalformedEvent;

/// Which payment is meant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum WebhookSubject {
    Payment(Uuid),
    /// [`Checkout::reference`](crate::Checkout::reference).
    Reference(String),
    /// [`Snapshot::charge`](crate::Snapshot::charge).
    Charge(String),
    /// No payment: [`SetupOrder::setup_id`](crate::SetupOrder::setup_id).
    Setup(Uuid),
    Nothing,
}

/// What a gateway tells of a refund.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefundUpdate {
    pub reference: String,
    /// [`RefundOrder::refund_id`](crate::RefundOrder::refund_id), where we have asked for it.
    pub ours: Option<Uuid>,
    pub money: Money,
    pub state: RefundState,
    /// When that was so, where the gateway says it.
    #[serde(default)]
    pub at: Option<Timestamp>,
}

/// What a notice says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PaymentUpdate {
    /// The payer was there; the bank has not decided.
    Pending,
    /// The payer has agreed, and we have to capture.
    Approved,
    Paid {
        money: Money,
        charge: Option<String>,
    },
    Failed,
    Expired,
    Refund(RefundUpdate),
    /// Something was refunded: all refunds of the payment, once the gateway [was asked](crate::Gateway::confirm) for them.
    Refunds(Vec<RefundUpdate>),
    Dispute {
        reference: String,
        /// What it is about. None: the gateway doesn't say that, or in a currency that isn't known here.
        money: Option<Money>,
        state: DisputeState,
    },
    /// Money was paid or refunded, in a currency that isn't known here.
    Foreign,
    /// What we have no use for.
    Other,
}

impl PaymentUpdate {
    /// The money that it is about, where that is one sum.
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

/// One event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentWebhookEvent {
    /// Each repetition has this id.
    pub event_id: String,
    /// The gateway's word for it.
    pub kind: String,
    pub about: WebhookSubject,
    /// Not: it comes from another account, or from a test where real money is meant, or the other way round.
    pub is_ours: bool,
    pub news: PaymentUpdate,
}

/// What became of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WebhookOutcome {
    /// Applied now, or before.
    Applied,
    AppliedBefore,
    UnknownPayment,
    WrongAmount,
    BadSignature,
    /// It has to come again.
    OurFailure,
}

/// What a gateway wants to hear.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookResponse {
    pub status: u16,
    pub content_type: &'static str,
    pub body: String,
}

impl WebhookResponse {
    /// What a gateway wants that looks at the status only.
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
