//! Threads: replies, followers, unread counts, marking as solved, and messages in their context.

mod cluster;
mod model;

use support::{Application, Member, Value, json, new_id};

use crate::endpoints::{Args, SampleCall, plain, sample};

fn id(message: &Value) -> &str {
    message["id"].as_str().unwrap()
}

async fn reply(who: &Member, chat: &str, root: &Value, content: &str) -> Value {
    let body = json!({ "client_id": new_id(), "content": content, "thread_id": root["id"] });
    who.post(&format!("/r1/conversations/{chat}/messages"), body).await.data_with(201)
}

pub(crate) fn sample_calls() -> Vec<SampleCall> {
    vec![
        plain(&["ListThreads"]),
        sample(&["ShowThread", "FollowThread", "UnfollowThread", "ShowNeighbours"], async |world| {
            Args::id(world.message().await)
        }),
        sample(&["ReadThread"], async |world| Args::id(world.message().await).with_body(json!({ "no": 1 }))),
        sample(&["SolveThread", "ReopenThread"], async |world| {
            let chat = world.group().await;
            let root = world.owner.send_message(&chat, "Hello").await;
            reply(&world.owner, &chat, &root, "Hi").await;
            Args::id(id(&root))
        }),
    ]
}

#[tokio::test]
async fn replies_appear_in_their_thread_and_authors_follow_it() {
    let app = Application::start().await;
    let (anna, ben, carl) = (app.sign_up("Anna").await, app.sign_up("Ben").await, app.sign_up("Carl").await);
    let chat = anna.open_group("Team", &[&ben, &carl]).await;
    let mut socket = anna.connect().await;
    let root = anna.send_message(&chat, "a question").await;
    let thread = format!("/r1/messages/{}/thread", id(&root));
    let first = reply(&ben, &chat, &root, "an answer").await;
    assert_eq!((&first["thread_id"], &first["no"]), (&root["id"], &json!(1)));
    let told = socket.expect_in("thread.updated", &chat).await;
    assert_eq!(told.payload["thread"]["reply_count"], 1);
    assert_eq!(told.payload["thread"]["participants"], json!([{ "kind": "user", "id": ben.id }]));
    let second = reply(&ben, &chat, &root, "and one more").await;
    // Neither the main conversation nor its unread count changes, but the event is in the log.
    let history = carl.history(&chat).await;
    assert_eq!(history.last().unwrap()["id"], root["id"]);
    assert_eq!(history.last().unwrap()["thread"]["reply_count"], 2);
    let listed = carl.get(&format!("/r1/conversations/{chat}")).await.data();
    assert_eq!(listed["last_message"]["id"], root["id"]);
    assert_eq!(listed["unread"], 1);
    // The author of the root message and the users who reply follow the thread.
    let inbox = async |who: &Member, filter: &str| who.get(&format!("/r1/threads?filter={filter}")).await.data();
    let own = inbox(&anna, "unread").await;
    assert_eq!((&own["total"], &own["items"][0]["unread"]), (&json!(1), &json!(2)));
    assert_eq!(inbox(&ben, "unread").await["total"], 0);
    assert_eq!(inbox(&ben, "all").await["total"], 1);
    assert_eq!(inbox(&carl, "all").await["total"], 0);
    let position = anna.post(&format!("{thread}/read"), json!({ "no": 1 })).await.data();
    assert_eq!(position, json!({ "following": true, "read_no": 1, "unread": 1 }));
    assert_eq!(socket.expect_in("thread.own", &chat).await.payload["read_no"], 1);
    let follow = format!("/r1/messages/{}/follow", id(&root));
    assert_eq!(carl.put(&follow, json!({})).await.data()["unread"], 0);
    let solved = carl.put(&format!("/r1/messages/{}/solved", id(&root)), json!({})).await.data();
    assert!(solved["thread"]["solved_at"].is_string());
    assert_eq!(inbox(&carl, "solved").await["items"][0]["solved"], true);
    assert_eq!(carl.delete(&follow).await.data()["following"], false);
    assert_eq!(inbox(&carl, "all").await["total"], 0);
    // Reads pages of the thread, also after a reply was deleted.
    let part = ben.get(&format!("{thread}?limit=1")).await.data();
    assert_eq!((&part["items"][0]["no"], &part["has_more"]), (&json!(2), &json!(true)));
    assert_eq!(ben.get(&format!("{thread}?after_no=0&limit=1")).await.data()["items"][0]["no"], 1);
    ben.delete(&format!("/r1/messages/{}", id(&first))).await.data();
    let told = socket.expect_in("message.deleted", &chat).await.payload;
    assert_eq!((&told["thread_id"], &told["thread"]["reply_count"]), (&root["id"], &json!(1)));
    let shown = ben.get(&thread).await.data();
    assert_eq!(shown["root"]["thread"]["reply_count"], 1);
    assert_eq!(shown["items"][0]["content"], "");
    // Deleted replies are not unread.
    assert_eq!(inbox(&anna, "unread").await["items"][0]["unread"], 1);
    ben.delete(&format!("/r1/messages/{}", id(&second))).await.data();
    assert_eq!(inbox(&anna, "unread").await["total"], 0);
    assert_eq!(inbox(&anna, "all").await["items"][0]["unread"], 0);
    assert_eq!(anna.get(&thread).await.data()["own"], json!({ "following": true, "read_no": 1, "unread": 0 }));
}

