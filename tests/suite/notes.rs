//! Notes: private, synchronised across devices, and safe under concurrent writes.

use support::{Application, Member, Setup, Value, json, new_id};

use crate::endpoints::{Args, SampleCall, plain, sample};

fn at(id: &str) -> String {
    format!("/r1/notes/{id}")
}

async fn put(by: &Member, id: &str, content: &str, version: i64) -> Value {
    let body = json!({ "title": "Call", "content": content, "version": version });
    by.put(&at(id), body).await.data_with(if version == 0 { 201 } else { 200 })
}

async fn since(by: &Member, note: &Value) -> Vec<Value> {
    let path = format!("/r1/notes?since={}", note["updated_at"].as_str().unwrap());
    by.get(&path).await.data()["items"].as_array().unwrap().clone()
}

pub(crate) fn sample_calls() -> Vec<SampleCall> {
    vec![
        plain(&["ListNotes"]),
        sample(&["PutNote"], async |_| {
            Args::id(new_id()).with_body(json!({ "title": "Call", "content": "Eleven o'clock" }))
        }),
        sample(&["ShowNote", "DeleteNote"], async |world| {
            let id = new_id();
            world.owner.put(&at(&id), json!({ "content": "Kept" })).await.data_with(201);
            Args::id(id)
        }),
    ]
}

#[tokio::test]
async fn synchronizes_private_notes_across_devices() {
    let app = Application::start().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let phone = anna.another_device().await;
    let (mut socket, id) = (phone.connect().await, new_id());
    let written = "2026-01-02T03:04:05.000Z";
    let body = json!({ "title": " Call ", "content": "- [ ] Ask Mai", "updated_at": written });
    let first = anna.put(&at(&id), body.clone()).await.data_with(201);
    assert_eq!((&first["title"], &first["version"], &first["pinned"]), (&json!("Call"), &json!(1), &json!(false)));
    assert_eq!((&first["edited_at"], &first["deleted_at"]), (&json!(written), &Value::Null));
    let told = socket.expect("note.changed").await;
    assert_eq!((&told.payload["note_id"], &told.payload["version"]), (&json!(id), &json!(1)));
    // The request is sent again, as after a lost response.
    assert_eq!(anna.put(&at(&id), body).await.data_with(200), first);
    assert_eq!(phone.get(&at(&id)).await.data(), first);
    let second = put(&phone, &id, "Changed", 1).await;
    assert_eq!(second["version"], 2);
    assert!(second["updated_at"].as_str() > first["updated_at"].as_str());
    assert_eq!(since(&anna, &first).await, std::slice::from_ref(&second));
    assert_eq!(since(&anna, &second).await, [] as [Value; 0]);

    for call in [ben.get(&at(&id)).await, ben.delete(&at(&id)).await] {
        call.refused(404, "not_found");
    }
    assert_eq!(ben.get("/r1/notes").await.data()["total"], 0);
    // A note of another user with the same id is a different note.
    put(&ben, &id, "Mine", 0).await;
    assert_eq!(anna.get(&at(&id)).await.data(), second);

    anna.delete(&format!("{}?version=1", at(&id))).await.refused(409, "stale");
    anna.delete(&format!("{}?version=2", at(&id))).await.data();
    anna.delete(&at(&id)).await.data();
    anna.get(&at(&id)).await.refused(404, "not_found");
    assert_eq!(anna.get("/r1/notes").await.data()["total"], 0);
    let gone = since(&phone, &second).await;
    assert_eq!((&gone[0]["id"], &gone[0]["content"], &gone[0]["title"]), (&json!(id), &json!(""), &json!("")));
    assert!(gone[0]["deleted_at"].is_string());
    // A device that has changes made offline can restore a deleted note.
    let stale = phone.put(&at(&id), json!({ "content": "Away", "version": 2 })).await;
    stale.refused(409, "stale");
    assert_eq!(stale.body["details"]["version"], 3);
    assert_eq!(put(&phone, &id, "Away", 3).await["deleted_at"], Value::Null);
}

#[tokio::test]
async fn a_conflicting_write_of_a_note_returns_the_other_version() {
    let app = Application::start().await;
    let anna = app.sign_up("Anna").await;
    let phone = anna.another_device().await;
    let id = new_id();
    put(&anna, &id, "First", 0).await;
    for version in 1..6 {
        let body = |text: &str| json!({ "title": "Call", "content": format!("{text} {version}"), "version": version });
        let (path, desk) = (at(&id), body("desk"));
        let (one, other) = tokio::join!(anna.put(&path, desk), phone.put(&path, body("phone")));
        let (won, lost) = if one.status == 200 { (one, other) } else { (other, one) };
        lost.refused(409, "stale");
        assert_eq!(lost.body["details"], won.data());
    }
    // Notes that are stored at the same moment have different timestamps.
    let made: Vec<String> = (0..30).map(|_| new_id()).collect();
    futures_util::future::join_all(made.iter().map(|id| put(&anna, id, "At once", 0))).await;
    let mut found = Vec::new();
    let mut last = anna.get(&at(&id)).await.data();
    loop {
        let part = since(&phone, &last).await;
        let Some(end) = part.last() else { break };
        last = end.clone();
        found.extend(part.iter().map(|note| note["id"].as_str().unwrap().to_owned()));
    }
    found.sort();
    let mut wanted = made;
    wanted.sort();
    assert_eq!(found, wanted);
}

#[tokio::test]
async fn rejects_invalid_note_fields_by_name() {
    let app = Application::start().await;
    let anna = app.sign_up("Anna").await;
    let path = at(&new_id());
    anna.put(&path, json!({ "title": "x".repeat(201) })).await.names_field("title");
    anna.put(&path, json!({ "content": "x".repeat(100_001) })).await.names_field("content");
    anna.put(&path, json!({ "version": -1 })).await.names_field("version");
    anna.put("/r1/notes/nonsense", json!({})).await.refused(404, "not_found");
    // Updates a note that never existed.
    anna.put(&path, json!({ "content": "Lost", "version": 4 })).await.refused(404, "not_found");
    anna.get("/r1/notes?since=yesterday").await.names_field("since");
    anna.get("/r1/notes?since=2020-01-01T00:00:00Z").await.refused(410, "cursor_expired");
    anna.put(&path, json!({ "title": "", "content": "y".repeat(100_000) })).await.data_with(201);
    assert_eq!(anna.get("/r1/notes?page_size=200").await.data()["page_size"], 25);
    let export = anna.get("/r1/users/me/export").await.data();
    assert_eq!(export["notes"][0]["content"].as_str().unwrap().len(), 100_000);
}

mod cluster {
    use super::*;

    #[tokio::test]
    async fn note_changes_reach_the_other_instance() {
        let app = Setup::new().instances(2).start().await;
        let anna = app.sign_up("Anna").await;
        let there = anna.at(&app.instances[1].url());
        let mut socket = there.connect().await;
        let id = new_id();
        put(&anna, &id, "Here", 0).await;
        assert_eq!(socket.expect("note.changed").await.payload["note_id"], json!(id));
        assert_eq!(there.get(&at(&id)).await.data()["content"], "Here");
    }
}
