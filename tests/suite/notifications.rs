//! Notifications: mentions, keywords, threads, messages and reactions; settings; read state and withdrawal.

use support::{Application, Member, Socket, Value, json, new_id, wait_until};

use crate::endpoints::{Args, SampleCall, plain, sample};

mod answers;
mod matrix;
mod missed;
mod settings;
mod status;

/// Returns the kind and text of a user's notifications, newest first.
async fn listed(member: &Member, query: &str) -> Vec<(String, String)> {
    let found = member.get(&format!("/r1/notifications?{query}")).await.data();
    let items = found["items"].as_array().unwrap().iter();
    items.map(|one| (one["kind"].as_str().unwrap().to_owned(), one["text"].as_str().unwrap().to_owned())).collect()
}

async fn told(socket: &mut Socket, kind: &str, text: &str) -> Value {
    let what = format!("the notification {kind:?} {text:?}");
    socket
        .find(&what, |frame| {
            frame.kind == "notification" && frame.payload["kind"] == kind && frame.payload["text"] == text
        })
        .await
        .payload
}

async fn until_listed(member: &Member, query: &str, expected: &[(&str, &str)]) {
    let expected: Vec<(String, String)> =
        expected.iter().map(|(kind, text)| ((*kind).to_owned(), (*text).to_owned())).collect();
    wait_until(&format!("{expected:?} of {query}"), || async { listed(member, query).await == expected }).await;
}

/// Sends a message that mentions these users.
async fn mention(by: &Member, chat: &str, content: &str, whom: &[&Member]) -> Value {
    let mentions: Vec<Value> = whom.iter().map(|who| json!({ "kind": "user", "id": who.id })).collect();
    let body = json!({ "client_id": new_id(), "content": content, "mentions": mentions });
    by.post(&format!("/r1/conversations/{chat}/messages"), body).await.data_with(201)
}

async fn channel(owner: &Member, members: &[&Member]) -> String {
    let chat = owner.open_channel("private_channel", &format!("c {}", new_id())).await;
    for member in members {
        let path = format!("/r1/conversations/{chat}/members");
        assert!(owner.post(&path, json!({ "user_id": member.id })).await.status < 300);
    }
    chat
}

pub(crate) fn sample_calls() -> Vec<SampleCall> {
    vec![
        plain(&["ListNotifications", "ShowNotificationSettings"]),
        sample(&["ReadNotifications"], async |_| Args::body(json!({ "all": true }))),
        sample(&["ChangeNotificationSettings"], async |_| {
            Args::body(json!({ "level": "all", "keywords": ["invoice"], "quiet": null }))
        }),
        sample(&["UnsubscribeFromMails"], async |_| Args::body(json!({})).with_query("?token=none")),
    ]
}

#[tokio::test]
async fn notifies_only_mentioned_members() {
    let app = Application::start().await;
    let (anna, ben, carl) = (app.sign_up("Anna").await, app.sign_up("Ben").await, app.sign_up("Carl").await);
    let chat = channel(&anna, &[&ben, &carl]).await;
    let (mut of_ben, mut of_carl, mut of_anna) = (ben.connect().await, carl.connect().await, anna.connect().await);
    let sent = mention(&anna, &chat, "**Ben**, look at `this`", &[&ben, &anna]).await;
    let frame = told(&mut of_ben, "mention", "Ben, look at this").await;
    assert_eq!((&frame["message_id"], &frame["conversation_id"]), (&sent["id"], &json!(chat)));
    assert_eq!(
        (&frame["actor"]["name"], &frame["count"], &frame["silent"]),
        (&json!("Anna"), &json!(1), &json!(false))
    );
    assert!(frame["title"].as_str().unwrap().starts_with("Anna · c "), "{frame}");
    // By default, a channel notifies only of mentions and not of every message.
    anna.send_message(&chat, "not for you").await;
    let body = json!({ "client_id": new_id(), "content": "all of you", "mentions": [{ "kind": "all" }] });
    anna.post(&format!("/r1/conversations/{chat}/messages"), body).await.data_with(201);
    assert_eq!(told(&mut of_carl, "mention", "all of you").await["detail"], "all");
    assert_eq!(listed(&carl, "").await, [("mention".to_owned(), "all of you".to_owned())]);
    assert!(listed(&anna, "").await.is_empty(), "authors are not notified of their own messages");
    of_anna.request("ping", json!({})).await;
    assert!(of_anna.drain().await.iter().all(|frame| frame.kind != "notification"));
    // Reading the conversation marks its notifications as read on all devices.
    until_listed(&ben, "unread=true", &[("mention", "all of you"), ("mention", "Ben, look at this")]).await;
    ben.post(&format!("/r1/conversations/{chat}/read"), json!({ "seq": sent["seq"] })).await.data();
    assert_eq!(of_ben.expect("notifications.read").await.payload["ids"], json!([frame["id"]]));
    assert_eq!(listed(&ben, "unread=true").await.len(), 1);
    assert_eq!(listed(&ben, "kind=mention").await.len(), 2);
    ben.post("/r1/notifications/read", json!({ "all": true })).await.data();
    assert_eq!(of_ben.expect("notifications.read").await.payload["ids"], json!(null));
    assert!(listed(&ben, "unread=true").await.is_empty());
    for wrong in [json!({}), json!({ "ids": [], "all": true }), json!({ "all": false })] {
        ben.post("/r1/notifications/read", wrong).await.names_field("ids");
    }
}

