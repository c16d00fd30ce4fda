//! Native WebSocket: handshake, invalid frames, and closing.

use std::time::Duration;

use support::{Application, Codec, Setup, Socket, json, new_id, wait_until};

use crate::{
    endpoints::{SampleCall, plain},
    raw::{BINARY, CLOSE, PING, PONG, Raw, TEXT, masked, upgrade_headers},
};

const PATH: &str = "/r1/websocket";

/// Returns the status and the body of an upgrade that is refused.
async fn refused(base: &str, path: &str, headers: &str) -> (u16, String) {
    let (raw, head) = Raw::knock(base, "GET", path, &upgrade_headers(headers)).await;
    let body = raw.body().await;
    assert_eq!(body["status"], "error");
    assert!(head.text.contains(body["request_id"].as_str().unwrap()), "{}", head.text);
    (head.status, body["code"].as_str().unwrap().to_owned())
}

pub(crate) fn sample_calls() -> Vec<SampleCall> {
    vec![plain(&["IssueTicket", "ReadEventStream", "StartDrain", "StopDrain"])]
}

#[tokio::test]
async fn hello_comes_first_with_the_position_of_every_conversation() {
    let app = Application::start().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let chat = anna.open_single(&ben).await;
    anna.send_message(&chat, "one").await;
    for codec in [Codec::Json, Codec::MessagePack] {
        let socket = ben.connect_with(codec).await;
        assert_eq!(socket.hello["user_id"], *ben.id);
        assert_eq!(socket.hello["session_id"], *ben.session_id);
        assert_eq!(socket.hello["heartbeat_seconds"], 25);
        assert_eq!(socket.hello["conversations"][0], json!({ "id": chat, "last_seq": 1 }));
        assert!(socket.hello["instance_id"].is_string() && socket.hello["server_time"].is_string());
    }
}

