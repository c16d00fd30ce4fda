//! Cost of calls for each outcome.

use std::time::Duration;

use reqwest::Method;
use support::wait_until;
use tokio::task::JoinSet;

use super::{
    budgets::{spending, spending_on, spending_with, spent},
    *,
};
use crate::assistants::Chat;

async fn rows(stage: &Stage, key: &Value) -> Vec<Value> {
    let path = format!("/r1/usage/requests?page_size=100&key_id={}", key["id"].as_str().unwrap());
    stage.anna.get(&path).await.data()["items"].as_array().unwrap().clone()
}

fn number(row: &Value, field: &str) -> i64 {
    row[field].as_i64().unwrap()
}

#[tokio::test]
async fn charges_streamed_and_complete_calls_of_every_api() {
    let (stage, key, caller) = spending(100_000).await;
    stage.upstream.always(Behaviour::answer("Hello from the upstream."));
    for style in API_STYLES {
        let whole = caller.post(style, asked_at(style, false)).await;
        assert_eq!(whole.header("x-natter-cost"), Some("10"), "{whole:?}");
        let streamed = caller.post(style, asked_at(style, true)).await;
        assert_eq!((streamed.status, streamed_text(&streamed).as_str()), (200, "Hello from the upstream."));
    }
    let vectors = caller.post("/v1/embeddings", json!({ "model": "small", "input": "one" })).await;
    assert_eq!((vectors.status, vectors.header("x-natter-cost")), (200, Some("7")));
    // Four words were streamed; in the answer that isn't streamed, three are counted.
    assert_eq!(spent(&stage, &key).await, 3 * (10 + 11) + 7);
    let rows = rows(&stage, &key).await;
    let endpoints: Vec<&str> = rows.iter().map(|row| row["endpoint"].as_str().unwrap()).collect();
    assert_eq!(endpoints, ["embeddings", "messages", "messages", "responses", "responses", "chat", "chat"]);
    assert!(rows.iter().all(|row| row["estimated"] == false && row["status"] == 200), "{rows:?}");
    let groups = stage.anna.get("/r1/usage?group=day").await.data();
    assert_eq!((&groups["items"][0]["requests"], &groups["items"][0]["cost"]), (&json!(7), &json!(70)));
}

#[tokio::test]
async fn reserves_and_charges_web_searches() {
    let (stage, key, caller) = spending_on(UpstreamKind::Anthropic, 25_000).await;
    let price = json!({ "input": 1_000_000, "output": 1_000_000, "search": 10_000 });
    stage.app.admin().await.put("/r1/admin/models/small", json!({ "price": price })).await.data();
    stage.upstream.always(Behaviour::Body(
        json!({ "id": "m", "type": "message", "role": "assistant", "model": "small",
        "content": [{ "type": "text", "text": "It rains." }], "stop_reason": "end_turn",
        "usage": { "input_tokens": 7, "output_tokens": 3, "server_tool_use": { "web_search_requests": 2 } } }),
    ));
    let asked = |max_uses: u32| {
        let mut asked = asked_at(API_STYLES[2], false);
        asked["max_tokens"] = json!(100);
        asked["tools"] = json!([{ "type": "web_search_20250305", "name": "web_search", "max_uses": max_uses }]);
        asked
    };
    assert_eq!(caller.post(API_STYLES[2], asked(3)).await.status, 402, "three searches exceed the budget");
    let answer = caller.post(API_STYLES[2], asked(2)).await;
    assert_eq!((answer.status, answer.header("x-natter-cost")), (200, Some("20010")), "{answer:?}");
    assert_eq!(spent(&stage, &key).await, 20_010);

    // For an answer without a limit, up to thirty choices are reserved, so more are not allowed.
    // Without a reservation there is no such limit.
    let open = || {
        let mut asked = asked_at(API_STYLES[2], false);
        asked["tools"] = json!([{ "type": "web_search_20250305", "name": "web_search" }]);
        asked
    };
    let rich = json!({ "budget": { "limit": 400_000, "period": "month" } });
    let rich = keys::program(&stage.app, &keys::make(&stage.anna, rich).await);
    assert_eq!(caller.post(API_STYLES[2], open()).await.status, 402);
    for (program, bound) in [(&rich, json!(30)), (&*stage.program, Value::Null)] {
        assert_eq!(program.post(API_STYLES[2], open()).await.status, 200);
        assert_eq!(stage.upstream.asked().pop().unwrap().body["tools"][0]["max_uses"], bound);
    }
}

