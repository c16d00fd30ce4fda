//! Time zones of users and their visibility.

use support::{Application, Member, PASSWORD, Setup, Value, json};

use super::text;

const ME: &str = "/r1/users/me";

/// Returns the user's time zone from each response to `by` that includes it.
async fn told(by: &Member, of: &Member) -> Vec<Value> {
    let workspaces = by.get("/r1/workspaces").await.data();
    let shared = text(&workspaces["items"][0], "id").to_owned();
    let found = by.get(&format!("/r1/users?q={}", of.email)).await.data();
    let members = by.get(&format!("/r1/workspaces/{shared}/members?q={}", of.email)).await.data();
    let one = by.get(&format!("/r1/users/{}", of.id)).await.data();
    let views = [one, found["items"][0].clone(), members["items"][0]["user"].clone()];
    for view in &views {
        assert_eq!(view["id"], of.id.as_str());
        assert!(view.get("timezone").is_some() && view.get("show_timezone").is_none(), "{view}");
    }
    views.into_iter().map(|view| view["timezone"].clone()).collect()
}

#[tokio::test]
async fn shows_a_time_zone_to_others_until_it_is_hidden() {
    let mut app = Application::start().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let own = anna.get(ME).await.data();
    assert_eq!((&own["timezone"], &own["show_timezone"]), (&Value::Null, &json!(true)));
    assert_eq!(told(&ben, &anna).await, [Value::Null, Value::Null, Value::Null]);

    let changed = anna.patch(ME, json!({ "timezone": "europe/berlin" })).await.data();
    assert_eq!(changed["timezone"], "Europe/Berlin");
    assert_eq!(told(&ben, &anna).await, ["Europe/Berlin"; 3]);

    // The setting is kept after other changes and after a restart.
    anna.patch(ME, json!({ "display_name": "Anne" })).await.data();
    app.instances[0].terminate().await;
    app.instances[0].start_again().await;
    assert_eq!(told(&ben, &anna).await, ["Europe/Berlin"; 3]);

    let hidden = anna.patch(ME, json!({ "show_timezone": false })).await.data();
    assert_eq!((&hidden["timezone"], &hidden["show_timezone"]), (&json!("Europe/Berlin"), &json!(false)));
    assert_eq!(told(&ben, &anna).await, [Value::Null, Value::Null, Value::Null]);
    let again = app.anonymous().sign_in(&anna.email, PASSWORD).await.data();
    assert_eq!(again["user"]["timezone"], "Europe/Berlin");
    // Changing the time zone doesn't make it visible.
    anna.patch(ME, json!({ "timezone": "Asia/Ho_Chi_Minh" })).await.data();
    assert_eq!(told(&ben, &anna).await, [Value::Null, Value::Null, Value::Null]);

    anna.patch(ME, json!({ "show_timezone": true })).await.data();
    assert_eq!(told(&ben, &anna).await, ["Asia/Ho_Chi_Minh"; 3]);
    let cleared = anna.patch(ME, json!({ "timezone": null })).await.data();
    assert_eq!((&cleared["timezone"], &cleared["show_timezone"]), (&Value::Null, &json!(true)));
    assert_eq!(told(&ben, &anna).await, [Value::Null, Value::Null, Value::Null]);
}

#[tokio::test]
async fn rejects_an_invalid_time_zone() {
    let app = Application::start().await;
    let anna = app.sign_up("Anna").await;
    anna.patch(ME, json!({ "timezone": "Asia/Kolkata" })).await.data();
    for name in ["", "Mars/Olympus", "Etc/Unknown", "+07:00", "../etc/passwd", &"Europe/".repeat(40)] {
        let answer = anna.patch(ME, json!({ "timezone": name, "display_name": "Anne" })).await;
        assert_eq!(answer.status, 422, "{name}: {answer:?}");
        answer.names_field("timezone");
    }
    let own = anna.get(ME).await.data();
    assert_eq!((text(&own, "timezone"), text(&own, "display_name")), ("Asia/Kolkata", "Anna"));
}

#[tokio::test]
async fn a_time_zone_is_hidden_from_those_who_cannot_see_its_owner() {
    let app = Setup::new().set("workspaces.shared", "none").start().await;
    let (anna, ben, guest, stranger) = (
        app.sign_up("Anna").await,
        app.sign_up("Ben").await,
        app.sign_up("Guest").await,
        app.sign_up("Stranger").await,
    );
    anna.patch(ME, json!({ "timezone": "Pacific/Chatham" })).await.data();
    let team = text(&anna.post("/r1/workspaces", json!({ "name": "Team" })).await.data_with(201), "id").to_owned();
    let members = format!("/r1/workspaces/{team}/members");
    for (other, role) in [(&ben, "member"), (&guest, "guest")] {
        anna.post(&members, json!({ "user_id": other.id, "role": role })).await.data_with(201);
    }
    for other in [&guest, &stranger] {
        other.get(&format!("/r1/users/{}", anna.id)).await.refused(404, "not_found");
        for path in [&members, &format!("/r1/users?workspace_id={team}"), "/r1/users"] {
            let answer = other.get(path).await;
            assert!(!answer.text().contains("Chatham"), "{path}: {answer:?}");
        }
    }
    // Guests see the profiles of people in their conversations.
    let group = json!({ "kind": "group", "title": "Open", "workspace_id": team, "member_ids": [ben.id, guest.id] });
    anna.post("/r1/conversations", group).await.data_with(201);
    let seen = guest.get(&format!("/r1/users/{}", anna.id)).await.data();
    assert_eq!(seen["timezone"], "Pacific/Chatham");
}

#[tokio::test]
async fn exports_a_time_zone_and_deletes_it_with_the_account() {
    let app = Application::start().await;
    let anna = app.sign_up("Anna").await;
    anna.patch(ME, json!({ "timezone": "Europe/Berlin", "show_timezone": false })).await.data();
    let exported = anna.get("/r1/users/me/export").await.data_with(200);
    assert_eq!(
        (&exported["user"]["timezone"], &exported["user"]["show_timezone"]),
        (&json!("Europe/Berlin"), &json!(false))
    );
    let known = "SELECT COUNT(*) FROM users WHERE timezone IS NOT NULL";
    assert_eq!(app.database.number(known).await, 1);
    let end = anna.request(reqwest::Method::DELETE, ME).json(&json!({ "password": PASSWORD }));
    anna.send(end).await.data_with(200);
    assert_eq!(app.database.number(known).await, 0);
}
