//! VNPay 2.1.0: payments in Vietnamese dong by Vietnamese banks.
//!
//! The payer is sent to a URL that Natter signs itself, without a request to VNPay. VNPay reports the result by a GET
//! whose query is signed in the same way: all its fields, sorted, in form encoding as received. Amounts are multiplied
//! by 100, times are in Vietnam time.

mod fields;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, ops::RangeInclusive, sync::Arc, time::Duration};

use appcore::{Secret, Timestamp};
use async_trait::async_trait;
use natter_macro::Settings;
use serde::Deserialize;
use serde_json::json;
use url::{Url, form_urlencoded};
use uuid::Uuid;

use self::fields::{
    RefundFailure, SignedQuery, TransactionResponse, amount, encoded, parse_query, refund_result, refund_status,
    vietnam_time,
};
use crate::{
    Checkout, CheckoutOrder, Currency, Gateway, GatewayError, GatewayKind, GatewayName, KnownPayment, MalformedEvent,
    Money, PaymentListing, PaymentUpdate, PaymentWebhookEvent, PaymentWebhookTransport, RefundOrder, RefundResult,
    RemoteState, Snapshot, VerifiedWebhook, VerifyError, WebhookOutcome, WebhookRequest, WebhookResponse,
    WebhookSubject, http::Http, signature::Hash,
};

pub(crate) static KIND: GatewayKind = GatewayKind {
    name: "vnpay",
    label: "VNPAY",
    settings: Settings::SETTINGS,
    build: |settings, _| {
        let Settings { base_url, api_url, tmn_code, hash_secret } = settings.read()?;
        Ok(Arc::new(Vnpay::new(&base_url, api_url.as_ref(), tmn_code, hash_secret)?))
    },
};

#[derive(Deserialize, Settings)]
#[settings("payment.vnpay", enabled = "Enables payments by VNPay.")]
#[serde(deny_unknown_fields)]
struct Settings {
    /// Base URL of VNPay; https://sandbox.vnpayment.vn for tests.
    #[setting(Url(&["http", "https"]), default = "https://pay.vnpay.vn")]
    base_url: Url,
    /// Base URL for queries and refunds, if it differs from `base_url`.
    #[setting(Url(&["http", "https"]), example = "https://merchant.vnpay.vn")]
    api_url: Option<Url>,
    /// Terminal code at VNPay.
    #[setting(Text, needed, example = "NATTER01")]
    tmn_code: String,
    /// Shared secret for signatures.
    #[setting(Credential, needed, example = "RAOEXHYVSDDIIENYWSLDIIZTANXUXZFJ")]
    hash_secret: Secret,
}

const VERSION: &str = "2.1.0";
const TIMEOUT: Duration = Duration::from_secs(30);
/// Client address in requests to VNPay. The field is required and signed, but VNPay doesn't check it.
const CLIENT_ADDRESS: &str = "127.0.0.1";
/// Factor by which amounts are multiplied.
const AMOUNT_FACTOR: i64 = 100;

pub struct Vnpay {
    /// Base URL of the payment page.
    http: Http,
    /// Base URL for queries and refunds.
    api: Http,
    tmn_code: String,
    hash_secret: Secret,
}

impl Vnpay {
    pub fn new(
        base_url: &Url,
        api_url: Option<&Url>,
        tmn_code: String,
        hash_secret: Secret,
    ) -> Result<Self, GatewayError> {
        let api = Http::new(api_url.unwrap_or(base_url), TIMEOUT)?;
        Ok(Self { http: Http::new(base_url, TIMEOUT)?, api, tmn_code, hash_secret })
    }

    fn sign(&self, message: &str) -> String {
        Hash::Sha512.sign(self.hash_secret.expose(), message.as_bytes())
    }

    /// Builds the text that is signed for a query.
    fn query_message(&self, request: &str, reference: &str, created: &str, now: &str) -> String {
        [request, VERSION, "querydr", &self.tmn_code, reference, created, now, CLIENT_ADDRESS, reference].join("|")
    }

