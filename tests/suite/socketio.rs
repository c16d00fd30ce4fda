//! Socket.IO v4 over WebSocket. [`polling`] tests HTTP long-polling, [`cluster`] several instances.

mod cluster;
pub(crate) mod polling;

use support::{Application, Member, Setup, Value, json};

use crate::raw::{BINARY, CLOSE, PING, PONG, Raw, TEXT};

const PATH: &str = "/socket.io/?EIO=4&transport=websocket";

/// Client of Socket.IO in the namespace `/`.
struct Client {
    raw: Raw,
    hello: Value,
}

impl Client {
    async fn connect(member: &Member) -> Self {
        let mut raw = open(member.base()).await;
        raw.send_text(&format!("40{}", json!({ "token": member.access_token() }))).await;
        let connected = packet(&mut raw).await;
        assert!(connected.starts_with("40{\"sid\":"), "{connected}");
        let mut client = Self { raw, hello: Value::Null };
        client.hello = client.event("hello").await;
        client
    }

    /// Returns the payload of the next event that has this name.
    async fn event(&mut self, name: &str) -> Value {
        loop {
            let packet = packet(&mut self.raw).await;
            let Some(event) = packet.strip_prefix("42") else { continue };
            let mut event: Vec<Value> = serde_json::from_str(event).unwrap();
            assert_eq!(event.len(), 2, "{event:?}");
            if event[0] == name {
                return event.remove(1);
            }
        }
    }

    async fn emit(&mut self, name: &str, payload: Value) {
        self.raw.send_text(&format!("42{}", json!([name, payload]))).await;
    }

    /// Emits an event and waits for the acknowledgement.
    async fn ask(&mut self, number: u32, name: &str, payload: Value) -> Value {
        self.raw.send_text(&format!("42{number}{}", json!([name, payload]))).await;
        loop {
            let packet = packet(&mut self.raw).await;
            if let Some(answer) = packet.strip_prefix(&format!("43{number}")) {
                let mut arguments: Vec<Value> = serde_json::from_str(answer).unwrap();
                assert_eq!(arguments.len(), 1);
                return arguments.remove(0);
            }
        }
    }
}

/// Opens a connection and reads the handshake.
async fn open(base: &str) -> Raw {
    let mut raw = Raw::open(base, PATH, "").await;
    let handshake = raw.text().await;
    let data: Value = serde_json::from_str(handshake.strip_prefix('0').expect("the open packet")).unwrap();
    assert!(data["sid"].is_string());
    assert_eq!(
        (&data["upgrades"], &data["pingInterval"], &data["pingTimeout"]),
        (&json!([]), &json!(25_000), &json!(20_000))
    );
    assert_eq!(data["maxPayload"], 65_536);
    raw
}

/// Reads the next packet. Pings of Engine.IO are answered.
async fn packet(raw: &mut Raw) -> String {
    loop {
        let text = raw.text().await;
        if text != "2" {
            return text;
        }
        raw.send_text("3").await;
    }
}

#[tokio::test]
async fn events_and_acknowledgements_use_the_protocols_envelopes() {
    let app = Application::start().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let chat = anna.open_single(&ben).await;
    let (mut hers, mut his, mut native) =
        (Client::connect(&anna).await, Client::connect(&ben).await, ben.connect().await);
    assert_eq!(hers.hello["user_id"], *anna.id);
    assert_eq!(hers.hello["conversations"][0], json!({ "id": chat, "last_seq": 0 }));
    let body = json!({ "conversation_id": chat, "client_id": "c1", "content": "hi" });
    let ack = hers.ask(0, "message.send", body.clone()).await;
    assert_eq!((ack["seq"].as_i64(), ack["duplicate"].as_bool()), (Some(1), Some(false)));
    assert_eq!(hers.ask(1, "message.send", body).await["duplicate"], true);
    let (seen, same) = (his.event("message.created").await, native.expect("message.created").await);
    assert_eq!(seen, same.payload);
    assert_eq!(hers.ask(2, "ping", json!({})).await, json!({}));
    assert_eq!(hers.ask(3, "typing", json!({ "conversation_id": chat })).await["code"], "invalid");
    his.emit("typing", json!({ "conversation_id": chat, "active": true })).await;
    assert_eq!(hers.event("typing").await["user_id"], *ben.id);
    assert_eq!(hers.ask(4, "view", json!({ "conversation_ids": vec![&chat; 9] })).await["code"], "too_many");
    let watched = hers.ask(5, "presence.watch", json!({ "user_ids": [ben.id] })).await;
    assert_eq!((&watched["items"][0]["user_id"], &watched["items"][0]["status"]), (&json!(ben.id), &json!("online")));
}

