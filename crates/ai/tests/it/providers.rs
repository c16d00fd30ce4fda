//! Providers that stream, split, stall, truncate, refuse and send garbage, over real sockets.

use std::{sync::Arc, time::Duration};

use ai::{
    Ai, AiError, AiSettings, ChatDelta, ChatMessage, ChatRequest, ExtraCalls, Finish, Limits, ProviderKind,
    ProviderSettings, Route, Secret, Usage,
};
use appcore::breaker::Circuit;
use futures_util::StreamExt;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    sync::Notify,
};

use crate::upstream::{OPENAI_END, Script, Step, Upstream, answer, hello, ok, text_chunk};

/// Short enough for a test, long enough for a busy machine.
fn limits() -> Limits {
    Limits {
        idle: Duration::from_millis(400),
        linger: Duration::from_millis(200),
        backoff: Duration::from_millis(10),
        max_retry_after: Duration::from_secs(5),
        ..Limits::default()
    }
}

fn ai(kind: ProviderKind, upstream: &Upstream, version: &str, keys: &[&str], limits: Limits) -> Ai {
    let provider = ProviderSettings {
        name: "fake".to_owned(),
        kind,
        base_url: Some(format!("http://{}/{version}", upstream.address)),
        keys: keys.iter().map(|&key| Secret::new(key)).collect(),
        models: vec!["test-model".to_owned()],
        requests_per_minute: None,
        proxy: None,
        responses: false,
        hosted_tools: false,
        passes: Vec::new(),
    };
    Ai::build(AiSettings { providers: vec![provider], limits, ..AiSettings::default() }).unwrap()
}

fn question() -> ChatRequest {
    ChatRequest {
        system: Some("Be kind.".to_owned()),
        messages: vec![ChatMessage::user("Hi")],
        ..ChatRequest::default()
    }
}

/// Text of an answer and its outcome.
async fn chat_outcome(ai: &Ai) -> (String, Result<(Finish, Option<Usage>), AiError>) {
    let mut text = String::new();
    let mut answer = match ai.chat(&ai.default_route().unwrap(), question(), &Arc::default()).await {
        Ok(answer) => answer,
        Err(error) => return (text, Err(error)),
    };
    while let Some(delta) = answer.next().await {
        match delta {
            Ok(ChatDelta::Text(more)) => text.push_str(&more),
            Ok(ChatDelta::Thought(_) | ChatDelta::Calls(_)) => {}
            Ok(ChatDelta::Done { finish, usage }) => {
                assert!(answer.next().await.is_none(), "no event follows the end");
                return (text, Ok((finish, usage.map(|usage| *usage))));
            }
            Err(error) => {
                assert!(answer.next().await.is_none(), "no event follows a failure");
                return (text, Err(error));
            }
        }
    }
    panic!("an answer must end with its end or a failure");
}

async fn openai(scripts: Vec<Script>, keys: &[&str]) -> (Upstream, Ai) {
    let upstream = Upstream::start(scripts).await;
    let ai = ai(ProviderKind::OPENAI, &upstream, "v1", keys, limits());
    (upstream, ai)
}

fn body_of(request: &str) -> Value {
    serde_json::from_str(request.split_once("\r\n\r\n").expect("a body").1).expect("JSON")
}

const HELLO: &str = "Hello, thế giới";
const COUNTED: Usage = Usage {
    input: Some(3),
    output: Some(2),
    cached: None,
    cache_write: None,
    reasoning: None,
    audio: None,
    audio_output: None,
    searches: None,
    gateway_searches: None,
    containers: None,
    images: None,
    extra: ExtraCalls { input: 0, cached: 0, cache_write: 0, output: 0, longest: 0 },
    estimated: false,
};

fn whole() -> (String, Result<(Finish, Option<Usage>), AiError>) {
    (HELLO.to_owned(), Ok((Finish::Stop, Some(COUNTED))))
}

