use uuid::Uuid;

use super::*;
use crate::{Money, RefundState};

const NOW: Timestamp = Timestamp(1_700_000_000_000);

fn secrets(secrets: &[&str]) -> Vec<Secret> {
    secrets.iter().map(|secret| Secret::from(*secret)).collect()
}

/// The types and codes are those of <https://docs.stripe.com/api/errors> and <https://docs.stripe.com/error-codes>.
#[test]
fn only_final_errors_are_refusals() {
    for (status, kind, code, is_final) in [
        (400, "invalid_request_error", Some("parameter_invalid_integer"), true),
        (400, "invalid_request_error", Some("payment_intent_unexpected_state"), true),
        (402, "card_error", Some("card_declined"), true),
        (404, "invalid_request_error", Some("resource_missing"), true),
        (400, "invalid_request_error", Some("charge_already_refunded"), false),
        (400, "idempotency_error", None, false),
        (401, "invalid_request_error", Some("api_key_expired"), false),
        (403, "invalid_request_error", None, false),
        (409, "idempotency_error", Some("idempotency_key_in_use"), false),
        (429, "invalid_request_error", Some("rate_limit"), false),
        (500, "api_error", None, false),
        (400, "", None, false),
    ] {
        let body = serde_json::json!({ "error": { "type": kind, "code": code } }).to_string().into_bytes();
        let status = reqwest::StatusCode::from_u16(status).unwrap();
        let said = failure(&Reply { status, body });
        assert_eq!(matches!(said, GatewayError::Rejected(_)), is_final, "{status} {kind} {code:?}");
    }
    for body in ["", "{}", "<html>", r#"{"error":"no"}"#] {
        let reply = Reply { status: reqwest::StatusCode::BAD_REQUEST, body: body.as_bytes().to_vec() };
        assert!(matches!(failure(&reply), GatewayError::OutcomeUnknown(_)), "{body}");
    }
}

#[test]
fn maps_refund_states() {
    let state = |status: &str| {
        let body = serde_json::json!({ "id": "re_1", "amount": 1, "currency": "usd", "status": status });
        serde_json::from_value::<Refund>(body).unwrap().state()
    };
    // https://docs.stripe.com/api/refunds/object#refund_object-status
    for (status, meaning) in [
        ("succeeded", RefundState::Done),
        ("failed", RefundState::Failed),
        ("canceled", RefundState::Failed),
        ("pending", RefundState::Pending),
        ("requires_action", RefundState::Pending),
        ("something_new", RefundState::Pending),
    ] {
        assert_eq!(state(status), meaning, "{status}");
    }
}

#[test]
fn reads_own_and_foreign_refunds() {
    let id = Uuid::from_u128(7);
    for (metadata, ours) in [
        (serde_json::json!({ "refund_id": id }), Some(id)),
        (serde_json::json!({ "refund_id": "4711" }), None),
        (serde_json::json!({ "order": "4711" }), None),
        (serde_json::json!(null), None),
    ] {
        let body = serde_json::json!({ "id": "re_1", "amount": 300, "currency": "usd", "metadata": metadata });
        let news = serde_json::from_value::<Refund>(body).unwrap().into_update(Some(NOW)).unwrap();
        assert_eq!((news.ours, news.at, news.money), (ours, Some(NOW), Money::new(300, Currency::Usd)));
    }
}

