//! The demo gateway: no real money. The payer chooses on a page of the app how it ends, and what follows takes the way of a real payment.

use std::{ops::RangeInclusive, sync::Arc};

use appcore::{Secret, Timestamp, auth::token};
use async_trait::async_trait;
use natter_macro::Settings;
use serde::{Deserialize, Serialize};
use url::Url;
use uuid::Uuid;

use crate::{
    WebhookSubject, WebhookOutcome, WebhookResponse, ChargeAttempt, ChargeOrder, ChargeResult, Checkout, Currency, WebhookRequest, VerifyError, Gateway, GatewayError,
    GatewayName, SavedMethod, GatewayKind, KnownPayment, PaymentListing, Money, PaymentUpdate, PaymentWebhookEvent, CheckoutOrder, PayerPresence, Recurring, RefundOrder, RefundState,
    RefundResult, RemoteState, SetupOrder, SetupState, Snapshot, BuildError, MalformedEvent, VerifiedWebhook, signature::Hash,
};

pub(crate) static KIND: GatewayKind = GatewayKind {
    name: "demo",
    label: "Demo",
    settings: Settings::SETTINGS,
    build: |settings, around| {
        let Settings {} = settings.read()?;
        // Only this instance signs with it, and only this instance verifies it.
        let secret = token::random_token().map_err(|error| BuildError::Random(error.to_string()))?;
        Ok(Arc::new(Demo::new(Secret::from(secret), around.public_url.clone())))
    },
};

#[derive(Deserialize, Settings)]
#[settings(
    "payment.demo",
    enabled = "Whether people can buy without real money, to see how it works. Never where real money is taken."
)]
#[serde(deny_unknown_fields)]
struct Settings {}

/// The header with the signature of the body.
pub const SIGNATURE: &str = "natter-demo-signature";
/// A card that is good for ever, one that is declined when it is charged again, and one whose charges the payer confirms.
const CARD: &str = "demo_card";
const DECLINED_CARD: &str = "demo_card_declined";
const CONFIRMED_CARD: &str = "demo_card_confirm";
/// What the reference of a charge begins with.
const CHARGE: &str = "charge:";
/// What a charge begins with that was paid with the card that is declined later.
const ONCE: &str = "once:";

pub struct Demo {
    secret: Secret,
    public_url: Url,
}

/// How a demo payment ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Paid,
    /// Paid now, and declined when it is to be charged again.
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

/// Which card a payer saves, for show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetupOutcome {
    Saved,
    /// Declined when it is charged.
    SavedDeclined,
    /// The payer confirms each charge.
    SavedConfirm,
    Failed,
}

impl SetupOutcome {
    /// What is kept by it.
    #[must_use]
    pub fn state(self) -> SetupState {
        match self {
            Self::Saved => SetupState::Kept(kept(CARD)),
            Self::SavedDeclined => SetupState::Kept(kept(DECLINED_CARD)),
            Self::SavedConfirm => SetupState::Kept(kept(CONFIRMED_CARD)),
            Self::Failed => SetupState::Failed,
        }
    }
}

fn kept(card: &str) -> SavedMethod {
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
        let id = format!("demo_{payment_id}_{}", outcome.as_str());
        // It has no maps and no floats, so it can be written.
        let body = serde_json::to_vec(&Event { id, payment_id, outcome, money }).unwrap_or_default();
        let signature = Hash::Sha256.sign(self.secret.expose(), &body);
        (body, (SIGNATURE, signature))
    }
}

impl Demo {
    /// Where the payer chooses what becomes of something.
    fn page(&self, what: &str, id: Uuid) -> String {
        format!("{}/plans/demo?{what}={id}", self.public_url.as_str().trim_end_matches('/'))
    }
}

/// The card that a charge is of. None: it is a checkout.
fn card_of(reference: &str) -> Option<&str> {
    reference.strip_prefix(CHARGE).and_then(|rest| rest.split_once(':')).map(|(card, _)| card)
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

    /// There is nobody to ask: what was chosen came as an event, and how a charge ends follows from its card.
    async fn fetch(&self, payment: &KnownPayment<'_>) -> Result<Snapshot, GatewayError> {
        let charge = Some(payment.payment_id.to_string());
        match card_of(payment.reference) {
            Some(CARD) => return Ok(Snapshot { remote: RemoteState::Paid(payment.price), charge }),
            // What became of it comes as an event.
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

    /// Whatever was asked for was done.
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
        let signature = (delivery.header)(SIGNATURE).ok_or(VerifyError::Signature("there is no signature"))?;
        if !Hash::Sha256.is_signed(self.secret.expose(), delivery.body, &signature) {
            return Err(VerifyError::Signature("the signature is wrong"));
        }
        Ok(VerifiedWebhook(delivery.body.to_vec()))
    }

    fn classify(&self, verified: &VerifiedWebhook) -> Result<PaymentWebhookEvent, MalformedEvent> {
        let event: Event = serde_json::from_slice(verified.raw()).map_err(|_| MalformedEvent)?;
        let news = match event.outcome {
            Outcome::Paid => PaymentUpdate::Paid { money: event.money, charge: Some(event.payment_id.to_string()) },
            Outcome::PaidOnce => PaymentUpdate::Paid { money: event.money, charge: Some(format!("{ONCE}{}", event.payment_id)) },
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

    fn answer(&self, outcome: WebhookOutcome) -> WebhookResponse {
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
    async fn kept(&self, payment: &KnownPayment<'_>) -> Result<Option<SavedMethod>, GatewayError> {
        let Some(charge) = payment.charge else { return Ok(None) };
        let usual = if charge.starts_with(ONCE) { DECLINED_CARD } else { CARD };
        Ok(Some(kept(card_of(payment.reference).unwrap_or(usual))))
    }

    async fn prepare(&self, charge: &ChargeOrder<'_>) -> Result<String, GatewayError> {
        Ok(format!("{CHARGE}{}:{}", charge.method, charge.payment_id))
    }

    async fn charge(&self, payment: &KnownPayment<'_>, attempt: &ChargeAttempt<'_>) -> Result<ChargeResult, GatewayError> {
        if attempt.method != CONFIRMED_CARD {
            return Ok(ChargeResult::known(self.fetch(payment).await?));
        }
        if attempt.presence == PayerPresence::Absent {
            return Ok(ChargeResult::declined());
        }
        let redirect_url = Some(self.page("payment", payment.payment_id));
        Ok(ChargeResult { snapshot: Snapshot { remote: RemoteState::Open, charge: None }, redirect_url })
    }

    async fn create_setup(&self, order: &SetupOrder<'_>) -> Result<Checkout, GatewayError> {
        Ok(Checkout { reference: order.setup_id.to_string(), redirect_url: self.page("setup", order.setup_id) })
    }

    /// There is nobody to ask: the payer chooses it here.
    async fn fetch_setup(&self, _: &str) -> Result<SetupState, GatewayError> {
        Ok(SetupState::Open)
    }

    async fn forget(&self, _: &str) -> Result<(), GatewayError> {
        Ok(())
    }

    async fn portal(&self, _: &str, _: &Url) -> Result<Option<String>, GatewayError> {
        Ok(None)
    }
}
