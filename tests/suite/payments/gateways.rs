//! Scenarios for all gateways: events that are duplicate, late, out of order, wrong or missing.

use support::{Application, Member, Setup, json};

use super::{
    adds_up, begun, check_out, credits,
    fake::{ALL, Fake, Kind, Mood, Outcome, paypal_signed, stripe_signed, stripe_signed_by},
    payment, status,
};

/// Starts an application with one gateway, and signs up a payer.
pub(super) async fn stage(kind: Kind) -> (Application, Fake, Member) {
    let fake = Fake::start(kind).await;
    let setup = Setup::new().set("payment.reconcile_after", 1).set("payment.reconcile_every", 3600);
    let app = fake.configure(setup).start().await;
    let anna = app.sign_up("Anna").await;
    (app, fake, anna)
}

#[tokio::test]
async fn applies_each_of_twenty_concurrent_duplicate_events_once() {
    for kind in ALL {
        let (app, _fake, anna) = stage(kind).await;
        let id = begun(&app, &anna, kind.name()).await;
        let paid = kind.event(&id, Outcome::Paid, kind.price().1, 1);
        let answers = futures_util::future::join_all((0..20).map(|_| paid.send(&app))).await;
        let first = answers.iter().filter(|answer| kind.is_content(answer, false)).count();
        let again = answers.iter().filter(|answer| kind.is_content(answer, true)).count();
        assert!(first >= 1 && (kind != Kind::Vnpay || (first, again) == (1, 19)), "{kind:?} {answers:?}");
        assert_eq!((status(&anna, &id).await.as_str(), credits(&anna).await), ("paid", 500), "{kind:?}");
        // A different event has the same content.
        kind.event(&id, Outcome::Paid, kind.price().1, 2).send(&app).await;
        assert_eq!(credits(&anna).await, 500, "{kind:?}");
        adds_up(&app).await;
    }
}

#[tokio::test]
async fn rejects_forged_events_without_effect() {
    for kind in ALL {
        let (app, _fake, anna) = stage(kind).await;
        let id = begun(&app, &anna, kind.name()).await;
        let amount = kind.price().1;
        let (real, cheaper) = match kind {
            Kind::Paypal => ("6.00", "0.06"),
            Kind::Stripe => ("600", "6"),
            Kind::Momo => ("149000", "1490"),
            Kind::Vnpay => ("14900000", "14900100"),
        };
        for forged in [
            kind.event(&id, Outcome::Paid, amount, 1).forged(real, cheaper),
            kind.event(&id, Outcome::Failed, amount, 1).forged(&id.replace('-', "")[..8], "00000000"),
        ] {
            let answer = forged.send(&app).await;
            assert!(kind.is_refused(&answer), "{kind:?} {answer:?}");
        }
        assert_eq!(status(&anna, &id).await, "pending");
        let good = kind.event(&id, Outcome::Paid, amount, 1).send(&app).await;
        assert!(kind.is_content(&good, false), "{kind:?} {good:?}: a refused event blocked the genuine one");
        assert_eq!(credits(&anna).await, 500);
        adds_up(&app).await;
    }
}

#[tokio::test]
async fn quarantines_payments_with_an_unexpected_amount() {
    for kind in ALL {
        let (app, _fake, anna) = stage(kind).await;
        let id = begun(&app, &anna, kind.name()).await;
        let amount = kind.price().1;
        kind.event(&id, Outcome::Paid, amount - 100, 1).send(&app).await;
        assert_eq!((status(&anna, &id).await.as_str(), credits(&anna).await), ("quarantined", 0), "{kind:?}");
        kind.event(&id, Outcome::Paid, amount, 2).send(&app).await;
        assert_eq!((status(&anna, &id).await.as_str(), credits(&anna).await), ("quarantined", 0), "{kind:?}");
        let seen = app.admin().await.get("/r1/admin/payments?status=quarantined").await.data();
        assert_eq!((&seen["items"][0]["id"], &seen["items"][0]["quarantine"]), (&json!(id), &json!("amount")));
        adds_up(&app).await;
    }
}

