//! Answers of an assistant to a search.

use support::{Behaviour, Setup, Upstream, UpstreamKind, json, wait_until};

use super::{finds, found};

#[tokio::test]
async fn an_assistant_searches_only_what_the_asker_may_read() {
    let upstream = Upstream::start(UpstreamKind::OpenAi).await;
    let app = Setup::new().provider(&upstream).set("ai.providers.fake.models", "gpt-5-mini").start().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let chat = anna.open_single(&ben).await;
    let secret = anna.open_channel("private_channel", "Secrets").await;
    let said = ben.send_message(&chat, "the heron arrives on Friday").await;
    anna.send_message(&secret, "the heron is a spy").await;
    finds(&anna, "heron", &["the heron arrives on Friday", "the heron is a spy"]).await;
    finds(&ben, "heron", &["the heron arrives on Friday"]).await;

    upstream.then(Behaviour::answer("On Friday.[1] Not on Monday.[7]"));
    let answer = ben.post("/r1/search/answer", json!({ "q": "heron", "question": "When?" })).await.data();
    assert_eq!(answer["text"], json!("On Friday.[1] Not on Monday.[7]"));
    let source = &answer["sources"][0];
    assert_eq!((&source["n"], &source["message_id"], &source["sender"]), (&json!(1), &said["id"], &json!("Ben")));
    assert_eq!((answer["sources"].as_array().unwrap().len(), &answer["read_count"]), (1, &json!(1)));
    assert_eq!(answer["assistant"]["kind"], json!("assistant"));
    let asked = upstream.asked().last().unwrap().body["messages"].to_string();
    assert!(asked.contains("arrives on Friday") && asked.contains("When?") && !asked.contains("spy"), "{asked}");
    // The answer is charged to Ben. No conversation contains it.
    let used = async || ben.get("/r1/usage/requests").await.data()["total"].as_u64().unwrap_or_default();
    wait_until("the usage is recorded", async || used().await == 1).await;
    assert_eq!(found(&ben, "heron").await.len(), 1);

    // The answer is refused if there are no results, if the question is too long, and if the model
    // fails.
    ben.post("/r1/search/answer", json!({ "q": "pelican" })).await.names_field("q");
    ben.post("/r1/search/answer", json!({ "q": "heron", "question": "x".repeat(501) })).await.names_field("question");
    upstream.always(Behaviour::Refuse(500, None));
    ben.post("/r1/search/answer", json!({ "q": "heron" })).await.refused(503, "unavailable");
    app.anonymous().post("/r1/search/answer", json!({ "q": "heron" })).await.refused(401, "unauthenticated");
}
