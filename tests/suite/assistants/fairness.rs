//! Fairness: the number of pending answers per user is limited, and users take turns.

use support::{Application, Behaviour, Member, Setup, Upstream, UpstreamKind, Value, json, new_id, wait_until};

use super::begun;

/// Creates assistants with these names and returns their ids.
async fn assistants(member: &Member, names: impl IntoIterator<Item = String>) -> Vec<Value> {
    let mut made = Vec::new();
    for name in names {
        made.push(member.post("/r1/assistants", json!({ "name": name })).await.data_with(201)["id"].clone());
    }
    made
}

async fn in_group(member: &Member, group: &str, assistants: &[Value]) {
    for id in assistants {
        let added = member.post(&format!("/r1/conversations/{group}/members"), json!({ "assistant_id": id })).await;
        added.data_with(201);
    }
}

async fn complete(member: &Member, chat: &str) -> usize {
    let history = member.history(chat).await;
    history.iter().filter(|one| one["sender"]["kind"] == "assistant" && one["status"] == "complete").count()
}

#[tokio::test]
async fn limits_a_message_to_its_first_three_mentioned_assistants() {
    let app = Application::start().await;
    let (anna, ben, cara) = (app.sign_up("Anna").await, app.sign_up("Ben").await, app.sign_up("Cara").await);
    let group = anna.open_group("Team", &[&ben, &cara]).await;
    let ids = assistants(&anna, (0..5).map(|n| format!("Helper{n}"))).await;
    in_group(&anna, &group, &ids).await;
    anna.send_message(&group, "What do you say, @helper4, @helper1, @helper3, @helper0 and @helper2?").await;
    wait_until("three answers are complete", || async { complete(&anna, &group).await == 3 }).await;
    let mut named: Vec<String> = anna
        .history(&group)
        .await
        .iter()
        .filter(|message| message["sender"]["kind"] == "assistant")
        .map(|message| message["sender"]["name"].as_str().unwrap().to_owned())
        .collect();
    named.sort_unstable();
    assert_eq!(named, ["Helper1", "Helper3", "Helper4"]);
}

#[tokio::test]
async fn limits_a_group_to_ten_assistants() {
    let app = Application::start().await;
    let (anna, ben, cara) = (app.sign_up("Anna").await, app.sign_up("Ben").await, app.sign_up("Cara").await);
    let group = anna.open_group("Team", &[&ben, &cara]).await;
    let ids = assistants(&anna, (0..11).map(|n| format!("Helper{n}"))).await;
    in_group(&anna, &group, &ids[..10]).await;
    let path = format!("/r1/conversations/{group}/members");
    anna.post(&path, json!({ "assistant_id": ids[10] })).await.refused(409, "wrong_state");
    anna.post(&path, json!({ "assistant_id": ids[3] })).await.refused(409, "already_member");
}

#[tokio::test]
async fn limits_an_account_to_twenty_pending_answers_without_delaying_others() {
    let upstream = Upstream::start(UpstreamKind::OpenAi).await;
    upstream.always(Behaviour::step("Yes indeed."));
    let app = Setup::new().provider(&upstream).set("ai.workers", 1).start().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let mut chats = Vec::new();
    for _ in 0..4 {
        let chat = anna.open_assistant().await;
        for _ in 0..5 {
            anna.send_message(&chat, "Hello?").await;
        }
        chats.push(chat);
    }
    let refused = anna.send_as(&chats[0], &new_id(), "One more?").await;
    refused.refused(429, "too_many_answers");
    assert!(refused.header("retry-after").is_some());
    let mut socket = anna.connect().await;
    let frame = json!({ "conversation_id": chats[0], "client_id": new_id(), "content": "And by frame?" });
    assert_eq!(socket.request("message.send", frame).await.payload["code"], "too_many_answers");
    assert_eq!(anna.history(&chats[0]).await.iter().filter(|one| one["sender"]["kind"] == "user").count(), 5);
    // Messages to other users are not limited.
    let single = anna.open_single(&ben).await;
    anna.send_message(&single, "The assistants are busy.").await;

    let chat = ben.open_assistant().await;
    let mut socket = ben.connect().await;
    ben.send_message(&chat, "Hello?").await;
    // Answers are generated for users in turn, so Ben's answer is not the last of the twenty-one.
    upstream.release(6);
    begun(&mut socket, &chat).await;
    socket.expect_in("message.completed", &chat).await;
    let mut before = 0;
    for chat in &chats {
        before += complete(&anna, chat).await;
    }
    assert!(before <= 2, "{before} of Anna's answers came first");
    upstream.release(100);
    wait_until("another question is accepted", || async {
        anna.send_as(&chats[0], &new_id(), "One more?").await.status == 201
    })
    .await;
}
