//! Gemini's API, with providers of every kind.

use reqwest::Method;
use support::{Caller, Credentials};

use super::*;

const WHOLE: &str = "/v1beta/models/small:generateContent";
const STREAM: &str = "/v1beta/models/small:streamGenerateContent?alt=sse";

fn asked() -> Value {
    json!({ "contents": [{ "role": "user", "parts": [{ "text": "Hello?" }] }], "generationConfig": { "maxOutputTokens": 100 } })
}

fn parts(answer: &Value) -> &Value {
    &answer["candidates"][0]["content"]["parts"]
}

#[tokio::test]
async fn answers_by_every_kind_of_provider() {
    for kind in UpstreamKind::ALL {
        let stage = Stage::with(Setup::new(), kind).await;
        for path in [WHOLE, "/v1/models/small:generateContent", "/v1beta/models/small%3AgenerateContent"] {
            let answer = stage.program.post(path, asked()).await;
            assert_eq!(answer.status, 200, "{kind:?} {path}: {answer:?}");
            assert_eq!(parts(&answer.body)[0]["text"], "Hello from the upstream.", "{kind:?} {path}: {answer:?}");
            assert_eq!(answer.body["candidates"][0]["finishReason"], "STOP", "{kind:?} {path}: {answer:?}");
            assert!(answer.body["usageMetadata"]["totalTokenCount"].is_u64(), "{kind:?} {path}: {answer:?}");
        }
        let events = frames(&stage.program.post(STREAM, asked()).await);
        let text = |event: &Value| parts(event)[0]["text"].as_str().unwrap_or_default().to_owned();
        assert_eq!(events.iter().map(text).collect::<String>(), "Hello from the upstream.", "{kind:?}: {events:?}");
        assert_eq!(events.last().unwrap()["candidates"][0]["finishReason"], "STOP", "{kind:?}: {events:?}");
        let array = stage.program.post("/v1beta/models/small:streamGenerateContent", asked()).await;
        assert_eq!(array.header("content-type"), Some("application/json"), "{kind:?}");
        let items = array.body.as_array().expect("an array");
        assert_eq!(items.iter().map(text).collect::<String>(), "Hello from the upstream.", "{kind:?}: {items:?}");
        let rows = stage.anna.get("/r1/usage/requests").await.data();
        let row = &rows["items"][0];
        assert_eq!(
            (&row["endpoint"], &row["status"], &rows["total"]),
            (&json!("gemini"), &json!(200), &json!(5)),
            "{rows}"
        );
    }
}

#[tokio::test]
async fn calls_tools_by_every_kind_of_provider() {
    let declaration = json!({ "name": "weather", "parameters": { "type": "OBJECT", "properties": { "city": { "type": "STRING" } } } });
    for kind in UpstreamKind::ALL {
        let stage = Stage::with(Setup::new(), kind).await;
        stage.upstream.then(Behaviour::call_tool("weather", json!({ "city": "Hue" })));
        let mut body = asked();
        body["tools"] = json!([{ "functionDeclarations": [declaration] }]);
        let called = stage.program.post(WHOLE, body.clone()).await;
        let content = called.body["candidates"][0]["content"].clone();
        let call = &content["parts"][0]["functionCall"];
        assert_eq!(
            (&call["name"], &call["args"]),
            (&json!("weather"), &json!({ "city": "Hue" })),
            "{kind:?}: {called:?}"
        );
        let result = json!({ "functionResponse": { "name": "weather", "response": { "celsius": 31 } } });
        let contents = body["contents"].as_array_mut().unwrap();
        contents.extend([content, json!({ "role": "user", "parts": [result] })]);
        let answer = stage.program.post(WHOLE, body).await;
        assert_eq!(parts(&answer.body)[0]["text"], "Hello from the upstream.", "{kind:?}: {answer:?}");
        let sent = stage.upstream.asked().pop().unwrap().body.to_string();
        assert!(sent.contains("celsius"), "{kind:?}: {sent}");
    }
}

