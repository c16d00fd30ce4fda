//! Server-sent events: the same events over plain HTTP, and resumption of a stream.

use std::time::{Duration, Instant};

use support::{Application, Balancer, Frame, Member, Nginx, Setup, json};

use crate::{
    endpoints::{SampleCall, plain},
    raw::Raw,
};

fn seqs(frames: &[Frame]) -> Vec<i64> {
    frames.iter().filter_map(|frame| frame.payload["seq"].as_i64()).collect()
}

pub(crate) fn sample_calls() -> Vec<SampleCall> {
    vec![plain(&["StreamEvents"])]
}

#[tokio::test]
async fn a_stream_starts_with_hello_and_delivers_events() {
    let app = Application::start().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let chat = anna.open_single(&ben).await;
    let mut stream = ben.event_stream(None).await;
    let hello = stream.next().await;
    assert_eq!(hello.kind, "hello");
    assert_eq!(hello.payload["conversations"][0], json!({ "id": chat, "last_seq": 0 }));
    let sent = anna.send_message(&chat, "hi\nthere").await;
    let created = stream.expect("message.created").await;
    assert_eq!(created.payload["message"]["id"], sent["id"]);
    assert_eq!(created.payload["message"]["content"], "hi\nthere");
}

#[tokio::test]
async fn a_stream_resumes_from_its_last_event_id() {
    let app = Application::start().await;
    let (anna, ben, eve) = (app.sign_up("Anna").await, app.sign_up("Ben").await, app.sign_up("Eve").await);
    let (chat, other) = (anna.open_single(&ben).await, eve.open_single(&ben).await);
    let mut stream = ben.event_stream(None).await;
    for n in 1..=5 {
        anna.send_message(&chat, &n.to_string()).await;
    }
    for _ in 1..=5 {
        stream.expect("message.created").await;
    }
    let cursor = stream.last_event_id.clone().unwrap();
    drop(stream);
    for n in 6..=230 {
        anna.send_message(&chat, &n.to_string()).await;
    }
    eve.send_message(&other, "meanwhile").await;
    let mut stream = ben.event_stream(Some(&cursor)).await;
    let mut missed = Vec::new();
    loop {
        let frame = stream.next().await;
        if frame.kind == "sync.done" {
            break;
        }
        missed.push(frame);
    }
    assert_eq!(missed[0].kind, "hello");
    let of =
        |id: &str| missed.iter().filter(|frame| frame.payload["conversation_id"] == id).cloned().collect::<Vec<_>>();
    assert_eq!(seqs(&of(&chat)), (6..=230).collect::<Vec<_>>(), "exactly the missed events");
    assert_eq!(seqs(&of(&other)), [1]);
    anna.send_message(&chat, "live again").await;
    assert_eq!(stream.expect("message.created").await.payload["seq"], 231);
}

/// The log contains 249 events that were not published, which is more than a page. This is the
/// state after the instance that committed them was killed.
#[tokio::test]
async fn a_stream_sends_everything_named_in_hello_before_live_events() {
    let app = Setup::new().set("server.workers", 1).start().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let chat = anna.open_single(&ben).await;
    let mut stream = ben.event_stream(None).await;
    anna.send_message(&chat, "told").await;
    stream.expect("message.created").await;
    let untold = "INSERT INTO conversation_events (conversation_id, seq, kind, payload, created_at) \
         SELECT conversation_id, number, kind, payload, created_at FROM conversation_events CROSS JOIN \
         (WITH RECURSIVE numbers (number) AS (SELECT 2 UNION ALL SELECT number + 1 FROM numbers WHERE number < 250) \
         SELECT number FROM numbers) AS rest WHERE seq = 1";
    app.database.run(untold).await;
    app.database.run("UPDATE conversations SET last_seq = 250").await;
    // The first stream stays open, so that the instance knows the position of the conversation.
    let mut resumed = ben.event_stream(stream.last_event_id.as_deref()).await;
    assert_eq!(resumed.next().await.payload["conversations"][0]["last_seq"], 250);
    let mut missed = 0;
    loop {
        let event = resumed.next().await;
        match event.kind.as_str() {
            "sync.done" => break,
            "message.created" => missed += 1,
            // Ephemeral events may arrive at any time.
            _ => {}
        }
    }
    assert_eq!(missed, 249);
}

