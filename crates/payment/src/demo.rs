//! The demo gateway: no real money. The payer chooses on a page of the app how it ends, and what follows takes the way of a real payment.

use std::ops::RangeInclusive;

use appcore::Secret;
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use url::Url;
use uuid::Uuid;

use crate::{
    About, Acknowledged, Answer, Checkout, Currency, Delivery, Forged, Gateway, GatewayError, GatewayName, Known,
    Money, News, Notice, Order, RefundOrder, RefundState, Refunded, Remote, Snapshot, Unreadable, Verified,
    signature::Hash,
};

/// The header with the signature of the body.
pub const SIGNATURE: &str = "natter-demo-signature";

pub struct Demo {
    secret: Secret,
    public_url: Url,
}

/// How a demo payment ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    Paid,
    Failed,
}

/// What the gateway sends.
#[derive(Serialize, Deserialize)]
struct Event {
    id: String,
    payment_id: Uuid,
    outcome: Outcome,
    money: Money,
}

impl Demo {
    #[must_use]
    pub const fn new(secret: Secret, public_url: Url) -> Self {
        Self { secret, public_url }
    }

    /// The event that tells how a payment ended: its body, and the header that proves it.
    #[must_use]
    pub fn event(&self, payment_id: Uuid, outcome: Outcome, money: Money) -> (Vec<u8>, (&'static str, String)) {
        let id = format!("demo_{payment_id}_{}", if outcome == Outcome::Paid { "paid" } else { "failed" });
        // It has no maps and no floats, so it can be written.
        let body = serde_json::to_vec(&Event { id, payment_id, outcome, money }).unwrap_or_default();
        let signature = Hash::Sha256.sign(self.secret.expose(), &body);
        (body, (SIGNATURE, signature))
    }
}

#[async_trait]
impl Gateway for Demo {
    fn name(&self) -> GatewayName {
        GatewayName::Demo
    }

    fn limits(&self, _: Currency) -> Option<RangeInclusive<i64>> {
        Some(1..=1_000_000_000)
    }

    async fn create_checkout(&self, order: &Order<'_>) -> Result<Checkout, GatewayError> {
        let base = self.public_url.as_str().trim_end_matches('/');
        let redirect_url = format!("{base}/plans/demo?payment={}", order.payment_id);
        Ok(Checkout { reference: order.payment_id.to_string(), redirect_url })
    }

    /// There is nobody to ask: what was chosen came as an event.
    async fn fetch(&self, payment: &Known<'_>) -> Result<Snapshot, GatewayError> {
        let remote = if payment.now < payment.expires_at { Remote::Open } else { Remote::Expired };
        Ok(Snapshot { remote, charge: None })
    }

    async fn capture(&self, payment: &Known<'_>) -> Result<Snapshot, GatewayError> {
        self.fetch(payment).await
    }

    async fn refund(&self, order: &RefundOrder<'_>) -> Result<Refunded, GatewayError> {
        Ok(Refunded { reference: order.refund_id.to_string(), state: RefundState::Done })
    }

    async fn verify(&self, delivery: &Delivery<'_>) -> Result<Verified, Forged> {
        let signature = (delivery.header)(SIGNATURE).ok_or(Forged::Signature("there is no signature"))?;
        if !Hash::Sha256.is_signed(self.secret.expose(), delivery.body, &signature) {
            return Err(Forged::Signature("the signature is wrong"));
        }
        Ok(Verified(delivery.body.to_vec()))
    }

    fn classify(&self, verified: &Verified) -> Result<Notice, Unreadable> {
        let event: Event = serde_json::from_slice(verified.raw()).map_err(|_| Unreadable)?;
        let news = match event.outcome {
            Outcome::Paid => News::Paid { money: event.money, charge: Some(event.payment_id.to_string()) },
            Outcome::Failed => News::Failed,
        };
        let kind = if event.outcome == Outcome::Paid { "paid" } else { "failed" };
        Ok(Notice {
            event_id: event.id,
            kind: kind.to_owned(),
            about: About::Payment(event.payment_id),
            is_ours: true,
            news,
        })
    }

    fn answer(&self, outcome: Acknowledged) -> Answer {
        Answer::by_status(outcome, 200)
    }
}
