//! Comparison: two models answer a question at the same time, and the reader chooses the answer
//! with which to continue.

use support::{Behaviour, Frame, Setup, Socket, UpstreamKind, Value, json, new_id, wait_until};

use super::{Chat, append, begun, stored};

impl Chat {
    /// Requests a second answer from another model.
    async fn compare(&self, answer: &str, model: &str) -> Value {
        let second = self.anna.post(&format!("/r1/messages/{answer}/compare"), json!({ "model": model })).await;
        second.data_with(201)
    }

    /// Waits until viewers get a state of the second answer for which the condition is true.
    async fn compared(&mut self, id: &str, fits: impl Fn(&Value) -> bool) -> Value {
        let is_meant = |frame: &Frame| {
            frame.kind == "message.compared" && frame.payload["message"]["id"] == id && fits(&frame.payload)
        };
        self.socket.find("the answer that is compared", is_meant).await.payload
    }

    async fn stop(&self, id: &str) -> Value {
        self.anna.post(&format!("/r1/messages/{id}/stop"), json!({})).await.data()
    }
}

/// Reads chunks of an answer until its text is `expected`.
async fn read_of(socket: &mut Socket, message: &str, text: &mut String, expected: &str) {
    while text.as_str() != expected {
        let is_next = |frame: &Frame| frame.kind == "message.delta" && frame.payload["message_id"] == message;
        append(text, &socket.find("a piece of the answer", is_next).await);
        assert!(expected.starts_with(text.as_str()), "{text:?} is not a prefix of {expected:?}");
    }
}