#[tokio::test]
async fn reserves_and_charges_anthropic_code_execution() {
    let (stage, key, caller) = spending_on(UpstreamKind::Anthropic, 6_000).await;
    let price = json!({ "input": 1_000_000, "output": 1_000_000, "container": 5_000 });
    stage.app.admin().await.put("/r1/admin/models/small", json!({ "price": price })).await.data();
    stage.upstream.always(Behaviour::Body(
        json!({ "id": "m", "type": "message", "role": "assistant", "model": "small",
        "container": { "id": "container_1", "expires_at": "2026-11-27T00:00:00Z" },
        "content": [{ "type": "text", "text": "It is four." }], "stop_reason": "end_turn",
        "usage": { "input_tokens": 7, "output_tokens": 3 } }),
    ));
    let asked = |beside: Option<&str>| {
        let mut asked = asked_at(API_STYLES[2], false);
        let beside = beside.map(|kind| json!({ "type": kind, "name": "web_fetch" }));
        let code = json!({ "type": "code_execution_20250825", "name": "code_execution" });
        asked["tools"] = std::iter::once(code).chain(beside).collect();
        asked
    };
    let answer = caller.post(API_STYLES[2], asked(None)).await;
    assert_eq!((answer.status, answer.header("x-natter-cost")), (200, Some("5010")), "{answer:?}");
    assert_eq!(spent(&stage, &key).await, 5_010);
    assert_eq!(caller.post(API_STYLES[2], asked(None)).await.status, 402, "another container exceeds the budget");
    let answer = caller.post(API_STYLES[2], asked(Some("web_fetch_20260209"))).await;
    assert_eq!((answer.status, answer.header("x-natter-cost")), (200, Some("10")), "{answer:?}");
}

#[tokio::test]
async fn reserves_and_charges_searches_of_chat_completions() {
    let setup = Setup::new().set("ai.providers.fake.passes", "web_search_options");
    let (stage, key, caller) = spending_with(setup, 25_000).await;
    let price = json!({ "input": 1_000_000, "output": 1_000_000, "search": 10_000 });
    stage.app.admin().await.put("/r1/admin/models/small", json!({ "price": price })).await.data();
    stage.upstream.always(Behaviour::answer("Hello from the upstream."));
    let asked = |stream: bool| {
        let mut asked = question(stream);
        asked["web_search_options"] = json!({});
        asked
    };
    let answer = caller.post(API_STYLES[0], asked(false)).await;
    assert_eq!((answer.status, answer.header("x-natter-cost")), (200, Some("10010")), "{answer:?}");
    assert_eq!(streamed_text(&caller.post(API_STYLES[0], asked(true)).await), "Hello from the upstream.");
    assert_eq!(spent(&stage, &key).await, 20_021);
    assert_eq!(caller.post(API_STYLES[0], asked(false)).await.status, 429, "another call exceeds the budget");
    assert_eq!(caller.post(API_STYLES[0], question(false)).await.header("x-natter-cost"), Some("10"));

    // Nothing is reserved for parameters that are removed from the request.
    let rules = json!({ "passthrough": [], "budget": { "limit": 1_000, "period": "month" } });
    let narrow = keys::program(&stage.app, &keys::make(&stage.anna, rules).await);
    assert_eq!(narrow.post(API_STYLES[0], asked(false)).await.header("x-natter-cost"), Some("10"));
}

