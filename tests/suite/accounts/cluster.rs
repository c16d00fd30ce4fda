//! Accounts on two instances.

use std::time::Duration;

use support::{Caller, PASSWORD, Setup, json, new_email};

use super::{refresh_with_key, refused_after, text};

/// Maximum time until the other instance refuses an ended session because the bus has reported its
/// end. Without the bus, it would cache the session for five seconds.
const TOLD: Duration = Duration::from_secs(4);

#[tokio::test]
async fn rejects_an_ended_session_at_once_on_the_other_instance() {
    let app = Setup::new().instances(2).start().await;
    let there = app.instances[1].url();
    let anna = app.sign_up("Anna").await;
    let mut socket = anna.at(&there).connect().await;
    anna.at(&there).get("/r1/users/me").await.data();
    anna.post("/r1/auth/logout", json!({})).await.data();
    let took = refused_after(&anna.at(&there)).await;
    assert!(took < TOLD, "{took:?}");
    assert_eq!(socket.closed().await.code, 4401);

    let ben = app.sign_up("Ben").await;
    ben.at(&there).get("/r1/users/me").await.data();
    app.anonymous().refresh(ben.refresh_token()).await.data();
    app.anonymous().refresh(ben.refresh_token()).await.refused(401, "refresh_reused");
    let took = refused_after(&ben.at(&there)).await;
    assert!(took < TOLD, "{took:?}");
}

#[tokio::test]
async fn rejects_an_ended_session_within_seconds_without_redis() {
    let mut app = Setup::new().instances(2).start().await;
    let there = app.instances[1].url();
    let anna = app.sign_up("Anna").await;
    app.redis.as_mut().unwrap().stop().await;
    anna.at(&there).get("/r1/users/me").await.data();
    anna.post("/r1/auth/logout", json!({})).await.data();
    anna.get("/r1/users/me").await.refused(401, "unauthenticated");
    refused_after(&anna.at(&there)).await;
    // A ticket is still valid on the instance that has issued it.
    let ben = app.sign_up("Ben").await;
    let ticket = ben.post("/r1/websocket/ticket", json!({})).await.data();
    let path = format!("/r1/websocket?ticket={}", text(&ticket, "ticket"));
    let headers = app.anonymous().headers();
    support::Socket::open(&app.url(), &path, headers, support::Codec::Json).await;
}

#[tokio::test]
async fn tokens_and_tickets_of_one_instance_are_valid_on_the_other() {
    let app = Setup::new().instances(2).start().await;
    let there = app.instances[1].url();
    let anna = app.sign_up("Anna").await;
    let (near, away) = (app.anonymous(), Caller::anonymous(&there));
    anna.at(&there).get("/r1/users/me").await.data();
    let (one, other) = tokio::join!(
        refresh_with_key(&near, anna.refresh_token(), "key-1"),
        refresh_with_key(&away, anna.refresh_token(), "key-1"),
    );
    assert_eq!(one.data(), other.data());
    assert_eq!(app.anonymous().get("/.well-known/jwks.json").await.body, away.get("/.well-known/jwks.json").await.body);

    let ticket = anna.post("/r1/websocket/ticket", json!({})).await.data();
    let path = format!("/r1/websocket?ticket={}", text(&ticket, "ticket"));
    support::Socket::open(&there, &path, away.headers(), support::Codec::Json).await;
    for base in [&there, &app.url()] {
        let Err((status, _)) = support::Socket::try_open(base, &path, away.headers(), support::Codec::Json).await
        else {
            panic!("a ticket was accepted twice")
        };
        assert_eq!(status, 401);
    }
}

#[tokio::test]
async fn concurrent_sign_ups_on_two_instances_create_one_account() {
    let app = Setup::new().instances(2).start().await;
    let email = new_email("race");
    let (one, other) = (app.anonymous(), support::Anonymous(Caller::anonymous(&app.instances[1].url())));
    let (one, other) = tokio::join!(one.sign_up(&email, PASSWORD, "A"), other.sign_up(&email, PASSWORD, "B"));
    let mut statuses = [one.status, other.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409]);
}

#[tokio::test]
async fn rotating_the_signing_key_keeps_sessions_valid() {
    let app = Setup::new().instances(2).start().await;
    let there = app.instances[1].url();
    let anna = app.sign_up("Anna").await;
    let key_of = |token: &str| token.split('.').next().unwrap_or_default().to_owned();
    let published = async |base: &str| {
        let keys = Caller::anonymous(base).get("/.well-known/jwks.json").await.body["keys"].clone();
        keys.as_array().cloned().unwrap_or_default()
    };
    let before = published(&there).await;
    let said = app.command(&["admin", "rotate-keys"]).await;
    assert!(said.status.success(), "{said:?}");
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    support::wait_until("the first instance signs with the new key", || async {
        key_of(anna.another_device().await.access_token()) != key_of(anna.access_token())
    })
    .await;
    // The other instance accepts tokens of the new key even before it has noticed the rotation.
    // Both instances still accept tokens of the old key.
    let newer = anna.another_device().await;
    newer.at(&there).get("/r1/users/me").await.data();
    for base in [&app.url(), &there] {
        anna.at(base).get("/r1/users/me").await.data();
        let keys = published(base).await;
        assert_eq!(keys.len(), 2, "{keys:?}");
        assert!(said.contains(text(&keys[0], "kid")), "{said} {keys:?}");
        assert_eq!(keys[1]["kid"], before[0]["kid"]);
    }
    let again = app.anonymous().refresh(anna.refresh_token()).await.data();
    assert_eq!(key_of(text(&again, "access_token")), key_of(newer.access_token()));
}
