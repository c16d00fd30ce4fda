//! Reactions, pins and saved messages: permissions, events and lifetime.

use support::{Application, Value, json};

use crate::endpoints::{Args, SampleCall, plain, sample};

fn path(message: &Value, rest: &str) -> String {
    format!("/r1/messages/{}/{rest}", message["id"].as_str().unwrap())
}

const THUMB: &str = "reactions/%F0%9F%91%8D";
const HEART: &str = "reactions/%E2%9D%A4%EF%B8%8F";

pub(crate) fn sample_calls() -> Vec<SampleCall> {
    vec![
        plain(&["ListSaved"]),
        sample(&["ListPins"], async |world| Args::id(world.group().await)),
        sample(&["AddReaction", "RemoveReaction"], async |world| {
            Args::id(world.message().await).with("emoji", "%F0%9F%91%8D")
        }),
        sample(&["PinMessage", "UnpinMessage", "SaveMessage", "UnsaveMessage", "GetSavedState"], async |world| {
            Args::id(world.message().await)
        }),
    ]
}

#[tokio::test]
async fn counts_publishes_and_removes_reactions() {
    let app = Application::start().await;
    let (anna, ben, carl) = (app.sign_up("Anna").await, app.sign_up("Ben").await, app.sign_up("Carl").await);
    let chat = anna.open_single(&ben).await;
    let mut socket = ben.connect().await;
    let sent = anna.send_message(&chat, "hello").await;
    anna.put(&path(&sent, THUMB), json!({})).await.data();
    let told = socket.expect_in("reaction.added", &chat).await;
    assert_eq!((&told.payload["emoji"], &told.payload["user_id"]), (&json!("👍"), &json!(anna.id)));
    assert_eq!(told.payload["seq"], 2);
    // Adding the reaction again publishes no event.
    let again = anna.put(&path(&sent, THUMB), json!({})).await.data();
    assert_eq!(again["reactions"], json!([{ "emoji": "👍", "count": 1, "user_ids": [anna.id] }]));
    ben.put(&path(&sent, HEART), json!({})).await.data();
    let both = ben.put(&path(&sent, THUMB), json!({})).await.data();
    let thumbs = json!({ "emoji": "👍", "count": 2, "user_ids": [anna.id, ben.id] });
    let heart = json!({ "emoji": "❤️", "count": 1, "user_ids": [ben.id] });
    assert_eq!(both["reactions"], json!([thumbs, heart]));
    assert_eq!(ben.history(&chat).await[0]["reactions"], both["reactions"]);
    let left = anna.delete(&path(&sent, THUMB)).await.data();
    assert_eq!(left["reactions"][0], json!({ "emoji": "👍", "count": 1, "user_ids": [ben.id] }));
    assert_eq!(socket.expect_in("reaction.removed", &chat).await.payload["user_id"], anna.id.as_str());
    for wrong in ["reactions/a", "reactions/%3Aparty%3A", "reactions/%F0%9F%91%8D%F0%9F%91%8D"] {
        anna.put(&path(&sent, wrong), json!({})).await.names_field("emoji");
    }
    for call in [THUMB, "pin", "saved"] {
        carl.put(&path(&sent, call), json!({})).await.refused(404, "not_found");
        carl.delete(&path(&sent, call)).await.refused(404, "not_found");
    }
    // A deleted message has no reactions any more.
    anna.delete(&format!("/r1/messages/{}", sent["id"].as_str().unwrap())).await.data();
    assert_eq!(ben.history(&chat).await[0]["reactions"], json!([]));
    ben.put(&path(&sent, THUMB), json!({})).await.refused(404, "not_found");
}

