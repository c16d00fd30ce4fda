//! Tests of refresh token rotation: single use, detection of theft, and repetition of lost
//! responses.

use app::App;
use appcore::Code;
use dbcontext::entity::refresh_token;
use identity::accounts::{self, Device, TokenPair};
use sea_orm::EntityTrait;

use crate::instances::{Instances as _, PASSWORD, principal, sign_in, sign_up, stages};

async fn refresh(app: &App, pair: &TokenPair, key: Option<&str>) -> Result<TokenPair, Code> {
    accounts::refresh(&app.identity, pair.refresh_token.expose(), key, Device::default())
        .await
        .map_err(|error| error.code())
}

fn same(one: &TokenPair, other: &TokenPair) -> bool {
    (&one.access_token, &one.refresh_token, one.access_expires_at, one.refresh_expires_at)
        == (&other.access_token, &other.refresh_token, other.access_expires_at, other.refresh_expires_at)
}

#[tokio::test]
async fn token_reuse_ends_the_session() {
    for stage in stages().await {
        let app = stage.instance().await;
        let first = sign_up(&app.identity, "Anna").await;
        let other_device = sign_in(&app.identity, "anna@example.com", PASSWORD, Device::default()).await.unwrap();
        stage.pass(10);
        let second = refresh(&app, &first, None).await.unwrap();
        assert_eq!(second.session_id, first.session_id);
        assert_eq!(second.refresh_expires_at, first.refresh_expires_at, "refreshing doesn't extend a session");
        assert!(second.access_expires_at > first.access_expires_at);
        principal(&app.identity, &second).await;

        assert_eq!(refresh(&app, &first, None).await.unwrap_err(), Code::RefreshReused);
        for pair in [&first, &second] {
            let refused = accounts::authenticate(&app.identity, pair.access_token.expose()).await.unwrap_err();
            assert_eq!(refused.code(), Code::Unauthenticated);
        }
        assert_eq!(refresh(&app, &second, None).await.unwrap_err(), Code::Unauthenticated);
        assert_eq!(refresh(&app, &first, None).await.unwrap_err(), Code::RefreshReused);
        principal(&app.identity, &other_device).await;
        refresh(&app, &other_device, None).await.unwrap();
    }
}

#[tokio::test]
async fn replays_a_lost_response_within_the_grace_period() {
    for stage in stages().await {
        let app = stage.instance().await;
        let first = sign_up(&app.identity, "Anna").await;
        let second = refresh(&app, &first, Some("k1")).await.unwrap();
        stage.pass(29);
        let again = refresh(&app, &first, Some("k1")).await.unwrap();
        assert!(same(&second, &again));

        // The new token stays valid, but it doesn't accept the idempotency key of the previous
        // rotation.
        let third = refresh(&app, &second, Some("k1")).await.unwrap();
        assert!(!same(&second, &third));
        stage.pass(31);
        assert_eq!(
            refresh(&app, &second, Some("k1")).await.unwrap_err(),
            Code::RefreshReused,
            "after the grace period"
        );
        assert_eq!(refresh(&app, &third, None).await.unwrap_err(), Code::Unauthenticated);

        for key in [None, Some("other")] {
            let first = sign_up(&app.identity, if key.is_some() { "Ben" } else { "Cleo" }).await;
            let second = refresh(&app, &first, Some("k1")).await.unwrap();
            assert_eq!(refresh(&app, &first, key).await.unwrap_err(), Code::RefreshReused, "{key:?}");
            assert_eq!(refresh(&app, &second, None).await.unwrap_err(), Code::Unauthenticated);
        }
        let first = sign_up(&app.identity, "Dora").await;
        refresh(&app, &first, None).await.unwrap();
        assert_eq!(
            refresh(&app, &first, Some("k1")).await.unwrap_err(),
            Code::RefreshReused,
            "nothing was stored without a key"
        );
    }
}

