//! Editing, deleting and sharing of assistants.

use reqwest::Method;
use support::{Application, Behaviour, Member, Setup, Upstream, UpstreamKind, Value, json};

use super::begun;

/// Anna's workspace. Ben is a member, Cara a guest, and Dora an administrator.
struct Team {
    app: Application,
    upstream: Upstream,
    anna: Member,
    ben: Member,
    cara: Member,
    dora: Member,
    id: String,
}

impl Team {
    async fn start() -> Self {
        let upstream = Upstream::start(UpstreamKind::OpenAi).await;
        let app = Setup::new().provider(&upstream).start().await;
        let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
        let (cara, dora) = (app.sign_up("Cara").await, app.sign_up("Dora").await);
        let team = anna.post("/r1/workspaces", json!({ "name": "Harbour" })).await.data_with(201);
        let id = team["id"].as_str().unwrap().to_owned();
        for (person, role) in [(&ben, "member"), (&cara, "guest"), (&dora, "admin")] {
            let body = json!({ "user_id": person.id, "role": role });
            anna.post(&format!("/r1/workspaces/{id}/members"), body).await.data_with(201);
        }
        Self { app, upstream, anna, ben, cara, dora, id }
    }

    async fn assistant(&self, by: &Member, mut fields: Value) -> String {
        fields["workspace_id"] = json!(self.id);
        by.post("/r1/assistants", fields).await.data_with(201)["id"].as_str().unwrap().to_owned()
    }

    async fn names(&self, by: &Member) -> Vec<String> {
        let listed = by.get(&format!("/r1/assistants?workspace_id={}", self.id)).await.data();
        listed["items"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap().to_owned()).collect()
    }

    async fn chat(&self, by: &Member, assistant: &str) -> String {
        let new = json!({ "kind": "assistant", "assistant_id": assistant, "workspace_id": self.id });
        by.post("/r1/conversations", new).await.data_with(201)["id"].as_str().unwrap().to_owned()
    }
}

fn path(id: &str) -> String {
    format!("/r1/assistants/{id}")
}

#[tokio::test]
async fn creators_and_admins_edit_an_assistant() {
    let team = Team::start().await;
    let id = team.assistant(&team.ben, json!({ "name": "Ada" })).await;
    let mut socket = team.anna.connect().await;
    let change = json!({
        "name": "Ada Lovelace",
        "description": "Counts and checks",
        "model": "large",
        "system_prompt": "For {{user.name}} of {{workspace}}.",
        "temperature": 0.4,
        "max_answer_tokens": 300,
        "picture": { "glyph": "🦊", "hue": 210 },
        "tools_enabled": true,
        "answers_mentions": false,
        "model_choice": false,
        "starters": ["What is due?", " ", "Sum it up"],
    });
    let changed = team.ben.patch(&path(&id), change).await.data();
    assert_eq!(changed["name"], "Ada Lovelace");
    assert_eq!(changed["picture"], json!({ "glyph": "🦊", "hue": 210 }));
    assert_eq!((&changed["temperature"], &changed["max_answer_tokens"]), (&json!(0.4), &json!(300)));
    assert_eq!(changed["starters"], json!(["What is due?", "Sum it up"]));
    assert_eq!((&changed["may_edit"], &changed["tools_enabled"]), (&json!(true), &json!(true)));
    assert_eq!(socket.expect("assistants.changed").await.payload, json!({ "workspace_id": team.id }));
    // Fields that are absent stay unchanged; null clears a field.
    let changed = team.dora.patch(&path(&id), json!({ "temperature": null, "picture": null })).await.data();
    assert_eq!(
        (&changed["temperature"], &changed["picture"], &changed["model"]),
        (&json!(null), &json!(null), &json!("large"))
    );
    assert_eq!(team.ben.get(&path(&id)).await.data(), changed);
    // Other members can use the assistant but don't see its instructions.
    let other = team.assistant(&team.anna, json!({ "name": "Grace" })).await;
    let seen = team.ben.get(&path(&other)).await.data();
    assert_eq!((&seen["may_edit"], &seen["system_prompt"]), (&json!(false), &json!(null)));
    team.ben.patch(&path(&other), json!({ "name": "Mine" })).await.refused(403, "forbidden");
    team.ben.delete(&path(&other)).await.refused(403, "forbidden");
    team.cara.patch(&path(&other), json!({ "name": "Mine" })).await.refused(404, "not_found");
    team.app.sign_up("Mallory").await.delete(&path(&other)).await.refused(404, "not_found");
    team.ben.patch(&path(&id), json!({ "name": "grace" })).await.names_field("name");
    let default = team.anna.get("/r1/assistants").await.data()["items"][0].clone();
    team.anna.patch(&path(default["id"].as_str().unwrap()), json!({ "name": "X" })).await.refused(403, "forbidden");
}