#[tokio::test]
async fn counts_concurrent_reactions_once_each() {
    let app = Application::start().await;
    let anna = app.sign_up("Anna").await;
    let mut others = Vec::new();
    for n in 0..24 {
        others.push(app.sign_up(&format!("Person {n}")).await);
    }
    let chat = anna.open_group("Team", &others.iter().collect::<Vec<_>>()).await;
    let sent = anna.send_message(&chat, "hello").await;
    let thumb = path(&sent, THUMB);
    let twice = others.iter().chain(&others);
    futures_util::future::join_all(twice.map(|other| other.put(&thumb, json!({})))).await;
    let shown = anna.history(&chat).await[0]["reactions"][0].clone();
    assert_eq!(shown["count"], 24);
    assert_eq!(shown["user_ids"].as_array().unwrap().len(), 20);
    // If users who are listed remove their reactions, others are listed in their place.
    let first = &shown["user_ids"].as_array().unwrap()[..6];
    let leaving = others.iter().filter(|other| first.contains(&json!(other.id)));
    futures_util::future::join_all(leaving.map(|other| other.delete(&thumb))).await;
    let shown = anna.history(&chat).await[0]["reactions"][0].clone();
    assert_eq!(shown["count"], 18);
    let ids = shown["user_ids"].as_array().unwrap();
    assert_eq!(ids.len(), 18);
    assert!(first.iter().all(|gone| !ids.contains(gone)));
}

#[tokio::test]
async fn limits_a_message_to_fifty_kinds_of_reactions() {
    let app = Application::start().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let chat = anna.open_single(&ben).await;
    let sent = anna.send_message(&chat, "hello").await;
    let with = |emoji: char| {
        let bytes = emoji.to_string().into_bytes();
        let encoded: String = bytes.iter().map(|byte| format!("%{byte:02X}")).collect();
        path(&sent, &format!("reactions/{encoded}"))
    };
    let faces: Vec<char> = ('\u{1F600}'..='\u{1F631}').collect();
    assert_eq!(faces.len(), 50);
    let reacting = faces.iter().map(async |face| anna.put(&with(*face), json!({})).await.data());
    futures_util::future::join_all(reacting).await;
    assert_eq!(anna.history(&chat).await[0]["reactions"].as_array().unwrap().len(), 50);
    // An emoji of Unicode 16.
    let another = with('\u{1FAE9}');
    ben.put(&another, json!({})).await.refused(422, "too_many");
    // Reactions with emoji that already exist can still be added. Removing all reactions with an
    // emoji makes room for another one.
    ben.put(&with(faces[0]), json!({})).await.data();
    anna.delete(&with(faces[1])).await.data();
    let full = ben.put(&another, json!({})).await.data();
    assert_eq!(full["reactions"].as_array().unwrap().len(), 50);
}

#[tokio::test]
async fn pins_are_shared_and_saved_messages_private() {
    let app = Application::start().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let chat = anna.open_single(&ben).await;
    let mut socket = ben.connect().await;
    let (first, second) = (anna.send_message(&chat, "one").await, anna.send_message(&chat, "two").await);
    assert!(ben.put(&path(&first, "pin"), json!({})).await.data()["pinned_at"].is_string());
    anna.put(&path(&second, "pin"), json!({})).await.data();
    assert_eq!(socket.expect_in("message.pinned", &chat).await.payload["message_id"], first["id"]);
    let pins = format!("/r1/conversations/{chat}/pins");
    let listed = ben.get(&pins).await.data();
    assert_eq!(listed["items"][0]["id"], second["id"]);
    assert_eq!(listed["total"], 2);
    assert_eq!(anna.delete(&path(&second, "pin")).await.data()["pinned_at"], Value::Null);
    assert_eq!(socket.expect_in("message.unpinned", &chat).await.payload["message_id"], second["id"]);
    assert_eq!(anna.get(&pins).await.data()["total"], 1);

    ben.put(&path(&first, "saved"), json!({})).await.data();
    assert_eq!(socket.expect("saved.updated").await.payload["saved"], true);
    let saved = ben.get("/r1/saved").await.data();
    assert_eq!(saved["items"][0]["message"]["id"], first["id"]);
    assert_eq!(anna.get("/r1/saved").await.data()["total"], 0);
    for (member, message, is_saved) in [(&ben, &first, true), (&ben, &second, false), (&anna, &first, false)] {
        assert_eq!(member.get(&path(message, "saved")).await.data()["saved"], is_saved);
    }
    // Deleted messages disappear from both lists.
    anna.delete(&format!("/r1/messages/{}", first["id"].as_str().unwrap())).await.data();
    assert_eq!(ben.get("/r1/saved").await.data()["total"], 0);
    assert_eq!(ben.get(&pins).await.data()["total"], 0);
}