#[tokio::test]
async fn socketio_clients_receive_ephemeral_events_of_viewed_conversations() {
    let app = support::Setup::new().set("realtime.small_conversation", 2).start().await;
    let (anna, ben, eve) = (app.sign_up("Anna").await, app.sign_up("Ben").await, app.sign_up("Eve").await);
    let chat = anna.open_group("Team", &[&ben, &eve]).await;
    let (mut hers, mut his) = (Client::connect(&anna).await, ben.connect().await);
    hers.emit("view", json!({ "conversation_ids": [chat] })).await;
    assert_eq!(hers.ask(0, "ping", json!({})).await, json!({}));
    his.send("typing", json!({ "conversation_id": chat, "active": true })).await;
    assert_eq!(hers.event("typing").await["user_id"], *ben.id);
}

#[tokio::test]
async fn a_sync_returns_events_before_its_acknowledgement() {
    let app = Application::start().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let chat = anna.open_single(&ben).await;
    for n in 1..=3 {
        anna.send_message(&chat, &n.to_string()).await;
    }
    let mut client = Client::connect(&ben).await;
    client.raw.send_text(&format!("427{}", json!(["sync", { "cursors": { (chat.as_str()): 1 } }]))).await;
    assert_eq!(client.event("message.created").await["seq"], 2);
    assert_eq!(client.event("message.created").await["seq"], 3);
    let done = client.event("sync.done").await;
    assert_eq!(done["conversations"], json!([{ "id": chat, "last_seq": 3 }]));
    assert_eq!(packet(&mut client.raw).await, format!("437[{done}]"));
}

