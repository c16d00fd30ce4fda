//! Gateway calls over real sockets, against a scripted provider.

mod media;

use std::{sync::Arc, time::Duration};

use ai::{
    Ai, AiSettings, AnswerBody, ApiStyle, Call, Deployment, ErrorKind, ExtraCalls, Fallbacks, Finish, GatewayError,
    Limits, Meter, ProviderKind, ProviderSettings, Route, Secret, Usage,
};
use async_compression::tokio::bufread::GzipEncoder;
use futures_util::StreamExt;
use serde_json::{Value, json};
use tokio::{io::AsyncReadExt, sync::Notify};

use crate::upstream::{OPENAI_END, Script, Step, Upstream, answer, hello, ok, text_chunk};

fn limits() -> Limits {
    Limits {
        idle: Duration::from_millis(400),
        linger: Duration::from_millis(200),
        backoff: Duration::from_millis(10),
        ..Limits::default()
    }
}

fn provider(name: &str, kind: ProviderKind, upstream: &Upstream, keys: &[&str]) -> ProviderSettings {
    ProviderSettings {
        name: name.to_owned(),
        kind,
        base_url: Some(format!("http://{}/v1", upstream.address)),
        keys: keys.iter().map(|&key| Secret::new(key)).collect(),
        models: vec!["m".to_owned()],
        requests_per_minute: None,
        proxy: None,
        responses: false,
        hosted_tools: false,
        passes: Vec::new(),
    }
}

fn deployment(provider: &str, priority: u32) -> Deployment {
    Deployment { provider: provider.to_owned(), model: "served".to_owned(), weight: 1, priority, param_overrides: None }
}

/// An OpenAI-compatible provider with these scripts.
async fn one(scripts: Vec<Script>) -> (Upstream, Ai, Route) {
    let upstream = Upstream::start(scripts).await;
    let providers = vec![provider("first", ProviderKind::OPENAI, &upstream, &["secret-key-1234"])];
    let ai = Ai::build(AiSettings { providers, limits: limits(), ..AiSettings::default() }).unwrap();
    (
        upstream,
        ai,
        Route { requested_model: "m".to_owned(), deployments: vec![deployment("first", 0)], ..Route::default() },
    )
}

/// The client's view: status and text, and the meter for billing.
async fn call(ai: &Ai, style: ApiStyle, route: &Route, body: &Value) -> (u16, String, Arc<Meter>) {
    let call = Call::new(style, body.to_string().into(), Arc::new(route.clone()), "req_1".to_owned());
    let meter = Arc::clone(&call.meter);
    match ai.forward(call).await {
        Ok(forwarded) => {
            let text = match forwarded.body {
                AnswerBody::Whole(body) => body.to_vec(),
                AnswerBody::Stream(frames) => frames.map(|frame| frame.unwrap()).collect::<Vec<_>>().await.concat(),
            };
            (200, String::from_utf8(text).unwrap(), meter)
        }
        Err(error) => {
            let rendered = error.render(style, "req_1");
            (rendered.status, String::from_utf8(rendered.body).unwrap(), meter)
        }
    }
}

fn question(stream: bool) -> Value {
    json!({"model": "m", "messages": [{"role": "user", "content": "Hi"}], "stream": stream})
}