    /// Builds the text that is signed for a refund.
    fn refund_message(
        &self,
        request: &str,
        kind: &str,
        reference: &str,
        (amount, transaction): (&str, &str),
        created: &str,
        now: &str,
    ) -> String {
        let paid = [reference, amount, transaction, created].join("|");
        [request, VERSION, "refund", &self.tmn_code, kind, &paid, "natter", now, CLIENT_ADDRESS, reference].join("|")
    }

    /// Queries a transaction of a payment, identified by the time at which it was recorded.
    async fn query(
        &self,
        payment: &KnownPayment<'_>,
        recorded_at: Timestamp,
        kind: Option<&str>,
    ) -> Result<TransactionResponse, GatewayError> {
        let (request, recorded, now) =
            (Uuid::now_v7().simple().to_string(), vietnam_time(recorded_at), vietnam_time(payment.now));
        let message = self.query_message(&request, payment.reference, &recorded, &now);
        let mut body = json!({
            "vnp_RequestId": request, "vnp_Version": VERSION, "vnp_Command": "querydr", "vnp_TmnCode": self.tmn_code,
            "vnp_TxnRef": payment.reference, "vnp_OrderInfo": payment.reference, "vnp_TransactionDate": recorded,
            "vnp_CreateDate": now, "vnp_IpAddr": CLIENT_ADDRESS, "vnp_SecureHash": self.sign(&message),
        });
        if let Some(kind) = kind {
            body["vnp_TransactionType"] = kind.into();
        }
        self.send(body).await
    }

    async fn send(&self, body: serde_json::Value) -> Result<TransactionResponse, GatewayError> {
        let url = self.api.url("/merchant_webapi/api/transaction");
        let answered: TransactionResponse = self.api.json(self.api.client.post(url).json(&body)).await?;
        if !Hash::Sha512.is_signed(
            self.hash_secret.expose(),
            answered.message().as_bytes(),
            answered.vnp_secure_hash.as_deref().unwrap_or_default(),
        ) {
            return Err(GatewayError::OutcomeUnknown("the signature of its answer is wrong".to_owned()));
        }
        let is_same = |name: &str| answered.text(name) == body[name].as_str().unwrap_or_default();
        if answered.text("vnp_ResponseCode") == "00"
            && !["vnp_Command", "vnp_TmnCode", "vnp_TxnRef"].iter().all(|name| is_same(name))
        {
            return Err(GatewayError::OutcomeUnknown("its answer is about something else".to_owned()));
        }
        Ok(answered)
    }
}