#[tokio::test]
async fn passes_requests_to_gemini() {
    let stage = Stage::with(Setup::new(), UpstreamKind::Gemini).await;
    let mut body = asked();
    body["safety_settings"] = json!([{ "category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE" }]);
    body["tools"] = json!([{ "googleSearch": {} }]);
    let answer = stage.program.post(WHOLE, body.clone()).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let sent = stage.upstream.asked().pop().unwrap();
    assert_eq!((&sent.body["safetySettings"], &sent.body["tools"]), (&body["safety_settings"], &body["tools"]));
    assert!(sent.body.get("model").is_none() && sent.body.get("stream").is_none(), "{sent:?}");
    assert_eq!(sent.key.as_deref(), Some("key-one"));

    let counted = stage.program.post("/v1beta/models/small:countTokens", asked()).await;
    assert_eq!(counted.body, json!({ "totalTokens": 7 }), "{counted:?}");
    body["cachedContent"] = json!("cachedContents/a");
    let refused = stage.program.post(WHOLE, body).await;
    assert_eq!((refused.status, &refused.body["error"]["status"]), (400, &json!("INVALID_ARGUMENT")), "{refused:?}");
}

#[tokio::test]
async fn embeds_texts() {
    for kind in [UpstreamKind::OpenAi, UpstreamKind::Gemini] {
        let stage = Stage::with(Setup::new(), kind).await;
        let text = |text: &str| json!({ "model": "models/small", "content": { "parts": [{ "text": text }] }, "taskType": "RETRIEVAL_QUERY" });
        let one = stage.program.post("/v1beta/models/small:embedContent", text("a")).await;
        assert!(one.body["embedding"]["values"].is_array(), "{kind:?}: {one:?}");
        let batch = json!({ "requests": [text("a"), text("b")] });
        let both = stage.program.post("/v1beta/models/small:batchEmbedContents", batch).await;
        assert_eq!(both.body["embeddings"].as_array().map(Vec::len), Some(2), "{kind:?}: {both:?}");
        if kind == UpstreamKind::Gemini {
            let sent = stage.upstream.asked().pop().unwrap().body;
            assert_eq!(sent["requests"][1]["taskType"], "RETRIEVAL_QUERY", "{sent}");
        }
    }
}

#[tokio::test]
async fn lists_models_in_pages() {
    let stage = Stage::start().await;
    stage.app.admin().await.put("/r1/admin/models/small", json!({ "aliases": ["team/fast"] })).await.data();
    let listed = stage.program.get("/v1beta/models").await;
    let first = &listed.body["models"][0];
    assert!(listed.status == 200 && first["name"].as_str().unwrap().starts_with("models/"), "{listed:?}");
    let mut names = Vec::new();
    let mut token = String::new();
    loop {
        let page = stage.program.get(&format!("/v1beta/models?pageSize=1&pageToken={token}")).await.body;
        names.extend(page["models"].as_array().unwrap().iter().map(|model| model["name"].as_str().unwrap().to_owned()));
        match page["nextPageToken"].as_str() {
            Some(next) => token = next.replace('/', "%2F"),
            None => break,
        }
    }
    let all = stage.program.get("/v1beta/models?page_size=1000").await.body;
    let all: Vec<_> =
        all["models"].as_array().unwrap().iter().map(|model| model["name"].as_str().unwrap().to_owned()).collect();
    assert_eq!(names, all);
    assert!(names.contains(&"models/team/fast".to_owned()), "{names:?}");
    for name in ["small", "team/fast", "team%2Ffast"] {
        let shown = stage.program.get(&format!("/v1beta/models/{name}")).await;
        assert_eq!(shown.body["displayName"], name.replace("%2F", "/"), "{shown:?}");
    }
    let shown = stage.program.get("/v1beta/models/small").await;
    assert!(shown.body["supportedGenerationMethods"].as_array().unwrap().contains(&json!("generateContent")));
    // Google's library for Python lists models at `/v1`.
    let nobody = Caller::new(&stage.app.url(), Credentials::None);
    let key = stage.program.access_token();
    let google = |path: &str| nobody.request(Method::GET, path).header("x-goog-api-key", key);
    let listed = nobody.send(google("/v1/models")).await;
    assert_eq!(listed.body["models"].as_array().map(Vec::len), Some(all.len()), "{listed:?}");
    assert_eq!(nobody.send(google("/v1/models/small")).await.body["name"], "models/small");
    assert_eq!(nobody.send(google("/v1/models/none")).await.body["error"]["status"], "NOT_FOUND");
    let unknown = stage.program.get("/v1beta/models/none").await;
    assert_eq!((unknown.status, &unknown.body["error"]["status"]), (404, &json!("NOT_FOUND")), "{unknown:?}");
}

