//! Ollama's API.

use support::{Caller, Credentials};

use super::{
    budgets::{spending, spent},
    *,
};

/// Returns the lines of a streamed answer.
#[track_caller]
fn lines(answer: &Answer) -> Vec<Value> {
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/x-ndjson")), "{answer:?}");
    let text = answer.text();
    assert!(text.ends_with('\n'), "{text}");
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line:?}"))).collect()
}

/// Text of the lines of a chat.
fn text(lines: &[Value]) -> String {
    lines.iter().map(|line| line["message"]["content"].as_str().unwrap_or_default()).collect()
}

fn chat(more: &Value) -> Value {
    let mut body = json!({ "model": "small", "messages": [{ "role": "user", "content": "Hello?" }] });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

#[tokio::test]
async fn answers_chats_of_every_kind_of_provider() {
    for kind in UpstreamKind::ALL {
        let stage = Stage::with(Setup::new(), kind).await;
        let streamed = lines(&stage.program.post("/api/chat", chat(&json!({}))).await);
        assert_eq!(text(&streamed), "Hello from the upstream.", "{kind:?}");
        let last = streamed.last().unwrap();
        assert_eq!(
            (&last["model"], &last["done"], &last["done_reason"]),
            (&json!("small"), &json!(true), &json!("stop"))
        );
        assert_eq!(last["prompt_eval_count"], 7, "{kind:?}: {last}");
        assert!(last["total_duration"].as_u64() > Some(0) && last["eval_count"].as_u64() > Some(0), "{last}");
        assert!(streamed[..streamed.len() - 1].iter().all(|line| line["done"] == false), "{streamed:?}");

        let whole = stage.program.post("/api/chat", chat(&json!({ "stream": false }))).await;
        assert_eq!((whole.status, whole.header("content-type")), (200, Some("application/json")), "{whole:?}");
        assert_eq!(
            (&whole.body["message"], &whole.body["done"]),
            (&json!({ "role": "assistant", "content": "Hello from the upstream." }), &json!(true)),
            "{kind:?}"
        );
        assert!(whole.header("x-natter-model").is_some(), "{whole:?}");

        stage.upstream.then(Behaviour::thinking("Hm.", "Yes."));
        let thought = lines(&stage.program.post("/api/chat", chat(&json!({ "think": true }))).await);
        let thinking: String = thought.iter().filter_map(|line| line["message"]["thinking"].as_str()).collect();
        // The upstream has no thoughts in Anthropic's format.
        let expected = if kind == UpstreamKind::Anthropic { "" } else { "Hm." };
        assert_eq!((thinking.as_str(), text(&thought).as_str()), (expected, "Yes."), "{kind:?}");
        let rows = stage.anna.get("/r1/usage/requests").await.data();
        assert!(rows["items"].as_array().unwrap().iter().all(|row| row["endpoint"] == "ollama"), "{rows}");
    }
}

#[tokio::test]
async fn converts_parameters_images_and_schemas() {
    let stage = Stage::start().await;
    let schema = json!({ "type": "object", "properties": { "a": { "type": "string" } } });
    let body = json!({
        "model": "small", "stream": false, "format": schema, "keep_alive": "5m",
        "messages": [{ "role": "user", "content": "What is it?", "images": ["iVBORw0KGgo="] }],
        "options": { "temperature": 0.5, "num_predict": 9, "num_ctx": 4_096, "seed": 7 },
    });
    assert_eq!(stage.program.post("/api/chat", body).await.status, 200);
    let came = stage.upstream.asked().pop().unwrap().body;
    assert_eq!(
        (&came["temperature"], &came["seed"], &came["num_ctx"]),
        (&json!(0.5), &json!(7), &Value::Null),
        "{came}"
    );
    assert_eq!(came["max_tokens"].as_u64().or(came["max_completion_tokens"].as_u64()), Some(9), "{came}");
    assert_eq!(came["response_format"]["json_schema"]["schema"], schema, "{came}");
    let image = &came["messages"][0]["content"][1]["image_url"]["url"];
    assert_eq!(image, "data:image/png;base64,iVBORw0KGgo=", "{came}");

    for (more, field) in [
        (json!({ "messages": [{ "role": "critic" }] }), "role"),
        (json!({ "think": "hard" }), "think"),
        (json!({ "options": { "temperature": "hot" } }), "options.temperature"),
    ] {
        let refused = stage.program.post("/api/chat", chat(&more)).await;
        let message = refused.body["error"].as_str().unwrap_or_default();
        assert!(refused.status == 400 && message.contains(field), "{more}: {refused:?}");
    }
}

#[tokio::test]
async fn calls_tools_with_arguments_as_objects() {
    let tools = json!([{ "type": "function", "function": { "name": "weather", "parameters": { "type": "object" } } }]);
    let arguments = json!({ "city": "Huế" });
    for kind in UpstreamKind::ALL {
        let stage = Stage::with(Setup::new(), kind).await;
        let called = |message: &Value| {
            let call = &message["tool_calls"][0]["function"];
            assert_eq!((&call["name"], &call["arguments"]), (&json!("weather"), &arguments), "{kind:?}: {message}");
        };
        for _ in 0..2 {
            stage.upstream.then(Behaviour::call_tool("weather", arguments.clone()));
        }
        let whole = stage.program.post("/api/chat", chat(&json!({ "tools": tools, "stream": false }))).await;
        called(&whole.body["message"]);
        let streamed = lines(&stage.program.post("/api/chat", chat(&json!({ "tools": tools }))).await);
        called(&streamed.iter().find(|line| line["message"]["tool_calls"].is_array()).unwrap()["message"]);
        assert_eq!(streamed.last().unwrap()["done_reason"], "stop", "{streamed:?}");

        // Ollama's libraries return calls without ids.
        let call = json!({ "function": { "name": "weather", "arguments": arguments } });
        let messages = json!([
            { "role": "user", "content": "Hello?" }, { "role": "assistant", "content": "", "tool_calls": [call] },
            { "role": "tool", "tool_name": "weather", "content": "It rains." },
        ]);
        let answer = stage
            .program
            .post("/api/chat", chat(&json!({ "messages": messages, "tools": tools, "stream": false })))
            .await;
        assert_eq!(answer.body["message"]["content"], "Hello from the upstream.", "{kind:?}: {answer:?}");
        let came = stage.upstream.asked().pop().unwrap().body.to_string();
        assert!(came.contains("It rains.") && came.contains("weather"), "{kind:?}: {came}");
    }
}

#[tokio::test]
async fn answers_prompts_and_continues_their_context() {
    let stage = Stage::start().await;
    let ask = async |body: Value| stage.program.post("/api/generate", body).await;
    let first = ask(json!({ "model": "small", "prompt": "Hello?", "system": "Be kind.", "stream": false })).await;
    assert_eq!((first.status, &first.body["response"]), (200, &json!("Hello from the upstream.")), "{first:?}");
    let again = ask(json!({ "model": "small", "prompt": "Again.", "context": first.body["context"] })).await;
    let response: String = lines(&again).iter().map(|line| line["response"].as_str().unwrap().to_owned()).collect();
    assert_eq!(response, "Hello from the upstream.");
    let turn = |role: &str, content: &str| json!({ "role": role, "content": content });
    let turns = [
        turn("system", "Be kind."),
        turn("user", "Hello?"),
        turn("assistant", "Hello from the upstream."),
        turn("user", "Again."),
    ];
    assert_eq!(stage.upstream.asked().pop().unwrap().body["messages"], json!(turns));

    let said = json!({
        "object": "text_completion", "choices": [{ "text": " upon", "index": 0, "finish_reason": "stop" }],
        "usage": { "prompt_tokens": 7, "completion_tokens": 3 },
    });
    stage.upstream.then(Behaviour::Body(said));
    let filled = ask(json!({ "model": "small", "prompt": "Once", "suffix": "a time", "stream": false })).await;
    assert_eq!((&filled.body["response"], &filled.body["eval_count"]), (&json!(" upon"), &json!(3)), "{filled:?}");
    let came = stage.upstream.asked().pop().unwrap();
    assert_eq!((came.path.as_str(), &came.body["suffix"]), ("/v1/completions", &json!("a time")));

    let asked = stage.upstream.asked().len();
    let loaded = ask(json!({ "model": "small" })).await;
    assert_eq!((&loaded.body["done"], &loaded.body["done_reason"]), (&json!(true), &json!("load")), "{loaded:?}");
    assert_eq!(stage.upstream.asked().len(), asked, "nothing was sent");
}

#[tokio::test]
async fn embeds_texts() {
    let stage = Stage::start().await;
    let embedded =
        stage.program.post("/api/embed", json!({ "model": "small", "input": ["one", "two"], "truncate": true })).await;
    assert_eq!(embedded.status, 200, "{embedded:?}");
    assert_eq!(embedded.body["embeddings"], json!([[0.5, -1.0, 2.0], [0.5, -1.0, 2.0]]), "{embedded:?}");
    assert_eq!(embedded.body["prompt_eval_count"], 7);
    let one = stage.program.post("/api/embeddings", json!({ "model": "small", "prompt": "one" })).await;
    assert_eq!((one.status, &one.body), (200, &json!({ "embedding": [0.5, -1.0, 2.0] })), "{one:?}");
    let none = stage.program.post("/api/embed", json!({ "model": "small", "input": [] })).await;
    assert_eq!((none.status, &none.body["embeddings"]), (200, &json!([])), "{none:?}");
    let rows = stage.anna.get("/r1/usage/requests").await.data();
    assert_eq!((&rows["items"][0]["endpoint"], &rows["total"]), (&json!("ollama"), &json!(2)), "{rows}");
}

#[tokio::test]
async fn describes_models_and_resolves_tags() {
    let stage = Stage::start().await;
    let capabilities = json!({ "context_window": 9_000, "tools": true, "images": true });
    let definition = json!({ "aliases": ["tagged:latest"], "capabilities": capabilities });
    stage.app.admin().await.put("/r1/admin/models/small", definition).await.data();
    let tags = stage.program.get("/api/tags").await;
    let small = tags.body["models"].as_array().unwrap().iter().find(|model| model["name"] == "small").unwrap();
    assert_eq!((&small["model"], &small["capabilities"]), (&json!("small"), &json!(["completion", "tools", "vision"])));
    for name in ["small", "small:latest"] {
        let shown = stage.program.post("/api/show", json!({ "model": name })).await;
        assert_eq!(shown.status, 200, "{shown:?}");
        assert_eq!(shown.body["model_info"]["natter.context_length"], 9_000, "{shown:?}");
        assert_eq!(shown.body["capabilities"], small["capabilities"], "{shown:?}");
    }
    for name in ["small:latest", "tagged", "tagged:latest"] {
        let answer = stage.program.post("/api/chat", chat(&json!({ "model": name, "stream": false }))).await;
        assert_eq!((answer.status, &answer.body["model"]), (200, &json!(name)), "{answer:?}");
        assert_eq!(stage.upstream.asked().pop().unwrap().body["model"], "small");
    }
    assert_eq!(stage.program.get("/api/ps").await.body, json!({ "models": [] }));
    assert!(stage.program.get("/api/version").await.body["version"].is_string());
}

#[tokio::test]
async fn refuses_in_ollamas_format() {
    let stage = Stage::start().await;
    let refused = |answer: &Answer, status: u16, words: &str| {
        let message = answer.body["error"].as_str().unwrap_or_default();
        assert!(answer.status == status && message.contains(words), "{answer:?}");
    };
    let wrong = Caller::new(&stage.app.url(), Credentials::Bearer("nk_wrong".to_owned()));
    refused(&wrong.post("/api/chat", chat(&json!({}))).await, 401, "");
    refused(&wrong.get("/api/tags").await, 401, "");
    for path in ["/api/chat", "/api/generate", "/api/show"] {
        let body =
            json!({ "model": "none", "prompt": "Hello?", "messages": [{ "role": "user", "content": "Hello?" }] });
        refused(&stage.program.post(path, body).await, 404, "`none`");
    }
    refused(&stage.program.post("/api/pull", json!({ "model": "small" })).await, 404, "");
    refused(&stage.program.get("/api/nothing").await, 404, "");
    refused(&stage.program.get("/api/chat").await, 405, "");
    refused(&stage.program.post("/api/chat", json!({})).await, 400, "`model`");
    let other = keys::make(&stage.anna, json!({ "endpoints": ["chat"] })).await;
    refused(&keys::program(&stage.app, &other).post("/api/chat", chat(&json!({}))).await, 403, "endpoint");
    let only = keys::make(&stage.anna, json!({ "endpoints": ["ollama"] })).await;
    assert_eq!(keys::program(&stage.app, &only).post("/api/chat", chat(&json!({}))).await.status, 200);

    stage.upstream.always(Behaviour::Refuse(500, None));
    refused(&stage.program.post("/api/chat", chat(&json!({}))).await, 503, "");
    for broken in [Behaviour::cut("One two "), Behaviour::fail("One two ")] {
        stage.upstream.then(broken);
        let streamed = lines(&stage.program.post("/api/chat", chat(&json!({}))).await);
        assert_eq!(text(&streamed), "One two ");
        let last = streamed.last().unwrap();
        assert!(last["error"].is_string() && streamed.iter().all(|line| line["done"] != true), "{streamed:?}");
    }
}

#[tokio::test]
async fn sends_lines_without_text_on_a_silent_stream() {
    let stage = Stage::with(Setup::new().set("gateway.heartbeat_seconds", 1), UpstreamKind::OpenAi).await;
    stage.upstream.then(Behaviour::stall("One "));
    let mut response =
        stage.program.request(reqwest::Method::POST, "/api/chat").json(&chat(&json!({}))).send().await.unwrap();
    let (mut text, silent) = (String::new(), r#""message":{"role":"assistant","content":""},"done":false}"#);
    while text.matches(silent).count() < 2 {
        text.push_str(&String::from_utf8_lossy(&response.chunk().await.unwrap().unwrap()));
    }
    assert!(text.lines().all(|line| !line.is_empty()), "{text}");
}

#[tokio::test]
async fn charges_calls_to_the_budget() {
    let (stage, key, caller) = spending(100_000).await;
    let answer = caller.post("/api/chat", chat(&json!({ "stream": false, "options": { "num_predict": 9 } }))).await;
    assert_eq!((answer.status, answer.header("x-natter-cost")), (200, Some("10")), "{answer:?}");
    lines(&caller.post("/api/chat", chat(&json!({ "options": { "num_predict": 9 } }))).await);
    assert_eq!(caller.post("/api/embed", json!({ "model": "small", "input": "one" })).await.status, 200);
    let used = spent(&stage, &key).await;
    assert!(used > 10 + 7, "{used}");

    let (_stage, _, poor) = spending(20).await;
    let refused = poor.post("/api/chat", chat(&json!({ "options": { "num_predict": 1_000 } }))).await;
    assert!(refused.status == 429 && refused.body["error"].as_str().unwrap().contains("budget"), "{refused:?}");
    // Embeddings have no output that could exceed the budget.
    assert_eq!(poor.post("/api/embed", json!({ "model": "small", "input": "one" })).await.status, 200);
}
