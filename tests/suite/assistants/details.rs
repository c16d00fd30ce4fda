//! Metadata of answers: usage, duration and reasoning.

use support::{Setup, UpstreamKind, json};

use super::{Chat, begun};

#[tokio::test]
async fn records_usage_and_timing_of_an_answer() {
    let mut chat = Chat::start(Setup::new(), UpstreamKind::OpenAi).await;
    let answer = chat.ask("Hello?").await;
    let message = chat.ended("message.completed").await["message"].clone();
    let figures = &message["answer"];
    assert!(figures["duration_ms"].is_u64() && figures["first_token_ms"].is_u64(), "{figures}");
    assert!(
        figures["output_tokens"].as_u64().unwrap() > 0 && figures["input_tokens"].as_u64().unwrap() > 0,
        "{figures}"
    );
    let context = &figures["context"];
    assert!(context["used"].as_u64().unwrap() < context["window"].as_u64().unwrap(), "{figures}");
    assert_eq!(context["messages"], 1);
    let path = format!("/r1/messages/{answer}/details");
    let details = chat.anna.get(&path).await.data();
    assert_eq!(details, json!({ "message_id": answer, "model": "small", "answer": figures, "thinking": null }));
    assert_eq!(chat.message(&answer).await["answer"], *figures);
    // Each version has its own metadata.
    chat.anna.post(&format!("/r1/messages/{answer}/regenerate"), json!({ "model": "large" })).await.data();
    let again = chat.ended("message.completed").await["message"].clone();
    assert_eq!(chat.anna.get(&path).await.data()["model"], "large");
    chat.anna.put(&format!("/r1/messages/{answer}/version"), json!({ "index": 1 })).await.data();
    assert_eq!(chat.anna.get(&path).await.data(), details);
    assert_eq!(chat.message(&answer).await["answer"], *figures);
    assert!(again["answer"].is_object());
    // A question has no metadata, and other users can't read that of an answer.
    let question = chat.anna.history(&chat.id).await[0]["id"].as_str().unwrap().to_owned();
    chat.anna.get(&format!("/r1/messages/{question}/details")).await.refused(404, "not_found");
    let stranger = chat.app.sign_up("Mallory").await;
    stranger.get(&path).await.refused(404, "not_found");
}

#[tokio::test]
async fn stores_reasoning_separately_from_the_answer() {
    let mut chat = Chat::start(Setup::new(), UpstreamKind::OpenAi).await;
    chat.upstream.then(support::Behaviour::thinking("Let me see.", "Forty-two."));
    chat.anna.send_message(&chat.id, "What is it?").await;
    let answer = begun(&mut chat.socket, &chat.id).await;
    // The reasoning is sent while the model reasons, before the first word of the answer.
    let (mut thought, mut text) = (String::new(), String::new());
    while text.is_empty() {
        let is_piece = |frame: &support::Frame| matches!(frame.kind.as_str(), "message.thought" | "message.delta");
        let piece = chat.socket.find("a piece", is_piece).await;
        assert_eq!(piece.payload["message_id"], json!(answer));
        let whole = if piece.kind == "message.thought" { &mut thought } else { &mut text };
        assert_eq!(piece.payload["offset"], whole.len());
        whole.push_str(piece.payload["text"].as_str().unwrap());
    }
    assert_eq!(thought, "Let me see.");
    let message = chat.ended("message.completed").await["message"].clone();
    assert_eq!(message["content"], "Forty-two.");
    assert!(message["answer"]["thought_ms"].is_u64(), "{message}");
    let path = format!("/r1/messages/{answer}/details");
    assert_eq!(chat.anna.get(&path).await.data()["thinking"], "Let me see.");
    // The next request doesn't contain the reasoning.
    chat.ask("And?").await;
    chat.ended("message.completed").await;
    assert!(!chat.upstream.asked()[1].body.to_string().contains("Let me see"));
    let log = format!("{:?}", chat.anna.event_log(&chat.id).await);
    assert!(!log.contains("Let me see"));
    chat.anna.delete(&format!("/r1/messages/{answer}")).await.data();
    assert_eq!(chat.app.database.number("SELECT count(*) FROM message_reasoning").await, 0);
}
