//! Receipts, quarantine, and comparisons with the gateways. For accountants and administrators.

use support::{Application, Member, Setup, Value, json};

use super::{
    adds_up, begun, credits,
    fake::{Fake, Kind, Mood, Outcome, stripe_signed},
    payment, status,
};

/// Length of a day in milliseconds.
const DAY: i64 = 86_400_000;

async fn paid_by_demo(app: &Application, payer: &Member) -> String {
    let id = begun(app, payer, "demo").await;
    payer.post(&format!("/r1/payments/{id}/demo"), json!({ "outcome": "paid" })).await.data();
    id
}

#[tokio::test]
async fn limits_receipts_and_credit_notes_to_payer_and_administrators() {
    let setup = Setup::new().set("payment.demo.enabled", true).set("payment.seller.tax_rate", 1_000);
    let app = setup.start().await;
    let (admin, anna, ben) = (app.admin().await, app.sign_up("Anna").await, app.sign_up("Ben").await);
    let details = json!({ "name": "Công ty Ánh Dương", "address": "12 Lý Thường Kiệt\nHà Nội", "country": "VN", "vat_id": "0101234567" });
    assert_eq!(anna.get("/r1/billing_details").await.data()["name"], json!(null));
    assert_eq!(anna.put("/r1/billing_details", details.clone()).await.data(), details);
    for (field, value) in [("country", json!("Vietnam")), ("name", json!("x".repeat(200))), ("vat_id", json!("1\n2"))] {
        anna.put("/r1/billing_details", json!({ field: value })).await.names_field(field);
    }
    let waiting = begun(&app, &anna, "demo").await;
    anna.get(&format!("/r1/payments/{waiting}/receipt.pdf")).await.refused(404, "not_found");
    let id = paid_by_demo(&app, &anna).await;
    let path = format!("/r1/payments/{id}/receipt.pdf");
    for reader in [&anna, &admin] {
        let paper = reader.get(&path).await;
        assert_eq!((paper.status, paper.header("content-type")), (200, Some("application/pdf")));
        let name = format!("attachment; filename=\"{}.pdf\"", payment(&anna, &id).await["receipt"].as_str().unwrap());
        assert_eq!(paper.header("content-disposition"), Some(name.as_str()));
    }
    ben.get(&path).await.refused(404, "not_found");
    app.anonymous().0.get(&path).await.refused(401, "unauthenticated");
    let (refund, part) = (format!("/r1/admin/payments/{id}/refund"), json!({ "amount": 200, "reason": "a present" }));
    app.database.run("UPDATE user_sessions SET created_at = created_at - 3600000, confirmed_at = NULL").await;
    admin.post(&refund, part.clone()).await.refused(403, "fresh_sign_in_required");
    let take = json!({ "user_id": anna.id, "amount": -1_000_000, "reason": "a mistake" });
    admin.post("/r1/admin/credits", take).await.refused(403, "fresh_sign_in_required");
    let admin = app.admin().await;
    admin.post(&refund, part).await.data();
    let after = payment(&anna, &id).await;
    let note = &after["credit_notes"][0];
    assert_eq!((&note["amount"], after["credit_notes"].as_array().unwrap().len()), (&json!(200), 1));
    assert_ne!(note["number"], after["receipt"], "receipts and credit notes share one number series");
    let path = format!("/r1/payments/{id}/credit_notes/{}.pdf", note["number"].as_str().unwrap());
    assert_eq!(anna.get(&path).await.status, 200);
    ben.get(&path).await.refused(404, "not_found");
    app.outbox(&anna.email, "Receipt").await;
    app.outbox(&anna.email, "Refund of").await;
    adds_up(&app).await;
}

/// Creates a payment in quarantine: the gateway has received only half of the amount.
async fn quarantined(app: &Application, payer: &Member) -> String {
    let id = begun(app, payer, "stripe").await;
    Kind::Stripe.event(&id, Outcome::Paid, 300, 1).send(app).await;
    assert_eq!(status(payer, &id).await, "quarantined");
    id
}

