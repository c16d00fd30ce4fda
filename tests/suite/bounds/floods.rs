//! Clients that send too much: cut off by the limiter, or slowed down by TCP where there is none.

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
async fn fragments_and_pings_are_frames_too() {
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
    assert_eq!(raw.close_code().await, Some(4429), "pieces without anything in them");
}

#[tokio::test]
async fn a_message_that_never_ends_is_cut_off_at_its_limit() {
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
async fn what_is_small_only_on_the_wire_is_cut_off_too() {
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
    assert_eq!(raw.close_code().await, Some(1002), "what is no deflate");
    let mut raw = deflating(&app, anna.access_token()).await;
    let question = r#"{"id":"q","type":"ping","timestamp":"","payload":{}}"#;
    raw.write(&masked(0xC1, &deflated(question.as_bytes()))).await;
    assert!(raw.text().await.contains("\"reply_to\":\"q\""));
}

/// Without the limiter a client that asks faster than it is answered is read no faster than that, and holds nobody up.
#[tokio::test]
async fn without_the_limiter_a_flood_is_slowed_down_and_the_others_go_on() {
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
    // It never reads its answers. So it is not read either once enough of them wait, and ends as one that gives no sign of life.
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
    assert!(longest < Duration::from_secs(10), "somebody else waited {longest:?}");
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