#[tokio::test]
async fn refunded_charge_event_is_confirmed_by_a_fetch() {
    let stripe =
        Stripe::new(&Url::parse("http://127.0.0.1:9").unwrap(), "sk_test_x".into(), secrets(&["whsec_test"])).unwrap();
    let event = |live: bool, intent: &str| {
        let body = format!(
            r#"{{"id":"evt_1","type":"charge.refunded","livemode":{live},"data":{{"object":{{"id":"ch_1","amount_refunded":300,
                   "payment_intent":{intent}}}}}}}"#
        );
        stripe.parse_event(&VerifiedWebhook(body.into_bytes())).unwrap()
    };
    let told = event(false, r#""pi_1""#);
    assert_eq!(
        (&told.about, &told.news),
        (&WebhookSubject::Charge("pi_1".to_owned()), &PaymentUpdate::Refunds(Vec::new()))
    );
    assert!(
        matches!(stripe.confirm(told, NOW).await, Err(GatewayError::OutcomeUnknown(_))),
        "the refunds must be fetched"
    );
    let foreign = event(true, r#""pi_1""#);
    assert_eq!(stripe.confirm(foreign.clone(), NOW).await.unwrap(), foreign, "foreign events aren't confirmed");
    assert_eq!(event(false, "null").news, PaymentUpdate::Other);
}

#[test]
fn signature_matches_the_official_package() {
    let signature = Hash::Sha256.sign("whsec_test", b"1700000000.{\"id\":\"evt_1\"}");
    // Expected signature, made by `stripe.webhooks.generateTestHeaderString` of npm stripe 23.1.0.
    assert_eq!(signature, "c89214b5b5da833daed6f0b8c5bb6bd58cea9022bd80ccc78230f3942d632925");
    let header = format!("t=1700000000,v1={signature}");
    let body = b"{\"id\":\"evt_1\"}";
    assert!(check(&header, body, &secrets(&["whsec_test"]), NOW).is_ok());
    assert!(check(&header, body, &secrets(&["whsec_new", "whsec_test"]), NOW).is_ok(), "during a rotation");
    let two = format!("t=1700000000,v1={},v1={signature}", "00".repeat(32));
    assert!(check(&two, body, &secrets(&["whsec_test"]), NOW).is_ok(), "any of several secrets");
    for (header, body, secret) in [
        (header.as_str(), &b"{\"id\":\"evt_2\"}"[..], "whsec_test"),
        (&header, body, "whsec_other"),
        (&header, body, ""),
        (&header.replace("v1=", "v0="), body, "whsec_test"),
        (&header.replace("t=17", "t=16"), body, "whsec_test"),
        ("", body, "whsec_test"),
        ("t=,v1=", body, "whsec_test"),
    ] {
        assert!(check(header, body, &secrets(&[secret]), NOW).is_err(), "{header} {secret}");
    }
}

#[test]
fn signatures_are_valid_for_five_minutes_in_both_directions() {
    let body = b"{}";
    for (seconds, good) in [(0, true), (299, true), (-299, true), (301, false), (-301, false), (100_000, false)] {
        let stamp = 1_700_000_000 + seconds;
        let signature = Hash::Sha256.sign("whsec_test", format!("{stamp}.{{}}").as_bytes());
        let header = format!("t={stamp},v1={signature}");
        assert_eq!(check(&header, body, &secrets(&["whsec_test"]), NOW).is_ok(), good, "{seconds}");
    }
}

#[test]
fn session_is_paid_only_if_it_says_so() {
    let stripe =
        Stripe::new(&Url::parse("http://localhost").unwrap(), "sk_test_x".into(), secrets(&["whsec_test"])).unwrap();
    let id = Uuid::from_u128(7);
    let event = |kind: &str, status: &str, live: bool| {
        let body = format!(
            r#"{{"id":"evt_1","type":"{kind}","livemode":{live},"data":{{"object":{{"id":"cs_1","payment_status":"{status}",
                   "amount_total":500,"currency":"vnd","payment_intent":"pi_1","client_reference_id":"{id}"}}}}}}"#
        );
        stripe.parse_event(&VerifiedWebhook(body.into_bytes())).unwrap()
    };
    let paid = event("checkout.session.completed", "paid", false);
    let money = Money::new(500, Currency::Vnd);
    assert_eq!(paid.news, PaymentUpdate::Paid { money, charge: Some("pi_1".to_owned()) });
    assert_eq!((paid.about, paid.is_ours), (WebhookSubject::Payment(id), true));
    assert_eq!(event("checkout.session.completed", "unpaid", false).news, PaymentUpdate::Pending);
    assert_eq!(event("checkout.session.something_new", "paid", false).news, PaymentUpdate::Other);
    assert!(!event("checkout.session.completed", "paid", true).is_ours, "real money in test mode");
    assert_eq!(stripe.parse_event(&VerifiedWebhook(b"[]".to_vec())), Err(MalformedEvent));
    let setup = format!(
        r#"{{"id":"evt_1","type":"checkout.session.completed","data":{{"object":{{"id":"cs_1","mode":"setup",
               "payment_status":"no_payment_required","client_reference_id":"{id}"}}}}}}"#
    );
    let setup = stripe.parse_event(&VerifiedWebhook(setup.into_bytes())).unwrap();
    assert_eq!((setup.about, setup.news), (WebhookSubject::Setup(id), PaymentUpdate::Other), "nothing was bought");
    let other = r#"{"id":"evt_1","type":"checkout.session.completed","data":{"object":{"id":"cs_2","payment_status":"paid",
            "amount_total":500,"currency":"chf"}}}"#;
    let other = stripe.parse_event(&VerifiedWebhook(other.as_bytes().to_vec())).unwrap();
    assert_eq!(other.news, PaymentUpdate::Foreign, "francs of another program on the same account");
}
