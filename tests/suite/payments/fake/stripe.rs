//! Fake Stripe.

use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::hmac;
use support::{Value, json};

use super::{
    Event, Intent, Made, Outcome, SECRET, SILENT, Speaks, State, Truth, Words, asked_for, field, header, post,
};

/// Stripe. It accepts forms, and recognises repeated requests by their idempotency key.
pub(super) struct Stripe;

impl Speaks for Stripe {
    fn name(&self) -> &'static str {
        "stripe"
    }

    fn settings(&self) -> &'static [(&'static str, &'static str)] {
        &[("secret_key", "sk_test_x"), ("webhook_secret", "an older secret,a secret of the test")]
    }

    fn price(&self) -> (&'static str, i64) {
        ("USD", 600)
    }

    fn charge(&self, payment: &str) -> String {
        format!("pi_{payment}")
    }

    fn event(&self, payment: &str, outcome: Outcome, amount: i64, number: u32) -> Event {
        event(payment, outcome, amount, number)
    }

    fn refusal(&self) -> (u16, &'static str) {
        (400, "invalid_request_error/parameter_missing")
    }

    fn in_words(&self, _: &State, _: &str, status: u16, words: &str) -> (u16, Value) {
        let (kind, code) = words.split_once('/').unwrap();
        (status, json!({ "error": { "type": kind, "code": code } }))
    }

    fn answer(&self, state: &mut State, line: &str, head: &str, body: &str) -> (u16, Value) {
        answer(state, line, head, body)
    }
}

/// Event that Stripe has signed now.
pub fn stripe_signed(body: Value) -> Event {
    stripe_signed_by(body, SECRET, 0)
}

/// Event signed with another secret, by a clock that is off by `off` seconds.
pub fn stripe_signed_by(body: Value, secret: &str, off: i64) -> Event {
    let body = body.to_string();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let now = i64::try_from(now).unwrap() + off;
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let signature = hex::encode(hmac::sign(&key, format!("{now}.{body}").as_bytes()));
    post("stripe", vec![("stripe-signature", format!("t={now},v1={},v1={signature}", "00".repeat(32)))], body)
}

fn event(payment: &str, outcome: Outcome, amount: i64, number: u32) -> Event {
    let (kind, status) = match outcome {
        Outcome::Open => ("checkout.session.completed", "unpaid"),
        Outcome::Paid => ("checkout.session.completed", "paid"),
        Outcome::Failed => ("checkout.session.async_payment_failed", "unpaid"),
    };
    stripe_signed(json!({
        "id": format!("evt_{payment}_{number}"), "type": kind, "livemode": false, "api_version": "2026-10-28.endive",
        "data": { "object": {
            "id": format!("cs_{payment}"), "object": "checkout.session", "status": "complete", "payment_status": status,
            "amount_total": amount, "currency": "usd", "client_reference_id": payment, "payment_intent": format!("pi_{payment}"),
        } },
    }))
}

fn answer(state: &mut State, line: &str, head: &str, body: &str) -> (u16, Value) {
    assert_eq!(header(head, "stripe-version"), "2026-10-28.endive");
    if line.starts_with("POST /v1/checkout/sessions") {
        let id = field(body, "client_reference_id");
        if field(body, "mode") == "setup" {
            assert_eq!(header(head, "idempotency-key"), format!("setup-{id}"));
            return (
                200,
                json!({ "id": format!("cs_setup_{id}"), "url": format!("https://checkout.test/setup/{id}") }),
            );
        }
        assert_eq!(header(head, "idempotency-key"), format!("checkout-{id}"));
        return (200, json!({ "id": format!("cs_{id}"), "url": format!("https://checkout.test/{id}") }));
    }
    if line.contains("/v1/payment_intents") {
        let key = header(head, "idempotency-key");
        if let Some(before) = state.answered.get(&key).filter(|_| !key.is_empty()) {
            return before.clone();
        }
        let answer = intent(state, line, body);
        if !key.is_empty() {
            state.answered.insert(key, answer.clone());
        }
        return answer;
    }
    if line.starts_with("GET /v1/charges?") {
        return (200, json!({ "data": state.listed.clone().unwrap_or_default(), "has_more": false }));
    }
    if let Some((_, id)) = line.split_once("/v1/checkout/sessions/cs_setup_") {
        let id = id.split(['?', ' ']).next().unwrap();
        return (200, setup(id, state.outcome));
    }
    if line.contains("/v1/payment_methods/") {
        return (200, json!({ "id": "pm_1" }));
    }
    if line.contains("/v1/billing_portal/sessions") {
        return (200, json!({ "url": format!("https://portal.test/{}", field(body, "customer")) }));
    }
    if line.contains("/v1/refunds") {
        return refund(state, line, head, body);
    }
    let id = line.split_whitespace().nth(1).unwrap().rsplit('/').next().unwrap().trim_start_matches("cs_").to_owned();
    let status = if state.outcome == Outcome::Paid { "paid" } else { "unpaid" };
    let session = if state.outcome == Outcome::Failed { "expired" } else { "open" };
    let object = json!({
        "id": format!("cs_{id}"), "status": session, "payment_status": status, "amount_total": state.amount,
        "currency": "usd", "payment_intent": format!("pi_{id}"),
    });
    (200, object)
}

