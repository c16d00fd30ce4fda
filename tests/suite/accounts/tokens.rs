//! Tokens: they are single-use, can't be interchanged, and are never exposed.

use reqwest::Method;
use support::{Application, Caller, Credentials, PASSWORD, Setup, json};

use super::{refresh_with_key, text};

#[tokio::test]
async fn rotates_refresh_tokens_and_ends_the_session_on_reuse() {
    let app = Application::start().await;
    let anonymous = app.anonymous();
    let anna = app.sign_up("Anna").await;
    let elsewhere = anna.another_device().await;
    let second = anonymous.refresh(anna.refresh_token()).await.data_with(200);
    assert_eq!(second["session_id"], anna.tokens["session_id"]);
    assert_eq!(second["refresh_expires_at"], anna.tokens["refresh_expires_at"]);
    assert_ne!(second["refresh_token"], anna.tokens["refresh_token"]);
    let newer = Caller::new(&app.url(), Credentials::Bearer(text(&second, "access_token").to_owned()));
    newer.get("/r1/users/me").await.data();
    anna.get("/r1/users/me").await.data();

    anonymous.refresh(anna.refresh_token()).await.refused(401, "refresh_reused");
    anna.get("/r1/users/me").await.refused(401, "unauthenticated");
    newer.get("/r1/users/me").await.refused(401, "unauthenticated");
    anonymous.refresh(text(&second, "refresh_token")).await.refused(401, "unauthenticated");
    elsewhere.get("/r1/users/me").await.data();
    anonymous.refresh(elsewhere.refresh_token()).await.data();
}

#[tokio::test]
async fn repeats_a_refresh_response_for_the_same_idempotency_key() {
    let app = Application::start().await;
    let anonymous = app.anonymous();
    let anna = app.sign_up("Anna").await;
    let (one, other) = tokio::join!(
        refresh_with_key(&anonymous, anna.refresh_token(), "key-1"),
        refresh_with_key(&anonymous, anna.refresh_token(), "key-1"),
    );
    let one = one.data();
    assert_eq!(one, other.data());
    assert_eq!(one, refresh_with_key(&anonymous, anna.refresh_token(), "key-1").await.data());
    refresh_with_key(&anonymous, text(&one, "refresh_token"), "key-1").await.data();
    refresh_with_key(&anonymous, text(&one, "refresh_token"), "key-2").await.refused(401, "refresh_reused");

    let ben = app.sign_up("Ben").await;
    refresh_with_key(&anonymous, ben.refresh_token(), "key-1").await.data();
    anonymous.refresh(ben.refresh_token()).await.refused(401, "refresh_reused");

    let without = Setup::new().set("auth.refresh_grace", 0).start().await;
    let cleo = without.sign_up("Cleo").await;
    refresh_with_key(&without.anonymous(), cleo.refresh_token(), "key-1").await.data();
    refresh_with_key(&without.anonymous(), cleo.refresh_token(), "key-1").await.refused(401, "refresh_reused");
    for key in ["x".repeat(300).as_str(), ""] {
        refresh_with_key(&anonymous, anna.refresh_token(), key).await.refused(400, "malformed_request");
    }
}