/// Reads a response that ends by itself, as clients behind a buffering proxy need it.
async fn whole(member: &Member, last_event_id: Option<&str>, wait: u32) -> (Vec<Frame>, String) {
    let mut stream = member.event_stream_at(&format!("/r1/events?wait={wait}"), last_event_id).await;
    let mut frames = Vec::new();
    while let Some(frame) = stream.try_next().await {
        frames.push(frame);
    }
    (frames, stream.last_event_id.unwrap())
}

#[tokio::test]
async fn a_finite_response_returns_pending_events() {
    let app = Application::start().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let chat = anna.open_single(&ben).await;
    let (greeting, cursor) = whole(&ben, None, 25).await;
    assert_eq!(greeting[0].kind, "hello");
    let (nothing, cursor) = whole(&ben, Some(&cursor), 0).await;
    assert_eq!(nothing.last().unwrap().kind, "sync.done");
    assert!(seqs(&nothing).is_empty());

    // Events occur while the request is waiting.
    let mut stream = ben.event_stream_at("/r1/events?wait=25", Some(&cursor)).await;
    stream.expect("sync.done").await;
    anna.send_message(&chat, "live").await;
    assert_eq!(stream.expect("message.created").await.payload["message"]["content"], "live");
    while stream.try_next().await.is_some() {}

    // Missed events are returned at once, however many there are.
    for n in 2..=100 {
        anna.send_message(&chat, &n.to_string()).await;
    }
    let (missed, _) = whole(&ben, stream.last_event_id.as_deref(), 25).await;
    let created: Vec<Frame> = missed.iter().filter(|frame| frame.kind == "message.created").cloned().collect();
    assert_eq!(seqs(&created), (2..=100).collect::<Vec<_>>());
    assert_eq!(missed.last().unwrap().kind, "sync.done");

    ben.get("/r1/events?wait=26").await.refused(422, "invalid");
}

#[tokio::test]
async fn an_invalid_cursor_starts_a_new_stream() {
    let app = Application::start().await;
    let anna = app.sign_up("Anna").await;
    for cursor in ["nonsense", "1.2", "99999999999999999999", "-1.-1.-1", &"9".repeat(5_000)] {
        assert_eq!(anna.event_stream(Some(cursor)).await.next().await.kind, "hello", "{cursor:.20}");
    }
}

#[tokio::test]
async fn a_stream_requires_credentials_and_ends_with_them() {
    let app = Application::start().await;
    app.anonymous().get("/r1/events").await.refused(401, "unauthenticated");
    let anna = app.sign_up("Anna").await;
    let mut stream = anna.event_stream(None).await;
    assert_eq!(stream.next().await.kind, "hello");
    anna.post("/r1/auth/logout", json!({})).await.data();
    while stream.try_next().await.is_some() {}
}

#[tokio::test]
async fn a_stream_ends_when_the_instance_stops() {
    let mut app = Application::start().await;
    let anna = app.sign_up("Anna").await;
    let mut stream = anna.event_stream(None).await;
    stream.next().await;
    assert_eq!(app.instances[0].terminate().await.code(), Some(0));
    while stream.try_next().await.is_some() {}
}

#[tokio::test]
async fn disconnects_a_reader_that_stops_reading() {
    let app = Setup::new()
        .set("realtime.backlog_bytes", 65_536)
        .set("realtime.max_backlog_bytes", 65_536)
        .set("realtime.max_connections_per_user", 1)
        .start()
        .await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let chat = anna.open_single(&ben).await;
    let bearer = format!("authorization: Bearer {}\nconnection: close", ben.access_token());
    let (mut stuck, head) = Raw::knock(&app.url(), "GET", "/r1/events", &bearer).await;
    assert_eq!(head.status, 200);
    let content = "x".repeat(4_900);
    let mut sender = anna.connect().await;
    for _ in 0..300 {
        sender.send_message(&chat, &content).await;
    }
    // Data that was already sent can be read. After that the stream ends, long before all events
    // were sent.
    assert!(stuck.rest().await < 300 * 4_900);
    support::wait_until("the connection slot is free", || async {
        support::Socket::try_open(&app.url(), "/r1/websocket", ben.headers(), support::Codec::Json).await.is_ok()
    })
    .await;
}