#[tokio::test]
async fn negotiates_the_requested_subprotocol() {
    let app = Application::start().await;
    let anna = app.sign_up("Anna").await;
    for (offered, chosen) in [
        ("natter.json", Some("natter.json")),
        ("natter.msgpack", Some("natter.msgpack")),
        ("other, natter.msgpack", Some("natter.msgpack")),
        ("natter.msgpack, natter.json", Some("natter.json")),
        ("other", None),
    ] {
        let headers = format!("authorization: Bearer {}\nsec-websocket-protocol: {offered}", anna.access_token());
        let (_, head) = Raw::knock(&app.url(), "GET", PATH, &upgrade_headers(&headers)).await;
        assert_eq!(head.status, 101);
        let line = head.text.lines().find_map(|line| line.strip_prefix("sec-websocket-protocol: "));
        assert_eq!(line, chosen, "{offered}");
        assert!(head.text.contains("sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "{}", head.text);
    }
}

#[tokio::test]
async fn requires_credentials_and_the_own_origin_for_cookies() {
    let app = Application::start().await;
    let browser = app.sign_up_browser("Anna").await;
    let url = app.url();
    Socket::open(&url, PATH, browser.headers(), Codec::Json).await;
    let cookie = browser.headers().get("cookie").unwrap().to_str().unwrap().to_owned();
    let foreign = format!("cookie: {cookie}\norigin: https://evil.example");
    assert_eq!(refused(&url, PATH, &foreign).await, (403, "cross_site".into()));
    assert_eq!(refused(&url, PATH, &format!("cookie: {cookie}\norigin: null")).await, (403, "cross_site".into()));
    assert_eq!(refused(&url, PATH, "").await, (401, "unauthenticated".into()));
    assert_eq!(refused(&url, PATH, "authorization: Bearer nonsense").await, (401, "unauthenticated".into()));
    assert_eq!(refused(&url, "/r1/websocket?ticket=nonsense", "").await, (401, "unauthenticated".into()));
}

#[tokio::test]
async fn accepts_a_ticket_once() {
    let app = Application::start().await;
    let anna = app.sign_up("Anna").await;
    let ticket = anna.post("/r1/websocket/ticket", json!({})).await.data()["ticket"].as_str().unwrap().to_owned();
    let path = format!("{PATH}?ticket={ticket}");
    let socket = Socket::open(&app.url(), &path, app.anonymous().headers(), Codec::Json).await;
    assert_eq!(socket.hello["user_id"], *anna.id);
    assert_eq!(refused(&app.url(), &path, "").await, (401, "unauthenticated".into()));
}

#[tokio::test]
async fn rejects_malformed_handshakes_and_continues() {
    let app = Application::start().await;
    let anna = app.sign_up("Anna").await;
    let (url, bearer) = (app.url(), format!("authorization: Bearer {}", anna.access_token()));
    assert_eq!(refused(&url, "/r1/elsewhere", &bearer).await, (404, "not_found".into()));
    for (method, headers, status) in [
        ("POST", upgrade_headers(&bearer), 405),
        ("GET", upgrade_headers(&bearer).replace("dGhlIHNhbXBsZSBub25jZQ==", "short"), 400),
        ("GET", upgrade_headers(&bearer).replace("version: 13", "version: 8"), 400),
        ("GET", format!("upgrade: websocket\nsec-websocket-version: 13\n{bearer}"), 400),
    ] {
        let (_, head) = Raw::knock(&url, method, PATH, &headers).await;
        assert_eq!(head.status, status, "{headers}");
    }
    let (_, head) = Raw::knock(&url, "CONNECT", "example.org:443", "").await;
    assert_eq!(head.status, 405);
    anna.connect().await.drain().await;
}

#[tokio::test]
async fn acknowledges_outstanding_messages_in_order() {
    let app = Application::start().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let chat = anna.open_single(&ben).await;
    let (mut socket, mut other) = (anna.connect().await, ben.connect_with(Codec::MessagePack).await);
    let mut asked = Vec::new();
    for n in 0..300 {
        let body = json!({ "conversation_id": chat, "client_id": format!("c{n}"), "content": format!("{n}") });
        asked.push(socket.send("message.send", body).await);
    }
    let mut acks = Vec::new();
    while acks.len() < asked.len() {
        acks.push(socket.expect("ack").await);
    }
    assert!(acks.iter().map(|ack| ack.reply_to.as_deref()).eq(asked.iter().map(|id| Some(id.as_str()))));
    let seqs: Vec<i64> = acks.iter().map(|ack| ack.payload["seq"].as_i64().unwrap()).collect();
    assert_eq!(seqs, (1..=300).collect::<Vec<_>>(), "messages keep their order");
    let seen = other.read_until_seq(&chat, 300).await;
    let contents: Vec<_> =
        seen.iter().map(|event| event.payload["message"]["content"].as_str().unwrap().to_owned()).collect();
    assert_eq!(contents, (0..300).map(|n| n.to_string()).collect::<Vec<_>>());
    let again =
        socket.request("message.send", json!({ "conversation_id": chat, "client_id": "c7", "content": "again" })).await;
    assert_eq!((again.payload["seq"].as_i64(), again.payload["duplicate"].as_bool()), (Some(8), Some(true)));
}

#[tokio::test]
async fn answers_an_invalid_frame_with_an_error_and_stays_connected() {
    let app = Application::start().await;
    let (anna, ben, eve) = (app.sign_up("Anna").await, app.sign_up("Ben").await, app.sign_up("Eve").await);
    let theirs = ben.open_single(&eve).await;
    let chat = anna.open_single(&ben).await;
    let mut socket = anna.connect().await;
    for text in [
        "",
        " ",
        "null",
        "7",
        "[]",
        "{}",
        "\"ping\"",
        "{\"id\":\"1\"",
        "{\"id\":1,\"type\":\"ping\",\"payload\":{}}",
        "{\"id\":\"1\",\"type\":null,\"payload\":{}}",
        "{\"id\":\"1\",\"type\":\"ping\",\"type\":\"ping\"}",
        "{\"id\":\"\\ud800\",\"type\":\"ping\"}",
        &"[".repeat(50_000),
        &format!("{{\"id\":\"1\",\"type\":\"sync\",\"payload\":{}", "{\"a\":".repeat(8_000)),
    ] {
        socket.send_text(text).await;
        let error = socket.expect("error").await;
        assert_eq!(error.payload["code"], "malformed_frame", "{}", text.chars().take(60).collect::<String>());
        assert!(error.payload["message"].as_str().unwrap().ends_with('.'));
    }
    socket.send_bytes(vec![0x81, 0xA4]).await;
    assert_eq!(socket.expect("error").await.payload["code"], "malformed_frame");
    let send = |change: support::Value| {
        let mut body = json!({ "conversation_id": chat, "client_id": new_id(), "content": "hi" });
        body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        body
    };
    for (kind, payload, code) in [
        ("dance", json!({}), "unknown_type"),
        ("message.created", json!({}), "unknown_type"),
        ("message.send", json!({}), "invalid"),
        ("message.send", json!([]), "invalid"),
        ("message.send", json!(null), "invalid"),
        ("message.send", send(json!({ "content": 7 })), "invalid"),
        ("message.send", send(json!({ "content": "  " })), "invalid"),
        ("message.send", send(json!({ "content": "x".repeat(5_001) })), "invalid"),
        ("message.send", send(json!({ "content": "\u{0}\u{1b}[0m" })), "invalid"),
        ("message.send", send(json!({ "client_id": "" })), "invalid"),
        ("message.send", send(json!({ "client_id": "x".repeat(1_000) })), "invalid"),
        ("message.send", send(json!({ "conversation_id": "x" })), "invalid"),
        ("message.send", send(json!({ "conversation_id": new_id() })), "not_found"),
        ("message.send", send(json!({ "conversation_id": theirs })), "not_found"),
        ("receipt", json!({ "conversation_id": chat, "seq": "1", "state": "read" }), "invalid"),
        ("receipt", json!({ "conversation_id": chat, "seq": 1, "state": "seen" }), "invalid"),
        ("typing", json!({ "conversation_id": chat }), "invalid"),
        ("typing", json!({ "conversation_id": theirs, "active": true }), "not_found"),
        ("presence", json!({ "status": "offline" }), "invalid"),
        ("presence", json!({ "status": "busy" }), "invalid"),
        ("sync", json!({ "cursors": [] }), "invalid"),
        ("sync", json!({ "cursors": { "x": 1 } }), "invalid"),
        ("sync", json!({ "cursors": { (chat.as_str()): "1" } }), "invalid"),
        ("generation.stop", json!({ "message_id": new_id() }), "not_found"),
        ("generation.stop", json!({ "message_id": 7 }), "invalid"),
    ] {
        let answer = socket.request(kind, payload.clone()).await;
        assert_eq!((answer.kind.as_str(), answer.payload["code"].as_str()), ("error", Some(code)), "{kind} {payload}");
    }
    // None of the frames has had an effect, and the connection still works.
    assert!(anna.history(&chat).await.is_empty());
    socket.send_message(&chat, "still here").await;
}

#[tokio::test]
async fn answers_an_invalid_messagepack_frame_with_an_error() {
    let app = Application::start().await;
    let anna = app.sign_up("Anna").await;
    let mut socket = anna.connect_with(Codec::MessagePack).await;
    for bytes in [
        vec![],
        vec![0xC1],
        vec![0x80],
        vec![0xDF, 0xFF, 0xFF, 0xFF, 0xFF],
        vec![0x91; 60_000],
        vec![0xC6, 0xFF, 0xFF, 0xFF, 0xFF, 0],
    ] {
        socket.send_bytes(bytes.clone()).await;
        assert_eq!(
            socket.expect("error").await.payload["code"],
            "malformed_frame",
            "{:x?}",
            &bytes[..bytes.len().min(8)]
        );
    }
    socket.send_text("{\"id\":\"1\",\"type\":\"ping\",\"payload\":{}}").await;
    assert_eq!(socket.expect("error").await.payload["code"], "malformed_frame");
    assert_eq!(socket.request("ping", json!({})).await.kind, "pong");
}

#[tokio::test]
async fn protocol_violations_close_the_connection_with_their_code() {
    let app = Application::start().await;
    let anna = app.sign_up("Anna").await;
    let announced = |length: u64| [&[0x82, 0xFF][..], &length.to_be_bytes(), &[0; 4]].concat();
    for (what, bytes, code) in [
        ("not masked", vec![0x81, 2, b'h', b'i'], 1002),
        ("a reserved bit", masked(0xC1, b"hi"), 1002),
        ("an unknown opcode", masked(0x83, b"hi"), 1002),
        ("a continuation of nothing", masked(0x80, b"hi"), 1002),
        ("a text within a text", [masked(0x01, b"hi"), masked(0x81, b"hi")].concat(), 1002),
        ("a ping in pieces", masked(0x09, b"hi"), 1002),
        ("a long ping", masked(0x89, &[b'x'; 126]), 1002),
        ("a close of one byte", masked(0x88, &[3]), 1002),
        ("a close code that nobody may send", masked(0x88, &1005_u16.to_be_bytes()), 1002),
        ("bytes that are not UTF-8", masked(0x81, &[0xFF, 0xFE]), 1007),
        ("a frame of 64 KiB and one byte", masked(0x81, &[b' '; 65_537]), 1009),
        ("a frame that announces gigabytes", announced(1 << 40), 1009),
        ("a frame that announces everything", announced(u64::MAX), 1009),
        (
            "pieces that are too large together",
            [masked(0x01, &[b' '; 40_000]), masked(0x80, &[b' '; 40_000])].concat(),
            1009,
        ),
    ] {
        let mut raw = Raw::native(&app.url(), anna.access_token()).await;
        raw.write(&bytes).await;
        assert_eq!(raw.close_code().await, Some(code), "{what}");
        assert!(raw.ends().await);
    }
    anna.connect().await.drain().await;
}

#[tokio::test]
async fn random_bytes_do_not_affect_other_connections() {
    let app = Application::start().await;
    let anna = app.sign_up("Anna").await;
    let mut witness = anna.connect().await;
    // Deterministic noise. Its first bytes look like frames, so that the server parses further than
    // the header.
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut noise = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    for round in 0..60 {
        let mut raw = Raw::native(&app.url(), anna.access_token()).await;
        let payload: Vec<u8> = (0..noise() % 300).map(|_| noise() as u8).collect();
        let bytes = if round % 2 == 0 { masked(0x80 | (noise() as u8 & 0x0F), &payload) } else { payload };
        raw.write(&bytes).await;
        raw.send(CLOSE, &1000_u16.to_be_bytes()).await;
        drop(raw);
    }
    witness.drain().await;
    assert!(!app.instances[0].log().iter().any(|line| line.contains("panicked")), "the server panicked");
}

#[tokio::test]
async fn answers_pings_joins_fragments_and_returns_close_frames() {
    // Without a shared workspace, no other frame (such as presence) arrives in between.
    let app = Setup::new().set("workspaces.shared", "none").start().await;
    let anna = app.sign_up("Anna").await;
    let mut raw = Raw::native(&app.url(), anna.access_token()).await;
    assert!(raw.text().await.contains("\"type\":\"hello\""));
    raw.send(PING, b"are you there").await;
    assert_eq!(raw.frame().await, Some((PONG, b"are you there".to_vec())));
    let text = r#"{"id":"q1","type":"ping","timestamp":"","payload":{}}"#;
    for (first, piece) in [(TEXT, &text[..10]), (0, &text[10..20]), (0x80, &text[20..])] {
        raw.write(&masked(first, piece.as_bytes())).await;
    }
    assert!(raw.text().await.contains(r#""reply_to":"q1""#));
    raw.send(CLOSE, &1000_u16.to_be_bytes()).await;
    assert_eq!(raw.close_code().await, Some(1000));
    assert!(raw.ends().await);
}

#[tokio::test]
async fn signing_out_disconnects_that_device_only() {
    let app = Application::start().await;
    let anna = app.sign_up("Anna").await;
    let phone = anna.another_device().await;
    let (mut here, mut there) = (anna.connect().await, phone.connect().await);
    anna.post("/r1/auth/logout", json!({})).await.data();
    assert_eq!(here.closed().await.code, 4401);
    there.drain().await;
    phone.delete(&format!("/r1/usersessions/{}", phone.session_id)).await.data();
    assert_eq!(there.closed().await.code, 4401);
}

#[tokio::test]
async fn a_connection_ends_when_its_token_expires() {
    let app = Setup::new().set("auth.access_ttl", 2).start().await;
    let anna = app.sign_up("Anna").await;
    let mut socket = anna.connect().await;
    assert_eq!(socket.closed().await.code, 4401);
}

#[tokio::test]
async fn clients_without_heartbeat_are_disconnected() {
    let app = Setup::new().set("realtime.heartbeat_seconds", 1).start().await;
    let anna = app.sign_up("Anna").await;
    let mut socket = anna.connect().await;
    assert_eq!(socket.hello["heartbeat_seconds"], 1);
    let mut silent = Raw::native(&app.url(), anna.access_token()).await;
    let mut pings = 0;
    let code = loop {
        match silent.frame().await {
            Some((PING, _)) => pings += 1,
            Some((CLOSE, payload)) => break u16::from_be_bytes([payload[0], payload[1]]),
            // The other client reads its frames, and so answers the pings.
            Some(_) => drop(socket.drain().await),
            None => panic!("ended without a close frame"),
        }
        socket.drain().await;
    };
    assert_eq!(code, 4408);
    assert!(pings >= 1, "a ping came first");
    socket.drain().await;
}

#[tokio::test]
async fn ends_a_connection_with_too_many_frames() {
    let app = Setup::new().set("rate_limit.enabled", true).set("realtime.max_frames_per_second", 5).start().await;
    let anna = app.sign_up("Anna").await;
    let mut socket = anna.connect().await;
    for _ in 0..8 {
        assert_eq!(socket.request("ping", json!({})).await.kind, "pong");
    }
    for _ in 0..30 {
        socket.send("ping", json!({})).await;
    }
    assert_eq!(socket.closed().await.code, 4429);
}

#[tokio::test]
async fn limits_connections_per_user() {
    let app = Setup::new().set("realtime.max_connections_per_user", 2).start().await;
    let anna = app.sign_up("Anna").await;
    let (one, _two) = (anna.connect().await, anna.connect().await);
    let bearer = format!("authorization: Bearer {}", anna.access_token());
    assert_eq!(refused(&app.url(), PATH, &bearer).await, (429, "too_many_connections".into()));
    drop(one);
    support::wait_until("a connection slot is free", || async {
        Socket::try_open(&app.url(), PATH, anna.headers(), Codec::Json).await.is_ok()
    })
    .await;
}

#[tokio::test]
async fn disconnects_a_client_that_does_not_read_and_lets_it_catch_up() {
    let app =
        Setup::new().set("realtime.backlog_bytes", 65_536).set("realtime.max_backlog_bytes", 65_536).start().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let chat = anna.open_single(&ben).await;
    let mut stuck = Raw::native(&app.url(), ben.access_token()).await;
    assert!(stuck.text().await.contains("hello"));
    let mut sender = anna.connect().await;
    let content = "x".repeat(4_900);
    for n in 0..300 {
        let body = json!({ "conversation_id": chat, "client_id": format!("{n}"), "content": content });
        sender.send("message.send", body).await;
        if n % 10 == 9 {
            sender.read_until_seq(&chat, n + 1).await;
        }
    }
    // The client reads what was sent before, and then the reason for the end.
    let (mut last, mut code) = (0, None);
    while let Some((opcode, payload)) = stuck.frame().await {
        match opcode {
            TEXT => {
                let frame: support::Value = serde_json::from_slice(&payload).unwrap();
                if let Some(seq) = frame["payload"]["seq"].as_i64() {
                    assert_eq!(seq, last + 1, "received messages have no gap");
                    last = seq;
                }
            }
            CLOSE => code = Some(u16::from_be_bytes([payload[0], payload[1]])),
            _ => {}
        }
    }
    assert_eq!(code, Some(4508));
    assert!(last < 300, "the client received all {last}, so it was not slow");
    let mut socket = ben.connect().await;
    socket.send("sync", json!({ "cursors": { (chat.as_str()): last } })).await;
    let missed = socket.read_until_seq(&chat, 300).await;
    let seqs: Vec<i64> = missed.iter().map(|event| event.payload["seq"].as_i64().unwrap()).collect();
    assert_eq!(seqs, (last + 1..=300).collect::<Vec<_>>());
    socket.expect("sync.done").await;
}

#[tokio::test]
async fn stopping_closes_connections_with_1012() {
    let mut app = Application::start().await;
    let anna = app.sign_up("Anna").await;
    let mut sockets = vec![anna.connect().await, anna.connect_with(Codec::MessagePack).await];
    let mut silent = Raw::native(&app.url(), anna.access_token()).await;
    app.instances[0].ask_to_stop();
    for socket in &mut sockets {
        assert_eq!(socket.closed().await.code, 1012);
    }
    assert_eq!(silent.close_code().await, Some(1012));
    let status = app.instances[0].ended().await;
    assert_eq!(status.code(), Some(0));
}

#[tokio::test]
async fn draining_closes_connections_over_time_until_it_is_stopped() {
    let app = Application::start().await;
    let (admin, anna) = (app.admin().await, app.sign_up("Anna").await);
    let health = async || anna.get("/health/simple").await;
    anna.post("/r1/admin/drain", json!({})).await.refused(403, "forbidden");
    let mut sockets = Vec::new();
    for _ in 0..4 {
        sockets.push(anna.connect().await);
    }
    let state = admin.post("/r1/admin/drain", json!({})).await.data();
    assert_eq!(state["draining"], true);
    let closing = sockets.iter_mut().map(|socket| async {
        let closed = socket.closed().await;
        (closed.code, tokio::time::Instant::now())
    });
    let mut closed = futures_util::future::join_all(closing).await;
    closed.sort_by_key(|(_, at)| *at);
    assert!(closed.iter().all(|(code, _)| *code == 1012), "{closed:?}");
    assert!(closed[3].1 - closed[0].1 >= Duration::from_millis(200), "they are closed one after the other: {closed:?}");
    let answer = health().await;
    assert_eq!((answer.status, answer.text().as_str()), (503, r#"{"status":"draining"}"#));
    let connect = async || Socket::try_open(&app.url(), PATH, anna.headers(), Codec::Json).await;
    assert!(connect().await.is_err_and(|(status, _)| status == 503), "new connections are refused");
    assert_eq!(anna.get("/r1/conversations").await.status, 200, "requests are answered");
    assert_eq!(admin.delete("/r1/admin/drain").await.data()["draining"], false);
    wait_until("connections are accepted", async || connect().await.is_ok()).await;
    assert_eq!(health().await.status, 200);
    let log = admin.get("/r1/admin/audit_log?action=admin.instance_drained").await.data();
    assert_eq!(log["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn rejects_frames_of_the_wrong_type() {
    let app = Application::start().await;
    let anna = app.sign_up("Anna").await;
    let mut raw = Raw::native(&app.url(), anna.access_token()).await;
    raw.text().await;
    raw.send(BINARY, b"{}").await;
    assert!(raw.text().await.contains("malformed_frame"));
}
