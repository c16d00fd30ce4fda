//! Floods from clients. The rate limiter disconnects them; without the limiter, TCP backpressure
//! slows them down.

use std::time::{Duration, Instant};

use flate2::{Compress, Compression, FlushCompress};
use support::{Application, Setup, json};

use super::silent;
use crate::raw::{BINARY, CLOSE, PONG, Raw, TEXT, masked};

fn deflated(payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(payload.len() / 100 + 1_000);
    Compress::new(Compression::best(), false).compress_vec(payload, &mut out, FlushCompress::Sync).unwrap();
    out.truncate(out.len() - 4);
    out
}

/// A native connection with permessage-deflate.
async fn deflating(app: &Application, token: &str) -> Raw {
    let headers = format!("authorization: Bearer {token}\nsec-websocket-extensions: permessage-deflate");
    let mut raw = Raw::open(&app.url(), "/r1/websocket", &headers).await;
    assert!(raw.text().await.contains("hello"));
    raw
}

#[tokio::test]
async fn counts_fragments_and_pings_as_frames() {
    let app = Setup::new().set("rate_limit.enabled", true).set("realtime.max_frames_per_second", 5).start().await;
    let anna = app.sign_up("Anna").await;
    for (what, frame) in [("pings", masked(0x89, b"")), ("pongs", masked(0x80 | PONG, b""))] {
        let mut raw = silent(&anna).await;
        raw.write(&frame.repeat(200)).await;
        assert_eq!(raw.close_code().await, Some(4429), "{what}");
    }
    let mut raw = silent(&anna).await;
    raw.write(&masked(TEXT, b"")).await;
    raw.write(&masked(0, b"").repeat(200)).await;
    assert_eq!(raw.close_code().await, Some(4429), "empty fragments");
}

#[tokio::test]
async fn cuts_off_an_endless_message_at_the_limit() {
    let app = Application::start().await;
    let anna = app.sign_up("Anna").await;
    let mut raw = silent(&anna).await;
    raw.write(&masked(TEXT, b"{\"id\":\"")).await;
    for _ in 0..70 {
        raw.write(&masked(0, &[b'x'; 1024])).await;
    }
    assert_eq!(raw.close_code().await, Some(1009));
    assert!(raw.ends().await);
}

#[tokio::test]
async fn limits_compressed_messages_by_uncompressed_size() {
    let app = Application::start().await;
    let anna = app.sign_up("Anna").await;
    let memory = app.instances[0].memory();
    let bomb = deflated(&vec![b' '; 60 * 1024 * 1024]);
    assert!(bomb.len() < 64 * 1024, "{}", bomb.len());
    for _ in 0..20 {
        let mut raw = deflating(&app, anna.access_token()).await;
        raw.write(&masked(0xC1, &bomb)).await;
        assert_eq!(raw.close_code().await, Some(1009));
    }
    let grown = app.instances[0].memory().saturating_sub(memory);
    assert!(grown < 16 * 1024 * 1024, "the server grew by {grown} bytes");
    let mut raw = deflating(&app, anna.access_token()).await;
    raw.write(&masked(0x80 | 0x40 | BINARY, &[0xFF; 50])).await;
    assert_eq!(raw.close_code().await, Some(1002), "invalid deflate data");
    let mut raw = deflating(&app, anna.access_token()).await;
    let question = r#"{"id":"q","type":"ping","timestamp":"","payload":{}}"#;
    raw.write(&masked(0xC1, &deflated(question.as_bytes()))).await;
    assert!(raw.text().await.contains("\"reply_to\":\"q\""));
}

/// If a client sends faster than it is answered, the server reads from it only as fast as it can
/// answer. Other clients aren't delayed.
#[tokio::test]
async fn slows_down_a_flood_without_affecting_others_if_the_limiter_is_off() {
    let app = Setup::new().set("realtime.heartbeat_seconds", 2).start().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let chat = anna.open_single(&ben).await;
    let mut ben_socket = ben.connect().await;
    let memory = app.instances[0].memory();
    let mut flood = silent(&anna).await;
    let frame = masked(
        0x80 | TEXT,
        json!({ "id": "1", "type": "sync", "timestamp": "", "payload": { "cursors": { (chat.as_str()): 0 } } })
            .to_string()
            .as_bytes(),
    );
    // The client never reads the answers. When enough of them are waiting, the server stops reading
    // from it, and the heartbeat ends the connection.
    let many = frame.repeat(500);
    let pouring = tokio::spawn(async move {
        for _ in 0..40 {
            flood.write(&many).await;
        }
        flood
    });
    let mut longest = Duration::ZERO;
    while !pouring.is_finished() {
        let begun = Instant::now();
        assert_eq!(ben_socket.request("ping", json!({})).await.kind, "pong");
        longest = longest.max(begun.elapsed());
    }
    assert!(longest < Duration::from_secs(10), "another member waited {longest:?}");
    let mut flood = pouring.await.unwrap();
    let mut code = None;
    while let Some((opcode, payload)) = flood.frame().await {
        if opcode == CLOSE {
            code = Some(u16::from_be_bytes([payload[0], payload[1]]));
        }
    }
    assert!(matches!(code, Some(4408 | 4508)), "{code:?}");
    let grown = app.instances[0].memory().saturating_sub(memory);
    assert!(grown < 24 * 1024 * 1024, "the server grew by {grown} bytes");
}

