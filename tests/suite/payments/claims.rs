//! Refunds and disputes, in the format of each gateway.

use support::{Value, json, new_id};

use super::{
    adds_up, begun, credits,
    fake::{Event, Kind, Mood, Outcome, Truth, decimal, paypal_signed, stripe_signed},
    gateways::stage,
    payment, status,
};

/// Gateways that send events about disputes.
const TELLING: [Kind; 2] = [Kind::Stripe, Kind::Paypal];

#[derive(Clone, Copy)]
enum Course {
    Open,
    Won,
    Lost,
}

/// Event about a dispute of a part of a payment.
fn dispute(kind: Kind, payment: &str, reference: &str, amount: i64, course: Course) -> Event {
    dispute_in("USD", kind, payment, reference, amount, course)
}

/// Event about a dispute, in the currency of the payer's bank.
fn dispute_in(currency: &str, kind: Kind, payment: &str, reference: &str, amount: i64, course: Course) -> Event {
    let event = format!("evt_{}", new_id());
    if kind == Kind::Stripe {
        let status = match course {
            Course::Open => "needs_response",
            Course::Won => "won",
            Course::Lost => "lost",
        };
        return stripe_signed(json!({
            "id": event, "type": "charge.dispute.updated", "livemode": false, "data": { "object": {
                "id": reference, "amount": amount, "currency": currency.to_lowercase(), "status": status,
                "payment_intent": format!("pi_{payment}"),
            } },
        }));
    }
    let (kind, status, outcome) = match course {
        Course::Open => ("CUSTOMER.DISPUTE.CREATED", "WAITING_FOR_SELLER_RESPONSE", json!(null)),
        Course::Won => ("CUSTOMER.DISPUTE.RESOLVED", "RESOLVED", json!({ "outcome_code": "RESOLVED_SELLER_FAVOUR" })),
        Course::Lost => ("CUSTOMER.DISPUTE.RESOLVED", "RESOLVED", json!({ "outcome_code": "RESOLVED_BUYER_FAVOUR" })),
    };
    paypal_signed(json!({ "id": event, "event_type": kind, "resource": {
        "dispute_id": reference, "status": status, "dispute_outcome": outcome,
        "disputed_transactions": [{ "seller_transaction_id": format!("C-{payment}") }],
        "dispute_amount": { "currency_code": currency, "value": decimal(amount) },
    } }))
}

/// Event about a refund that was made at the gateway.
fn refund(kind: Kind, payment: &str, reference: &str, amount: i64, is_done: bool) -> Event {
    let event = format!("evt_{}", new_id());
    if kind == Kind::Stripe {
        let status = if is_done { "succeeded" } else { "failed" };
        return stripe_signed(json!({
            "id": event, "type": "refund.updated", "livemode": false, "data": { "object": {
                "id": reference, "amount": amount, "currency": "usd", "status": status, "payment_intent": format!("pi_{payment}"),
            } },
        }));
    }
    paypal_signed(json!({ "id": event, "event_type": "PAYMENT.CAPTURE.REFUNDED", "resource": {
        "id": reference, "status": if is_done { "COMPLETED" } else { "FAILED" },
        "amount": { "currency_code": "USD", "value": decimal(amount) },
        "links": [{ "rel": "up", "href": format!("https://api.paypal.com/v2/payments/captures/C-{payment}") }],
    } }))
}

#[tokio::test]
async fn refunded_and_disputed_credits_are_reversed_once() {
    for kind in TELLING {
        let (app, _fake, anna) = stage(kind).await;
        let admin = app.admin().await;
        let id = begun(&app, &anna, kind.name()).await;
        kind.event(&id, Outcome::Paid, 600, 1).send(&app).await;
        let path = format!("/r1/admin/payments/{id}/refund");
        let half = || json!({ "amount": 300, "reason": "half of it" });
        assert_eq!(admin.post(&path, half()).await.data()["status"], "partly_refunded");
        let owed = async || -> Value { anna.get("/r1/entitlements/me").await.data()["credits"]["owed"].clone() };

        for _ in 0..2 {
            let told = dispute(kind, &id, "dp_1", 600, Course::Open).send(&app).await;
            assert_eq!(told.status, 200, "{kind:?}");
            assert_eq!((status(&anna, &id).await.as_str(), credits(&anna).await), ("disputed", 0), "{kind:?}");
            assert_eq!(owed().await, 0, "{kind:?}: refund and dispute are about the same money");
        }
        let refused = admin.post(&path, half()).await;
        refused.refused(409, "wrong_state");
        dispute(kind, &id, "dp_1", 600, Course::Won).send(&app).await;
        assert_eq!((status(&anna, &id).await.as_str(), credits(&anna).await), ("partly_refunded", 250), "{kind:?}");
        dispute(kind, &id, "dp_1", 600, Course::Open).send(&app).await;
        assert_eq!(credits(&anna).await, 250, "{kind:?}: decided disputes stay closed");

        // The bank takes back the rest: as a dispute, and at some gateways as a refund too.
        dispute(kind, &id, "dp_2", 300, Course::Lost).send(&app).await;
        assert_eq!((status(&anna, &id).await.as_str(), credits(&anna).await), ("disputed", 0), "{kind:?}");
        refund(kind, &id, "R-9", 300, true).send(&app).await;
        assert_eq!((credits(&anna).await, owed().await), (0, json!(0)), "{kind:?}");
        adds_up(&app).await;
    }
}

