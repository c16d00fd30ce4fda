//! Answers survive a reload of the page and a restart of the server.

use support::{Behaviour, Setup, UpstreamKind, Value, json};

use super::{Chat, append, read_up_to, stored};

/// Waits for the end of the answer. It may have ended before this connection was opened, so the log
/// is read too.
async fn completed_since(chat: &mut Chat) -> Value {
    let mut cursors = json!({});
    cursors[chat.id.as_str()] = json!(0);
    chat.socket.send("sync", json!({ "cursors": cursors })).await;
    chat.ended("message.completed").await["message"].clone()
}

#[tokio::test]
async fn reloading_during_a_stream_loses_nothing() {
    let mut chat = Chat::start(Setup::new(), UpstreamKind::OpenAi).await;
    chat.upstream.then(Behaviour::step("Một hai ba bốn"));
    let answer = chat.ask("Count").await;
    chat.upstream.release(2);
    read_up_to(&mut chat.socket, &chat.id, "Một hai ").await;
    // The page is reloaded. It gets the partial text, and later chunks continue from there.
    drop(chat.socket);
    chat.socket = chat.anna.connect().await;
    stored(&chat.anna, &answer, "Một hai ").await;
    let mut text = "Một hai ".to_owned();
    chat.upstream.release(1);
    append(&mut text, &chat.socket.expect_in("message.delta", &chat.id).await);
    chat.upstream.release(1);
    assert_eq!(text, "Một hai ba ");
    assert_eq!(chat.ended("message.completed").await["message"]["content"], "Một hai ba bốn");
}

#[tokio::test]
async fn restarts_an_answer_after_the_process_is_killed() {
    let mut chat = Chat::start(Setup::new(), UpstreamKind::OpenAi).await;
    chat.upstream.then(Behaviour::stall("Lost in "));
    let answer = chat.ask("Go on").await;
    read_up_to(&mut chat.socket, &chat.id, "Lost in ").await;
    stored(&chat.anna, &answer, "Lost in ").await;
    chat.app.instances[0].kill().await;
    chat.upstream.then(Behaviour::answer("Found again"));
    chat.app.instances[0].start_again().await;
    chat.socket = chat.anna.connect().await;
    let message = completed_since(&mut chat).await;
    assert_eq!((&message["id"], &message["content"]), (&json!(answer), &json!("Found again")));
    assert_eq!(chat.answers().await.len(), 1, "answered once");
    let log = chat.anna.event_log(&chat.id).await;
    let kinds = log.iter().map(|event| event["type"].as_str().unwrap());
    // The new text replaces the old one before or when the answer ends. The title may have been
    // published as well.
    let kinds: Vec<_> = kinds.filter(|kind| *kind != "message.updated").collect();
    assert_eq!(kinds[..3], ["message.created", "message.created", "message.completed"]);
}

#[tokio::test]
async fn keeps_a_stop_request_across_a_kill() {
    let mut chat = Chat::start(Setup::new(), UpstreamKind::OpenAi).await;
    chat.upstream.then(Behaviour::stall("Never "));
    let answer = chat.ask("Stop").await;
    stored(&chat.anna, &answer, "Never ").await;
    chat.app.instances[0].kill().await;
    chat.app.database.run("UPDATE jobs SET stop_requested = TRUE").await;
    chat.app.instances[0].start_again().await;
    chat.socket = chat.anna.connect().await;
    let message = completed_since(&mut chat).await;
    assert_eq!((&message["status"], &message["content"]), (&json!("stopped"), &json!("Never ")));
    assert_eq!(chat.upstream.asked().len(), 1, "the provider was called again");
}

#[tokio::test]
async fn a_stopping_process_hands_its_answer_over() {
    let mut chat = Chat::start(Setup::new(), UpstreamKind::OpenAi).await;
    chat.upstream.then(Behaviour::stall("Cut short "));
    let answer = chat.ask("Go on").await;
    read_up_to(&mut chat.socket, &chat.id, "Cut short ").await;
    assert_eq!(chat.app.instances[0].terminate().await.code(), Some(0));
    let waiting = "SELECT count(*) FROM jobs WHERE status = 'waiting' AND due_at IS NOT NULL";
    assert_eq!(chat.app.database.number(waiting).await, 1);
    chat.upstream.then(Behaviour::answer("Whole again."));
    chat.app.instances[0].start_again().await;
    chat.socket = chat.anna.connect().await;
    let message = completed_since(&mut chat).await;
    assert_eq!((&message["id"], &message["content"]), (&json!(answer), &json!("Whole again.")));
    assert_eq!(chat.answers().await.len(), 1);
}

#[tokio::test]
async fn a_slow_model_does_not_delay_mail() {
    let mut chat = Chat::start(Setup::new().set("ai.workers", 1), UpstreamKind::OpenAi).await;
    chat.upstream.then(Behaviour::stall("For a long "));
    let answer = chat.ask("Take your time").await;
    stored(&chat.anna, &answer, "For a long ").await;
    // All workers for answers are busy and stay so.
    let waiting = chat.anna.open_assistant().await;
    chat.anna.send_message(&waiting, "And me?").await;
    let ben = chat.app.sign_up("Ben").await;
    chat.app.mailed_token(&ben.email, "verify-email").await;
    assert_eq!(chat.message(&answer).await["status"], "streaming");
    assert_eq!(chat.anna.history(&waiting).await.len(), 1, "the second answer waits");
}
