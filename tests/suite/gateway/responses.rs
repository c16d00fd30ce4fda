//! Stored responses, token counts and compaction of the Responses API.

use super::*;

#[tokio::test]
async fn a_key_without_the_endpoint_reads_no_responses() {
    let stage = Stage::start().await;
    let key = keys::make(&stage.anna, json!({ "endpoints": ["chat"] })).await;
    let caller = keys::program(&stage.app, &key);
    for path in ["/v1/responses/resp_1", "/v1/responses/resp_1/input_items"] {
        let refused = caller.get(path).await;
        assert_eq!(refused.status, 403, "{refused:?}");
    }
}

#[tokio::test]
async fn counts_the_tokens_of_a_response() {
    let stage = Stage::with(Setup::new(), UpstreamKind::Anthropic).await;
    let counted = stage.program.post("/v1/responses/input_tokens", json!({ "model": "small", "input": "Hello" })).await;
    assert_eq!(counted.body, json!({ "object": "response.input_tokens", "input_tokens": 7 }), "{counted:?}");
    let estimated = Stage::start().await;
    let counted =
        estimated.program.post("/v1/responses/input_tokens", json!({ "model": "small", "input": "Hi" })).await;
    assert!(counted.body["input_tokens"].as_u64().is_some_and(|tokens| tokens > 0), "{counted:?}");
}

#[tokio::test]
async fn compacts_conversations_by_a_summary() {
    let stage = Stage::start().await;
    let conversation =
        json!([{ "role": "user", "content": "My name is Mai." }, { "role": "assistant", "content": "Hello." }]);
    let mut with_trigger = conversation.clone();
    with_trigger.as_array_mut().unwrap().push(json!({ "type": "compaction_trigger" }));
    let triggered = json!({ "model": "small", "store": false, "input": with_trigger });
    let mut streamed = triggered.clone();
    streamed["stream"] = json!(true);
    for (path, asked) in [
        ("/v1/responses", triggered),
        ("/v1/responses", streamed),
        ("/v1/responses/compact", json!({ "model": "small", "input": conversation })),
    ] {
        stage.upstream.then(Behaviour::answer("The user is called Mai."));
        let answer = stage.program.post(path, asked.clone()).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let body = if asked["stream"] == true {
            frames(&answer).pop().unwrap()["response"].clone()
        } else {
            answer.body.clone()
        };
        let output = body["output"].as_array().unwrap();
        assert_eq!((output.len(), &output[0]["type"]), (1, &json!("compaction")), "{body}");
        let instruction =
            stage.upstream.asked().pop().unwrap().body["messages"].as_array().unwrap().last().unwrap().clone();
        assert!(instruction["content"].to_string().contains("Summarise"), "{instruction}");

        // The client continues with the item, which the model reads.
        stage.upstream.then(Behaviour::answer("Mai."));
        let next = json!([output[0], { "role": "user", "content": "Who am I?" }]);
        assert_eq!(stage.program.post("/v1/responses", json!({ "model": "small", "input": next })).await.status, 200);
        let asked = stage.upstream.asked().pop().unwrap().body.to_string();
        assert!(asked.contains("The user is called Mai.") && !asked.contains("My name is Mai"), "{asked}");
    }
}

/// A client would drop its conversation for an incomplete summary.
#[tokio::test]
async fn an_incomplete_summary_is_an_error() {
    let stage = Stage::start().await;
    let asked = json!({ "model": "small", "input": "Long." });
    stage.upstream.always(Behaviour::answer(""));
    let refused = stage.program.post("/v1/responses/compact", asked).await;
    assert_eq!(refused.status, 502, "{refused:?}");
    let refused = stage.program.post("/v1/responses/compact", json!({ "model": "small" })).await;
    assert_eq!((refused.status, &refused.body["error"]["param"]), (400, &json!("input")));
}