#[tokio::test]
async fn reserves_and_charges_openai_server_tools() {
    let setup = Setup::new().set("ai.providers.fake.responses", true).set("ai.providers.fake.hosted_tools", true);
    let (stage, key, caller) = spending_with(setup, 90_000).await;
    let price = json!({ "input": 1_000_000, "output": 1_000_000, "search": 10_000, "container": 30_000 });
    stage.app.admin().await.put("/r1/admin/models/small", json!({ "price": price })).await.data();
    let code = json!({ "type": "code_interpreter", "container": { "type": "auto" } });
    let asked = |stream: bool, most: u32| {
        let mut asked = asked_at(API_STYLES[1], stream);
        asked["tools"] = json!([{ "type": "web_search" }, code]);
        asked["max_tool_calls"] = json!(most);
        asked
    };
    let searched =
        json!({ "type": "web_search_call", "id": "ws_1", "status": "completed", "action": { "type": "search" } });
    let ran = json!({ "type": "code_interpreter_call", "id": "ci_1", "status": "completed", "container_id": "cntr_1" });
    let response = json!({ "id": "resp_1", "object": "response", "status": "completed", "error": null, "model": "small",
        "tools": [code], "output": [searched, ran, ran], "usage": { "input_tokens": 7, "output_tokens": 3 } });
    stage.upstream.always(Behaviour::Body(response.clone()));
    assert_eq!(caller.post(API_STYLES[1], asked(false, 6)).await.status, 429, "six searches exceed the budget");
    let answer = caller.post(API_STYLES[1], asked(false, 1)).await;
    assert_eq!((answer.status, answer.header("x-natter-cost")), (200, Some("40010")), "{answer:?}");
    let begun = json!({ "type": "response.created", "response": { "id": "resp_1", "tools": [code] } });
    let done = |item: &Value| json!({ "type": "response.output_item.done", "item": item });
    let ended = json!({ "type": "response.completed", "response": response });
    stage.upstream.always(Behaviour::Frames(vec![begun, done(&searched), done(&ran), ended]));
    assert_eq!(frames(&caller.post(API_STYLES[1], asked(true, 1)).await).len(), 4);
    assert_eq!(spent(&stage, &key).await, 80_020);

    // Nothing is reserved for parameters that are removed from the request.
    let rules = json!({ "passthrough": [], "budget": { "limit": 1_000, "period": "month" } });
    let narrow = keys::program(&stage.app, &keys::make(&stage.anna, rules).await);
    stage.upstream.always(Behaviour::Body(
        json!({ "id": "resp_2", "status": "completed", "output": [], "usage": { "input_tokens": 7, "output_tokens": 3 } }),
    ));
    let answer = narrow.post(API_STYLES[1], asked(false, 6)).await;
    assert_eq!((answer.status, answer.header("x-natter-cost")), (200, Some("10")), "{answer:?}");
    assert_eq!(stage.upstream.asked().pop().unwrap().body["tools"], json!([]));
}

#[tokio::test]
async fn a_zero_output_limit_reserves_as_much_as_no_limit() {
    let setup = Setup::new().set("gateway.assumed_output", 5_000);
    let (stage, key, caller) = spending_with(setup, 1_000).await;
    for (style, field) in API_STYLES.into_iter().zip(["max_tokens", "max_output_tokens", "max_tokens"]) {
        let mut asked = asked_at(style, true);
        asked[field] = json!(0);
        let refused = caller.post(style, asked).await;
        assert!(matches!(refused.status, 402 | 429), "{style}: {refused:?}");
    }
    assert!(stage.upstream.asked().is_empty(), "the provider was called");
    assert_eq!(spent(&stage, &key).await, 0);
}

#[tokio::test]
async fn refuses_unpriced_models_where_configured() {
    let mut chat = Chat::start(Setup::new().set("gateway.unknown_price", "refuse"), UpstreamKind::OpenAi).await;
    let (admin, program) = (chat.app.admin().await, chat.anna.program(&["gateway"]).await);
    assert_eq!(program.post(API_STYLES[0], question(false)).await.status, 403);
    let refused = chat.anna.send_as(&chat.id, &support::new_id(), "Hello?").await;
    refused.names_field("model");
    assert_eq!(refused.body["errors"][0]["code"], "no_price", "{refused:?}");
    let test = admin.post("/r1/admin/setup/question", json!({})).await.data();
    assert!(test["ok"] == false && test["error"].as_str().unwrap().contains("has no price"), "{test}");
    assert!(chat.upstream.asked().is_empty(), "the provider was called");
    assert_eq!(chat.anna.get("/r1/models").await.data()["total"], 0);
    assert_eq!(program.get("/v1/models/small").await.status, 404);
    let price = json!({ "input": 1_000_000, "output": 1_000_000 });
    admin.put("/r1/admin/models/small", json!({ "price": price })).await.data();
    let shown = chat.anna.get("/r1/models").await.data();
    assert_eq!((&shown["total"], &shown["items"][0]["name"]), (&json!(1), &json!("small")));
    let shown = program.get("/v1/models").await;
    assert!(shown.body["data"].as_array().unwrap().iter().all(|model| model["id"] != "large"), "{shown:?}");
    let answer = chat.ask("Hello?").await;
    chat.ended("message.completed").await;
    let compare = format!("/r1/messages/{answer}/compare");
    chat.anna.post(&compare, json!({ "model": "large" })).await.names_field("model");
}

