use super::{objects::refund_state, *};
use crate::{DisputeState, Money, RefundState, WebhookSubject};

#[test]
fn known_outcomes_decide_disputes_and_others_leave_them_open() {
    let read = |status: &str, outcome: Option<&str>| {
        let mut resource = json!({
            "dispute_id": "PP-D-1", "status": status, "dispute_amount": { "currency_code": "USD", "value": "3.00" },
            "disputed_transactions": [{ "seller_transaction_id": "C1" }],
        });
        if let Some(outcome) = outcome {
            resource["dispute_outcome"] = json!({ "outcome_code": outcome });
        }
        let (about, news) = parse_update("CUSTOMER.DISPUTE.UPDATED", resource, None).unwrap();
        assert_eq!(about, WebhookSubject::Charge("C1".to_owned()));
        match news {
            PaymentUpdate::Dispute { state, .. } => state,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(read("OPEN", None), DisputeState::Open);
    assert_eq!(read("UNDER_REVIEW", Some("RESOLVED_SELLER_FAVOUR")), DisputeState::Open, "not resolved yet");
    for (outcome, state) in [
        ("RESOLVED_BUYER_FAVOUR", DisputeState::Lost),
        ("ACCEPTED", DisputeState::Lost),
        ("RESOLVED_SELLER_FAVOUR", DisputeState::Won),
        ("RESOLVED_WITH_PAYOUT", DisputeState::Won),
        ("CANCELED_BY_BUYER", DisputeState::Won),
        ("SOMETHING_NEW", DisputeState::Open),
    ] {
        assert_eq!(read("RESOLVED", Some(outcome)), state, "{outcome}");
    }
}

/// The names are those of <https://developer.paypal.com/api/rest/responses/>, the issues those of
/// <https://developer.paypal.com/api/payments/v2/>.
#[test]
fn only_final_errors_are_refusals() {
    for (status, name, issue, is_final) in [
        (400, "INVALID_REQUEST", "INVALID_PARAMETER_SYNTAX", true),
        (404, "RESOURCE_NOT_FOUND", "INVALID_RESOURCE_ID", true),
        (422, "UNPROCESSABLE_ENTITY", "REFUND_AMOUNT_EXCEEDED", true),
        (422, "UNPROCESSABLE_ENTITY", "REFUND_FAILED_INSUFFICIENT_FUNDS", true),
        (422, "UNPROCESSABLE_ENTITY", "REFUND_TIME_LIMIT_EXCEEDED", true),
        (422, "UNPROCESSABLE_ENTITY", "CAPTURE_FULLY_REFUNDED", false),
        (401, "AUTHENTICATION_FAILURE", "", false),
        (403, "NOT_AUTHORIZED", "PERMISSION_DENIED", false),
        (404, "", "", false),
        (409, "RESOURCE_CONFLICT", "PREVIOUS_REQUEST_IN_PROGRESS", false),
        (429, "RATE_LIMIT_REACHED", "", false),
        (500, "INTERNAL_SERVER_ERROR", "", false),
        (503, "SERVICE_UNAVAILABLE", "", false),
    ] {
        let body = json!({ "name": name, "details": [{ "issue": issue }] }).to_string().into_bytes();
        let said = failure(&Reply { status: StatusCode::from_u16(status).unwrap(), body });
        assert_eq!(matches!(said, GatewayError::Rejected(_)), is_final, "{status} {name} {issue}");
    }
    // https://developer.paypal.com/docs/api/payments/v2/#definition-refund_status
    for (status, meaning) in [
        ("COMPLETED", RefundState::Done),
        ("FAILED", RefundState::Failed),
        ("CANCELLED", RefundState::Failed),
        ("PENDING", RefundState::Pending),
        ("SOMETHING_NEW", RefundState::Pending),
    ] {
        assert_eq!(refund_state(status), meaning, "{status}");
    }
}

#[tokio::test]
async fn concurrent_callers_share_a_failed_token_fetch() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = Url::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
    let paypal =
        Paypal::new(&url, "id".to_owned(), "secret".into(), "hook".to_owned(), WebhookVerification::Api).unwrap();
    // A server that reads the request and closes the connection without an answer.
    let hanging_up = async {
        let (mut socket, _) = listener.accept().await.unwrap();
        assert!(socket.read(&mut [0; 8_192]).await.unwrap() > 0);
    };
    let ((), one, two, three) = tokio::join!(hanging_up, paypal.token(), paypal.token(), paypal.token());
    assert!(one.is_err() && two.is_err() && three.is_err());
    assert!(tokio::time::timeout(Duration::ZERO, listener.accept()).await.is_err(), "requested more than once");
    // Callers that come after the failure fetch again.
    let answering = async {
        let (mut socket, _) = listener.accept().await.unwrap();
        assert!(socket.read(&mut [0; 8_192]).await.unwrap() > 0);
        let body = json!({ "access_token": "t", "expires_in": 900 }).to_string();
        let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n";
        let reply = format!("{head}content-length: {}\r\n\r\n{body}", body.len());
        socket.write_all(reply.as_bytes()).await.unwrap();
    };
    let ((), token) = tokio::join!(answering, paypal.token());
    assert_eq!(token.unwrap().expose(), "t");
}

#[test]
fn checksum_matches_paypal() {
    assert_eq!(crc32fast::hash(b"{\"id\":\"evt_1\"}"), 2_394_574_875);
}

#[test]
fn order_is_paid_when_captured() {
    let snapshot = |status: &str, capture: Option<&str>| {
        let captures = capture.map_or_else(Vec::new, |status| {
            vec![json!({ "id": "C1", "status": status, "amount": { "currency_code": "USD", "value": "9.99" } })]
        });
        let order =
            json!({ "id": "O1", "status": status, "purchase_units": [{ "payments": { "captures": captures } }] });
        serde_json::from_value::<PaypalOrder>(order).unwrap().snapshot().unwrap().remote
    };
    let paid = RemoteState::Paid(Money::new(999, Currency::Usd));
    assert_eq!(snapshot("COMPLETED", Some("COMPLETED")), paid);
    assert_eq!(snapshot("COMPLETED", Some("PARTIALLY_REFUNDED")), paid);
    assert_eq!(snapshot("COMPLETED", Some("PENDING")), RemoteState::Open);
    assert_eq!(snapshot("COMPLETED", Some("DECLINED")), RemoteState::Failed);
    assert_eq!(snapshot("COMPLETED", None), RemoteState::Open);
    assert_eq!(snapshot("APPROVED", None), RemoteState::Approved);
}
