//! Stripe client with a pinned API version.
//!
//! The version is pinned for the requests sent to Stripe; the webhook endpoint at Stripe must be created with the same
//! version. Unknown values are ignored, so that new ones break nothing. Events arrive in any order and repeatedly; each
//! states a fact that stays true, so it can be applied as it arrives.

mod charges;
mod objects;
mod setups;
#[cfg(test)]
mod tests;

use std::{ops::RangeInclusive, sync::Arc, time::Duration};

use appcore::{Secret, Timestamp};
use async_trait::async_trait;
use natter_macro::Settings;
use serde::Deserialize;
use url::Url;

use self::objects::{
    Event, Reference, Refund, RefundedCharge, Refunds, Session, dispute_update, intent_subject, session_update,
};
use crate::{
    Checkout, CheckoutOrder, Currency, Gateway, GatewayError, GatewayKind, GatewayName, KnownPayment, MalformedEvent,
    PaymentListing, PaymentUpdate, PaymentWebhookEvent, Recurring, RefundOrder, RefundResult, RemoteState, Snapshot,
    VerifiedWebhook, VerifyError, WebhookOutcome, WebhookRequest, WebhookResponse, WebhookSubject,
    http::{Http, Reply},
    signature::Hash,
};

pub(crate) static KIND: GatewayKind = GatewayKind {
    name: "stripe",
    label: "Stripe",
    settings: Settings::SETTINGS,
    build: |settings, _| {
        let Settings { base_url, secret_key, webhook_secret } = settings.read()?;
        Ok(Arc::new(Stripe::new(&base_url, secret_key, webhook_secret)?))
    },
};

#[derive(Deserialize, Settings)]
#[settings("payment.stripe", enabled = "Enables payments by Stripe.")]
#[serde(deny_unknown_fields)]
struct Settings {
    /// Base URL of Stripe's API.
    #[setting(Url(&["http", "https"]), default = "https://api.stripe.com")]
    base_url: Url,
    /// Secret key of Stripe's API.
    #[setting(Credential, needed, example = "sk_live_…")]
    secret_key: Secret,
    /// Signing secret of the webhook endpoint at Stripe (whsec_…). During a rotation, both secrets separated by a
    /// comma.
    #[setting(Secrets, needed, default = "")]
    webhook_secret: Vec<Secret>,
}

const VERSION: &str = "2026-10-28.endive";
const TIMEOUT: Duration = Duration::from_secs(10);
/// Maximum difference between the time of a signature and the server's clock, in both directions.
const TOLERANCE_SECONDS: i64 = 300;

pub struct Stripe {
    pub(crate) http: Http,
    secret_key: Secret,
    /// Signing secrets of the webhook: one, or two during a rotation.
    webhook_secrets: Vec<Secret>,
}

impl Stripe {
    pub fn new(base_url: &Url, secret_key: Secret, webhook_secrets: Vec<Secret>) -> Result<Self, GatewayError> {
        Ok(Self { http: Http::new(base_url, TIMEOUT)?, secret_key, webhook_secrets })
    }

    fn is_live(&self) -> bool {
        let key = self.secret_key.expose();
        key.starts_with("sk_live_") || key.starts_with("rk_live_")
    }

    /// Sends a request, and parses a successful answer.
    pub(crate) async fn send<T: serde::de::DeserializeOwned>(
        &self,
        request: reqwest::RequestBuilder,
    ) -> Result<T, GatewayError> {
        let reply = self.http.send(request).await?;
        if reply.status.is_success() { reply.json() } else { Err(failure(&reply)) }
    }

    /// Returns the newest refunds of a payment.
    async fn refunds_of(&self, charge: &str) -> Result<Refunds, GatewayError> {
        let path = format!("/v1/refunds?payment_intent={charge}&limit=100");
        self.send(self.request(reqwest::Method::GET, &path)).await
    }

    pub(crate) fn request(&self, method: reqwest::Method, path: &str) -> reqwest::RequestBuilder {
        self.http
            .client
            .request(method, self.http.url(path))
            .bearer_auth(self.secret_key.expose())
            .header("Stripe-Version", VERSION)
    }
}

/// Converts an unsuccessful answer to an error.
pub(crate) fn failure(reply: &Reply) -> GatewayError {
    #[derive(Deserialize)]
    struct Body {
        error: Problem,
    }
    #[derive(Deserialize)]
    struct Problem {
        #[serde(rename = "type", default)]
        kind: String,
        #[serde(default)]
        code: Option<String>,
    }
    let is_final = serde_json::from_slice::<Body>(&reply.body)
        .is_ok_and(|Body { error }| is_refusal(reply.status.as_u16(), &error.kind, error.code.as_deref()));
    if is_final { reply.refusal() } else { reply.failure() }
}