#[tokio::test]
async fn a_zero_budget_allows_nothing_and_wrong_prices_can_be_reverted() {
    let (stage, key, caller) = spending(1_000).await;
    let admin = stage.app.admin().await;
    let wrong = json!({ "price": { "input": 1_000_000_000_000_i64, "output": 1_000_000_000_000_i64 } });
    admin.put("/r1/admin/models/small", wrong).await.data();
    assert_eq!(
        caller.post(API_STYLES[0], question(false)).await.status,
        429,
        "the budget holds by the wrong price, too"
    );
    for _ in 0..3 {
        let answer = stage.program.post(API_STYLES[0], question(false)).await;
        assert_eq!((answer.status, answer.header("x-natter-cost")), (200, Some("10000000")), "{answer:?}");
    }
    admin.put("/r1/admin/models/small", json!({ "price": { "input": 1_000_000, "output": 1_000_000 } })).await.data();
    assert_eq!(caller.post(API_STYLES[0], question(false)).await.header("x-natter-cost"), Some("10"));
    admin.delete("/r1/admin/models/small").await.data();
    assert_eq!(caller.post(API_STYLES[0], question(false)).await.header("x-natter-cost"), Some("0"));
    assert_eq!(spent(&stage, &key).await, 10);
    let rows = rows(&stage, &key).await;
    let mut versions: Vec<&Value> = rows.iter().map(|row| &row["price_version"]).collect();
    versions.dedup();
    assert_eq!(versions.len(), 3, "each row keeps its price version: {versions:?}");
}

#[tokio::test]
async fn two_hundred_concurrent_streams_never_overdraw() {
    let (stage, key, caller) = spending(1_000).await;
    // Each call may cost more than 100 micro-credits, and none ends before all are sent.
    stage.upstream.always(Behaviour::step("Hello from the upstream."));
    let mut racing = JoinSet::new();
    for _ in 0..200 {
        racing.spawn(caller.request(Method::POST, API_STYLES[0]).json(&question(true)).send());
    }
    let mut streams = Vec::new();
    while let Some(begun) = racing.join_next().await {
        let begun = begun.unwrap().unwrap();
        match begun.status().as_u16() {
            200 => streams.push(begun),
            429 => assert_eq!(begun.headers()["x-should-retry"], "false"),
            status => panic!("{status}"),
        }
    }
    assert!((5..10).contains(&streams.len()), "{}", streams.len());
    assert_eq!(stage.upstream.asked().len(), streams.len());
    stage.upstream.release(4 * streams.len());
    let count = i64::try_from(streams.len()).unwrap();
    for stream in streams {
        let text = stream.text().await.unwrap();
        assert!(text.contains("upstream."), "{text}");
    }
    assert_eq!(spent(&stage, &key).await, 11 * count);
    // The unused part of a reservation is available to other calls.
    stage.upstream.always(Behaviour::answer("Hello from the upstream."));
    while caller.post(API_STYLES[0], question(true)).await.status == 200 {}
    let spent = spent(&stage, &key).await;
    assert!((800..=1_000).contains(&spent), "{spent}");
}

/// Reads a stream until this number of further words has arrived, or until it ends. Returns true if
/// it has not ended.
async fn read_words(stream: &mut reqwest::Response, text: &mut String, words: usize) -> bool {
    let until = text.matches("word ").count() + words;
    while text.matches("word ").count() < until {
        match stream.chunk().await.unwrap() {
            Some(chunk) => text.push_str(&String::from_utf8_lossy(&chunk)),
            None => return false,
        }
    }
    true
}