#[tokio::test]
async fn threads_require_a_readable_main_line_message() {
    let app = Application::start().await;
    let (anna, ben, carl) = (app.sign_up("Anna").await, app.sign_up("Ben").await, app.sign_up("Carl").await);
    let (chat, other) = (anna.open_single(&ben).await, anna.open_single(&carl).await);
    let root = anna.send_message(&chat, "a question").await;
    let first = reply(&ben, &chat, &root, "an answer").await;
    let elsewhere = anna.send_message(&other, "elsewhere").await;
    let messages = format!("/r1/conversations/{chat}/messages");
    let unknown = json!(new_id());
    for wrong in [&first["id"], &elsewhere["id"], &unknown] {
        let body = json!({ "client_id": new_id(), "content": "x", "thread_id": wrong });
        anna.post(&messages, body).await.names_field("thread_id");
    }
    let body = json!({ "client_id": new_id(), "content": "x", "also_to_conversation": true });
    anna.post(&messages, body).await.names_field("also_to_conversation");
    let chatting = anna.open_assistant().await;
    let asked = anna.send_message(&chatting, "Hello").await;
    let body = json!({ "client_id": new_id(), "content": "x", "thread_id": asked["id"] });
    anna.post(&format!("/r1/conversations/{chatting}/messages"), body).await.names_field("thread_id");
    for path in ["thread", "around"] {
        carl.get(&format!("/r1/messages/{}/{path}", id(&root))).await.refused(404, "not_found");
    }
    for path in ["follow", "solved"] {
        carl.put(&format!("/r1/messages/{}/{path}", id(&root)), json!({})).await.refused(404, "not_found");
        carl.delete(&format!("/r1/messages/{}/{path}", id(&root))).await.refused(404, "not_found");
    }
    carl.post(&format!("/r1/messages/{}/thread/read", id(&root)), json!({ "no": 1 })).await.refused(404, "not_found");
    anna.get(&format!("/r1/messages/{}/thread", id(&first))).await.refused(409, "wrong_state");
    // Replies that are also shown in the main conversation, and forwarded replies.
    let body =
        json!({ "client_id": new_id(), "content": "both", "thread_id": root["id"], "also_to_conversation": true });
    let both = anna.post(&messages, body).await.data_with(201);
    assert_eq!(both["no"], 2);
    assert_eq!(ben.history(&chat).await.last().unwrap()["id"], both["id"]);
    let body = json!({ "client_id": new_id(), "content": "look", "forward_of": root["id"] });
    carl.post(&format!("/r1/conversations/{other}/messages"), body.clone()).await.names_field("forward_of");
    let passed_on = anna.post(&format!("/r1/conversations/{other}/messages"), body).await.data_with(201);
    assert_eq!(passed_on["forwarded"], json!({ "message_id": root["id"], "conversation_id": chat }));
}

#[tokio::test]
async fn a_message_link_opens_the_history_at_its_message() {
    let app = Application::start().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let chat = anna.open_single(&ben).await;
    let mut sent = Vec::new();
    for n in 0..7 {
        sent.push(anna.send_message(&chat, &format!("message {n}")).await);
    }
    reply(&ben, &chat, &sent[2], "in the thread").await;
    let around = ben.get(&format!("/r1/messages/{}/around?count=2", id(&sent[3]))).await.data();
    let ids: Vec<&str> = around["items"].as_array().unwrap().iter().map(id).collect();
    assert_eq!(ids, sent[1..6].iter().map(id).collect::<Vec<_>>());
    assert_eq!((&around["has_more_before"], &around["has_more_after"]), (&json!(true), &json!(true)));
    let same = ben.get(&format!("/r1/messages/{}?around=2", id(&sent[3]))).await.data();
    assert_eq!(same, around);
    assert_eq!(id(&ben.get(&format!("/r1/messages/{}", id(&sent[3]))).await.data()), id(&sent[3]));
    let end = ben.get(&format!("/r1/messages/{}/around?count=2", id(&sent[6]))).await.data();
    assert_eq!((end["items"].as_array().unwrap().len(), &end["has_more_after"]), (3, &json!(false)));
}