#[tokio::test]
async fn streams_openai_answers() {
    let (upstream, ai) = openai(vec![hello()], &["secret-key"]).await;
    assert_eq!(chat_outcome(&ai).await, whole());
    let request = upstream.requests().remove(0);
    assert!(request.starts_with("POST /v1/chat/completions HTTP/1.1\r\n"), "{request}");
    assert!(request.contains("authorization: Bearer secret-key\r\n"), "{request}");
    let expected = json!({
        "model": "test-model",
        "messages": [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hi"}],
        "stream": true, "stream_options": {"include_usage": true},
    });
    assert_eq!(body_of(&request), expected);
}

#[tokio::test]
async fn streams_gemini_answers() {
    let frames = "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"Hello, \"}],\"role\":\"model\"}}]}\r\n\r\n\
        data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"thế giới\"}]},\"finishReason\":\"STOP\"}],\
        \"usageMetadata\":{\"promptTokenCount\":3,\"candidatesTokenCount\":2}}\r\n\r\n";
    let script = vec![Step::Write(ok("text/event-stream")), Step::WriteSlowly(frames.as_bytes().to_vec())];
    let upstream = Upstream::start(vec![script]).await;
    let ai = ai(ProviderKind::GEMINI, &upstream, "v1beta", &["secret-key"], limits());
    assert_eq!(chat_outcome(&ai).await, whole());
    let request = upstream.requests().remove(0);
    assert!(
        request.starts_with("POST /v1beta/models/test-model:streamGenerateContent?alt=sse HTTP/1.1\r\n"),
        "{request}"
    );
    assert!(request.contains("x-goog-api-key: secret-key\r\n"), "{request}");
    let expected = json!({
        "systemInstruction": {"parts": [{"text": "Be kind."}]},
        "contents": [{"role": "user", "parts": [{"text": "Hi"}]}],
    });
    assert_eq!(body_of(&request), expected);
}

#[tokio::test]
async fn accepts_any_split_of_bytes() {
    let body = [text_chunk("Hello, "), text_chunk("thế giới"), OPENAI_END.to_owned()].concat().replace('\n', "\r\n");
    let (_upstream, ai) =
        openai(vec![vec![Step::Write(ok("text/event-stream")), Step::WriteSlowly(body.into_bytes())]], &[]).await;
    assert_eq!(chat_outcome(&ai).await, whole());
}

#[tokio::test]
async fn sends_no_key_if_none_is_configured() {
    let (upstream, ai) = openai(vec![hello()], &[]).await;
    assert_eq!(chat_outcome(&ai).await, whole());
    assert!(!upstream.requests()[0].contains("authorization"));
}

#[tokio::test]
async fn accepts_whole_answers() {
    let body = r#"{"choices":[{"index":0,"message":{"role":"assistant","content":"Hello, thế giới"},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":2}}"#;
    let (_upstream, ai) = openai(vec![answer(200, "content-type: application/json\r\n", body)], &[]).await;
    assert_eq!(chat_outcome(&ai).await, whole());
}

#[tokio::test]
async fn retries_transient_failures_before_the_first_token() {
    let cut = vec![Step::Write(ok("text/event-stream"))];
    let scripts = vec![answer(429, "", ""), answer(500, "", "oh no"), cut, hello()];
    let (upstream, ai) = openai(scripts, &["k"]).await;
    assert_eq!(chat_outcome(&ai).await, whole());
    assert_eq!(upstream.requests().len(), 4);
}

#[tokio::test]
async fn reports_the_failure_after_three_retries() {
    let (upstream, ai) = openai(vec![answer(500, "", "")], &["k"]).await;
    assert_eq!(chat_outcome(&ai).await, (String::new(), Err(AiError::Unavailable { retry_after: None })));
    assert_eq!(upstream.requests().len(), 4);
}

#[tokio::test]
async fn respects_retry_after() {
    let (upstream, ai) = openai(vec![answer(429, "retry-after: 1\r\n", ""), hello()], &["k"]).await;
    let started = std::time::Instant::now();
    assert_eq!(chat_outcome(&ai).await, whole());
    assert!(started.elapsed() >= Duration::from_secs(1));
    assert_eq!(upstream.requests().len(), 2);
}

#[tokio::test]
async fn reports_long_delays_at_once() {
    let (upstream, ai) = openai(vec![answer(429, "retry-after: 90\r\n", ""), hello()], &["k"]).await;
    let (_, end) = chat_outcome(&ai).await;
    // The provider names 90 seconds, but the only key is tried again sooner.
    assert_eq!(end.unwrap_err().to_string(), "The AI provider is busy. Try again in a minute.");
    assert!(matches!(chat_outcome(&ai).await.1, Err(AiError::Busy { retry_after: Some(_) })));
    assert_eq!(upstream.requests().len(), 1);
}

#[tokio::test]
async fn switches_to_another_key_at_once() {
    let scripts = vec![answer(429, "retry-after: 90\r\n", ""), answer(401, "", ""), hello(), hello()];
    let (upstream, ai) = openai(scripts, &["first", "second", "third"]).await;
    assert_eq!(chat_outcome(&ai).await, whole());
    assert_eq!(chat_outcome(&ai).await, whole());
    let keys: Vec<bool> = upstream.requests().iter().map(|request| request.contains("Bearer third")).collect();
    assert_eq!(keys, [false, false, true, true]);
}

#[tokio::test]
async fn does_not_retry_or_reveal_rejected_credentials() {
    let body = r#"{"error":{"message":"Incorrect API key provided: secret-key","code":"invalid_api_key"}}"#;
    let (upstream, ai) = openai(vec![answer(401, "", body)], &["secret-key"]).await;
    let (_, end) = chat_outcome(&ai).await;
    let error = end.unwrap_err();
    assert_eq!(error, AiError::Credentials);
    assert!(!error.to_string().contains("secret-key"));
    assert_eq!(upstream.requests().len(), 1);
}

#[tokio::test]
async fn does_not_retry_cut_streams_after_the_first_token() {
    let cut = vec![Step::Write([ok("text/event-stream"), text_chunk("Hello, ").into_bytes()].concat())];
    let (upstream, ai) = openai(vec![cut], &["k"]).await;
    assert_eq!(chat_outcome(&ai).await, ("Hello, ".to_owned(), Err(AiError::Truncated)));
    assert_eq!(upstream.requests().len(), 1);
}

#[tokio::test]
async fn reports_truncated_bodies() {
    let head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
    let text = text_chunk("Hello, ");
    let cut = vec![Step::Write([head, format!("{:x}\r\n{text}\r\n40\r\ndata: ", text.len()).into_bytes()].concat())];
    let (_upstream, ai) = openai(vec![cut], &["k"]).await;
    assert_eq!(chat_outcome(&ai).await, ("Hello, ".to_owned(), Err(AiError::Truncated)));
}

#[tokio::test]
async fn times_out_silent_streams() {
    let stalls = vec![Step::Write([ok("text/event-stream"), text_chunk("Hello, ").into_bytes()].concat()), Step::Stall];
    let (_upstream, ai) = openai(vec![stalls], &["k"]).await;
    assert_eq!(chat_outcome(&ai).await, ("Hello, ".to_owned(), Err(AiError::Timeout)));
}

#[tokio::test]
async fn does_not_retry_timeouts() {
    let (upstream, ai) = openai(vec![vec![Step::Stall]], &["k"]).await;
    assert_eq!(chat_outcome(&ai).await, (String::new(), Err(AiError::Timeout)));
    assert_eq!(upstream.requests().len(), 1);
}

#[tokio::test]
async fn opens_the_breaker_on_timeouts_only_without_other_answers() {
    for (scripts, expected) in
        [(vec![vec![Step::Stall]], Circuit::Open), (vec![hello(), vec![Step::Stall]], Circuit::Closed)]
    {
        let is_well = expected == Circuit::Closed;
        let (_upstream, ai) = openai(scripts, &["k"]).await;
        if is_well {
            assert_eq!(chat_outcome(&ai).await, whole());
        }
        for (_, end) in futures_util::future::join_all((0..5).map(|_| chat_outcome(&ai))).await {
            assert_eq!(end, Err(AiError::Timeout));
        }
        assert_eq!(ai.circuit(), expected);
    }
}

#[tokio::test]
async fn applies_one_deadline_to_all_attempts() {
    let slow: Script = std::iter::once(Step::Write(ok("text/event-stream")))
        .chain([Step::WriteSlowly(text_chunk("a").repeat(2_000).into_bytes()), Step::Stall])
        .collect();
    let upstream = Upstream::start(vec![slow]).await;
    let limits = Limits { deadline: Duration::from_millis(600), idle: Duration::from_secs(30), ..limits() };
    let ai = ai(ProviderKind::OPENAI, &upstream, "v1", &["k"], limits);
    let (text, end) = chat_outcome(&ai).await;
    assert_eq!(end, Err(AiError::Timeout));
    assert!(!text.is_empty());
}

#[tokio::test]
async fn accepts_answers_without_a_final_frame() {
    let end = "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
    let stalls = [ok("text/event-stream"), text_chunk("Hello").into_bytes(), end.as_bytes().to_vec()].concat();
    let (_upstream, ai) = openai(vec![vec![Step::Write(stalls), Step::Stall]], &["k"]).await;
    let (text, end) = chat_outcome(&ai).await;
    let (finish, usage) = end.unwrap();
    assert_eq!((text.as_str(), finish), ("Hello", Finish::Stop));
    assert!(usage.unwrap().estimated);
}

#[tokio::test]
async fn reports_errors_within_streams() {
    let inside = |frame: &str| {
        vec![Step::Write(
            [ok("text/event-stream"), text_chunk("Hello").into_bytes(), frame.as_bytes().to_vec()].concat(),
        )]
    };
    let unavailable = AiError::Unavailable { retry_after: None };
    for (frame, expected) in [
        ("data: {\"error\":{\"message\":\"x\",\"code\":\"context_length_exceeded\"}}\n\n", AiError::TooLong),
        ("event: error\ndata: oh no\n\n", unavailable.clone()),
        ("{\"object\":\"error\",\"message\":\"x\",\"code\":503}", unavailable),
        ("data: <html>\n\n", AiError::Garbled),
    ] {
        let (_upstream, ai) = openai(vec![inside(frame)], &["k"]).await;
        assert_eq!(chat_outcome(&ai).await, ("Hello".to_owned(), Err(expected)), "{frame}");
    }
}

#[tokio::test]
async fn parses_or_rejects_answers_that_are_no_streams() {
    let json = "content-type: application/json; charset=utf-8\r\n";
    for (script, expected) in [
        (answer(200, "content-type: text/html\r\n", "<html>Sign in</html>"), AiError::Garbled),
        (answer(200, json, "{"), AiError::Garbled),
        (answer(200, json, r#"{"error":{"message":"no such model","code":404}}"#), AiError::UnknownModel),
        (answer(200, json, r#"{"choices":[]}"#), AiError::Truncated),
        (answer(302, "location: http://127.0.0.1:1/\r\n", ""), AiError::Garbled),
        (vec![Step::Write([ok("text/event-stream"), OPENAI_END.as_bytes().to_vec()].concat())], AiError::Empty),
        (answer(400, json, r#"{"error":{"message":"x"}}"#), AiError::Rejected),
    ] {
        let (_upstream, ai) = openai(vec![script], &["k"]).await;
        assert_eq!(chat_outcome(&ai).await, (String::new(), Err(expected)));
    }
}

#[tokio::test]
async fn reports_unreachable_providers() {
    let mut upstream = Upstream::start(vec![hello()]).await;
    // Nobody listens on this port, which was free a moment ago.
    upstream.address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let ai = ai(ProviderKind::OPENAI, &upstream, "v1", &["k"], limits());
    // Administrators are told the cause.
    assert_eq!(ai.test("fake").await.unwrap().unwrap_err().to_string(), "connection refused");
    assert_eq!(
        chat_outcome(&ai).await.1.unwrap_err().to_string(),
        "The AI provider is unavailable. Try again in a minute."
    );
}

#[tokio::test]
async fn cancels_the_request_on_drop() {
    let gone = Arc::new(Notify::new());
    let waits = vec![
        Step::Write([ok("text/event-stream"), text_chunk("Hello").into_bytes()].concat()),
        Step::WaitForGone(Arc::clone(&gone)),
    ];
    let upstream = Upstream::start(vec![waits]).await;
    let limits = Limits { idle: Duration::from_secs(60), ..limits() };
    let ai = ai(ProviderKind::OPENAI, &upstream, "v1", &["k"], limits);
    let mut answer = ai.chat(&ai.default_route().unwrap(), question(), &Arc::default()).await.unwrap();
    assert_eq!(answer.next().await, Some(Ok(ChatDelta::Text("Hello".to_owned()))));
    drop(answer);
    tokio::time::timeout(Duration::from_secs(10), gone.notified()).await.expect("the connection is closed");
}

/// A provider that is reachable only through this proxy.
fn behind(proxy: String) -> AiSettings {
    let provider = ProviderSettings {
        name: "fake".to_owned(),
        kind: ProviderKind::OPENAI,
        base_url: Some("http://provider.invalid/v1".to_owned()),
        keys: Vec::new(),
        models: vec!["m".to_owned()],
        requests_per_minute: None,
        proxy: None,
        responses: false,
        hosted_tools: false,
        passes: Vec::new(),
    };
    AiSettings { providers: vec![provider], proxy: Some(proxy), ..AiSettings::default() }
}

#[tokio::test]
async fn sends_requests_through_the_proxy() {
    let proxy = Upstream::start(vec![hello()]).await;
    let settings = behind(format!("http://{}", proxy.address));
    assert_eq!(chat_outcome(&Ai::build(settings).unwrap()).await, whole());
    assert!(proxy.requests()[0].starts_with("POST http://provider.invalid/v1/chat/completions HTTP/1.1\r\n"));
}

/// Accepts one connection as a SOCKS5 proxy and answers as the provider; returns the requested host
/// name.
async fn be_socks_proxy(listener: TcpListener, password: Option<(&str, &str)>) -> String {
    let (mut socket, _) = listener.accept().await.unwrap();
    let mut greeting = [0; 2];
    socket.read_exact(&mut greeting).await.unwrap();
    let mut methods = vec![0; usize::from(greeting[1])];
    socket.read_exact(&mut methods).await.unwrap();
    assert_eq!(greeting[0], 5, "version 5");
    match password {
        None => {
            assert_eq!(methods, [0], "no password");
            socket.write_all(&[5, 0]).await.unwrap();
        }
        Some((name, word)) => {
            assert!(methods.contains(&2), "{methods:?}");
            socket.write_all(&[5, 2]).await.unwrap();
            // RFC 1929: version, then user name and password with their lengths.
            let mut told = vec![0; 3 + name.len() + word.len()];
            socket.read_exact(&mut told).await.unwrap();
            let lengths = [name, word].map(|text| u8::try_from(text.len()).unwrap());
            let expected = [&[1, lengths[0]], name.as_bytes(), &[lengths[1]], word.as_bytes()].concat();
            assert_eq!(told, expected);
            socket.write_all(&[1, 0]).await.unwrap();
        }
    }
    let mut head = [0; 5];
    socket.read_exact(&mut head).await.unwrap();
    assert_eq!(head[..4], [5, 1, 0, 3], "connects to a host name");
    let mut name = vec![0; usize::from(head[4]) + 2];
    socket.read_exact(&mut name).await.unwrap();
    socket.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).await.unwrap();
    crate::upstream::serve(socket, hello(), Arc::default()).await;
    name.truncate(name.len() - 2);
    String::from_utf8(name).unwrap()
}

#[tokio::test]
async fn lets_the_socks_proxy_resolve_names() {
    for (login, password) in [("", None), ("natter:s%40cret@", Some(("natter", "s@cret")))] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = format!("socks5h://{login}{}", listener.local_addr().unwrap());
        let served = tokio::spawn(be_socks_proxy(listener, password));
        // A provider's own proxy overrides the common one.
        let mut settings = behind("http://127.0.0.1:9".to_owned());
        settings.providers[0].proxy = Some(proxy);
        assert_eq!(chat_outcome(&Ai::build(settings).unwrap()).await, whole());
        assert_eq!(served.await.unwrap(), "provider.invalid");
    }
}

#[tokio::test]
async fn answers_with_the_demo_without_providers() {
    let limits = Limits { demo_pause: Duration::ZERO, ..Limits::default() };
    let ai = Ai::build(AiSettings { limits, ..AiSettings::default() }).unwrap();
    assert_eq!(ai.default_route().unwrap().requested_model, "demo");
    let other = Route { requested_model: "gpt".to_owned(), ..Route::default() };
    assert_eq!(ai.chat(&other, question(), &Arc::default()).await.err(), Some(AiError::UnknownModel));
    let (text, end) = chat_outcome(&ai).await;
    assert!(text.contains("no AI provider yet"));
    assert!(end.is_ok());
}

#[tokio::test]
async fn opens_and_probes_the_breaker_of_a_failing_provider() {
    let scripts = (0..5).map(|_| answer(500, "", "")).chain([hello()]).collect();
    let limits = Limits { retries: 0, ..limits() };
    let upstream = Upstream::start(scripts).await;
    let ai = ai(ProviderKind::OPENAI, &upstream, "v1", &["k"], limits);
    for _ in 0..5 {
        assert_eq!(ai.circuit(), Circuit::Closed);
        assert!(matches!(chat_outcome(&ai).await.1, Err(AiError::Unavailable { .. })));
    }
    assert_eq!(ai.circuit(), Circuit::Open);
    let refused = chat_outcome(&ai).await.1.unwrap_err();
    let pause = refused.retry_after().expect("retry delay present");
    assert_eq!(upstream.requests().len(), 5, "the provider was not called");
    // After the announced delay the breaker lets a request through.
    tokio::time::sleep(pause).await;
    assert_eq!(chat_outcome(&ai).await, whole());
    assert_eq!(ai.circuit(), Circuit::Closed);
}
