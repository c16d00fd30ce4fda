//! Deletion and export of accounts. Personal data is removed, but shared content stays usable.

use std::time::{Duration, Instant};

use reqwest::Method;
use support::{Answer, Application, Member, PASSWORD, Value, json, new_email, wait_until};

use super::{NEW_PASSWORD, text};

async fn delete(member: &Member, password: &str) -> Answer {
    member.send(member.request(Method::DELETE, "/r1/users/me").json(&json!({ "password": password }))).await
}

fn items(list: &Value) -> Vec<Value> {
    list["items"].as_array().cloned().unwrap_or_default()
}

fn role_of(members: &[Value], id: &str) -> Option<String> {
    let member = members.iter().find(|member| member["user_id"] == id || member["user"]["id"] == id)?;
    member["role"].as_str().map(str::to_owned)
}

#[tokio::test]
async fn a_deleted_account_is_signed_out_at_once_and_frees_its_address() {
    let app = Application::start().await;
    let anna = app.sign_up("Anna").await;
    let elsewhere = anna.another_device().await;
    let (mut socket, mut other) = (anna.connect().await, elsewhere.connect().await);
    let ben = app.sign_up("Ben").await;
    let message = anna.send_message(&anna.open_single(&ben).await, "Kept").await;
    for kept in ["saved", "follow"] {
        anna.put(&format!("/r1/messages/{}/{kept}", text(&message, "id")), json!({})).await.data();
    }
    anna.put("/r1/users/me/instructions", json!({ "instructions": "I live in Hue." })).await.data();
    delete(&anna, "Wr0ng-Password").await.refused(403, "password_wrong");
    anna.delete("/r1/users/me").await.names_field("password");
    anna.get("/r1/users/me").await.data();

    delete(&anna, PASSWORD).await.data_with(200);
    let deleted = Instant::now();
    assert_eq!((socket.closed().await.code, other.closed().await.code), (4401, 4401));
    // The bus closes the connections, not the periodic check every 15 seconds.
    assert!(deleted.elapsed() < Duration::from_secs(10), "took {:?}", deleted.elapsed());
    for device in [&anna, &elsewhere] {
        device.get("/r1/users/me").await.refused(401, "unauthenticated");
        app.anonymous().refresh(device.refresh_token()).await.refused(401, "unauthenticated");
    }
    app.anonymous().sign_in(&anna.email, PASSWORD).await.refused(401, "invalid_credentials");
    for table in ["users", "audit_log", "jobs", "conversation_events", "mail_tokens"] {
        wait_until("the personal data is deleted", || async {
            let rows = format!("SELECT COUNT(*) FROM {table} t WHERE CAST(t AS TEXT) LIKE '%{}%'", anna.email);
            let sqlite = format!("SELECT COUNT(*) FROM users WHERE email = '{}'", anna.email);
            let is_sqlite = app.database.url.starts_with("sqlite");
            app.database.number(if is_sqlite { &sqlite } else { &rows }).await == 0
        })
        .await;
    }
    for (table, column) in [
        ("user_sessions", "user_id"),
        ("known_devices", "user_id"),
        ("mail_tokens", "subject"),
        ("saved_messages", "user_id"),
        ("thread_followers", "user_id"),
        ("user_settings", "user_id"),
        ("sections", "user_id"),
        ("chat_shares", "user_id"),
    ] {
        let of = if app.database.url.starts_with("sqlite") {
            format!("x'{}'", anna.id.replace('-', ""))
        } else {
            format!("'{}'", anna.id)
        };
        let rows = format!("SELECT COUNT(*) FROM {table} WHERE {column} = {of}");
        assert_eq!(app.database.number(&rows).await, 0, "{table}");
    }
    let again = app.anonymous().sign_up(&anna.email, NEW_PASSWORD, "Another").await.data_with(201);
    assert_ne!(text(&again["user"], "id"), anna.id);
}

