//! Traces that are exported to a collector, and requests without a collector.

use std::time::Duration;

use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::any_value::Value as Attribute,
    trace::v1::{Span, span::SpanKind},
};
use prost::Message as _;
use support::{Application, Behaviour, Member, Setup, Upstream, UpstreamKind, free_port, json, new_id, wait_until};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "b7ad6b7169203331";
const SECRET: &str = "the treasure lies under the oak";

/// Adds the settings with which traces are exported to `endpoint` with little delay.
fn traced(setup: Setup, endpoint: &str) -> Setup {
    setup.set("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", endpoint).set("OTEL_BSP_SCHEDULE_DELAY", 50)
}

/// Starts a collector that accepts everything.
async fn collector() -> Upstream {
    let collector = Upstream::start(UpstreamKind::OpenAi).await;
    collector.always(Behaviour::Body(json!({})));
    collector
}

fn endpoint(collector: &Upstream) -> String {
    format!("{}/traces", collector.url())
}

/// Returns the received spans of a trace.
fn spans(collector: &Upstream, trace: &str) -> Vec<Span> {
    let exported = collector.asked().into_iter().flat_map(|asked| {
        assert_eq!(asked.path, "/v1/traces");
        ExportTraceServiceRequest::decode(asked.bytes.as_slice()).unwrap().resource_spans
    });
    let spans = exported.flat_map(|resource| resource.scope_spans).flat_map(|scope| scope.spans);
    spans.filter(|span| hex::encode(&span.trace_id) == trace).collect()
}

async fn named(collector: &Upstream, trace: &str, name: &str) -> Span {
    let find = || spans(collector, trace).into_iter().find(|span| span.name == name);
    wait_until(&format!("the span {name}"), async || find().is_some()).await;
    find().unwrap()
}

fn attribute(span: &Span, key: &str) -> Option<Attribute> {
    span.attributes.iter().find(|attribute| attribute.key == key)?.value.clone()?.value
}

/// Returns the text of an attribute.
fn text(span: &Span, key: &str) -> String {
    match attribute(span, key) {
        Some(Attribute::StringValue(text)) => text,
        other => panic!("{key} is {other:?}"),
    }
}

async fn send_traced(by: &Member, chat: &str, trace: &str) {
    let path = format!("/r1/conversations/{chat}/messages");
    let request = by.request(reqwest::Method::POST, &path).header("traceparent", format!("00-{trace}-{PARENT}-01"));
    by.send(request.json(&json!({ "client_id": new_id(), "content": SECRET }))).await.data_with(201);
}

#[tokio::test]
async fn traces_a_request_through_commit_job_and_provider() {
    let (collector, upstream) = (collector().await, Upstream::start(UpstreamKind::OpenAi).await);
    let app = traced(Setup::new(), &endpoint(&collector)).provider(&upstream).start().await;
    let anna = app.sign_up("Anna").await;
    let chat = anna.open_assistant().await;
    send_traced(&anna, &chat, TRACE).await;
    let request = named(&collector, TRACE, "POST /r1/conversations/{id}/messages").await;
    assert_eq!((hex::encode(&request.parent_span_id).as_str(), request.kind()), (PARENT, SpanKind::Server));
    assert_eq!(attribute(&request, "http.response.status_code"), Some(Attribute::IntValue(201)));
    assert_eq!(text(&request, "url.path"), format!("/r1/conversations/{chat}/messages"));
    assert_eq!((text(&request, "url.scheme"), text(&request, "server.address")), ("http".into(), "127.0.0.1".into()));
    let commit = named(&collector, TRACE, "commit").await;
    assert_eq!(commit.parent_span_id, request.span_id);
    assert_eq!(text(&commit, "db.system.name"), if app.redis.is_some() { "postgresql" } else { "sqlite" });
    let job = named(&collector, TRACE, "job answer").await;
    assert_eq!(job.kind(), SpanKind::Consumer);
    assert_eq!(text(&job, "messaging.operation.type"), "process");
    assert_eq!(text(&job, "messaging.destination.name"), "answer");
    let provider = named(&collector, TRACE, "AI provider").await;
    assert_eq!((provider.kind(), &provider.parent_span_id), (SpanKind::Client, &job.span_id));
    assert_eq!(text(&provider, "gen_ai.operation.name"), "chat");
    assert_eq!(text(&provider, "gen_ai.provider.name"), "openai");
    assert_eq!(text(&provider, "gen_ai.request.model"), "small");
    for tokens in ["gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens"] {
        assert!(matches!(attribute(&provider, tokens), Some(Attribute::IntValue(1..))), "{provider:?}");
    }
    // The log lines of a request contain its trace id.
    let is_logged = |line: &String| line.contains("\"message\":\"request\"") && line.contains(TRACE);
    wait_until("the request is logged", async || app.instances[0].log().iter().any(is_logged)).await;
    // A frame starts a separate trace.
    let mut socket = anna.connect().await;
    socket.send_message(&chat, SECRET).await;
    let has_frame = |bytes: &[u8]| bytes.windows(18).any(|part| part == b"frame message.send");
    wait_until("the frame's trace is exported", async || collector.asked().iter().any(|asked| has_frame(&asked.bytes)))
        .await;
    for asked in collector.asked() {
        let text = String::from_utf8_lossy(&asked.bytes).into_owned();
        assert!(!text.contains("treasure") && !text.contains("key-one") && !text.contains(anna.access_token()));
    }
}

#[tokio::test]
async fn an_unavailable_or_stalled_collector_does_not_affect_requests() {
    let silent = Upstream::start(UpstreamKind::OpenAi).await;
    silent.always(Behaviour::Hang);
    for endpoint in [format!("http://127.0.0.1:{}/v1/traces", free_port()), endpoint(&silent)] {
        let mut app = traced(Setup::new(), &endpoint).set("OTEL_BSP_MAX_QUEUE_SIZE", 64).start().await;
        let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
        let chat = anna.open_single(&ben).await;
        for _ in 0..100 {
            send_traced(&anna, &chat, TRACE).await;
        }
        assert_eq!(ben.history(&chat).await.len(), 100);
        let ended = tokio::time::timeout(Duration::from_secs(20), app.instances[0].terminate()).await;
        assert!(ended.unwrap().success());
    }
}

#[tokio::test]
async fn an_unsupported_otlp_protocol_prevents_start_up() {
    let app = Application::start().await;
    let mut settings = app.settings().to_vec();
    settings.push(("OTEL_EXPORTER_OTLP_ENDPOINT".to_owned(), "http://127.0.0.1:4317".to_owned()));
    settings.push(("OTEL_EXPORTER_OTLP_PROTOCOL".to_owned(), "grpc".to_owned()));
    let mut instance = support::Instance::spawn(app.folder(), &settings, free_port());
    assert!(!instance.ended().await.success());
    assert!(instance.log().iter().any(|line| line.contains("only http/protobuf is supported")), "{:?}", instance.log());
}

mod cluster {
    use super::*;

    #[tokio::test]
    async fn continues_a_trace_on_receiving_instances() {
        let collector = collector().await;
        let app = traced(Setup::new(), &endpoint(&collector)).instances(2).start().await;
        let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
        let chat = anna.open_single(&ben).await;
        let mut socket = ben.at(&app.instances[1].url()).connect().await;
        send_traced(&anna, &chat, TRACE).await;
        socket.expect_in("message.created", &chat).await;
        let commit = named(&collector, TRACE, "commit").await;
        assert_eq!(named(&collector, TRACE, "bus receive").await.parent_span_id, commit.span_id);
    }
}