fn refund(state: &mut State, line: &str, head: &str, body: &str) -> (u16, Value) {
    let object = |made: &Made| {
        let status = match made.truth {
            Truth::Done => "succeeded",
            Truth::Pending => "pending",
            Truth::Failed => "failed",
        };
        json!({
            "id": made.id, "amount": made.amount, "currency": "usd", "status": status, "payment_intent": made.charge,
            "metadata": if made.name.is_empty() { json!({ "order": "4711" }) } else { json!({ "refund_id": made.name }) },
        })
    };
    if let Some((_, query)) = line.split_once("GET /v1/refunds?") {
        let charge = field(query.split(' ').next().unwrap(), "payment_intent");
        let made: Vec<Value> = state.refunds.iter().filter(|made| made.charge == charge).map(object).collect();
        return (200, json!({ "data": made, "has_more": false }));
    }
    if let Some((_, id)) = line.split_once("GET /v1/refunds/") {
        let id = id.split(' ').next().unwrap();
        let made = state.refunds.iter().find(|made| made.id == id).map(object);
        let missing = json!({ "error": { "type": "invalid_request_error", "code": "resource_missing" } });
        return made.map_or((404, missing), |made| (200, made));
    }
    let new = Made {
        id: String::new(),
        key: header(head, "idempotency-key"),
        name: field(body, "metadata%5Brefund_id%5D"),
        charge: field(body, "payment_intent"),
        amount: field(body, "amount").parse().unwrap(),
        truth: Truth::Done,
        asked_at: String::new(),
    };
    match asked_for(state, &Stripe, new) {
        (_, Words::Code(status, words)) => Stripe.in_words(state, body, status, words),
        (Some(made), Words::Truth) => (200, object(&made)),
        _ => (SILENT, json!(null)),
    }
}

/// Returns the state of a card that is being saved.
fn setup(id: &str, outcome: Outcome) -> Value {
    let card = json!({ "id": "pm_2", "type": "card", "card": { "brand": "mastercard", "last4": "4444", "exp_month": 1, "exp_year": 2032 } });
    let (status, intent) = match outcome {
        Outcome::Open => ("open", json!(null)),
        Outcome::Paid => {
            ("complete", json!({ "id": "seti_1", "status": "succeeded", "customer": "cus_1", "payment_method": card }))
        }
        Outcome::Failed => ("expired", json!(null)),
    };
    json!({ "id": format!("cs_setup_{id}"), "status": status, "setup_intent": intent })
}

/// Handles requests about payment intents: charges of saved cards, and those of checkouts.
fn intent(state: &mut State, line: &str, body: &str) -> (u16, Value) {
    if line.starts_with("POST /v1/payment_intents ") {
        let payment = field(body, "metadata%5Bpayment_id%5D");
        assert_eq!(field(body, "customer"), "cus_1");
        let is_there = field(body, "metadata%5Boff_session%5D") == "false";
        let id = format!("pi_{}", state.intents.len() + 1);
        let (amount, currency) = (field(body, "amount").parse().unwrap(), field(body, "currency"));
        state.intents.insert(id.clone(), Intent { payment, amount, currency, is_there, ..Intent::default() });
    }
    let path = line.split_whitespace().nth(1).unwrap();
    let named = path.trim_start_matches("/v1/payment_intents/").split(['/', '?']).next().unwrap().to_owned();
    let newest = format!("pi_{}", state.intents.len());
    let id = if path == "/v1/payment_intents" { newest } else { named };
    let (outcome, wants_payer) = (state.outcome, state.wants_payer);
    let Some(intent) = state.intents.get_mut(&id) else {
        let card = json!({ "id": "pm_1", "type": "card", "card": { "brand": "visa", "last4": "4242", "exp_month": 12, "exp_year": 2031 } });
        let object = json!({
            "id": id, "status": "succeeded", "amount": 2_400, "currency": "usd", "customer": "cus_1", "payment_method": card,
        });
        return (200, object);
    };
    if line.contains("/confirm") {
        assert_eq!(field(body, "off_session") == "true", !intent.is_there);
        assert!(!field(body, "return_url").is_empty());
        if intent.succeeded > 0 {
            return (
                400,
                json!({ "error": { "type": "invalid_request_error", "code": "payment_intent_unexpected_state" } }),
            );
        }
        intent.confirmed += 1;
        intent.declined = outcome == Outcome::Failed;
        if intent.declined {
            return (402, json!({ "error": { "type": "card_error", "code": "card_declined" } }));
        }
        if wants_payer && !intent.is_there {
            intent.declined = true;
            return (402, json!({ "error": { "type": "card_error", "code": "authentication_required" } }));
        }
        intent.waits = wants_payer;
        intent.succeeded += usize::from(!intent.waits);
    } else if intent.waits && outcome != Outcome::Open {
        intent.waits = false;
        intent.declined = outcome == Outcome::Failed;
        intent.succeeded += usize::from(!intent.declined);
    }
    let status = match (intent.succeeded, intent.declined) {
        (0, false) if intent.waits => "requires_action",
        (0, false) => "requires_confirmation",
        (0, true) => "requires_payment_method",
        _ => "succeeded",
    };
    let mut object = json!({
        "id": id, "status": status, "amount": intent.amount, "currency": intent.currency, "customer": "cus_1",
        "payment_method": { "id": "pm_1", "type": "card" }, "metadata": { "payment_id": intent.payment, "off_session": (!intent.is_there).to_string() },
    });
    if intent.waits {
        object["next_action"] =
            json!({ "type": "redirect_to_url", "redirect_to_url": { "url": format!("https://bank.test/{id}") } });
    }
    if intent.declined && intent.succeeded == 0 {
        object["last_payment_error"] = json!({ "code": "card_declined" });
    }
    (200, object)
}
