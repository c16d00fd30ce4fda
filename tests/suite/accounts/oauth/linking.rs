//! Linking identities to accounts. An account that was registered in advance with a victim's
//! address must not give access to the victim's identity.

use support::{Caller, Credentials, json};

use super::{Stage, is_refused};

async fn identities(caller: &Caller) -> Vec<support::Value> {
    caller.get("/r1/auth/identities").await.data()["items"].as_array().unwrap().clone()
}

/// Links the identity that `person` has at the provider to the caller's account.
async fn link(stage: &Stage, caller: &Caller, provider: &str, person: &str) -> support::Answer {
    let gone = stage.depart(caller, provider, "?link=true&next=/settings").await;
    let sent = stage.provider.sign_in(&gone.location, person).await;
    stage.come_back(provider, &gone.cookie, &sent).await
}

#[tokio::test]
async fn a_preregistered_account_does_not_capture_the_owners_identity() {
    let stage = Stage::start().await;
    let attacker = stage.app.sign_up("Mallory").await;
    stage.provider.knows("oidc", "victim", json!({ "email": attacker.email, "email_verified": true })).await;
    for provider in ["idp", "doubted"] {
        is_refused(&stage.sign_in(provider, "victim").await, "link_required");
    }
    assert_eq!(identities(&attacker).await.len(), 0, "no identity is linked silently");
    let token = stage.provider.token("oidc", json!({ "sub": "victim" })).await;
    let body = json!({ "id_token": token });
    stage.app.anonymous().post("/r1/auth/oauth/idp/token", body).await.refused(409, "link_required");
    // An identity that has another user's address doesn't give access to that user's account.
    let anna = stage.app.sign_up("Anna").await;
    stage.provider.knows("microsoft", "mallory", json!({ "email": anna.email, "email_verified": true })).await;
    is_refused(&stage.sign_in("microsoft", "mallory").await, "link_required");
    assert_eq!(identities(&anna).await.len(), 0);
}

#[tokio::test]
async fn a_linked_identity_signs_in_to_the_account_that_linked_it() {
    let stage = Stage::start().await;
    let anna = stage.app.sign_up("Anna").await;
    let linked = link(&stage, &anna, "idp", "anna-at-work").await;
    assert_eq!((linked.status, linked.header("location")), (303, Some("/settings")), "{linked:?}");
    assert!(!linked.cookies().contains("natter_access"), "no new session is created");
    let signed_in = stage.sign_in("idp", "anna-at-work").await;
    assert_eq!(stage.who(&signed_in).await["id"], anna.id.as_str());
    // Linking the same identity again succeeds; the identity of another user is refused.
    assert_eq!(link(&stage, &anna, "idp", "anna-at-work").await.header("location"), Some("/settings"));
    let ben = stage.app.sign_up("Ben").await;
    is_refused(&link(&stage, &ben, "idp", "anna-at-work").await, "oauth_invalid");
    assert_eq!((identities(&anna).await.len(), identities(&ben).await.len()), (1, 0));

    // Linking is refused without a session, from another site, and if the user has signed out
    // meanwhile.
    let start = "/r1/auth/oauth/idp/start?link=true";
    stage.app.anonymous().get(start).await.refused(401, "unauthenticated");
    let credentials = Credentials::Cookies { header: signed_in.cookies(), origin: "https://evil.example".to_owned() };
    let elsewhere = Caller::new(&stage.app.url(), credentials);
    let followed = elsewhere.request(reqwest::Method::GET, start).header("sec-fetch-site", "cross-site");
    elsewhere.send(followed).await.refused(403, "cross_site");
    let gone = stage.depart(&ben, "idp", "?link=true").await;
    let sent = stage.provider.sign_in(&gone.location, "ben-at-work").await;
    ben.post("/r1/auth/logout", json!({})).await.data_with(200);
    is_refused(&stage.come_back("idp", &gone.cookie, &sent).await, "oauth_state");
}

#[tokio::test]
async fn the_last_sign_in_method_cannot_be_removed() {
    let stage = Stage::start().await;
    let ada = stage.caller(&stage.sign_in("idp", "ada").await);
    let only = identities(&ada).await[0]["id"].as_str().unwrap().to_owned();
    let path = format!("/r1/auth/identities/{only}");
    ada.delete(&path).await.refused(409, "last_method");
    let anna = stage.app.sign_up("Anna").await;
    anna.delete(&path).await.refused(404, "not_found");
    // If there is another sign-in method, either of the two may be removed.
    assert_eq!(link(&stage, &ada, "microsoft", "ada").await.header("location"), Some("/settings"));
    ada.delete(&path).await.data_with(200);
    ada.delete(&path).await.refused(404, "not_found");
    assert_eq!(identities(&ada).await.len(), 1);
    // The identity is no longer known, but the address still belongs to Ada's account.
    is_refused(&stage.sign_in("idp", "ada").await, "link_required");
    // An account with a password needs no identity.
    assert_eq!(link(&stage, &anna, "idp", "anna").await.header("location"), Some("/settings"));
    let linked = identities(&anna).await[0]["id"].as_str().unwrap().to_owned();
    anna.delete(&format!("/r1/auth/identities/{linked}")).await.data_with(200);
}

