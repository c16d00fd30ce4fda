//! Change of an account's email address, confirmed at both addresses.

use support::{Answer, Application, Member, PASSWORD, Setup, Value, json, new_email, wait_until};

use super::NEW_PASSWORD;

const PATH: &str = "/r1/users/me/email_change";

async fn request(member: &Member, email: &str) -> Answer {
    member.put(PATH, json!({ "email": email })).await
}

async fn confirm(app: &Application, token: &str) -> Answer {
    app.anonymous().post("/r1/auth/confirm_email_change", json!({ "token": token })).await
}

async fn email_of(member: &Member) -> Value {
    member.get("/r1/users/me").await.data()["email"].clone()
}

async fn verified(app: &Application, name: &str) -> Member {
    let member = app.sign_up(name).await;
    app.verify(&member).await;
    member
}

#[tokio::test]
async fn changes_the_address_once_both_addresses_confirm() {
    let app = Application::start().await;
    let anna = verified(&app, "Anna").await;
    let mut socket = anna.connect().await;
    anna.get(PATH).await.refused(404, "not_found");
    let new = new_email("anna-new");
    let change = request(&anna, &new.to_uppercase()).await.data_with(202);
    assert_eq!((&change["email"], &change["awaiting"]), (&json!(new), &json!(["current", "new"])));
    assert_eq!(anna.get(PATH).await.data(), change);
    let by_new = app.mailed_token(&new, "confirm-email").await;
    let by_current = app.mailed_token(&anna.email, "confirm-email").await;

    let half = confirm(&app, &by_new).await.data_with(200);
    assert_eq!(half["awaiting"], json!(["current"]));
    confirm(&app, &by_new).await.refused(400, "token_invalid");
    assert_eq!(email_of(&anna).await, json!(anna.email), "one address isn't enough");
    app.anonymous().sign_in(&new, PASSWORD).await.refused(401, "invalid_credentials");

    let whole = confirm(&app, &by_current).await.data_with(200);
    assert_eq!(whole["awaiting"], json!([]));
    assert_eq!(email_of(&anna).await, json!(new), "the session stays valid");
    assert_eq!(anna.get("/r1/users/me").await.data()["email_verified"], true);
    socket.expect("account.own").await;
    anna.get(PATH).await.refused(404, "not_found");
    let notice = app.outbox(&anna.email, "was changed to").await;
    assert!(notice.contains(&new), "{notice}");
    app.anonymous().sign_in(&anna.email, PASSWORD).await.refused(401, "invalid_credentials");
    Member::sign_in(&app.url(), &new, PASSWORD).await;
    // The previous address is free again.
    app.anonymous().sign_up(&anna.email, PASSWORD, "Another Anna").await.data_with(201);
    for action in ["auth.email_change_requested", "auth.email_changed"] {
        let sql = format!("SELECT COUNT(*) FROM audit_log WHERE action = '{action}'");
        assert_eq!(app.database.number(&sql).await, 1, "{action}");
    }
}

#[tokio::test]
async fn an_unverified_address_need_not_confirm_its_change() {
    let app = Application::start().await;
    let anna = app.sign_up("Anna").await;
    let stale = app.mailed_token(&anna.email, "verify-email").await;
    let new = new_email("anna-new");
    let change = request(&anna, &new).await.data_with(202);
    assert_eq!(change["awaiting"], json!(["new"]));
    let token = app.mailed_token(&new, "confirm-email").await;
    confirm(&app, &token).await.data_with(200);
    let me = anna.get("/r1/users/me").await.data();
    assert_eq!((&me["email"], &me["email_verified"]), (&json!(new), &json!(true)));
    anna.post("/r1/auth/verify-email", json!({ "token": stale })).await.refused(400, "token_invalid");
}

#[tokio::test]
async fn refuses_addresses_that_cannot_be_used() {
    let app = Application::start().await;
    let (anna, ben) = (verified(&app, "Anna").await, app.sign_up("Ben").await);
    for wrong in ["", "anna", "a@b@c", &format!("{}@example.test", "x".repeat(400))] {
        request(&anna, wrong).await.names_field("email");
    }
    request(&anna, &anna.email).await.names_field("email");
    request(&anna, &ben.email).await.refused(409, "email_taken");
    anna.get(PATH).await.refused(404, "not_found");
    anna.delete(PATH).await.refused(404, "not_found");
    // A program with a key can't take the account away.
    anna.program(&["read", "write"])
        .await
        .put(PATH, json!({ "email": new_email("anna") }))
        .await
        .refused(403, "scope_missing");

    // Another account may take the address in the meantime.
    let new = new_email("anna-new");
    request(&anna, &new).await.data_with(202);
    let by_new = app.mailed_token(&new, "confirm-email").await;
    let by_current = app.mailed_token(&anna.email, "confirm-email").await;
    app.anonymous().sign_up(&new, PASSWORD, "Carla").await.data_with(201);
    confirm(&app, &by_current).await.data_with(200);
    confirm(&app, &by_new).await.refused(409, "email_taken");
    assert_eq!(email_of(&anna).await, json!(anna.email));
}

#[tokio::test]
async fn limits_the_number_of_requested_changes() {
    let app = Setup::new().set("rate_limit.enabled", true).start().await;
    let anna = app.sign_up("Anna").await;
    let mut statuses = Vec::new();
    for _ in 0..6 {
        statuses.push(request(&anna, &new_email("stranger")).await.status);
    }
    assert_eq!(statuses, [202, 202, 202, 202, 202, 429]);
}

#[tokio::test]
async fn requires_a_fresh_sign_in() {
    let app = Application::start().await;
    let anna = app.sign_up("Anna").await;
    let sql = "UPDATE user_sessions SET created_at = created_at - 3600000, confirmed_at = confirmed_at - 3600000";
    app.database.run(sql).await;
    let new = new_email("anna-new");
    request(&anna, &new).await.refused(403, "fresh_sign_in_required");
    anna.post("/r1/auth/confirm", json!({ "password": PASSWORD })).await.data();
    request(&anna, &new).await.data_with(202);
}

#[tokio::test]
async fn links_expire_and_are_invalid_after_a_cancellation_or_a_new_password() {
    let app = Application::start().await;
    let anna = verified(&app, "Anna").await;
    let links = async || {
        let new = new_email("anna-new");
        request(&anna, &new).await.data_with(202);
        app.mailed_token(&new, "confirm-email").await
    };
    // A new request replaces the earlier one.
    let (first, second) = (links().await, links().await);
    confirm(&app, &first).await.refused(400, "token_invalid");
    anna.delete(PATH).await.data();
    confirm(&app, &second).await.refused(400, "token_invalid");
    let third = links().await;
    let change = json!({ "current_password": PASSWORD, "password": NEW_PASSWORD });
    anna.post("/r1/auth/change-password", change).await.data();
    confirm(&app, &third).await.refused(400, "token_invalid");
    anna.get(PATH).await.refused(404, "not_found");
    let fourth = links().await;
    app.database.run("UPDATE pending_sign_ins SET expires_at = expires_at - 86400000").await;
    confirm(&app, &fourth).await.refused(400, "token_invalid");
    anna.get(PATH).await.refused(404, "not_found");
    for wrong in ["", "x", &"x".repeat(100_000)] {
        confirm(&app, wrong).await.refused(400, "token_invalid");
    }
    wait_until("the mails are sent", || async {
        app.database.number("SELECT COUNT(*) FROM jobs WHERE kind = 'mail'").await == 0
    })
    .await;
    assert_eq!(email_of(&anna).await, json!(anna.email));
}
