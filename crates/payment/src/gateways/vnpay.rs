//! VNPay 2.1.0: payments in Vietnamese dong by Vietnamese banks.
//!
//! The payer is sent to an address that we sign ourselves; nothing is asked of VNPay for it. It tells of the result by a GET whose query is signed
//! in the same way: all its fields, sorted, and encoded as they came. Amounts are written times 100, moments in the time of Vietnam.

use std::{collections::BTreeMap, ops::RangeInclusive, sync::Arc, time::Duration};

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
use serde_json::json;
use time::{OffsetDateTime, UtcOffset, macros::format_description};
use url::{Url, form_urlencoded};
use uuid::Uuid;

use crate::{
    About, Acknowledged, Answer, Checkout, Currency, Delivery, Forged, Gateway, GatewayError, GatewayName, Kind, Known,
    Listing, Money, News, Notice, Order, RefundOrder, RefundState, Refunded, Remote, Snapshot, Telling, Unreadable,
    Verified, http::Http, signature::Hash,
};

pub(crate) static KIND: Kind = Kind {
    name: "vnpay",
    label: "VNPAY",
    settings: SETTINGS,
    build: |settings, _| {
        let Settings { base_url, api_url, tmn_code, hash_secret } = settings.read()?;
        Ok(Arc::new(Vnpay::new(&base_url, api_url.as_ref(), tmn_code, hash_secret)?))
    },
};

const SETTINGS: &[Setting] = &[
    row("payment.vnpay.enabled", Form::Switch, Value("false"), "Whether people can pay by VNPay."),
    row(
        "payment.vnpay.base_url",
        Form::Url(&["http", "https"]),
        Value("https://pay.vnpay.vn"),
        "Address of VNPay; https://sandbox.vnpayment.vn for tests.",
    ),
    row(
        "payment.vnpay.api_url",
        Form::Url(&["http", "https"]),
        Unset("https://merchant.vnpay.vn"),
        "Address for questions and refunds, where VNPay has given another one. Not set: base_url.",
    ),
    needed("payment.vnpay.tmn_code", Form::Text, Unset("NATTER01"), "Terminal code at VNPay."),
    needed(
        "payment.vnpay.hash_secret",
        Form::Credential,
        Unset("RAOEXHYVSDDIIENYWSLDIIZTANXUXZFJ"),
        "Secret that VNPay and we sign with.",
    ),
];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    base_url: Url,
    api_url: Option<Url>,
    tmn_code: String,
    hash_secret: Secret,
}

const VERSION: &str = "2.1.0";
const TIMEOUT: Duration = Duration::from_secs(30);
/// Where requests of ours come from: it is signed, and otherwise not looked at.
const HERE: &str = "127.0.0.1";
/// What it writes for one dong.
const SCALE: i64 = 100;

pub struct Vnpay {
    /// Where payers go.
    http: Http,
    /// Where it is asked.
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

    /// What is signed of a question.
    fn query_message(&self, request: &str, reference: &str, created: &str, now: &str) -> String {
        [request, VERSION, "querydr", &self.tmn_code, reference, created, now, HERE, reference].join("|")
    }

