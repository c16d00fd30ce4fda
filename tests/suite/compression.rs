//! Compression by permessage-deflate: negotiation, threshold and configuration.

use support::{Application, Setup, json};

use crate::raw::{Raw, masked, upgrade_headers};

const PATH: &str = "/r1/websocket";

/// Decompresses a payload.
fn inflated(payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(100_000);
    let mut decompress = flate2::Decompress::new(false);
    let bytes = [payload, &[0, 0, 0xFF, 0xFF]].concat();
    decompress.decompress_vec(&bytes, &mut out, flate2::FlushDecompress::Sync).unwrap();
    out
}

/// Returns the first byte and the content of the next `message.created` frame.
async fn created(raw: &mut Raw) -> (u8, support::Value) {
    loop {
        let (first, payload) = raw.whole_frame().await.unwrap();
        let payload = if first & 0x40 == 0 { payload } else { inflated(&payload) };
        let text = String::from_utf8_lossy(&payload).into_owned();
        // Socket.IO puts the type of the packet before the content.
        if let Some(frame) = text.strip_prefix("42").and_then(|text| serde_json::from_str::<support::Value>(text).ok())
        {
            if frame[0] == "message.created" {
                return (first, frame[1].clone());
            }
        } else if let Ok(frame) = serde_json::from_slice::<support::Value>(&payload)
            && frame["type"] == "message.created"
        {
            return (first, frame["payload"].clone());
        }
    }
}

#[tokio::test]
async fn compresses_long_frames_only_for_clients_that_negotiated_it() {
    const OFFER: &str = "sec-websocket-extensions: permessage-deflate; client_max_window_bits";
    let app = Application::start().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let chat = anna.open_single(&ben).await;
    let bearer = format!("authorization: Bearer {}", ben.access_token());
    let (mut agreed, head) = Raw::knock(&app.url(), "GET", PATH, &upgrade_headers(&format!("{bearer}\n{OFFER}"))).await;
    let answer =
        "sec-websocket-extensions: permessage-deflate; server_no_context_takeover; client_no_context_takeover\r\n";
    assert!(head.text.contains(answer), "{}", head.text);
    let mut other = Raw::open(&app.url(), PATH, &format!("{bearer}\n{OFFER}")).await;
    let mut plain = Raw::native(&app.url(), ben.access_token()).await;
    let mut socket_io = Raw::open(&app.url(), "/socket.io/?EIO=4&transport=websocket", OFFER).await;
    socket_io.send_text(&format!("40{}", json!({ "token": ben.access_token() }))).await;
    while !socket_io.text().await.contains("hello") {}
    let long = "so it goes, ".repeat(300);
    for (content, is_long) in [("short", false), (long.trim(), true), ("short again", false)] {
        anna.send_message(&chat, content).await;
        let expected = if is_long { 0xC1 } else { 0x81 };
        for (raw, expected) in
            [(&mut agreed, expected), (&mut other, expected), (&mut socket_io, expected), (&mut plain, 0x81)]
        {
            let (first, payload) = created(raw).await;
            assert_eq!(first, expected);
            assert_eq!(payload["message"]["content"], content);
        }
    }
}

#[tokio::test]
async fn compression_can_be_turned_off() {
    let app = Setup::new().set("realtime.compression", 0).start().await;
    let anna = app.sign_up("Anna").await;
    let headers =
        format!("authorization: Bearer {}\nsec-websocket-extensions: permessage-deflate", anna.access_token());
    let (mut raw, head) = Raw::knock(&app.url(), "GET", PATH, &upgrade_headers(&headers)).await;
    assert_eq!(head.status, 101);
    assert!(!head.text.contains("sec-websocket-extensions"), "{}", head.text);
    raw.write(&masked(0xC1, b"\xF2\x48\x05\x00")).await;
    assert_eq!(raw.close_code().await, Some(1002), "the reserved bit was not negotiated");
}
