//! Confirmation of sensitive changes: adding a sign-in method, for example, requires that the user
//! has recently confirmed their identity.

use reqwest::Method;
use support::{Answer, Application, Authenticator, Member, PASSWORD, Setup, Value, json, new_id};

/// Changes the times of all sign-ins to an hour earlier.
async fn an_hour_passes(app: &Application) {
    let sql = "UPDATE user_sessions SET created_at = created_at - 3600000, confirmed_at = confirmed_at - 3600000";
    app.database.run(sql).await;
}

async fn make_key(member: &Member) -> Answer {
    member.post("/r1/api_keys", json!({ "name": "A program", "scopes": ["read"] })).await
}

async fn confirm(member: &Member, proof: Value) -> Answer {
    member.post("/r1/auth/confirm", proof).await
}

async fn freshness(member: &Member) -> Value {
    member.get("/r1/auth/confirm").await.data()
}

#[tokio::test]
async fn adding_a_sign_in_method_requires_a_fresh_sign_in() {
    let app = Setup::new().set("server.public_url", "http://localhost:8080").start().await;
    let anna = app.sign_up("Anna").await;
    // A recent sign-in needs no confirmation.
    let fresh = freshness(&anna).await;
    assert!(fresh["fresh_until"].is_string(), "{fresh}");
    assert_eq!(fresh["methods"], json!(["password"]));
    make_key(&anna).await.data_with(201);
    anna.post("/r1/auth/passkeys/register/start", json!({})).await.data_with(200);

    an_hour_passes(&app).await;
    assert_eq!(freshness(&anna).await["fresh_until"], Value::Null);
    let calls = [
        (Method::POST, "/r1/api_keys".to_owned(), json!({ "name": "A program", "scopes": ["read"] })),
        (Method::POST, "/r1/auth/passkeys/register/start".to_owned(), json!({})),
        (Method::DELETE, format!("/r1/auth/passkeys/{}", new_id()), json!({})),
        (Method::DELETE, format!("/r1/auth/identities/{}", new_id()), json!({})),
    ];
    for (method, path, body) in &calls {
        let answer = anna.send(anna.request(method.clone(), path).json(body)).await;
        answer.refused(403, "fresh_sign_in_required");
    }
    // Calls that contain a confirmation themselves, and calls that open no access, still work.
    anna.post("/r1/auth/totp", json!({ "password": PASSWORD })).await.data_with(201);
    anna.patch("/r1/users/me", json!({ "display_name": "Anne" })).await.data();
    anna.get("/r1/api_keys").await.data();

    let other = anna.another_device().await;
    confirm(&anna, json!({ "password": "Wr0ng-Password" })).await.refused(403, "password_wrong");
    make_key(&anna).await.refused(403, "fresh_sign_in_required");
    let fresh = confirm(&anna, json!({ "password": PASSWORD })).await.data_with(200);
    assert!(fresh["fresh_until"].is_string(), "{fresh}");
    make_key(&anna).await.data_with(201);
    an_hour_passes(&app).await;
    make_key(&anna).await.refused(403, "fresh_sign_in_required");
    confirm(&other, json!({ "password": PASSWORD })).await.data_with(200);
    make_key(&anna).await.refused(403, "fresh_sign_in_required");

    let log = app.admin().await.get("/r1/admin/audit_log?action=auth.confirmed").await.data();
    assert_eq!((&log["total"], &log["items"][0]["actor"]), (&json!(2), &json!(anna.id)));
}

#[tokio::test]
async fn confirmation_takes_exactly_one_proof_such_as_a_second_factor() {
    let app = Application::start().await;
    let (anna, authenticator) = Authenticator::set_up_for_somebody(&app.url()).await;
    assert_eq!(freshness(&anna).await["methods"], json!(["password", "totp", "recovery_code"]));
    for wrong in [
        json!({}),
        json!({ "password": PASSWORD, "code": "123456" }),
        json!({ "challenge_id": "x" }),
        json!({ "credential": {} }),
    ] {
        confirm(&anna, wrong).await.names_field("password");
    }
    confirm(&anna, json!({ "challenge_id": "x", "credential": {} })).await.names_field("credential");
    for (field, right) in
        [("code", authenticator.next_code()), ("recovery_code", authenticator.recovery_codes[0].clone())]
    {
        an_hour_passes(&app).await;
        confirm(&anna, json!({ field: "000-000" })).await.refused(401, "mfa_invalid");
        assert_eq!(freshness(&anna).await["fresh_until"], Value::Null);
        confirm(&anna, json!({ field: right })).await.data_with(200);
        assert!(freshness(&anna).await["fresh_until"].is_string());
        confirm(&anna, json!({ field: right })).await.refused(401, "mfa_invalid");
    }
    // An account without a second factor accepts no code as confirmation.
    let ben = app.sign_up("Ben").await;
    confirm(&ben, json!({ "code": "123456" })).await.refused(401, "mfa_invalid");
}

#[tokio::test]
async fn confirmation_with_a_stolen_session_is_throttled() {
    let app = Setup::new().set("rate_limit.enabled", true).set("firewall.violations_to_ban", 0).start().await;
    let anna = app.sign_up("Anna").await;
    for _ in 0..5 {
        confirm(&anna, json!({ "password": "Wr0ng-Password" })).await.refused(403, "password_wrong");
    }
    confirm(&anna, json!({ "password": PASSWORD })).await.refused(429, "too_many_signins");
    anna.get("/r1/users/me").await.data();
}

#[tokio::test]
async fn freshness_of_a_sign_in_is_configurable_and_api_keys_cannot_confirm() {
    let app = Setup::new().set("auth.fresh_for", 7_200).start().await;
    let anna = app.sign_up("Anna").await;
    an_hour_passes(&app).await;
    let program = anna.program(&["read", "write"]).await;
    confirm(&program, json!({ "password": PASSWORD })).await.refused(403, "scope_missing");
    program.get("/r1/auth/confirm").await.refused(403, "scope_missing");
    an_hour_passes(&app).await;
    make_key(&anna).await.refused(403, "fresh_sign_in_required");
}