#[tokio::test]
async fn concurrent_first_oauth_sign_ins_create_one_account() {
    let stage = Stage::start().await;
    let mut coming = Vec::new();
    for _ in 0..4 {
        let gone = stage.depart(&stage.app.anonymous(), "idp", "").await;
        let sent = stage.provider.sign_in(&gone.location, "ada").await;
        coming.push((gone, sent));
    }
    let arrive = coming.iter().map(|(gone, sent)| stage.come_back("idp", &gone.cookie, sent));
    let mut ids = Vec::new();
    for arrived in futures_util::future::join_all(arrive).await {
        if arrived.cookies().contains("natter_access") {
            ids.push(stage.who(&arrived).await["id"].clone());
        } else {
            is_refused(&arrived, "link_required");
        }
    }
    assert!(!ids.is_empty() && ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    let again = stage.sign_in("idp", "ada").await;
    assert_eq!(stage.who(&again).await["id"], ids[0]);
}

#[tokio::test]
async fn the_verified_owner_takes_over_a_preregistered_account() {
    let stage = Stage::start().await;
    let mallory = stage.app.sign_up("Mallory").await;
    link(&stage, &mallory, "microsoft", "mallory").await;
    stage.provider.knows("oidc", "victim", json!({ "email": mallory.email, "email_verified": true })).await;
    // A sign-in with an unverified address must not be accepted later, when the owner of the
    // address verifies it.
    is_refused(&stage.sign_in("doubted", "victim").await, "link_required");
    assert_eq!(stage.app.database.number("SELECT COUNT(*) FROM pending_sign_ins WHERE kind = 'claim'").await, 0);
    is_refused(&stage.sign_in("idp", "victim").await, "link_required");
    is_refused(&stage.sign_in("idp", "victim").await, "link_required");
    assert_eq!(stage.app.database.number("SELECT COUNT(*) FROM pending_sign_ins WHERE kind = 'claim'").await, 1);
    let mail = stage.app.outbox(&mallory.email, "Is this your account?").await;
    let (_, rest) = mail.split_once("/verify-email?token=").unwrap();
    let token: String =
        rest.chars().take_while(|letter| letter.is_ascii_alphanumeric() || "-_".contains(*letter)).collect();
    let answer = async || stage.app.anonymous().post("/r1/auth/verify-email", json!({ "token": token })).await;
    answer().await.data_with(200);
    answer().await.refused(400, "token_invalid");

    let victim = stage.sign_in("idp", "victim").await;
    let owner = stage.who(&victim).await;
    assert_eq!((owner["id"].as_str(), &owner["email_verified"]), (Some(mallory.id.as_str()), &json!(true)));
    assert_eq!(owner["has_password"], false);
    assert_eq!(identities(&stage.caller(&victim)).await.len(), 1);
    mallory.get("/r1/users/me").await.refused(401, "unauthenticated");
    stage.app.anonymous().sign_in(&mallory.email, support::PASSWORD).await.refused(401, "invalid_credentials");
    assert_ne!(stage.who(&stage.sign_in("microsoft", "mallory").await).await["id"], owner["id"]);
}

#[tokio::test]
async fn accounts_without_a_password_confirm_by_a_fresh_sign_in() {
    let stage = Stage::start().await;
    let first = stage.caller(&stage.sign_in("idp", "ada").await);
    let an_hour = "UPDATE user_sessions SET created_at = created_at - 3600000";
    stage.app.database.run(an_hour).await;
    assert_eq!(
        first.get("/r1/auth/confirm").await.data(),
        json!({ "fresh_until": null, "methods": [] }),
        "only a new sign-in helps"
    );
    first.post("/r1/auth/confirm", json!({ "password": support::PASSWORD })).await.refused(403, "password_wrong");
    first.delete("/r1/users/me").await.refused(403, "fresh_sign_in_required");
    first.post("/r1/auth/totp", json!({})).await.refused(403, "fresh_sign_in_required");
    let start = first.get("/r1/auth/oauth/microsoft/start?link=true").await;
    assert_eq!(
        (start.status, start.header("location")),
        (302, Some("/login?error=fresh_sign_in_required")),
        "{start:?}"
    );

    let arrived = stage.sign_in("idp", "ada").await;
    let again = stage.caller(&arrived);
    assert_eq!(link(&stage, &again, "microsoft", "ada").await.header("location"), Some("/settings"));
    again.delete("/r1/users/me").await.data_with(200);
    for device in [&first, &again] {
        device.get("/r1/users/me").await.refused(401, "unauthenticated");
    }
    // A later sign-in with the provider creates a new account.
    let anew = stage.sign_in("idp", "ada").await;
    assert_eq!(stage.app.database.number("SELECT COUNT(*) FROM identities").await, 1);
    assert_eq!(stage.who(&anew).await["has_password"], false);
}
