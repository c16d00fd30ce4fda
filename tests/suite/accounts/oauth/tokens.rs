//! Sign-in of native apps with an ID token.

use support::{Answer, Caller, Credentials, json};

use super::Stage;

async fn show(stage: &Stage, provider: &str, token: &str) -> Answer {
    let body = json!({ "id_token": token });
    stage.app.anonymous().post(&format!("/r1/auth/oauth/{provider}/token"), body).await
}

#[tokio::test]
async fn accepts_an_id_token_once() {
    let stage = Stage::start().await;
    let token = stage.provider.token("oidc", json!({ "sub": "ada" })).await;
    let tokens = show(&stage, "idp", &token).await.data_with(200);
    let bearer = Credentials::Bearer(tokens["access_token"].as_str().unwrap().to_owned());
    let ada = Caller::new(&stage.app.url(), bearer).get("/r1/users/me").await.data();
    assert_eq!(ada["email"], "ada@idp.test");
    show(&stage, "idp", &token).await.refused(401, "oauth_invalid");
    // The same signature can be encoded in several ways.
    show(&stage, "idp", &format!("{token}=")).await.refused(401, "oauth_invalid");
    let another = stage.provider.token("oidc", json!({ "sub": "ada", "jti": "another" })).await;
    assert_eq!(show(&stage, "idp", &another).await.data_with(200)["user"]["id"], ada["id"]);

    // Of eight concurrent attempts with the same token, only one succeeds.
    let contested = stage.provider.token("oidc", json!({ "sub": "ada", "jti": "contested" })).await;
    let answers = futures_util::future::join_all((0..8).map(|_| show(&stage, "idp", &contested))).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1, "{answers:?}");
    // Sign-ins of browsers with an authorization code are recorded for the replay check as well.
    let browser = stage.sign_in("idp", "ada").await;
    assert_eq!(stage.who(&browser).await["id"], ada["id"]);
}

#[tokio::test]
async fn rejects_an_id_token_with_any_wrong_claim() {
    let stage = Stage::start().await;
    for lie in [
        "audience",
        "audiences",
        "issuer",
        "no_subject",
        "expired",
        "old",
        "future",
        "signature",
        "unknown_key",
        "none",
        "hmac_of_secret",
        "hmac_of_key",
        "other_type",
    ] {
        let token = stage.provider.token("oidc", json!({ "sub": "ada", "lie": lie })).await;
        let answer = show(&stage, "idp", &token).await;
        assert_eq!(answer.status, 401, "{lie}: {answer:?}");
        answer.refused(401, "oauth_invalid");
    }
    for subject in ["a\u{0}b", "\u{0}", "a\nb", &"a".repeat(256)] {
        let token = stage.provider.token("oidc", json!({ "sub": subject })).await;
        show(&stage, "idp", &token).await.refused(401, "oauth_invalid");
    }
    for nonsense in ["", "x", "a.b.c", &"x.".repeat(20_000)] {
        show(&stage, "idp", nonsense).await.refused(401, "oauth_invalid");
    }
    let token = stage.provider.token("oidc", json!({ "sub": "ada", "nonce": "right" })).await;
    let with = async |nonce: &str| {
        let body = json!({ "id_token": token, "nonce": nonce });
        stage.app.anonymous().post("/r1/auth/oauth/idp/token", body).await
    };
    with("wrong").await.refused(401, "oauth_invalid");
    show(&stage, "idp", &token).await.refused(401, "oauth_invalid");
    with("right").await.data_with(200);
    // A token of another issuer is refused.
    let token = stage.provider.token("apple", json!({ "sub": "ada" })).await;
    show(&stage, "idp", &token).await.refused(401, "oauth_invalid");
    show(&stage, "nobody", &token).await.refused(404, "not_found");
    // Microsoft's issuer contains a placeholder.
    let token = stage.provider.token("microsoft", json!({ "sub": "ada", "email": "ada@microsoft.test" })).await;
    show(&stage, "microsoft", &token).await.data_with(200);
}
