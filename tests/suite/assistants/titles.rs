//! Titles of assistant chats: they are generated, changed and deleted.

use support::{Application, Behaviour, Setup, Socket, Upstream, UpstreamKind, json};

/// Returns the title in the next event about a change of the conversation.
async fn told_title(socket: &mut Socket, chat: &str) -> String {
    let updated = socket.expect_in("conversation.updated", chat).await.payload;
    updated["title"].as_str().expect("a title").to_owned()
}

#[tokio::test]
async fn titles_a_chat_by_its_first_words_without_a_provider() {
    let app = Application::start().await;
    let anna = app.sign_up("Anna").await;
    let chat = anna.open_assistant().await;
    assert!(anna.conversation(&chat).await["title"].is_null());
    let mut socket = anna.connect().await;
    anna.send_message(&chat, "## How do I cook rice for forty people who are all very hungry and in a hurry?").await;
    let title = told_title(&mut socket, &chat).await;
    assert_eq!(title, "How do I cook rice for forty people who are all very hungry…");
    assert_eq!(anna.conversation(&chat).await["title"], title);
}

#[tokio::test]
async fn requests_one_title_and_keeps_manual_titles() {
    let upstream = Upstream::start(UpstreamKind::OpenAi).await;
    let app = Setup::new().provider(&upstream).set("ai.titles", "model").start().await;
    let anna = app.sign_up("Anna").await;
    let chat = anna.open_assistant().await;
    let mut socket = anna.connect().await;
    upstream.then(Behaviour::answer("Take eight kilograms."));
    upstream.then(Behaviour::answer("**\"Rice for forty\"**.\n"));
    anna.send_message(&chat, "How much rice?").await;
    assert_eq!(told_title(&mut socket, &chat).await, "Rice for forty");
    let asked = upstream.asked();
    let question = asked[1].body["messages"].to_string();
    assert!(question.contains("How much rice?") && question.contains("Take eight kilograms."), "{question}");
    // The chat already has a title, so the model isn't asked for one again.
    upstream.then(Behaviour::answer("Salt, too."));
    anna.send_message(&chat, "And?").await;
    socket.expect_in("message.completed", &chat).await;
    let renamed = anna.open_assistant().await;
    anna.patch(&format!("/r1/conversations/{renamed}"), json!({ "title": "My own" })).await.data();
    anna.send_message(&renamed, "Hello?").await;
    socket.expect_in("message.completed", &renamed).await;
    assert_eq!(upstream.asked().len(), 4);
    assert_eq!(anna.conversation(&renamed).await["title"], "My own");
}

#[tokio::test]
async fn keeps_the_first_words_if_the_model_returns_no_title() {
    let upstream = Upstream::start(UpstreamKind::OpenAi).await;
    let app = Setup::new().provider(&upstream).set("ai.titles", "model").start().await;
    let anna = app.sign_up("Anna").await;
    let chat = anna.open_assistant().await;
    let mut socket = anna.connect().await;
    upstream.then(Behaviour::answer("Yes."));
    upstream.then(Behaviour::Refuse(400, None));
    anna.send_message(&chat, "Are you there?").await;
    assert_eq!(told_title(&mut socket, &chat).await, "Are you there?");
}

#[tokio::test]
async fn only_its_owner_renames_and_deletes_a_chat() {
    let app = Application::start().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let chat = anna.open_assistant().await;
    let path = format!("/r1/conversations/{chat}");
    assert_eq!(anna.conversation(&chat).await["own"]["role"], "owner");
    ben.patch(&path, json!({ "title": "Mine" })).await.refused(404, "not_found");
    ben.delete(&path).await.refused(404, "not_found");
    let mut socket = anna.connect().await;
    assert_eq!(anna.patch(&path, json!({ "title": "Rice" })).await.data()["title"], "Rice");
    assert_eq!(told_title(&mut socket, &chat).await, "Rice");
    anna.delete(&path).await.data();
    socket.expect_in("conversation.deleted", &chat).await;
    anna.get(&path).await.refused(404, "not_found");
}
