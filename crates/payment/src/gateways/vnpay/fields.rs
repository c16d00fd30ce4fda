//! VNPay's fields: how moments and amounts are written, what of them is signed, and what its codes say.

use std::collections::BTreeMap;

use appcore::Timestamp;
use serde::Deserialize;
use time::{OffsetDateTime, UtcOffset, macros::format_description};
use url::form_urlencoded;

use super::SCALE;
use crate::{Currency, Money, RefundState, MalformedEvent};

/// What is answered to a refund that is asked for: the code says what became of the request, and the status what became of the refund.
/// See <https://sandbox.vnpayment.vn/apis/docs/truy-van-hoan-tien/querydr&refund.html>. 95 says that the transaction has failed; after a refund of all of it
/// that was done it says so too.
pub(super) fn refunded(code: &str, status: &str) -> Result<RefundState, RefundFailure> {
    match code {
        "00" => Ok(refund_status(status)),
        "02" | "03" | "91" | "97" => Err(RefundFailure::Refused),
        _ => Err(RefundFailure::Unknown),
    }
}

/// What became of a refund.
pub(super) fn refund_status(status: &str) -> RefundState {
    match status {
        "00" => RefundState::Done,
        "09" => RefundState::Failed,
        // 05: under way; 06: the bank has it.
        _ => RefundState::Pending,
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RefundFailure {
    Refused,
    Unknown,
}

/// What VNPay says about a transaction.
#[derive(Deserialize)]
pub(super) struct TransactionResponse {
    #[serde(flatten)]
    pub(super) fields: BTreeMap<String, serde_json::Value>,
    #[serde(rename = "vnp_SecureHash", default)]
    pub(super) vnp_secure_hash: Option<String>,
}

impl TransactionResponse {
    pub(super) fn text(&self, name: &str) -> String {
        match self.fields.get(name) {
            Some(serde_json::Value::String(text)) => text.clone(),
            Some(serde_json::Value::Number(number)) => number.to_string(),
            _ => String::new(),
        }
    }

    pub(super) fn reason(&self) -> String {
        format!("{}: {}", self.text("vnp_ResponseCode"), self.text("vnp_Message"))
    }

    /// What is signed: refunds have one field less.
    pub(super) fn message(&self) -> String {
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
pub(super) fn local(moment: Timestamp) -> String {
    let format = format_description!("[year][month][day][hour][minute][second]");
    OffsetDateTime::from_unix_timestamp(moment.seconds())
        .ok()
        .zip(UtcOffset::from_hms(7, 0, 0).ok())
        .and_then(|(moment, offset)| moment.to_offset(offset).format(format).ok())
        .unwrap_or_default()
}

/// Fields as in a form, which sorts them.
pub(super) fn encoded(fields: &BTreeMap<String, String>) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}

/// A notice: what of it is signed, and the signature.
pub(super) struct SignedQuery {
    /// Its pairs as they came, by their names.
    pub(super) raw: String,
    /// The pairs, encoded as in a form: what lies between may have written them anew.
    pub(super) encoded: String,
    pub(super) signature: String,
}

/// None: there is no signature, or something is there twice.
pub(super) fn read(query: &str) -> Option<SignedQuery> {
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
    Some(SignedQuery { raw, encoded: encoded(&fields), signature: signature? })
}

/// Dong of an amount that is written times 100.
pub(super) fn amount(text: &str) -> Result<Money, MalformedEvent> {
    let scaled: i64 = text.parse().map_err(|_| MalformedEvent)?;
    if scaled < 0 || scaled % SCALE != 0 {
        return Err(MalformedEvent);
    }
    Ok(Money::new(scaled / SCALE, Currency::Vnd))
}
