//! Demo gateway without real money. The payer chooses the outcome on a page of the app, and the result is processed
//! like a real payment.

use std::{ops::RangeInclusive, sync::Arc};

use appcore::{Secret, Timestamp, auth::token};
use async_trait::async_trait;
use natter_macro::Settings;
use serde::{Deserialize, Serialize};
use url::Url;
use uuid::Uuid;

use crate::{
    BuildError, ChargeAttempt, ChargeOrder, ChargeResult, Checkout, CheckoutOrder, Currency, Gateway, GatewayError,
    GatewayKind, GatewayName, KnownPayment, MalformedEvent, Money, PayerPresence, PaymentListing, PaymentUpdate,
    PaymentWebhookEvent, Recurring, RefundOrder, RefundResult, RefundState, RemoteState, SavedMethod, SetupOrder,
    SetupState, Snapshot, VerifiedWebhook, VerifyError, WebhookOutcome, WebhookRequest, WebhookResponse,
    WebhookSubject, signature::Hash,
};

pub(crate) static KIND: GatewayKind = GatewayKind {
    name: "demo",
    label: "Demo",
    settings: Settings::SETTINGS,
    build: |settings, around| {
        let Settings {} = settings.read()?;
        // A random secret suffices, because the same instance signs and verifies.
        let secret = token::random_token().map_err(|error| BuildError::Random(error.to_string()))?;
        Ok(Arc::new(Demo::new(Secret::from(secret), around.public_url.clone())))
    },
};

#[derive(Deserialize, Settings)]
#[settings(
    "payment.demo",
    enabled = "Enables purchases without real money, for demonstrations. Do not enable it where real money is taken."
)]
#[serde(deny_unknown_fields)]
struct Settings {}

/// Header with the signature of the body.
pub const SIGNATURE: &str = "natter-demo-signature";
/// Test cards: one always valid, one declined for later charges, and one whose charges the payer must confirm.
const CARD: &str = "demo_card";
const DECLINED_CARD: &str = "demo_card_declined";
const CONFIRMED_CARD: &str = "demo_card_confirm";
/// Prefix of the references of charges to a saved card.
const CHARGE_PREFIX: &str = "charge:";
/// Prefix of charge ids that were paid with the card whose later charges are declined.
const ONCE_PREFIX: &str = "once:";

pub struct Demo {
    secret: Secret,
    public_url: Url,
}

/// Outcome of a demo payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Paid,
    /// Paid now, but later charges are declined.
    PaidOnce,
    Failed,
}

impl Outcome {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Paid => "paid",
            Self::PaidOnce => "paid_once",
            Self::Failed => "failed",
        }
    }
}

/// Card that a payer saves in the demo.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetupOutcome {
    Saved,
    /// A card is saved whose later charges are declined.
    SavedDeclined,
    /// A card is saved whose charges the payer must confirm.
    SavedConfirm,
    Failed,
}

impl SetupOutcome {
    /// State that a setup reaches by this outcome.
    #[must_use]
    pub fn state(self) -> SetupState {
        match self {
            Self::Saved => SetupState::Kept(saved_card(CARD)),
            Self::SavedDeclined => SetupState::Kept(saved_card(DECLINED_CARD)),
            Self::SavedConfirm => SetupState::Kept(saved_card(CONFIRMED_CARD)),
            Self::Failed => SetupState::Failed,
        }
    }
}

fn saved_card(card: &str) -> SavedMethod {
    let last4 = match card {
        DECLINED_CARD => "0002",
        CONFIRMED_CARD => "3155",
        _ => "4242",
    };
    SavedMethod {
        customer: "demo".to_owned(),
        reference: card.to_owned(),
        brand: "demo".to_owned(),
        last4: last4.to_owned(),
        exp_month: None,
        exp_year: None,
    }
}

/// Webhook event of the demo gateway.
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

    /// Event for the outcome of a payment: its body, and the signature header.
    #[must_use]
    pub fn event(&self, payment_id: Uuid, outcome: Outcome, money: Money) -> (Vec<u8>, (&'static str, String)) {
        let id = format!("demo_{payment_id}_{}", outcome.as_str());
        // The struct has no maps and floats, so it always serialises.
        let body = serde_json::to_vec(&Event { id, payment_id, outcome, money }).unwrap_or_default();
        let signature = Hash::Sha256.sign(self.secret.expose(), &body);
        (body, (SIGNATURE, signature))
    }
}

impl Demo {
    /// Page where the payer chooses the outcome.
    fn page(&self, what: &str, id: Uuid) -> String {
        format!("{}/plans/demo?{what}={id}", self.public_url.as_str().trim_end_matches('/'))
    }
}

/// Card that a charge uses; `None` for a checkout.
fn card_of(reference: &str) -> Option<&str> {
    reference.strip_prefix(CHARGE_PREFIX).and_then(|rest| rest.split_once(':')).map(|(card, _)| card)
}

#[async_trait]
impl Gateway for Demo {
    fn name(&self) -> GatewayName {
        GatewayName::of(&KIND)
    }

    fn limits(&self, _: Currency) -> Option<RangeInclusive<i64>> {
        Some(1..=1_000_000_000)
    }

    async fn create_checkout(&self, order: &CheckoutOrder<'_>) -> Result<Checkout, GatewayError> {
        Ok(Checkout { reference: order.payment_id.to_string(), redirect_url: self.page("payment", order.payment_id) })
    }

