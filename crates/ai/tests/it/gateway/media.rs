//! Embeddings, transcriptions and images.

use std::sync::Arc;

use ai::{
    Ai, AiSettings, AnswerBody, ApiStyle, AudioTask, Call, Finish, Forwarded, GatewayError, ProviderKind, Recording,
    Route, Usage,
};
use appcore::work_pool::WorkOwner;
use futures_util::StreamExt;
use serde_json::{Value, json};

use super::{JSON, call, deployment, limits, one, provider};
use crate::upstream::{Step, Upstream, answer};

#[tokio::test]
async fn routes_embeddings_and_transcriptions() {
    let vectors = r#"{"data":[{"index":0,"embedding":[0.5]}],"usage":{"prompt_tokens":3}}"#;
    let (upstream, ai, route) =
        one(vec![answer(200, JSON, vectors), answer(200, "content-type: text/plain\r\n", "Hello\n")]).await;
    let route = Arc::new(route);
    let body = json!({"model": "m", "input": "Hi"}).to_string();
    let embedded =
        ai.forward_embeddings(Call::new(ApiStyle::Chat, body.into(), Arc::clone(&route), String::new())).await;
    assert!(matches!(embedded.ok().unwrap().body, AnswerBody::Whole(body) if body == vectors));
    let recording = Recording {
        task: AudioTask::Transcribe,
        route,
        request_id: String::new(),
        owner: WorkOwner::System,
        file: "RIFF".into(),
        file_name: "a.wav".to_owned(),
        content_type: "audio/wav".to_owned(),
        fields: vec![("response_format".to_owned(), "text".to_owned())],
        meter: Arc::default(),
    };
    let written = ai.forward_transcription(recording).await.ok().unwrap();
    assert!(written.content_type.starts_with("text/plain"));
    assert!(matches!(written.body, AnswerBody::Whole(body) if body == "Hello\n"));
    let requests = upstream.requests();
    assert!(
        requests[0].starts_with("POST /v1/embeddings ") && requests[0].contains(r#""model":"served""#),
        "{}",
        requests[0]
    );
    assert!(requests[1].starts_with("POST /v1/audio/transcriptions "), "{}", requests[1]);
    assert!(requests[1].contains("multipart/form-data; boundary=") && requests[1].contains("RIFF"), "{}", requests[1]);
}

#[tokio::test]
async fn streams_transcriptions() {
    let events = "data: {\"type\":\"transcript.text.delta\",\"delta\":\"Hel\"}\n\ndata: {\"type\":\"transcript.text.delta\",\"delta\":\"lo\"}\n\n";
    let done = "data: {\"type\":\"transcript.text.done\",\"text\":\"Hello\",\"usage\":{\"type\":\"tokens\",\"input_tokens\":9,\"output_tokens\":2}}\n\ndata: [DONE]\n\n";
    let sse = "content-type: text/event-stream\r\n";
    let whole = r#"{"text":"Hello"}"#;
    let scripts = vec![
        answer(200, sse, &format!("{events}{done}")),
        answer(200, JSON, whole),
        answer(200, sse, events),
        answer(400, JSON, r#"{"error":{"message":"no such voice","type":"invalid_request_error"}}"#),
    ];
    let (upstream, ai, route) = one(scripts).await;
    let route = Arc::new(route);
    let hear = async || {
        let recording = Recording {
            task: AudioTask::Transcribe,
            route: Arc::clone(&route),
            request_id: String::new(),
            owner: WorkOwner::System,
            file: "RIFF".into(),
            file_name: "a.wav".to_owned(),
            content_type: "audio/wav".to_owned(),
            fields: vec![("stream".to_owned(), "true".to_owned())],
            meter: Arc::default(),
        };
        let meter = Arc::clone(&recording.meter);
        let Forwarded { content_type, body, .. } = ai.forward_transcription(recording).await?;
        let AnswerBody::Stream(frames) = body else { panic!("no stream") };
        assert_eq!(content_type, "text/event-stream");
        let text = frames.map(|frame| frame.unwrap()).collect::<Vec<_>>().await.concat();
        Ok::<_, GatewayError>((String::from_utf8(text).unwrap(), meter))
    };
    let (text, meter) = hear().await.unwrap();
    assert!(text.starts_with(events) && text.contains("transcript.text.done"), "{text}");
    let counted = Usage { input: Some(9), output: Some(2), ..Usage::default() };
    assert_eq!((meter.usage(), meter.finish()), (counted, Some(Finish::Stop)));
    // Many models answer as a whole although a stream was requested.
    let (text, meter) = hear().await.unwrap();
    assert!(text.contains(r#""delta":"Hello""#) && text.contains("transcript.text.done"), "{text}");
    assert_eq!(meter.finish(), Some(Finish::Stop));
    let (text, meter) = hear().await.unwrap();
    assert!(text.starts_with(events) && text.contains("\"error\":{"), "{text}");
    assert_eq!((meter.finish(), meter.usage().estimated), (None, true));
    assert_eq!(hear().await.unwrap_err().message(), "no such voice");
    assert!(upstream.requests()[0].contains("name=\"stream\"\r\n\r\ntrue\r\n"));
}

/// Gemini fetches nothing from the web, so URLs in a request are downloaded by the gateway, within
/// its network restrictions.
#[tokio::test]
async fn downloads_image_urls_for_gemini() {
    let answer = r#"{"candidates":[{"content":{"role":"model","parts":[{"text":"A cat"}]},"finishReason":"STOP"}]}"#;
    let reply = |kind: &str, body: &[u8]| {
        let head = format!("HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\r\n", body.len());
        vec![Step::Write([head.as_bytes(), body].concat())]
    };
    let png = b"\x89PNG\r\n\x1a\n";
    for (allowed, body, status) in
        [("127.0.0.1", &png[..], 200), ("127.0.0.1", &b"<html>"[..], 400), ("10.0.0.1", &png[..], 400)]
    {
        let web = Upstream::start(vec![reply("text/plain", body)]).await;
        let upstream = Upstream::start(vec![reply("application/json", answer.as_bytes())]).await;
        let providers = vec![provider("first", ProviderKind::GEMINI, &upstream, &["secret-key-1234"])];
        let outgoing = appcore::config::Outgoing { allow: vec![allowed.parse().unwrap()] };
        let ai = Ai::build(AiSettings { providers, limits: limits(), outgoing, ..AiSettings::default() }).unwrap();
        let route =
            Route { requested_model: "m".to_owned(), deployments: vec![deployment("first", 0)], ..Route::default() };
        let address = format!("http://{}/cat.png", web.address);
        let picture = json!({"type": "image_url", "image_url": {"url": address}});
        let body = json!({"model": "m", "messages": [
            {"role": "user", "content": [{"type": "text", "text": "What is it?"}, picture, picture]},
        ]});
        let (answered, text, _) = call(&ai, ApiStyle::Chat, &route, &body).await;
        assert_eq!(answered, status, "{text}");
        let asked = upstream.requests();
        assert_eq!(asked.len(), usize::from(status == 200));
        if status == 200 {
            assert_eq!(asked[0].matches("\"data\":\"iVBORw0KGgo=\"").count(), 2, "{}", asked[0]);
            assert!(asked[0].contains("image/png"), "{}", asked[0]);
        }
        assert_eq!(web.requests().len(), usize::from(allowed == "127.0.0.1"), "once, and only if allowed");
    }
}

/// The size of each image and of all together is limited; the error names the limit.
#[tokio::test]
async fn limits_image_downloads() {
    let long = "HTTP/1.1 200 OK\r\ncontent-length: 9000000\r\n\r\n".to_owned();
    let moved = |to: &str| format!("HTTP/1.1 302 Found\r\nlocation: {to}\r\ncontent-length: 0\r\n\r\n");
    let gone = "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n".to_owned();
    for (answer, pictures, told) in [
        (long, 1, "8 MiB"),
        (moved("http://10.0.0.1/cat.png"), 1, "can't be used"),
        (moved("/again"), 1, "couldn't be fetched"),
        (gone.clone(), 1, "answered with 404"),
        (gone, 9, "up to 8 pictures"),
    ] {
        let web = Upstream::start(vec![vec![Step::Write(answer.into_bytes())]]).await;
        let upstream = Upstream::start(vec![vec![Step::Stall]]).await;
        let providers = vec![provider("first", ProviderKind::GEMINI, &upstream, &["secret-key-1234"])];
        let outgoing = appcore::config::Outgoing { allow: vec!["127.0.0.1".parse().unwrap()] };
        let ai = Ai::build(AiSettings { providers, limits: limits(), outgoing, ..AiSettings::default() }).unwrap();
        let route =
            Route { requested_model: "m".to_owned(), deployments: vec![deployment("first", 0)], ..Route::default() };
        let picture = |number: usize| {
            let url = format!("http://{}/{number}.png", web.address);
            json!({"type": "image_url", "image_url": {"url": url}})
        };
        let content: Vec<Value> = (0..pictures).map(picture).collect();
        let body = json!({"model": "m", "messages": [{"role": "user", "content": content}]});
        let (status, text, _) = call(&ai, ApiStyle::Chat, &route, &body).await;
        assert!(status == 400 && text.contains(told), "{status} {text}");
        assert!(upstream.requests().is_empty());
        assert!(pictures == 1 || web.requests().is_empty(), "none is fetched above the limit");
    }
}
