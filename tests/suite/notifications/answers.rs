//! Notifications about answers in chats with assistants.

use support::{Application, Member, Socket, Value, json};

use super::listed;

/// Asks a question, and returns the notification and the sequence number of the answer's end.
async fn answered(anna: &Member, socket: &mut Socket, chat: &str, question: &str) -> (Value, i64) {
    anna.send_message(chat, question).await;
    let ended = socket.expect_in("message.completed", chat).await;
    let text = ended.payload["message"]["content"].as_str().unwrap().lines().next().unwrap().to_owned();
    let notification = socket.find("a notification", |frame| frame.kind == "notification").await.payload;
    assert!(notification["text"].as_str().unwrap().starts_with(&text[..20]), "{notification}");
    (notification, ended.payload["seq"].as_i64().unwrap())
}

#[tokio::test]
async fn lists_only_answers_that_were_not_watched() {
    let app = Application::start().await;
    let anna = app.sign_up("Anna").await;
    let chat = anna.open_assistant().await;
    let mut socket = anna.connect().await;
    let (notification, seq) = answered(&anna, &mut socket, &chat, "Watched?").await;
    let read = format!("/r1/conversations/{chat}/read");
    anna.post(&read, json!({ "seq": seq })).await.data();
    let withdrawn = socket.expect("notifications.withdrawn").await.payload;
    assert_eq!(withdrawn["ids"], json!([notification["id"]]));
    assert_eq!(listed(&anna, "").await, []);
    let (_, seq) = answered(&anna, &mut socket, &chat, "Away?").await;
    app.database.run("UPDATE notifications SET created_at = created_at - 11000").await;
    anna.post(&read, json!({ "seq": seq })).await.data();
    socket.expect("notifications.read").await;
    assert_eq!(listed(&anna, "").await.len(), 1);
    assert_eq!(listed(&anna, "unread=true").await, []);
}