#[tokio::test]
async fn rejects_tokens_of_another_kind() {
    let app = Application::start().await;
    let anonymous = app.anonymous();
    let anna = app.sign_up("Anna").await;
    let ticket = anna.post("/r1/websocket/ticket", json!({})).await.data();
    let parts: Vec<&str> = anna.access_token().split('.').collect();
    // Headers {"alg":"none","typ":"at+jwt"} and {"alg":"HS256","typ":"at+jwt"}.
    let (none, symmetric) = ("eyJhbGciOiJub25lIiwidHlwIjoiYXQrand0In0", "eyJhbGciOiJIUzI1NiIsInR5cCI6ImF0K2p3dCJ9");
    let bad = [
        anna.refresh_token().to_owned(),
        text(&ticket, "ticket").to_owned(),
        anna.session_id.clone(),
        format!("{none}.{}.", parts[1]),
        format!("{symmetric}.{}.{}", parts[1], parts[2]),
        format!("{}.{}.{}", parts[0], parts[1], &parts[2][..parts[2].len() - 4]),
        format!("{}.{}.{}", parts[0], parts[1], flipped(parts[2])),
        format!("{}.{}", parts[0], parts[1]),
        "x".repeat(8_000),
        "%00".to_owned(),
        String::new(),
    ];
    // The result must not depend on whether the valid token is cached.
    anna.get("/r1/users/me").await.data();
    for token in &bad {
        let caller = Caller::new(&app.url(), Credentials::Bearer(token.clone()));
        caller.get("/r1/users/me").await.refused(401, "unauthenticated");
    }
    for (name, value) in
        [("authorization", format!("Basic {}", anna.access_token())), ("authorization", anna.access_token().to_owned())]
    {
        let request = anonymous.request(Method::GET, "/r1/users/me").header(name, value);
        anonymous.send(request).await.refused(401, "unauthenticated");
    }
    anonymous.get(&format!("/r1/users/me?access_token={}", anna.access_token())).await.refused(401, "unauthenticated");
    for token in [anna.access_token(), text(&ticket, "ticket"), "", "x", &"x".repeat(100_000)] {
        anonymous.refresh(token).await.refused(401, "unauthenticated");
    }
    // The valid tokens still work.
    anna.get("/r1/users/me").await.data();
    anonymous.refresh(anna.refresh_token()).await.data();
}

/// Returns the text with its first letter changed.
fn flipped(text: &str) -> String {
    let first = if text.starts_with('A') { 'B' } else { 'A' };
    std::iter::once(first).chain(text.chars().skip(1)).collect()
}

#[tokio::test]
async fn publishes_the_public_keys_with_matching_key_ids() {
    let app = Application::start().await;
    let answer = app.anonymous().get("/.well-known/jwks.json").await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let keys = answer.body["keys"].as_array().unwrap();
    assert_eq!(keys.len(), 1);
    let mut fields: Vec<&str> = keys[0].as_object().unwrap().keys().map(String::as_str).collect();
    fields.sort_unstable();
    assert_eq!(fields, ["alg", "e", "kid", "kty", "n", "use"], "no private fields");
    let kid = text(&keys[0], "kid").to_owned();
    let token = app.sign_up("Anna").await.access_token().to_owned();
    let header = token.split('.').next().unwrap();
    // The header is short JSON in base64url; it contains the `kid` unchanged.
    let padded: String = header.replace('-', "+").replace('_', "/");
    assert!(
        decode(&padded).contains(&format!("\"kid\":\"{kid}\"")) && decode(&padded).contains("\"typ\":\"at+jwt\""),
        "{header}"
    );
}

/// Minimal base64 decoder.
fn decode(text: &str) -> String {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bits: Vec<u8> = text
        .bytes()
        .filter_map(|byte| ALPHABET.iter().position(|known| *known == byte))
        .flat_map(|value| (0..6).rev().map(move |bit| (value >> bit & 1) as u8))
        .collect();
    let bytes = bits.chunks_exact(8).map(|chunk| chunk.iter().fold(0_u8, |byte, bit| byte << 1 | bit)).collect();
    String::from_utf8(bytes).unwrap()
}

#[tokio::test]
async fn keeps_secrets_out_of_the_log() {
    let app = Setup::new().set("auth.access_ttl", 3600).start().await;
    let anna = app.sign_up("Anna").await;
    let anonymous = app.anonymous();
    anonymous.refresh(anna.refresh_token()).await.data();
    anonymous.refresh(anna.refresh_token()).await.refused(401, "refresh_reused");
    anonymous.sign_in(&anna.email, "Wr0ng-Password").await.refused(401, "invalid_credentials");
    let log = app.instances[0].log().join("\n");
    assert!(log.contains("/r1/auth/refresh"), "the log has the requests");
    for secret in [PASSWORD, "Wr0ng-Password", anna.access_token(), anna.refresh_token(), "argon2id", "PRIVATE KEY"] {
        assert!(!log.contains(secret), "{secret} is in the log");
    }
}