#[tokio::test]
async fn releasing_a_quarantined_payment_requires_a_fresh_sign_in() {
    let fake = Fake::start(Kind::Stripe).await;
    let app = fake.configure(Setup::new()).start().await;
    let (admin, anna) = (app.admin().await, app.sign_up("Anna").await);
    let release = |id: &str| format!("/r1/admin/payments/{id}/release");
    let body = |decision: &str| json!({ "decision": decision, "reason": "looked at" });
    let id = quarantined(&app, &anna).await;
    anna.post(&release(&id), body("asked")).await.refused(403, "forbidden");
    admin.post(&release(&id), body("whatever")).await.names_field("decision");
    app.database.run("UPDATE user_sessions SET created_at = created_at - 3600000, confirmed_at = NULL").await;
    admin.post(&release(&id), body("asked")).await.refused(403, "fresh_sign_in_required");
    let admin = app.admin().await;
    let seen = admin.get(&format!("/r1/admin/payments/{id}")).await.data();
    assert_eq!((&seen["paid_amount"], &seen["quarantine"]), (&json!(300), &json!("amount")));
    let told = &seen["events"][0];
    assert_eq!((&told["type"], &told["is_ours"]), (&json!("checkout.session.completed"), &json!(true)));
    assert_eq!(
        (&told["money"], &seen["charge"]),
        (&json!({ "currency": "USD", "amount": 300 }), &json!(format!("pi_{id}")))
    );

    assert_eq!(admin.post(&release(&id), body("asked")).await.data()["status"], "paid");
    assert_eq!(credits(&anna).await, 500);
    admin.post(&release(&id), body("asked")).await.refused(409, "wrong_state");

    let id = quarantined(&app, &anna).await;
    let counted = admin.post(&release(&id), body("paid")).await.data();
    assert_eq!((&counted["status"], &counted["amount"], credits(&anna).await), (&json!("paid"), &json!(300), 750));

    let id = quarantined(&app, &anna).await;
    assert_eq!(admin.post(&release(&id), body("refused")).await.data()["status"], "failed");
    assert_eq!((fake.refunds(), credits(&anna).await), (1, 750), "the payment is refunded");
    let log = admin.get("/r1/admin/audit_log?action=payment.released").await.data();
    assert_eq!(log["total"], 3);
    adds_up(&app).await;
}

/// Stripe's event about a checkout that was paid.
fn told(id: &str, event: &str, live: bool, currency: &str) -> super::fake::Event {
    stripe_signed(json!({
        "id": event, "type": "checkout.session.completed", "livemode": live, "data": { "object": {
            "id": format!("cs_{id}"), "payment_status": "paid", "amount_total": 600, "currency": currency,
            "client_reference_id": id, "payment_intent": format!("pi_{id}"),
        } },
    }))
}

#[tokio::test]
async fn verifies_a_quarantined_payment_with_the_gateway() {
    let fake = Fake::start(Kind::Stripe).await;
    let app = fake.configure(Setup::new().set("payment.reconcile_every", 3600)).start().await;
    let (admin, anna) = (app.admin().await, app.sign_up("Anna").await);
    let release = async |id: &str| {
        let body = json!({ "decision": "asked", "reason": "looked at" });
        admin.post(&format!("/r1/admin/payments/{id}/release"), body).await.data()["status"].clone()
    };
    let seen = async |id: &str| admin.get(&format!("/r1/admin/payments/{id}")).await.data();
    for (number, mood) in [Mood::Well, Mood::Away].into_iter().enumerate() {
        let id = begun(&app, &anna, "stripe").await;
        told(&id, &format!("evt_{number}"), true, "usd").send(&app).await;
        let before = seen(&id).await;
        assert_eq!((&before["quarantine"], &before["charge"]), (&json!("account"), &json!(null)), "{before}");
        assert_eq!(before["events"][0]["is_ours"], false, "{before}");
        fake.say(Outcome::Paid);
        fake.mood(mood);
        assert_eq!(release(&id).await, "paid", "{mood:?}: that it doesn't answer keeps nobody from deciding");
        fake.mood(Mood::Well);
        let charge = if mood == Mood::Well { json!(format!("pi_{id}")) } else { json!(null) };
        assert_eq!(seen(&id).await["charge"], charge, "{mood:?}");
    }
    assert_eq!(credits(&anna).await, 1_000);
    adds_up(&app).await;
}