fn id_of(message: &Value) -> String {
    message["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn two_models_answer_concurrently_and_the_chosen_answer_continues() {
    let mut chat = Chat::start(Setup::new(), UpstreamKind::OpenAi).await;
    let (mut one, mut other) = (String::new(), String::new());
    chat.upstream.then(Behaviour::step("One two three"));
    let first = chat.ask("Count").await;
    chat.upstream.release(1);
    read_of(&mut chat.socket, &first, &mut one, "One ").await;

    chat.upstream.then(Behaviour::stall("Eins zwei "));
    let started = chat.compare(&first, "large").await;
    let second = id_of(&started);
    assert_eq!((&started["status"], &started["model"]), (&json!("streaming"), &json!("large")));
    assert_eq!(started["reply_to"], chat.message(&first).await["reply_to"]);
    read_of(&mut chat.socket, &second, &mut other, "Eins zwei ").await;
    // The first answer is still being generated.
    chat.upstream.release(1);
    read_of(&mut chat.socket, &first, &mut one, "One two ").await;
    assert_eq!(chat.shown().await.len(), 2, "the second answer is not listed");
    let compare = format!("/r1/messages/{first}/compare");
    chat.anna.post(&compare, json!({ "model": "small" })).await.refused(409, "wrong_state");

    // One answer is stopped; the other one continues.
    chat.stop(&second).await;
    let ended = chat.compared(&second, |told| told["message"]["status"] != "streaming").await;
    let message = &ended["message"];
    assert_eq!((&message["status"], &message["content"]), (&json!("stopped"), &json!("Eins zwei ")));
    assert_eq!((&ended["answer_id"], ended.get("version")), (&json!(first), None));
    assert_eq!(chat.message(&first).await["status"], "streaming");
    chat.upstream.release(1);
    let completed = chat.ended("message.completed").await["message"].clone();
    assert_eq!((&completed["id"], &completed["content"]), (&json!(first), &json!("One two three")));
    assert_eq!(completed["versions"], json!({ "index": 1, "count": 2 }));
    assert_eq!(chat.compared(&second, |told| told["version"] == 2).await["message"]["content"], "Eins zwei ");
    assert!(chat.message(&second).await["deleted_at"].is_string());

    let shown = chat.show(&first, 2).await;
    assert_eq!((&shown["content"], &shown["model"]), (&json!("Eins zwei "), &json!("large")));
    assert_eq!(chat.shown().await, ["Count", "Eins zwei "]);
    let asked = chat.upstream.asked();
    assert_eq!((&asked[0].body["model"], &asked[1].body["model"]), (&json!("small"), &json!("large")));
    assert_eq!(asked[0].body["messages"], asked[1].body["messages"]);
    // The model does not receive the discarded answer.
    chat.talk("And then?", "Drei.").await;
    let told = chat.upstream.asked().last().unwrap().body["messages"].to_string();
    assert!(told.contains("Eins zwei") && !told.contains("One two"), "{told}");
    let log = format!("{:?}", chat.anna.event_log(&chat.id).await);
    assert!(!log.contains("One two"), "the log has the shown answer: {log}");
}

#[tokio::test]
async fn the_second_answer_becomes_a_version_regardless_of_finish_order() {
    let mut chat = Chat::start(Setup::new(), UpstreamKind::OpenAi).await;
    // The second answer ends first. Choosing it stops the first one.
    chat.upstream.then(Behaviour::stall("On and "));
    let first = chat.ask("Say something").await;
    stored(&chat.anna, &first, "On and ").await;
    chat.upstream.then(Behaviour::answer("Large words."));
    let second = id_of(&chat.compare(&first, "large").await);
    let ended = chat.compared(&second, |told| told["message"]["status"] == "complete").await;
    assert_eq!(ended["message"]["content"], "Large words.");
    let version = format!("/r1/messages/{first}/version");
    chat.anna.put(&version, json!({ "index": 2 })).await.refused(409, "wrong_state");
    chat.stop(&first).await;
    assert_eq!(chat.ended("message.completed").await["message"]["versions"], json!({ "index": 1, "count": 2 }));
    chat.compared(&second, |told| told["version"] == 2).await;
    assert_eq!(chat.show(&first, 2).await["content"], "Large words.");

    // The first answer has already ended.
    let (_, first) = chat.talk("And now?", "Small words.").await;
    chat.upstream.then(Behaviour::step("Larger words."));
    let second = id_of(&chat.compare(&first, "large").await);
    chat.upstream.release(2);
    chat.compared(&second, |told| told["version"] == 2).await;
    let is_told = |frame: &Frame| {
        frame.kind == "message.updated" && frame.payload["message"]["versions"] == json!({ "index": 1, "count": 2 })
    };
    let updated = chat.socket.find("a second version", is_told).await.payload["message"].clone();
    assert_eq!((&updated["id"], &updated["content"]), (&json!(first), &json!("Small words.")));
    assert_eq!(chat.show(&first, 2).await["content"], "Larger words.");

    // An empty answer doesn't become a version.
    let (_, first) = chat.talk("Once more?", "Yes.").await;
    chat.upstream.then(Behaviour::Refuse(400, None));
    let second = id_of(&chat.compare(&first, "large").await);
    let failed = chat.compared(&second, |told| told["message"]["status"] == "failed").await;
    assert!(failed["message"]["reason"].is_string() && failed.get("version").is_none(), "{failed}");
    assert!(chat.versions(&first).await.is_null());
}

#[tokio::test]
async fn continues_both_answers_after_their_instance_is_killed() {
    let mut chat = Chat::start(Setup::new(), UpstreamKind::OpenAi).await;
    chat.upstream.then(Behaviour::stall("Lost in "));
    let first = chat.ask("Go on").await;
    stored(&chat.anna, &first, "Lost in ").await;
    chat.upstream.then(Behaviour::stall("Also lost "));
    let second = id_of(&chat.compare(&first, "large").await);
    stored(&chat.anna, &second, "Also lost ").await;
    chat.app.instances[0].kill().await;
    chat.upstream.always(Behaviour::answer("Found again, both of them."));
    chat.app.instances[0].start_again().await;
    let (anna, path) = (&chat.anna, format!("/r1/messages/{first}"));
    let is_whole = async || anna.get(&path).await.data()["versions"] == json!({ "index": 1, "count": 2 });
    wait_until("the second answer is a version of the first", is_whole).await;
    assert_eq!(chat.shown().await, ["Go on", "Found again, both of them."]);
    let shown = chat.show(&first, 2).await;
    assert_eq!((&shown["content"], &shown["model"]), (&json!("Found again, both of them."), &json!("large")));
    assert_eq!(chat.shown().await.len(), 2);
}

#[tokio::test]
async fn both_compared_answers_are_charged_and_never_overdraw() {
    let setup = Setup::new().set("gateway.assumed_output", 100).set("ai.context_tokens", 1_000);
    let mut chat = Chat::start(setup, UpstreamKind::OpenAi).await;
    let admin = chat.app.admin().await;
    for model in ["small", "large"] {
        let price = json!({ "input": 1_000_000, "output": 1_000_000 });
        admin.put(&format!("/r1/admin/models/{model}"), json!({ "price": price })).await.data();
    }
    let budget = format!("/r1/admin/budgets/user/{}", chat.anna.id);
    let set = async |limit: i64| admin.put(&budget, json!({ "limit": limit, "period": "none" })).await.data();
    set(1_000_000).await;
    let (_, first) = chat.talk("Hello?", "Small words.").await;
    chat.upstream.then(Behaviour::answer("Larger words, and more of them."));
    let second = id_of(&chat.compare(&first, "large").await);
    let cost = |message: &Value| message["answer"]["cost"].as_i64().unwrap();
    let told = chat.compared(&second, |told| told["version"] == 2).await;
    let both = cost(&told["message"]) + cost(&chat.message(&first).await);
    let listed = async || admin.get("/r1/admin/budgets").await.data()["items"][0].clone();
    wait_until("the reservation is released", async || listed().await["held"] == 0).await;
    assert_eq!(listed().await["spent"], json!(both));
    assert_eq!(cost(&chat.show(&first, 2).await), cost(&told["message"]));

    // The budget leaves 1,000 micro-credits, but an answer may cost up to 1,100.
    set(both + 1_000).await;
    let refused = chat.anna.post(&format!("/r1/messages/{first}/compare"), json!({ "model": "small" })).await;
    refused.refused(402, "budget_exceeded");
    assert_eq!(chat.app.database.number("SELECT COUNT(*) FROM messages WHERE status = 'streaming'").await, 0);
    assert_eq!((&listed().await["spent"], &listed().await["held"]), (&json!(both), &json!(0)));
}

#[tokio::test]
async fn deleting_an_answer_deletes_its_comparison() {
    let mut chat = Chat::start(Setup::new(), UpstreamKind::OpenAi).await;
    let (_, first) = chat.talk("Who are you?", "A helper.").await;
    chat.upstream.then(Behaviour::step("SECRET-1 SECRET-2"));
    let second = id_of(&chat.compare(&first, "large").await);
    chat.upstream.release(1);
    stored(&chat.anna, &second, "SECRET-1 ").await;
    chat.anna.delete(&format!("/r1/messages/{first}")).await.data();
    chat.upstream.release(1);
    let (database, kept) = (&chat.app.database, "SELECT COUNT(*) FROM messages WHERE content LIKE '%SECRET%'");
    wait_until("the answer jobs end", async || database.number("SELECT COUNT(*) FROM jobs").await == 0).await;
    assert_eq!(database.number(kept).await, 0);
    assert_eq!(database.number("SELECT COUNT(*) FROM message_versions").await, 0);
    // The event of the question is unchanged.
    let log = chat.anna.event_log(&chat.id).await;
    let again = log.iter().find(|event| event["type"] == "message.updated").unwrap();
    let told = &again["payload"]["message"];
    assert_eq!((&told["content"], &told["deleted_at"]), (&json!("Who are you?"), &Value::Null));
}

#[tokio::test]
async fn limits_comparison_to_the_callers_assistant_chats() {
    let mut chat = Chat::start(Setup::new(), UpstreamKind::OpenAi).await;
    let (question, answer) = chat.talk("Who are you?", "A helper.").await;
    let (ben, cara) = (chat.app.sign_up("Ben").await, chat.app.sign_up("Cara").await);
    let path = |id: &str| format!("/r1/messages/{id}/compare");
    let body = json!({ "model": "large" });
    ben.post(&path(&answer), body.clone()).await.refused(404, "not_found");
    chat.anna.post(&path(&question), body.clone()).await.refused(409, "wrong_state");
    chat.anna.post(&path(&new_id()), body.clone()).await.refused(404, "not_found");
    chat.anna.post(&path(&answer), json!({ "model": "no-such-model" })).await.names_field("model");
    let helper = chat.anna.post("/r1/assistants", json!({ "name": "Helper" })).await.data_with(201);
    let group =
        json!({ "kind": "group", "title": "Team", "member_ids": [ben.id, cara.id], "assistant_id": helper["id"] });
    let group = id_of(&chat.anna.post("/r1/conversations", group).await.data_with(201));
    chat.anna.send_message(&group, "Who are you, @helper?").await;
    let there = begun(&mut chat.socket, &group).await;
    chat.socket.expect_in("message.completed", &group).await;
    chat.anna.post(&path(&there), body).await.refused(409, "wrong_state");
}
