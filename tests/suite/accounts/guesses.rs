//! Guessing passwords: so often and no more, wherever one asks, without a word on whether the account exists, and without locking its
//! owner out.

use reqwest::Method;
use support::{Answer, Application, Caller, PASSWORD, Setup, json, new_email};

use super::text;

/// Addresses are told by a proxy, as the server believes this one.
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
async fn five_failures_are_enough_for_an_address_and_for_an_account() {
    let app = guarded().start().await;
    let email = sign_up(&app, "198.51.100.1").await;
    let unknown = new_email("nobody");
    // By address, whoever is meant.
    for attempt in 0..5 {
        let name = if attempt % 2 == 0 { &unknown } else { &email };
        sign_in(&app.url(), "203.0.113.1", name, "Wr0ng-Password").await.refused(401, "invalid_credentials");
    }
    let refused = sign_in(&app.url(), "203.0.113.1", &new_email("else"), PASSWORD).await;
    refused.refused(429, "too_many_signins");
    let wait: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=900).contains(&wait), "{wait}");

    // By account, from wherever; one that exists and one that does not answer alike.
    for name in [&email, &unknown] {
        let already = if name == &email { 2 } else { 3 };
        for at in already..5 {
            let from = format!("203.0.113.{}", 10 + at);
            sign_in(&app.url(), &from, name, "Wr0ng-Password").await.refused(401, "invalid_credentials");
        }
        sign_in(&app.url(), "203.0.113.99", name, PASSWORD).await.refused(429, "too_many_signins");
    }
    // The owner comes from where they have been before.
    assert_eq!(sign_in(&app.url(), "198.51.100.1", &email, PASSWORD).await.status, 200);
    assert_eq!(sign_in(&app.url(), "198.51.100.2", &email, PASSWORD).await.status, 429);
}

#[tokio::test]
async fn one_network_of_ipv6_is_one_address_and_success_costs_nothing() {
    let app = guarded().start().await;
    let email = sign_up(&app, "2001:db8::1").await;
    for _ in 0..8 {
        assert_eq!(sign_in(&app.url(), "2001:db8::1", &email, PASSWORD).await.status, 200);
    }
    for host in 1..=5 {
        let from = format!("2001:db8:0:1::{host}");
        sign_in(&app.url(), &from, &new_email("x"), "Wr0ng-Password").await.refused(401, "invalid_credentials");
    }
    sign_in(&app.url(), "2001:db8:0:1:ffff::", &email, PASSWORD).await.refused(429, "too_many_signins");
    assert_eq!(sign_in(&app.url(), "2001:db8:0:2::1", &email, PASSWORD).await.status, 200);
}

#[tokio::test]
async fn a_stolen_session_does_not_help_to_guess_the_password() {
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
    async fn two_instances_count_failed_sign_ins_together_to_the_attempt() {
        let app = guarded().instances(2).start().await;
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