#[tokio::test]
async fn rejected_payments_are_never_fulfilled_and_refunded_once() {
    let fake = Fake::start(Kind::Stripe).await;
    let setup = Setup::new().set("payment.reconcile_every", 1).set("payment.reconcile_after", 1);
    let app = fake.configure(setup).start().await;
    let (admin, anna) = (app.admin().await, app.sign_up("Anna").await);
    let refuse = async |id: &str| {
        let body = json!({ "decision": "refused", "reason": "a trick" });
        admin.post(&format!("/r1/admin/payments/{id}/release"), body).await.data()
    };
    // The event is from live mode, but the server is in test mode. So it is unknown whether
    // anything was paid.
    let id = begun(&app, &anna, "stripe").await;
    told(&id, "evt_1", true, "usd").send(&app).await;
    assert_eq!(status(&anna, &id).await, "quarantined");
    assert_eq!((refuse(&id).await["status"].as_str(), fake.refunds()), (Some("failed"), 0));
    for event in ["evt_2", "evt_3"] {
        assert_eq!(told(&id, event, false, "usd").send(&app).await.status, 200);
    }
    support::wait_until("the money is refunded", || async { fake.given_back(&id) == 600 }).await;
    // The payment is checked again, as when the payer returns or payments are compared.
    fake.say(Outcome::Paid);
    anna.get(&format!("/r1/payments/callback/stripe?payment={id}")).await;
    admin.post(&format!("/r1/admin/payments/{id}/reconcile"), json!({})).await;
    assert_eq!((status(&anna, &id).await.as_str(), credits(&anna).await, fake.refunds()), ("failed", 0, 1));

    // The payment was paid while it was in quarantine.
    let id = begun(&app, &anna, "stripe").await;
    told(&id, "evt_4", true, "usd").send(&app).await;
    told(&id, "evt_5", false, "usd").send(&app).await;
    assert_eq!(status(&anna, &id).await, "quarantined");
    refuse(&id).await;
    support::wait_until("the money is refunded", || async { fake.given_back(&id) == 600 }).await;
    assert_eq!((status(&anna, &id).await.as_str(), credits(&anna).await), ("failed", 0));
    adds_up(&app).await;
}

#[tokio::test]
async fn refunds_use_the_currency_of_the_payment() {
    let fake = Fake::start(Kind::Stripe).await;
    let app = fake.configure(Setup::new()).start().await;
    let (admin, anna) = (app.admin().await, app.sign_up("Anna").await);
    let id = begun(&app, &anna, "stripe").await;
    told(&id, "evt_1", false, "eur").send(&app).await;
    let seen = admin.get(&format!("/r1/admin/payments/{id}")).await.data();
    assert_eq!((&seen["paid_currency"], &seen["quarantine"]), (&json!("EUR"), &json!("amount")));
    let release = format!("/r1/admin/payments/{id}/release");
    let body = |decision: &str| json!({ "decision": decision, "reason": "another currency" });
    admin.post(&release, body("paid")).await.refused(409, "wrong_state");
    let refused = admin.post(&release, body("refused")).await.data();
    assert_eq!((&refused["status"], &refused["currency"]), (&json!("failed"), &json!("EUR")));
    assert_eq!((fake.given_back(&id), credits(&anna).await), (600, 0));
    told(&id, "evt_2", false, "eur").send(&app).await;
    assert_eq!((status(&anna, &id).await.as_str(), fake.refunds()), ("failed", 1));
    adds_up(&app).await;
}

#[tokio::test]
async fn compares_the_last_two_days_with_the_gateway_and_fulfils_payments() {
    for kind in [Kind::Stripe, Kind::Paypal] {
        compared(kind).await;
    }
}