/// Setup that limits ephemeral frames only. The limit is hardly refilled during a test.
fn ephemeral(limit: u32) -> Setup {
    Setup::new()
        .set("rate_limit.enabled", true)
        .set("rate_limit.ephemeral.limit", limit)
        .set("rate_limit.ephemeral.window", 86_400)
}

#[tokio::test]
async fn rate_limits_toggled_typing_indicators() {
    const SENT: usize = 150;
    let app = ephemeral(100).start().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let chat = anna.open_single(&ben).await;
    let (mut socket, mut reader) = (anna.connect().await, ben.connect().await);
    let begun = Instant::now();
    for n in 0..SENT {
        socket.send("typing", json!({ "conversation_id": chat, "active": n % 2 == 0 })).await;
    }
    let answers = socket.drain().await;
    let refused: Vec<_> = answers.iter().filter(|frame| frame.kind == "error").collect();
    assert!(refused.len().abs_diff(SENT - 100) <= 1, "{} were refused", refused.len());
    for frame in refused {
        assert_eq!(frame.payload["code"], "rate_limited");
        assert!(frame.payload["retry_after"].as_u64().is_some_and(|wait| wait > 0), "{frame:?}");
    }
    socket.send_message(&chat, "done").await;
    reader.find("the message", |frame| frame.kind == "message.created").await;
    let told = reader.drain().await.iter().filter(|frame| frame.kind == "typing").count();
    let allowed = 2 * (1 + usize::try_from(begun.elapsed().as_secs()).unwrap() / 3);
    assert!((1..=allowed).contains(&told), "{told} events, {allowed} allowed");
}

#[tokio::test]
async fn publishes_presence_at_most_once_a_second_with_the_last_choice() {
    let app = ephemeral(10_000).start().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    anna.open_single(&ben).await;
    let (mut reader, mut socket) = (ben.connect().await, anna.connect().await);
    let begun = Instant::now();
    for n in 0..100 {
        socket.send("presence", json!({ "status": if n % 2 == 0 { "away" } else { "online" } })).await;
    }
    socket.send("presence", json!({ "status": "dnd" })).await;
    let is_annas = |frame: &support::Frame| frame.kind == "presence" && frame.payload["user_id"] == anna.id;
    reader.find("the last choice", |frame| is_annas(frame) && frame.payload["status"] == "dnd").await;
    let told = reader.drain().await.iter().filter(|frame| is_annas(frame)).count();
    // The first change may be that the user has come online.
    let allowed = 2 + usize::try_from(begun.elapsed().as_secs()).unwrap();
    assert!(told <= allowed, "{told} changes before the last one, {allowed} allowed");
}

/// The server reads the log only at the limited rate. No events are lost, and the connection stays
/// usable.
#[tokio::test]
async fn slows_down_a_flood_of_syncs_without_losing_events() {
    const SYNCS: usize = 3;
    let app = Setup::new().set("rate_limit.enabled", true).set("realtime.sync_bytes_per_second", 65_536).start().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let chat = anna.open_single(&ben).await;
    let content = "x".repeat(4_900);
    for _ in 0..100 {
        anna.send_message(&chat, &content).await;
    }
    let mut socket = ben.connect().await;
    let begun = Instant::now();
    for _ in 0..SYNCS {
        socket.send("sync", json!({ "cursors": { (chat.as_str()): 0 } })).await;
    }
    assert_eq!(socket.request("ping", json!({})).await.kind, "pong");
    for _ in 0..SYNCS {
        socket.expect("sync.done").await;
    }
    // A burst of 16 s, or 1 MiB, is not limited; the syncs transfer 1.5 MB.
    let needed = Duration::from_secs((SYNCS * 100 * 4_900 / 65_536 - 16) as u64);
    assert!(begun.elapsed() >= needed, "took {:?}, expected at least {needed:?}", begun.elapsed());
    let got = socket.drain().await.iter().filter(|frame| frame.kind == "message.created").count();
    assert_eq!(got, SYNCS * 100);
}
