//! Bodies that are too large. Whether many bodies together fit the memory limit is tested with the
//! endpoints.

use reqwest::Method;
use support::{Application, Setup};

const KIB: usize = 1024;

#[tokio::test]
async fn limits_unauthenticated_bodies_per_endpoint() {
    let app = Application::start().await;
    let stranger = app.anonymous();
    let send = |path: &str, kind: &'static str, length: usize| {
        stranger.send(stranger.request(Method::POST, path).header("content-type", kind).body(vec![b'a'; length]))
    };
    let webhook = "/r1/payments/webhooks/stripe";
    send(webhook, "application/json", 256 * KIB + 1).await.refused(413, "too_large");
    send(webhook, "application/json", 256 * KIB).await.refused(404, "not_found");
    let form = ("/r1/auth/oauth/apple/callback", "application/x-www-form-urlencoded");
    send(form.0, form.1, 64 * KIB + 1).await.refused(413, "too_large");
    assert_ne!(send(form.0, form.1, 64 * KIB).await.status, 413);
}

#[tokio::test]
async fn rejects_bodies_beyond_the_memory_limit() {
    let setup = Setup::new().set("rate_limit.enabled", true).set("server.body_bytes_per_user", 128 * KIB);
    let app = setup.start().await;
    let anna = app.sign_up("Anna").await;
    let form = |length: usize| {
        let (head, foot) =
            ("--b\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\n", "\r\n--b--\r\n");
        let body = [head.as_bytes(), &vec![b'a'; length], foot.as_bytes()].concat();
        anna.request(Method::POST, "/r1/uploads").header("content-type", "multipart/form-data; boundary=b").body(body)
    };
    assert_eq!(anna.send(form(64 * KIB)).await.data_with(201)["size"], 64 * KIB);
    anna.send(form(128 * KIB)).await.refused(413, "too_large");
}
