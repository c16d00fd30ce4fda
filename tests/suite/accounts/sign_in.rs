//! Sign-in: failed attempts reveal nothing, and their load is bounded.

use support::{Application, Member, PASSWORD, Setup, json, new_email};

use super::{NEW_PASSWORD, text};

#[tokio::test]
async fn a_failed_sign_in_reveals_nothing() {
    let app = Application::start().await;
    let anna = app.sign_up("Anna").await;
    let mut answers = Vec::new();
    for (email, password) in [
        (anna.email.as_str(), "Wr0ng-Password"),
        ("nobody@example.test", PASSWORD),
        ("nonsense", PASSWORD),
        ("", ""),
        (anna.email.as_str(), &"x".repeat(500_000)),
        (&"y".repeat(500_000), PASSWORD),
    ] {
        let mut answer = app.anonymous().sign_in(email, password).await;
        answer.refused(401, "invalid_credentials");
        answer.body["request_id"].take();
        answers.push(answer.body);
    }
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    let again = Member::sign_in(&app.url(), &anna.email.to_uppercase(), PASSWORD).await;
    assert_eq!(again.id, anna.id);
    assert_ne!(again.session_id, anna.session_id);
}

#[tokio::test]
async fn a_failed_sign_in_takes_constant_time_for_unknown_accounts() {
    let app = Setup::new().full_hashes().start().await;
    let anna = app.sign_up("Anna").await;
    let anonymous = app.anonymous();
    // Measures CPU time, because wall-clock time depends on other processes.
    let cpu_ticks = || app.instances[0].cpu_ticks();
    let mut costs = [0; 4];
    for round in 0..25 {
        let unknown = format!("nobody-{round}@example.test");
        for (at, email) in [anna.email.as_str(), &unknown, "nonsense"].iter().enumerate() {
            let before = cpu_ticks();
            anonymous.sign_in(email, "Wr0ng-Password").await.refused(401, "invalid_credentials");
            costs[at] += cpu_ticks() - before;
        }
        let before = cpu_ticks();
        anonymous.refresh("unknown").await.refused(401, "unauthenticated");
        costs[3] += cpu_ticks() - before;
    }
    let [known, unknown, nonsense, unhashed] = costs;
    for other in [unknown, nonsense] {
        assert!(other * 2 > known && other < known * 2, "CPU ticks: {known}, {unknown}, {nonsense}");
    }
    // The comparison is meaningful only if hashing takes most of the time.
    assert!(unhashed * 3 < known, "CPU ticks: {unhashed} without a hash, {known} with one");
}

#[tokio::test]
async fn concurrent_sign_ins_are_served_or_told_to_retry() {
    let app = Setup::new().full_hashes().start().await;
    let anna = app.sign_up("Anna").await;
    let tasks: Vec<_> = (0..100)
        .map(|_| {
            let (anonymous, email) = (app.anonymous(), anna.email.clone());
            tokio::spawn(async move { anonymous.sign_in(&email, PASSWORD).await })
        })
        .collect();
    // Hashing doesn't delay requests of users who are signed in.
    anna.get("/r1/users/me").await.data();
    assert!(tasks.iter().any(|task| !task.is_finished()), "the request was answered after all sign-ins");
    let mut served = 0;
    for task in tasks {
        let answer = task.await.unwrap();
        match answer.status {
            200 => served += 1,
            _ => _ = answer.refused(503, "unavailable"),
        }
    }
    assert!(served > 0);
}

#[tokio::test]
async fn changing_name_and_password_requires_the_password() {
    let app = Application::start().await;
    let anna = app.sign_up("Anna").await;
    let elsewhere = anna.another_device().await;
    let mut socket = elsewhere.connect().await;
    assert_eq!(anna.patch("/r1/users/me", json!({ "display_name": " Ánna " })).await.data()["display_name"], "Ánna");
    anna.patch("/r1/users/me", json!({ "display_name": "" })).await.names_field("display_name");
    let change = |current: &str, new: &str| json!({ "current_password": current, "password": new });
    anna.patch("/r1/users/me", change("Wr0ng-Password", NEW_PASSWORD)).await.refused(403, "password_wrong");
    anna.patch("/r1/users/me", change(PASSWORD, "weak")).await.names_field("password");
    anna.patch("/r1/users/me", change(PASSWORD, &anna.email)).await.names_field("password");
    anna.patch("/r1/users/me", json!({ "password": NEW_PASSWORD })).await.names_field("current_password");
    for field in ["role", "email", "id", "is_deleted", "password_hash"] {
        let answer = anna.patch("/r1/users/me", json!({ field: "admin" })).await;
        assert!((400..500).contains(&answer.status), "{answer:?}");
    }
    elsewhere.get("/r1/users/me").await.data();

    anna.patch("/r1/users/me", change(PASSWORD, NEW_PASSWORD)).await.data();
    anna.get("/r1/users/me").await.data();
    elsewhere.get("/r1/users/me").await.refused(401, "unauthenticated");
    assert_eq!(socket.closed().await.code, 4401);
    app.anonymous().refresh(elsewhere.refresh_token()).await.refused(401, "unauthenticated");
    app.anonymous().sign_in(&anna.email, PASSWORD).await.refused(401, "invalid_credentials");
    Member::sign_in(&app.url(), &anna.email, NEW_PASSWORD).await;
    let me = anna.get("/r1/users/me").await.data();
    assert_eq!((text(&me, "role"), text(&me, "email")), ("user", anna.email.as_str()));
}

#[tokio::test]
async fn normalizes_passwords_before_hashing() {
    let app = Application::start().await;
    let (composed, in_parts) = ("P\u{e4}sswort-H\u{e4}user 9", "Pa\u{308}sswort-Ha\u{308}user\u{a0}9");
    for (set, typed) in [(composed, in_parts), (in_parts, composed)] {
        let email = new_email("keyboard");
        app.anonymous().sign_up(&email, set, "Anna").await.data_with(201);
        app.anonymous().sign_in(&email, typed).await.data();
        app.anonymous().sign_in(&email, "Passwort-Hauser 9").await.refused(401, "invalid_credentials");
    }
}