/// True for Stripe's final errors. Errors about wrong keys have the same type but another status. "Already refunded"
/// may be the result of an earlier request of Natter, so it isn't final. See <https://docs.stripe.com/api/errors>.
fn is_refusal(status: u16, kind: &str, code: Option<&str>) -> bool {
    matches!(status, 400 | 402 | 404)
        && matches!(kind, "card_error" | "invalid_request_error")
        && code != Some("charge_already_refunded")
}

#[async_trait]
impl Gateway for Stripe {
    fn name(&self) -> GatewayName {
        GatewayName::of(&KIND)
    }

    fn limits(&self, _: Currency) -> Option<RangeInclusive<i64>> {
        Some(1..=99_999_999)
    }

    async fn create_checkout(&self, order: &CheckoutOrder<'_>) -> Result<Checkout, GatewayError> {
        let id = order.payment_id.to_string();
        let (amount, currency) = (order.price.amount.to_string(), order.price.currency.code().to_ascii_lowercase());
        let expires_at = order.expires_at.seconds().to_string();
        let mut form = vec![
            ("mode", "payment"),
            ("client_reference_id", &id),
            ("metadata[payment_id]", &id),
            // The id is set on the intent too, because Stripe doesn't copy the session's metadata to it.
            ("payment_intent_data[metadata][payment_id]", &id),
            ("line_items[0][quantity]", "1"),
            ("line_items[0][price_data][currency]", &currency),
            ("line_items[0][price_data][unit_amount]", &amount),
            ("line_items[0][price_data][product_data][name]", order.title),
            ("success_url", order.return_url.as_str()),
            ("cancel_url", order.return_url.as_str()),
            ("expires_at", &expires_at),
        ];
        if let Some(keep) = &order.save_for {
            form.push(("payment_intent_data[setup_future_usage]", "off_session"));
            match keep.customer {
                Some(customer) => form.push(("customer", customer)),
                None => form.extend([("customer_creation", "always"), ("customer_email", keep.email)]),
            }
        }
        let request = self
            .request(reqwest::Method::POST, "/v1/checkout/sessions")
            .header("Idempotency-Key", format!("checkout-{id}"))
            .form(&form);
        let session: Session = self.send(request).await?;
        let redirect_url =
            session.url.ok_or_else(|| GatewayError::OutcomeUnknown("the session has no address".to_owned()))?;
        Ok(Checkout { reference: session.id, redirect_url })
    }

    async fn fetch(&self, payment: &KnownPayment<'_>) -> Result<Snapshot, GatewayError> {
        if charges::is_charge(payment.reference) {
            return self.intent(payment.reference).await?.snapshot();
        }
        let path = format!("/v1/checkout/sessions/{}", payment.reference);
        let session: Session = self.send(self.request(reqwest::Method::GET, &path)).await?;
        let remote = match session.status.as_deref() {
            _ if session.is_paid() => RemoteState::Paid(
                session.money().ok_or_else(|| GatewayError::OutcomeUnknown("the amount is missing".to_owned()))?,
            ),
            Some("expired") => RemoteState::Expired,
            _ => RemoteState::Open,
        };
        Ok(Snapshot { remote, charge: session.payment_intent.map(Reference::into_id) })
    }

    async fn capture(&self, payment: &KnownPayment<'_>) -> Result<Snapshot, GatewayError> {
        self.fetch(payment).await
    }

    async fn refund(&self, order: &RefundOrder<'_>) -> Result<RefundResult, GatewayError> {
        let charge = order.payment.charge.ok_or_else(|| GatewayError::Rejected("nothing was paid".to_owned()))?;
        let (id, amount) = (order.refund_id.to_string(), order.money.amount.to_string());
        let form = [("payment_intent", charge), ("amount", &amount), ("metadata[refund_id]", &id)];
        let request = self
            .request(reqwest::Method::POST, "/v1/refunds")
            .header("Idempotency-Key", format!("refund-{id}"))
            .form(&form);
        let refund: Refund = self.send(request).await?;
        Ok(refund.into_result())
    }

    /// Searches the payment's refunds for the one whose metadata contains the refund id, because Stripe forgets
    /// idempotency keys after a day.
    async fn fetch_refund(&self, order: &RefundOrder<'_>) -> Result<Option<RefundResult>, GatewayError> {
        if let Some(reference) = order.reference {
            let path = format!("/v1/refunds/{reference}");
            let refund: Refund = self.send(self.request(reqwest::Method::GET, &path)).await?;
            return Ok(Some(refund.into_result()));
        }
        let charge = order.payment.charge.ok_or_else(|| GatewayError::Rejected("nothing was paid".to_owned()))?;
        let made = self.refunds_of(charge).await?;
        match made.data.into_iter().find(|refund| refund.own_refund_id() == Some(order.refund_id)) {
            Some(refund) => Ok(Some(refund.into_result())),
            None if made.has_more => {
                Err(GatewayError::OutcomeUnknown("there are more refunds than were listed".to_owned()))
            }
            None => Ok(None),
        }
    }

