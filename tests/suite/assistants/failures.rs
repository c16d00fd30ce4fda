//! What a provider can do wrong, and what the reader is told.

use support::{Behaviour, Setup, UpstreamKind, Value, json};

use super::Chat;

/// An answer that fails: its content and the reason that the reader sees.
async fn fail(chat: &mut Chat) -> (Value, String) {
    let answer = chat.ask("Hello?").await;
    let failed = chat.ended("message.failed").await;
    let message = &failed["message"];
    assert_eq!((&message["id"], &message["status"]), (&json!(answer), &json!("failed")));
    assert_eq!(message["reason"], failed["reason"]);
    assert_eq!(chat.message(&answer).await, *message);
    (message["content"].clone(), failed["reason"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn what_passes_within_seconds_is_not_noticed() {
    for kind in [UpstreamKind::OpenAi, UpstreamKind::Gemini] {
        let mut chat = Chat::start(Setup::new(), kind).await;
        chat.upstream.then(Behaviour::Refuse(500, None));
        chat.upstream.then(Behaviour::Refuse(429, Some(1)));
        chat.upstream.then(Behaviour::answer("At last."));
        chat.ask("Hello?").await;
        assert_eq!(chat.ended("message.completed").await["message"]["content"], "At last.");
        assert_eq!(chat.upstream.asked().len(), 3);
    }
}

#[tokio::test]
async fn a_provider_that_stays_away_is_told_and_can_be_asked_again() {
    let mut chat = Chat::start(Setup::new(), UpstreamKind::OpenAi).await;
    chat.upstream.always(Behaviour::Refuse(500, None));
    let (content, reason) = fail(&mut chat).await;
    assert_eq!(content, "");
    assert_eq!(reason, "The assistant's provider is not available right now. Try again in a minute.");
    assert_eq!(chat.upstream.asked().len(), 4, "the first try and three more");

    chat.upstream.always(Behaviour::answer("Back again."));
    let answer = chat.answers().await[0]["id"].as_str().unwrap().to_owned();
    let again = chat.anna.post(&format!("/r1/messages/{answer}/regenerate"), json!({})).await.data();
    assert!(again["reason"].is_null());
    let completed = chat.ended("message.completed").await;
    assert_eq!(
        (&completed["message"]["id"], &completed["message"]["content"]),
        (&json!(answer), &json!("Back again."))
    );
    assert_eq!(chat.answers().await.len(), 1);
}

#[tokio::test]
async fn a_long_wait_is_told_at_once() {
    let mut chat = Chat::start(Setup::new(), UpstreamKind::OpenAi).await;
    chat.upstream.always(Behaviour::Refuse(429, Some(100)));
    let (_, reason) = fail(&mut chat).await;
    assert_eq!(reason, "The assistant's provider is busy. Try again in 2 minutes.");
    assert_eq!(chat.upstream.asked().len(), 1);
}

#[tokio::test]
async fn a_stream_that_breaks_keeps_its_text_and_fails() {
    for kind in [UpstreamKind::OpenAi, UpstreamKind::Gemini] {
        let mut chat = Chat::start(Setup::new(), kind).await;
        for (behaviour, expected) in [
            (Behaviour::cut("Half an "), "The answer was cut off before it was finished. Try again."),
            (
                Behaviour::garbage("Half an "),
                "The assistant's provider sent an answer that could not be understood. Try again.",
            ),
        ] {
            chat.upstream.then(behaviour);
            let (content, reason) = fail(&mut chat).await;
            assert_eq!((content, reason), (json!("Half an "), expected.to_owned()));
        }
        assert_eq!(chat.upstream.asked().len(), 2, "after the first token nothing is tried again");
    }
}

#[tokio::test]
async fn a_stream_that_falls_silent_is_given_up() {
    let mut chat = Chat::start(Setup::new().set("ai.idle_timeout", 1), UpstreamKind::OpenAi).await;
    chat.upstream.then(Behaviour::stall("Wait for "));
    let (content, reason) = fail(&mut chat).await;
    assert_eq!(content, "Wait for ");
    assert_eq!(reason, "The assistant's provider took too long to answer. Try again.");
}

#[tokio::test]
async fn a_refused_key_is_the_administrators_business_and_stays_secret() {
    let mut chat = Chat::start(Setup::new(), UpstreamKind::OpenAi).await;
    chat.upstream.always(Behaviour::Refuse(401, None));
    let (_, reason) = fail(&mut chat).await;
    assert!(reason.contains("administrator"), "{reason}");
    assert!(!chat.app.instances[0].log().iter().any(|line| line.contains("key-one")), "a key is in the log");
}
