//! Stripe: a small client of our own on a pinned version of its API.
//!
//! The version is pinned on our calls; the webhook endpoint at Stripe must be made with the same one. What is not known is passed over, so that
//! new values break nothing. Events come in any order and more than once; each of them says something that stays true, so it can be applied
//! as it comes.

mod charges;
mod setups;

use std::{ops::RangeInclusive, sync::Arc, time::Duration};

use appcore::{
    Secret, Timestamp,
    config::{
        Kind as Form,
        Preset::{Unset, Value},
        Setting, needed, row,
    },
};
use async_trait::async_trait;
use serde::Deserialize;
use url::Url;
use uuid::Uuid;

use crate::{
    About, Acknowledged, Answer, Checkout, Currency, Delivery, DisputeState, Forged, Gateway, GatewayError,
    GatewayName, Kind, Known, Listing, Money, News, Notice, Order, Recurring, RefundNews, RefundOrder, RefundState,
    Refunded, Remote, Snapshot, Unreadable, Verified,
    http::{Http, Reply},
    signature::Hash,
};

pub(crate) static KIND: Kind = Kind {
    name: "stripe",
    label: "Stripe",
    settings: SETTINGS,
    build: |settings, _| {
        let Settings { base_url, secret_key, webhook_secret } = settings.read()?;
        Ok(Arc::new(Stripe::new(&base_url, secret_key, webhook_secret)?))
    },
};

const SETTINGS: &[Setting] = &[
    row("payment.stripe.enabled", Form::Switch, Value("false"), "Whether people can pay by Stripe."),
    row(
        "payment.stripe.base_url",
        Form::Url(&["http", "https"]),
        Value("https://api.stripe.com"),
        "Address of Stripe's API.",
    ),
    needed("payment.stripe.secret_key", Form::Credential, Unset("sk_live_…"), "Secret key of Stripe's API."),
    needed(
        "payment.stripe.webhook_secret",
        Form::Secrets,
        Value(""),
        "Secret of the webhook endpoint at Stripe (whsec_…); two, with a comma, while one replaces the other.",
    ),
];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    base_url: Url,
    secret_key: Secret,
    webhook_secret: Vec<Secret>,
}

const VERSION: &str = "2026-10-28.endive";
const TIMEOUT: Duration = Duration::from_secs(10);
/// How far a signature's time may be from ours, in both directions.
const TOLERANCE_SECONDS: i64 = 300;

pub struct Stripe {
    pub(crate) http: Http,
    secret_key: Secret,
    /// Two while one of them is being replaced.
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

    /// The answer of a request that went well.
    pub(crate) async fn ask<T: serde::de::DeserializeOwned>(
        &self,
        request: reqwest::RequestBuilder,
    ) -> Result<T, GatewayError> {
        let reply = self.http.send(request).await?;
        if reply.status.is_success() { reply.json() } else { Err(failure(&reply)) }
    }

    /// The newest refunds of a payment.
    async fn refunds_of(&self, charge: &str) -> Result<Refunds, GatewayError> {
        let path = format!("/v1/refunds?payment_intent={charge}&limit=100");
        self.ask(self.request(reqwest::Method::GET, &path)).await
    }

    pub(crate) fn request(&self, method: reqwest::Method, path: &str) -> reqwest::RequestBuilder {
        self.http
            .client
            .request(method, self.http.url(path))
            .bearer_auth(self.secret_key.expose())
            .header("Stripe-Version", VERSION)
    }
}

/// What an answer means that isn't one of success.
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

/// Whether Stripe has decided about the request itself. Wrong keys have the type of wrong requests, and another status; that something was refunded
/// already may be what we have done: that has to be looked at. See <https://docs.stripe.com/api/errors>.
fn is_refusal(status: u16, kind: &str, code: Option<&str>) -> bool {
    matches!(status, 400 | 402 | 404)
        && matches!(kind, "card_error" | "invalid_request_error")
        && code != Some("charge_already_refunded")
}

/// A checkout session.
#[derive(Deserialize)]
struct Session {
    id: String,
    #[serde(default)]
    url: Option<String>,
    #[serde(default)]
    status: Option<String>,
    #[serde(default)]
    payment_status: Option<String>,
    #[serde(default)]
    amount_total: Option<i64>,
    #[serde(default)]
    currency: Option<String>,
    #[serde(default)]
    payment_intent: Option<Reference>,
    #[serde(default)]
    client_reference_id: Option<String>,
    #[serde(default)]
    mode: Option<String>,
}

