//! Refunds whose outcome is unknown. Whatever the gateway answers, credits are restored if and only
//! if the money was not refunded.

use support::{Answer, Application, Member, Value, json};

use super::{
    adds_up, begun, credits,
    fake::{ALL, Fake, Kind, Mood, Outcome, Said, Truth, Words, stripe_signed},
    gateways::stage,
    payment, status,
};

const LOST: Said = Said { made: Some(Truth::Done), answer: Words::Silence };
const NEVER_CAME: Said = Said { made: None, answer: Words::Silence };

const fn made(truth: Truth) -> Said {
    Said { made: Some(truth), answer: Words::Truth }
}

/// Responses that finally refuse a refund.
pub(super) const fn refusals(kind: Kind) -> &'static [(u16, &'static str)] {
    match kind {
        // Documentation: https://docs.stripe.com/api/errors, https://docs.stripe.com/error-codes
        Kind::Stripe => &[
            (400, "invalid_request_error/parameter_invalid_integer"),
            (400, "invalid_request_error/amount_too_large"),
            (402, "card_error/insufficient_funds"),
            (404, "invalid_request_error/resource_missing"),
        ],
        // Documentation: https://developer.paypal.com/api/rest/responses/,
        // https://developer.paypal.com/api/payments/v2/
        Kind::Paypal => &[
            (400, "INVALID_REQUEST/INVALID_PARAMETER_SYNTAX"),
            (404, "RESOURCE_NOT_FOUND/INVALID_RESOURCE_ID"),
            (422, "UNPROCESSABLE_ENTITY/REFUND_AMOUNT_EXCEEDED"),
            (422, "UNPROCESSABLE_ENTITY/REFUND_FAILED_INSUFFICIENT_FUNDS"),
        ],
        // Documentation: https://developers.momo.vn/v3/docs/payment/api/result-handling/resultcode
        Kind::Momo => &[
            (200, "11"),
            (200, "12"),
            (200, "13"),
            (400, "20"),
            (400, "21"),
            (400, "22"),
            (200, "42"),
            (200, "47"),
            (200, "1081"),
            (200, "1088"),
        ],
        // Documentation:
        // https://sandbox.vnpayment.vn/apis/docs/truy-van-hoan-tien/querydr&refund.html
        Kind::Vnpay => &[(200, "02/"), (200, "03/"), (200, "91/"), (200, "97/")],
    }
}

/// Responses that leave the outcome unknown.
pub(super) const fn others(kind: Kind) -> &'static [(u16, &'static str)] {
    match kind {
        Kind::Stripe => &[
            (400, "invalid_request_error/charge_already_refunded"),
            (400, "idempotency_error/"),
            (401, "invalid_request_error/api_key_expired"),
            (403, "invalid_request_error/"),
            (409, "idempotency_error/idempotency_key_in_use"),
            (429, "invalid_request_error/rate_limit"),
            (500, "api_error/"),
        ],
        Kind::Paypal => &[
            (422, "UNPROCESSABLE_ENTITY/CAPTURE_FULLY_REFUNDED"),
            (401, "AUTHENTICATION_FAILURE/"),
            (403, "NOT_AUTHORIZED/PERMISSION_DENIED"),
            (409, "RESOURCE_CONFLICT/PREVIOUS_REQUEST_IN_PROGRESS"),
            (429, "RATE_LIMIT_REACHED/"),
            (500, "INTERNAL_SERVER_ERROR/"),
            (503, "SERVICE_UNAVAILABLE/"),
        ],
        Kind::Momo => &[
            (200, "10"),
            (200, "40"),
            (200, "41"),
            (200, "43"),
            (200, "98"),
            (200, "99"),
            (200, "1080"),
            (422, "7000"),
            (200, "7002"),
            (200, "8000"),
            (200, "9000"),
            (200, "123456"),
            (500, "0"),
        ],
        Kind::Vnpay => &[(200, "94/"), (200, "95/"), (200, "98/"), (200, "99/"), (200, "77/"), (500, "00/00")],
    }
}