#[tokio::test]
async fn events_in_any_order_reach_the_same_state() {
    for kind in ALL {
        let (app, _fake, anna) = stage(kind).await;
        let amount = kind.price().1;
        for (number, order) in [
            [Outcome::Paid, Outcome::Open, Outcome::Failed],
            [Outcome::Failed, Outcome::Paid, Outcome::Open],
            [Outcome::Open, Outcome::Failed, Outcome::Paid],
        ]
        .into_iter()
        .enumerate()
        {
            let id = begun(&app, &anna, kind.name()).await;
            for outcome in order {
                let number = outcome as u32;
                let answer = kind.event(&id, outcome, amount, number).send(&app).await;
                assert!(kind.is_content(&answer, false), "{kind:?} {order:?} {answer:?}");
            }
            assert_eq!(status(&anna, &id).await, "paid", "{kind:?} {order:?}");
            assert_eq!(credits(&anna).await, 500 * (i64::try_from(number).unwrap() + 1));
        }
        adds_up(&app).await;
    }
}

#[tokio::test]
async fn returning_from_the_gateway_is_no_proof_of_payment() {
    for kind in ALL {
        let (app, fake, anna) = stage(kind).await;
        let id = begun(&app, &anna, kind.name()).await;
        let back = format!("/r1/payments/callback/{}?payment={id}", kind.name());
        // PayPal captures an approved order only when the server requests it. An order that isn't
        // approved stays open.
        fake.say(Outcome::Open);
        assert_eq!(anna.get(&back).await.status, 303);
        assert_eq!((status(&anna, &id).await.as_str(), credits(&anna).await), ("pending", 0), "{kind:?}");
        fake.say(Outcome::Paid);
        for _ in 0..3 {
            assert_eq!(anna.get(&back).await.header("location"), Some(format!("/plans/result?payment={id}").as_str()));
        }
        assert_eq!((status(&anna, &id).await.as_str(), credits(&anna).await), ("paid", 500), "{kind:?}");
        // The event arrives late.
        kind.event(&id, Outcome::Paid, kind.price().1, 1).send(&app).await;
        assert_eq!(credits(&anna).await, 500, "{kind:?}");
        let other = format!("/r1/payments/callback/{}?payment={}", kind.name(), support::new_id());
        assert_eq!(anna.get(&other).await.header("location"), Some("/plans/result"));
        adds_up(&app).await;
    }
}

#[tokio::test]
async fn retries_a_booked_but_failed_gateway_call_with_the_same_key() {
    for kind in [Kind::Stripe, Kind::Paypal, Kind::Momo] {
        let (app, fake, anna) = stage(kind).await;
        fake.mood(Mood::Confused);
        check_out(&app, &anna, kind.name(), "key-1").await.refused(503, "unavailable");
        let listed = anna.get("/r1/payments").await.data();
        assert_eq!((&listed["total"], &listed["items"][0]["status"]), (&json!(1), &json!("created")), "{kind:?}");
        fake.mood(Mood::Well);
        let begun = check_out(&app, &anna, kind.name(), "key-1").await.data_with(201);
        assert_eq!(begun["payment_id"], listed["items"][0]["id"], "{kind:?}");

        fake.mood(Mood::Refusing);
        check_out(&app, &anna, kind.name(), "key-2").await.refused(409, "wrong_state");
        assert_eq!(anna.get("/r1/payments").await.data()["items"][0]["status"], "failed", "{kind:?}");

        fake.mood(Mood::Unauthorized);
        check_out(&app, &anna, kind.name(), "key-3").await.refused(503, "unavailable");
        assert_eq!(anna.get("/r1/payments").await.data()["items"][0]["status"], "created", "{kind:?}");
    }
}

