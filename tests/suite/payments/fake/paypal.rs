//! Fake PayPal.

use aws_lc_rs::hmac;
use support::{Value, json};

use super::{Event, Made, Outcome, SECRET, SILENT, Speaks, State, Truth, Words, asked_for, header, post, sign};

/// PayPal. It authenticates callers by a token, and verifies its own events when asked.
pub(super) struct Paypal;

impl Speaks for Paypal {
    fn name(&self) -> &'static str {
        "paypal"
    }

    fn settings(&self) -> &'static [(&'static str, &'static str)] {
        &[("client_id", "client"), ("client_secret", SECRET), ("webhook_id", "WH-1"), ("verify", "api")]
    }

    fn price(&self) -> (&'static str, i64) {
        ("USD", 600)
    }

    fn charge(&self, payment: &str) -> String {
        format!("C-{payment}")
    }

    fn event(&self, payment: &str, outcome: Outcome, amount: i64, number: u32) -> Event {
        event(payment, outcome, amount, number)
    }

    fn refusal(&self) -> (u16, &'static str) {
        (422, "UNPROCESSABLE_ENTITY/NOT_ELIGIBLE")
    }

    fn in_words(&self, _: &State, _: &str, status: u16, words: &str) -> (u16, Value) {
        let (name, issue) = words.split_once('/').unwrap();
        (status, json!({ "name": name, "details": [{ "issue": issue }] }))
    }

    fn answer(&self, state: &mut State, line: &str, head: &str, body: &str) -> (u16, Value) {
        answer(state, line, head, body)
    }
}

pub fn paypal_signed(body: Value) -> Event {
    let body = body.to_string();
    let now = time::OffsetDateTime::now_utc().format(&time::format_description::well_known::Rfc3339).unwrap();
    let headers = vec![
        ("paypal-transmission-id", "t-1".to_owned()),
        ("paypal-transmission-time", now),
        ("paypal-auth-algo", "SHA256withRSA".to_owned()),
        ("paypal-cert-url", "https://api.paypal.com/v1/notifications/certs/CERT-1".to_owned()),
        ("paypal-transmission-sig", sign(hmac::HMAC_SHA256, &body)),
    ];
    post("paypal", headers, body)
}

pub fn decimal(amount: i64) -> String {
    format!("{}.{:02}", amount / 100, amount % 100)
}

fn event(payment: &str, outcome: Outcome, amount: i64, number: u32) -> Event {
    let kind = match outcome {
        Outcome::Open => "PAYMENT.CAPTURE.PENDING",
        Outcome::Paid => "PAYMENT.CAPTURE.COMPLETED",
        Outcome::Failed => "PAYMENT.CAPTURE.DENIED",
    };
    paypal_signed(json!({
        "id": format!("WH-{payment}-{number}"), "event_type": kind,
        "resource": {
            "id": format!("C-{payment}"), "custom_id": payment, "status": "COMPLETED",
            "amount": { "currency_code": "USD", "value": decimal(amount) },
        },
    }))
}

