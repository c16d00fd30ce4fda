//! Fake MoMo.

use aws_lc_rs::hmac;
use support::{Answer, Value, json};

use super::{Event, Made, Outcome, SECRET, SILENT, Speaks, State, Truth, Words, asked_for, post, sign, transaction};

/// MoMo. Each of its responses has a result code.
pub(super) struct Momo;

impl Speaks for Momo {
    fn name(&self) -> &'static str {
        "momo"
    }

    fn settings(&self) -> &'static [(&'static str, &'static str)] {
        &[("partner_code", "PC"), ("access_key", "AK"), ("secret_key", SECRET)]
    }

    fn price(&self) -> (&'static str, i64) {
        ("VND", 149_000)
    }

    fn charge(&self, payment: &str) -> String {
        transaction(payment, 1).to_string()
    }

    fn event(&self, payment: &str, outcome: Outcome, amount: i64, number: u32) -> Event {
        event(payment, outcome, amount, number)
    }

    fn is_content(&self, answer: &Answer, _: bool) -> bool {
        answer.status == 204
    }

    fn refusal(&self) -> (u16, &'static str) {
        (400, "21")
    }

    fn in_words(&self, _: &State, _: &str, status: u16, words: &str) -> (u16, Value) {
        (status, json!({ "resultCode": words.parse::<i64>().unwrap(), "message": "its words" }))
    }

    fn answer(&self, state: &mut State, line: &str, _: &str, body: &str) -> (u16, Value) {
        answer(state, line, body)
    }
}

fn event(payment: &str, outcome: Outcome, amount: i64, number: u32) -> Event {
    let code = match outcome {
        Outcome::Open => 7000,
        Outcome::Paid => 0,
        Outcome::Failed => 1006,
    };
    let (transaction, time) = (transaction(payment, number), 1_700_000_000_000_i64);
    let signed = format!(
        "accessKey=AK&amount={amount}&extraData=&message=Thành công.&orderId={payment}&orderInfo=500 credits&orderType=momo_wallet\
         &partnerCode=PC&payType=qr&requestId={payment}&responseTime={time}&resultCode={code}&transId={transaction}"
    );
    let body = json!({
        "partnerCode": "PC", "orderId": payment, "requestId": payment, "amount": amount, "orderInfo": "500 credits",
        "orderType": "momo_wallet", "transId": transaction, "resultCode": code, "message": "Thành công.", "payType": "qr",
        "responseTime": time, "extraData": "", "signature": sign(hmac::HMAC_SHA256, &signed),
    });
    post("momo", Vec::new(), body.to_string())
}

fn answer(state: &mut State, line: &str, body: &str) -> (u16, Value) {
    let parsed: Value = serde_json::from_str(body).unwrap();
    if line.contains("/create") {
        let text = |name: &str| parsed[name].as_str().unwrap().to_owned();
        let signed = format!(
            "accessKey=AK&amount={}&extraData=&ipnUrl={}&orderId={}&orderInfo={}&partnerCode=PC&redirectUrl={}&requestId={}\
             &requestType=captureWallet",
            parsed["amount"],
            text("ipnUrl"),
            text("orderId"),
            text("orderInfo"),
            text("redirectUrl"),
            text("requestId")
        );
        assert_eq!(text("signature"), sign(hmac::HMAC_SHA256, &signed));
        return (
            200,
            json!({ "resultCode": 0, "message": "ok", "payUrl": format!("https://momo.test/{}", text("orderId")) }),
        );
    }
    if line.contains("/refund") {
        return refund(state, line, &parsed, body);
    }
    let code = match state.outcome {
        Outcome::Open => 1000,
        Outcome::Paid => 0,
        Outcome::Failed => 1006,
    };
    (
        200,
        json!({ "resultCode": code, "message": "ok", "amount": state.amount, "transId": transaction(parsed["orderId"].as_str().unwrap(), 1) }),
    )
}

const fn code_of(truth: Truth) -> i64 {
    match truth {
        Truth::Done => 0,
        Truth::Pending => 7002,
        Truth::Failed => 1080,
    }
}

fn refund(state: &mut State, line: &str, parsed: &Value, body: &str) -> (u16, Value) {
    let text = |name: &str| parsed[name].as_str().unwrap_or_default().to_owned();
    let order = text("orderId");
    if line.contains("/refund/query") {
        let signed = format!("accessKey=AK&orderId={order}&partnerCode=PC&requestId={}", text("requestId"));
        assert_eq!(text("signature"), sign(hmac::HMAC_SHA256, &signed));
        let Some(made) = state.refunds.iter().find(|made| made.name == order) else {
            return Momo.in_words(state, body, 200, "42");
        };
        let listed =
            json!([{ "orderId": order, "amount": made.amount, "resultCode": code_of(made.truth), "transId": 77 }]);
        return (200, json!({ "resultCode": 0, "message": "ok", "orderId": order, "refundTrans": listed }));
    }
    let new = Made {
        id: String::new(),
        key: text("requestId"),
        name: order,
        charge: parsed["transId"].to_string(),
        amount: parsed["amount"].as_i64().unwrap(),
        truth: Truth::Done,
        asked_at: String::new(),
    };
    let is_again = state.refunds.iter().any(|made| made.key == new.key);
    match asked_for(state, &Momo, new) {
        (_, Words::Code(status, words)) => Momo.in_words(state, body, status, words),
        // If a request is repeated, only a final result is returned again.
        (Some(made), Words::Truth) if is_again && made.truth == Truth::Pending => Momo.in_words(state, body, 200, "40"),
        (Some(made), Words::Truth) => (200, json!({ "resultCode": code_of(made.truth), "message": "its words" })),
        _ => (SILENT, json!(null)),
    }
}