    async fn list(&self, from: Timestamp, until: Timestamp) -> Result<PaymentListing, GatewayError> {
        self.charges(from, until).await.map(PaymentListing::Charges)
    }

    async fn probe(&self, _: Timestamp) -> Result<(), GatewayError> {
        let _: serde::de::IgnoredAny = self.send(self.request(reqwest::Method::GET, "/v1/balance")).await?;
        Ok(())
    }

    async fn verify(&self, delivery: &WebhookRequest<'_>) -> Result<VerifiedWebhook, VerifyError> {
        let header = (delivery.header)("stripe-signature").ok_or(VerifyError::Signature("signature missing"))?;
        check(&header, delivery.body, &self.webhook_secrets, delivery.now)?;
        Ok(VerifiedWebhook(delivery.body.to_vec()))
    }

    fn parse_event(&self, verified: &VerifiedWebhook) -> Result<PaymentWebhookEvent, MalformedEvent> {
        let event: Event<'_> = serde_json::from_slice(verified.raw()).map_err(|_| MalformedEvent)?;
        let is_ours = event.livemode == self.is_live();
        let (about, news) = match event.kind.as_str() {
            kind if kind.starts_with("checkout.session.") => session_update(kind, event.data.read()?),
            "refund.created" | "refund.updated" | "refund.failed" | "charge.refund.updated" => {
                let mut refund: Refund = event.data.read()?;
                let about = intent_subject(refund.payment_intent.take());
                let at = event.created.map(|seconds| Timestamp(seconds.saturating_mul(1_000)));
                (about, refund.into_update(at).map_or(PaymentUpdate::Foreign, PaymentUpdate::Refund))
            }
            // The refunds are fetched, because the endpoint may be subscribed to no other refund event.
            "charge.refunded" => match intent_subject(event.data.read::<RefundedCharge>()?.payment_intent) {
                WebhookSubject::Nothing => (WebhookSubject::Nothing, PaymentUpdate::Other),
                about => (about, PaymentUpdate::Refunds(Vec::new())),
            },
            kind if kind.starts_with("charge.dispute.") => dispute_update(event.data.read()?),
            kind if kind.starts_with("payment_intent.") => charges::intent_update(kind, &event.data.read()?),
            _ => (WebhookSubject::Nothing, PaymentUpdate::Other),
        };
        Ok(PaymentWebhookEvent { event_id: event.id, kind: event.kind, about, is_ours, news })
    }

    /// Fetches the refunds of a `charge.refunded` event, which names neither the refunds nor their states.
    async fn confirm(&self, notice: PaymentWebhookEvent, now: Timestamp) -> Result<PaymentWebhookEvent, GatewayError> {
        let (true, PaymentUpdate::Refunds(_), WebhookSubject::Charge(charge)) =
            (notice.is_ours, &notice.news, &notice.about)
        else {
            return Ok(notice);
        };
        let made = self.refunds_of(charge).await?.data;
        let told: Option<Vec<_>> = made.into_iter().map(|refund| refund.into_update(Some(now))).collect();
        Ok(PaymentWebhookEvent { news: told.map_or(PaymentUpdate::Foreign, PaymentUpdate::Refunds), ..notice })
    }

    fn webhook_response(&self, outcome: WebhookOutcome) -> WebhookResponse {
        WebhookResponse::by_status(outcome, 200)
    }

    fn recurring(&self) -> Option<&dyn Recurring> {
        Some(self)
    }
}

/// Verifies a signature header `t=…,v1=…`, which has several `v1` during a rotation of the secret.
fn check(header: &str, body: &[u8], secrets: &[Secret], now: Timestamp) -> Result<(), VerifyError> {
    let parts = || header.split(',').filter_map(|part| part.trim().split_once('='));
    let stamp = parts().find(|(name, _)| *name == "t").map(|(_, value)| value);
    let stamp = stamp.ok_or(VerifyError::Signature("signature without time"))?;
    let seconds: i64 = stamp.parse().map_err(|_| VerifyError::Signature("malformed signature time"))?;
    let mut message = format!("{stamp}.").into_bytes();
    message.extend_from_slice(body);
    let is_signed = parts().filter(|(name, _)| *name == "v1").any(|(_, signature)| {
        secrets.iter().any(|secret| Hash::Sha256.is_signed(secret.expose(), &message, signature))
    });
    if !is_signed {
        return Err(VerifyError::Signature("invalid signature"));
    }
    if now.seconds().abs_diff(seconds) > TOLERANCE_SECONDS.unsigned_abs() {
        return Err(VerifyError::Signature("signature time out of range"));
    }
    Ok(())
}