/// An object of Stripe's: by its id, or with all that is in it.
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
    fn is_paid(&self) -> bool {
        matches!(self.payment_status.as_deref(), Some("paid" | "no_payment_required"))
    }

    fn money(&self) -> Option<Money> {
        Some(Money::new(self.amount_total?, self.currency.as_deref()?.parse().ok()?))
    }
}

#[derive(Deserialize)]
struct Refunds {
    data: Vec<Refund>,
    #[serde(default)]
    has_more: bool,
}

#[derive(Deserialize)]
struct Refund {
    id: String,
    amount: i64,
    currency: String,
    #[serde(default)]
    status: Option<String>,
    #[serde(default)]
    payment_intent: Option<Reference>,
    #[serde(default)]
    metadata: Option<RefundMetadata>,
}

/// Other programs of the account write what they like.
#[derive(Deserialize)]
struct RefundMetadata {
    #[serde(default)]
    refund_id: Option<String>,
}

/// A charge of which something was refunded. What that was isn't in it.
#[derive(Deserialize)]
struct RefundedCharge {
    #[serde(default)]
    payment_intent: Option<Reference>,
}

impl Refund {
    fn state(&self) -> RefundState {
        match self.status.as_deref() {
            Some("succeeded") => RefundState::Done,
            Some("failed" | "canceled") => RefundState::Failed,
            _ => RefundState::Pending,
        }
    }

    /// By which we have asked for it.
    fn ours(&self) -> Option<Uuid> {
        self.metadata.as_ref()?.refund_id.as_deref()?.parse().ok()
    }

    fn told(self) -> Refunded {
        Refunded { state: self.state(), reference: self.id }
    }

    /// None: it is in a currency that isn't known here.
    fn news(self, at: Option<Timestamp>) -> Option<RefundNews> {
        let money = Money::new(self.amount, self.currency.parse().ok()?);
        Some(RefundNews { ours: self.ours(), money, state: self.state(), at, reference: self.id })
    }
}

#[derive(Deserialize)]
struct Dispute {
    id: String,
    amount: i64,
    currency: String,
    status: String,
    #[serde(default)]
    payment_intent: Option<Reference>,
}

#[derive(Deserialize)]
struct Event<'a> {
    id: String,
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    livemode: bool,
    /// In seconds.
    #[serde(default)]
    created: Option<i64>,
    #[serde(borrow)]
    data: Data<'a>,
}

#[derive(Deserialize)]
struct Data<'a> {
    #[serde(borrow)]
    object: &'a serde_json::value::RawValue,
}

impl Data<'_> {
    fn read<T: serde::de::DeserializeOwned>(&self) -> Result<T, Unreadable> {
        serde_json::from_str(self.object.get()).map_err(|_| Unreadable)
    }
}

#[async_trait]
impl Gateway for Stripe {
    fn name(&self) -> GatewayName {
        GatewayName::of(&KIND)
    }

    fn limits(&self, _: Currency) -> Option<RangeInclusive<i64>> {
        Some(1..=99_999_999)
    }