#[tokio::test]
async fn extends_the_reservation_of_a_growing_stream_or_cuts_it() {
    // Requests of the messages API always contain a limit.
    for (style, limit, is_cut) in [
        (API_STYLES[0], 100_000, false),
        (API_STYLES[1], 100_000, false),
        (API_STYLES[0], 300, true),
        (API_STYLES[1], 300, true),
    ] {
        let setup = Setup::new().set("gateway.assumed_output", 50);
        let (mut stage, key, caller) = budgets::spending_with(setup, limit).await;
        let mut body = asked_at(style, true);
        body.as_object_mut().unwrap().retain(|field, _| field != "max_tokens" && field != "max_output_tokens");
        stage.upstream.then(Behaviour::step(&"word ".repeat(400)));
        stage.upstream.release(20);
        let mut stream = caller.request(Method::POST, style).json(&body).send().await.unwrap();
        assert_eq!(stream.status(), 200);
        let mut text = String::new();
        while read_words(&mut stream, &mut text, 20).await && text.matches("word ").count() < 400 {
            stage.upstream.release(20);
        }
        while let Some(chunk) = stream.chunk().await.unwrap() {
            text.push_str(&String::from_utf8_lossy(&chunk));
        }
        let is_whole = text.contains("[DONE]") || text.contains("response.completed");
        assert_eq!((is_whole, text.contains("insufficient_quota")), (!is_cut, is_cut), "{style}: {text}");
        let spent = spent(&stage, &key).await;
        if is_cut {
            let _ = stage.upstream.wait_until_left(1).await;
            assert!((200..=limit + 50).contains(&spent), "{spent}");
        } else {
            assert!(spent >= 400, "{spent}");
        }
    }
}

#[tokio::test]
async fn stops_reading_from_a_provider_that_ignores_the_output_limit() {
    let (mut stage, key, caller) = spending(300).await;
    let price = json!({ "input": 1_000_000, "output": 1_000_000 });
    let deployments = json!([{ "provider": "fake", "model": "gpt-5-mini" }]);
    let body = json!({ "price": price, "deployments": deployments });
    stage.app.admin().await.put("/r1/admin/models/small", body).await.data();
    stage.upstream.then(Behaviour::step(&"word ".repeat(400)));
    stage.upstream.release(20);
    let mut stream = caller.request(Method::POST, API_STYLES[0]).json(&question(true)).send().await.unwrap();
    let mut text = String::new();
    while read_words(&mut stream, &mut text, 20).await && text.matches("word ").count() < 400 {
        stage.upstream.release(20);
    }
    while let Some(chunk) = stream.chunk().await.unwrap() {
        text.push_str(&String::from_utf8_lossy(&chunk));
    }
    assert!(text.contains("insufficient_quota") && !text.contains("[DONE]"), "{text}");
    let _ = stage.upstream.wait_until_left(1).await;
    let spent = spent(&stage, &key).await;
    assert!((200..=350).contains(&spent), "{spent}");
}

#[tokio::test]
async fn failures_before_output_are_free_and_interrupted_streams_are_charged_once() {
    for kind in UpstreamKind::ALL {
        let (stage, key, caller) = budgets::spending_on(kind, 100_000).await;
        let refusal = json!({ "error": { "message": "It said nothing. ".repeat(200), "type": "server_error", "code": 500, "status": "INTERNAL" }, "type": "error" });
        for dead in [Behaviour::Frames(Vec::new()), Behaviour::Frames(vec![refusal]), Behaviour::Refuse(500, None)] {
            stage.upstream.always(dead.clone());
            let answer = caller.post(API_STYLES[0], question(true)).await;
            assert!(answer.status >= 500, "{kind:?} {dead:?}: {answer:?}");
            let answer = caller.post(API_STYLES[0], question(false)).await;
            assert!(answer.status >= 500, "{kind:?} {dead:?}: {answer:?}");
        }
        assert_eq!(spent(&stage, &key).await, 0, "{kind:?}");
        assert_eq!(rows(&stage, &key).await.len(), 6, "failed calls are recorded too");

        // The text of an error is not charged, only the output before it. A new provider is used
        // each time, because one with these failures is not called for a while.
        let (stage, key, caller) = budgets::spending_on(kind, 100_000).await;
        for broken in [Behaviour::cut("One two "), Behaviour::fail("One two ")] {
            stage.upstream.always(broken);
            let answer = caller.post(API_STYLES[0], question(true)).await;
            assert_eq!(streamed_text(&answer), "One two ", "{kind:?}: {answer:?}");
        }
        let all = rows(&stage, &key).await;
        assert_eq!(all.len(), 2, "each call is recorded once");
        for row in &all {
            assert_eq!(
                (&row["status"], &row["estimated"], number(row, "output_tokens")),
                (&json!(502), &json!(true), 2),
                "{kind:?}: {row}"
            );
            assert!((1..=60).contains(&number(row, "input_tokens")), "{row}");
            assert_eq!(number(row, "cost"), number(row, "input_tokens") + 2);
            if kind == UpstreamKind::Anthropic {
                assert_eq!(number(row, "input_tokens"), 7, "the provider reported input tokens before the failure");
            }
        }
        assert_eq!(spent(&stage, &key).await, number(&all[0], "cost") + number(&all[1], "cost"));
    }
}

