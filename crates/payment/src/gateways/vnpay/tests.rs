use super::*;

fn vnpay() -> Vnpay {
    Vnpay::new(&Url::parse("https://sandbox.test").unwrap(), None, "TMN".to_owned(), "SECRET".into()).unwrap()
}

#[test]
fn signs_queries_and_refunds_like_another_package() {
    let (vnpay, created, now) = (vnpay(), "20231115051320", "20231115060000");
    // Expected signatures, made by `queryDr` and `refund` of npm vnpay 2.5.0 with these values and the same secret.
    for (message, signature) in [
        (
            vnpay.query_message("r1", "t1", created, now),
            "95f9443f1e7659fe22e9e26e54f0948c47c7962439ed2cf0598b00b1660c98cfc85a0ecc838d82bcd17cd4f3a384b71435ea478349bedb524e842cf21b256944",
        ),
        (
            vnpay.refund_message("r2", "03", "t1", ("10000000", "9"), created, now),
            "6ace4331a52264b3193a3352213e9eb53edae7662187f7675d857d79ce7e67bdad0d7bf7e33f4a45748bfaa21b1f6edecc6c2df4b9481cf66164aeb19ccc74a1",
        ),
    ] {
        assert_eq!(vnpay.sign(&message), signature, "{message}");
    }
}

/// The refund codes and transaction statuses are those of
/// <https://sandbox.vnpayment.vn/apis/docs/truy-van-hoan-tien/querydr&refund.html>.
#[test]
fn maps_each_documented_refund_code() {
    use crate::RefundState::{Done, Failed, Pending};
    for (code, status, meaning) in [
        ("00", "00", Ok(Done)),
        ("00", "01", Ok(Pending)),
        ("00", "02", Ok(Pending)),
        ("00", "04", Ok(Pending)),
        ("00", "05", Ok(Pending)),
        ("00", "06", Ok(Pending)),
        ("00", "07", Ok(Pending)),
        ("00", "09", Ok(Failed)),
        ("00", "", Ok(Pending)),
        ("02", "", Err(RefundFailure::Refused)),
        ("03", "", Err(RefundFailure::Refused)),
        ("91", "", Err(RefundFailure::Refused)),
        ("97", "", Err(RefundFailure::Refused)),
        ("94", "", Err(RefundFailure::Unknown)),
        ("95", "", Err(RefundFailure::Unknown)),
        ("98", "", Err(RefundFailure::Unknown)),
        ("99", "", Err(RefundFailure::Unknown)),
        ("99", "00", Err(RefundFailure::Unknown)),
        ("", "", Err(RefundFailure::Unknown)),
        ("77", "", Err(RefundFailure::Unknown)),
    ] {
        assert_eq!(refund_result(code, status), meaning, "{code} {status}");
    }
}

#[tokio::test]
async fn payment_url_is_signed_over_sorted_fields() {
    let url = |text: &str| Url::parse(text).unwrap();
    let (back, notify) = (url("https://x.test/back"), url("https://x.test/ipn"));
    let order = CheckoutOrder {
        payment_id: Uuid::from_u128(7),
        price: Money::new(249_000, Currency::Vnd),
        title: "250 tín dụng & more",
        return_url: &back,
        notify_url: &notify,
        created_at: Timestamp(1_700_000_000_000),
        expires_at: Timestamp(1_700_001_800_000),
        address: None,
        save_for: None,
    };
    let checkout = vnpay().create_checkout(&order).await.unwrap();
    let query = checkout.redirect_url.split_once('?').unwrap().1;
    for part in [
        "vnp_Amount=24900000&vnp_Command=pay&vnp_CreateDate=20231115051320&",
        "vnp_OrderInfo=Natter+00000000000000000000000000000007&",
        "vnp_ReturnUrl=https%3A%2F%2Fx.test%2Fback&",
    ] {
        assert!(query.contains(part), "{query}");
    }
    let (signed, signature) = query.split_once("&vnp_SecureHash=").unwrap();
    assert_eq!(signature.len(), 128);
    assert!(Hash::Sha512.is_signed("SECRET", signed.as_bytes(), signature));
}