#[tokio::test]
async fn unreadable_settings_of_one_member_do_not_block_notifications_of_others() {
    let app = Application::start().await;
    let (anna, ben, carl) = (app.sign_up("Anna").await, app.sign_up("Ben").await, app.sign_up("Carl").await);
    let (of_ben, of_carl) = (anna.open_single(&ben).await, anna.open_single(&carl).await);
    ben.patch("/r1/notifications/settings", json!({ "show_text": false })).await.data();
    app.database.run("UPDATE notification_settings SET quiet = '{'").await;
    let mut socket = carl.connect().await;
    anna.send_message(&of_ben, "for Ben").await;
    anna.send_message(&of_carl, "for Carl").await;
    told(&mut socket, "message", "for Carl").await;
    // When the settings can be read again, their user is notified too.
    app.database.run("UPDATE notification_settings SET quiet = NULL").await;
    until_listed(&ben, "", &[("message", "for Ben")]).await;
}

#[tokio::test]
async fn unread_messages_of_a_conversation_share_one_notification() {
    let app = Application::start().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let chat = anna.open_single(&ben).await;
    let mut of_ben = ben.connect().await;
    anna.send_message(&chat, "one").await;
    let first = told(&mut of_ben, "message", "one").await;
    assert_eq!((&first["title"], &first["count"]), (&json!("Anna"), &json!(1)));
    anna.send_message(&chat, "two").await;
    let second = told(&mut of_ben, "message", "two").await;
    assert_eq!((&second["id"], &second["count"]), (&first["id"], &json!(2)));
    let last = anna.send_message(&chat, "three").await;
    told(&mut of_ben, "message", "three").await;
    assert_eq!(listed(&ben, "").await, [("message".to_owned(), "three".to_owned())]);
    // The latest message is deleted, so the notification shows the previous one.
    anna.delete(&format!("/r1/messages/{}", last["id"].as_str().unwrap())).await.data();
    until_listed(&ben, "", &[("message", "two")]).await;
    // Replying marks the notification as read.
    ben.send_message(&chat, "fine").await;
    until_listed(&ben, "unread=true", &[]).await;
}

#[tokio::test]
async fn notifications_are_withdrawn_when_their_message_is_deleted_or_edited() {
    let app = Application::start().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let chat = channel(&anna, &[&ben]).await;
    let mut of_ben = ben.connect().await;
    ben.patch("/r1/notifications/settings", json!({ "keywords": ["hoá đơn", "Invoice"] })).await.data();
    let (sent, other) =
        (mention(&anna, &chat, "for Ben", &[&ben]).await, anna.send_message(&chat, "the HOA DON, please").await);
    let first = told(&mut of_ben, "mention", "for Ben").await;
    let keyword = told(&mut of_ben, "keyword", "the HOA DON, please").await;
    assert_eq!(keyword["detail"], "hoá đơn");
    anna.delete(&format!("/r1/messages/{}", sent["id"].as_str().unwrap())).await.data();
    assert_eq!(of_ben.expect("notifications.withdrawn").await.payload["ids"], json!([first["id"]]));
    let path = format!("/r1/messages/{}", other["id"].as_str().unwrap());
    anna.patch(&path, json!({ "content": "the paper, please" })).await.data();
    assert_eq!(of_ben.expect("notifications.withdrawn").await.payload["ids"], json!([keyword["id"]]));
    assert!(listed(&ben, "").await.is_empty());
    // A keyword that is added by an edit causes a notification as well.
    anna.patch(&path, json!({ "content": "the invoice, please" })).await.data();
    told(&mut of_ben, "keyword", "the invoice, please").await;
    // A user who was removed from the conversation no longer has its notifications.
    anna.delete(&format!("/r1/conversations/{chat}/members/{}", ben.id)).await.data();
    assert!(listed(&ben, "").await.is_empty());
}

