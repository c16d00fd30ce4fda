//! VNPay's fields: formats of times and amounts, signed texts, and result codes.

use std::collections::BTreeMap;

use appcore::Timestamp;
use serde::Deserialize;
use time::{OffsetDateTime, UtcOffset, macros::format_description};
use url::form_urlencoded;

use super::AMOUNT_FACTOR;
use crate::{Currency, MalformedEvent, Money, RefundState};

/// Maps the answer to a refund request. The code is about the request, the status about the refund; see
/// <https://sandbox.vnpayment.vn/apis/docs/truy-van-hoan-tien/querydr&refund.html>. Code 95 means that the transaction
/// has failed, but it is also returned after a successful full refund.
pub(super) fn refund_result(code: &str, status: &str) -> Result<RefundState, RefundFailure> {
    match code {
        "00" => Ok(refund_status(status)),
        "02" | "03" | "91" | "97" => Err(RefundFailure::Refused),
        _ => Err(RefundFailure::Unknown),
    }
}

/// Maps VNPay's status to the state of a refund.
pub(super) fn refund_status(status: &str) -> RefundState {
    match status {
        "00" => RefundState::Done,
        "09" => RefundState::Failed,
        // Status 05 means in progress, and 06 sent to the bank.
        _ => RefundState::Pending,
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RefundFailure {
    Refused,
    Unknown,
}

/// Answer about a transaction.
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

    /// Builds the text that VNPay has signed; answers to refunds have fewer fields.
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

/// Formats a time as `yyyyMMddHHmmss` in Vietnam time.
pub(super) fn vietnam_time(moment: Timestamp) -> String {
    let format = format_description!("[year][month][day][hour][minute][second]");
    OffsetDateTime::from_unix_timestamp(moment.seconds())
        .ok()
        .zip(UtcOffset::from_hms(7, 0, 0).ok())
        .and_then(|(moment, offset)| moment.to_offset(offset).format(format).ok())
        .unwrap_or_default()
}

/// Form encoding of the sorted fields.
pub(super) fn encoded(fields: &BTreeMap<String, String>) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}

/// Signed part of a webhook, and its signature.
pub(super) struct SignedQuery {
    /// Pairs as received, sorted by name.
    pub(super) raw: String,
    /// Pairs in form encoding, in case that a proxy has re-encoded the query.
    pub(super) encoded: String,
    pub(super) signature: String,
}

/// Parses a query. Returns `None` if the signature is missing or a field is repeated.
pub(super) fn parse_query(query: &str) -> Option<SignedQuery> {
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

/// Parses an amount that is multiplied by 100.
pub(super) fn amount(text: &str) -> Result<Money, MalformedEvent> {
    let scaled: i64 = text.parse().map_err(|_| MalformedEvent)?;
    if scaled < 0 || scaled % AMOUNT_FACTOR != 0 {
        return Err(MalformedEvent);
    }
    Ok(Money::new(scaled / AMOUNT_FACTOR, Currency::Vnd))
}
