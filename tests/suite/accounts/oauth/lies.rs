//! Wrong answers from a provider, or from an attacker who poses as one.

use support::json;

use super::{Stage, is_refused};

#[tokio::test]
async fn rejects_invalid_id_tokens() {
    let stage = Stage::start().await;
    for lie in [
        "audience",
        "audiences",
        "issuer",
        "nonce",
        "no_nonce",
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
        stage.provider.order("oidc", json!({ "lie": lie })).await;
        let arrived = stage.sign_in("idp", "ada").await;
        assert_eq!(arrived.header("location"), Some("/login?error=oauth_invalid"), "{lie}");
        is_refused(&arrived, "oauth_invalid");
    }
    for truth in [json!(null), json!("audiences_ours"), json!("odd")] {
        stage.provider.order("oidc", json!({ "lie": truth })).await;
        stage.who(&stage.sign_in("idp", "ada").await).await;
    }
}

#[tokio::test]
async fn refetches_rotated_provider_keys() {
    let stage = Stage::start().await;
    stage.who(&stage.sign_in("idp", "ada").await).await;
    stage.provider.order("oidc", json!({ "rotate": true })).await;
    stage.who(&stage.sign_in("idp", "ada").await).await;
    // The keys are not fetched again at once, so that unknown keys can't cause a flood of requests.
    stage.provider.order("oidc", json!({ "rotate": true })).await;
    is_refused(&stage.sign_in("idp", "ada").await, "oauth_invalid");
}

#[tokio::test]
async fn verifies_addresses_only_if_a_trusted_provider_says_so() {
    let stage = Stage::start().await;
    for (name, provider, claims, verified) in [
        ("yes", "idp", json!({ "email_verified": true }), true),
        ("text", "idp", json!({ "email_verified": "true" }), true),
        ("no", "idp", json!({ "email_verified": false }), false),
        ("text-no", "idp", json!({ "email_verified": "false" }), false),
        ("silent", "idp", json!({ "email_verified": null }), false),
        ("doubted", "doubted", json!({ "email_verified": true }), false),
    ] {
        stage.provider.knows("oidc", name, claims).await;
        let somebody = stage.who(&stage.sign_in(provider, name).await).await;
        assert_eq!(somebody["email_verified"], verified, "{name}");
    }
    // Some providers leave the claim out of the token and return it only from the user info
    // endpoint.
    stage.provider.order("oidc", json!({ "lie": "thin" })).await;
    let thin = stage.who(&stage.sign_in("idp", "thin").await).await;
    assert_eq!((&thin["email"], &thin["email_verified"]), (&json!("thin@idp.test"), &json!(true)));
    assert_eq!(thin["display_name"], "thin");
    stage.provider.order("oidc", json!({ "lie": "nameless" })).await;
    stage.provider.knows("oidc", "grace", json!({ "name": "Grace Hopper" })).await;
    let grace = stage.who(&stage.sign_in("idp", "grace").await).await;
    assert_eq!((&grace["email"], &grace["display_name"]), (&json!("grace@idp.test"), &json!("Grace Hopper")));
    stage.provider.order("oidc", json!({ "lie": null })).await;
    // An account needs an email address.
    stage.provider.knows("oidc", "nobody", json!({ "email": null })).await;
    is_refused(&stage.sign_in("idp", "nobody").await, "oauth_invalid");
}
