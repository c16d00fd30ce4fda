//! Cache of responses.

use reqwest::Method;
use support::{Caller, Credentials, Value, json};

use super::{Stage, keys, question};

fn repeatable() -> Value {
    let mut question = question(false);
    question["temperature"] = json!(0);
    question
}

fn caller(stage: &Stage, key: &Value) -> Caller {
    Caller::new(&stage.app.url(), Credentials::Bearer(key["key"].as_str().unwrap().to_owned()))
}

#[tokio::test]
async fn answers_a_repeated_question_of_a_key_from_the_cache() {
    let stage = Stage::start().await;
    let price = json!({ "input": 1_000_000, "output": 1_000_000 });
    stage.app.admin().await.put("/r1/admin/models/small", json!({ "price": price })).await.data();
    let key = keys::make(&stage.anna, json!({})).await;
    let program = caller(&stage, &key);
    let input = json!({ "model": "small", "input": "Hello?", "max_output_tokens": 100, "temperature": 0 });
    for (path, question) in
        [("/v1/chat/completions", repeatable()), ("/v1/responses", input), ("/v1/messages", repeatable())]
    {
        let asked = stage.upstream.asked().len();
        let first = program.post(path, question.clone()).await;
        let second = program.post(path, question).await;
        assert_eq!((first.status, first.header("x-natter-cache")), (200, Some("miss")), "{first:?}");
        assert_eq!((second.status, second.header("x-natter-cache")), (200, Some("hit")), "{second:?}");
        assert_eq!(second.header("x-natter-cost"), Some("0"));
        assert_eq!(second.header("x-natter-model"), first.header("x-natter-model"));
        assert_eq!(first.body, second.body);
        assert_ne!(first.header("x-request-id"), second.header("x-request-id"));
        assert_eq!(stage.upstream.asked().len(), asked + 1);
    }
    let rows = stage.anna.get(&format!("/r1/usage/requests?key_id={}", key["id"].as_str().unwrap())).await.data();
    let row = &rows["items"][0];
    assert_eq!((&rows["total"], &row["deployment"], &row["cost"]), (&json!(6), &json!("cache"), &json!(0)));
    assert_eq!((&row["status"], &row["input_tokens"], &row["tries"]), (&json!(200), &json!(0), &json!(0)));
    // No other key gets the cached answer, not even another key of the same owner.
    let other = keys::make(&stage.anna, json!({})).await;
    let path = "/v1/chat/completions";
    assert_eq!(caller(&stage, &other).post(path, repeatable()).await.header("x-natter-cache"), Some("miss"));
    // If a model is redefined, its cached answers are no longer used.
    stage.app.admin().await.put("/r1/admin/models/small", json!({ "price": { "input": 1, "output": 1 } })).await.data();
    assert_eq!(program.post(path, repeatable()).await.header("x-natter-cache"), Some("miss"));
}

#[tokio::test]
async fn only_requests_that_opt_in_are_answered_from_the_cache() {
    let stage = Stage::start().await;
    let key = keys::make(&stage.anna, json!({})).await;
    let (path, program) = ("/v1/chat/completions", caller(&stage, &key));
    let ask = async |words: &str, question: Value| {
        let request = program.request(Method::POST, path).header("cache-control", words).json(&question);
        program.send(request).await
    };
    for _ in 0..2 {
        assert_eq!(
            program.post(path, question(false)).await.header("x-natter-cache"),
            None,
            "sampled answers are not cached"
        );
    }
    for expected in ["miss", "hit"] {
        let answer = ask("max-age=60", question(false)).await;
        assert_eq!(answer.header("x-natter-cache"), Some(expected));
    }
    for expected in ["miss", "miss"] {
        let answer = ask("no-cache", repeatable()).await;
        assert_eq!(answer.header("x-natter-cache"), Some(expected));
    }
    assert_eq!(ask("no-store", repeatable()).await.header("x-natter-cache"), None);
    let mut stream = repeatable();
    stream["stream"] = json!(true);
    for _ in 0..2 {
        let answer = ask("max-age=60", stream.clone()).await;
        assert_eq!((answer.status, answer.header("x-natter-cache")), (200, None), "{answer:?}");
    }
}
