//! Azure OpenAI's paths.

use reqwest::Method;
use support::{Caller, Credentials};

use super::*;

/// Program that sends its key as Azure's library does.
async fn request(stage: &Stage, method: Method, path: &str, body: Option<Value>) -> Answer {
    let nobody = Caller::new(&stage.app.url(), Credentials::None);
    let request = nobody.request(method, path).header("api-key", stage.program.access_token());
    nobody
        .send(match body {
            Some(body) => request.json(&body),
            None => request,
        })
        .await
}

#[tokio::test]
async fn serves_deployments() {
    let stage = Stage::start().await;
    let post = async |path: &str, body: Value| request(&stage, Method::POST, path, Some(body)).await;
    let query = "?api-version=2024-10-21";
    let mut body = question(false);
    for model in [json!("small"), json!("another"), Value::Null] {
        body["model"] = model;
        let answer = post(&format!("/openai/deployments/small/chat/completions{query}"), body.clone()).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.body["choices"][0]["message"]["content"], "Hello from the upstream.");
        assert_eq!(stage.upstream.asked().pop().unwrap().body["model"], "small");
    }
    let streamed = post(&format!("/openai/deployments/small/chat/completions{query}"), question(true)).await;
    assert_eq!(streamed_text(&streamed), "Hello from the upstream.");
    let embedded = post(&format!("/openai/deployments/small/embeddings{query}"), json!({ "input": "one" })).await;
    assert_eq!((embedded.status, &embedded.body["usage"]["prompt_tokens"]), (200, &json!(7)), "{embedded:?}");

    let said = json!({ "created": 1, "data": [{ "b64_json": "AA==" }] });
    stage.upstream.then(Behaviour::Body(said.clone()));
    let drawn = post("/openai/deployments/small/images/generations", json!({ "prompt": "A cat" })).await;
    assert_eq!((drawn.status, &drawn.body), (200, &said), "{drawn:?}");
    assert_eq!(stage.upstream.asked().pop().unwrap().body["model"], "small");

    let rows = stage.anna.get("/r1/usage/requests").await.data();
    let endpoints: Vec<&Value> = rows["items"].as_array().unwrap().iter().map(|row| &row["endpoint"]).collect();
    assert_eq!(endpoints, ["images", "embeddings", "chat", "chat", "chat", "chat"]);
}

#[tokio::test]
async fn transcribes_with_the_model_of_the_path() {
    let stage = Stage::start().await;
    let nobody = Caller::new(&stage.app.url(), Credentials::None);
    let part =
        |head: &str, content: &str| format!("--b\r\ncontent-disposition: form-data; {head}\r\n\r\n{content}\r\n");
    let form = part("name=\"model\"", "another") + &part("name=\"file\"; filename=\"a.wav\"", "RIFF") + "--b--\r\n";
    let request = nobody
        .request(Method::POST, "/openai/deployments/small/audio/transcriptions")
        .header("api-key", stage.program.access_token())
        .header("content-type", "multipart/form-data; boundary=b")
        .body(form);
    let answer = nobody.send(request).await;
    assert_eq!((answer.status, &answer.body["text"]), (200, &json!("What was said.")), "{answer:?}");
}

#[tokio::test]
async fn serves_the_paths_of_the_first_version() {
    let stage = Stage::start().await;
    let chat = request(&stage, Method::POST, "/openai/v1/chat/completions", Some(question(false))).await;
    assert_eq!(chat.body["choices"][0]["message"]["content"], "Hello from the upstream.", "{chat:?}");
    for path in ["/openai/v1/responses", "/openai/responses?api-version=2025-03-01-preview"] {
        let answer = request(&stage, Method::POST, path, Some(asked_at("/v1/responses", false))).await;
        assert_eq!((answer.status, &answer.body["object"]), (200, &json!("response")), "{path}: {answer:?}");
    }
    for path in ["/openai/v1/models", "/openai/models?api-version=2024-10-21"] {
        assert_eq!(request(&stage, Method::GET, path, None).await.body["object"], "list", "{path}");
    }
    let shown = request(&stage, Method::GET, "/openai/v1/models/small", None).await;
    assert_eq!((shown.status, &shown.body["id"]), (200, &json!("small")), "{shown:?}");
}

#[tokio::test]
async fn refuses_in_openais_format() {
    let stage = Stage::start().await;
    let wrong = Caller::new(&stage.app.url(), Credentials::Bearer("nk_wrong".to_owned()));
    let path = "/openai/deployments/small/chat/completions";
    let refused = wrong.post(path, question(false)).await;
    assert_eq!((refused.status, &refused.body["error"]["code"]), (401, &json!("invalid_api_key")), "{refused:?}");
    for (method, path, status) in [
        (Method::POST, "/openai/deployments/small/nothing", 404),
        (Method::POST, "/openai/nothing", 404),
        (Method::GET, path, 405),
    ] {
        let body = (method == Method::POST).then(|| question(false));
        let answer = request(&stage, method, path, body).await;
        assert_eq!(
            (answer.status, &answer.body["error"]["type"]),
            (status, &json!("invalid_request_error")),
            "{answer:?}"
        );
    }
    let unknown =
        request(&stage, Method::POST, "/openai/deployments/none/chat/completions", Some(question(false))).await;
    assert_eq!((unknown.status, &unknown.body["error"]["code"]), (404, &json!("model_not_found")), "{unknown:?}");
    let key = keys::make(&stage.anna, json!({ "endpoints": ["embeddings"] })).await;
    let other = keys::program(&stage.app, &key).post(path, question(false)).await;
    assert_eq!((other.status, &other.body["error"]["type"]), (403, &json!("permission_error")), "{other:?}");
}