#[tokio::test]
async fn treats_a_mismatched_dispute_as_full_until_reviewed() {
    for kind in TELLING {
        let (app, _fake, anna) = stage(kind).await;
        let admin = app.admin().await;
        let seen = async |id: &str| admin.get(&format!("/r1/admin/payments/{id}")).await.data();
        let release = async |id: &str| {
            let body = json!({ "decision": "asked", "reason": "looked at" });
            admin.post(&format!("/r1/admin/payments/{id}/release"), body).await.data();
        };
        // Disputes in another currency, in an unknown currency, and about more than was paid.
        let cases = [("EUR", 300, true), ("CHF", 300, false), ("USD", 700, true)];
        for (before, (currency, amount, is_known)) in [0, 500, 1_000].into_iter().zip(cases) {
            let id = begun(&app, &anna, kind.name()).await;
            kind.event(&id, Outcome::Paid, 600, 1).send(&app).await;
            let told = |course| dispute_in(currency, kind, &id, "dp_1", amount, course);
            let is = async || (status(&anna, &id).await, credits(&anna).await);
            told(Course::Open).send(&app).await;
            assert_eq!(is().await, ("quarantined".to_owned(), before), "{kind:?} {currency}");
            let details = seen(&id).await;
            let said = if is_known { json!({ "currency": currency, "amount": amount }) } else { json!(null) };
            let (disputes, quarantine) = (&details["disputes"], &details["quarantine"]);
            assert_eq!(
                (disputes[0]["amount"].as_i64(), &disputes[0]["reported"]),
                (Some(600), &said),
                "{kind:?} {details}"
            );
            assert_eq!((quarantine, &disputes[0]["state"]), (&json!("dispute"), &json!("open")), "{kind:?} {details}");
            release(&id).await;
            told(Course::Open).send(&app).await;
            assert_eq!(
                is().await,
                ("disputed".to_owned(), before),
                "{kind:?} {currency}: a repeated event after the review changes nothing"
            );
            told(Course::Won).send(&app).await;
            assert_eq!(is().await, ("paid".to_owned(), before + 500), "{kind:?} {currency}");
        }

        // The disputed amount increases.
        let id = begun(&app, &anna, kind.name()).await;
        kind.event(&id, Outcome::Paid, 600, 1).send(&app).await;
        dispute(kind, &id, "dp_2", 300, Course::Open).send(&app).await;
        assert_eq!((status(&anna, &id).await.as_str(), credits(&anna).await), ("disputed", 1_750), "{kind:?}");
        dispute(kind, &id, "dp_2", 600, Course::Open).send(&app).await;
        assert_eq!((status(&anna, &id).await.as_str(), credits(&anna).await), ("quarantined", 1_750), "{kind:?}");
        let told = seen(&id).await["disputes"][0].clone();
        assert_eq!((&told["amount"], &told["reported"]["amount"]), (&json!(300), &json!(600)), "{kind:?} {told}");
        release(&id).await;
        dispute(kind, &id, "dp_2", 600, Course::Lost).send(&app).await;
        assert_eq!((status(&anna, &id).await.as_str(), credits(&anna).await), ("disputed", 1_750), "{kind:?}");
        adds_up(&app).await;
    }
}