#[tokio::test]
async fn a_client_that_disconnects_pays_for_the_output_so_far() {
    let (stage, key, caller) = spending(100_000).await;
    stage.upstream.always(Behaviour::stall("One two three four "));
    for style in API_STYLES {
        let mut stream = caller.request(Method::POST, style).json(&asked_at(style, true)).send().await.unwrap();
        let mut text = String::new();
        while !text.contains("four ") {
            text.push_str(&String::from_utf8_lossy(&stream.chunk().await.unwrap().unwrap()));
        }
    }
    wait_until("the calls are counted", async || rows(&stage, &key).await.len() == 3).await;
    let all = rows(&stage, &key).await;
    for row in &all {
        let told = (&row["status"], &row["estimated"], number(row, "output_tokens"));
        assert_eq!(told, (&json!(499), &json!(true), 5), "{row}");
    }
    assert_eq!(spent(&stage, &key).await, all.iter().map(|row| number(row, "cost")).sum::<i64>());
    let models = stage.anna.get("/r1/usage?group=model").await.data();
    assert_eq!(models["items"][0]["failed"], 0, "client disconnects are not failures: {models}");
    // If the client disconnects before any output, the input is charged, because the provider has
    // processed it.
    stage.upstream.always(Behaviour::Hang);
    let request =
        caller.request(Method::POST, API_STYLES[0]).json(&question(false)).timeout(Duration::from_millis(300));
    assert!(request.send().await.unwrap_err().is_timeout());
    wait_until("the call is counted", async || rows(&stage, &key).await.len() == 4).await;
    let last = rows(&stage, &key).await.remove(0);
    assert_eq!((&last["status"], &last["estimated"]), (&json!(499), &json!(true)), "{last}");
    assert!(number(&last, "input_tokens") > 0 && number(&last, "cost") >= number(&last, "input_tokens"), "{last}");
    let all = rows(&stage, &key).await;
    assert_eq!(spent(&stage, &key).await, all.iter().map(|row| number(row, "cost")).sum::<i64>());
}

#[tokio::test]
async fn charges_answers_completed_before_a_kill() {
    const CALLS: usize = 12;
    let (mut stage, key, caller) = spending(100_000).await;
    for caller in [&caller, &stage.program] {
        for call in 0..CALLS {
            let answer = caller.post(API_STYLES[0], question(call % 2 == 0)).await;
            assert_eq!(answer.status, 200, "{answer:?}");
        }
    }
    stage.app.instances[0].kill().await;
    stage.app.instances[0].start_again().await;
    let costs = i64::try_from(CALLS / 2).unwrap() * (10 + 11);
    stage.anna.get("/r1/usage").await.data();
    assert_eq!(rows(&stage, &key).await.len(), CALLS);
    let all = stage.anna.get("/r1/usage/requests").await.data();
    assert_eq!(all["total"], 2 * CALLS, "{all}");
    let groups = stage.anna.get("/r1/usage?group=day").await.data();
    assert_eq!((&groups["items"][0]["requests"], &groups["items"][0]["cost"]), (&json!(2 * CALLS), &json!(2 * costs)));
    let listed = stage.anna.get("/r1/api_keys").await.data();
    let found = listed["items"].as_array().unwrap().iter().find(|one| one["id"] == key["id"]).unwrap();
    assert_eq!(found["budget"]["spent"], costs);
    // Calls that are booked are not booked again.
    stage.app.instances[0].kill().await;
    stage.app.instances[0].start_again().await;
    assert_eq!(stage.anna.get("/r1/usage/requests").await.data()["total"], 2 * CALLS);
}