/// Returns all sequences of responses that the attempts at a refund may get.
fn courses(kind: Kind) -> Vec<Vec<Said>> {
    let code = |made, (status, words): (u16, &'static str)| Said { made, answer: Words::Code(status, words) };
    let mut all: Vec<Vec<Said>> = vec![vec![LOST], vec![NEVER_CAME]];
    all.push(vec![Said { made: Some(Truth::Failed), answer: Words::Silence }]);
    all.extend([Truth::Done, Truth::Pending, Truth::Failed].map(|truth| vec![made(truth)]));
    for refusal in refusals(kind) {
        all.push(vec![code(None, *refusal)]);
        all.push(vec![NEVER_CAME, code(None, *refusal)]);
    }
    for other in others(kind) {
        all.push(vec![code(None, *other)]);
        all.push(vec![code(Some(Truth::Done), *other)]);
    }
    if kind == Kind::Vnpay {
        // Responses that are signed but about something else.
        all.push(vec![Said { made: None, answer: Words::OfAnother }]);
        all.push(vec![Said { made: None, answer: Words::OtherAmount }]);
    }
    all
}

/// Creates a paid payment.
async fn paid(app: &Application, fake: &Fake, payer: &Member) -> String {
    let id = begun(app, payer, fake.kind.name()).await;
    fake.kind.event(&id, Outcome::Paid, fake.kind.price().1, 1).send(app).await;
    id
}

async fn give_back(admin: &Member, id: &str) -> Answer {
    admin.post(&format!("/r1/admin/payments/{id}/refund"), json!({ "reason": "bought by mistake" })).await
}

/// Returns the first refund of a payment, as administrators see it.
async fn refund(admin: &Member, id: &str) -> Value {
    admin.get(&format!("/r1/admin/payments/{id}")).await.data()["refunds"][0].clone()
}

async fn decide(admin: &Member, id: &str, decision: &str) -> Answer {
    let refund = refund(admin, id).await["id"].clone();
    let path = format!("/r1/admin/payments/{id}/refunds/{}/decide", refund.as_str().unwrap());
    admin.post(&path, json!({ "decision": decision, "reason": "looked at" })).await
}

#[tokio::test]
async fn maps_every_documented_refund_response_to_its_state() {
    for kind in ALL {
        let (app, fake, anna) = stage(kind).await;
        let admin = app.admin().await;
        let (price, mut kept) = (kind.price().1, 0);
        let courses = courses(kind);
        for course in &courses {
            let id = paid(&app, &fake, &anna).await;
            fake.refunding(&id, course.clone());
            give_back(&admin, &id).await.data();
            if course[0].made == Some(Truth::Pending) {
                assert_eq!(refund(&admin, &id).await["state"], "pending", "{kind:?} {course:?}");
                fake.refunds_become(&id, Truth::Done);
            }
            for _ in 0..3 {
                if refund(&admin, &id).await["state"] == "pending" {
                    decide(&admin, &id, "ask").await.data();
                }
            }
            let is_unknown =
                !matches!(course[0].answer, Words::Code(status, words) if refusals(kind).contains(&(status, words)));
            if kind == Kind::Vnpay && course[0].made.is_none() && is_unknown {
                // The gateway may execute the refund twice, so only an administrator can end it.
                assert_eq!(refund(&admin, &id).await["state"], "pending", "{course:?}");
                assert_eq!(credits(&anna).await, kept, "{course:?}: the credits are withheld");
                decide(&admin, &id, "failed").await.data();
            }
            let state = refund(&admin, &id).await["state"].clone();
            let is_back = fake.given_back(&id) > 0;
            assert_eq!(fake.given_back(&id), if is_back { price } else { 0 }, "{kind:?} {course:?}: refunded once");
            assert_eq!(state, if is_back { "done" } else { "failed" }, "{kind:?} {course:?}");
            assert_eq!(status(&anna, &id).await, if is_back { "refunded" } else { "paid" }, "{kind:?} {course:?}");
            kept += if is_back { 0 } else { 500 };
            assert_eq!(credits(&anna).await, kept, "{kind:?} {course:?}");
        }
        if kind == Kind::Vnpay {
            assert_eq!(fake.asked("1.1 refund"), courses.len(), "each refund is requested once");
        }
        adds_up(&app).await;
    }
}

#[tokio::test]
async fn wrong_gateway_keys_leave_a_refund_undecided() {
    for kind in ALL {
        let (app, fake, anna) = stage(kind).await;
        let admin = app.admin().await;
        let id = paid(&app, &fake, &anna).await;
        fake.refunding(&id, [LOST]);
        give_back(&admin, &id).await.data();
        fake.mood(Mood::Unauthorized);
        for tries in 2..4 {
            let asked = decide(&admin, &id, "ask").await.data()["refunds"][0].clone();
            assert_eq!((&asked["state"], &asked["tries"]), (&json!("pending"), &json!(tries)), "{kind:?} {asked}");
            assert!(asked["last_answer"].is_string() && asked["next_try_at"].is_string(), "{kind:?} {asked}");
            assert_eq!((status(&anna, &id).await.as_str(), credits(&anna).await), ("paid", 0), "{kind:?}");
        }
        fake.mood(Mood::Well);
        let asked = decide(&admin, &id, "ask").await.data()["refunds"][0].clone();
        assert_eq!((&asked["state"], &asked["last_answer"]), (&json!("done"), &json!(null)), "{kind:?}");
        assert_eq!((fake.refunds(), status(&anna, &id).await.as_str(), credits(&anna).await), (1, "refunded", 0));
        adds_up(&app).await;
    }
}

#[tokio::test]
async fn a_duplicate_reported_by_momo_leaves_the_refund_undecided() {
    let (app, fake, anna) = stage(Kind::Momo).await;
    let admin = app.admin().await;
    // The refund is pending at first. If the request is repeated, MoMo reports only that it was
    // already requested.
    for (became, state, left) in [(Truth::Failed, "failed", 500), (Truth::Done, "done", 500)] {
        let id = paid(&app, &fake, &anna).await;
        fake.refunding(&id, [made(Truth::Pending)]);
        give_back(&admin, &id).await.data();
        for _ in 0..2 {
            decide(&admin, &id, "ask").await.data();
            assert_eq!(refund(&admin, &id).await["state"], "pending", "{became:?}");
        }
        fake.refunds_become(&id, became);
        decide(&admin, &id, "ask").await.data();
        assert_eq!(refund(&admin, &id).await["state"], state);
        let notes = payment(&anna, &id).await["credit_notes"].as_array().unwrap().len();
        assert_eq!((notes, credits(&anna).await), (usize::from(became == Truth::Done), left), "{became:?}");
    }
    adds_up(&app).await;
}

#[tokio::test]
async fn an_unanswered_refund_needs_an_administrator_after_a_week() {
    let (app, fake, anna) = stage(Kind::Vnpay).await;
    let admin = app.admin().await;
    let (id, other) = (paid(&app, &fake, &anna).await, paid(&app, &fake, &anna).await);
    for id in [&id, &other] {
        fake.refunding(id, [NEVER_CAME]);
        give_back(&admin, id).await.data();
    }
    let stuck = async || admin.get("/r1/admin/payments?refund=stuck").await.data();
    let heard = async || admin.get("/r1/admin/gateways").await.data()["items"][0].clone();
    assert_eq!((&stuck().await["total"], &heard().await["refunds_waiting"]), (&json!(0), &json!(2)));
    admin.get("/r1/admin/payments?refund=whatever").await.names_field("refund");

    // Simulates a week of attempts.
    app.database.run("UPDATE payment_refunds SET attempts = 1000").await;
    for id in [&id, &other] {
        let asked = decide(&admin, id, "ask").await.data()["refunds"][0].clone();
        assert_eq!(
            (&asked["state"], &asked["is_stuck"], &asked["next_try_at"]),
            (&json!("pending"), &json!(true), &json!(null))
        );
    }
    let seen = stuck().await;
    assert_eq!((&seen["total"], &seen["items"][1]["id"]), (&json!(2), &json!(id)), "{seen}");
    let gateway = heard().await;
    assert_eq!((&gateway["refunds_waiting"], &gateway["refunds_stuck"]), (&json!(0), &json!(2)), "{gateway}");

    let path = format!("/r1/admin/payments/{id}/refunds/{}/decide", refund(&admin, &id).await["id"].as_str().unwrap());
    let body = |decision: &str| json!({ "decision": decision, "reason": "looked at" });
    anna.post(&path, body("done")).await.refused(403, "forbidden");
    admin.post(&path, body("whatever")).await.names_field("decision");
    admin.post(&path, json!({ "decision": "done", "reason": "" })).await.names_field("reason");
    admin.post(&path.replace(&id, &other), body("done")).await.refused(404, "not_found");
    app.database.run("UPDATE user_sessions SET created_at = created_at - 3600000, confirmed_at = NULL").await;
    admin.post(&path, body("done")).await.refused(403, "fresh_sign_in_required");
    let admin = app.admin().await;
    let asked = admin.post(&path, body("ask")).await.data()["refunds"][0].clone();
    assert_eq!((&asked["tries"], &asked["is_stuck"]), (&json!(1), &json!(false)), "{asked}: the attempts start over");
    assert_eq!(credits(&anna).await, 0);
    admin.post(&path, body("failed")).await.data();
    assert_eq!((status(&anna, &id).await.as_str(), credits(&anna).await), ("paid", 500));
    admin.post(&path, body("done")).await.refused(409, "wrong_state");

    decide(&admin, &other, "done").await.data();
    assert_eq!((status(&anna, &other).await.as_str(), credits(&anna).await), ("refunded", 500));
    assert_eq!(payment(&anna, &other).await["credit_notes"].as_array().unwrap().len(), 1);
    assert_eq!(fake.asked("1.1 refund"), 2, "neither refund is requested again");
    let log = admin.get("/r1/admin/audit_log?action=payment.refund_decided").await.data();
    assert_eq!(log["total"], 5, "{log}");
    adds_up(&app).await;
}

#[tokio::test]
async fn completes_failed_refunds_that_the_gateway_confirms() {
    let (app, fake, anna) = stage(Kind::Stripe).await;
    let admin = app.admin().await;
    let refusal = Said { made: None, answer: Words::Code(400, "invalid_request_error/parameter_invalid_integer") };
    let now =
        i64::try_from(std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()).unwrap();
    let told = async |id: &str, refund: &str, status: &str, created: i64| {
        let event = json!({
            "id": format!("evt_{}", support::new_id()), "type": "refund.updated", "livemode": false, "created": created,
            "data": { "object": {
                "id": format!("re_{refund}"), "amount": 600, "currency": "usd", "status": status,
                "payment_intent": format!("pi_{id}"), "metadata": { "refund_id": refund },
            } },
        });
        assert_eq!(stripe_signed(event).send(&app).await.status, 200);
    };
    let id = paid(&app, &fake, &anna).await;
    fake.refunding(&id, [refusal]);
    give_back(&admin, &id).await.data();
    let failed = refund(&admin, &id).await;
    assert_eq!((&failed["state"], credits(&anna).await), (&json!("failed"), 500));
    assert!(failed["last_answer"].as_str().unwrap().contains("parameter_invalid_integer"), "{failed}");
    let name = failed["id"].as_str().unwrap();
    for (created, state, expected, left) in [
        (now - 1_000, "succeeded", "paid", 500),
        (now + 1_000, "succeeded", "refunded", 0),
        (now + 1_000, "succeeded", "refunded", 0),
        (now + 900, "failed", "refunded", 0),
        (now + 1_001, "failed", "paid", 500),
        (now + 1_000, "succeeded", "paid", 500),
        (now + 1_002, "succeeded", "refunded", 0),
    ] {
        told(&id, name, state, created).await;
        let is = (status(&anna, &id).await, credits(&anna).await);
        assert_eq!(is, (expected.to_owned(), left), "{state} of {}", created - now);
        adds_up(&app).await;
    }
    assert_eq!(payment(&anna, &id).await["credit_notes"].as_array().unwrap().len(), 1, "one refund");

    // Another refund has taken the amount meanwhile.
    let id = paid(&app, &fake, &anna).await;
    fake.refunding(&id, [refusal]);
    give_back(&admin, &id).await.data();
    let first = refund(&admin, &id).await["id"].as_str().unwrap().to_owned();
    give_back(&admin, &id).await.data();
    assert_eq!((status(&anna, &id).await.as_str(), credits(&anna).await), ("refunded", 0));
    told(&id, &first, "succeeded", now + 1_000).await;
    assert_eq!((status(&anna, &id).await.as_str(), credits(&anna).await), ("quarantined", 0));
    let seen = admin.get(&format!("/r1/admin/payments/{id}")).await.data();
    assert_eq!(seen["quarantine"], "refund");
    adds_up(&app).await;
}