#[tokio::test]
async fn concurrent_refreshes_have_one_result() {
    for stage in stages().await {
        let (one, other) = (stage.instance().await, stage.instance().await);
        let first = sign_up(&one.identity, "Anna").await;
        let race = |pair: &TokenPair, key: Option<&'static str>| {
            let tasks: Vec<_> = (0..8)
                .map(|at| {
                    let (app, pair) = (if at % 2 == 0 { one.clone() } else { other.clone() }, pair.clone());
                    tokio::spawn(async move { refresh(&app, &pair, key).await })
                })
                .collect();
            async move {
                let mut results = Vec::new();
                for task in tasks {
                    results.push(task.await.unwrap());
                }
                results
            }
        };
        let answers: Vec<TokenPair> = race(&first, Some("k")).await.into_iter().collect::<Result<_, _>>().unwrap();
        assert!(answers.iter().all(|answer| same(answer, &answers[0])));

        let results = race(&answers[0], None).await;
        assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
        assert_eq!(results.iter().filter(|result| matches!(result, Err(Code::RefreshReused))).count(), 7);
    }
}

#[tokio::test]
async fn refreshing_does_not_extend_the_session() {
    for stage in stages().await {
        let app = stage.try_instance(&[("auth.access_ttl", "100"), ("auth.refresh_ttl", "150")]).await.unwrap();
        let first = sign_up(&app.identity, "Anna").await;
        stage.pass(99);
        principal(&app.identity, &first).await;
        let by_heart = principal(&app.identity, &first).await;
        assert_eq!(by_heart.expires_at, first.access_expires_at);
        let second = refresh(&app, &first, None).await.unwrap();
        assert_eq!(second.access_expires_at, second.refresh_expires_at, "no access token outlives its session");
        stage.pass(10);
        let expired = accounts::authenticate(&app.identity, first.access_token.expose()).await.unwrap_err();
        assert_eq!(expired.code(), Code::Unauthenticated, "cached tokens expire too");
        principal(&app.identity, &second).await;
        stage.pass(42);
        assert!(accounts::authenticate(&app.identity, second.access_token.expose()).await.is_err());
        assert_eq!(refresh(&app, &second, None).await.unwrap_err(), Code::Unauthenticated);
    }
}

#[tokio::test]
async fn stored_hashes_are_not_tokens() {
    for stage in stages().await {
        let app = stage.instance().await;
        let first = sign_up(&app.identity, "Anna").await;
        let second = refresh(&app, &first, Some("k1")).await.unwrap();
        let rows = refresh_token::Entity::find().all(app.db.reader()).await.unwrap();
        assert_eq!(rows.len(), 2);
        let holds = |bytes: &[u8], text: &str| {
            bytes.windows(text.len().min(20)).any(|window| text.as_bytes().starts_with(window))
        };
        for row in &rows {
            for secret in [&first.refresh_token, &second.refresh_token, &second.access_token] {
                assert!(!holds(&row.token_hash, secret.expose()));
                assert!(!holds(row.successor.as_deref().unwrap_or_default(), secret.expose()));
            }
        }
        assert_eq!(rows.iter().filter(|row| row.successor.is_some()).count(), 1);
        // The encrypted response is deleted when it can no longer be requested.
        stage.pass(31);
        refresh(&app, &second, None).await.unwrap();
        let rows = refresh_token::Entity::find().all(app.db.reader()).await.unwrap();
        assert!(rows.iter().all(|row| row.successor.is_none()));
        // The stored hash of a token is not itself a valid token.
        for row in rows {
            let text: String = row.token_hash.iter().map(|byte| format!("{byte:02x}")).collect();
            assert!(accounts::refresh(&app.identity, &text, None, Device::default()).await.is_err());
        }
    }
}

#[tokio::test]
async fn rejects_malformed_tokens() {
    for stage in stages().await {
        let app = stage.instance().await;
        for bad in ["", "x", "\0", &"x".repeat(200_000), "ơ"] {
            let refused = accounts::refresh(&app.identity, bad, None, Device::default()).await.unwrap_err();
            assert_eq!(refused.code(), Code::Unauthenticated);
        }
        for key in ["", &"k".repeat(300)] {
            let refused = accounts::refresh(&app.identity, "x", Some(key), Device::default()).await.unwrap_err();
            assert_eq!(refused.code(), Code::MalformedRequest);
        }
    }
}