#[tokio::test]
async fn concurrent_refunds_never_exceed_the_payment() {
    for kind in ALL {
        let (app, fake, anna) = stage(kind).await;
        let admin = app.admin().await;
        let id = begun(&app, &anna, kind.name()).await;
        let amount = kind.price().1;
        let refund = format!("/r1/admin/payments/{id}/refund");
        let body = |part: i64| json!({ "amount": amount / part, "reason": "bought by mistake" });
        admin.post(&refund, body(4)).await.refused(409, "wrong_state");
        kind.event(&id, Outcome::Paid, amount, 1).send(&app).await;
        anna.post(&refund, body(4)).await.refused(403, "forbidden");
        let asked = futures_util::future::join_all((0..10).map(|_| admin.post(&refund, body(4)))).await;
        let done = asked.iter().filter(|answer| answer.status == 200).count();
        assert_eq!((done, fake.refunds()), (4, 4), "{kind:?} {asked:?}");
        let left = payment(&anna, &id).await;
        assert_eq!((&left["status"], &left["refunded_amount"]), (&json!("refunded"), &json!(amount)), "{kind:?}");
        assert_eq!(credits(&anna).await, 0, "{kind:?}");
        adds_up(&app).await;
    }
}

#[tokio::test]
async fn restores_credits_if_the_gateway_rejects_a_refund() {
    for kind in ALL {
        let (app, fake, anna) = stage(kind).await;
        let admin = app.admin().await;
        let id = begun(&app, &anna, kind.name()).await;
        kind.event(&id, Outcome::Paid, kind.price().1, 1).send(&app).await;
        fake.mood(Mood::Refusing);
        let refund = format!("/r1/admin/payments/{id}/refund");
        let body = json!({ "reason": "bought by mistake" });
        let refused = admin.post(&refund, body.clone()).await;
        assert_eq!((refused.data()["status"].as_str(), credits(&anna).await), (Some("paid"), 500), "{kind:?}");
        adds_up(&app).await;
    }
}

#[tokio::test]
async fn accepts_refund_and_dispute_events_before_their_payment() {
    let (app, _fake, anna) = stage(Kind::Stripe).await;
    let id = begun(&app, &anna, "stripe").await;
    let refund = |event: &str, status: &str, created: i64| {
        stripe_signed(json!({
            "id": event, "type": "refund.updated", "livemode": false, "created": created,
            "data": { "object": { "id": "re_1", "amount": 300, "currency": "usd", "status": status, "payment_intent": format!("pi_{id}") } },
        }))
    };
    let dispute = |event: &str, status: &str| {
        stripe_signed(json!({
            "id": event, "type": "charge.dispute.updated", "livemode": false,
            "data": { "object": { "id": "dp_1", "amount": 300, "currency": "usd", "status": status, "payment_intent": format!("pi_{id}") } },
        }))
    };
    assert_eq!(refund("evt_1", "succeeded", 100).send(&app).await.status, 200);
    Kind::Stripe.event(&id, Outcome::Paid, 600, 1).send(&app).await;
    assert_eq!((status(&anna, &id).await.as_str(), credits(&anna).await), ("partly_refunded", 250));
    refund("evt_2", "failed", 200).send(&app).await;
    assert_eq!((status(&anna, &id).await.as_str(), credits(&anna).await), ("paid", 500), "the refund failed");
    refund("evt_3", "succeeded", 100).send(&app).await;
    assert_eq!(credits(&anna).await, 500, "older events are ignored");

    dispute("evt_4", "needs_response").send(&app).await;
    assert_eq!((status(&anna, &id).await.as_str(), credits(&anna).await), ("disputed", 250));
    dispute("evt_5", "won").send(&app).await;
    dispute("evt_6", "under_review").send(&app).await;
    assert_eq!((status(&anna, &id).await.as_str(), credits(&anna).await), ("paid", 500));
    // The event has been created in live mode, but the server is in test mode.
    let other = begun(&app, &anna, "stripe").await;
    let live = json!({ "id": "evt_7", "type": "checkout.session.completed", "livemode": true, "data": { "object": {
        "id": format!("cs_{other}"), "payment_status": "paid", "amount_total": 600, "currency": "usd", "client_reference_id": other,
    } } });
    assert_eq!(stripe_signed(live).send(&app).await.status, 200);
    assert_eq!(status(&anna, &other).await, "quarantined");
    let unknown = json!({ "id": "evt_8", "type": "something.new", "livemode": false, "data": { "object": {} } });
    assert_eq!(stripe_signed(unknown).send(&app).await.status, 200);
    adds_up(&app).await;
}