fn answer(state: &mut State, line: &str, head: &str, body: &str) -> (u16, Value) {
    if line.contains("/v1/oauth2/token") {
        return (200, json!({ "access_token": "token", "expires_in": 3600 }));
    }
    if line.contains("verify-webhook-signature") {
        // The signature covers the exact bytes of the event.
        let event = body.split_once("\"webhook_event\":").unwrap().1.strip_suffix('}').unwrap();
        let parsed: Value = serde_json::from_str(body).unwrap();
        let good = parsed["transmission_sig"] == sign(hmac::HMAC_SHA256, event) && parsed["webhook_id"] == "WH-1";
        let told = &parsed["webhook_event"];
        if good && !state.is_forged && told["event_type"] == "PAYMENT.CAPTURE.COMPLETED" {
            let capture = told["resource"].clone();
            state.told.insert(capture["id"].as_str().unwrap().to_owned(), capture);
        }
        return (200, json!({ "verification_status": if good { "SUCCESS" } else { "FAILURE" } }));
    }
    if line.starts_with("GET /v1/reporting/transactions?") {
        let Some(listed) = &state.listed else { return (403, json!({ "name": "NOT_AUTHORIZED" })) };
        // There are two pages; the second one is empty.
        let first = if line.contains("&page=1 ") { listed.clone() } else { Vec::new() };
        return (200, json!({ "transaction_details": first, "total_pages": 2 }));
    }
    if let Some((_, id)) = line.split_once("GET /v2/payments/captures/") {
        let told = state.told.get(id.split(' ').next().unwrap());
        return told.map_or((404, json!({ "name": "RESOURCE_NOT_FOUND" })), |capture| (200, capture.clone()));
    }
    if line.contains("/refund") {
        return refund(state, line, head, body);
    }
    let order = |id: &str, state: &State| {
        let (status, captures) = match state.outcome {
            Outcome::Open => ("CREATED", json!([])),
            Outcome::Paid | Outcome::Failed => {
                let status = if state.outcome == Outcome::Paid { "COMPLETED" } else { "DECLINED" };
                let amount = json!({ "currency_code": "USD", "value": decimal(state.amount) });
                ("COMPLETED", json!([{ "id": format!("C-{id}"), "status": status, "amount": amount }]))
            }
        };
        let charge = format!("C-{id}");
        let refunds: Vec<Value> =
            state.refunds.iter().filter(|made| made.charge == charge).map(refund_object).collect();
        let payments = json!({ "captures": captures, "refunds": refunds });
        json!({ "id": format!("O-{id}"), "status": status, "purchase_units": [{ "payments": payments }] })
    };
    if line.starts_with("POST /v2/checkout/orders ") {
        let parsed: Value = serde_json::from_str(body).unwrap();
        let id = parsed["purchase_units"][0]["custom_id"].as_str().unwrap();
        let link = json!([{ "rel": "payer-action", "href": format!("https://paypal.test/{id}") }]);
        return (201, json!({ "id": format!("O-{id}"), "status": "PAYER_ACTION_REQUIRED", "links": link }));
    }
    let id = line.split_once("/O-").unwrap().1.split(['/', ' ']).next().unwrap().to_owned();
    if line.contains("/capture") && state.outcome == Outcome::Open {
        state.outcome = Outcome::Paid;
    }
    (200, order(&id, state))
}

fn refund_object(made: &Made) -> Value {
    let status = match made.truth {
        Truth::Done => "COMPLETED",
        Truth::Pending => "PENDING",
        Truth::Failed => "FAILED",
    };
    let amount = json!({ "currency_code": "USD", "value": decimal(made.amount) });
    json!({ "id": made.id, "status": status, "amount": amount, "custom_id": made.name })
}

fn refund(state: &mut State, line: &str, head: &str, body: &str) -> (u16, Value) {
    if let Some((_, id)) = line.split_once("GET /v2/payments/refunds/") {
        let id = id.split(' ').next().unwrap();
        let made = state.refunds.iter().find(|made| made.id == id).map(refund_object);
        return made.map_or((404, json!({ "name": "RESOURCE_NOT_FOUND" })), |made| (200, made));
    }
    let parsed: Value = serde_json::from_str(body).unwrap();
    let new = Made {
        id: String::new(),
        key: header(head, "paypal-request-id"),
        name: parsed["custom_id"].as_str().unwrap().to_owned(),
        charge: line.split_once("/captures/").unwrap().1.split('/').next().unwrap().to_owned(),
        amount: parsed["amount"]["value"].as_str().unwrap().replace('.', "").parse().unwrap(),
        truth: Truth::Done,
        asked_at: String::new(),
    };
    match asked_for(state, &Paypal, new) {
        (_, Words::Code(status, words)) => Paypal.in_words(state, body, status, words),
        (Some(made), Words::Truth) => (201, refund_object(&made)),
        _ => (SILENT, json!(null)),
    }
}
