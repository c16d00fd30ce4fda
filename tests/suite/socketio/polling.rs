//! Socket.IO v4 over HTTP long-polling, and the upgrade to WebSocket.

use std::collections::VecDeque;

use reqwest::header::{AUTHORIZATION, COOKIE, HeaderMap, ORIGIN};
use support::{Application, Member, Setup, Value, json, wait_until};

use crate::raw::{BINARY, CLOSE, Raw, TEXT, upgrade_headers};

const SEPARATOR: char = '\u{1e}';
const UNKNOWN: &str = r#"{"code":1,"message":"Session ID unknown"}"#;
const BAD_REQUEST: &str = r#"{"code":3,"message":"Bad request"}"#;

/// Client that polls. Its requests are sent to the addresses in turn.
pub struct Poller {
    http: reqwest::Client,
    addresses: Vec<String>,
    turn: usize,
    pub sid: String,
    /// Packets that were received but not processed yet.
    packets: VecDeque<String>,
}

impl Poller {
    /// Opens a session at the first address.
    pub async fn open(addresses: &[String], headers: HeaderMap) -> Self {
        let http = reqwest::Client::builder().no_proxy().default_headers(headers).build().unwrap();
        let mut poller =
            Self { http, addresses: addresses.to_vec(), turn: 0, sid: String::new(), packets: VecDeque::new() };
        let (status, body) = poller.get().await;
        assert_eq!(status, 200, "{body}");
        let handshake: Value = serde_json::from_str(body.strip_prefix('0').expect("the open packet")).unwrap();
        assert_eq!(handshake["upgrades"], json!(["websocket"]));
        assert_eq!(handshake["maxPayload"], 65_536);
        poller.sid = handshake["sid"].as_str().unwrap().to_owned();
        poller
    }

    /// Opens a session and authenticates.
    pub async fn connect(member: &Member, addresses: &[String]) -> Self {
        let mut poller = Self::open(addresses, HeaderMap::new()).await;
        poller.emit(&format!("40{}", json!({ "token": member.access_token() }))).await;
        assert!(poller.packet().await.starts_with("40{\"sid\":"));
        assert!(poller.packet().await.starts_with("42[\"hello\","));
        poller
    }

    /// Sends all further requests to this address.
    pub fn go_to(&mut self, address: &str) {
        self.addresses = vec![address.to_owned()];
    }

    pub fn request(&mut self, method: reqwest::Method) -> reqwest::RequestBuilder {
        let address = &self.addresses[self.turn % self.addresses.len()];
        self.turn += 1;
        let sid = if self.sid.is_empty() { String::new() } else { format!("&sid={}", self.sid) };
        self.http.request(method, format!("{address}/socket.io/?EIO=4&transport=polling{sid}"))
    }

