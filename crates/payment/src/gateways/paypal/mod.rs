//! PayPal: orders (v2) that we capture when the payer has agreed.
//!
//! That an order is completed doesn't mean that it is paid: its capture says so. A notice is signed over a checksum of its raw body, with a
//! certificate whose address comes with it; [`certificate`] says which of them are believed.

mod certificate;
mod list;

use std::{
    ops::RangeInclusive,
    sync::Arc,
    time::{Duration, Instant},
};

use appcore::{
    Secret, Timestamp,
    config::{
        Kind as Form,
        Preset::{Unset, Value},
        Setting, needed, row,
    },
};
use async_trait::async_trait;
use reqwest::{Method, StatusCode};
use serde::Deserialize;
use serde_json::json;
use tokio::sync::Mutex;
use url::Url;

use crate::{
    About, Acknowledged, Answer, Checkout, Currency, Delivery, DisputeState, Forged, Gateway, GatewayError,
    GatewayName, Kind, Known, Listing, Money, News, Notice, Order, RefundNews, RefundOrder, RefundState, Refunded,
    Remote, Snapshot, Unreadable, Verified,
    http::{Http, Reply},
};

use self::certificate::{Certificates, Roots};

pub(crate) static KIND: Kind = Kind {
    name: "paypal",
    label: "PayPal",
    settings: SETTINGS,
    build: |settings, _| {
        let Settings { base_url, client_id, client_secret, webhook_id, verify } = settings.read()?;
        Ok(Arc::new(Paypal::new(&base_url, client_id, client_secret, webhook_id, verify)?))
    },
};

const SETTINGS: &[Setting] = &[
    row("payment.paypal.enabled", Form::Switch, Value("false"), "Whether people can pay by PayPal."),
    row(
        "payment.paypal.base_url",
        Form::Url(&["http", "https"]),
        Value("https://api-m.paypal.com"),
        "Address of PayPal's API; https://api-m.sandbox.paypal.com for tests.",
    ),
    needed("payment.paypal.client_id", Form::Text, Unset("AY…"), "Client id of the app at PayPal."),
    needed("payment.paypal.client_secret", Form::Credential, Unset("EL…"), "Its secret."),
    needed("payment.paypal.webhook_id", Form::Text, Unset("8PT597110X687430LKGECATA"), "Id of the webhook at PayPal."),
    row(
        "payment.paypal.verify",
        Form::Choice(&["certificate", "api"]),
        Value("certificate"),
        "How PayPal's webhooks are checked: here, by the certificate that they are signed with, or by asking PayPal (api).",
    ),
];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    base_url: Url,
    client_id: String,
    client_secret: Secret,
    webhook_id: String,
    verify: Check,
}

const TIMEOUT: Duration = Duration::from_secs(15);
/// How long before its end a token is no longer used.
const TOKEN_MARGIN: Duration = Duration::from_secs(60);

/// How a notice is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Check {
    /// Here, by the certificate that it was signed with.
    Certificate,
    /// By asking PayPal.
    Api,
}

pub struct Paypal {
    http: Http,
    client_id: String,
    client_secret: Secret,
    webhook_id: String,
    check: Check,
    certificates: Certificates,
    /// Locked while it is fetched, so that it is fetched once.
    token: Mutex<Fetched>,
}

/// A token that is kept, and until when it is good.
#[derive(Default)]
struct Fetched {
    token: Option<(Secret, Instant)>,
    /// Why there was none the last time, and when that was known.
    failure: Option<(GatewayError, Instant)>,
}

impl Paypal {
    pub fn new(
        base_url: &Url,
        client_id: String,
        client_secret: Secret,
        webhook_id: String,
        check: Check,
    ) -> Result<Self, GatewayError> {
        let http = Http::new(base_url, TIMEOUT)?;
        let certificates = Certificates::new(http.clone(), Roots::public());
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
        // Whoever has waited for an attempt doesn't wait for one of their own, one after the other.
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

    pub(crate) async fn ask(
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
            return Err(GatewayError::Away("its token was refused".to_owned()));
        }
        Ok(reply)
    }

    async fn order(&self, reference: &str) -> Result<PaypalOrder, GatewayError> {
        read_as(self.ask(Method::GET, &format!("/v2/checkout/orders/{reference}"), None, None).await?)
    }
}

/// The answer of a request that went well.
fn read_as<T: serde::de::DeserializeOwned>(reply: Reply) -> Result<T, GatewayError> {
    if reply.status.is_success() { reply.json() } else { Err(failure(&reply)) }
}

