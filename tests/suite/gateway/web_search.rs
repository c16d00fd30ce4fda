//! Web searches: by a provider, and by the search provider of the installation.

use super::{
    budgets::{spending_with, spent},
    *,
};

const URL: &str = "https://news.example.org/rain";

/// Search provider that finds one page.
async fn search_engine() -> Upstream {
    let engine = Upstream::start(UpstreamKind::OpenAi).await;
    engine.always(Behaviour::Body(
        json!({ "results": [{ "url": URL, "title": "Rain", "content": "It rains in Hue." }] }),
    ));
    engine
}

/// Settings of an installation that searches by this engine.
fn searching(engine: &Upstream) -> Setup {
    Setup::new()
        .set("outgoing.allow", "127.0.0.1")
        .set("web_search.kind", "searxng")
        .set("web_search.url", engine.url())
        .set("web_search.price", 5_000)
}

/// Question that asks for a search in this format, with a tool of the client.
fn asked_to_search(style: &str, stream: bool) -> Value {
    let mut asked = asked_at(style, stream);
    let schema = json!({ "type": "object", "properties": {} });
    match style {
        "/v1/chat/completions" => {
            asked["web_search_options"] = json!({});
            asked["tools"] = json!([{ "type": "function", "function": { "name": "look", "parameters": schema } }]);
        }
        "/v1/responses" => {
            asked["tools"] =
                json!([{ "type": "web_search" }, { "type": "function", "name": "look", "parameters": schema }]);
        }
        _ => {
            asked["tools"] = json!([{ "type": "web_search_20250305", "name": "web_search" }, { "name": "look", "input_schema": schema }]);
        }
    }
    asked
}

fn search() -> (String, Value) {
    ("web_search".to_owned(), json!({ "query": "hue rain" }))
}