#[tokio::test]
async fn rejected_socketio_connections_receive_the_reason() {
    let app = Application::start().await;
    let anna = app.sign_up("Anna").await;
    let mut raw = open(&app.url()).await;
    raw.send_text("40/admin,").await;
    assert_eq!(packet(&mut raw).await, r#"44/admin,{"message":"Invalid namespace"}"#);
    for auth in ["", r#"{"token":"nonsense"}"#, r#"{"token":7}"#, "[]", "nonsense"] {
        let mut raw = open(&app.url()).await;
        raw.send_text(&format!("40{auth}")).await;
        let refusal: Value =
            serde_json::from_str(packet(&mut raw).await.strip_prefix("44").expect("a connect error")).unwrap();
        assert_eq!(refusal["data"]["code"], "unauthenticated", "{auth}");
        // The client may send a token later than the connection.
        raw.send_text(&format!("40{}", json!({ "token": anna.access_token() }))).await;
        assert!(packet(&mut raw).await.starts_with("40{"));
    }
    let mut client = Client::connect(&anna).await;
    client.raw.send_text("40/other,").await;
    assert_eq!(packet(&mut client.raw).await, r#"44/other,{"message":"Invalid namespace"}"#);
    assert_eq!(client.ask(1, "ping", json!({})).await, json!({}));
}

#[tokio::test]
async fn accepts_cookies_only_from_the_own_origin() {
    let app = Application::start().await;
    let browser = app.sign_up_browser("Anna").await;
    let cookie = browser.headers().get("cookie").unwrap().to_str().unwrap().to_owned();
    for (origin, is_let_in) in [(app.url(), true), ("https://evil.example".into(), false)] {
        let mut raw = Raw::open(&app.url(), PATH, &format!("cookie: {cookie}\norigin: {origin}")).await;
        raw.text().await;
        raw.send_text("40").await;
        let answer = packet(&mut raw).await;
        if is_let_in {
            assert!(answer.starts_with("40{"), "{answer}");
        } else {
            assert!(answer.contains("cross_site"), "{answer}");
            assert_eq!(raw.close_code().await, Some(4403));
        }
    }
}

#[tokio::test]
async fn invalid_events_get_an_error_and_invalid_packets_end_the_connection() {
    let app = Application::start().await;
    let anna = app.sign_up("Anna").await;
    let mut client = Client::connect(&anna).await;
    for text in ["42[7]", "42[\"dance\",{}]", "42[\"typing\",7]", "421[\"typing\"]"] {
        client.raw.send_text(text).await;
        let error = match text.starts_with("421") {
            false => client.event("error").await,
            true => serde_json::from_str(
                packet(&mut client.raw).await.strip_prefix("431[").unwrap().strip_suffix(']').unwrap(),
            )
            .unwrap(),
        };
        assert!(matches!(error["code"].as_str(), Some("unknown_type" | "invalid")), "{text}: {error}");
    }
    // An event with binary data is read completely and then rejected.
    client.raw.send_text("451-9[\"ping\",{\"_placeholder\":true,\"num\":0}]").await;
    client.raw.send(BINARY, b"attachment").await;
    assert!(packet(&mut client.raw).await.starts_with("439[{\"code\":\"malformed_frame\""));
    assert_eq!(client.ask(1, "ping", json!({})).await, json!({}));
    for bytes in [
        "x",
        "",
        "49",
        "45[\"a\"]",
        "0{}",
        "42[]",
        "42{}",
        "42[null]",
        "42nonsense",
        "42",
        "42x[\"a\"]",
        "42/a,[\"a\"]",
    ] {
        let mut client = Client::connect(&anna).await;
        client.raw.send_text(bytes).await;
        assert_eq!(client.raw.close_code().await, Some(1002), "{bytes:?}");
    }
    let mut client = Client::connect(&anna).await;
    client.raw.send(BINARY, b"x").await;
    assert_eq!(client.raw.close_code().await, Some(1002), "no attachment was announced");
    // Invalid packets are rejected before authentication as well.
    for bytes in [&b"x"[..], b"49", b"\xFF", b"42[\"ping\",{}]"] {
        let mut raw = open(&app.url()).await;
        raw.send(TEXT, bytes).await;
        assert!(raw.close_code().await.is_some());
    }
}

#[tokio::test]
async fn sends_heartbeats_and_tells_clients_not_to_reconnect() {
    let app = Setup::new().set("realtime.heartbeat_seconds", 1).start().await;
    let anna = app.sign_up("Anna").await;
    let mut raw = Raw::open(&app.url(), PATH, "").await;
    assert!(raw.text().await.contains("\"pingInterval\":1000"));
    raw.send_text(&format!("40{}", json!({ "token": anna.access_token() }))).await;
    // From here on, the client answers nothing.
    let mut pings = 0;
    let code = loop {
        match raw.frame().await.expect("close frame expected") {
            (TEXT, text) if text == b"2" => pings += 1,
            (CLOSE, payload) => break u16::from_be_bytes([payload[0], payload[1]]),
            (PING | PONG, _) => panic!("Engine.IO has pings of its own"),
            _ => {}
        }
    };
    assert_eq!((code, pings >= 1), (4408, true));
    let phone = anna.another_device().await;
    let mut raw = Raw::open(&app.url(), PATH, "").await;
    raw.text().await;
    raw.send_text(&format!("40{}", json!({ "token": phone.access_token() }))).await;
    while !packet(&mut raw).await.contains("hello") {}
    phone.post("/r1/auth/logout", json!({})).await.data();
    loop {
        match raw.text().await.as_str() {
            "41" => break,
            "2" => raw.send_text("3").await,
            _ => {}
        }
    }
    assert_eq!(raw.close_code().await, Some(4401));
}

#[tokio::test]
async fn a_disconnect_packet_closes_the_connection() {
    let app = Application::start().await;
    let anna = app.sign_up("Anna").await;
    for goodbye in ["41", "1"] {
        let mut client = Client::connect(&anna).await;
        client.raw.send_text(goodbye).await;
        assert_eq!(client.raw.close_code().await, Some(1000));
        assert!(client.raw.ends().await);
    }
}
