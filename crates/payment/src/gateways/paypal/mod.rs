//! PayPal Orders API v2, with capture after the payer's approval.
//!
//! A completed order isn't necessarily paid: its capture is decisive. A webhook is signed over a checksum of its raw
//! body, with a certificate whose URL comes with the request; [`certificate`] decides which of them are trusted.

mod certificate;
mod list;
mod objects;
#[cfg(test)]
mod tests;

use std::{
    ops::RangeInclusive,
    sync::Arc,
    time::{Duration, Instant},
};

use appcore::{Secret, Timestamp};
use async_trait::async_trait;
use natter_macro::Settings;
use reqwest::{Method, StatusCode};
use serde::Deserialize;
use serde_json::json;
use tokio::sync::Mutex;
use url::Url;

use self::{
    certificate::{CertificateCache, Roots},
    objects::{Capture, Event, PaypalOrder, Refund, capture_update, is_captured, parse_update},
};
use crate::{
    Checkout, CheckoutOrder, Currency, Gateway, GatewayError, GatewayKind, GatewayName, KnownPayment, MalformedEvent,
    PaymentListing, PaymentUpdate, PaymentWebhookEvent, RefundOrder, RefundResult, RemoteState, Snapshot,
    VerifiedWebhook, VerifyError, WebhookOutcome, WebhookRequest, WebhookResponse,
    http::{Http, Reply},
};

pub(crate) static KIND: GatewayKind = GatewayKind {
    name: "paypal",
    label: "PayPal",
    settings: Settings::SETTINGS,
    build: |settings, _| {
        let Settings { base_url, client_id, client_secret, webhook_id, verify } = settings.read()?;
        Ok(Arc::new(Paypal::new(&base_url, client_id, client_secret, webhook_id, verify)?))
    },
};

#[derive(Deserialize, Settings)]
#[settings("payment.paypal", enabled = "Enables payments by PayPal.")]
#[serde(deny_unknown_fields)]
struct Settings {
    /// Base URL of PayPal's API; https://api-m.sandbox.paypal.com for tests.
    #[setting(Url(&["http", "https"]), default = "https://api-m.paypal.com")]
    base_url: Url,
    /// Client id of the app at PayPal.
    #[setting(Text, needed, example = "AY…")]
    client_id: String,
    /// Client secret of the app at PayPal.
    #[setting(Credential, needed, example = "EL…")]
    client_secret: Secret,
    /// Id of the webhook at PayPal.
    #[setting(Text, needed, example = "8PT597110X687430LKGECATA")]
    webhook_id: String,
    /// Verification of PayPal's webhooks: `certificate` checks the signature here, `api` sends the event to PayPal for
    /// verification.
    #[setting(Choice(&["certificate", "api"]), default = "certificate")]
    verify: WebhookVerification,
}

const TIMEOUT: Duration = Duration::from_secs(15);
/// Time before its expiry at which an access token is no longer used.
const TOKEN_MARGIN: Duration = Duration::from_secs(60);

/// Verification of webhooks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WebhookVerification {
    Certificate,
    /// Sends the event to PayPal for verification.
    Api,
}

pub struct Paypal {
    http: Http,
    client_id: String,
    client_secret: Secret,
    webhook_id: String,
    check: WebhookVerification,
    certificates: CertificateCache,
    /// Access token. The mutex is locked during a fetch, so that the token is fetched once.
    token: Mutex<TokenCache>,
}

/// Cached access token with its expiry.
#[derive(Default)]
struct TokenCache {
    token: Option<(Secret, Instant)>,
    /// Last failed fetch of a token, and its time.
    failure: Option<(GatewayError, Instant)>,
}

impl Paypal {
    pub fn new(
        base_url: &Url,
        client_id: String,
        client_secret: Secret,
        webhook_id: String,
        check: WebhookVerification,
    ) -> Result<Self, GatewayError> {
        let http = Http::new(base_url, TIMEOUT)?;
        let certificates = CertificateCache::new(http.clone(), Roots::public());
        Ok(Self { http, client_id, client_secret, webhook_id, check, certificates, token: Mutex::default() })
    }