#[tokio::test]
async fn an_answer_uses_the_assistants_current_settings() {
    let team = Team::start().await;
    let id = team.assistant(&team.ben, json!({ "name": "Ada", "model": "small" })).await;
    let chat = team.chat(&team.ben, &id).await;
    let change = json!({
        "model": "large", "temperature": 0.4, "max_answer_tokens": 300,
        "system_prompt": "For {{ user.name }} of {{workspace}}, not {{else}}.",
    });
    team.ben.patch(&path(&id), change).await.data();
    let mut socket = team.ben.connect().await;
    team.ben.send_message(&chat, "Hello?").await;
    begun(&mut socket, &chat).await;
    socket.expect_in("message.completed", &chat).await;
    let body = team.upstream.asked()[0].body.clone();
    assert_eq!(
        (&body["model"], &body["temperature"], &body["max_tokens"]),
        (&json!("large"), &json!(0.4), &json!(300))
    );
    assert_eq!(body["messages"][0]["content"], "For Ben of Harbour, not {{else}}.");
}

#[tokio::test]
async fn a_private_assistant_is_invisible_to_others() {
    let team = Team::start().await;
    let own = team.assistant(&team.ben, json!({ "name": "Diary", "visibility": "private" })).await;
    // Other users may use the same name.
    team.assistant(&team.anna, json!({ "name": "Diary" })).await;
    assert_eq!(team.names(&team.anna).await, ["Quill", "Diary"]);
    assert_eq!(team.names(&team.ben).await, ["Quill", "Diary", "Diary"]);
    for person in [&team.anna, &team.dora, &team.cara] {
        person.get(&path(&own)).await.refused(404, "not_found");
        person.patch(&path(&own), json!({ "name": "X" })).await.refused(404, "not_found");
    }
    let theirs = json!({ "kind": "assistant", "assistant_id": own, "workspace_id": team.id });
    team.anna.post("/r1/conversations", theirs).await.names_field("assistant_id");
    // If an assistant is made private, users who have talked to it no longer see it.
    let shared = team.assistant(&team.ben, json!({ "name": "Ada" })).await;
    let chat = team.chat(&team.anna, &shared).await;
    team.ben.patch(&path(&shared), json!({ "visibility": "private" })).await.data();
    let message = json!({ "client_id": "c1", "content": "Still there?" });
    let refused = team.anna.post(&format!("/r1/conversations/{chat}/messages"), message).await;
    refused.refused(409, "wrong_state");
    // The private assistant is deleted when the account of its creator is deleted.
    let gone = team.ben.request(Method::DELETE, "/r1/users/me").json(&json!({ "password": support::PASSWORD }));
    team.ben.send(gone).await.data();
    assert_eq!(team.app.database.number("SELECT count(*) FROM assistants WHERE NOT is_deleted").await, 2);
}

#[tokio::test]
async fn chats_of_a_deleted_assistant_stay_readable() {
    let team = Team::start().await;
    let id = team.assistant(&team.ben, json!({ "name": "Ada" })).await;
    let chat = team.chat(&team.ben, &id).await;
    let mut socket = team.ben.connect().await;
    team.ben.send_message(&chat, "Hello?").await;
    let answer = begun(&mut socket, &chat).await;
    socket.expect_in("message.completed", &chat).await;
    // An answer that is in progress is completed with the old settings.
    team.upstream.then(Behaviour::step("Good bye"));
    team.ben.send_message(&chat, "And now?").await;
    begun(&mut socket, &chat).await;
    team.ben.delete(&path(&id)).await.data();
    team.upstream.release(2);
    let ended = socket.expect_in("message.completed", &chat).await;
    assert_eq!(ended.payload["message"]["content"], "Good bye");
    team.ben.get(&path(&id)).await.refused(404, "not_found");
    assert_eq!(team.names(&team.ben).await, ["Quill"]);
    let conversation = team.ben.conversation(&chat).await;
    assert!(conversation.get("assistants").is_none(), "{conversation}");
    assert_eq!(team.ben.history(&chat).await.len(), 4);
    let message = json!({ "client_id": "c1", "content": "Anybody?" });
    team.ben.post(&format!("/r1/conversations/{chat}/messages"), message).await.refused(409, "wrong_state");
    // Generating the answer again fails, with the reason.
    team.ben.post(&format!("/r1/messages/{answer}/regenerate"), json!({})).await.data();
    let failed = socket.expect_in("message.failed", &chat).await;
    assert_eq!(failed.payload["reason"], "This assistant is no longer available.");
    // The name can be used again.
    team.assistant(&team.anna, json!({ "name": "Ada" })).await;
}

#[tokio::test]
async fn rejects_invalid_assistant_fields_by_name() {
    let team = Team::start().await;
    let id = team.assistant(&team.ben, json!({ "name": "Ada" })).await;
    for (field, value) in [
        ("name", json!("")),
        ("description", json!("x".repeat(201))),
        ("model", json!("no-such-model")),
        ("system_prompt", json!("x".repeat(8_001))),
        ("temperature", json!(2.1)),
        ("max_answer_tokens", json!(0)),
        ("picture", json!({ "glyph": "<b>" })),
        ("picture", json!({ "glyph": "leaf", "hue": 360 })),
        ("starters", json!(vec!["a"; 9])),
        ("visibility", json!("everybody")),
    ] {
        let mut change = json!({});
        change[field] = value;
        team.ben.patch(&path(&id), change).await.names_field(field);
    }
}
