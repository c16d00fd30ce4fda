//! Stripe's API objects, and the updates derived from its webhook events.

use appcore::Timestamp;
use serde::Deserialize;
use uuid::Uuid;

use crate::{
    Currency, DisputeState, MalformedEvent, Money, PaymentUpdate, RefundResult, RefundState, RefundUpdate,
    WebhookSubject,
};

/// A checkout session.
#[derive(Deserialize)]
pub(super) struct Session {
    pub(super) id: String,
    #[serde(default)]
    pub(super) url: Option<String>,
    #[serde(default)]
    pub(super) status: Option<String>,
    #[serde(default)]
    pub(super) payment_status: Option<String>,
    #[serde(default)]
    pub(super) amount_total: Option<i64>,
    #[serde(default)]
    pub(super) currency: Option<String>,
    #[serde(default)]
    pub(super) payment_intent: Option<Reference>,
    #[serde(default)]
    pub(super) client_reference_id: Option<String>,
    #[serde(default)]
    pub(super) mode: Option<String>,
}

/// A Stripe object, by its id or expanded.
#[derive(Deserialize)]
#[serde(untagged)]
pub(crate) enum Reference {
    Id(String),
    Whole { id: String },
}

impl Reference {
    pub(crate) fn into_id(self) -> String {
        match self {
            Self::Id(id) | Self::Whole { id } => id,
        }
    }
}

impl Session {
    pub(super) fn is_paid(&self) -> bool {
        matches!(self.payment_status.as_deref(), Some("paid" | "no_payment_required"))
    }

    pub(super) fn money(&self) -> Option<Money> {
        Some(Money::new(self.amount_total?, self.currency.as_deref()?.parse().ok()?))
    }
}

#[derive(Deserialize)]
pub(super) struct Refunds {
    pub(super) data: Vec<Refund>,
    #[serde(default)]
    pub(super) has_more: bool,
}

#[derive(Deserialize)]
pub(super) struct Refund {
    id: String,
    amount: i64,
    currency: String,
    #[serde(default)]
    status: Option<String>,
    #[serde(default)]
    pub(super) payment_intent: Option<Reference>,
    #[serde(default)]
    metadata: Option<RefundMetadata>,
}

/// Metadata of a refund. Any value is accepted, because other programs of the account set metadata as well.
#[derive(Deserialize)]
struct RefundMetadata {
    #[serde(default)]
    refund_id: Option<String>,
}

/// A charge with a refund. The refund isn't included.
#[derive(Deserialize)]
pub(super) struct RefundedCharge {
    #[serde(default)]
    pub(super) payment_intent: Option<Reference>,
}

impl Refund {
    pub(super) fn state(&self) -> RefundState {
        match self.status.as_deref() {
            Some("succeeded") => RefundState::Done,
            Some("failed" | "canceled") => RefundState::Failed,
            _ => RefundState::Pending,
        }
    }

    /// Id of the refund in Natter.
    pub(super) fn own_refund_id(&self) -> Option<Uuid> {
        self.metadata.as_ref()?.refund_id.as_deref()?.parse().ok()
    }

    pub(super) fn into_result(self) -> RefundResult {
        RefundResult { state: self.state(), reference: self.id }
    }

    /// Converts the refund to an update; `None` for an unknown currency.
    pub(super) fn into_update(self, at: Option<Timestamp>) -> Option<RefundUpdate> {
        let money = Money::new(self.amount, self.currency.parse().ok()?);
        Some(RefundUpdate { ours: self.own_refund_id(), money, state: self.state(), at, reference: self.id })
    }
}

#[derive(Deserialize)]
pub(super) struct Dispute {
    id: String,
    amount: i64,
    currency: String,
    status: String,
    #[serde(default)]
    payment_intent: Option<Reference>,
}

#[derive(Deserialize)]
pub(super) struct Event<'a> {
    pub(super) id: String,
    #[serde(rename = "type")]
    pub(super) kind: String,
    #[serde(default)]
    pub(super) livemode: bool,
    /// Unix time, in seconds.
    #[serde(default)]
    pub(super) created: Option<i64>,
    #[serde(borrow)]
    pub(super) data: Data<'a>,
}

#[derive(Deserialize)]
pub(super) struct Data<'a> {
    #[serde(borrow)]
    object: &'a serde_json::value::RawValue,
}

impl Data<'_> {
    pub(super) fn read<T: serde::de::DeserializeOwned>(&self) -> Result<T, MalformedEvent> {
        serde_json::from_str(self.object.get()).map_err(|_| MalformedEvent)
    }
}

pub(super) fn session_update(kind: &str, session: Session) -> (WebhookSubject, PaymentUpdate) {
    let ours = session.client_reference_id.as_deref().and_then(|id| id.parse().ok());
    if session.mode.as_deref() == Some("setup") {
        // The session is a setup without a payment; the saved method is fetched.
        return (ours.map_or(WebhookSubject::Nothing, WebhookSubject::Setup), PaymentUpdate::Other);
    }
    let about = ours.map_or_else(|| WebhookSubject::Reference(session.id.clone()), WebhookSubject::Payment);
    let news = match kind {
        "checkout.session.completed" | "checkout.session.async_payment_succeeded" => {
            if session.is_paid() {
                match session.money() {
                    Some(money) => {
                        PaymentUpdate::Paid { money, charge: session.payment_intent.map(Reference::into_id) }
                    }
                    None => PaymentUpdate::Foreign,
                }
            } else {
                PaymentUpdate::Pending
            }
        }
        "checkout.session.async_payment_failed" => PaymentUpdate::Failed,
        "checkout.session.expired" => PaymentUpdate::Expired,
        _ => PaymentUpdate::Other,
    };
    (about, news)
}

pub(super) fn intent_subject(intent: Option<Reference>) -> WebhookSubject {
    intent.map_or(WebhookSubject::Nothing, |intent| WebhookSubject::Charge(intent.into_id()))
}

pub(super) fn dispute_update(dispute: Dispute) -> (WebhookSubject, PaymentUpdate) {
    let about = intent_subject(dispute.payment_intent);
    let state = match dispute.status.as_str() {
        "won" => DisputeState::Won,
        "lost" => DisputeState::Lost,
        // The dispute is only an inquiry; no money has moved.
        status if status.starts_with("warning_") => return (about, PaymentUpdate::Other),
        _ => DisputeState::Open,
    };
    let money = dispute.currency.parse::<Currency>().ok().map(|currency| Money::new(dispute.amount, currency));
    (about, PaymentUpdate::Dispute { reference: dispute.id, money, state })
}