    async fn token(&self) -> Result<Secret, GatewayError> {
        #[derive(Deserialize)]
        struct Token {
            access_token: String,
            expires_in: u64,
        }
        let came = Instant::now();
        let mut fetched = self.token.lock().await;
        if let Some((token, until)) = &fetched.token
            && *until > Instant::now()
        {
            return Ok(token.clone());
        }
        // Callers that waited during a failed fetch share its error instead of fetching one after the other.
        if let Some((error, at)) = &fetched.failure
            && *at >= came
        {
            return Err(error.clone());
        }
        let request = self
            .http
            .client
            .post(self.http.url("/v1/oauth2/token"))
            .basic_auth(&self.client_id, Some(self.client_secret.expose()))
            .form(&[("grant_type", "client_credentials")]);
        match self.http.json(request).await {
            Ok(Token { access_token, expires_in }) => {
                let lasts = Duration::from_secs(expires_in).saturating_sub(TOKEN_MARGIN);
                let token = Secret::from(access_token);
                fetched.token = Some((token.clone(), Instant::now() + lasts));
                Ok(token)
            }
            Err(error) => {
                fetched.failure = Some((error.clone(), Instant::now()));
                Err(error)
            }
        }
    }

    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        id: Option<String>,
        body: Option<Vec<u8>>,
    ) -> Result<Reply, GatewayError> {
        let token = self.token().await?;
        let mut request = self
            .http
            .client
            .request(method, self.http.url(path))
            .bearer_auth(token.expose())
            .header("content-type", "application/json")
            .header("prefer", "return=representation");
        if let Some(id) = id {
            request = request.header("PayPal-Request-Id", id);
        }
        if let Some(body) = body {
            request = request.body(body);
        }
        let reply = self.http.send(request).await?;
        if reply.status == StatusCode::UNAUTHORIZED {
            self.token.lock().await.token = None;
            return Err(GatewayError::OutcomeUnknown("its token was refused".to_owned()));
        }
        Ok(reply)
    }

    async fn order(&self, reference: &str) -> Result<PaypalOrder, GatewayError> {
        parse_success(self.send(Method::GET, &format!("/v2/checkout/orders/{reference}"), None, None).await?)
    }
}

/// Parses a successful answer.
fn parse_success<T: serde::de::DeserializeOwned>(reply: Reply) -> Result<T, GatewayError> {
    if reply.status.is_success() { reply.json() } else { Err(failure(&reply)) }
}

/// Converts an unsuccessful answer to an error.
fn failure(reply: &Reply) -> GatewayError {
    #[derive(Deserialize)]
    struct Problem {
        #[serde(default)]
        name: String,
        #[serde(default)]
        details: Vec<Detail>,
    }
    #[derive(Deserialize)]
    struct Detail {
        #[serde(default)]
        issue: String,
    }
    let is_final = serde_json::from_slice::<Problem>(&reply.body).is_ok_and(|problem| {
        is_refusal(reply.status.as_u16(), &problem.name, problem.details.iter().map(|detail| detail.issue.as_str()))
    });
    if is_final { reply.refusal() } else { reply.failure() }
}

/// True for PayPal's final errors. "Already refunded" may be the result of an earlier request of Natter, so it isn't
/// final. See <https://developer.paypal.com/api/rest/responses/>.
fn is_refusal<'a>(status: u16, name: &str, mut issues: impl Iterator<Item = &'a str>) -> bool {
    let is_final = matches!(
        (status, name),
        (400, "INVALID_REQUEST") | (404, "RESOURCE_NOT_FOUND") | (422, "UNPROCESSABLE_ENTITY")
    );
    is_final && !issues.any(|issue| matches!(issue, "CAPTURE_FULLY_REFUNDED" | "CAPTURED_AMOUNT_FULLY_REFUNDED"))
}

#[async_trait]
impl Gateway for Paypal {
    fn name(&self) -> GatewayName {
        GatewayName::of(&KIND)
    }

    /// Returns the limits of PayPal, which supports neither dong nor won.
    fn limits(&self, currency: Currency) -> Option<RangeInclusive<i64>> {
        (!matches!(currency, Currency::Vnd | Currency::Krw)).then_some(1..=1_000_000_000)
    }