    async fn create_checkout(&self, order: &Order<'_>) -> Result<Checkout, GatewayError> {
        let id = order.payment_id.to_string();
        let (amount, currency) = (order.price.amount.to_string(), order.price.currency.code().to_ascii_lowercase());
        let expires_at = order.expires_at.seconds().to_string();
        let mut form = vec![
            ("mode", "payment"),
            ("client_reference_id", &id),
            ("metadata[payment_id]", &id),
            // It is not copied down by itself.
            ("payment_intent_data[metadata][payment_id]", &id),
            ("line_items[0][quantity]", "1"),
            ("line_items[0][price_data][currency]", &currency),
            ("line_items[0][price_data][unit_amount]", &amount),
            ("line_items[0][price_data][product_data][name]", order.title),
            ("success_url", order.return_url.as_str()),
            ("cancel_url", order.return_url.as_str()),
            ("expires_at", &expires_at),
        ];
        if let Some(keep) = &order.keep {
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
        let session: Session = self.ask(request).await?;
        let redirect_url = session.url.ok_or_else(|| GatewayError::Away("the session has no address".to_owned()))?;
        Ok(Checkout { reference: session.id, redirect_url })
    }

    async fn fetch(&self, payment: &Known<'_>) -> Result<Snapshot, GatewayError> {
        if charges::is_charge(payment.reference) {
            return self.intent(payment.reference).await?.snapshot();
        }
        let path = format!("/v1/checkout/sessions/{}", payment.reference);
        let session: Session = self.ask(self.request(reqwest::Method::GET, &path)).await?;
        let remote = match session.status.as_deref() {
            _ if session.is_paid() => {
                Remote::Paid(session.money().ok_or_else(|| GatewayError::Away("the amount is missing".to_owned()))?)
            }
            Some("expired") => Remote::Expired,
            _ => Remote::Open,
        };
        Ok(Snapshot { remote, charge: session.payment_intent.map(Reference::into_id) })
    }

    async fn capture(&self, payment: &Known<'_>) -> Result<Snapshot, GatewayError> {
        self.fetch(payment).await
    }

    async fn refund(&self, order: &RefundOrder<'_>) -> Result<Refunded, GatewayError> {
        let charge = order.payment.charge.ok_or_else(|| GatewayError::Refused("nothing was paid".to_owned()))?;
        let (id, amount) = (order.refund_id.to_string(), order.money.amount.to_string());
        let form = [("payment_intent", charge), ("amount", &amount), ("metadata[refund_id]", &id)];
        let request = self
            .request(reqwest::Method::POST, "/v1/refunds")
            .header("Idempotency-Key", format!("refund-{id}"))
            .form(&form);
        let refund: Refund = self.ask(request).await?;
        Ok(refund.told())
    }

    /// Stripe forgets keys after a day; what a refund was for stays written on it.
    async fn fetch_refund(&self, order: &RefundOrder<'_>) -> Result<Option<Refunded>, GatewayError> {
        if let Some(reference) = order.reference {
            let path = format!("/v1/refunds/{reference}");
            let refund: Refund = self.ask(self.request(reqwest::Method::GET, &path)).await?;
            return Ok(Some(refund.told()));
        }
        let charge = order.payment.charge.ok_or_else(|| GatewayError::Refused("nothing was paid".to_owned()))?;
        let made = self.refunds_of(charge).await?;
        match made.data.into_iter().find(|refund| refund.ours() == Some(order.refund_id)) {
            Some(refund) => Ok(Some(refund.told())),
            None if made.has_more => Err(GatewayError::Away("there are more refunds than were listed".to_owned())),
            None => Ok(None),
        }
    }

    async fn list(&self, from: Timestamp, until: Timestamp) -> Result<Listing, GatewayError> {
        self.charges(from, until).await.map(Listing::Charges)
    }

    async fn probe(&self, _: Timestamp) -> Result<(), GatewayError> {
        let _: serde::de::IgnoredAny = self.ask(self.request(reqwest::Method::GET, "/v1/balance")).await?;
        Ok(())
    }

    async fn verify(&self, delivery: &Delivery<'_>) -> Result<Verified, Forged> {
        let header = (delivery.header)("stripe-signature").ok_or(Forged::Signature("there is no signature"))?;
        check(&header, delivery.body, &self.webhook_secrets, delivery.now)?;
        Ok(Verified(delivery.body.to_vec()))
    }

    fn classify(&self, verified: &Verified) -> Result<Notice, Unreadable> {
        let event: Event<'_> = serde_json::from_slice(verified.raw()).map_err(|_| Unreadable)?;
        let is_ours = event.livemode == self.is_live();
        let (about, news) = match event.kind.as_str() {
            kind if kind.starts_with("checkout.session.") => of_session(kind, event.data.read()?),
            "refund.created" | "refund.updated" | "refund.failed" | "charge.refund.updated" => {
                let mut refund: Refund = event.data.read()?;
                let about = about_intent(refund.payment_intent.take());
                let at = event.created.map(|seconds| Timestamp(seconds.saturating_mul(1_000)));
                (about, refund.news(at).map_or(News::Foreign, News::Refund))
            }
            // What was refunded is asked for: an endpoint may be told of nothing else.
            "charge.refunded" => match about_intent(event.data.read::<RefundedCharge>()?.payment_intent) {
                About::Nothing => (About::Nothing, News::Other),
                about => (about, News::Refunds(Vec::new())),
            },
            kind if kind.starts_with("charge.dispute.") => of_dispute(event.data.read()?),
            kind if kind.starts_with("payment_intent.") => charges::told(kind, &event.data.read()?),
            _ => (About::Nothing, News::Other),
        };
        Ok(Notice { event_id: event.id, kind: event.kind, about, is_ours, news })
    }

    /// That something of a charge was refunded says neither what nor how far that is.
    async fn confirm(&self, notice: Notice, now: Timestamp) -> Result<Notice, GatewayError> {
        let (true, News::Refunds(_), About::Charge(charge)) = (notice.is_ours, &notice.news, &notice.about) else {
            return Ok(notice);
        };
        let made = self.refunds_of(charge).await?.data;
        let told: Option<Vec<_>> = made.into_iter().map(|refund| refund.news(Some(now))).collect();
        Ok(Notice { news: told.map_or(News::Foreign, News::Refunds), ..notice })
    }

    fn answer(&self, outcome: Acknowledged) -> Answer {
        Answer::by_status(outcome, 200)
    }

    fn recurring(&self) -> Option<&dyn Recurring> {
        Some(self)
    }
}

fn of_session(kind: &str, session: Session) -> (About, News) {
    let ours = session.client_reference_id.as_deref().and_then(|id| id.parse().ok());
    if session.mode.as_deref() == Some("setup") {
        // Nothing was paid: what was kept is asked for.
        return (ours.map_or(About::Nothing, About::Setup), News::Other);
    }
    let about = ours.map_or_else(|| About::Reference(session.id.clone()), About::Payment);
    let news = match kind {
        "checkout.session.completed" | "checkout.session.async_payment_succeeded" => {
            if session.is_paid() {
                match session.money() {
                    Some(money) => News::Paid { money, charge: session.payment_intent.map(Reference::into_id) },
                    None => News::Foreign,
                }
            } else {
                News::Pending
            }
        }
        "checkout.session.async_payment_failed" => News::Failed,
        "checkout.session.expired" => News::Expired,
        _ => News::Other,
    };
    (about, news)
}

fn about_intent(intent: Option<Reference>) -> About {
    intent.map_or(About::Nothing, |intent| About::Charge(intent.into_id()))
}

fn of_dispute(dispute: Dispute) -> (About, News) {
    let about = about_intent(dispute.payment_intent);
    let state = match dispute.status.as_str() {
        "won" => DisputeState::Won,
        "lost" => DisputeState::Lost,
        // Somebody asks; no money has moved.
        status if status.starts_with("warning_") => return (about, News::Other),
        _ => DisputeState::Open,
    };
    let money = dispute.currency.parse::<Currency>().ok().map(|currency| Money::new(dispute.amount, currency));
    (about, News::Dispute { reference: dispute.id, money, state })
}

/// `t=…,v1=…`, with several `v1` while a secret is being replaced.
fn check(header: &str, body: &[u8], secrets: &[Secret], now: Timestamp) -> Result<(), Forged> {
    let parts = || header.split(',').filter_map(|part| part.trim().split_once('='));
    let stamp = parts().find(|(name, _)| *name == "t").map(|(_, value)| value);
    let stamp = stamp.ok_or(Forged::Signature("the signature has no time"))?;
    let seconds: i64 = stamp.parse().map_err(|_| Forged::Signature("the signature's time can't be read"))?;
    let mut message = format!("{stamp}.").into_bytes();
    message.extend_from_slice(body);
    let is_signed = parts().filter(|(name, _)| *name == "v1").any(|(_, signature)| {
        secrets.iter().any(|secret| Hash::Sha256.is_signed(secret.expose(), &message, signature))
    });
    if !is_signed {
        return Err(Forged::Signature("the signature is wrong"));
    }
    if now.seconds().abs_diff(seconds) > TOLERANCE_SECONDS.unsigned_abs() {
        return Err(Forged::Signature("the signature is too old, or from the future"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_700_000_000_000);

    fn secrets(secrets: &[&str]) -> Vec<Secret> {
        secrets.iter().map(|secret| Secret::from(*secret)).collect()
    }

    /// The types and codes are those of <https://docs.stripe.com/api/errors> and <https://docs.stripe.com/error-codes>.
    #[test]
    fn what_stripe_has_decided_is_a_refusal_and_nothing_else() {
        for (status, kind, code, is_final) in [
            (400, "invalid_request_error", Some("parameter_invalid_integer"), true),
            (400, "invalid_request_error", Some("payment_intent_unexpected_state"), true),
            (402, "card_error", Some("card_declined"), true),
            (404, "invalid_request_error", Some("resource_missing"), true),
            (400, "invalid_request_error", Some("charge_already_refunded"), false),
            (400, "idempotency_error", None, false),
            (401, "invalid_request_error", Some("api_key_expired"), false),
            (403, "invalid_request_error", None, false),
            (409, "idempotency_error", Some("idempotency_key_in_use"), false),
            (429, "invalid_request_error", Some("rate_limit"), false),
            (500, "api_error", None, false),
            (400, "", None, false),
        ] {
            let body = serde_json::json!({ "error": { "type": kind, "code": code } }).to_string().into_bytes();
            let status = reqwest::StatusCode::from_u16(status).unwrap();
            let said = failure(&Reply { status, body });
            assert_eq!(matches!(said, GatewayError::Refused(_)), is_final, "{status} {kind} {code:?}");
        }
        for body in ["", "{}", "<html>", r#"{"error":"no"}"#] {
            let reply = Reply { status: reqwest::StatusCode::BAD_REQUEST, body: body.as_bytes().to_vec() };
            assert!(matches!(failure(&reply), GatewayError::Away(_)), "{body}");
        }
    }

    #[test]
    fn a_refunds_state_is_what_stripe_says() {
        let state = |status: &str| {
            let body = serde_json::json!({ "id": "re_1", "amount": 1, "currency": "usd", "status": status });
            serde_json::from_value::<Refund>(body).unwrap().state()
        };
        // https://docs.stripe.com/api/refunds/object#refund_object-status
        for (status, meaning) in [
            ("succeeded", RefundState::Done),
            ("failed", RefundState::Failed),
            ("canceled", RefundState::Failed),
            ("pending", RefundState::Pending),
            ("requires_action", RefundState::Pending),
            ("something_new", RefundState::Pending),
        ] {
            assert_eq!(state(status), meaning, "{status}");
        }
    }

    #[test]
    fn a_refund_is_ours_where_it_names_one_and_another_programs_is_read_all_the_same() {
        let id = Uuid::from_u128(7);
        for (metadata, ours) in [
            (serde_json::json!({ "refund_id": id }), Some(id)),
            (serde_json::json!({ "refund_id": "4711" }), None),
            (serde_json::json!({ "order": "4711" }), None),
            (serde_json::json!(null), None),
        ] {
            let body = serde_json::json!({ "id": "re_1", "amount": 300, "currency": "usd", "metadata": metadata });
            let news = serde_json::from_value::<Refund>(body).unwrap().news(Some(NOW)).unwrap();
            assert_eq!((news.ours, news.at, news.money), (ours, Some(NOW), Money::new(300, Currency::Usd)));
        }
    }

    #[tokio::test]
    async fn that_something_of_a_charge_was_refunded_is_no_news_by_itself() {
        let stripe =
            Stripe::new(&Url::parse("http://127.0.0.1:9").unwrap(), "sk_test_x".into(), secrets(&["whsec_test"]))
                .unwrap();
        let event = |live: bool, intent: &str| {
            let body = format!(
                r#"{{"id":"evt_1","type":"charge.refunded","livemode":{live},"data":{{"object":{{"id":"ch_1","amount_refunded":300,
                   "payment_intent":{intent}}}}}}}"#
            );
            stripe.classify(&Verified(body.into_bytes())).unwrap()
        };
        let told = event(false, r#""pi_1""#);
        assert_eq!((&told.about, &told.news), (&About::Charge("pi_1".to_owned()), &News::Refunds(Vec::new())));
        assert!(matches!(stripe.confirm(told, NOW).await, Err(GatewayError::Away(_))), "it has to be asked");
        let foreign = event(true, r#""pi_1""#);
        assert_eq!(stripe.confirm(foreign.clone(), NOW).await.unwrap(), foreign, "nobody asks about what isn't ours");
        assert_eq!(event(false, "null").news, News::Other);
    }

    #[test]
    fn the_signature_is_that_of_the_official_package() {
        let signature = Hash::Sha256.sign("whsec_test", b"1700000000.{\"id\":\"evt_1\"}");
        // `stripe.webhooks.generateTestHeaderString` of npm stripe 23.1.0.
        assert_eq!(signature, "c89214b5b5da833daed6f0b8c5bb6bd58cea9022bd80ccc78230f3942d632925");
        let header = format!("t=1700000000,v1={signature}");
        let body = b"{\"id\":\"evt_1\"}";
        assert!(check(&header, body, &secrets(&["whsec_test"]), NOW).is_ok());
        assert!(check(&header, body, &secrets(&["whsec_new", "whsec_test"]), NOW).is_ok(), "while it is replaced");
        let two = format!("t=1700000000,v1={},v1={signature}", "00".repeat(32));
        assert!(check(&two, body, &secrets(&["whsec_test"]), NOW).is_ok(), "any of several");
        for (header, body, secret) in [
            (header.as_str(), &b"{\"id\":\"evt_2\"}"[..], "whsec_test"),
            (&header, body, "whsec_other"),
            (&header, body, ""),
            (&header.replace("v1=", "v0="), body, "whsec_test"),
            (&header.replace("t=17", "t=16"), body, "whsec_test"),
            ("", body, "whsec_test"),
            ("t=,v1=", body, "whsec_test"),
        ] {
            assert!(check(header, body, &secrets(&[secret]), NOW).is_err(), "{header} {secret}");
        }
    }

    #[test]
    fn a_signature_is_good_for_five_minutes_in_both_directions() {
        let body = b"{}";
        for (seconds, good) in [(0, true), (299, true), (-299, true), (301, false), (-301, false), (100_000, false)] {
            let stamp = 1_700_000_000 + seconds;
            let signature = Hash::Sha256.sign("whsec_test", format!("{stamp}.{{}}").as_bytes());
            let header = format!("t={stamp},v1={signature}");
            assert_eq!(check(&header, body, &secrets(&["whsec_test"]), NOW).is_ok(), good, "{seconds}");
        }
    }

    #[test]
    fn a_session_is_only_paid_when_it_says_so() {
        let stripe =
            Stripe::new(&Url::parse("http://localhost").unwrap(), "sk_test_x".into(), secrets(&["whsec_test"]))
                .unwrap();
        let id = Uuid::from_u128(7);
        let event = |kind: &str, status: &str, live: bool| {
            let body = format!(
                r#"{{"id":"evt_1","type":"{kind}","livemode":{live},"data":{{"object":{{"id":"cs_1","payment_status":"{status}",
                   "amount_total":500,"currency":"vnd","payment_intent":"pi_1","client_reference_id":"{id}"}}}}}}"#
            );
            stripe.classify(&Verified(body.into_bytes())).unwrap()
        };
        let paid = event("checkout.session.completed", "paid", false);
        let money = Money::new(500, Currency::Vnd);
        assert_eq!(paid.news, News::Paid { money, charge: Some("pi_1".to_owned()) });
        assert_eq!((paid.about, paid.is_ours), (About::Payment(id), true));
        assert_eq!(event("checkout.session.completed", "unpaid", false).news, News::Pending);
        assert_eq!(event("checkout.session.something_new", "paid", false).news, News::Other);
        assert!(!event("checkout.session.completed", "paid", true).is_ours, "real money, where tests are meant");
        assert_eq!(stripe.classify(&Verified(b"[]".to_vec())), Err(Unreadable));
        let setup = format!(
            r#"{{"id":"evt_1","type":"checkout.session.completed","data":{{"object":{{"id":"cs_1","mode":"setup",
               "payment_status":"no_payment_required","client_reference_id":"{id}"}}}}}}"#
        );
        let setup = stripe.classify(&Verified(setup.into_bytes())).unwrap();
        assert_eq!((setup.about, setup.news), (About::Setup(id), News::Other), "nothing was bought");
        let other = r#"{"id":"evt_1","type":"checkout.session.completed","data":{"object":{"id":"cs_2","payment_status":"paid",
            "amount_total":500,"currency":"chf"}}}"#;
        let other = stripe.classify(&Verified(other.as_bytes().to_vec())).unwrap();
        assert_eq!(other.news, News::Foreign, "another program of the account's sells for francs");
    }
}