    /// What is signed of a refund: of an amount, of a transaction of VNPay's.
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
        [request, VERSION, "refund", &self.tmn_code, kind, &paid, "natter", now, HERE, reference].join("|")
    }

    /// What became of a transaction of a payment's, which was recorded at a moment.
    async fn query(
        &self,
        payment: &Known<'_>,
        recorded_at: Timestamp,
        kind: Option<&str>,
    ) -> Result<Answered, GatewayError> {
        let (request, recorded, now) = (Uuid::now_v7().simple().to_string(), local(recorded_at), local(payment.now));
        let message = self.query_message(&request, payment.reference, &recorded, &now);
        let mut body = json!({
            "vnp_RequestId": request, "vnp_Version": VERSION, "vnp_Command": "querydr", "vnp_TmnCode": self.tmn_code,
            "vnp_TxnRef": payment.reference, "vnp_OrderInfo": payment.reference, "vnp_TransactionDate": recorded,
            "vnp_CreateDate": now, "vnp_IpAddr": HERE, "vnp_SecureHash": self.sign(&message),
        });
        if let Some(kind) = kind {
            body["vnp_TransactionType"] = kind.into();
        }
        self.ask(body).await
    }

    async fn ask(&self, body: serde_json::Value) -> Result<Answered, GatewayError> {
        let url = self.api.url("/merchant_webapi/api/transaction");
        let answered: Answered = self.api.json(self.api.client.post(url).json(&body)).await?;
        if !Hash::Sha512.is_signed(
            self.hash_secret.expose(),
            answered.message().as_bytes(),
            answered.vnp_secure_hash.as_deref().unwrap_or_default(),
        ) {
            return Err(GatewayError::Away("the signature of its answer is wrong".to_owned()));
        }
        let is_same = |name: &str| answered.text(name) == body[name].as_str().unwrap_or_default();
        if answered.text("vnp_ResponseCode") == "00"
            && !["vnp_Command", "vnp_TmnCode", "vnp_TxnRef"].iter().all(|name| is_same(name))
        {
            return Err(GatewayError::Away("its answer is about something else".to_owned()));
        }
        Ok(answered)
    }
}