    async fn create_checkout(&self, order: &CheckoutOrder<'_>) -> Result<Checkout, GatewayError> {
        let id = order.payment_id.to_string();
        let body = json!({
            "intent": "CAPTURE",
            "purchase_units": [{
                "custom_id": id, "invoice_id": id, "description": order.title,
                "amount": { "currency_code": order.price.currency.code(), "value": order.price.decimal() },
            }],
            "payment_source": { "paypal": { "experience_context": {
                "return_url": order.return_url.as_str(), "cancel_url": order.return_url.as_str(),
                "user_action": "PAY_NOW", "shipping_preference": "NO_SHIPPING",
            } } },
        });
        let request = Some(format!("order-{id}"));
        let reply =
            self.send(Method::POST, "/v2/checkout/orders", request, Some(body.to_string().into_bytes())).await?;
        let made: PaypalOrder = parse_success(reply)?;
        let link = |rel: &str| made.links.iter().find(|link| link.rel == rel).map(|link| link.href.clone());
        let redirect_url = link("payer-action").or_else(|| link("approve"));
        let redirect_url =
            redirect_url.ok_or_else(|| GatewayError::OutcomeUnknown("the order has no address".to_owned()))?;
        Ok(Checkout { reference: made.id, redirect_url })
    }

    async fn fetch(&self, payment: &KnownPayment<'_>) -> Result<Snapshot, GatewayError> {
        let reply = self.send(Method::GET, &format!("/v2/checkout/orders/{}", payment.reference), None, None).await?;
        // PayPal deletes orders that were not approved, so an unknown order has expired.
        let is_forgotten =
            reply.status == StatusCode::NOT_FOUND && matches!(failure(&reply), GatewayError::Rejected(_));
        if is_forgotten && payment.now >= payment.expires_at {
            return Ok(Snapshot { remote: RemoteState::Expired, charge: None });
        }
        let snapshot = parse_success::<PaypalOrder>(reply)?.snapshot()?;
        if snapshot.remote == RemoteState::Open && snapshot.charge.is_none() && payment.now >= payment.expires_at {
            return Ok(Snapshot { remote: RemoteState::Expired, charge: None });
        }
        Ok(snapshot)
    }

    async fn capture(&self, payment: &KnownPayment<'_>) -> Result<Snapshot, GatewayError> {
        let path = format!("/v2/checkout/orders/{}/capture", payment.reference);
        let request = Some(format!("capture-{}", payment.payment_id));
        let reply = self.send(Method::POST, &path, request, Some(b"{}".to_vec())).await?;
        if reply.status.is_success() {
            return reply.json::<PaypalOrder>()?.snapshot();
        }
        match failure(&reply) {
            // The payment was captured before, or the payer has not approved it: the order shows which.
            GatewayError::Rejected(_) => self.order(payment.reference).await?.snapshot(),
            away => Err(away),
        }
    }

    async fn refund(&self, order: &RefundOrder<'_>) -> Result<RefundResult, GatewayError> {
        let charge = order.payment.charge.ok_or_else(|| GatewayError::Rejected("nothing was paid".to_owned()))?;
        let body = json!({
            "amount": { "currency_code": order.money.currency.code(), "value": order.money.decimal() },
            "custom_id": order.refund_id.to_string(),
        });
        let path = format!("/v2/payments/captures/{charge}/refund");
        let request = Some(format!("refund-{}", order.refund_id));
        let reply = self.send(Method::POST, &path, request, Some(body.to_string().into_bytes())).await?;
        Ok(parse_success::<Refund>(reply)?.into_result())
    }

    /// Searches the order, which contains all refunds of its capture with the ids of Natter's refunds.
    async fn fetch_refund(&self, order: &RefundOrder<'_>) -> Result<Option<RefundResult>, GatewayError> {
        if let Some(reference) = order.reference {
            let reply = self.send(Method::GET, &format!("/v2/payments/refunds/{reference}"), None, None).await?;
            return Ok(Some(parse_success::<Refund>(reply)?.into_result()));
        }
        let id = order.refund_id.to_string();
        let found = self.order(order.payment.reference).await?;
        let mut refunds = found.purchase_units.into_iter().filter_map(|unit| unit.payments).flat_map(|all| all.refunds);
        Ok(refunds.find(|refund| refund.custom_id.as_deref() == Some(id.as_str())).map(Refund::into_result))
    }

    async fn list(&self, from: Timestamp, until: Timestamp) -> Result<PaymentListing, GatewayError> {
        self.transactions(from, until).await
    }

    async fn probe(&self, _: Timestamp) -> Result<(), GatewayError> {
        // The cached token is dropped, because it doesn't prove that the credentials are still valid.
        self.token.lock().await.token = None;
        self.token().await.map(drop)
    }