#[tokio::test]
async fn conversations_with_a_deleted_account_stay_usable() {
    let app = Application::start().await;
    let [anna, ben, carl, dora] =
        [app.sign_up("Anna").await, app.sign_up("Ben").await, app.sign_up("Carl").await, app.sign_up("Dora").await];
    let pair = anna.open_single(&ben).await;
    let said = anna.send_message(&pair, "Only for Ben").await;
    let group = anna.open_group("Plans", &[&ben, &carl, &dora]).await;
    anna.send_message(&group, "Hello all").await;
    anna.patch(&format!("/r1/conversations/{group}/members/{}", carl.id), json!({ "role": "admin" })).await.data();
    let chat = anna.open_assistant().await;
    anna.send_message(&chat, "My secret").await;
    let team = text(&anna.post("/r1/workspaces", json!({ "name": "Team" })).await.data_with(201), "id").to_owned();
    let members = format!("/r1/workspaces/{team}/members");
    for (who, role) in [(&ben, "member"), (&dora, "admin")] {
        anna.post(&members, json!({ "user_id": who.id, "role": role })).await.data_with(201);
    }
    let mut socket = ben.connect().await;

    delete(&anna, PASSWORD).await.data_with(200);
    let gone = socket.expect_in("member.removed", &group).await;
    assert_eq!(gone.payload["user_id"], anna.id.as_str());

    // The other user keeps the history.
    let history = ben.history(&pair).await;
    assert_eq!((history.len(), text(&history[0], "content")), (1, "Only for Ben"));
    assert_eq!(history[0]["id"], said["id"]);
    assert_eq!(history[0]["sender"], json!({ "kind": "deleted", "id": null, "name": "Deleted user" }));
    assert!(!ben.conversation(&pair).await.to_string().contains("Anna"));
    // The administrator of the group becomes its owner.
    let people = carl.get(&format!("/r1/conversations/{group}/members")).await.data();
    let people = people.as_array().cloned().unwrap_or_else(|| items(&people));
    assert_eq!((role_of(&people, &anna.id), role_of(&people, &carl.id)), (None, Some("owner".to_owned())));
    carl.patch(&format!("/r1/conversations/{group}"), json!({ "title": "Other plans" })).await.data();
    ben.send_message(&group, "Who is there?").await;
    // The workspace gets a new owner as well.
    let people = items(&ben.get(&members).await.data());
    assert_eq!((role_of(&people, &anna.id), role_of(&people, &dora.id)), (None, Some("owner".to_owned())));
    ben.get(&format!("/r1/users/{}", anna.id)).await.refused(404, "not_found");

    // The name, and content that only the deleted user has read, are removed from the log.
    wait_until("the name is removed from the log", || async {
        let named = "SELECT (SELECT COUNT(*) FROM conversation_events WHERE payload LIKE '%\"Anna\"%') + (SELECT COUNT(*) FROM messages WHERE content = 'My secret')";
        app.database.number(named).await == 0
    })
    .await;
    let log = ben.event_log(&group).await;
    let told = log.iter().find(|event| event["payload"]["message"]["content"] == "Hello all").expect("present");
    assert_eq!(told["payload"]["message"]["sender"]["name"], "Deleted user");
    assert!(log.iter().any(|event| event["payload"]["message"]["sender"]["name"] == "Ben"), "names of others stay");
}

#[tokio::test]
async fn an_export_contains_only_the_accounts_own_data() {
    let app = Application::start().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let pair = anna.open_single(&ben).await;
    for at in 0..230 {
        anna.send_message(&pair, &format!("From Anna {at}")).await;
    }
    ben.send_message(&pair, "From Ben").await;
    let answer = anna.get("/r1/users/me/export").await;
    assert!(answer.header("content-length").is_none(), "the response is chunked");
    let data = answer.data_with(200);
    assert_eq!((text(&data["user"], "email"), text(&data["user"], "id")), (anna.email.as_str(), anna.id.as_str()));
    let count = |field: &str| data[field].as_array().map_or(0, Vec::len);
    assert_eq!((count("messages"), count("sessions"), count("conversations")), (230, 1, 2));
    assert!(count("workspaces") >= 2 && count("known_devices") == 1);
    assert!(!data.to_string().contains("From Ben") && !data.to_string().contains(&ben.email));
    let seqs: Vec<i64> =
        data["messages"].as_array().unwrap().iter().filter_map(|message| message["seq"].as_i64()).collect();
    assert!(seqs.is_sorted() && seqs.len() == 230);
    app.anonymous().get("/r1/users/me/export").await.refused(401, "unauthenticated");
    let packed = anna.request(Method::GET, "/r1/users/me/export").header("accept", "application/msgpack");
    assert_eq!(anna.send(packed).await.status, 406);
    let nobody = app.anonymous().sign_up(&new_email("new"), PASSWORD, "New").await.data_with(201);
    assert!(nobody["access_token"].is_string());
}

#[tokio::test]
async fn removing_a_deleted_account_keeps_the_order_of_others_lists() {
    let app = Application::start().await;
    let [anna, ben, carl] = [app.sign_up("Anna").await, app.sign_up("Ben").await, app.sign_up("Carl").await];
    let plans = anna.open_group("Plans", &[&ben, &carl]).await;
    anna.send_message(&plans, "Hello all").await;
    let dora = app.sign_up("Dora").await;
    let later = ben.open_group("Later", &[&carl, &dora]).await;
    ben.send_message(&later, "Hello again").await;
    let order = async || {
        let listed = ben.get("/r1/conversations").await.data();
        let ids = listed["items"].as_array().unwrap().iter().map(|one| text(one, "id").to_owned());
        ids.collect::<Vec<String>>()
    };
    let before = order().await;
    let mut socket = ben.connect().await;
    delete(&anna, PASSWORD).await.data_with(200);
    socket.expect_in("member.removed", &plans).await;
    assert_eq!(order().await, before);
    carl.send_message(&plans, "Who is left?").await;
    assert_eq!(order().await[0], plans);
}