/// Entry in a gateway's list of charges: a charge of 6 dollars, or a charge of another program.
fn listed(kind: Kind, id: &str, amount: i64) -> Value {
    let is_ours = id.len() > 8;
    if kind == Kind::Stripe {
        let metadata = if is_ours { json!({ "payment_id": id }) } else { json!({}) };
        return json!({
            "id": format!("ch_{id}"), "status": "succeeded", "amount": amount, "amount_refunded": 0, "currency": "usd",
            "payment_intent": format!("pi_{id}"), "metadata": metadata,
        });
    }
    json!({ "transaction_info": {
        "transaction_id": format!("C-{id}"), "transaction_event_code": "T0006", "transaction_status": "S",
        "transaction_amount": { "currency_code": "USD", "value": format!("{}.00", amount / 100) },
        "custom_field": is_ours.then_some(id),
    } })
}

async fn compared(kind: Kind) {
    let fake = Fake::start(kind).await;
    let setup = Setup::new().set("payment.reconcile_every", 1).set("payment.reconcile_after", 3_600);
    let app = fake.configure(setup).start().await;
    let (admin, anna) = (app.admin().await, app.sign_up("Anna").await);
    let mut ids = Vec::new();
    for told in [true, false, true] {
        let id = begun(&app, &anna, kind.name()).await;
        if told {
            kind.event(&id, Outcome::Paid, 600, 1).send(&app).await;
        }
        ids.push(id);
    }
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
    let noon = i64::try_from(now).unwrap().div_euclid(DAY) * DAY - DAY / 2;
    app.database.run(&format!("UPDATE payments SET created_at = {noon}")).await;
    app.database.run(&format!("UPDATE payments SET paid_at = {noon} WHERE paid_at IS NOT NULL")).await;
    let charge = |id: &str| listed(kind, id, 600);
    let unknown = listed(kind, "x", 900);
    // The gateway sent no event about the second charge. It lists the first two charges, but not
    // the third one.
    fake.lists(vec![charge(&ids[0]), charge(&ids[1]), unknown]);
    fake.say(Outcome::Paid);
    app.database.run("DELETE FROM payment_comparisons").await;
    let differences = async || admin.get("/r1/admin/payment_differences").await.data();
    support::wait_until("the comparison is done", || async { differences().await["total"] == 3 }).await;
    let found = differences().await;
    let of = |kind: &str| -> Value {
        let items = found["items"].as_array().unwrap();
        items.iter().find(|one| one["kind"] == kind).cloned().unwrap_or_else(|| panic!("{found}"))
    };
    let healed = of("not_paid_here");
    assert_eq!((&healed["state"], &healed["payment_id"]), (&json!("healed"), &json!(ids[1])));
    assert_eq!((status(&anna, &ids[1]).await.as_str(), credits(&anna).await), ("paid", 1_500));
    assert_eq!(
        (of("unknown_here")["remote"].clone(), of("not_paid_there")["payment_id"].clone()),
        (json!(900), json!(ids[2]))
    );
    let open = admin.get("/r1/admin/payment_differences?state=open").await.data();
    assert_eq!(open["total"], 2);
    let close = format!("/r1/admin/payment_differences/{}/close", of("unknown_here")["id"].as_str().unwrap());
    anna.post(&close, json!({ "note": "mine" })).await.refused(403, "forbidden");
    assert_eq!(admin.post(&close, json!({ "note": "another shop" })).await.data()["state"], "closed");
    admin.post(&close, json!({ "note": "again" })).await.refused(409, "wrong_state");
    // The next comparison finds the third charge.
    fake.lists(ids.iter().map(|id| charge(id)).collect());
    app.database.run("DELETE FROM payment_comparisons").await;
    support::wait_until("the differences are closed", || async {
        admin.get("/r1/admin/payment_differences?state=open").await.data()["total"] == 0
    })
    .await;
    adds_up(&app).await;
}