#[tokio::test]
async fn accepts_signatures_in_any_encoding() {
    let vnpay = vnpay();
    let header = |_: &str| None;
    let verify = async |query: &str| {
        vnpay.verify(&WebhookRequest { header: &header, query, body: b"", now: Timestamp(0) }).await
    };
    // Queries with spaces, with characters that only form encoding escapes, and with lower-case hexadecimal digits.
    for (sent, meant) in [
        ("A*B", "A*B"),
        ("A%2AB", "A*B"),
        ("%28x%29", "(x)"),
        ("(x)!~", "(x)!~"),
        ("500%20credits", "500 credits"),
        ("500+credits", "500 credits"),
        ("a%3ab", "a:b"),
        ("a%3Ab", "a:b"),
    ] {
        let fields = format!("vnp_Amount=100&vnp_OrderInfo={sent}&vnp_TxnRef=7");
        let signature = vnpay.sign(&fields);
        let good = format!("vnp_TxnRef=7&utm=1&vnp_Amount=100&vnp_SecureHash={signature}&vnp_OrderInfo={sent}");
        let verified = verify(&good).await.unwrap();
        let read: BTreeMap<String, String> = form_urlencoded::parse(verified.raw()).into_owned().collect();
        assert_eq!(read["vnp_OrderInfo"], meant, "{sent}");
        assert!(verify(&good.replace(sent, "other")).await.is_err(), "{sent}");
        // A repeated field whose name is encoded in another way.
        assert!(verify(&format!("{good}&vnp%5FAmount=900")).await.is_err(), "{sent}");
        assert!(verify(&format!("{good}&vnp_SecureHash={signature}")).await.is_err(), "{sent}");
    }
    // A query that a proxy has re-encoded.
    let signature = vnpay.sign("vnp_OrderInfo=500+credits&vnp_TxnRef=7");
    let anew = format!("vnp_OrderInfo=500%20credits&vnp_TxnRef=7&vnp_SecureHash={signature}");
    assert!(verify(&anew).await.is_ok());
}

#[tokio::test]
async fn rejects_answers_about_another_payment() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    for (reference, command, is_told) in [("7", "querydr", true), ("8", "querydr", false), ("7", "refund", false)] {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = Url::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
        let vnpay = Vnpay::new(&url, None, "TMN".to_owned(), "SECRET".into()).unwrap();
        let mut answered = json!({
            "vnp_Command": command, "vnp_ResponseCode": "00", "vnp_TmnCode": "TMN", "vnp_TxnRef": reference,
            "vnp_Amount": "100", "vnp_TransactionStatus": "00", "vnp_TransactionNo": "9",
        });
        let message = serde_json::from_value::<TransactionResponse>(answered.clone()).unwrap().message();
        answered["vnp_SecureHash"] = vnpay.sign(&message).into();
        let body = answered.to_string();
        let serving = async {
            let (mut socket, _) = listener.accept().await.unwrap();
            let (mut read, mut piece) = (Vec::new(), [0; 8_192]);
            while !read.ends_with(b"}") {
                let count = socket.read(&mut piece).await.unwrap();
                assert!(count > 0);
                read.extend_from_slice(&piece[..count]);
            }
            let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n";
            let reply = format!("{head}content-length: {}\r\n\r\n{body}", body.len());
            socket.write_all(reply.as_bytes()).await.unwrap();
        };
        let price = Money::new(1, Currency::Vnd);
        let (id, at) = (Uuid::nil(), Timestamp(0));
        let asked = KnownPayment {
            payment_id: id,
            reference: "7",
            charge: None,
            price,
            created_at: at,
            expires_at: at,
            now: at,
        };
        let ((), found) = tokio::join!(serving, vnpay.fetch(&asked));
        assert_eq!(found.is_ok(), is_told, "{reference} {command} {found:?}");
    }
}

#[tokio::test]
async fn accepts_signed_events_and_requires_both_codes_for_paid() {
    let vnpay = vnpay();
    let header = |_: &str| None;
    let verify = async |query: &str| {
        vnpay.verify(&WebhookRequest { header: &header, query, body: b"", now: Timestamp(0) }).await
    };
    let signed = |code: &str, status: &str| {
        let fields = format!(
            "vnp_Amount=24900000&vnp_OrderInfo=250+credits&vnp_ResponseCode={code}&vnp_TmnCode=TMN&vnp_TransactionNo=9\
             &vnp_TransactionStatus={status}&vnp_TxnRef=00000000000000000000000000000007"
        );
        let signature = vnpay.sign(&fields);
        // The fields may come in any order, with unsigned ones in between.
        let (first, rest) = fields.split_once('&').unwrap();
        format!("{rest}&{first}&vnp_SecureHash={signature}&utm=1")
    };
    let paid = vnpay.parse_event(&verify(&signed("00", "00")).await.unwrap()).unwrap();
    assert_eq!((paid.about, paid.is_ours), (WebhookSubject::Payment(Uuid::from_u128(7)), true));
    let money = Money::new(249_000, Currency::Vnd);
    assert_eq!(paid.news, PaymentUpdate::Paid { money, charge: Some("9".to_owned()) });
    for (code, status, news) in [
        ("00", "02", PaymentUpdate::Failed),
        ("24", "02", PaymentUpdate::Failed),
        ("11", "02", PaymentUpdate::Expired),
        ("07", "07", PaymentUpdate::Pending),
    ] {
        let read = vnpay.parse_event(&verify(&signed(code, status)).await.unwrap()).unwrap();
        assert_eq!(read.news, news, "{code} {status}");
    }
    let good = signed("00", "00");
    for bad in [good.replace("24900000", "24900100"), good.replace("vnp_SecureHash", "vnp_Hash"), String::new()] {
        assert!(verify(&bad).await.is_err(), "{bad}");
    }
    assert!(verify(&format!("{good}&vnp_Amount=100")).await.is_err(), "repeated field");
}
