//! Fake VNPay.

use aws_lc_rs::hmac;
use reqwest::Method;
use support::{Answer, Value, json};

use super::{Event, Made, Outcome, SECRET, SILENT, Speaks, State, Truth, Words, asked_for, sign, transaction};

/// VNPay. It signs every response, and it executes repeated refund requests again.
pub(super) struct Vnpay;

impl Speaks for Vnpay {
    fn name(&self) -> &'static str {
        "vnpay"
    }

    fn settings(&self) -> &'static [(&'static str, &'static str)] {
        &[("tmn_code", "TMN"), ("hash_secret", SECRET)]
    }

    fn price(&self) -> (&'static str, i64) {
        ("VND", 149_000)
    }

    fn charge(&self, payment: &str) -> String {
        payment.replace('-', "")
    }

    fn event(&self, payment: &str, outcome: Outcome, amount: i64, number: u32) -> Event {
        event(payment, outcome, amount, number)
    }

    fn is_content(&self, answer: &Answer, again: bool) -> bool {
        answer.status == 200 && answer.body["RspCode"] == if again { "02" } else { "00" }
    }

    fn is_refused(&self, answer: &Answer) -> bool {
        answer.status == 200 && answer.body["RspCode"] == "97"
    }

    fn repeats_refunds(&self) -> bool {
        false
    }

    /// All requests have the same path, so their kind is read from the body.
    fn named(&self, line: &str, body: &str) -> String {
        let parsed: Value = serde_json::from_str(body).unwrap();
        format!("{line} {}", parsed["vnp_Command"].as_str().unwrap())
    }

    fn refusal(&self) -> (u16, &'static str) {
        (200, "02/")
    }

    fn in_words(&self, state: &State, body: &str, status: u16, words: &str) -> (u16, Value) {
        let (code, of_refund) = words.split_once('/').unwrap();
        signed(body, status, code, of_refund, state.amount * 100, ("01", 1))
    }

    fn answer(&self, state: &mut State, _: &str, _: &str, body: &str) -> (u16, Value) {
        answer(state, body)
    }
}

fn event(payment: &str, outcome: Outcome, amount: i64, number: u32) -> Event {
    let (code, status) = match outcome {
        Outcome::Open => ("07", "07"),
        Outcome::Paid => ("00", "00"),
        Outcome::Failed => ("24", "02"),
    };
    let reference = payment.replace('-', "");
    let query = format!(
        "vnp_Amount={}&vnp_BankCode=NCB&vnp_OrderInfo=500+credits&vnp_ResponseCode={code}&vnp_TmnCode=TMN\
         &vnp_TransactionNo={}&vnp_TransactionStatus={status}&vnp_TxnRef={reference}",
        amount * 100,
        transaction(payment, number)
    );
    let signature = sign(hmac::HMAC_SHA512, &query);
    let path = format!("/r1/payments/webhooks/vnpay?{query}&vnp_SecureHash={signature}");
    Event { method: Method::GET, path, headers: Vec::new(), body: String::new() }
}

fn answer(state: &mut State, body: &str) -> (u16, Value) {
    let parsed: Value = serde_json::from_str(body).unwrap();
    let text = |name: &str| parsed[name].as_str().unwrap_or_default().to_owned();
    let kind = text("vnp_TransactionType");
    let refund_status = |truth: Truth| match truth {
        Truth::Done => "00",
        Truth::Pending => "05",
        Truth::Failed => "09",
    };
    if text("vnp_Command") == "refund" {
        let amount = text("vnp_Amount").parse::<i64>().unwrap();
        let new = Made {
            id: String::new(),
            key: text("vnp_RequestId"),
            name: text("vnp_RequestId"),
            charge: text("vnp_TxnRef"),
            amount: amount / 100,
            truth: Truth::Done,
            asked_at: text("vnp_CreateDate"),
        };
        return match asked_for(state, &Vnpay, new) {
            (_, Words::Code(status, words)) => {
                let (code, of_refund) = words.split_once('/').unwrap();
                signed(body, status, code, of_refund, amount, (&kind, 2))
            }
            (_, Words::OtherAmount) => signed(body, 200, "00", "00", amount + 100, (&kind, 2)),
            (_, Words::OfAnother) => {
                let other = body.replace(&text("vnp_TxnRef"), &support::new_id().replace('-', ""));
                signed(&other, 200, "00", "00", amount, (&kind, 2))
            }
            (Some(made), Words::Truth) => signed(body, 200, "00", refund_status(made.truth), amount, (&kind, 2)),
            _ => (SILENT, json!(null)),
        };
    }
    if !kind.is_empty() {
        let is_it = |made: &&Made| made.charge == text("vnp_TxnRef") && made.asked_at == text("vnp_TransactionDate");
        return match state.refunds.iter().find(is_it) {
            Some(made) => signed(body, 200, "00", refund_status(made.truth), made.amount * 100, (&kind, 2)),
            None => signed(body, 200, "91", "", state.amount * 100, (&kind, 2)),
        };
    }
    let status = match state.outcome {
        Outcome::Open => "01",
        Outcome::Paid => "00",
        Outcome::Failed => "02",
    };
    signed(body, 200, "00", status, state.amount * 100, ("01", 1))
}

/// Returns a signed response about a transaction.
fn signed(asked: &str, http: u16, code: &str, status: &str, amount: i64, (kind, number): (&str, u32)) -> (u16, Value) {
    let parsed: Value = serde_json::from_str(asked).unwrap();
    let text = |name: &str| parsed[name].as_str().unwrap_or_default().to_owned();
    let command = text("vnp_Command");
    let mut fields = vec![
        ("vnp_ResponseId", "r".to_owned()),
        ("vnp_Command", command.clone()),
        ("vnp_ResponseCode", code.to_owned()),
        ("vnp_Message", "its words".to_owned()),
        ("vnp_TmnCode", "TMN".to_owned()),
        ("vnp_TxnRef", text("vnp_TxnRef")),
        ("vnp_Amount", amount.to_string()),
        ("vnp_BankCode", "NCB".to_owned()),
        ("vnp_PayDate", "20260101000000".to_owned()),
        ("vnp_TransactionNo", transaction(&text("vnp_TxnRef"), number).to_string()),
        ("vnp_TransactionType", kind.to_owned()),
        ("vnp_TransactionStatus", status.to_owned()),
        ("vnp_OrderInfo", text("vnp_OrderInfo")),
    ];
    if command == "querydr" {
        fields.extend([("vnp_PromotionCode", String::new()), ("vnp_PromotionAmount", String::new())]);
    }
    let signed: Vec<&str> = fields.iter().map(|(_, value)| value.as_str()).collect();
    let signature = sign(hmac::HMAC_SHA512, &signed.join("|"));
    let mut answer: serde_json::Map<String, Value> =
        fields.iter().map(|(name, value)| ((*name).to_owned(), Value::from(value.clone()))).collect();
    answer.insert("vnp_SecureHash".to_owned(), signature.into());
    (http, Value::Object(answer))
}