#[tokio::test]
async fn an_edit_notifies_newly_mentioned_members_once() {
    let app = Application::start().await;
    let (anna, ben, carl) = (app.sign_up("Anna").await, app.sign_up("Ben").await, app.sign_up("Carl").await);
    let chat = channel(&anna, &[&ben, &carl]).await;
    let (mut of_ben, mut of_carl) = (ben.connect().await, carl.connect().await);
    let edit = async |message: &Value, content: &str, whom: &[&Member]| {
        let mentions: Vec<Value> = whom.iter().map(|who| json!({ "kind": "user", "id": who.id })).collect();
        let path = format!("/r1/messages/{}", message["id"].as_str().unwrap());
        anna.patch(&path, json!({ "content": content, "mentions": mentions })).await.data()
    };
    let sent = anna.send_message(&chat, "for nobody").await;
    edit(&sent, "for Ben", &[&ben]).await;
    let first = told(&mut of_ben, "mention", "for Ben").await;
    // Members who were already notified are not notified again.
    edit(&sent, "for Ben and Carl", &[&ben, &carl]).await;
    told(&mut of_carl, "mention", "for Ben and Carl").await;
    assert_eq!(listed(&ben, "").await.len(), 1);
    edit(&sent, "for Carl", &[&carl]).await;
    assert_eq!(of_ben.expect("notifications.withdrawn").await.payload["ids"], json!([first["id"]]));
    assert!(of_ben.drain().await.iter().all(|frame| frame.kind != "notification"));
    assert!(listed(&ben, "").await.is_empty());
    // A mention that is added by an edit in a thread makes the mentioned member follow the thread.
    let reply = async |content: &str| {
        let body = json!({ "client_id": new_id(), "content": content, "thread_id": sent["id"] });
        anna.post(&format!("/r1/conversations/{chat}/messages"), body).await.data_with(201)
    };
    let said = reply("a remark").await;
    edit(&said, "a remark for Ben", &[&ben]).await;
    told(&mut of_ben, "mention", "a remark for Ben").await;
    reply("another").await;
    told(&mut of_ben, "thread", "another").await;
}

#[tokio::test]
async fn notifies_the_author_of_replies_and_reactions() {
    let app = Application::start().await;
    let (anna, ben, carl) = (app.sign_up("Anna").await, app.sign_up("Ben").await, app.sign_up("Carl").await);
    let chat = channel(&anna, &[&ben, &carl]).await;
    let (mut of_anna, mut of_ben) = (anna.connect().await, ben.connect().await);
    let root = anna.send_message(&chat, "a question").await;
    let reply = async |who: &Member, content: &str| {
        let body = json!({ "client_id": new_id(), "content": content, "thread_id": root["id"] });
        who.post(&format!("/r1/conversations/{chat}/messages"), body).await.data_with(201)
    };
    reply(&ben, "an answer").await;
    let first = told(&mut of_anna, "thread", "an answer").await;
    assert_eq!((&first["thread_id"], &first["actor"]["name"]), (&root["id"], &json!("Ben")));
    reply(&carl, "another").await;
    let second = told(&mut of_anna, "thread", "another").await;
    assert_eq!((&second["id"], &second["count"]), (&first["id"], &json!(2)));
    told(&mut of_ben, "thread", "another").await;
    assert!(listed(&carl, "").await.is_empty());
    // Reading the conversation doesn't mark the replies in its threads as read.
    let last_seq = anna.conversation(&chat).await["last_seq"].clone();
    anna.post(&format!("/r1/conversations/{chat}/read"), json!({ "seq": last_seq })).await.data();
    assert_eq!(listed(&anna, "unread=true").await.len(), 1);
    let path = format!("/r1/messages/{}/thread/read", root["id"].as_str().unwrap());
    anna.post(&path, json!({ "no": 2 })).await.data();
    assert_eq!(of_anna.expect("notifications.read").await.payload["ids"], json!([first["id"]]));
    // Notifications of reactions are silent. They are withdrawn when the last reaction is removed.
    let path = |emoji: &str| format!("/r1/messages/{}/reactions/{emoji}", root["id"].as_str().unwrap());
    ben.put(&path("👍"), json!({})).await.data();
    let reacted = told(&mut of_anna, "reaction", "a question").await;
    assert_eq!(
        (&reacted["detail"], &reacted["silent"], &reacted["actor"]["name"]),
        (&json!("👍"), &json!(true), &json!("Ben"))
    );
    carl.put(&path("🎉"), json!({})).await.data();
    let more = told(&mut of_anna, "reaction", "a question").await;
    assert_eq!((&more["count"], &more["detail"]), (&json!(2), &json!("🎉")));
    ben.delete(&path("👍")).await.data();
    carl.delete(&path("🎉")).await.data();
    assert_eq!(of_anna.expect("notifications.withdrawn").await.payload["ids"], json!([reacted["id"]]));
}
