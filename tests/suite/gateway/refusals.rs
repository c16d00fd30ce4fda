//! Errors of the endpoints under `/v1` have the format of the caller's client library.

use reqwest::Method;
use support::{Answer, Caller, Credentials};

use super::*;

#[track_caller]
fn is_openai(answer: &Answer, status: u16, kind: &str) {
    assert_eq!(answer.status, status, "{answer:?}");
    let error = &answer.body["error"];
    assert_eq!(error["type"], kind, "{answer:?}");
    assert!(error["message"].as_str().is_some_and(|message| !message.is_empty()), "{answer:?}");
    assert!(error.get("param").is_some() && error.get("code").is_some(), "{answer:?}");
    assert!(answer.header("x-request-id").is_some(), "{answer:?}");
}

#[track_caller]
fn is_anthropic(answer: &Answer, status: u16, kind: &str) {
    assert_eq!(answer.status, status, "{answer:?}");
    assert_eq!((&answer.body["type"], &answer.body["error"]["type"]), (&json!("error"), &json!(kind)), "{answer:?}");
    assert_eq!(answer.body["request_id"].as_str(), answer.header("request-id"), "{answer:?}");
}

#[tokio::test]
async fn reports_refusals_in_the_callers_error_format() {
    let stage = Stage::start().await;
    let url = stage.app.url();
    for credentials in [
        Credentials::None,
        Credentials::Bearer("nk_nobody".to_owned()),
        // The token of a user's session is not accepted.
        Credentials::Bearer(stage.anna.access_token().to_owned()),
    ] {
        let caller = Caller::new(&url, credentials);
        is_openai(&caller.get("/v1/models").await, 401, "authentication_error");
        is_openai(&caller.post("/v1/chat/completions", question(false)).await, 401, "authentication_error");
        is_openai(&caller.post("/v1/responses", question(false)).await, 401, "authentication_error");
        is_anthropic(&caller.post("/v1/messages", question(false)).await, 401, "authentication_error");
    }
    let unable = stage.anna.program(&["read"]).await;
    is_openai(&unable.post("/v1/chat/completions", question(false)).await, 403, "permission_error");
    is_anthropic(&unable.post("/v1/messages", question(false)).await, 403, "permission_error");

    let program = &stage.program;
    for path in ["/v1", "/v1/", "/v1/nothing", "/v1/chat", "/v1/chat/completions/"] {
        is_openai(&program.get(path).await, 404, "invalid_request_error");
    }
    for (path, told) in [("/v1/v1/models", "twice"), ("/v1//models", "slash"), ("/v1/models/openai/small", "%2F")] {
        let refused = program.get(path).await;
        is_openai(&refused, 404, "invalid_request_error");
        assert!(refused.text().contains(told), "{path}: {refused:?}");
    }
    is_anthropic(&program.get("/v1/messages/nothing").await, 404, "not_found_error");
    let wrong = program.get("/v1/chat/completions").await;
    is_openai(&wrong, 405, "invalid_request_error");
    assert_eq!(wrong.header("allow"), Some("POST"));
    is_anthropic(&program.get("/v1/messages").await, 405, "invalid_request_error");
    assert!(stage.upstream.asked().is_empty(), "the provider was called");
}

#[tokio::test]
async fn rejects_invalid_requests_before_calling_a_provider() {
    let stage = Stage::with(Setup::new().set("gateway.max_body_bytes", 65_536), UpstreamKind::OpenAi).await;
    let program = &stage.program;
    for body in ["", "{", "[]", "null", "{\"model\":7}", "{\"model\":\"small\",\"stream\":\"yes\"}", "\u{ff}"] {
        for path in ["/v1/chat/completions", "/v1/responses"] {
            let answer = program.send(program.request(Method::POST, path).body(body)).await;
            is_openai(&answer, 400, "invalid_request_error");
        }
        let answer = program.send(program.request(Method::POST, "/v1/messages").body(body)).await;
        is_anthropic(&answer, 400, "invalid_request_error");
    }
    let large = json!({ "model": "small", "messages": "x".repeat(65_536) });
    is_openai(&program.post("/v1/chat/completions", large.clone()).await, 413, "invalid_request_error");
    is_anthropic(&program.post("/v1/messages", large).await, 413, "request_too_large");
    let mut unknown = question(false);
    unknown["model"] = json!("no-such-model");
    let answer = program.post("/v1/chat/completions", unknown.clone()).await;
    is_openai(&answer, 404, "invalid_request_error");
    assert_eq!(
        (&answer.body["error"]["code"], &answer.body["error"]["param"]),
        (&json!("model_not_found"), &json!("model"))
    );
    is_anthropic(&program.post("/v1/messages", unknown).await, 404, "not_found_error");
    let zipped = program.request(Method::POST, "/v1/chat/completions").header("content-encoding", "gzip").body("x");
    is_openai(&program.send(zipped).await, 415, "invalid_request_error");
    assert!(stage.upstream.asked().is_empty(), "the provider was called");
}

#[tokio::test]
async fn returns_retry_after_for_rate_limited_requests() {
    let setup = Setup::new()
        .set("rate_limit.enabled", true)
        .set("rate_limit.gateway.strategy", "fixed_window")
        .set("rate_limit.gateway.limit", 2);
    let stage = Stage::with(setup, UpstreamKind::OpenAi).await;
    let mut answers = Vec::new();
    for _ in 0..3 {
        answers.push(stage.program.post("/v1/chat/completions", question(false)).await);
    }
    // The window of the rate limit may have ended meanwhile.
    let last = answers.pop().filter(|last| last.status != 200);
    if let Some(refused) = last {
        is_openai(&refused, 429, "rate_limit_error");
        assert!(refused.header("retry-after").is_some() && refused.header("retry-after-ms").is_some(), "{refused:?}");
    }
}

#[tokio::test]
async fn forwards_provider_refusals_with_retry_after() {
    let stage = Stage::start().await;
    stage.upstream.always(Behaviour::Refuse(429, Some(30)));
    let answer = stage.program.post("/v1/chat/completions", question(false)).await;
    is_openai(&answer, 429, "rate_limit_error");
    let wait: u32 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!((20..=30).contains(&wait), "{answer:?}");
    // The provider's only key is in backoff, so the provider isn't called again. A stream reports
    // the same error.
    let answer = stage.program.post("/v1/chat/completions", question(true)).await;
    is_openai(&answer, 429, "rate_limit_error");
    let answer = stage.program.post("/v1/messages", question(true)).await;
    is_anthropic(&answer, 429, "rate_limit_error");
}