    /// Derives the outcome of a charge from its card. The outcome of a checkout arrives as an event instead.
    async fn fetch(&self, payment: &KnownPayment<'_>) -> Result<Snapshot, GatewayError> {
        let charge = Some(payment.payment_id.to_string());
        match card_of(payment.reference) {
            Some(CARD) => return Ok(Snapshot { remote: RemoteState::Paid(payment.price), charge }),
            // The outcome is still open; it arrives as an event.
            Some(CONFIRMED_CARD) | None => {}
            Some(_) => return Ok(Snapshot { remote: RemoteState::Failed, charge }),
        }
        let remote = if payment.now < payment.expires_at { RemoteState::Open } else { RemoteState::Expired };
        Ok(Snapshot { remote, charge: None })
    }

    async fn capture(&self, payment: &KnownPayment<'_>) -> Result<Snapshot, GatewayError> {
        self.fetch(payment).await
    }

    async fn refund(&self, order: &RefundOrder<'_>) -> Result<RefundResult, GatewayError> {
        Ok(RefundResult { reference: order.refund_id.to_string(), state: RefundState::Done })
    }

    /// Reports success, because every requested refund succeeds.
    async fn fetch_refund(&self, order: &RefundOrder<'_>) -> Result<Option<RefundResult>, GatewayError> {
        self.refund(order).await.map(Some)
    }

    async fn list(&self, _: Timestamp, _: Timestamp) -> Result<PaymentListing, GatewayError> {
        Ok(PaymentListing::Unsupported)
    }

    async fn probe(&self, _: Timestamp) -> Result<(), GatewayError> {
        Ok(())
    }

    async fn verify(&self, delivery: &WebhookRequest<'_>) -> Result<VerifiedWebhook, VerifyError> {
        let signature = (delivery.header)(SIGNATURE).ok_or(VerifyError::Signature("signature missing"))?;
        if !Hash::Sha256.is_signed(self.secret.expose(), delivery.body, &signature) {
            return Err(VerifyError::Signature("invalid signature"));
        }
        Ok(VerifiedWebhook(delivery.body.to_vec()))
    }

    fn parse_event(&self, verified: &VerifiedWebhook) -> Result<PaymentWebhookEvent, MalformedEvent> {
        let event: Event = serde_json::from_slice(verified.raw()).map_err(|_| MalformedEvent)?;
        let news = match event.outcome {
            Outcome::Paid => PaymentUpdate::Paid { money: event.money, charge: Some(event.payment_id.to_string()) },
            Outcome::PaidOnce => {
                PaymentUpdate::Paid { money: event.money, charge: Some(format!("{ONCE_PREFIX}{}", event.payment_id)) }
            }
            Outcome::Failed => PaymentUpdate::Failed,
        };
        Ok(PaymentWebhookEvent {
            event_id: event.id,
            kind: event.outcome.as_str().to_owned(),
            about: WebhookSubject::Payment(event.payment_id),
            is_ours: true,
            news,
        })
    }

    fn webhook_response(&self, outcome: WebhookOutcome) -> WebhookResponse {
        WebhookResponse::by_status(outcome, 200)
    }

    fn recurring(&self) -> Option<&dyn Recurring> {
        Some(self)
    }

    fn demo(&self) -> Option<&Demo> {
        Some(self)
    }
}

#[async_trait]
impl Recurring for Demo {
    async fn saved_method(&self, payment: &KnownPayment<'_>) -> Result<Option<SavedMethod>, GatewayError> {
        let Some(charge) = payment.charge else { return Ok(None) };
        let usual = if charge.starts_with(ONCE_PREFIX) { DECLINED_CARD } else { CARD };
        Ok(Some(saved_card(card_of(payment.reference).unwrap_or(usual))))
    }

    async fn prepare(&self, charge: &ChargeOrder<'_>) -> Result<String, GatewayError> {
        Ok(format!("{CHARGE_PREFIX}{}:{}", charge.method, charge.payment_id))
    }

    async fn charge(
        &self,
        payment: &KnownPayment<'_>,
        attempt: &ChargeAttempt<'_>,
    ) -> Result<ChargeResult, GatewayError> {
        if attempt.method != CONFIRMED_CARD {
            return Ok(ChargeResult::from_snapshot(self.fetch(payment).await?));
        }
        if attempt.presence == PayerPresence::Absent {
            return Ok(ChargeResult::new_declined());
        }
        let redirect_url = Some(self.page("payment", payment.payment_id));
        Ok(ChargeResult { snapshot: Snapshot { remote: RemoteState::Open, charge: None }, redirect_url })
    }

    async fn create_setup(&self, order: &SetupOrder<'_>) -> Result<Checkout, GatewayError> {
        Ok(Checkout { reference: order.setup_id.to_string(), redirect_url: self.page("setup", order.setup_id) })
    }

    /// Reports an open setup, because the payer chooses the outcome on a page of the app.
    async fn fetch_setup(&self, _: &str) -> Result<SetupState, GatewayError> {
        Ok(SetupState::Open)
    }

    async fn delete_method(&self, _: &str) -> Result<(), GatewayError> {
        Ok(())
    }

    async fn portal(&self, _: &str, _: &Url) -> Result<Option<String>, GatewayError> {
        Ok(None)
    }
}