#[tokio::test]
async fn accepts_the_key_in_each_place_without_logging_it() {
    let mut stage = Stage::start().await;
    let key = stage.program.access_token().to_owned();
    let nobody = Caller::new(&stage.app.url(), Credentials::None);
    let with_header = nobody.request(Method::POST, WHOLE).header("x-goog-api-key", &key).json(&asked());
    assert_eq!(nobody.send(with_header).await.status, 200);
    let path = format!("{STREAM}&key={key}");
    assert_eq!(nobody.send(nobody.request(Method::POST, &path).json(&asked())).await.status, 200);
    let wrong = nobody.request(Method::POST, WHOLE).header("x-goog-api-key", "nk_wrong").json(&asked());
    let refused = nobody.send(wrong).await;
    assert_eq!((refused.status, &refused.body["error"]["status"]), (401, &json!("UNAUTHENTICATED")), "{refused:?}");
    stage.app.instances[0].terminate().await;
    let log = stage.app.instances[0].log().join("\n");
    assert!(log.contains("\"route\":\"/v1beta/models/{id}\"") && !log.contains(&key), "{log}");
}

#[tokio::test]
async fn reports_errors_in_googles_format() {
    let stage = Stage::start().await;
    for (path, status, name) in [
        ("/v1beta/models/none:generateContent", 404, "NOT_FOUND"),
        ("/v1beta/models/openai/none:generateContent", 404, "NOT_FOUND"),
        ("/v1beta/models/small:predict", 404, "NOT_FOUND"),
        ("/v1beta/files", 404, "NOT_FOUND"),
    ] {
        let answer = stage.program.post(path, asked()).await;
        let error = &answer.body["error"];
        assert_eq!(
            (answer.status, &error["code"], &error["status"]),
            (status, &json!(status), &json!(name)),
            "{path}: {answer:?}"
        );
    }
    let unreadable = stage.program.request(Method::POST, WHOLE).header("content-type", "application/json").body("{");
    let refused = stage.program.send(unreadable).await;
    assert_eq!((refused.status, &refused.body["error"]["status"]), (400, &json!("INVALID_ARGUMENT")), "{refused:?}");
    stage.upstream.then(Behaviour::fail("One two "));
    let events = frames(&stage.program.post(STREAM, asked()).await);
    let error = &events.last().unwrap()["error"];
    assert!(error["code"].as_u64().is_some_and(|code| code >= 500) && error["status"].is_string(), "{events:?}");

    let (_stage, _key, caller) = super::budgets::spending(1).await;
    let spent = caller.post(WHOLE, asked()).await;
    assert_eq!((spent.status, &spent.body["error"]["status"]), (429, &json!("RESOURCE_EXHAUSTED")), "{spent:?}");
}

#[tokio::test]
async fn sends_blank_lines_as_heartbeats() {
    let stage = Stage::with(Setup::new().set("gateway.heartbeat_seconds", 1), UpstreamKind::OpenAi).await;
    stage.upstream.then(Behaviour::stall("One two "));
    let mut response = stage.program.request(Method::POST, STREAM).json(&asked()).send().await.unwrap();
    let mut text = String::new();
    while !text.ends_with("\n\n\n\n\n\n") {
        text.push_str(&String::from_utf8_lossy(&response.chunk().await.unwrap().unwrap()));
    }
    assert!(text.lines().all(|line| line.is_empty() || line.starts_with("data: {")), "{text}");
}