const WHOLE: &str = r#"{"id":"c","choices":[{"index":0,"message":{"role":"assistant","content":"Hello"},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":2},"odd":1}"#;
const JSON: &str = "content-type: application/json\r\n";
const COUNTED: Usage = Usage {
    input: Some(3),
    cached: None,
    cache_write: None,
    output: Some(2),
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

#[tokio::test]
async fn passes_whole_answers_byte_for_byte() {
    let (upstream, ai, route) = one(vec![answer(200, JSON, WHOLE)]).await;
    let (status, text, meter) = call(&ai, ApiStyle::Chat, &route, &question(false)).await;
    assert_eq!((status, text.as_str()), (200, WHOLE));
    assert_eq!((meter.usage(), meter.finish(), meter.attempts()), (COUNTED, Some(Finish::Stop), 1));
    let served = meter.served();
    assert_eq!(
        (served.provider.as_str(), served.model.as_str(), served.key_tail.as_deref()),
        ("first", "served", Some("1234"))
    );
    let request = upstream.requests().remove(0);
    assert!(request.contains(r#""model":"served""#), "{request}");
    assert!(request.contains("authorization: Bearer secret-key-1234"), "{request}");
}

const REFUSED_TEMPERATURE: &str = r#"{"error":{"message":"Unsupported value: 'temperature' does not support 0.5 with this model. Only the default (1) value is supported.","param":"temperature","code":"unsupported_value"}}"#;

#[tokio::test]
async fn repairs_a_refused_request_and_remembers_how() {
    for (style, stream) in
        [(ApiStyle::Chat, false), (ApiStyle::Chat, true), (ApiStyle::Messages, false), (ApiStyle::Responses, true)]
    {
        let accepted = if stream { hello() } else { answer(200, JSON, WHOLE) };
        let (upstream, ai, route) = one(vec![answer(400, JSON, REFUSED_TEMPERATURE), accepted]).await;
        let mut body = question(stream);
        body["temperature"] = 0.5.into();
        body["max_tokens"] = 9.into();
        if style == ApiStyle::Responses {
            body = json!({"model": "m", "input": "Hi", "temperature": 0.5, "stream": stream});
        }
        let has_temperature = |at: usize| upstream.requests()[at].contains("\"temperature\"");
        let (status, text, meter) = call(&ai, style, &route, &body).await;
        assert_eq!((status, meter.attempts(), upstream.requests().len()), (200, 1, 2), "{style:?} {text}");
        assert!(has_temperature(0) && !has_temperature(1), "{style:?}");
        assert_eq!(call(&ai, style, &route, &body).await.0, 200);
        assert!(upstream.requests().len() == 3 && !has_temperature(2), "{style:?}");
        let learned = ai.health().remove(0).learned;
        assert_eq!(
            learned.iter().map(|one| (one.model.as_str(), one.setting.as_str())).collect::<Vec<_>>(),
            [("served", "drop=temperature")]
        );
        assert_eq!(ai.states()[0].repairs, 1);
        assert!(ai.clear_learned("first", "served") && !ai.clear_learned("first", "served"));
        assert_eq!(call(&ai, style, &route, &body).await.0, 200);
        assert!(upstream.requests().len() == 4 && has_temperature(3), "{style:?}");
    }
}

#[tokio::test]
async fn reports_the_first_refusal_if_the_repaired_request_is_refused_too() {
    let other = r#"{"error":{"message":"Something else is wrong.","type":"invalid_request_error"}}"#;
    let (upstream, ai, route) = one(vec![answer(400, JSON, REFUSED_TEMPERATURE), answer(400, JSON, other)]).await;
    let mut body = question(false);
    body["temperature"] = 0.5.into();
    let (status, text, _) = call(&ai, ApiStyle::Chat, &route, &body).await;
    assert!(status == 400 && text.contains("'temperature' does not support 0.5"), "{text}");
    assert_eq!((upstream.requests().len(), ai.health()[0].learned.len(), ai.states()[0].repairs), (2, 0, 0));
}

#[tokio::test]
async fn repairs_each_fault_that_a_server_names() {
    let refused = |name: &str| {
        let message = format!("property '{name}' is unsupported");
        json!({"error": {"message": message, "type": "invalid_request_error"}}).to_string()
    };
    let mut body = question(false);
    for name in ["seed", "top_k", "min_p"] {
        body[name] = 1.into();
    }
    let answers = vec![
        answer(400, JSON, &refused("seed")),
        answer(400, JSON, &refused("top_k")),
        answer(400, JSON, &refused("min_p")),
        answer(200, JSON, WHOLE),
    ];
    let (upstream, ai, route) = one(answers).await;
    let (status, text, meter) = call(&ai, ApiStyle::Chat, &route, &body).await;
    assert_eq!((status, meter.attempts(), upstream.requests().len()), (200, 1, 4), "{text}");
    let learned = ai.health().remove(0).learned;
    let settings: Vec<&str> = learned.iter().map(|one| one.setting.as_str()).collect();
    assert_eq!((settings, ai.states()[0].repairs), (vec!["drop=seed", "drop=top_k", "drop=min_p"], 1));

    // A server that repeats its refusal gets the other remedy for it, but no further field is dropped.
    let refusal = "property 'seed' is unsupported, and 'top_k' too";
    let refusal = json!({"error": {"message": refusal, "type": "invalid_request_error"}}).to_string();
    let (upstream, ai, route) = one(vec![answer(400, JSON, &refusal)]).await;
    assert_eq!(call(&ai, ApiStyle::Chat, &route, &body).await.0, 400);
    assert_eq!((upstream.requests().len(), ai.health()[0].learned.len()), (2, 0));
    let refusal =
        r#"{"error":{"message":"Thinking mode does not support this tool_choice","type":"invalid_request_error"}}"#;
    let answers = vec![answer(400, JSON, refusal), answer(400, JSON, refusal), answer(200, JSON, WHOLE)];
    let (upstream, ai, route) = one(answers).await;
    body["tools"] = json!([{"type": "function", "function": {"name": "f"}}]);
    body["tool_choice"] = "required".into();
    assert_eq!(call(&ai, ApiStyle::Chat, &route, &body).await.0, 200);
    let requests = upstream.requests();
    assert!(requests.len() == 3 && requests[2].contains(r#""tool_choice":"auto""#), "{requests:?}");
}

#[tokio::test]
async fn lowers_the_output_of_one_request_to_the_rest_of_the_context_window() {
    let refusal = r#"{"error":{"message":"This model's maximum context length is 16384 tokens. However, you requested 17000 tokens (7000 in the messages, 10000 in the completion).","type":"BadRequestError","code":400}}"#;
    let (upstream, ai, route) = one(vec![answer(400, JSON, refusal), answer(200, JSON, WHOLE)]).await;
    let mut body = question(false);
    body["max_tokens"] = 10_000.into();
    assert_eq!(call(&ai, ApiStyle::Chat, &route, &body).await.0, 200);
    assert!(upstream.requests()[1].contains("\"max_tokens\":9384"), "{}", upstream.requests()[1]);
    assert_eq!((ai.health()[0].learned.len(), ai.states()[0].repairs), (0, 1));
}

#[tokio::test]
async fn switches_to_the_responses_api_if_only_that_serves_the_model() {
    let refusal = r#"{"error":{"message":"This is not a chat model and thus not supported in the v1/chat/completions endpoint. Did you mean to use v1/completions?","type":"invalid_request_error","param":"model","code":null}}"#;
    let whole = r#"{"id":"resp_1","object":"response","status":"completed","model":"served","output":[{"id":"msg_1","type":"message","role":"assistant","content":[{"type":"output_text","text":"Hello","annotations":[]}]}],"usage":{"input_tokens":3,"output_tokens":2,"total_tokens":5}}"#;
    for style in [ApiStyle::Chat, ApiStyle::Messages] {
        let (upstream, ai, route) = one(vec![answer(404, JSON, refusal), answer(200, JSON, whole)]).await;
        let mut body = question(false);
        body["max_tokens"] = 20.into();
        for _ in 0..2 {
            let (status, text, meter) = call(&ai, style, &route, &body).await;
            assert!(status == 200 && text.contains("Hello"), "{style:?} {text}");
            assert_eq!((meter.usage().input, meter.usage().output), (Some(3), Some(2)));
        }
        let requests = upstream.requests();
        let paths: Vec<&str> = requests.iter().filter_map(|request| request.split(' ').nth(1)).collect();
        assert_eq!(paths, ["/v1/chat/completions", "/v1/responses", "/v1/responses"], "{style:?}");
        assert_eq!(ai.health()[0].learned[0].setting, "api=responses");
    }
    // A server without that API keeps its refusal, and nothing is learned.
    let (_upstream, ai, route) = one(vec![answer(404, JSON, refusal)]).await;
    let (status, text, _) = call(&ai, ApiStyle::Chat, &route, &question(false)).await;
    assert_eq!((status, ai.health()[0].learned.len()), (404, 0), "{text}");
}

#[tokio::test]
async fn strips_unrequested_usage_from_streams() {
    let (upstream, ai, route) = one(vec![hello()]).await;
    let (status, text, meter) = call(&ai, ApiStyle::Chat, &route, &question(true)).await;
    assert_eq!(status, 200);
    assert!(text.starts_with(&text_chunk("Hello, ")) && text.ends_with("data: [DONE]\n\n"), "{text}");
    assert!(!text.contains("usage"), "{text}");
    assert_eq!((meter.usage(), meter.finish()), (COUNTED, Some(Finish::Stop)));
    assert!(upstream.requests()[0].contains(r#""include_usage":true"#));
}

#[tokio::test]
async fn passes_streams_that_arrive_byte_by_byte() {
    let body = [text_chunk("Hello, "), text_chunk("thế giới"), OPENAI_END.to_owned()].concat().replace('\n', "\r\n");
    let script = vec![Step::Write(ok("text/event-stream")), Step::WriteSlowly(body.into_bytes())];
    let (_upstream, ai, route) = one(vec![script]).await;
    let (_, text, meter) = call(&ai, ApiStyle::Chat, &route, &question(true)).await;
    let expected = [text_chunk("Hello, "), text_chunk("thế giới")].concat().replace('\n', "\r\n");
    assert!(text.starts_with(&expected) && text.ends_with("data: [DONE]\n\n"), "{text}");
    assert_eq!(meter.usage(), COUNTED);
}

#[tokio::test]
async fn ends_cut_streams_with_an_error_and_estimates_usage() {
    let cut = vec![Step::Write([ok("text/event-stream"), text_chunk("Hello, you").into_bytes()].concat())];
    let (_upstream, ai, route) = one(vec![cut]).await;
    let (_, text, meter) = call(&ai, ApiStyle::Chat, &route, &question(true)).await;
    let last = text.trim_end().rsplit("\n\n").next().unwrap();
    assert!(last.starts_with(r#"data: {"error":{"#), "{text}");
    assert!(!text.contains("[DONE]"));
    let usage = meter.usage();
    assert!(usage.estimated && usage.output == Some(3) && usage.input > Some(0), "{usage:?}");
    assert_eq!(meter.finish(), None);
}

#[tokio::test]
async fn times_out_silent_streams_but_not_plain_calls() {
    let stalls = vec![Step::Write([ok("text/event-stream"), text_chunk("Hello").into_bytes()].concat()), Step::Stall];
    let (_upstream, ai, route) = one(vec![stalls]).await;
    let (_, text, _) = call(&ai, ApiStyle::Chat, &route, &question(true)).await;
    assert!(text.contains("took too long"), "{text}");
}

#[tokio::test]
async fn falls_back_before_the_first_frame() {
    let rate_limited = vec![Step::Write(
        [ok("text/event-stream"), b"data: {\"error\":{\"code\":429,\"message\":\"slow down\"}}\n\n".to_vec()].concat(),
    )];
    for (script, stream) in
        [(answer(429, "retry-after: 30\r\n", ""), false), (answer(500, "", ""), true), (rate_limited, true)]
    {
        let first = Upstream::start(vec![script]).await;
        let good = if stream { hello() } else { answer(200, JSON, WHOLE) };
        let second = Upstream::start(vec![good]).await;
        let providers = vec![
            provider("first", ProviderKind::OPENAI, &first, &["k"]),
            provider("second", ProviderKind::OPENAI, &second, &["k"]),
        ];
        let ai = Ai::build(AiSettings { providers, limits: limits(), ..AiSettings::default() }).unwrap();
        let route = Route {
            requested_model: "m".to_owned(),
            deployments: vec![deployment("second", 2), deployment("first", 1)],
            ..Route::default()
        };
        let (status, text, meter) = call(&ai, ApiStyle::Chat, &route, &question(stream)).await;
        assert_eq!((status, meter.attempts()), (200, 2), "{text}");
        assert_eq!(meter.served().provider, "second");
    }
}

#[tokio::test]
async fn uses_the_context_length_fallback_for_long_requests() {
    let body =
        r#"{"error":{"message":"This model's maximum context length is 10 tokens.","code":"context_length_exceeded"}}"#;
    let first = Upstream::start(vec![answer(400, JSON, body)]).await;
    let second = Upstream::start(vec![answer(200, JSON, WHOLE)]).await;
    let providers = vec![
        provider("first", ProviderKind::OPENAI, &first, &["k"]),
        provider("second", ProviderKind::OPENAI, &second, &["k"]),
    ];
    let ai = Ai::build(AiSettings { providers, limits: limits(), ..AiSettings::default() }).unwrap();
    let mut route =
        Route { requested_model: "m".to_owned(), deployments: vec![deployment("first", 0)], ..Route::default() };
    route.fallbacks = Fallbacks { failure: vec![deployment("second", 0)], ..Fallbacks::default() };
    let (status, text, _) = call(&ai, ApiStyle::Chat, &route, &question(false)).await;
    assert_eq!(status, 400);
    assert!(text.contains("context_length_exceeded") && text.contains("10 tokens"), "{text}");
    route.fallbacks = Fallbacks { context_length: vec![deployment("second", 0)], ..Fallbacks::default() };
    assert_eq!(call(&ai, ApiStyle::Chat, &route, &question(false)).await.0, 200);
}

#[tokio::test]
async fn returns_provider_delays_at_once() {
    let (upstream, ai, route) = one(vec![answer(429, "retry-after: 7\r\n", "")]).await;
    let call = Call::new(ApiStyle::Chat, question(true).to_string().into(), Arc::new(route), String::new());
    let error = ai.forward(call).await.err().unwrap();
    let headers = error.render(ApiStyle::Chat, "").headers;
    assert!(headers.contains(&("retry-after", "7".to_owned())), "{headers:?}");
    assert_eq!((error.status(ApiStyle::Chat), upstream.requests().len()), (429, 1));
}

#[tokio::test]
async fn closes_the_connection_on_drop() {
    let gone = Arc::new(Notify::new());
    let waits = |bytes: Vec<u8>| vec![Step::Write(bytes), Step::WaitForGone(Arc::clone(&gone))];
    let flowing = waits([ok("text/event-stream"), text_chunk("Hello").into_bytes()].concat());
    let (_upstream, ai, route) = one(vec![flowing, waits(Vec::new())]).await;
    let route = Arc::new(route);
    let ask =
        |stream| Call::new(ApiStyle::Chat, question(stream).to_string().into(), Arc::clone(&route), String::new());
    let forwarded = ai.forward(ask(true)).await.ok().unwrap();
    drop(forwarded);
    tokio::time::timeout(Duration::from_secs(10), gone.notified()).await.expect("the stream is closed");
    let plain = tokio::time::timeout(Duration::from_millis(200), ai.forward(ask(false))).await;
    assert!(plain.is_err(), "no response");
    tokio::time::timeout(Duration::from_secs(10), gone.notified()).await.expect("the plain call is closed");
}

#[tokio::test]
async fn passes_responses_through_without_storage() {
    let whole =
        r#"{"id":"r","status":"completed","error":null,"output":[],"usage":{"input_tokens":3,"output_tokens":2}}"#;
    let upstream = Upstream::start(vec![answer(200, JSON, whole)]).await;
    let speaking = provider("first", ProviderKind::OPENAI, &upstream, &["secret-key-1234"]);
    let providers = vec![ProviderSettings { responses: true, ..speaking }];
    let ai = Ai::build(AiSettings { providers, limits: limits(), ..AiSettings::default() }).unwrap();
    let route =
        Route { requested_model: "m".to_owned(), deployments: vec![deployment("first", 0)], ..Route::default() };
    let question = json!({"model": "m", "input": "Hi", "text": {"verbosity": "low"}});
    let (status, text, meter) = call(&ai, ApiStyle::Responses, &route, &question).await;
    assert_eq!((status, text.as_str(), meter.usage()), (200, whole, COUNTED));
    let asked = upstream.requests()[0].clone();
    assert!(asked.starts_with("POST /v1/responses "), "{asked}");
    for part in [r#""verbosity":"low""#, r#""store":false"#, r#""model":"served""#] {
        assert!(asked.contains(part), "{asked}");
    }
    let stored = json!({"model": "m", "input": "Hi", "previous_response_id": "r"});
    assert_eq!(call(&ai, ApiStyle::Responses, &route, &stored).await.0, 400);
    assert_eq!(upstream.requests().len(), 1);
}

#[tokio::test]
async fn forwards_betas_and_rejects_multiple_choices_for_anthropic() {
    let upstream = Upstream::start(vec![greeting(ProviderKind::ANTHROPIC, false)]).await;
    let providers = vec![provider("first", ProviderKind::ANTHROPIC, &upstream, &["secret-key-1234"])];
    let ai = Ai::build(AiSettings { providers, limits: limits(), ..AiSettings::default() }).unwrap();
    let route =
        Route { requested_model: "m".to_owned(), deployments: vec![deployment("first", 0)], ..Route::default() };
    let body = json!({"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]});
    let message = Call::new(ApiStyle::Messages, body.to_string().into(), Arc::new(route.clone()), "req_1".to_owned());
    assert!(ai.forward(message.with_betas(Some("one-1,two-2".to_owned()))).await.is_ok());
    assert!(upstream.requests()[0].contains("anthropic-beta: one-1,two-2\r\n"), "{}", upstream.requests()[0]);
    let two = json!({"model": "m", "n": 2, "messages": [{"role": "user", "content": "Hi"}]});
    let (status, text, _) = call(&ai, ApiStyle::Chat, &route, &two).await;
    assert!(status == 400 && text.contains("`n`"), "{text}");
    assert_eq!(upstream.requests().len(), 1);
}

#[tokio::test]
async fn ends_cut_off_streams_with_the_reason() {
    let gone = Arc::new(Notify::new());
    let begins = [ok("text/event-stream"), text_chunk("Hello").into_bytes()].concat();
    let script = vec![Step::Write(begins), Step::WaitForGone(Arc::clone(&gone))];
    let (_upstream, ai, route) = one(vec![script]).await;
    let call = Call::new(ApiStyle::Chat, question(true).to_string().into(), Arc::new(route), "req_1".to_owned());
    let meter = Arc::clone(&call.meter);
    let AnswerBody::Stream(mut frames) = ai.forward(call).await.unwrap().body else { panic!("no stream") };
    let mut told = frames.next().await.unwrap().unwrap().to_vec();
    assert!(!String::from_utf8_lossy(&told).contains("enough"));
    meter.abort(GatewayError::new(ErrorKind::OutOfBudget, "That is enough."));
    while let Some(frame) = frames.next().await {
        told.extend_from_slice(&frame.unwrap());
    }
    assert!(String::from_utf8(told).unwrap().contains("That is enough."));
    gone.notified().await;
    assert!(meter.usage().estimated && meter.finish().is_none());
}

#[tokio::test]
async fn does_not_wait_for_missing_usage() {
    let end = OPENAI_END.split("\n\n").next().unwrap();
    let stalls =
        [ok("text/event-stream"), text_chunk("Hello").into_bytes(), format!("{end}\n\n").into_bytes()].concat();
    let (_upstream, ai, route) = one(vec![vec![Step::Write(stalls), Step::Stall]]).await;
    let (_, text, meter) = call(&ai, ApiStyle::Chat, &route, &question(true)).await;
    assert!(text.ends_with("data: [DONE]\n\n"), "{text}");
    assert!(meter.usage().estimated);
}

/// A greeting from each kind of provider, whole and streamed.
fn greeting(kind: ProviderKind, stream: bool) -> Script {
    let body = match (kind.name(), stream) {
        ("openai", false) => WHOLE.to_owned(),
        ("openai", true) => [text_chunk("Hello"), OPENAI_END.to_owned()].concat(),
        ("gemini", _) => {
            let answer = json!({"candidates": [{"content": {"parts": [{"text": "Hello"}]}, "finishReason": "STOP"}],
                "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 2}});
            if stream { format!("data: {answer}\r\n\r\n") } else { answer.to_string() }
        }
        (_, false) => json!({"type": "message", "content": [{"type": "text", "text": "Hello"}],
            "stop_reason": "end_turn", "usage": {"input_tokens": 3, "output_tokens": 2}})
        .to_string(),
        (_, true) => [
            json!({"type": "message_start", "message": {"usage": {"input_tokens": 3, "output_tokens": 1}}}),
            json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
            json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hello"}}),
            json!({"type": "content_block_stop", "index": 0}),
            json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 2}}),
            json!({"type": "message_stop"}),
        ]
        .iter()
        .map(|event| format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap()))
        .collect(),
    };
    if stream {
        vec![Step::Write([ok("text/event-stream"), body.into_bytes()].concat())]
    } else {
        answer(200, JSON, &body)
    }
}

#[tokio::test]
async fn converts_between_all_formats() {
    let question = |style, stream| match style {
        ApiStyle::Chat => question(stream),
        ApiStyle::Responses => json!({"model": "m", "input": "Hi", "stream": stream}),
        ApiStyle::Messages => {
            json!({"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}], "stream": stream})
        }
        ApiStyle::Gemini => json!({"model": "m", "contents": [{"parts": [{"text": "Hi"}]}], "stream": stream}),
    };
    for kind in [ProviderKind::OPENAI, ProviderKind::GEMINI, ProviderKind::ANTHROPIC] {
        for stream in [false, true] {
            let upstream = Upstream::start(vec![greeting(kind, stream)]).await;
            let providers = vec![provider("first", kind, &upstream, &["secret-key-1234"])];
            let ai = Ai::build(AiSettings { providers, limits: limits(), ..AiSettings::default() }).unwrap();
            let route = Route {
                requested_model: "m".to_owned(),
                deployments: vec![deployment("first", 0)],
                ..Route::default()
            };
            for (style, end) in [
                (ApiStyle::Chat, "data: [DONE]\n\n"),
                (ApiStyle::Responses, "event: response.completed"),
                (ApiStyle::Messages, "event: message_stop"),
                (ApiStyle::Gemini, "data: {\"candidates\""),
            ] {
                let (status, text, meter) = call(&ai, style, &route, &question(style, stream)).await;
                assert_eq!(status, 200, "{style:?} to {kind:?}: {text}");
                assert!(text.contains("Hello"), "{style:?} to {kind:?}: {text}");
                assert_eq!(text.contains(end), stream, "{style:?} to {kind:?}: {text}");
                let usage = meter.usage();
                assert_eq!(
                    (usage.input, usage.output, usage.estimated),
                    (Some(3), Some(2), false),
                    "{style:?} to {kind:?}"
                );
                assert_eq!(meter.finish(), Some(Finish::Stop), "{style:?} to {kind:?}");
            }
            let last = upstream.requests().pop().unwrap();
            let (path, key) = match kind.name() {
                "openai" => ("/v1/chat/completions", "authorization: Bearer secret-key-1234"),
                "gemini" => ("/v1/models/served:", "x-goog-api-key: secret-key-1234"),
                _ => ("/v1/messages", "x-api-key: secret-key-1234"),
            };
            assert!(last.starts_with(&format!("POST {path}")) && last.contains(key), "{last}");
        }
    }
}

#[tokio::test]
async fn counts_tokens_at_the_provider_or_estimates() {
    let body = json!({"model": "m", "messages": [{"role": "user", "content": "Hi"}]});
    for (kind, script, expected) in [
        (ProviderKind::ANTHROPIC, answer(200, JSON, r#"{"input_tokens":42}"#), Some(42)),
        (ProviderKind::GEMINI, answer(200, JSON, r#"{"totalTokens":7}"#), Some(7)),
        (ProviderKind::GEMINI, answer(500, "", ""), None),
        (ProviderKind::OPENAI, answer(500, "", ""), None),
    ] {
        let upstream = Upstream::start(vec![script]).await;
        let providers = vec![provider("first", kind, &upstream, &["k"])];
        let ai = Ai::build(AiSettings { providers, limits: limits(), ..AiSettings::default() }).unwrap();
        let route =
            Route { requested_model: "m".to_owned(), deployments: vec![deployment("first", 0)], ..Route::default() };
        let call = Call::new(ApiStyle::Messages, body.to_string().into(), Arc::new(route), String::new());
        let tokens = ai.count_tokens(call).await.unwrap();
        assert_eq!(tokens, expected.unwrap_or(tokens));
        assert!(tokens > 0);
    }
}

#[tokio::test]
async fn estimates_uncountable_requests() {
    let picture = json!({"type": "image", "source": {"type": "url", "url": "https://example.org/a.png"}});
    let body = json!({"model": "m", "messages": [{"role": "user", "content": [picture]}]});
    let upstream = Upstream::start(vec![answer(200, JSON, r#"{"totalTokens":7}"#)]).await;
    let providers = vec![provider("first", ProviderKind::GEMINI, &upstream, &["k"])];
    let ai = Ai::build(AiSettings { providers, limits: limits(), ..AiSettings::default() }).unwrap();
    let route =
        Route { requested_model: "m".to_owned(), deployments: vec![deployment("first", 0)], ..Route::default() };
    let call = Call::new(ApiStyle::Messages, body.to_string().into(), Arc::new(route), String::new());
    assert!(ai.count_tokens(call).await.unwrap() > 1_000, "a picture counts a thousand");
    assert!(upstream.requests().is_empty());
}

#[tokio::test]
async fn converts_whole_answers_to_frames() {
    let (_upstream, ai, route) = one(vec![answer(200, JSON, WHOLE)]).await;
    let (status, text, meter) = call(&ai, ApiStyle::Chat, &route, &question(true)).await;
    assert_eq!(status, 200);
    assert!(text.contains(r#""content":"Hello""#) && text.ends_with("data: [DONE]\n\n"), "{text}");
    assert_eq!(meter.usage(), COUNTED);
}

/// Script of an answer that is compressed.
async fn compressed(content_type: &str, encoding: &str, body: &str) -> Script {
    let mut encoder = GzipEncoder::new(body.as_bytes());
    let mut compressed = Vec::new();
    encoder.read_to_end(&mut compressed).await.unwrap();
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: {content_type}\r\ncontent-encoding: {encoding}\r\nconnection: close\r\n\r\n"
    );
    vec![Step::Write([head.into_bytes(), compressed].concat())]
}

#[tokio::test]
async fn reads_answers_that_are_compressed_unasked() {
    let frames = [text_chunk("Hello").as_str(), OPENAI_END].concat();
    for (style, stream) in [ApiStyle::Chat, ApiStyle::Messages].map(|style| [(style, false), (style, true)]).concat() {
        let content_type = if stream { "text/event-stream" } else { "application/json" };
        let body = if stream { frames.as_str() } else { WHOLE };
        let (upstream, ai, route) = one(vec![compressed(content_type, "gzip", body).await]).await;
        let mut asked = question(stream);
        asked["max_tokens"] = 9.into();
        let (status, text, meter) = call(&ai, style, &route, &asked).await;
        assert!(status == 200 && text.contains("Hello"), "{style:?} {stream}: {text}");
        assert_eq!((meter.usage(), upstream.requests().len()), (COUNTED, 1), "{style:?} {stream}");
        let requests = upstream.requests();
        assert_eq!(requests[0].contains("accept-encoding: identity\r\n"), stream, "{}", requests[0]);
        assert_eq!(requests[0].contains("accept-encoding"), stream, "{}", requests[0]);
    }
}

#[tokio::test]
async fn asks_once_for_an_answer_in_an_unknown_encoding() {
    for encoding in ["snappy", "br"] {
        for stream in [false, true] {
            let (upstream, ai, route) = one(vec![compressed("text/event-stream", encoding, WHOLE).await]).await;
            let (status, text, _) = call(&ai, ApiStyle::Chat, &route, &question(stream)).await;
            assert_eq!((status, upstream.requests().len()), (502, 1), "{encoding} {stream}: {text}");
        }
    }
}