#[tokio::test]
async fn captures_paypal_orders_after_approval() {
    let (app, fake, anna) = stage(Kind::Paypal).await;
    let id = begun(&app, &anna, "paypal").await;
    let approved = json!({ "id": "WH-9", "event_type": "CHECKOUT.ORDER.APPROVED", "resource": { "id": format!("O-{id}"), "status": "APPROVED" } });
    fake.mood(Mood::Confused);
    assert_eq!(paypal_signed(approved.clone()).send(&app).await.status, 503, "the gateway must retry");
    fake.mood(Mood::Well);
    for _ in 0..2 {
        assert_eq!(paypal_signed(approved.clone()).send(&app).await.status, 200);
    }
    assert_eq!((status(&anna, &id).await.as_str(), credits(&anna).await), ("paid", 500));
    assert!(fake.asked("/capture") >= 2);
    adds_up(&app).await;
}

#[tokio::test]
async fn trusts_only_paypals_own_capture_status() {
    let (app, fake, anna) = stage(Kind::Paypal).await;
    let id = begun(&app, &anna, "paypal").await;
    let event = Kind::Paypal.event(&id, Outcome::Paid, 600, 1);
    fake.is_forged(true);
    for _ in 0..2 {
        assert_eq!(event.send(&app).await.status, 503, "the gateway must retry");
        assert_eq!((status(&anna, &id).await.as_str(), credits(&anna).await), ("pending", 0));
    }
    assert_eq!(app.database.number("SELECT COUNT(*) FROM payment_events").await, 0);
    assert_eq!(fake.asked("GET /v2/payments/captures/"), 2);
    fake.is_forged(false);
    assert_eq!(event.send(&app).await.status, 200);
    assert_eq!((status(&anna, &id).await.as_str(), credits(&anna).await), ("paid", 500));
    adds_up(&app).await;
}

#[tokio::test]
async fn reconciles_payments_without_an_event() {
    for kind in ALL {
        let fake = Fake::start(kind).await;
        let setup = Setup::new().set("payment.reconcile_after", 1).set("payment.reconcile_every", 1);
        let app = fake.configure(setup).start().await;
        let anna = app.sign_up("Anna").await;
        let mut socket = anna.connect().await;
        let id = begun(&app, &anna, kind.name()).await;
        fake.say(Outcome::Paid);
        socket.find("credits", |frame| frame.kind == "quota.updated" && frame.payload["credits"]["balance"] != 0).await;
        assert_eq!((status(&anna, &id).await.as_str(), credits(&anna).await), ("paid", 500), "{kind:?}");
        adds_up(&app).await;
    }
}

#[tokio::test]
async fn a_stalled_gateway_does_not_delay_others() {
    let (momo, stripe) = (Fake::start(Kind::Momo).await, Fake::start(Kind::Stripe).await);
    let setup = Setup::new().set("payment.reconcile_after", 1).set("payment.reconcile_every", 1);
    let app = stripe.configure(momo.configure(setup)).start().await;
    let anna = app.sign_up("Anna").await;
    momo.silent_at(Some("/query"));
    begun(&app, &anna, "momo").await;
    support::wait_until("the gateway is queried", || async { momo.asked("/query") >= 1 }).await;
    let id = begun(&app, &anna, "stripe").await;
    stripe.say(Outcome::Paid);
    let since = std::time::Instant::now();
    support::wait_until("it is paid", || async { status(&anna, &id).await == "paid" }).await;
    assert!(since.elapsed().as_secs() < 10, "{:?}", since.elapsed());
    adds_up(&app).await;
}

