//! MoMo API v2: payments in Vietnamese dong by the MoMo wallet.
//!
//! Requests and webhooks are signed over fields in a fixed order per kind. MoMo's own samples for Go and Node are for
//! v1 and use another order. Webhooks have no event id; it is built from the payment, the transaction and the result.

use std::{collections::HashMap, ops::RangeInclusive, sync::Arc, time::Duration};

use appcore::{Secret, Timestamp};
use async_trait::async_trait;
use natter_macro::Settings;
use serde::Deserialize;
use serde_json::json;
use url::Url;
use uuid::Uuid;

use crate::{
    Checkout, CheckoutOrder, Currency, Gateway, GatewayError, GatewayKind, GatewayName, KnownPayment, MalformedEvent,
    Money, PaymentListing, PaymentUpdate, PaymentWebhookEvent, RefundOrder, RefundResult, RefundState, RemoteState,
    Snapshot, VerifiedWebhook, VerifyError, WebhookOutcome, WebhookRequest, WebhookResponse, WebhookSubject,
    http::Http,
    signature::{Hash, joined},
};

pub(crate) static KIND: GatewayKind = GatewayKind {
    name: "momo",
    label: "MoMo",
    settings: Settings::SETTINGS,
    build: |settings, _| {
        let Settings { base_url, partner_code, access_key, secret_key } = settings.read()?;
        Ok(Arc::new(Momo::new(&base_url, partner_code, access_key.expose().to_owned(), secret_key)?))
    },
};

#[derive(Deserialize, Settings)]
#[settings("payment.momo", enabled = "Enables payments by MoMo.")]
#[serde(deny_unknown_fields)]
struct Settings {
    /// Base URL of MoMo's API; https://test-payment.momo.vn for tests.
    #[setting(Url(&["http", "https"]), default = "https://payment.momo.vn")]
    base_url: Url,
    /// Partner code at MoMo.
    #[setting(Text, needed, example = "MOMOXXXX20260101")]
    partner_code: String,
    /// Access key at MoMo.
    #[setting(Credential, needed, example = "F8BBA842ECF85")]
    access_key: Secret,
    /// Secret key at MoMo.
    #[setting(Credential, needed, example = "K951B6PE1waDMi640xX08PD3vg6EkVlz")]
    secret_key: Secret,
}

/// Timeout of a request. MoMo requires at least 30 s.
const TIMEOUT: Duration = Duration::from_secs(30);
const REQUEST_TYPE: &str = "captureWallet";

pub struct Momo {
    http: Http,
    partner_code: String,
    access_key: String,
    secret_key: Secret,
}

impl Momo {
    pub fn new(
        base_url: &Url,
        partner_code: String,
        access_key: String,
        secret_key: Secret,
    ) -> Result<Self, GatewayError> {
        Ok(Self { http: Http::new(base_url, TIMEOUT)?, partner_code, access_key, secret_key })
    }

    fn sign(&self, fields: &[(&str, &str)]) -> String {
        Hash::Sha256.sign(self.secret_key.expose(), joined(fields).as_bytes())
    }

