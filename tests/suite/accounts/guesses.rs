//! Password guessing: attempts are limited per address and per account. Responses don't reveal
//! whether the account exists, and its owner is not locked out.

use reqwest::Method;
use support::{Answer, Application, Caller, PASSWORD, Setup, json, new_email};

use super::text;

/// Setup in which the server trusts the client addresses that a proxy reports.
fn guarded() -> Setup {
    Setup::new()
        .set("rate_limit.enabled", true)
        .set("rate_limit.auth.limit", 10_000)
        .set("firewall.violations", "probe")
        .set("server.trusted_proxies", "127.0.0.1/32")
}

async fn sign_in(base: &str, from: &str, email: &str, password: &str) -> Answer {
    let anonymous = Caller::anonymous(base);
    let request = anonymous.request(Method::POST, "/r1/auth/signin").header("x-forwarded-for", from);
    anonymous.send(request.json(&json!({ "email": email, "password": password }))).await
}

async fn sign_up(app: &Application, from: &str) -> String {
    let email = new_email("anna");
    let body = json!({ "email": email, "password": PASSWORD, "display_name": "Anna" });
    let anonymous = app.anonymous();
    let request = anonymous.request(Method::POST, "/r1/auth/signup").header("x-forwarded-for", from).json(&body);
    anonymous.send(request).await.data_with(201);
    email
}

#[tokio::test]
async fn five_failed_sign_ins_lock_only_that_account_at_that_address() {
    let app = guarded().start().await;
    let office = "203.0.113.1";
    let (anna, ben) = (sign_up(&app, office).await, sign_up(&app, office).await);
    for _ in 0..5 {
        sign_in(&app.url(), office, &anna, "Wr0ng-Password").await.refused(401, "invalid_credentials");
    }
    let refused = sign_in(&app.url(), office, &anna, PASSWORD).await;
    refused.refused(429, "too_many_signins");
    let wait: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=900).contains(&wait), "{wait}");
    // Neither a colleague at the same address nor the same user at home is affected.
    assert_eq!(sign_in(&app.url(), office, &ben, PASSWORD).await.status, 200);
    assert_eq!(sign_in(&app.url(), "198.51.100.7", &anna, PASSWORD).await.status, 200);
    // An unknown account gets the same response.
    let nobody = new_email("nobody");
    for _ in 0..5 {
        sign_in(&app.url(), office, &nobody, "Wr0ng-Password").await.refused(401, "invalid_credentials");
    }
    sign_in(&app.url(), office, &nobody, PASSWORD).await.refused(429, "too_many_signins");
}

#[tokio::test]
async fn limits_password_guesses_per_address_and_per_account() {
    let app =
        guarded().set("auth.failed_signins_per_address", 8).set("auth.failed_signins_per_account", 7).start().await;
    let email = sign_up(&app, "198.51.100.1").await;
    // The limit per address counts attempts for any account.
    for _ in 0..8 {
        let unknown = new_email("x");
        sign_in(&app.url(), "203.0.113.1", &unknown, "Wr0ng-Password").await.refused(401, "invalid_credentials");
    }
    sign_in(&app.url(), "203.0.113.1", &new_email("x"), PASSWORD).await.refused(429, "too_many_signins");

    // The limit per account counts attempts from any address. Existing and unknown accounts get the
    // same response.
    for name in [&email, &new_email("nobody")] {
        for at in 0..7 {
            let from = format!("203.0.113.{}", 10 + at);
            sign_in(&app.url(), &from, name, "Wr0ng-Password").await.refused(401, "invalid_credentials");
        }
        sign_in(&app.url(), "203.0.113.99", name, PASSWORD).await.refused(429, "too_many_signins");
    }
    // The owner signs in from a known address.
    assert_eq!(sign_in(&app.url(), "198.51.100.1", &email, PASSWORD).await.status, 200);
    assert_eq!(sign_in(&app.url(), "198.51.100.2", &email, PASSWORD).await.status, 429);
}

#[tokio::test]
async fn counts_an_ipv6_network_as_one_address_and_ignores_successes() {
    let app = guarded().start().await;
    let email = sign_up(&app, "2001:db8::1").await;
    for _ in 0..8 {
        assert_eq!(sign_in(&app.url(), "2001:db8::1", &email, PASSWORD).await.status, 200);
    }
    for host in 1..=5 {
        let from = format!("2001:db8:0:1::{host}");
        sign_in(&app.url(), &from, &email, "Wr0ng-Password").await.refused(401, "invalid_credentials");
    }
    sign_in(&app.url(), "2001:db8:0:1:ffff::", &email, PASSWORD).await.refused(429, "too_many_signins");
    assert_eq!(sign_in(&app.url(), "2001:db8:0:2::1", &email, PASSWORD).await.status, 200);
}

#[tokio::test]
async fn password_change_with_a_stolen_session_is_throttled() {
    let app = guarded().start().await;
    let anna = app.sign_up("Anna").await;
    let change = async || {
        let body = json!({ "password": "Wr0ng-Password" });
        anna.send(anna.request(Method::DELETE, "/r1/users/me").json(&body)).await
    };
    for _ in 0..5 {
        change().await.refused(403, "password_wrong");
    }
    change().await.refused(429, "too_many_signins");
    assert_eq!(text(&anna.get("/r1/users/me").await.data(), "email"), anna.email);
}

mod cluster {
    use super::*;

    #[tokio::test]
    async fn two_instances_share_the_failed_sign_in_counter() {
        let app = guarded().set("auth.failed_signins_per_account", 5).instances(2).start().await;
        let email = sign_up(&app, "198.51.100.1").await;
        let guesses = (0..16).map(|at| {
            let (base, from) = (app.instances[at % 2].url(), format!("203.0.113.{at}"));
            let email = email.clone();
            async move { sign_in(&base, &from, &email, "Wr0ng-Password").await.status }
        });
        let statuses = futures_util::future::join_all(guesses).await;
        assert_eq!(statuses.iter().filter(|status| **status == 401).count(), 5, "{statuses:?}");
        assert_eq!(statuses.iter().filter(|status| **status == 429).count(), 11, "{statuses:?}");
    }
}