#[tokio::test]
async fn drops_events_of_unknown_charges_eventually() {
    let fake = Fake::start(Kind::Stripe).await;
    let setup = Setup::new().set("payment.reconcile_after", 1).set("payment.reconcile_every", 1);
    let app = fake.configure(setup).start().await;
    let anna = app.sign_up("Anna").await;
    let id = begun(&app, &anna, "stripe").await;
    let refund = |event: &str, charge: &str| {
        stripe_signed(json!({
            "id": event, "type": "refund.updated", "livemode": false, "created": 100,
            "data": { "object": { "id": event, "amount": 300, "currency": "usd", "status": "succeeded", "payment_intent": charge } },
        }))
    };
    let own = format!("pi_{id}");
    for (event, charge) in [("evt_1", "pi_foreign"), ("evt_2", "pi_other"), ("evt_3", own.as_str())] {
        assert_eq!(refund(event, charge).send(&app).await.status, 200);
    }
    let waiting = "SELECT COUNT(*) FROM payment_events WHERE applied_at IS NULL AND charge IS NOT NULL";
    assert_eq!(app.database.number(waiting).await, 3);
    let old = |event: &str, days: i64| {
        format!(
            "UPDATE payment_events SET verified_at = verified_at - {} WHERE event_id = '{event}'",
            days * 86_400_000
        )
    };
    app.database.run(&old("evt_1", 8)).await;
    support::wait_until("the unknown event is dropped", || async { app.database.number(waiting).await == 2 }).await;
    let kept = "SELECT COUNT(*) FROM payment_events WHERE event_id = 'evt_1' AND raw = '' AND awaited_subject = 'charge:pi_foreign'";
    assert_eq!(app.database.number(kept).await, 1);
    // Events of the server's own mode are still applied.
    Kind::Stripe.event(&id, Outcome::Paid, 600, 1).send(&app).await;
    assert_eq!((status(&anna, &id).await.as_str(), credits(&anna).await), ("partly_refunded", 250));
    app.database.run(&old("evt_1", 400)).await;
    let all = "SELECT COUNT(*) FROM payment_events";
    support::wait_until("the event is deleted", || async { app.database.number(all).await == 3 }).await;
    adds_up(&app).await;
}

#[tokio::test]
async fn an_unreadable_event_does_not_block_others() {
    let fake = Fake::start(Kind::Stripe).await;
    let setup = Setup::new().set("payment.reconcile_after", 1).set("payment.reconcile_every", 1);
    let app = fake.configure(setup).start().await;
    let anna = app.sign_up("Anna").await;
    let id = begun(&app, &anna, "stripe").await;
    let refund = stripe_signed(json!({
        "id": "evt_1", "type": "refund.updated", "livemode": false, "created": 100,
        "data": { "object": { "id": "re_1", "amount": 300, "currency": "usd", "status": "succeeded", "payment_intent": format!("pi_{id}") } },
    }));
    assert_eq!(refund.send(&app).await.status, 200);
    app.database
        .run(
            "INSERT INTO payment_events (gateway, event_id, kind, raw, notice, awaited_subject, verified_at) \
             SELECT gateway, 'evt_0', kind, raw, '{', awaited_subject, 0 FROM payment_events WHERE event_id = 'evt_1'",
        )
        .await;
    Kind::Stripe.event(&id, Outcome::Paid, 600, 1).send(&app).await;
    assert_eq!((status(&anna, &id).await.as_str(), credits(&anna).await), ("partly_refunded", 250));
    assert_eq!(app.database.number("SELECT COUNT(*) FROM payment_events WHERE applied_at IS NULL").await, 0);
    adds_up(&app).await;
}