    /// Polls once. Skips presence, which the default channel may send at any time.
    pub async fn get(&mut self) -> (u16, String) {
        loop {
            let (status, body) = answer(self.request(reqwest::Method::GET)).await;
            let packets: Vec<&str> =
                body.split(SEPARATOR).filter(|packet| !packet.starts_with(r#"42["presence","#)).collect();
            if !packets.is_empty() {
                return (status, packets.join(&SEPARATOR.to_string()));
            }
        }
    }

    pub async fn post(&mut self, body: impl Into<reqwest::Body>) -> (u16, String) {
        answer(self.request(reqwest::Method::POST).body(body)).await
    }

    /// Sends one packet.
    pub async fn emit(&mut self, packet: &str) {
        let answered = self.post(packet.to_owned()).await;
        assert_eq!(answered, (200, "ok".to_owned()));
    }

    /// Returns the next packet that isn't a ping. Pings are answered.
    pub async fn packet(&mut self) -> String {
        loop {
            match self.packets.pop_front() {
                Some(packet) if packet == "2" => self.emit("3").await,
                Some(packet) => return packet,
                None => {
                    let (status, body) = self.get().await;
                    assert_eq!(status, 200, "{body}");
                    self.packets.extend(body.split(SEPARATOR).map(str::to_owned));
                }
            }
        }
    }

    /// Returns the payload of the next event that has this name.
    pub async fn event(&mut self, name: &str) -> Value {
        loop {
            let packet = self.packet().await;
            let Some(event) = packet.strip_prefix("42") else { continue };
            let mut event: Vec<Value> = serde_json::from_str(event).unwrap();
            if event[0] == name {
                return event.remove(1);
            }
        }
    }

    /// Emits an event and waits for the acknowledgement.
    pub async fn ask(&mut self, number: u32, name: &str, payload: Value) -> Value {
        self.emit(&format!("42{number}{}", json!([name, payload]))).await;
        loop {
            if let Some(answer) = self.packet().await.strip_prefix(&format!("43{number}[")) {
                return serde_json::from_str(answer.strip_suffix(']').unwrap()).unwrap();
            }
        }
    }

    /// Opens a WebSocket to which this session can be upgraded.
    pub async fn probe(&self, address: &str) -> Raw {
        let mut raw = Raw::open(address, &format!("/socket.io/?EIO=4&transport=websocket&sid={}", self.sid), "").await;
        raw.send_text("2probe").await;
        assert_eq!(raw.text().await, "3probe");
        raw
    }
}

async fn answer(request: reqwest::RequestBuilder) -> (u16, String) {
    let answer = request.send().await.expect("the server answers");
    (answer.status().as_u16(), answer.text().await.expect("the server answers"))
}

fn is_unknown((status, body): (u16, String)) {
    assert_eq!((status, body.as_str()), (400, UNKNOWN));
}

#[tokio::test]
async fn a_polling_session_supports_everything_websocket_does() {
    let app = Application::start().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let chat = anna.open_single(&ben).await;
    let mut native = ben.connect().await;
    let (mut hers, mut his) = (Poller::connect(&anna, &[app.url()]).await, Poller::connect(&ben, &[app.url()]).await);
    let body = json!({ "conversation_id": chat, "client_id": "c1", "content": "hi, é 👩‍👩‍👧" });
    let ack = hers.ask(0, "message.send", body.clone()).await;
    assert_eq!((ack["seq"].as_i64(), ack["duplicate"].as_bool()), (Some(1), Some(false)));
    assert_eq!(hers.ask(1, "message.send", body).await["duplicate"], true);
    assert_eq!(his.event("message.created").await, native.expect("message.created").await.payload);
    assert_eq!(hers.ask(2, "typing", json!({ "conversation_id": chat })).await["code"], "invalid");
    // Several packets in one body are processed in order.
    let sends: Vec<String> = (2..=20)
        .map(|n| {
            let body = json!({ "conversation_id": chat, "client_id": format!("c{n}"), "content": n.to_string() });
            format!("42{}", json!(["message.send", body]))
        })
        .collect();
    hers.emit(&sends.join("\u{1e}")).await;
    for n in 2..=20 {
        let event = his.event("message.created").await;
        assert_eq!((&event["seq"], &event["message"]["content"]), (&json!(n), &json!(n.to_string())));
    }
    // An event with a base64 attachment is read completely and then rejected.
    hers.emit("451-9[\"ping\",{\"_placeholder\":true,\"num\":0}]\u{1e}bAQIDBA==").await;
    while !hers.packet().await.starts_with("439[{\"code\":\"malformed_frame\"") {}
    hers.emit("40/admin,").await;
    while hers.packet().await != r#"44/admin,{"message":"Invalid namespace"}"# {}
}

#[tokio::test]
async fn rejects_invalid_requests_with_engine_io_errors() {
    let app = Application::start().await;
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let session = Poller::open(&[app.url()], HeaderMap::new()).await.sid;
    for (method, query, code) in [
        ("GET", "", 0),
        ("GET", "EIO=4", 0),
        ("GET", "EIO=4&transport=webtransport", 0),
        ("GET", "EIO=3&transport=polling", 5),
        ("GET", "transport=polling", 5),
        ("POST", "EIO=4&transport=polling", 2),
        ("PUT", "EIO=4&transport=polling", 2),
        ("GET", "EIO=4&transport=polling&sid=x", 1),
        ("POST", "EIO=4&transport=polling&sid=x", 1),
        ("DELETE", &format!("EIO=4&transport=polling&sid={session}"), 3),
        ("GET", "EIO=4&transport=websocket", 3),
        ("GET", &format!("EIO=4&transport=websocket&sid={session}"), 3),
    ] {
        let method = method.parse().unwrap();
        let (status, body) = answer(http.request(method, format!("{}/socket.io/?{query}", app.url()))).await;
        let body: Value = serde_json::from_str(&body).unwrap();
        assert_eq!((status, &body["code"]), (400, &json!(code)), "{query}");
    }
    let elsewhere = "A".repeat(46);
    for sid in ["x", &elsewhere, &session[..45]] {
        let (raw, head) = Raw::knock(
            &app.url(),
            "GET",
            &format!("/socket.io/?EIO=4&transport=websocket&sid={sid}"),
            &upgrade_headers(""),
        )
        .await;
        assert_eq!((head.status, raw.body().await["code"].as_i64()), (400, Some(1)), "{sid}");
    }
}

#[tokio::test]
async fn concurrent_polls_and_invalid_payloads_end_the_session() {
    let app = Setup::new().set("workspaces.shared", "none").start().await;
    let anna = app.sign_up("Anna").await;
    let mut poller = Poller::connect(&anna, &[app.url()]).await;
    let (first, second) = (poller.request(reqwest::Method::GET), poller.request(reqwest::Method::GET));
    let (one, other) = tokio::join!(answer(first), answer(second));
    let mut answers = [one, other];
    answers.sort();
    assert_eq!(answers[0], (200, "1".to_owned()));
    assert_eq!(answers[1].0, 400);
    is_unknown(poller.get().await);
    for body in ["abc", "", "4", "49", "42{}", "42", "4\u{1e}", "b*", "5", "0{}", "bAAAA"] {
        let mut poller = Poller::connect(&anna, &[app.url()]).await;
        assert_eq!(poller.post(body).await.0, 400, "{body}");
        is_unknown(poller.get().await);
    }
    let mut poller = Poller::connect(&anna, &[app.url()]).await;
    assert_eq!(poller.post(vec![b'4', 0xFF]).await.0, 400);
    is_unknown(poller.get().await);
    let mut poller = Poller::connect(&anna, &[app.url()]).await;
    assert_eq!(poller.post("4".repeat(65_537)).await.0, 413);
    is_unknown(poller.get().await);
    // An invalid event is answered.
    let mut poller = Poller::connect(&anna, &[app.url()]).await;
    assert_eq!(poller.ask(1, "dance", json!({})).await["code"], "unknown_type");
    // Events of a client without authentication are ignored.
    let mut poller = Poller::open(&[app.url()], HeaderMap::new()).await;
    assert_eq!(poller.post(r#"42["ping",{}]"#).await.0, 400);
    is_unknown(poller.get().await);
}

#[tokio::test]
async fn credentials_are_checked_as_over_websocket() {
    let app = Application::start().await;
    let anna = app.sign_up("Anna").await;
    let mut headers = HeaderMap::new();
    headers.insert(AUTHORIZATION, format!("Bearer {}", anna.access_token()).parse().unwrap());
    let mut poller = Poller::open(&[app.url()], headers).await;
    poller.emit("40").await;
    assert!(poller.packet().await.starts_with("40{"));
    let mut poller = Poller::open(&[app.url()], HeaderMap::new()).await;
    for auth in ["", r#"{"token":"nonsense"}"#] {
        poller.emit(&format!("40{auth}")).await;
        assert!(poller.packet().await.contains("unauthenticated"));
    }
    // The client may send a token later than the connection.
    poller.emit(&format!("40{}", json!({ "token": anna.access_token() }))).await;
    assert!(poller.packet().await.starts_with("40{"));
    let browser = app.sign_up_browser("Anna").await;
    let cookie = browser.headers().get(COOKIE).unwrap().clone();
    for (origin, is_let_in) in [(app.url(), true), ("https://evil.example".into(), false)] {
        let mut headers = HeaderMap::new();
        headers.insert(COOKIE, cookie.clone());
        headers.insert(ORIGIN, origin.parse().unwrap());
        let mut poller = Poller::open(&[app.url()], headers).await;
        poller.emit("40").await;
        let answer = poller.packet().await;
        if is_let_in {
            assert!(answer.starts_with("40{"), "{answer}");
        } else {
            assert!(answer.contains("cross_site"), "{answer}");
            assert_eq!(poller.packet().await, "1");
            is_unknown(poller.get().await);
        }
    }
}

#[tokio::test]
async fn only_allowed_origins_may_read_responses() {
    let app = Setup::new().set("server.cors_origins", "https://app.example").start().await;
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    for (origin, allowed) in [("https://app.example", Some("https://app.example")), ("https://evil.example", None)] {
        let request = http.get(format!("{}/socket.io/?EIO=4&transport=polling", app.url())).header(ORIGIN, origin);
        let answer = request.send().await.unwrap();
        let header = |name: &str| answer.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
        assert_eq!(header("access-control-allow-origin").as_deref(), allowed);
        assert_eq!(header("cache-control").as_deref(), Some("no-store"));
    }
}

#[tokio::test]
async fn sends_heartbeats_and_ends_silent_sessions() {
    let app = Setup::new().set("realtime.heartbeat_seconds", 1).start().await;
    let anna = app.sign_up("Anna").await;
    let mut poller = Poller::connect(&anna, &[app.url()]).await;
    for _ in 0..3 {
        assert_eq!(poller.get().await, (200, "2".to_owned()));
        poller.emit("3").await;
    }
    // From here on, the client polls but sends nothing.
    let mut last = String::new();
    loop {
        let (status, body) = poller.get().await;
        if status != 200 {
            break is_unknown((status, body));
        }
        last = body;
    }
    assert_eq!(last, "1");
    // Another client disappears, and other users see that it goes offline.
    let (ben, cara) = (app.sign_up("Ben").await, app.sign_up("Cara").await);
    ben.open_single(&cara).await;
    let mut watcher = ben.connect().await;
    let _gone = Poller::connect(&cara, &[app.url()]).await;
    for status in ["online", "offline"] {
        let fits = |frame: &support::Frame| {
            frame.kind == "presence" && frame.payload["user_id"] == *cara.id && frame.payload["status"] == status
        };
        watcher.find(status, fits).await;
    }
}

#[tokio::test]
async fn a_disconnect_packet_ends_the_polling_session() {
    let app = Application::start().await;
    let anna = app.sign_up("Anna").await;
    for goodbye in ["1", "41"] {
        let mut poller = Poller::connect(&anna, &[app.url()]).await;
        poller.emit(goodbye).await;
        // A Socket.IO client may answer the packet that disconnects it.
        if goodbye == "41" {
            assert_eq!(poller.get().await, (200, "41\u{1e}1".to_owned()));
        }
        is_unknown(poller.get().await);
        is_unknown(poller.post("3").await);
    }
}

#[tokio::test]
async fn disconnects_a_client_that_stops_polling_without_loss() {
    let app =
        Setup::new().set("realtime.heartbeat_seconds", 20).set("realtime.max_backlog_bytes", 262_144).start().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let chat = anna.open_single(&ben).await;
    let mut poller = Poller::connect(&ben, &[app.url()]).await;
    let text = "x".repeat(4_500);
    for _ in 0..70 {
        anna.send_message(&chat, &text).await;
    }
    // The backlog has exceeded its limit, so only the packet that closes the session is left.
    assert_eq!(poller.get().await, (200, "1".to_owned()));
    is_unknown(poller.get().await);
    let mut poller = Poller::connect(&ben, &[app.url()]).await;
    poller.emit(&format!("42{}", json!(["sync", { "cursors": { (chat.as_str()): 0 } }]))).await;
    for seq in 1..=70 {
        assert_eq!(poller.event("message.created").await["seq"], seq);
    }
}

#[tokio::test]
async fn upgrading_to_websocket_loses_and_duplicates_nothing() {
    let app = Application::start().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let chat = anna.open_single(&ben).await;
    let sender = {
        let (anna, chat) = (anna.clone(), chat.clone());
        tokio::spawn(async move {
            for n in 1..=400 {
                anna.send_message(&chat, &n.to_string()).await;
            }
        })
    };
    let seq_of = |packet: &str| {
        let event: Vec<Value> = serde_json::from_str(packet.strip_prefix("42").unwrap()).unwrap();
        (event[0] == "message.created").then(|| event[1]["seq"].as_i64().unwrap())
    };
    let mut poller = Poller::connect(&ben, &[app.url()]).await;
    let mut seen = Vec::new();
    // Polls, and upgrades in the middle of the events while a poll is in progress, as the official
    // client does.
    while seen.len() < 30 {
        seen.extend(seq_of(&poller.packet().await));
    }
    let mut raw = Raw::open(&app.url(), &format!("/socket.io/?EIO=4&transport=websocket&sid={}", poller.sid), "").await;
    let polling = answer(poller.request(reqwest::Method::GET));
    let probing = async {
        raw.send_text("2probe").await;
        assert_eq!(raw.text().await, "3probe");
    };
    let ((status, body), ()) = tokio::join!(polling, probing);
    assert_eq!(status, 200);
    poller.packets.extend(body.split(SEPARATOR).map(str::to_owned).filter(|packet| packet != "6"));
    seen.extend(poller.packets.drain(..).filter_map(|packet| seq_of(&packet)));
    raw.send_text("5").await;
    raw.send_text(r#"427["ping",{}]"#).await;
    let mut has_answered = false;
    while seen.last() != Some(&400) {
        match raw.text().await.as_str() {
            "2" => raw.send_text("3").await,
            "437[{}]" => has_answered = true,
            packet => seen.extend(seq_of(packet)),
        }
    }
    sender.await.unwrap();
    let first = seen[0];
    assert_eq!(seen, (first..=400).collect::<Vec<_>>());
    assert!(has_answered);
    // After the upgrade, polling is refused, and so is a second socket.
    for refused in [poller.get().await, poller.post("3").await] {
        assert_eq!(refused, (400, BAD_REQUEST.to_owned()));
    }
    let path = format!("/socket.io/?EIO=4&transport=websocket&sid={}", poller.sid);
    assert_eq!(Raw::open(&app.url(), &path, "").await.close_code().await, Some(1002));
    raw.send_text(r#"428["ping",{}]"#).await;
    while raw.text().await != "438[{}]" {}
}

#[tokio::test]
async fn a_failed_upgrade_keeps_the_polling_session() {
    let app = Setup::new().set("workspaces.shared", "none").start().await;
    let anna = app.sign_up("Anna").await;
    let mut poller = Poller::connect(&anna, &[app.url()]).await;
    // The pending poll is completed, so that the client can upgrade.
    let mut raw = poller.probe(&app.url()).await;
    assert_eq!(poller.get().await, (200, "6".to_owned()));
    // While the first socket exists, a second one is closed.
    let path = format!("/socket.io/?EIO=4&transport=websocket&sid={}", poller.sid);
    assert_eq!(Raw::open(&app.url(), &path, "").await.close_code().await, Some(1002));
    // An invalid packet for the upgrade ends the socket but not the session.
    raw.send_text(r#"42["ping",{}]"#).await;
    assert_eq!(raw.close_code().await, Some(1002));
    assert_eq!(poller.ask(1, "ping", json!({})).await, json!({}));
    for (opcode, payload) in [(TEXT, &b"5"[..]), (TEXT, b"x"), (BINARY, b"2probe"), (CLOSE, b"")] {
        let mut raw = Raw::open(&app.url(), &path, "").await;
        raw.send(opcode, payload).await;
        assert!(raw.ends().await);
        assert_eq!(poller.ask(2, "ping", json!({})).await, json!({}));
    }
    // The session also continues if the socket disappears.
    drop(poller.probe(&app.url()).await);
    wait_until("the end of the socket is noticed", || async {
        let mut raw = Raw::open(&app.url(), &path, "").await;
        raw.send_text("2probe").await;
        raw.frame().await == Some((TEXT, b"3probe".to_vec()))
    })
    .await;
    assert_eq!(poller.ask(3, "ping", json!({})).await, json!({}));
    // Without a WebSocket handshake, no socket is opened.
    let (_, head) = Raw::knock(&app.url(), "GET", &path, "upgrade: websocket\nconnection: upgrade").await;
    assert_eq!(head.status, 400);
}

#[tokio::test]
async fn signing_out_ends_a_session() {
    let app = Setup::new().set("workspaces.shared", "none").start().await;
    let anna = app.sign_up("Anna").await;
    let mut poller = Poller::connect(&anna, &[app.url()]).await;
    let waits = tokio::spawn(answer(poller.request(reqwest::Method::GET)));
    anna.post("/r1/auth/logout", json!({})).await.data();
    let (status, body) = waits.await.unwrap();
    assert_eq!(status, 200);
    assert!(body.ends_with("41\u{1e}1"), "{body}");
    is_unknown(poller.get().await);
}