    async fn verify(&self, delivery: &WebhookRequest<'_>) -> Result<VerifiedWebhook, VerifyError> {
        let header = |name: &str| (delivery.header)(name).ok_or(VerifyError::Signature("header missing"));
        let (id, time) = (header("paypal-transmission-id")?, header("paypal-transmission-time")?);
        let (algorithm, signature) = (header("paypal-auth-algo")?, header("paypal-transmission-sig")?);
        let certificate = header("paypal-cert-url")?;
        let moment = Timestamp::parse(&time).map_err(|_| VerifyError::Signature("malformed time"))?;
        // PayPal repeats an event for three days, with a new signature each time.
        if delivery.now.0.abs_diff(moment.0) > 4 * 86_400_000 {
            return Err(VerifyError::Signature("signature time out of range"));
        }
        if !algorithm.eq_ignore_ascii_case("SHA256withRSA") {
            return Err(VerifyError::Signature("unknown signature algorithm"));
        }
        if !certificate::is_paypal_url(&certificate) {
            return Err(VerifyError::Signature("certificate URL is not PayPal's"));
        }
        match self.check {
            WebhookVerification::Certificate => {
                let checksum = crc32fast::hash(delivery.body);
                let message = format!("{id}|{time}|{}|{checksum}", self.webhook_id);
                self.certificates.check(&certificate, message.as_bytes(), &signature, delivery.now).await?;
            }
            WebhookVerification::Api => {
                let text = |value: &str| serde_json::Value::from(value).to_string();
                let (id, time, algorithm, signature, certificate, webhook) = (
                    text(&id),
                    text(&time),
                    text(&algorithm),
                    text(&signature),
                    text(&certificate),
                    text(&self.webhook_id),
                );
                // The body is inserted as received, because serialising it again could change it.
                let mut body = format!(
                    r#"{{"transmission_id":{id},"transmission_time":{time},"auth_algo":{algorithm},"transmission_sig":{signature},"cert_url":{certificate},"webhook_id":{webhook},"webhook_event":"#
                )
                .into_bytes();
                if serde_json::from_slice::<serde::de::IgnoredAny>(delivery.body).is_err() {
                    return Err(VerifyError::Signature("the body is not JSON"));
                }
                body.extend_from_slice(delivery.body);
                body.push(b'}');
                #[derive(Deserialize)]
                struct Verdict {
                    verification_status: String,
                }
                let path = "/v1/notifications/verify-webhook-signature";
                let reply = self.send(Method::POST, path, None, Some(body)).await.map_err(VerifyError::Unverifiable)?;
                let verdict: Verdict = reply.json().map_err(VerifyError::Unverifiable)?;
                if verdict.verification_status != "SUCCESS" {
                    return Err(VerifyError::Signature("PayPal reports an invalid signature"));
                }
            }
        }
        Ok(VerifiedWebhook(delivery.body.to_vec()))
    }

    fn parse_event(&self, verified: &VerifiedWebhook) -> Result<PaymentWebhookEvent, MalformedEvent> {
        let event: Event = serde_json::from_slice(verified.raw()).map_err(|_| MalformedEvent)?;
        let at = event.create_time.as_deref().and_then(|at| Timestamp::parse(at).ok());
        let (about, news) = parse_update(&event.event_type, event.resource, at)?;
        Ok(PaymentWebhookEvent { event_id: event.id, kind: event.event_type, about, is_ours: true, news })
    }

    /// Confirms payments by fetching the capture, because the signature covers only a checksum of the body, for which
    /// another body with the same checksum can be made.
    async fn confirm(&self, notice: PaymentWebhookEvent, _: Timestamp) -> Result<PaymentWebhookEvent, GatewayError> {
        let PaymentUpdate::Paid { charge: Some(charge), .. } = &notice.news else { return Ok(notice) };
        if !is_id(charge) {
            return Err(GatewayError::OutcomeUnknown("this is no capture of PayPal's".to_owned()));
        }
        let reply = self.send(Method::GET, &format!("/v2/payments/captures/{charge}"), None, None).await?;
        let capture: Capture = parse_success(reply)?;
        if capture.id != *charge || !is_captured(&capture.status) {
            return Err(GatewayError::OutcomeUnknown("PayPal reports that the payment was not captured".to_owned()));
        }
        let (about, news) = capture_update(capture);
        Ok(PaymentWebhookEvent { about, news, ..notice })
    }

    fn webhook_response(&self, outcome: WebhookOutcome) -> WebhookResponse {
        WebhookResponse::by_status(outcome, 200)
    }
}

/// True if the id is safe in a URL path.
fn is_id(text: &str) -> bool {
    !text.is_empty() && text.len() <= 64 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}