#[tokio::test]
async fn accepts_both_stripe_secrets_and_five_minutes_of_clock_skew() {
    let (app, _fake, anna) = stage(Kind::Stripe).await;
    let id = begun(&app, &anna, "stripe").await;
    let event = |number: u32| {
        json!({ "id": format!("evt_{number}"), "type": "checkout.session.completed", "livemode": false, "data": { "object": {
            "id": format!("cs_{id}"), "payment_status": "paid", "amount_total": 600, "currency": "usd", "client_reference_id": id,
        } } })
    };
    for (number, (secret, off, status)) in [
        ("a secret that nobody has", 0, 400),
        ("a secret of the test", 330, 400),
        ("a secret of the test", -330, 400),
        ("a secret of the test", 100_000, 400),
        ("an older secret", 270, 200),
        ("a secret of the test", -270, 200),
    ]
    .into_iter()
    .enumerate()
    {
        let told = stripe_signed_by(event(u32::try_from(number).unwrap()), secret, off).send(&app).await;
        assert_eq!(told.status, status, "{secret} {off}");
        assert_eq!(credits(&anna).await, if status == 400 { 0 } else { 500 }, "{secret} {off}");
    }
    let kept = app.database.number("SELECT COUNT(*) FROM payment_events").await;
    assert_eq!(kept, 2, "refused events are not stored");
    adds_up(&app).await;
}

#[tokio::test]
async fn a_gateway_outage_loses_and_repeats_nothing() {
    for kind in [Kind::Stripe, Kind::Paypal, Kind::Momo] {
        let (app, fake, anna) = stage(kind).await;
        let admin = app.admin().await;
        fake.mood(Mood::Away);
        check_out(&app, &anna, kind.name(), "key-1").await.refused(503, "unavailable");
        fake.mood(Mood::Well);
        let begun = check_out(&app, &anna, kind.name(), "key-1").await.data_with(201);
        let id = begun["payment_id"].as_str().unwrap().to_owned();
        assert_eq!(anna.get("/r1/payments").await.data()["total"], 1, "{kind:?}");
        let amount = kind.price().1;
        let paid = kind.event(&id, Outcome::Paid, amount, 1);
        if kind == Kind::Paypal {
            // To verify the event, the server must call the gateway, which is unavailable.
            fake.mood(Mood::Away);
            assert_eq!(paid.send(&app).await.status, 503);
            fake.mood(Mood::Well);
        }
        paid.send(&app).await;
        assert_eq!((status(&anna, &id).await.as_str(), credits(&anna).await), ("paid", 500), "{kind:?}");

        fake.mood(Mood::Away);
        let back = json!({ "reason": "bought by mistake" });
        admin.post(&format!("/r1/admin/payments/{id}/refund"), back).await.data();
        // The credits are withheld until the outcome of the refund is known.
        assert_eq!(
            (payment(&anna, &id).await["refunded_amount"].as_i64(), credits(&anna).await),
            (Some(0), 0),
            "{kind:?}"
        );
        fake.mood(Mood::Well);
        adds_up(&app).await;
    }
}

#[tokio::test]
async fn shows_administrators_gateway_events_and_health() {
    for kind in ALL {
        let (app, fake, anna) = stage(kind).await;
        let admin = app.admin().await;
        anna.get("/r1/admin/gateways").await.refused(403, "forbidden");
        let heard = async || admin.get("/r1/admin/gateways").await.data()["items"][0].clone();
        let test = format!("/r1/admin/gateways/{}/test", kind.name());
        let before = heard().await;
        assert_eq!((&before["name"], &before["last_event_at"]), (&json!(kind.name()), &json!(null)), "{before}");
        let id = begun(&app, &anna, kind.name()).await;
        kind.event(&id, Outcome::Paid, kind.price().1, 1).send(&app).await;
        let after = heard().await;
        assert!(after["last_event_at"].is_string() && after["last_paid_at"].is_string(), "{after}");
        assert_eq!((&after["waiting"], &after["refunds_waiting"]), (&json!(0), &json!(0)), "{after}");
        let answered = admin.post(&test, json!({})).await.data();
        assert_eq!((&answered["ok"], &answered["error"]), (&json!(true), &json!(null)), "{kind:?} {answered}");

        fake.mood(Mood::Away);
        let answered = admin.post(&test, json!({})).await.data();
        assert_eq!(answered["ok"], false, "{kind:?} {answered}");
        admin.post(&format!("/r1/admin/payments/{id}/refund"), json!({ "reason": "a mistake" })).await;
        assert_eq!(heard().await["refunds_waiting"], 1, "{kind:?}");
        admin.post("/r1/admin/gateways/other/test", json!({})).await.refused(404, "not_found");
    }
}