#[tokio::test]
async fn restores_exactly_the_credits_of_a_failed_refund() {
    for kind in TELLING {
        let (app, _fake, anna) = stage(kind).await;
        let id = begun(&app, &anna, kind.name()).await;
        kind.event(&id, Outcome::Paid, 600, 1).send(&app).await;
        refund(kind, &id, "R-1", 300, true).send(&app).await;
        assert_eq!((status(&anna, &id).await.as_str(), credits(&anna).await), ("partly_refunded", 250), "{kind:?}");
        dispute(kind, &id, "dp_1", 600, Course::Open).send(&app).await;
        refund(kind, &id, "R-1", 300, false).send(&app).await;
        assert_eq!(credits(&anna).await, 0, "{kind:?}: the dispute is about the whole payment");
        assert_eq!(payment(&anna, &id).await["refunded_amount"], 0, "{kind:?}");
        dispute(kind, &id, "dp_1", 600, Course::Won).send(&app).await;
        assert_eq!((status(&anna, &id).await.as_str(), credits(&anna).await), ("paid", 500), "{kind:?}");
        // A refund that is first reported as failed reverses nothing.
        refund(kind, &id, "R-2", 600, false).send(&app).await;
        assert_eq!((status(&anna, &id).await.as_str(), credits(&anna).await), ("paid", 500), "{kind:?}");
        adds_up(&app).await;
    }
}

#[tokio::test]
async fn events_of_a_quarantined_payment_wait_for_its_release() {
    let (app, _fake, anna) = stage(Kind::Stripe).await;
    let admin = app.admin().await;
    let id = begun(&app, &anna, "stripe").await;
    Kind::Stripe.event(&id, Outcome::Paid, 599, 1).send(&app).await;
    refund(Kind::Stripe, &id, "R-1", 300, true).send(&app).await;
    assert_eq!((status(&anna, &id).await.as_str(), credits(&anna).await), ("quarantined", 0));
    let body = json!({ "decision": "asked", "reason": "the bank's fee" });
    admin.post(&format!("/r1/admin/payments/{id}/release"), body).await.data();
    assert_eq!((status(&anna, &id).await.as_str(), credits(&anna).await), ("partly_refunded", 250));
    adds_up(&app).await;
}

/// Stripe's event about a charge that was refunded.
pub(super) fn charge_refunded(payment: &str) -> Event {
    stripe_signed(json!({
        "id": format!("evt_{}", new_id()), "type": "charge.refunded", "livemode": false, "created": 100, "data": { "object": {
            "id": "ch_1", "object": "charge", "amount": 600, "amount_refunded": 300, "currency": "usd", "payment_intent": format!("pi_{payment}"),
        } },
    }))
}

#[tokio::test]
async fn books_refunds_from_a_refunded_charge_event() {
    let (app, fake, anna) = stage(Kind::Stripe).await;
    let admin = app.admin().await;
    let id = begun(&app, &anna, "stripe").await;
    // The event may arrive before the server knows that the payment is paid.
    fake.gives_back(&id, 150, Truth::Done);
    assert_eq!(charge_refunded(&id).send(&app).await.status, 200);
    Kind::Stripe.event(&id, Outcome::Paid, 600, 1).send(&app).await;
    let is = async || (status(&anna, &id).await, credits(&anna).await);
    assert_eq!(is().await, ("partly_refunded".to_owned(), 375));

    // Two more refunds, one of which is pending at the gateway; then the same in another event of
    // Stripe.
    fake.gives_back(&id, 90, Truth::Done);
    fake.gives_back(&id, 60, Truth::Pending);
    for _ in 0..2 {
        assert_eq!(charge_refunded(&id).send(&app).await.status, 200);
        assert_eq!(is().await, ("partly_refunded".to_owned(), 250));
    }
    refund(Kind::Stripe, &id, "R-1", 150, true).send(&app).await;
    assert_eq!(is().await, ("partly_refunded".to_owned(), 250));
    assert_eq!(payment(&anna, &id).await["refunded_amount"], 240, "one refund is pending");

    // The refund that the server has requested is among the gateway's refunds.
    admin.post(&format!("/r1/admin/payments/{id}/refund"), json!({ "amount": 300, "reason": "the rest" })).await.data();
    fake.mood(Mood::Away);
    assert_eq!(charge_refunded(&id).send(&app).await.status, 503, "the gateway must retry");
    fake.mood(Mood::Well);
    assert_eq!(charge_refunded(&id).send(&app).await.status, 200);
    assert_eq!((payment(&anna, &id).await["refunded_amount"].clone(), credits(&anna).await), (json!(540), 0));
    fake.refunds_become(&id, Truth::Done);
    charge_refunded(&id).send(&app).await;
    assert_eq!(is().await, ("refunded".to_owned(), 0));
    let refunds = admin.get(&format!("/r1/admin/payments/{id}")).await.data()["refunds"].as_array().unwrap().len();
    assert_eq!(refunds, 4, "each refund exists once");
    adds_up(&app).await;
}