    async fn send<T: serde::de::DeserializeOwned>(
        &self,
        path: &str,
        body: &serde_json::Value,
    ) -> Result<T, GatewayError> {
        let reply = self.http.send(self.http.client.post(self.http.url(path)).json(body)).await?;
        // Some answers have their own HTTP status, such as 422 for a pending payment; the result code in the body is
        // decisive.
        match serde_json::from_slice(&reply.body) {
            Ok(answer) if !reply.status.is_server_error() => Ok(answer),
            _ => reply.json(),
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CreateResponse {
    result_code: i64,
    #[serde(default)]
    message: String,
    #[serde(default)]
    pay_url: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct QueryResponse {
    result_code: i64,
    #[serde(default)]
    amount: i64,
    #[serde(default)]
    trans_id: i64,
    #[serde(default)]
    message: String,
    #[serde(default)]
    refund_trans: Option<Vec<QueriedRefund>>,
}

impl QueryResponse {
    fn outcome_unknown(&self) -> GatewayError {
        GatewayError::OutcomeUnknown(format!("{}: {}", self.result_code, self.message))
    }

    fn rejection(&self) -> GatewayError {
        GatewayError::Rejected(format!("{}: {}", self.result_code, self.message))
    }
}

/// A refund in a payment's query result.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct QueriedRefund {
    order_id: String,
    amount: i64,
    result_code: i64,
}

/// Meaning of a result code for a payment.
enum PaymentResult {
    Paid,
    Open,
    Failed,
    Expired,
}

/// Final result codes of payments. All codes:
/// <https://developers.momo.vn/v3/docs/payment/api/result-handling/resultcode>.
fn payment_result(code: i64) -> PaymentResult {
    match code {
        0 => PaymentResult::Paid,
        1005 => PaymentResult::Expired,
        98 | 99 | 1001..=1004 | 1006 | 1007 | 1017 | 1026 | 2019 | 4001 | 4002 | 4100 => PaymentResult::Failed,
        // The code means authorised or in progress, is about a request or a refund, or is unknown: the payment is
        // fetched again later.
        _ => PaymentResult::Open,
    }
}

/// True for codes that reject the request itself: bad credentials, bad parameters, or a refund that isn't possible. A
/// duplicate request is no rejection, because it says nothing about the outcome.
const fn is_refusal(code: i64) -> bool {
    matches!(code, 11 | 12 | 13 | 20 | 21 | 22 | 42 | 47 | 1081 | 1088)
}

/// Maps a result code to the state of a requested refund.
const fn refund_result(code: i64) -> RefundState {
    match code {
        0 => RefundState::Done,
        1080 | 1081 | 1088 => RefundState::Failed,
        _ => RefundState::Pending,
    }
}

/// Webhook fields in signature order, without the access key, which is signed but not sent.
const SIGNED_FIELDS: [&str; 12] = [
    "amount",
    "extraData",
    "message",
    "orderId",
    "orderInfo",
    "orderType",
    "partnerCode",
    "payType",
    "requestId",
    "responseTime",
    "resultCode",
    "transId",
];

type Fields = HashMap<String, serde_json::Value>;

/// Returns the text of a field as it is signed.
fn text(fields: &Fields, name: &str) -> String {
    match fields.get(name) {
        Some(serde_json::Value::String(text)) => text.clone(),
        Some(serde_json::Value::Number(number)) => number.to_string(),
        _ => String::new(),
    }
}

#[async_trait]
impl Gateway for Momo {
    fn name(&self) -> GatewayName {
        GatewayName::of(&KIND)
    }

    fn limits(&self, currency: Currency) -> Option<RangeInclusive<i64>> {
        (currency == Currency::Vnd).then_some(1_000..=50_000_000)
    }

    async fn create_checkout(&self, order: &CheckoutOrder<'_>) -> Result<Checkout, GatewayError> {
        let (id, amount) = (order.payment_id.to_string(), order.price.amount.to_string());
        let (notify, back) = (order.notify_url.as_str(), order.return_url.as_str());
        let signature = self.sign(&[
            ("accessKey", &self.access_key),
            ("amount", &amount),
            ("extraData", ""),
            ("ipnUrl", notify),
            ("orderId", &id),
            ("orderInfo", order.title),
            ("partnerCode", &self.partner_code),
            ("redirectUrl", back),
            ("requestId", &id),
            ("requestType", REQUEST_TYPE),
        ]);
        let body = json!({
            "partnerCode": self.partner_code, "requestType": REQUEST_TYPE, "ipnUrl": notify, "redirectUrl": back, "orderId": id,
            "amount": order.price.amount, "orderInfo": order.title, "requestId": id, "extraData": "", "lang": "vi",
            "autoCapture": true, "signature": signature,
        });
        let made: CreateResponse = self.send("/v2/gateway/api/create", &body).await?;
        match (made.result_code, made.pay_url) {
            (0, Some(redirect_url)) => Ok(Checkout { reference: id, redirect_url }),
            (code, _)
                if is_refusal(code)
                    || matches!(payment_result(code), PaymentResult::Failed | PaymentResult::Expired) =>
            {
                Err(GatewayError::Rejected(format!("{code}: {}", made.message)))
            }
            (code, _) => Err(GatewayError::OutcomeUnknown(format!("{code}: {}", made.message))),
        }
    }

    async fn fetch(&self, payment: &KnownPayment<'_>) -> Result<Snapshot, GatewayError> {
        let (id, request) = (payment.reference, Uuid::now_v7().to_string());
        let signature = self.sign(&[
            ("accessKey", &self.access_key),
            ("orderId", id),
            ("partnerCode", &self.partner_code),
            ("requestId", &request),
        ]);
        let body = json!({
            "partnerCode": self.partner_code, "requestId": request, "orderId": id, "lang": "vi", "signature": signature,
        });
        let found: QueryResponse = self.send("/v2/gateway/api/query", &body).await?;
        let remote = match payment_result(found.result_code) {
            PaymentResult::Paid => RemoteState::Paid(Money::new(found.amount, Currency::Vnd)),
            PaymentResult::Failed => RemoteState::Failed,
            PaymentResult::Expired => RemoteState::Expired,
            // Maintenance, a wrong signature and similar codes say nothing about the payment.
            PaymentResult::Open if matches!(found.result_code, 10..=41 | 43..=47) => {
                return Err(found.outcome_unknown());
            }
            PaymentResult::Open if found.result_code == 42 && payment.now >= payment.expires_at => RemoteState::Expired,
            PaymentResult::Open => RemoteState::Open,
        };
        Ok(Snapshot { remote, charge: (found.trans_id > 0).then(|| found.trans_id.to_string()) })
    }

    async fn capture(&self, payment: &KnownPayment<'_>) -> Result<Snapshot, GatewayError> {
        self.fetch(payment).await
    }

    async fn refund(&self, order: &RefundOrder<'_>) -> Result<RefundResult, GatewayError> {
        let charge = order.payment.charge.ok_or_else(|| GatewayError::Rejected("nothing was paid".to_owned()))?;
        // At MoMo a refund is an order of its own, which refers to the transaction of the purchase.
        let (id, amount) = (order.refund_id.to_string(), order.money.amount.to_string());
        let signature = self.sign(&[
            ("accessKey", &self.access_key),
            ("amount", &amount),
            ("description", ""),
            ("orderId", &id),
            ("partnerCode", &self.partner_code),
            ("requestId", &id),
            ("transId", charge),
        ]);
        let transaction: i64 = charge.parse().map_err(|_| GatewayError::Rejected("no transaction".to_owned()))?;
        let body = json!({
            "partnerCode": self.partner_code, "orderId": id, "requestId": id, "amount": order.money.amount,
            "transId": transaction, "lang": "vi", "description": "", "signature": signature,
        });
        let done: QueryResponse = self.send("/v2/gateway/api/refund", &body).await?;
        match done.result_code {
            0 => Ok(RefundResult { reference: id, state: RefundState::Done }),
            code if is_refusal(code) => Err(done.rejection()),
            _ => Err(done.outcome_unknown()),
        }
    }

    async fn fetch_refund(&self, order: &RefundOrder<'_>) -> Result<Option<RefundResult>, GatewayError> {
        let (id, request) = (order.refund_id.to_string(), Uuid::now_v7().to_string());
        let signature = self.sign(&[
            ("accessKey", &self.access_key),
            ("orderId", &id),
            ("partnerCode", &self.partner_code),
            ("requestId", &request),
        ]);
        let body = json!({
            "partnerCode": self.partner_code, "requestId": request, "orderId": id, "lang": "vi", "signature": signature,
        });
        let found: QueryResponse = self.send("/v2/gateway/api/refund/query", &body).await?;
        match found.result_code {
            0 => {
                let made = found.refund_trans.iter().flatten().find(|made| made.order_id == id);
                let made = made.filter(|made| made.amount == order.money.amount);
                let made =
                    made.ok_or_else(|| GatewayError::OutcomeUnknown("its answer is about another refund".to_owned()))?;
                Ok(Some(RefundResult { reference: id, state: refund_result(made.result_code) }))
            }
            // MoMo doesn't know the order.
            42 => Ok(None),
            _ => Err(found.outcome_unknown()),
        }
    }

    async fn list(&self, _: Timestamp, _: Timestamp) -> Result<PaymentListing, GatewayError> {
        Ok(PaymentListing::Unsupported)
    }

    /// Tests the connection by querying an order that doesn't exist.
    async fn probe(&self, now: Timestamp) -> Result<(), GatewayError> {
        let id = Uuid::now_v7();
        let price = Money::new(0, Currency::Vnd);
        let reference = id.to_string();
        let nobodys = KnownPayment {
            payment_id: id,
            reference: &reference,
            charge: None,
            price,
            created_at: now,
            expires_at: now,
            now,
        };
        self.fetch(&nobodys).await.map(drop)
    }

    async fn verify(&self, delivery: &WebhookRequest<'_>) -> Result<VerifiedWebhook, VerifyError> {
        let unreadable = VerifyError::Signature("malformed event");
        let Ok(fields) = serde_json::from_slice::<Fields>(delivery.body) else { return Err(unreadable) };
        let values = SIGNED_FIELDS.map(|name| text(&fields, name));
        let mut signed = vec![("accessKey", self.access_key.as_str())];
        signed.extend(SIGNED_FIELDS.into_iter().zip(values.iter().map(String::as_str)));
        let signature = text(&fields, "signature");
        if !Hash::Sha256.is_signed(self.secret_key.expose(), joined(&signed).as_bytes(), &signature) {
            return Err(VerifyError::Signature("invalid signature"));
        }
        Ok(VerifiedWebhook(delivery.body.to_vec()))
    }

    fn parse_event(&self, verified: &VerifiedWebhook) -> Result<PaymentWebhookEvent, MalformedEvent> {
        let fields: Fields = serde_json::from_slice(verified.raw()).map_err(|_| MalformedEvent)?;
        let number = |name: &str| text(&fields, name).parse::<i64>().map_err(|_| MalformedEvent);
        let (order, transaction, code) = (text(&fields, "orderId"), text(&fields, "transId"), number("resultCode")?);
        let news = match payment_result(code) {
            PaymentResult::Paid => PaymentUpdate::Paid {
                money: Money::new(number("amount")?, Currency::Vnd),
                charge: Some(transaction.clone()),
            },
            PaymentResult::Open => PaymentUpdate::Pending,
            PaymentResult::Failed => PaymentUpdate::Failed,
            PaymentResult::Expired => PaymentUpdate::Expired,
        };
        Ok(PaymentWebhookEvent {
            event_id: format!("{order}:{transaction}:{code}"),
            kind: format!("ipn.{code}"),
            about: order.parse().map_or(WebhookSubject::Reference(order), WebhookSubject::Payment),
            is_ours: text(&fields, "partnerCode") == self.partner_code,
            news,
        })
    }

    fn webhook_response(&self, outcome: WebhookOutcome) -> WebhookResponse {
        WebhookResponse::by_status(outcome, 204)
    }
}

#[cfg(test)]
mod tests {
    use appcore::Timestamp;

    use super::*;

    fn momo() -> Momo {
        Momo::new(&Url::parse("http://localhost").unwrap(), "PC".to_owned(), "AK".to_owned(), "SK".into()).unwrap()
    }

    #[test]
    fn signs_requests_as_momo_does() {
        let signature = momo().sign(&[
            ("accessKey", "AK"),
            ("amount", "50000"),
            ("extraData", ""),
            ("ipnUrl", "https://x.test/ipn"),
            ("orderId", "o1"),
            ("orderInfo", "pay"),
            ("partnerCode", "PC"),
            ("redirectUrl", "https://x.test/r"),
            ("requestId", "r1"),
            ("requestType", REQUEST_TYPE),
        ]);
        assert!(signature.starts_with("57a287599b5aa00c"), "{signature}");
    }

    /// Each code of <https://developers.momo.vn/v3/docs/payment/api/result-handling/resultcode> (2026-08): whether it
    /// is final, its meaning for a payment, its meaning for a refund request (`true`: rejected), and its meaning for
    /// the state of a refund.
    #[test]
    fn maps_each_documented_code() {
        use RefundState::{Done, Failed, Pending};
        for (code, is_final, payment, is_refused, refund) in [
            (0, true, "paid", false, Done),
            (10, false, "open", false, Pending),
            (11, false, "open", true, Pending),
            (12, false, "open", true, Pending),
            (13, false, "open", true, Pending),
            (20, false, "open", true, Pending),
            (21, false, "open", true, Pending),
            (22, false, "open", true, Pending),
            (40, false, "open", false, Pending),
            (41, false, "open", false, Pending),
            (42, false, "open", true, Pending),
            (43, false, "open", false, Pending),
            (45, false, "open", false, Pending),
            (47, false, "open", true, Pending),
            (98, true, "failed", false, Pending),
            (99, true, "failed", false, Pending),
            (1000, false, "open", false, Pending),
            (1001, true, "failed", false, Pending),
            (1002, true, "failed", false, Pending),
            (1003, true, "failed", false, Pending),
            (1004, true, "failed", false, Pending),
            (1005, true, "expired", false, Pending),
            (1006, true, "failed", false, Pending),
            (1007, true, "failed", false, Pending),
            (1017, true, "failed", false, Pending),
            (1026, true, "failed", false, Pending),
            (1080, true, "open", false, Failed),
            (1081, true, "open", true, Failed),
            (1088, true, "open", true, Failed),
            (2019, true, "failed", false, Pending),
            (4001, true, "failed", false, Pending),
            (4002, true, "failed", false, Pending),
            (4100, true, "failed", false, Pending),
            (7000, false, "open", false, Pending),
            (7002, false, "open", false, Pending),
            (8000, false, "open", false, Pending),
            (9000, false, "open", false, Pending),
            (123_456, false, "open", false, Pending),
        ] {
            let said = match payment_result(code) {
                PaymentResult::Paid => "paid",
                PaymentResult::Open => "open",
                PaymentResult::Failed => "failed",
                PaymentResult::Expired => "expired",
            };
            assert_eq!((said, is_refusal(code), refund_result(code)), (payment, is_refused, refund), "{code}");
            // A final code must end a payment unless it is about refunds; other codes must not.
            assert_eq!(said != "open", is_final && !(1080..=1088).contains(&code), "{code}");
        }
    }

    fn notice(signature: &str) -> Vec<u8> {
        json!({
            "partnerCode": "PC", "orderId": "o1", "requestId": "r1", "amount": 50_000, "orderInfo": "pay",
            "orderType": "momo_wallet", "transId": 42, "resultCode": 0, "message": "Successful.", "payType": "qr",
            "responseTime": 1_700_000_000_000_i64, "extraData": "", "signature": signature,
        })
        .to_string()
        .into_bytes()
    }

    #[tokio::test]
    async fn accepts_events_signed_over_all_fields() {
        let momo = momo();
        let values = SIGNED_FIELDS.map(|name| text(&serde_json::from_slice(&notice("")).unwrap(), name));
        let mut fields = vec![("accessKey", "AK")];
        fields.extend(SIGNED_FIELDS.into_iter().zip(values.iter().map(String::as_str)));
        let signature = momo.sign(&fields);
        assert!(signature.starts_with("de77a91557f9eb5f"), "{signature}");
        let verify = async |body: &[u8]| {
            let header = |_: &str| None;
            momo.verify(&WebhookRequest { header: &header, query: "", body, now: Timestamp(0) }).await
        };
        let good = notice(&signature);
        let verified = verify(&good).await.unwrap();
        let read = momo.parse_event(&verified).unwrap();
        assert_eq!((read.event_id.as_str(), read.is_ours), ("o1:42:0", true));
        let money = Money::new(50_000, Currency::Vnd);
        assert_eq!(read.news, PaymentUpdate::Paid { money, charge: Some("42".to_owned()) });
        let cheaper = String::from_utf8(good.clone()).unwrap().replace("50000", "50001");
        for bad in [cheaper.as_bytes(), b"", b"[]", b"{}", &notice("00")] {
            assert!(verify(bad).await.is_err(), "{}", String::from_utf8_lossy(bad));
        }
    }
}