/// Kills the instance during a request that the gateway executes but doesn't answer, and restarts
/// it.
async fn killed(app: &mut Application, fake: &Fake, part: &'static str, request: reqwest::RequestBuilder) {
    let before = fake.asked(part);
    fake.silent_at(Some(part));
    let waiting = tokio::spawn(request.send());
    support::wait_until("the gateway is called", || async { fake.asked(part) > before }).await;
    app.instances[0].kill().await;
    assert!(waiting.await.unwrap().is_err(), "a response was sent");
    fake.silent_at(None);
    if fake.kind == Kind::Stripe {
        // The instance was down for more than a day.
        fake.forgets_keys();
    }
    app.instances[0].start_again().await;
}

#[tokio::test]
async fn killing_an_instance_after_the_gateway_call_repeats_nothing() {
    for kind in ALL {
        let fake = Fake::start(kind).await;
        let setup = Setup::new().set("payment.reconcile_after", 1).set("payment.reconcile_every", 1);
        let mut app = fake.configure(setup).start().await;
        let (anna, admin) = (app.sign_up("Anna").await, app.admin().await);
        let (creates, refunds) = match kind {
            Kind::Stripe => (Some("POST /v1/checkout/sessions"), "POST /v1/refunds"),
            Kind::Paypal => (Some("POST /v2/checkout/orders "), "/refund"),
            Kind::Momo => (Some("/create"), "/refund"),
            // For VNPay, the URL of a payment is built without a request to the gateway.
            Kind::Vnpay => (None, "1.1 refund"),
        };
        if let Some(part) = creates {
            let body = json!({ "plan_id": super::plan(&app, "500 credits").await, "gateway": kind.name() });
            let request = anna.request(reqwest::Method::POST, "/r1/payments/checkout");
            let request = request.header("idempotency-key", "key-1").json(&body);
            killed(&mut app, &fake, part, request).await;
        }
        let begun = check_out(&app, &anna, kind.name(), "key-1").await.data_with(201);
        assert_eq!(anna.get("/r1/payments").await.data()["total"], 1, "{kind:?}");
        let id = begun["payment_id"].as_str().unwrap();
        if kind == Kind::Paypal {
            let event = paypal_signed(
                json!({ "id": "WH-9", "event_type": "CHECKOUT.ORDER.APPROVED", "resource": { "id": format!("O-{id}"), "status": "APPROVED" } }),
            );
            let request = event.request(&app);
            killed(&mut app, &fake, "/capture", request).await;
            support::wait_until("the payment is paid", || async { status(&anna, id).await == "paid" }).await;
            assert_eq!(event.send(&app).await.status, 200);
        }
        let paid = kind.event(id, Outcome::Paid, kind.price().1, 1);
        paid.send(&app).await;
        assert_eq!((status(&anna, id).await.as_str(), credits(&anna).await), ("paid", 500), "{kind:?}");
        let refund = format!("/r1/admin/payments/{id}/refund");
        let request = admin.request(reqwest::Method::POST, &refund).json(&json!({ "reason": "bought by mistake" }));
        killed(&mut app, &fake, refunds, request).await;
        support::wait_until("the payment is refunded", || async {
            let now = payment(&anna, id).await;
            now["status"] == "refunded" && now["credit_notes"].as_array().is_some_and(|notes| notes.len() == 1)
        })
        .await;
        assert_eq!((fake.refunds(), credits(&anna).await), (1, 0), "{kind:?}");
        adds_up(&app).await;
    }
}