/// Transaction type of a refund: `02` full, `03` partial.
fn refund_kind(order: &RefundOrder<'_>) -> &'static str {
    if order.money.amount == order.payment.price.amount { "02" } else { "03" }
}

#[async_trait]
impl Gateway for Vnpay {
    fn name(&self) -> GatewayName {
        GatewayName::of(&KIND)
    }

    fn limits(&self, currency: Currency) -> Option<RangeInclusive<i64>> {
        (currency == Currency::Vnd).then_some(5_000..=999_999_999)
    }

    async fn create_checkout(&self, order: &CheckoutOrder<'_>) -> Result<Checkout, GatewayError> {
        let id = order.payment_id.simple().to_string();
        let address =
            order.address.map_or_else(|| CLIENT_ADDRESS.to_owned(), |address| address.to_canonical().to_string());
        let fields: BTreeMap<String, String> = [
            ("vnp_Version", VERSION.to_owned()),
            ("vnp_Command", "pay".to_owned()),
            ("vnp_TmnCode", self.tmn_code.clone()),
            ("vnp_Amount", order.price.amount.saturating_mul(AMOUNT_FACTOR).to_string()),
            ("vnp_CurrCode", "VND".to_owned()),
            ("vnp_TxnRef", id.clone()),
            // VNPay accepts only letters without accents here, and plans may have any name.
            ("vnp_OrderInfo", format!("Natter {id}")),
            ("vnp_OrderType", "other".to_owned()),
            ("vnp_Locale", "vn".to_owned()),
            ("vnp_ReturnUrl", order.return_url.to_string()),
            ("vnp_IpAddr", address),
            ("vnp_CreateDate", vietnam_time(order.created_at)),
            ("vnp_ExpireDate", vietnam_time(order.expires_at)),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into();
        let query = encoded(&fields);
        let signature = self.sign(&query);
        let redirect_url = format!("{}?{query}&vnp_SecureHash={signature}", self.http.url("/paymentv2/vpcpay.html"));
        Ok(Checkout { reference: id, redirect_url })
    }

    async fn fetch(&self, payment: &KnownPayment<'_>) -> Result<Snapshot, GatewayError> {
        let found = self.query(payment, payment.created_at, None).await?;
        let remote = match (found.text("vnp_ResponseCode").as_str(), found.text("vnp_TransactionStatus").as_str()) {
            ("00", "00") => RemoteState::Paid(
                amount(&found.text("vnp_Amount"))
                    .map_err(|_| GatewayError::OutcomeUnknown("the amount can't be read".to_owned()))?,
            ),
            ("00", "02") => RemoteState::Failed,
            ("00", _) => RemoteState::Open,
            // VNPay doesn't know the payment: the payer didn't open the page.
            ("91", _) if payment.now >= payment.expires_at => RemoteState::Expired,
            ("91", _) => RemoteState::Open,
            _ => return Err(GatewayError::OutcomeUnknown(found.reason())),
        };
        Ok(Snapshot { remote, charge: Some(found.text("vnp_TransactionNo")).filter(|charge| !charge.is_empty()) })
    }

    async fn capture(&self, payment: &KnownPayment<'_>) -> Result<Snapshot, GatewayError> {
        self.fetch(payment).await
    }

    async fn refund(&self, order: &RefundOrder<'_>) -> Result<RefundResult, GatewayError> {
        let payment = order.payment;
        // VNPay finds a refund by its creation time.
        let (request, created, now) =
            (order.refund_id.simple().to_string(), vietnam_time(payment.created_at), vietnam_time(order.created_at));
        let amount = order.money.amount.saturating_mul(AMOUNT_FACTOR).to_string();
        let kind = refund_kind(order);
        let charge = payment.charge.unwrap_or_default();
        let message = self.refund_message(&request, kind, payment.reference, (&amount, charge), &created, &now);
        let done = self
            .send(json!({
                "vnp_RequestId": request, "vnp_Version": VERSION, "vnp_Command": "refund", "vnp_TmnCode": self.tmn_code,
                "vnp_TransactionType": kind, "vnp_TxnRef": payment.reference, "vnp_Amount": amount,
                "vnp_TransactionNo": charge, "vnp_TransactionDate": created, "vnp_CreateBy": "natter",
                "vnp_CreateDate": now, "vnp_IpAddr": CLIENT_ADDRESS, "vnp_OrderInfo": payment.reference,
                "vnp_SecureHash": self.sign(&message),
            }))
            .await?;
        match refund_result(&done.text("vnp_ResponseCode"), &done.text("vnp_TransactionStatus")) {
            Ok(_) if done.text("vnp_Amount") != amount => Err(amount_mismatch()),
            Ok(state) => Ok(RefundResult { reference: request, state }),
            Err(RefundFailure::Refused) => Err(GatewayError::Rejected(done.reason())),
            Err(RefundFailure::Unknown) => Err(GatewayError::OutcomeUnknown(done.reason())),
        }
    }

    async fn fetch_refund(&self, order: &RefundOrder<'_>) -> Result<Option<RefundResult>, GatewayError> {
        let found = self.query(&order.payment, order.created_at, Some(refund_kind(order))).await?;
        match found.text("vnp_ResponseCode").as_str() {
            "00" if found.text("vnp_TransactionType") != refund_kind(order) => {
                Err(GatewayError::OutcomeUnknown("its answer is about another transaction".to_owned()))
            }
            "00" if found.text("vnp_Amount") != order.money.amount.saturating_mul(AMOUNT_FACTOR).to_string() => {
                Err(amount_mismatch())
            }
            "00" => Ok(Some(RefundResult {
                reference: order.refund_id.simple().to_string(),
                state: refund_status(&found.text("vnp_TransactionStatus")),
            })),
            "91" => Ok(None),
            _ => Err(GatewayError::OutcomeUnknown(found.reason())),
        }
    }

    /// Returns false, because a request id is idempotent for one day only; a later repetition would be another refund.
    fn has_idempotent_refunds(&self) -> bool {
        false
    }

    async fn list(&self, _: Timestamp, _: Timestamp) -> Result<PaymentListing, GatewayError> {
        Ok(PaymentListing::Unsupported)
    }

    /// Tests the connection by querying an order that doesn't exist.
    async fn probe(&self, now: Timestamp) -> Result<(), GatewayError> {
        let id = Uuid::now_v7();
        let price = Money::new(0, Currency::Vnd);
        let reference = id.simple().to_string();
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

    fn webhook_transport(&self) -> PaymentWebhookTransport {
        PaymentWebhookTransport::Query
    }

    async fn verify(&self, delivery: &WebhookRequest<'_>) -> Result<VerifiedWebhook, VerifyError> {
        let SignedQuery { raw, encoded, signature } =
            parse_query(delivery.query).ok_or(VerifyError::Signature("signature missing"))?;
        let signed = [raw, encoded]
            .into_iter()
            .find(|message| Hash::Sha512.is_signed(self.hash_secret.expose(), message.as_bytes(), &signature));
        signed.map(|message| VerifiedWebhook(message.into_bytes())).ok_or(VerifyError::Signature("invalid signature"))
    }

    fn parse_event(&self, verified: &VerifiedWebhook) -> Result<PaymentWebhookEvent, MalformedEvent> {
        let fields: BTreeMap<String, String> = form_urlencoded::parse(verified.raw()).into_owned().collect();
        let text = |name: &str| fields.get(name).map_or("", String::as_str);
        let (order, code, status) = (text("vnp_TxnRef"), text("vnp_ResponseCode"), text("vnp_TransactionStatus"));
        let transaction = text("vnp_TransactionNo");
        let news = match (code, status) {
            ("00", "00") => {
                PaymentUpdate::Paid { money: amount(text("vnp_Amount"))?, charge: Some(transaction.to_owned()) }
            }
            ("11" | "15", _) => PaymentUpdate::Expired,
            // Code 07 means that the money was taken, but VNPay investigates the transaction.
            ("07", _) | (_, "01" | "04" | "07") => PaymentUpdate::Pending,
            _ => PaymentUpdate::Failed,
        };
        Ok(PaymentWebhookEvent {
            event_id: format!("{order}:{transaction}:{code}:{status}"),
            kind: format!("ipn.{code}.{status}"),
            about: order.parse().map_or_else(|_| WebhookSubject::Reference(order.to_owned()), WebhookSubject::Payment),
            is_ours: text("vnp_TmnCode") == self.tmn_code,
            news,
        })
    }

    /// Answers with status 200 in any case, because VNPay evaluates only the code in the body.
    fn webhook_response(&self, outcome: WebhookOutcome) -> WebhookResponse {
        let (code, message) = match outcome {
            WebhookOutcome::Applied => ("00", "Confirm Success"),
            WebhookOutcome::AppliedBefore => ("02", "Order already confirmed"),
            WebhookOutcome::UnknownPayment => ("01", "Order not Found"),
            WebhookOutcome::WrongAmount => ("04", "Invalid amount"),
            WebhookOutcome::BadSignature => ("97", "Invalid signature"),
            WebhookOutcome::OurFailure => ("99", "Unknown error"),
        };
        let body = format!(r#"{{"RspCode":"{code}","Message":"{message}"}}"#);
        WebhookResponse { status: 200, content_type: "application/json", body }
    }
}

fn amount_mismatch() -> GatewayError {
    GatewayError::OutcomeUnknown("its answer is about another amount".to_owned())
}