/// How a refund is written: of all that was paid, or of a part.
fn refund_kind(order: &RefundOrder<'_>) -> &'static str {
    if order.money.amount == order.payment.price.amount { "02" } else { "03" }
}

/// What is answered to a refund that is asked for: the code says what became of the request, and the status what became of the refund.
/// See <https://sandbox.vnpayment.vn/apis/docs/truy-van-hoan-tien/querydr&refund.html>. 95 says that the transaction has failed; after a refund of all of it
/// that was done it says so too.
fn refunded(code: &str, status: &str) -> Result<RefundState, Unfinished> {
    match code {
        "00" => Ok(refund_status(status)),
        "02" | "03" | "91" | "97" => Err(Unfinished::Refused),
        _ => Err(Unfinished::Unknown),
    }
}

/// What became of a refund.
fn refund_status(status: &str) -> RefundState {
    match status {
        "00" => RefundState::Done,
        "09" => RefundState::Failed,
        // 05: under way; 06: the bank has it.
        _ => RefundState::Pending,
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unfinished {
    Refused,
    Unknown,
}

/// What VNPay says about a transaction.
#[derive(Deserialize)]
struct Answered {
    #[serde(flatten)]
    fields: BTreeMap<String, serde_json::Value>,
    #[serde(rename = "vnp_SecureHash", default)]
    vnp_secure_hash: Option<String>,
}

impl Answered {
    fn text(&self, name: &str) -> String {
        match self.fields.get(name) {
            Some(serde_json::Value::String(text)) => text.clone(),
            Some(serde_json::Value::Number(number)) => number.to_string(),
            _ => String::new(),
        }
    }

    fn reason(&self) -> String {
        format!("{}: {}", self.text("vnp_ResponseCode"), self.text("vnp_Message"))
    }

    /// What is signed: refunds have one field less.
    fn message(&self) -> String {
        let mut names = vec![
            "vnp_ResponseId",
            "vnp_Command",
            "vnp_ResponseCode",
            "vnp_Message",
            "vnp_TmnCode",
            "vnp_TxnRef",
            "vnp_Amount",
            "vnp_BankCode",
            "vnp_PayDate",
            "vnp_TransactionNo",
            "vnp_TransactionType",
            "vnp_TransactionStatus",
            "vnp_OrderInfo",
        ];
        if self.text("vnp_Command") == "querydr" {
            names.extend(["vnp_PromotionCode", "vnp_PromotionAmount"]);
        }
        names.iter().map(|name| self.text(name)).collect::<Vec<_>>().join("|")
    }
}

/// `yyyyMMddHHmmss` in Vietnam.
fn local(moment: Timestamp) -> String {
    let format = format_description!("[year][month][day][hour][minute][second]");
    OffsetDateTime::from_unix_timestamp(moment.seconds())
        .ok()
        .zip(UtcOffset::from_hms(7, 0, 0).ok())
        .and_then(|(moment, offset)| moment.to_offset(offset).format(format).ok())
        .unwrap_or_default()
}

/// Fields as in a form, which sorts them.
fn encoded(fields: &BTreeMap<String, String>) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}

/// A notice: what of it is signed, and the signature.
struct Signed {
    /// Its pairs as they came, by their names.
    raw: String,
    /// The pairs, encoded as in a form: what lies between may have written them anew.
    encoded: String,
    signature: String,
}

/// None: there is no signature, or something is there twice.
fn read(query: &str) -> Option<Signed> {
    let (mut pairs, mut fields, mut signature) = (BTreeMap::new(), BTreeMap::new(), None);
    for pair in query.split('&') {
        let Some((name, value)) = form_urlencoded::parse(pair.as_bytes()).into_owned().next() else { continue };
        if name == "vnp_SecureHashType" || !name.starts_with("vnp_") {
            continue;
        }
        let is_again = if name == "vnp_SecureHash" {
            signature.replace(value).is_some()
        } else {
            pairs.insert(name.clone(), pair);
            fields.insert(name, value).is_some()
        };
        if is_again {
            return None;
        }
    }
    let raw = pairs.into_values().collect::<Vec<_>>().join("&");
    Some(Signed { raw, encoded: encoded(&fields), signature: signature? })
}

#[async_trait]
impl Gateway for Vnpay {
    fn name(&self) -> GatewayName {
        GatewayName::of(&KIND)
    }

    fn limits(&self, currency: Currency) -> Option<RangeInclusive<i64>> {
        (currency == Currency::Vnd).then_some(5_000..=999_999_999)
    }

    async fn create_checkout(&self, order: &Order<'_>) -> Result<Checkout, GatewayError> {
        let id = order.payment_id.simple().to_string();
        let address = order.address.map_or_else(|| HERE.to_owned(), |address| address.to_canonical().to_string());
        let fields: BTreeMap<String, String> = [
            ("vnp_Version", VERSION.to_owned()),
            ("vnp_Command", "pay".to_owned()),
            ("vnp_TmnCode", self.tmn_code.clone()),
            ("vnp_Amount", order.price.amount.saturating_mul(SCALE).to_string()),
            ("vnp_CurrCode", "VND".to_owned()),
            ("vnp_TxnRef", id.clone()),
            // It takes letters without accents only, and plans may have any name.
            ("vnp_OrderInfo", format!("Natter {id}")),
            ("vnp_OrderType", "other".to_owned()),
            ("vnp_Locale", "vn".to_owned()),
            ("vnp_ReturnUrl", order.return_url.to_string()),
            ("vnp_IpAddr", address),
            ("vnp_CreateDate", local(order.created_at)),
            ("vnp_ExpireDate", local(order.expires_at)),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into();
        let query = encoded(&fields);
        let signature = self.sign(&query);
        let redirect_url = format!("{}?{query}&vnp_SecureHash={signature}", self.http.url("/paymentv2/vpcpay.html"));
        Ok(Checkout { reference: id, redirect_url })
    }

    async fn fetch(&self, payment: &Known<'_>) -> Result<Snapshot, GatewayError> {
        let found = self.query(payment, payment.created_at, None).await?;
        let remote = match (found.text("vnp_ResponseCode").as_str(), found.text("vnp_TransactionStatus").as_str()) {
            ("00", "00") => Remote::Paid(
                amount(&found.text("vnp_Amount"))
                    .map_err(|_| GatewayError::Away("the amount can't be read".to_owned()))?,
            ),
            ("00", "02") => Remote::Failed,
            ("00", _) => Remote::Open,
            // It doesn't know the payment: nobody came.
            ("91", _) if payment.now >= payment.expires_at => Remote::Expired,
            ("91", _) => Remote::Open,
            _ => return Err(GatewayError::Away(found.reason())),
        };
        Ok(Snapshot { remote, charge: Some(found.text("vnp_TransactionNo")).filter(|charge| !charge.is_empty()) })
    }

    async fn capture(&self, payment: &Known<'_>) -> Result<Snapshot, GatewayError> {
        self.fetch(payment).await
    }

    async fn refund(&self, order: &RefundOrder<'_>) -> Result<Refunded, GatewayError> {
        let payment = order.payment;
        // It is found again by the moment at which it was written down.
        let (request, created, now) =
            (order.refund_id.simple().to_string(), local(payment.created_at), local(order.created_at));
        let amount = order.money.amount.saturating_mul(SCALE).to_string();
        let kind = refund_kind(order);
        let charge = payment.charge.unwrap_or_default();
        let message = self.refund_message(&request, kind, payment.reference, (&amount, charge), &created, &now);
        let done = self
            .ask(json!({
                "vnp_RequestId": request, "vnp_Version": VERSION, "vnp_Command": "refund", "vnp_TmnCode": self.tmn_code,
                "vnp_TransactionType": kind, "vnp_TxnRef": payment.reference, "vnp_Amount": amount,
                "vnp_TransactionNo": charge, "vnp_TransactionDate": created, "vnp_CreateBy": "natter",
                "vnp_CreateDate": now, "vnp_IpAddr": HERE, "vnp_OrderInfo": payment.reference,
                "vnp_SecureHash": self.sign(&message),
            }))
            .await?;
        match refunded(&done.text("vnp_ResponseCode"), &done.text("vnp_TransactionStatus")) {
            Ok(_) if done.text("vnp_Amount") != amount => Err(another_amount()),
            Ok(state) => Ok(Refunded { reference: request, state }),
            Err(Unfinished::Refused) => Err(GatewayError::Refused(done.reason())),
            Err(Unfinished::Unknown) => Err(GatewayError::Away(done.reason())),
        }
    }

    async fn fetch_refund(&self, order: &RefundOrder<'_>) -> Result<Option<Refunded>, GatewayError> {
        let found = self.query(&order.payment, order.created_at, Some(refund_kind(order))).await?;
        match found.text("vnp_ResponseCode").as_str() {
            "00" if found.text("vnp_TransactionType") != refund_kind(order) => {
                Err(GatewayError::Away("its answer is about another transaction".to_owned()))
            }
            "00" if found.text("vnp_Amount") != order.money.amount.saturating_mul(SCALE).to_string() => {
                Err(another_amount())
            }
            "00" => Ok(Some(Refunded {
                reference: order.refund_id.simple().to_string(),
                state: refund_status(&found.text("vnp_TransactionStatus")),
            })),
            "91" => Ok(None),
            _ => Err(GatewayError::Away(found.reason())),
        }
    }

    /// Its number is the same one for a day only: asked for again later, it is another refund.
    fn repeats_refunds(&self) -> bool {
        false
    }

    async fn list(&self, _: Timestamp, _: Timestamp) -> Result<Listing, GatewayError> {
        Ok(Listing::Each)
    }

    /// It is asked about an order that nobody has made.
    async fn probe(&self, now: Timestamp) -> Result<(), GatewayError> {
        let id = Uuid::now_v7();
        let price = Money::new(0, Currency::Vnd);
        let reference = id.simple().to_string();
        let nobodys =
            Known { payment_id: id, reference: &reference, charge: None, price, created_at: now, expires_at: now, now };
        self.fetch(&nobodys).await.map(drop)
    }

    fn telling(&self) -> Telling {
        Telling::Query
    }

    async fn verify(&self, delivery: &Delivery<'_>) -> Result<Verified, Forged> {
        let Signed { raw, encoded, signature } =
            read(delivery.query).ok_or(Forged::Signature("there is no signature"))?;
        let signed = [raw, encoded]
            .into_iter()
            .find(|message| Hash::Sha512.is_signed(self.hash_secret.expose(), message.as_bytes(), &signature));
        signed.map(|message| Verified(message.into_bytes())).ok_or(Forged::Signature("the signature is wrong"))
    }

    fn classify(&self, verified: &Verified) -> Result<Notice, Unreadable> {
        let fields: BTreeMap<String, String> = form_urlencoded::parse(verified.raw()).into_owned().collect();
        let text = |name: &str| fields.get(name).map_or("", String::as_str);
        let (order, code, status) = (text("vnp_TxnRef"), text("vnp_ResponseCode"), text("vnp_TransactionStatus"));
        let transaction = text("vnp_TransactionNo");
        let news = match (code, status) {
            ("00", "00") => News::Paid { money: amount(text("vnp_Amount"))?, charge: Some(transaction.to_owned()) },
            ("11" | "15", _) => News::Expired,
            // 07: the money was taken, but VNPay looks into it.
            ("07", _) | (_, "01" | "04" | "07") => News::Pending,
            _ => News::Failed,
        };
        Ok(Notice {
            event_id: format!("{order}:{transaction}:{code}:{status}"),
            kind: format!("ipn.{code}.{status}"),
            about: order.parse().map_or_else(|_| About::Reference(order.to_owned()), About::Payment),
            is_ours: text("vnp_TmnCode") == self.tmn_code,
            news,
        })
    }

    /// 200 whatever is wrong; the code tells.
    fn answer(&self, outcome: Acknowledged) -> Answer {
        let (code, message) = match outcome {
            Acknowledged::Applied => ("00", "Confirm Success"),
            Acknowledged::AppliedBefore => ("02", "Order already confirmed"),
            Acknowledged::UnknownPayment => ("01", "Order not Found"),
            Acknowledged::WrongAmount => ("04", "Invalid amount"),
            Acknowledged::BadSignature => ("97", "Invalid signature"),
            Acknowledged::OurFailure => ("99", "Unknown error"),
        };
        let body = format!(r#"{{"RspCode":"{code}","Message":"{message}"}}"#);
        Answer { status: 200, content_type: "application/json", body }
    }
}

fn another_amount() -> GatewayError {
    GatewayError::Away("its answer is about another amount".to_owned())
}

/// Dong of an amount that is written times 100.
fn amount(text: &str) -> Result<Money, Unreadable> {
    let scaled: i64 = text.parse().map_err(|_| Unreadable)?;
    if scaled < 0 || scaled % SCALE != 0 {
        return Err(Unreadable);
    }
    Ok(Money::new(scaled / SCALE, Currency::Vnd))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vnpay() -> Vnpay {
        Vnpay::new(&Url::parse("https://sandbox.test").unwrap(), None, "TMN".to_owned(), "SECRET".into()).unwrap()
    }

    #[test]
    fn questions_and_refunds_are_signed_as_by_the_package_of_others() {
        let (vnpay, created, now) = (vnpay(), "20231115051320", "20231115060000");
        // Made by npm vnpay 2.5.0: `queryDr` and `refund` with these values and the same secret.
        for (message, signature) in [
            (
                vnpay.query_message("r1", "t1", created, now),
                "95f9443f1e7659fe22e9e26e54f0948c47c7962439ed2cf0598b00b1660c98cfc85a0ecc838d82bcd17cd4f3a384b71435ea478349bedb524e842cf21b256944",
            ),
            (
                vnpay.refund_message("r2", "03", "t1", ("10000000", "9"), created, now),
                "6ace4331a52264b3193a3352213e9eb53edae7662187f7675d857d79ce7e67bdad0d7bf7e33f4a45748bfaa21b1f6edecc6c2df4b9481cf66164aeb19ccc74a1",
            ),
        ] {
            assert_eq!(vnpay.sign(&message), signature, "{message}");
        }
    }

    /// The codes of a refund and the statuses of a transaction are those of
    /// <https://sandbox.vnpayment.vn/apis/docs/truy-van-hoan-tien/querydr&refund.html>.
    #[test]
    fn each_documented_code_of_a_refund_means_what_vnpay_says() {
        use RefundState::{Done, Failed, Pending};
        for (code, status, meaning) in [
            ("00", "00", Ok(Done)),
            ("00", "01", Ok(Pending)),
            ("00", "02", Ok(Pending)),
            ("00", "04", Ok(Pending)),
            ("00", "05", Ok(Pending)),
            ("00", "06", Ok(Pending)),
            ("00", "07", Ok(Pending)),
            ("00", "09", Ok(Failed)),
            ("00", "", Ok(Pending)),
            ("02", "", Err(Unfinished::Refused)),
            ("03", "", Err(Unfinished::Refused)),
            ("91", "", Err(Unfinished::Refused)),
            ("97", "", Err(Unfinished::Refused)),
            ("94", "", Err(Unfinished::Unknown)),
            ("95", "", Err(Unfinished::Unknown)),
            ("98", "", Err(Unfinished::Unknown)),
            ("99", "", Err(Unfinished::Unknown)),
            ("99", "00", Err(Unfinished::Unknown)),
            ("", "", Err(Unfinished::Unknown)),
            ("77", "", Err(Unfinished::Unknown)),
        ] {
            assert_eq!(refunded(code, status), meaning, "{code} {status}");
        }
    }

    #[tokio::test]
    async fn the_address_is_signed_over_its_sorted_fields() {
        let url = |text: &str| Url::parse(text).unwrap();
        let (back, notify) = (url("https://x.test/back"), url("https://x.test/ipn"));
        let order = Order {
            payment_id: Uuid::from_u128(7),
            price: Money::new(249_000, Currency::Vnd),
            title: "250 tín dụng & more",
            return_url: &back,
            notify_url: &notify,
            created_at: Timestamp(1_700_000_000_000),
            expires_at: Timestamp(1_700_001_800_000),
            address: None,
            keep: None,
        };
        let checkout = vnpay().create_checkout(&order).await.unwrap();
        let query = checkout.redirect_url.split_once('?').unwrap().1;
        for part in [
            "vnp_Amount=24900000&vnp_Command=pay&vnp_CreateDate=20231115051320&",
            "vnp_OrderInfo=Natter+00000000000000000000000000000007&",
            "vnp_ReturnUrl=https%3A%2F%2Fx.test%2Fback&",
        ] {
            assert!(query.contains(part), "{query}");
        }
        let (signed, signature) = query.split_once("&vnp_SecureHash=").unwrap();
        assert_eq!(signature.len(), 128);
        assert!(Hash::Sha512.is_signed("SECRET", signed.as_bytes(), signature));
    }

    #[tokio::test]
    async fn a_notice_is_signed_as_it_came_however_it_is_encoded() {
        let vnpay = vnpay();
        let header = |_: &str| None;
        let verify =
            async |query: &str| vnpay.verify(&Delivery { header: &header, query, body: b"", now: Timestamp(0) }).await;
        // Blanks, signs that forms encode and others don't, and small hex.
        for (sent, meant) in [
            ("A*B", "A*B"),
            ("A%2AB", "A*B"),
            ("%28x%29", "(x)"),
            ("(x)!~", "(x)!~"),
            ("500%20credits", "500 credits"),
            ("500+credits", "500 credits"),
            ("a%3ab", "a:b"),
            ("a%3Ab", "a:b"),
        ] {
            let fields = format!("vnp_Amount=100&vnp_OrderInfo={sent}&vnp_TxnRef=7");
            let signature = vnpay.sign(&fields);
            let good = format!("vnp_TxnRef=7&utm=1&vnp_Amount=100&vnp_SecureHash={signature}&vnp_OrderInfo={sent}");
            let verified = verify(&good).await.unwrap();
            let read: BTreeMap<String, String> = form_urlencoded::parse(verified.raw()).into_owned().collect();
            assert_eq!(read["vnp_OrderInfo"], meant, "{sent}");
            assert!(verify(&good.replace(sent, "other")).await.is_err(), "{sent}");
            // The same name, written in another way.
            assert!(verify(&format!("{good}&vnp%5FAmount=900")).await.is_err(), "{sent}");
            assert!(verify(&format!("{good}&vnp_SecureHash={signature}")).await.is_err(), "{sent}");
        }
        // A proxy has written it anew.
        let signature = vnpay.sign("vnp_OrderInfo=500+credits&vnp_TxnRef=7");
        let anew = format!("vnp_OrderInfo=500%20credits&vnp_TxnRef=7&vnp_SecureHash={signature}");
        assert!(verify(&anew).await.is_ok());
    }

    #[tokio::test]
    async fn an_answer_about_another_payment_is_none() {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        for (reference, command, is_told) in [("7", "querydr", true), ("8", "querydr", false), ("7", "refund", false)] {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let url = Url::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
            let vnpay = Vnpay::new(&url, None, "TMN".to_owned(), "SECRET".into()).unwrap();
            let mut answered = json!({
                "vnp_Command": command, "vnp_ResponseCode": "00", "vnp_TmnCode": "TMN", "vnp_TxnRef": reference,
                "vnp_Amount": "100", "vnp_TransactionStatus": "00", "vnp_TransactionNo": "9",
            });
            let message = serde_json::from_value::<Answered>(answered.clone()).unwrap().message();
            answered["vnp_SecureHash"] = vnpay.sign(&message).into();
            let body = answered.to_string();
            let serving = async {
                let (mut socket, _) = listener.accept().await.unwrap();
                let (mut read, mut piece) = (Vec::new(), [0; 8_192]);
                while !read.ends_with(b"}") {
                    let count = socket.read(&mut piece).await.unwrap();
                    assert!(count > 0);
                    read.extend_from_slice(&piece[..count]);
                }
                let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n";
                let reply = format!("{head}content-length: {}\r\n\r\n{body}", body.len());
                socket.write_all(reply.as_bytes()).await.unwrap();
            };
            let price = Money::new(1, Currency::Vnd);
            let (id, at) = (Uuid::nil(), Timestamp(0));
            let asked =
                Known { payment_id: id, reference: "7", charge: None, price, created_at: at, expires_at: at, now: at };
            let ((), found) = tokio::join!(serving, vnpay.fetch(&asked));
            assert_eq!(found.is_ok(), is_told, "{reference} {command} {found:?}");
        }
    }

    #[tokio::test]
    async fn a_notice_is_believed_when_it_is_signed_and_paid_when_both_codes_say_so() {
        let vnpay = vnpay();
        let header = |_: &str| None;
        let verify =
            async |query: &str| vnpay.verify(&Delivery { header: &header, query, body: b"", now: Timestamp(0) }).await;
        let signed = |code: &str, status: &str| {
            let fields = format!(
                "vnp_Amount=24900000&vnp_OrderInfo=250+credits&vnp_ResponseCode={code}&vnp_TmnCode=TMN&vnp_TransactionNo=9\
                 &vnp_TransactionStatus={status}&vnp_TxnRef=00000000000000000000000000000007"
            );
            let signature = vnpay.sign(&fields);
            // In whatever order, with what is not signed among it.
            let (first, rest) = fields.split_once('&').unwrap();
            format!("{rest}&{first}&vnp_SecureHash={signature}&utm=1")
        };
        let paid = vnpay.classify(&verify(&signed("00", "00")).await.unwrap()).unwrap();
        assert_eq!((paid.about, paid.is_ours), (About::Payment(Uuid::from_u128(7)), true));
        let money = Money::new(249_000, Currency::Vnd);
        assert_eq!(paid.news, News::Paid { money, charge: Some("9".to_owned()) });
        for (code, status, news) in [
            ("00", "02", News::Failed),
            ("24", "02", News::Failed),
            ("11", "02", News::Expired),
            ("07", "07", News::Pending),
        ] {
            let read = vnpay.classify(&verify(&signed(code, status)).await.unwrap()).unwrap();
            assert_eq!(read.news, news, "{code} {status}");
        }
        let good = signed("00", "00");
        for bad in [good.replace("24900000", "24900100"), good.replace("vnp_SecureHash", "vnp_Hash"), String::new()] {
            assert!(verify(&bad).await.is_err(), "{bad}");
        }
        assert!(verify(&format!("{good}&vnp_Amount=100")).await.is_err(), "a field that is there twice");
    }
}
