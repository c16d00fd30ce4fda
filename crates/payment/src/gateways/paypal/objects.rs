//! PayPal's API objects, and the updates derived from its webhook events.

use appcore::Timestamp;
use serde::Deserialize;

use crate::{
    DisputeState, GatewayError, MalformedEvent, Money, PaymentUpdate, RefundResult, RefundState, RefundUpdate,
    RemoteState, Snapshot, WebhookSubject,
};

#[derive(Deserialize)]
pub(super) struct Link {
    pub(super) rel: String,
    pub(super) href: String,
}

#[derive(Deserialize)]
pub(crate) struct Amount {
    pub currency_code: String,
    pub value: String,
}

impl Amount {
    pub(crate) fn money(&self) -> Option<Money> {
        Money::parse(&self.value, self.currency_code.parse().ok()?)
    }
}

#[derive(Deserialize)]
pub(super) struct PaypalOrder {
    pub(super) id: String,
    #[serde(default)]
    pub(super) status: String,
    #[serde(default)]
    pub(super) links: Vec<Link>,
    #[serde(default)]
    pub(super) purchase_units: Vec<Unit>,
}

#[derive(Deserialize)]
pub(super) struct Unit {
    #[serde(default)]
    pub(super) payments: Option<Payments>,
}

#[derive(Deserialize)]
pub(super) struct Payments {
    #[serde(default)]
    pub(super) captures: Vec<Capture>,
    #[serde(default)]
    pub(super) refunds: Vec<Refund>,
}

#[derive(Deserialize)]
pub(super) struct Capture {
    pub(super) id: String,
    #[serde(default)]
    pub(super) status: String,
    amount: Amount,
    #[serde(default)]
    custom_id: Option<String>,
}

impl PaypalOrder {
    pub(super) fn snapshot(&self) -> Result<Snapshot, GatewayError> {
        let captures =
            || self.purchase_units.iter().filter_map(|unit| unit.payments.as_ref()).flat_map(|all| &all.captures);
        if let Some(capture) = captures().find(|capture| is_captured(&capture.status)) {
            let money = capture.amount.money();
            let money = money.ok_or_else(|| GatewayError::OutcomeUnknown("the amount can't be read".to_owned()))?;
            return Ok(Snapshot { remote: RemoteState::Paid(money), charge: Some(capture.id.clone()) });
        }
        let last = captures().last();
        let remote = match (self.status.as_str(), last.map(|capture| capture.status.as_str())) {
            (_, Some("DECLINED" | "FAILED")) => RemoteState::Failed,
            (_, Some(_)) => RemoteState::Open,
            ("APPROVED", None) => RemoteState::Approved,
            ("VOIDED", None) => RemoteState::Expired,
            _ => RemoteState::Open,
        };
        Ok(Snapshot { remote, charge: last.map(|capture| capture.id.clone()) })
    }
}

#[derive(Deserialize)]
pub(super) struct Event {
    pub(super) id: String,
    pub(super) event_type: String,
    #[serde(default)]
    pub(super) create_time: Option<String>,
    #[serde(default)]
    pub(super) resource: serde_json::Value,
}

#[derive(Deserialize)]
pub(super) struct Refund {
    id: String,
    #[serde(default)]
    status: String,
    amount: Amount,
    #[serde(default)]
    pub(super) custom_id: Option<String>,
    #[serde(default)]
    links: Vec<Link>,
}

impl Refund {
    pub(super) fn into_result(self) -> RefundResult {
        RefundResult { state: refund_state(&self.status), reference: self.id }
    }
}

pub(super) fn refund_state(status: &str) -> RefundState {
    match status {
        "COMPLETED" => RefundState::Done,
        "FAILED" | "CANCELLED" => RefundState::Failed,
        _ => RefundState::Pending,
    }
}

#[derive(Deserialize)]
struct Dispute {
    dispute_id: String,
    #[serde(default)]
    disputed_transactions: Vec<Disputed>,
    #[serde(default)]
    dispute_amount: Option<Amount>,
    #[serde(default)]
    status: String,
    #[serde(default)]
    dispute_outcome: Option<Ruling>,
}

#[derive(Deserialize)]
struct Disputed {
    #[serde(default)]
    seller_transaction_id: Option<String>,
}

#[derive(Deserialize)]
struct Ruling {
    #[serde(default)]
    outcome_code: String,
}