/// What an answer means that isn't one of success.
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

/// Whether PayPal has decided about the request itself. That something was refunded already may be what we have done: that has to be looked at. See
/// <https://developer.paypal.com/api/rest/responses/>.
fn is_refusal<'a>(status: u16, name: &str, mut issues: impl Iterator<Item = &'a str>) -> bool {
    let is_final = matches!(
        (status, name),
        (400, "INVALID_REQUEST") | (404, "RESOURCE_NOT_FOUND") | (422, "UNPROCESSABLE_ENTITY")
    );
    is_final && !issues.any(|issue| matches!(issue, "CAPTURE_FULLY_REFUNDED" | "CAPTURED_AMOUNT_FULLY_REFUNDED"))
}

#[derive(Deserialize)]
struct Link {
    rel: String,
    href: String,
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
struct PaypalOrder {
    id: String,
    #[serde(default)]
    status: String,
    #[serde(default)]
    links: Vec<Link>,
    #[serde(default)]
    purchase_units: Vec<Unit>,
}

#[derive(Deserialize)]
struct Unit {
    #[serde(default)]
    payments: Option<Payments>,
}

#[derive(Deserialize)]
struct Payments {
    #[serde(default)]
    captures: Vec<Capture>,
    #[serde(default)]
    refunds: Vec<Refund>,
}

#[derive(Deserialize)]
struct Capture {
    id: String,
    #[serde(default)]
    status: String,
    amount: Amount,
    #[serde(default)]
    custom_id: Option<String>,
}

impl PaypalOrder {
    fn snapshot(&self) -> Result<Snapshot, GatewayError> {
        let captures =
            || self.purchase_units.iter().filter_map(|unit| unit.payments.as_ref()).flat_map(|all| &all.captures);
        if let Some(capture) = captures().find(|capture| is_captured(&capture.status)) {
            let money = capture.amount.money();
            let money = money.ok_or_else(|| GatewayError::Away("the amount can't be read".to_owned()))?;
            return Ok(Snapshot { remote: Remote::Paid(money), charge: Some(capture.id.clone()) });
        }
        let last = captures().last();
        let remote = match (self.status.as_str(), last.map(|capture| capture.status.as_str())) {
            (_, Some("DECLINED" | "FAILED")) => Remote::Failed,
            (_, Some(_)) => Remote::Open,
            ("APPROVED", None) => Remote::Approved,
            ("VOIDED", None) => Remote::Expired,
            _ => Remote::Open,
        };
        Ok(Snapshot { remote, charge: last.map(|capture| capture.id.clone()) })
    }
}

#[derive(Deserialize)]
struct Event {
    id: String,
    event_type: String,
    #[serde(default)]
    create_time: Option<String>,
    #[serde(default)]
    resource: serde_json::Value,
}

#[derive(Deserialize)]
struct Refund {
    id: String,
    #[serde(default)]
    status: String,
    amount: Amount,
    #[serde(default)]
    custom_id: Option<String>,
    #[serde(default)]
    links: Vec<Link>,
}

impl Refund {
    fn told(self) -> Refunded {
        Refunded { state: refund_state(&self.status), reference: self.id }
    }
}

fn refund_state(status: &str) -> RefundState {
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

#[async_trait]
impl Gateway for Paypal {
    fn name(&self) -> GatewayName {
        GatewayName::of(&KIND)
    }

    /// It has neither dong nor won.
    fn limits(&self, currency: Currency) -> Option<RangeInclusive<i64>> {
        (!matches!(currency, Currency::Vnd | Currency::Krw)).then_some(1..=1_000_000_000)
    }

    async fn create_checkout(&self, order: &Order<'_>) -> Result<Checkout, GatewayError> {
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
        let reply = self.ask(Method::POST, "/v2/checkout/orders", request, Some(body.to_string().into_bytes())).await?;
        let made: PaypalOrder = read_as(reply)?;
        let link = |rel: &str| made.links.iter().find(|link| link.rel == rel).map(|link| link.href.clone());
        let redirect_url = link("payer-action").or_else(|| link("approve"));
        let redirect_url = redirect_url.ok_or_else(|| GatewayError::Away("the order has no address".to_owned()))?;
        Ok(Checkout { reference: made.id, redirect_url })
    }

    async fn fetch(&self, payment: &Known<'_>) -> Result<Snapshot, GatewayError> {
        let reply = self.ask(Method::GET, &format!("/v2/checkout/orders/{}", payment.reference), None, None).await?;
        // It forgets orders that nobody has agreed to.
        let is_forgotten = reply.status == StatusCode::NOT_FOUND && matches!(failure(&reply), GatewayError::Refused(_));
        if is_forgotten && payment.now >= payment.expires_at {
            return Ok(Snapshot { remote: Remote::Expired, charge: None });
        }
        let snapshot = read_as::<PaypalOrder>(reply)?.snapshot()?;
        if snapshot.remote == Remote::Open && snapshot.charge.is_none() && payment.now >= payment.expires_at {
            return Ok(Snapshot { remote: Remote::Expired, charge: None });
        }
        Ok(snapshot)
    }

    async fn capture(&self, payment: &Known<'_>) -> Result<Snapshot, GatewayError> {
        let path = format!("/v2/checkout/orders/{}/capture", payment.reference);
        let request = Some(format!("capture-{}", payment.payment_id));
        let reply = self.ask(Method::POST, &path, request, Some(b"{}".to_vec())).await?;
        if reply.status.is_success() {
            return reply.json::<PaypalOrder>()?.snapshot();
        }
        match failure(&reply) {
            // Captured before, or not agreed to: the order says which.
            GatewayError::Refused(_) => self.order(payment.reference).await?.snapshot(),
            away => Err(away),
        }
    }

    async fn refund(&self, order: &RefundOrder<'_>) -> Result<Refunded, GatewayError> {
        let charge = order.payment.charge.ok_or_else(|| GatewayError::Refused("nothing was paid".to_owned()))?;
        let body = json!({
            "amount": { "currency_code": order.money.currency.code(), "value": order.money.decimal() },
            "custom_id": order.refund_id.to_string(),
        });
        let path = format!("/v2/payments/captures/{charge}/refund");
        let request = Some(format!("refund-{}", order.refund_id));
        let reply = self.ask(Method::POST, &path, request, Some(body.to_string().into_bytes())).await?;
        Ok(read_as::<Refund>(reply)?.told())
    }

    /// The order has all refunds of its capture, with what we have named them.
    async fn fetch_refund(&self, order: &RefundOrder<'_>) -> Result<Option<Refunded>, GatewayError> {
        if let Some(reference) = order.reference {
            let reply = self.ask(Method::GET, &format!("/v2/payments/refunds/{reference}"), None, None).await?;
            return Ok(Some(read_as::<Refund>(reply)?.told()));
        }
        let id = order.refund_id.to_string();
        let found = self.order(order.payment.reference).await?;
        let mut refunds = found.purchase_units.into_iter().filter_map(|unit| unit.payments).flat_map(|all| all.refunds);
        Ok(refunds.find(|refund| refund.custom_id.as_deref() == Some(id.as_str())).map(Refund::told))
    }

    async fn list(&self, from: Timestamp, until: Timestamp) -> Result<Listing, GatewayError> {
        self.transactions(from, until).await
    }

    async fn probe(&self, _: Timestamp) -> Result<(), GatewayError> {
        // One that is kept says nothing about now.
        self.token.lock().await.token = None;
        self.token().await.map(drop)
    }

    async fn verify(&self, delivery: &Delivery<'_>) -> Result<Verified, Forged> {
        let header = |name: &str| (delivery.header)(name).ok_or(Forged::Signature("a header is missing"));
        let (id, time) = (header("paypal-transmission-id")?, header("paypal-transmission-time")?);
        let (algorithm, signature) = (header("paypal-auth-algo")?, header("paypal-transmission-sig")?);
        let certificate = header("paypal-cert-url")?;
        let moment = Timestamp::parse(&time).map_err(|_| Forged::Signature("the time can't be read"))?;
        // It sends an event again for three days, and signs it anew each time.
        if delivery.now.0.abs_diff(moment.0) > 4 * 86_400_000 {
            return Err(Forged::Signature("the signature is too old, or from the future"));
        }
        if !algorithm.eq_ignore_ascii_case("SHA256withRSA") {
            return Err(Forged::Signature("the algorithm is another"));
        }
        if !certificate::is_paypals(&certificate) {
            return Err(Forged::Signature("the certificate's address is not PayPal's"));
        }
        match self.check {
            Check::Certificate => {
                let checksum = crc32fast::hash(delivery.body);
                let message = format!("{id}|{time}|{}|{checksum}", self.webhook_id);
                self.certificates.check(&certificate, message.as_bytes(), &signature, delivery.now).await?;
            }
            Check::Api => {
                let text = |value: &str| serde_json::Value::from(value).to_string();
                let (id, time, algorithm, signature, certificate, webhook) = (
                    text(&id),
                    text(&time),
                    text(&algorithm),
                    text(&signature),
                    text(&certificate),
                    text(&self.webhook_id),
                );
                // The body goes in as it came: written anew, it would be another one.
                let mut body = format!(
                    r#"{{"transmission_id":{id},"transmission_time":{time},"auth_algo":{algorithm},"transmission_sig":{signature},"cert_url":{certificate},"webhook_id":{webhook},"webhook_event":"#
                )
                .into_bytes();
                if serde_json::from_slice::<serde::de::IgnoredAny>(delivery.body).is_err() {
                    return Err(Forged::Signature("the body is not JSON"));
                }
                body.extend_from_slice(delivery.body);
                body.push(b'}');
                #[derive(Deserialize)]
                struct Verdict {
                    verification_status: String,
                }
                let path = "/v1/notifications/verify-webhook-signature";
                let reply = self.ask(Method::POST, path, None, Some(body)).await.map_err(Forged::Unchecked)?;
                let verdict: Verdict = reply.json().map_err(Forged::Unchecked)?;
                if verdict.verification_status != "SUCCESS" {
                    return Err(Forged::Signature("PayPal says that the signature is wrong"));
                }
            }
        }
        Ok(Verified(delivery.body.to_vec()))
    }

    fn classify(&self, verified: &Verified) -> Result<Notice, Unreadable> {
        let event: Event = serde_json::from_slice(verified.raw()).map_err(|_| Unreadable)?;
        let at = event.create_time.as_deref().and_then(|at| Timestamp::parse(at).ok());
        let (about, news) = read(&event.event_type, event.resource, at)?;
        Ok(Notice { event_id: event.id, kind: event.event_type, about, is_ours: true, news })
    }

    /// What is signed of a notice is a checksum of its body, which others can have the same: that money came is asked for.
    async fn confirm(&self, notice: Notice, _: Timestamp) -> Result<Notice, GatewayError> {
        let News::Paid { charge: Some(charge), .. } = &notice.news else { return Ok(notice) };
        if !is_id(charge) {
            return Err(GatewayError::Away("this is no capture of PayPal's".to_owned()));
        }
        let reply = self.ask(Method::GET, &format!("/v2/payments/captures/{charge}"), None, None).await?;
        let capture: Capture = read_as(reply)?;
        if capture.id != *charge || !is_captured(&capture.status) {
            return Err(GatewayError::Away("PayPal says that this was not captured".to_owned()));
        }
        let (about, news) = captured(capture);
        Ok(Notice { about, news, ..notice })
    }

    fn answer(&self, outcome: Acknowledged) -> Answer {
        Answer::by_status(outcome, 200)
    }
}

/// Whether the money came. What was refunded was paid before.
fn is_captured(status: &str) -> bool {
    matches!(status, "COMPLETED" | "REFUNDED" | "PARTIALLY_REFUNDED")
}

/// Whether it can stand in an address.
fn is_id(text: &str) -> bool {
    !text.is_empty() && text.len() <= 64 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// Of which payment of ours something is.
fn of_payment(id: Option<String>) -> About {
    id.and_then(|id| id.parse().ok()).map_or(About::Nothing, About::Payment)
}

fn captured(capture: Capture) -> (About, News) {
    let about = of_payment(capture.custom_id);
    match capture.amount.money() {
        Some(money) => (about, News::Paid { money, charge: Some(capture.id) }),
        None => (about, News::Foreign),
    }
}

fn read(kind: &str, resource: serde_json::Value, at: Option<Timestamp>) -> Result<(About, News), Unreadable> {
    fn parsed<T: serde::de::DeserializeOwned>(resource: serde_json::Value) -> Result<T, Unreadable> {
        serde_json::from_value(resource).map_err(|_| Unreadable)
    }
    Ok(match kind {
        "CHECKOUT.ORDER.APPROVED" => (About::Reference(parsed::<PaypalOrder>(resource)?.id), News::Approved),
        "PAYMENT.CAPTURE.COMPLETED" => captured(parsed(resource)?),
        "PAYMENT.CAPTURE.PENDING" => (of_payment(parsed::<Capture>(resource)?.custom_id), News::Pending),
        "PAYMENT.CAPTURE.DENIED" | "PAYMENT.CAPTURE.DECLINED" => {
            (of_payment(parsed::<Capture>(resource)?.custom_id), News::Failed)
        }
        // Reversed: the buyer's bank took the money back, which is for good.
        "PAYMENT.CAPTURE.REFUNDED" | "PAYMENT.CAPTURE.REVERSED" => {
            let refund: Refund = parsed(resource)?;
            let charge =
                refund.links.iter().find(|link| link.rel == "up").and_then(|link| link.href.rsplit('/').next());
            let about = charge.map_or(About::Nothing, |charge| About::Charge(charge.to_owned()));
            let Some(money) = refund.amount.money() else { return Ok((about, News::Foreign)) };
            let state = if kind.ends_with("REVERSED") { RefundState::Done } else { refund_state(&refund.status) };
            let ours = refund.custom_id.and_then(|id| id.parse().ok());
            (about, News::Refund(RefundNews { reference: refund.id, ours, money, state, at }))
        }
        "CUSTOMER.DISPUTE.CREATED" | "CUSTOMER.DISPUTE.UPDATED" | "CUSTOMER.DISPUTE.RESOLVED" => {
            let dispute: Dispute = parsed(resource)?;
            let charge = dispute.disputed_transactions.into_iter().find_map(|one| one.seller_transaction_id);
            let about = charge.map_or(About::Nothing, About::Charge);
            let money = dispute.dispute_amount.and_then(|amount| amount.money());
            let ruling = dispute.dispute_outcome.filter(|_| dispute.status == "RESOLVED");
            let state = ruling.map_or(DisputeState::Open, |ruling| ruled(&ruling.outcome_code));
            (about, News::Dispute { reference: dispute.dispute_id, money, state })
        }
        _ => (About::Nothing, News::Other),
    })
}

/// For whom a dispute was decided. A word that isn't known decides nothing: what it is about stays kept back until somebody has looked.
fn ruled(outcome: &str) -> DisputeState {
    match outcome {
        "RESOLVED_BUYER_FAVOUR" | "ACCEPTED" => DisputeState::Lost,
        // With a payout PayPal pays the buyer itself.
        "RESOLVED_SELLER_FAVOUR" | "RESOLVED_WITH_PAYOUT" | "CANCELED_BY_BUYER" | "DENIED" | "NONE" => {
            DisputeState::Won
        }
        _ => DisputeState::Open,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dispute_is_decided_by_words_that_are_known_and_stays_open_by_others() {
        let read = |status: &str, outcome: Option<&str>| {
            let mut resource = json!({
                "dispute_id": "PP-D-1", "status": status, "dispute_amount": { "currency_code": "USD", "value": "3.00" },
                "disputed_transactions": [{ "seller_transaction_id": "C1" }],
            });
            if let Some(outcome) = outcome {
                resource["dispute_outcome"] = json!({ "outcome_code": outcome });
            }
            let (about, news) = read("CUSTOMER.DISPUTE.UPDATED", resource, None).unwrap();
            assert_eq!(about, About::Charge("C1".to_owned()));
            match news {
                News::Dispute { state, .. } => state,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(read("OPEN", None), DisputeState::Open);
        assert_eq!(read("UNDER_REVIEW", Some("RESOLVED_SELLER_FAVOUR")), DisputeState::Open, "it isn't resolved yet");
        for (outcome, state) in [
            ("RESOLVED_BUYER_FAVOUR", DisputeState::Lost),
            ("ACCEPTED", DisputeState::Lost),
            ("RESOLVED_SELLER_FAVOUR", DisputeState::Won),
            ("RESOLVED_WITH_PAYOUT", DisputeState::Won),
            ("CANCELED_BY_BUYER", DisputeState::Won),
            ("SOMETHING_NEW", DisputeState::Open),
        ] {
            assert_eq!(read("RESOLVED", Some(outcome)), state, "{outcome}");
        }
    }

    /// The names are those of <https://developer.paypal.com/api/rest/responses/>, the issues those of
    /// <https://developer.paypal.com/api/payments/v2/>.
    #[test]
    fn what_paypal_has_decided_is_a_refusal_and_nothing_else() {
        for (status, name, issue, is_final) in [
            (400, "INVALID_REQUEST", "INVALID_PARAMETER_SYNTAX", true),
            (404, "RESOURCE_NOT_FOUND", "INVALID_RESOURCE_ID", true),
            (422, "UNPROCESSABLE_ENTITY", "REFUND_AMOUNT_EXCEEDED", true),
            (422, "UNPROCESSABLE_ENTITY", "REFUND_FAILED_INSUFFICIENT_FUNDS", true),
            (422, "UNPROCESSABLE_ENTITY", "REFUND_TIME_LIMIT_EXCEEDED", true),
            (422, "UNPROCESSABLE_ENTITY", "CAPTURE_FULLY_REFUNDED", false),
            (401, "AUTHENTICATION_FAILURE", "", false),
            (403, "NOT_AUTHORIZED", "PERMISSION_DENIED", false),
            (404, "", "", false),
            (409, "RESOURCE_CONFLICT", "PREVIOUS_REQUEST_IN_PROGRESS", false),
            (429, "RATE_LIMIT_REACHED", "", false),
            (500, "INTERNAL_SERVER_ERROR", "", false),
            (503, "SERVICE_UNAVAILABLE", "", false),
        ] {
            let body = json!({ "name": name, "details": [{ "issue": issue }] }).to_string().into_bytes();
            let said = failure(&Reply { status: StatusCode::from_u16(status).unwrap(), body });
            assert_eq!(matches!(said, GatewayError::Refused(_)), is_final, "{status} {name} {issue}");
        }
        // https://developer.paypal.com/docs/api/payments/v2/#definition-refund_status
        for (status, meaning) in [
            ("COMPLETED", RefundState::Done),
            ("FAILED", RefundState::Failed),
            ("CANCELLED", RefundState::Failed),
            ("PENDING", RefundState::Pending),
            ("SOMETHING_NEW", RefundState::Pending),
        ] {
            assert_eq!(refund_state(status), meaning, "{status}");
        }
    }

    #[tokio::test]
    async fn all_who_wait_for_a_token_are_told_together_that_there_is_none() {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = Url::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
        let paypal = Paypal::new(&url, "id".to_owned(), "secret".into(), "hook".to_owned(), Check::Api).unwrap();
        // Read, and never answered.
        let hanging_up = async {
            let (mut socket, _) = listener.accept().await.unwrap();
            assert!(socket.read(&mut [0; 8_192]).await.unwrap() > 0);
        };
        let ((), one, two, three) = tokio::join!(hanging_up, paypal.token(), paypal.token(), paypal.token());
        assert!(one.is_err() && two.is_err() && three.is_err());
        assert!(tokio::time::timeout(Duration::ZERO, listener.accept()).await.is_err(), "it was asked more than once");
        // Whoever comes later has it asked for anew.
        let answering = async {
            let (mut socket, _) = listener.accept().await.unwrap();
            assert!(socket.read(&mut [0; 8_192]).await.unwrap() > 0);
            let body = json!({ "access_token": "t", "expires_in": 900 }).to_string();
            let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n";
            let reply = format!("{head}content-length: {}\r\n\r\n{body}", body.len());
            socket.write_all(reply.as_bytes()).await.unwrap();
        };
        let ((), token) = tokio::join!(answering, paypal.token());
        assert_eq!(token.unwrap().expose(), "t");
    }

    #[test]
    fn the_checksum_is_that_of_paypal() {
        assert_eq!(crc32fast::hash(b"{\"id\":\"evt_1\"}"), 2_394_574_875);
    }

    #[test]
    fn an_order_is_paid_when_its_capture_is() {
        let snapshot = |status: &str, capture: Option<&str>| {
            let captures = capture.map_or_else(Vec::new, |status| {
                vec![json!({ "id": "C1", "status": status, "amount": { "currency_code": "USD", "value": "9.99" } })]
            });
            let order =
                json!({ "id": "O1", "status": status, "purchase_units": [{ "payments": { "captures": captures } }] });
            serde_json::from_value::<PaypalOrder>(order).unwrap().snapshot().unwrap().remote
        };
        let paid = Remote::Paid(Money::new(999, Currency::Usd));
        assert_eq!(snapshot("COMPLETED", Some("COMPLETED")), paid);
        assert_eq!(snapshot("COMPLETED", Some("PARTIALLY_REFUNDED")), paid);
        assert_eq!(snapshot("COMPLETED", Some("PENDING")), Remote::Open);
        assert_eq!(snapshot("COMPLETED", Some("DECLINED")), Remote::Failed);
        assert_eq!(snapshot("COMPLETED", None), Remote::Open);
        assert_eq!(snapshot("APPROVED", None), Remote::Approved);
    }
}