/// Checks that events pass through a proxy at once, and that the stream can be resumed through it.
async fn goes_through(app: &Application, proxy: &str) {
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let chat = anna.open_single(&ben).await;
    let through: Member = ben.at(proxy);
    let mut stream = through.event_stream(None).await;
    assert_eq!(stream.next().await.kind, "hello");
    for n in 1..=20 {
        let begun = Instant::now();
        anna.send_message(&chat, &n.to_string()).await;
        assert_eq!(stream.expect("message.created").await.payload["seq"], n);
        // A proxy that buffers would delay the event until the next comment, after 15 seconds.
        assert!(begun.elapsed() < Duration::from_secs(10), "delayed for {:?}", begun.elapsed());
    }
    let cursor = stream.last_event_id.clone().unwrap();
    drop(stream);
    for n in 21..=250 {
        anna.send_message(&chat, &n.to_string()).await;
    }
    let mut stream = through.event_stream(Some(&cursor)).await;
    for n in 21..=250 {
        assert_eq!(stream.expect("message.created").await.payload["seq"], n);
    }
    stream.expect("sync.done").await;
    anna.send_message(&chat, "live again").await;
    assert_eq!(stream.expect("message.created").await.payload["seq"], 251);
}

#[tokio::test]
async fn nginx_with_default_settings_does_not_buffer_event_streams() {
    let app = Application::start().await;
    let nginx = Nginx::bare(&app.instances).await;
    goes_through(&app, &nginx.url()).await;
    let bearer = format!("authorization: Bearer {}\naccept-encoding: gzip", app.sign_up("Cleo").await.access_token());
    let (_, head) = Raw::knock(&nginx.url(), "GET", "/r1/events", &bearer).await;
    let text = head.text.to_lowercase();
    assert!(text.contains("content-type: text/event-stream"), "{text}");
    assert!(text.contains("cache-control: no-cache, no-transform"), "{text}");
    assert!(!text.contains("gzip") && !text.contains("content-length"), "{text}");
}

#[tokio::test]
async fn the_shipped_nginx_configuration_does_not_buffer_event_streams() {
    let app = Application::start().await;
    let nginx = Nginx::shipped(&app.instances).await;
    goes_through(&app, &nginx.url()).await;
}

#[tokio::test]
async fn the_shipped_haproxy_configuration_does_not_buffer_event_streams() {
    let app = Application::start().await;
    let haproxy = Balancer::start(&app.instances).await;
    goes_through(&app, &haproxy.url()).await;
}

/// Proxies close connections that are idle, mostly after 30 or 60 seconds.
#[tokio::test]
async fn a_quiet_stream_sends_a_comment_every_fifteen_seconds() {
    let app = Application::start().await;
    let anna = app.sign_up("Anna").await;
    let bearer = format!("authorization: Bearer {}", anna.access_token());
    let (mut raw, head) = Raw::knock(&app.url(), "GET", "/r1/events", &bearer).await;
    assert_eq!(head.status, 200);
    let mut begun = Instant::now();
    for n in 1..=2 {
        while !raw.read_line().await.starts_with(':') {}
        let passed = begun.elapsed();
        // The shortest timeout that is common among proxies is 30 seconds.
        assert!(passed > Duration::from_secs(13) && passed < Duration::from_secs(29), "comment {n} after {passed:?}");
        begun = Instant::now();
    }
}

#[tokio::test]
async fn streams_send_jittered_reconnect_delays() {
    let app = Application::start().await;
    let anna = app.sign_up("Anna").await;
    let bearer = format!("authorization: Bearer {}", anna.access_token());
    let mut pauses = std::collections::BTreeSet::new();
    for _ in 0..8 {
        let (mut raw, _) = Raw::knock(&app.url(), "GET", "/r1/events", &bearer).await;
        let pause: u64 = loop {
            if let Some(pause) = raw.read_line().await.strip_prefix("retry: ") {
                break pause.trim().parse().unwrap();
            }
        };
        assert!((1_000..=5_000).contains(&pause), "{pause}");
        pauses.insert(pause);
    }
    assert!(pauses.len() > 1, "{pauses:?}");
}