/// True if the money was received. Refunded captures were paid before.
pub(super) fn is_captured(status: &str) -> bool {
    matches!(status, "COMPLETED" | "REFUNDED" | "PARTIALLY_REFUNDED")
}

/// Returns the payment with this id of Natter as the subject of an event.
fn of_payment(id: Option<String>) -> WebhookSubject {
    id.and_then(|id| id.parse().ok()).map_or(WebhookSubject::Nothing, WebhookSubject::Payment)
}

pub(super) fn capture_update(capture: Capture) -> (WebhookSubject, PaymentUpdate) {
    let about = of_payment(capture.custom_id);
    match capture.amount.money() {
        Some(money) => (about, PaymentUpdate::Paid { money, charge: Some(capture.id) }),
        None => (about, PaymentUpdate::Foreign),
    }
}

pub(super) fn parse_update(
    kind: &str,
    resource: serde_json::Value,
    at: Option<Timestamp>,
) -> Result<(WebhookSubject, PaymentUpdate), MalformedEvent> {
    fn parse_resource<T: serde::de::DeserializeOwned>(resource: serde_json::Value) -> Result<T, MalformedEvent> {
        serde_json::from_value(resource).map_err(|_| MalformedEvent)
    }
    Ok(match kind {
        "CHECKOUT.ORDER.APPROVED" => {
            (WebhookSubject::Reference(parse_resource::<PaypalOrder>(resource)?.id), PaymentUpdate::Approved)
        }
        "PAYMENT.CAPTURE.COMPLETED" => capture_update(parse_resource(resource)?),
        "PAYMENT.CAPTURE.PENDING" => {
            (of_payment(parse_resource::<Capture>(resource)?.custom_id), PaymentUpdate::Pending)
        }
        "PAYMENT.CAPTURE.DENIED" | "PAYMENT.CAPTURE.DECLINED" => {
            (of_payment(parse_resource::<Capture>(resource)?.custom_id), PaymentUpdate::Failed)
        }
        // `REVERSED` means that the buyer's bank took the money back for good.
        "PAYMENT.CAPTURE.REFUNDED" | "PAYMENT.CAPTURE.REVERSED" => {
            let refund: Refund = parse_resource(resource)?;
            let charge =
                refund.links.iter().find(|link| link.rel == "up").and_then(|link| link.href.rsplit('/').next());
            let about = charge.map_or(WebhookSubject::Nothing, |charge| WebhookSubject::Charge(charge.to_owned()));
            let Some(money) = refund.amount.money() else { return Ok((about, PaymentUpdate::Foreign)) };
            let state = if kind.ends_with("REVERSED") { RefundState::Done } else { refund_state(&refund.status) };
            let ours = refund.custom_id.and_then(|id| id.parse().ok());
            (about, PaymentUpdate::Refund(RefundUpdate { reference: refund.id, ours, money, state, at }))
        }
        "CUSTOMER.DISPUTE.CREATED" | "CUSTOMER.DISPUTE.UPDATED" | "CUSTOMER.DISPUTE.RESOLVED" => {
            let dispute: Dispute = parse_resource(resource)?;
            let charge = dispute.disputed_transactions.into_iter().find_map(|one| one.seller_transaction_id);
            let about = charge.map_or(WebhookSubject::Nothing, WebhookSubject::Charge);
            let money = dispute.dispute_amount.and_then(|amount| amount.money());
            let ruling = dispute.dispute_outcome.filter(|_| dispute.status == "RESOLVED");
            let state = ruling.map_or(DisputeState::Open, |ruling| dispute_outcome(&ruling.outcome_code));
            (about, PaymentUpdate::Dispute { reference: dispute.dispute_id, money, state })
        }
        _ => (WebhookSubject::Nothing, PaymentUpdate::Other),
    })
}

/// Outcome of a dispute. An unknown outcome leaves it open, so that the credits stay held back until an administrator
/// reviews it.
fn dispute_outcome(outcome: &str) -> DisputeState {
    match outcome {
        "RESOLVED_BUYER_FAVOUR" | "ACCEPTED" => DisputeState::Lost,
        // With a payout, PayPal pays the buyer from its own money.
        "RESOLVED_SELLER_FAVOUR" | "RESOLVED_WITH_PAYOUT" | "CANCELED_BY_BUYER" | "DENIED" | "NONE" => {
            DisputeState::Won
        }
        _ => DisputeState::Open,
    }
}