/// Names of the functions that the provider was offered.
fn offered(body: &Value) -> Vec<&str> {
    body["tools"].as_array().unwrap().iter().map(|tool| tool["function"]["name"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn searches_by_the_installation_in_every_api() {
    let engine = search_engine().await;
    let stage = Stage::with(searching(&engine), UpstreamKind::OpenAi).await;
    for style in API_STYLES {
        for stream in [false, true] {
            stage.upstream.then(Behaviour::CallTools(vec![search()]));
            stage.upstream.then(Behaviour::Answer(vec!["It rains: ".to_owned(), URL.to_owned()]));
            let answer = stage.program.post(style, asked_to_search(style, stream)).await;
            assert_eq!(answer.status, 200, "{answer:?}");
            let text = answer.text();
            assert!(text.contains("url_citation") || text.contains("web_search_result_location"), "{style} {text}");
            assert!(!text.contains("tool_calls\":[") && !text.contains("function_call"), "{style} {text}");
            match style {
                "/v1/responses" => assert!(text.contains("\"web_search_call\"") && text.contains("hue rain"), "{text}"),
                "/v1/messages" => {
                    assert!(
                        text.contains("\"server_tool_use\"") && text.contains("\"web_search_tool_result\""),
                        "{text}"
                    );
                }
                _ => {}
            }
            if stream {
                assert!(streamed_text(&answer).ends_with(URL), "{answer:?}");
            }
            let asked = stage.upstream.asked();
            let [first, second] = &asked[asked.len() - 2..] else { panic!("{asked:?}") };
            assert_eq!(offered(&first.body), ["look", "web_search"], "{style}");
            let last = second.body["messages"].as_array().unwrap().last().unwrap();
            assert_eq!((&last["role"], &last["tool_call_id"]), (&json!("tool"), &json!("call_0")), "{last}");
            assert!(last["content"].as_str().unwrap().contains("It rains in Hue."), "{last}");
        }
    }
    assert_eq!(engine.asked().len(), 6);
    assert_eq!(engine.asked()[0].path, "/v1/search?q=hue+rain&format=json");
}

#[tokio::test]
async fn ends_the_turn_with_the_calls_of_the_client() {
    let engine = search_engine().await;
    let stage = Stage::with(searching(&engine), UpstreamKind::OpenAi).await;
    for stream in [false, true] {
        stage.upstream.then(Behaviour::CallTools(vec![search(), ("look".to_owned(), json!({ "at": 1 }))]));
        let answer = stage.program.post(API_STYLES[0], asked_to_search(API_STYLES[0], stream)).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let calls: Vec<Value> = if stream {
            let frames = frames(&answer);
            let delta = |frame: &Value| frame["choices"][0]["delta"]["tool_calls"][0].clone();
            frames.iter().map(delta).filter(|call| call["function"]["name"].is_string()).collect()
        } else {
            answer.body["choices"][0]["message"]["tool_calls"].as_array().unwrap().clone()
        };
        let names: Vec<&Value> = calls.iter().map(|call| &call["function"]["name"]).collect();
        assert_eq!(names, ["look"], "{answer:?}");
        assert!(answer.text().contains("\"finish_reason\":\"tool_calls\""), "{answer:?}");
    }
    assert_eq!((engine.asked().len(), stage.upstream.asked().len()), (2, 2));
}

#[tokio::test]
async fn a_failed_search_is_an_answer_to_the_model() {
    let engine = search_engine().await;
    let stage = Stage::with(searching(&engine), UpstreamKind::OpenAi).await;
    for (at, failure) in [Behaviour::Refuse(503, None), Behaviour::Body(json!("no results"))].into_iter().enumerate() {
        engine.then(failure);
        stage.upstream.then(Behaviour::CallTools(vec![search()]));
        stage.upstream.then(Behaviour::answer("I don't know."));
        let answer = stage.program.post(API_STYLES[2], asked_to_search(API_STYLES[2], false)).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert!(answer.text().contains("\"error_code\":\"unavailable\""), "{answer:?}");
        let told = &stage.upstream.asked()[2 * at + 1].body["messages"];
        assert!(told.as_array().unwrap().last().unwrap()["content"].as_str().unwrap().contains("failed"), "{told}");
    }
}

#[tokio::test]
async fn reserves_and_charges_searches_of_the_installation() {
    let engine = search_engine().await;
    let (stage, key, caller) = spending_with(searching(&engine), 200_000).await;
    for (stream, expected) in [(false, 5_000 + 20), (true, 10_000 + 20 + 18)] {
        stage.upstream.then(Behaviour::CallTools(vec![search()]));
        stage.upstream.then(Behaviour::answer("It rains today."));
        let answer = caller.post(API_STYLES[0], asked_to_search(API_STYLES[0], stream)).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        // Both requests to the model and the search are charged. The fake reports three output tokens
        // for a whole answer, and one for each streamed word or call.
        assert_eq!(spent(&stage, &key).await, expected);
    }
    // Five searches would cost 25,000 micro-credits.
    let poor = keys::make(&stage.anna, json!({ "budget": { "limit": 20_000, "period": "month" } })).await;
    let refused = keys::program(&stage.app, &poor).post(API_STYLES[0], asked_to_search(API_STYLES[0], false)).await;
    assert_eq!(refused.status, 429, "{refused:?}");
}

#[tokio::test]
async fn charges_the_rounds_before_a_failed_one() {
    for stream in [false, true] {
        let engine = search_engine().await;
        let (stage, key, caller) = spending_with(searching(&engine), 200_000).await;
        stage.upstream.then(Behaviour::CallTools(vec![search()]));
        stage.upstream.always(Behaviour::Refuse(503, None));
        let answer = caller.post(API_STYLES[0], asked_to_search(API_STYLES[0], stream)).await;
        // A streamed answer has started with the first round.
        assert_eq!(answer.status >= 500, !stream, "{answer:?}");
        let spent = spent(&stage, &key).await;
        assert!((5_001..=5_030).contains(&spent), "the search and the first round: {spent}");
    }
}

#[tokio::test]
async fn leaves_a_search_out_that_nobody_can_run() {
    let stage = Stage::start().await;
    for style in API_STYLES {
        let answer = stage.program.post(style, asked_to_search(style, false)).await;
        assert_eq!(answer.status, 200, "{style} {answer:?}");
        let body = stage.upstream.asked().pop().unwrap().body;
        assert_eq!(offered(&body), ["look"], "{style}");
        assert_eq!(body.get("web_search_options"), None);
    }
}

#[tokio::test]
async fn uses_the_search_of_the_provider_where_allowed() {
    for (kind, setup, accepts, expected) in [
        (UpstreamKind::Anthropic, Setup::new(), "search=claude", json!("web_search_20250305")),
        (
            UpstreamKind::OpenAi,
            Setup::new().set("ai.providers.fake.passes", "web_search_options"),
            "search=plugin",
            json!([{ "id": "web" }]),
        ),
    ] {
        let stage = Stage::with(setup, kind).await;
        let parameters = json!({ "parameters": { "accepts": accepts } });
        stage.app.admin().await.put("/r1/admin/models/small", parameters).await.data();
        let mut asked = question(false);
        asked["web_search_options"] = json!({});
        let answer = stage.program.post(API_STYLES[0], asked).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let body = stage.upstream.asked().pop().unwrap().body;
        let sent = if kind == UpstreamKind::Anthropic { &body["tools"][0]["type"] } else { &body["plugins"] };
        assert_eq!(sent, &expected, "{body}");
    }
}
