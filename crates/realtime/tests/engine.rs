//! Tests of the Engine.IO and Socket.IO specifications, against the server in
//! `examples/socketio_conformance.rs`.

#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../examples/socketio_conformance.rs"]
mod conformance;

use std::{
    net::TcpListener,
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{self, Message},
};

/// Timeout that no step of the tests reaches unless it hangs.
const PATIENCE: Duration = Duration::from_secs(10);
const ENGINE: &str = "/engine.io/";
const SOCKET: &str = "/socket.io/";

struct Server {
    address: String,
    http: reqwest::Client,
}

impl Server {
    /// Starts a server whose threads end with those of the test.
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap().to_string();
        actix_rt::spawn(conformance::serve(listener).unwrap());
        let http = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build().unwrap();
        Self { address, http }
    }

    fn request(&self, method: &str, path: &str, sid: &str) -> reqwest::RequestBuilder {
        let sid = if sid.is_empty() { String::new() } else { format!("&sid={sid}") };
        let url = format!("http://{}{path}?EIO=4&transport=polling{sid}", self.address);
        self.http.request(method.parse().unwrap(), url)
    }

    async fn open(&self, path: &str) -> String {
        let (status, body) = answer(self.request("GET", path, "")).await;
        assert_eq!(status, 200);
        let handshake: Value = serde_json::from_str(body.strip_prefix('0').unwrap()).unwrap();
        let sid = handshake["sid"].as_str().unwrap();
        let expected = json!({
            "sid": sid, "upgrades": ["websocket"], "pingInterval": 300, "pingTimeout": 200, "maxPayload": 1_000_000
        });
        assert_eq!(handshake, expected);
        sid.to_owned()
    }

    async fn get(&self, path: &str, sid: &str) -> (u16, String) {
        answer(self.request("GET", path, sid)).await
    }

    async fn post(&self, path: &str, sid: &str, body: &str) -> (u16, String) {
        answer(self.request("POST", path, sid).body(body.to_owned())).await
    }

    /// Opens a WebSocket for a session or for a new one.
    async fn socket(&self, path: &str, sid: &str) -> Result<Socket, tungstenite::Error> {
        let sid = if sid.is_empty() { String::new() } else { format!("&sid={sid}") };
        let url = format!("ws://{}{path}?EIO=4&transport=websocket{sid}", self.address);
        Ok(Socket(connect_async(url).await?.0))
    }

    /// Opens a WebSocket session and reads its handshake.
    async fn opened(&self, path: &str) -> Socket {
        let mut socket = self.socket(path, "").await.unwrap();
        let handshake: Value = serde_json::from_str(socket.text().await.strip_prefix('0').unwrap()).unwrap();
        assert_eq!(handshake["upgrades"], json!([]));
        socket
    }
}

async fn answer(request: reqwest::RequestBuilder) -> (u16, String) {
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

struct Socket(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Socket {
    async fn send(&mut self, text: &str) {
        self.0.send(Message::text(text)).await.unwrap();
    }

    async fn send_bytes(&mut self, bytes: &'static [u8]) {
        self.0.send(Message::Binary(Bytes::from_static(bytes))).await.unwrap();
    }

    /// Returns the next message of any kind; `None` at the end of the connection.
    async fn next(&mut self) -> Option<Message> {
        match tokio::time::timeout(PATIENCE, self.0.next()).await.expect("a message arrives") {
            Some(Ok(Message::Close(_)) | Err(_)) | None => None,
            Some(Ok(message)) => Some(message),
        }
    }

    /// Returns the next text message, including pings.
    async fn text(&mut self) -> String {
        self.next().await.expect("the connection stays open").into_text().unwrap().to_string()
    }

    /// Returns the next message that isn't a ping.
    async fn message(&mut self) -> Message {
        loop {
            match self.next().await.expect("the connection stays open") {
                Message::Text(text) if text.as_str() == "2" => self.send("3").await,
                message => return message,
            }
        }
    }

    async fn ends(&mut self) {
        while self.next().await.is_some() {}
    }
}

#[actix_rt::test]
async fn echoes_text_and_binary_payloads_over_polling() {
    let server = Server::start();
    for body in ["4hello", "4test1\u{1e}4test2\u{1e}4test3", "4hello\u{1e}bAQIDBA==", "4é👩‍👩‍👧"] {
        let sid = server.open(ENGINE).await;
        assert_eq!(server.post(ENGINE, &sid, body).await, (200, "ok".to_owned()));
        assert_eq!(server.get(ENGINE, &sid).await, (200, body.to_owned()));
    }
    let sid = server.open(ENGINE).await;
    let long = format!("4{}", "x".repeat(999_999));
    assert_eq!(server.post(ENGINE, &sid, &long).await, (200, "ok".to_owned()));
    assert_eq!(server.get(ENGINE, &sid).await, (200, long.clone()));
    assert_eq!(server.post(ENGINE, &sid, &format!("{long}x")).await.0, 413);
    assert_eq!(server.get(ENGINE, &sid).await.0, 400);
}

#[actix_rt::test]
async fn echoes_messages_over_websocket() {
    let server = Server::start();
    let mut socket = server.opened(ENGINE).await;
    socket.send("4hello").await;
    assert_eq!(socket.message().await, Message::text("4hello"));
    socket.send_bytes(&[1, 2, 3, 4]).await;
    assert_eq!(socket.message().await, Message::binary(vec![1, 2, 3, 4]));
    for end in ["abc", "", "0", "5", "7x", "1"] {
        let mut socket = server.opened(ENGINE).await;
        socket.send(end).await;
        socket.ends().await;
    }
}

#[actix_rt::test]
async fn pings_a_session_and_ends_it_after_silence() {
    let server = Server::start();
    let (begun, sid) = (Instant::now(), server.open(ENGINE).await);
    let mut socket = server.opened(ENGINE).await;
    for n in 1..=3 {
        assert_eq!(server.get(ENGINE, &sid).await, (200, "2".to_owned()));
        assert!(
            begun.elapsed() >= Duration::from_millis(300) * n,
            "the {n}th ping arrived after {:?}",
            begun.elapsed()
        );
        assert_eq!(server.post(ENGINE, &sid, "3").await, (200, "ok".to_owned()));
        assert_eq!(socket.text().await, "2");
        socket.send("3").await;
    }
    // A client that only polls and never answers pings is told of the timeout in the end.
    let sid = server.open(ENGINE).await;
    assert_eq!(server.get(ENGINE, &sid).await, (200, "2".to_owned()));
    assert_eq!(server.get(ENGINE, &sid).await, (200, "1".to_owned()));
    assert_eq!(server.get(ENGINE, &sid).await.0, 400);
    let begun = Instant::now();
    let mut socket = server.opened(ENGINE).await;
    socket.ends().await;
    assert!(begun.elapsed() >= Duration::from_millis(500), "the session ended after {:?}", begun.elapsed());
}

#[actix_rt::test]
async fn ends_the_session_on_a_second_or_dropped_request() {
    let server = Server::start();
    let sid = server.open(ENGINE).await;
    let (one, other) = tokio::join!(server.get(ENGINE, &sid), server.get(ENGINE, &sid));
    let mut answers = [one, other];
    answers.sort();
    assert_eq!(answers[0], (200, "1".to_owned()));
    assert_eq!(answers[1].0, 400);
    assert_eq!(server.get(ENGINE, &sid).await.0, 400);
    let sid = server.open(ENGINE).await;
    let polling = actix_rt::spawn(server.request("GET", ENGINE, &sid).send());
    // Once this later request is answered, the poll has certainly arrived.
    assert_eq!(server.post(ENGINE, &sid, "6").await.0, 200);
    polling.abort();
    assert_eq!(server.get(ENGINE, &sid).await.0, 400);
    // Sends one POST whose body never ends, and then another one.
    let sid = server.open(ENGINE).await;
    let begun = futures_util::stream::once(async { Ok::<_, std::io::Error>(Bytes::from_static(b"4")) });
    let endless = reqwest::Body::wrap_stream(begun.chain(futures_util::stream::pending()));
    let posting = actix_rt::spawn(server.request("POST", ENGINE, &sid).body(endless).send());
    while server.post(ENGINE, &sid, "3").await.0 == 200 {}
    assert_eq!(server.get(ENGINE, &sid).await.0, 400);
    posting.abort();
}

#[actix_rt::test]
async fn a_closing_client_releases_its_poll() {
    let server = Server::start();
    for _ in 0..100 {
        let sid = server.open(ENGINE).await;
        let polling = actix_rt::spawn(server.request("GET", ENGINE, &sid).send());
        assert_eq!(server.post(ENGINE, &sid, "6").await.0, 200);
        assert_eq!(server.post(ENGINE, &sid, "1").await, (200, "ok".to_owned()));
        let polled = polling.await.unwrap().unwrap();
        assert_eq!(server.get(ENGINE, &sid).await.0, 400);
        if polled.status() == 200 {
            assert_eq!(polled.text().await.unwrap(), "6");
            return;
        }
        // The two requests use different connections, so the poll may arrive after the close.
        assert_eq!(polled.status(), 400);
    }
    panic!("no poll was waiting before its client closed");
}

#[actix_rt::test]
async fn upgrades_a_session_to_websocket() {
    let server = Server::start();
    let sid = server.open(ENGINE).await;
    let mut socket = server.socket(ENGINE, &sid).await.unwrap();
    let (polled, ()) = tokio::join!(server.get(ENGINE, &sid), async {
        socket.send("2probe").await;
        assert_eq!(socket.text().await, "3probe");
    });
    assert_eq!(polled, (200, "6".to_owned()));
    // The session has a socket already, so another one is closed.
    server.socket(ENGINE, &sid).await.unwrap().ends().await;
    assert_eq!(server.post(ENGINE, &sid, "4waits").await.0, 200);
    socket.send("5").await;
    socket.send("4hello").await;
    assert_eq!(socket.message().await, Message::text("4waits"));
    assert_eq!(socket.message().await, Message::text("4hello"));
    for (method, body) in [("GET", ""), ("POST", "4again")] {
        assert_eq!(answer(server.request(method, ENGINE, &sid).body(body)).await.0, 400);
    }
    // The session was upgraded already, so another socket is closed.
    server.socket(ENGINE, &sid).await.unwrap().ends().await;
    socket.send("4still").await;
    assert_eq!(socket.message().await, Message::text("4still"));
    socket.send("1").await;
    socket.ends().await;
    drop(socket);
    let is_over = async { while server.socket(ENGINE, &sid).await.is_ok() {} };
    tokio::time::timeout(PATIENCE, is_over).await.expect("the session has ended");
}

#[actix_rt::test]
async fn refuses_invalid_requests() {
    let server = Server::start();
    for (method, query) in [
        ("GET", "transport=polling"),
        ("GET", "EIO=abc&transport=polling"),
        ("GET", "EIO=4"),
        ("GET", "EIO=4&transport=abc"),
        ("POST", "EIO=4&transport=polling"),
        ("PUT", "EIO=4&transport=polling"),
    ] {
        let place = format!("{}{ENGINE}", server.address);
        let request = server.http.request(method.parse().unwrap(), format!("http://{place}?{query}"));
        assert_eq!(answer(request).await.0, 400, "{method} {query}");
        let query = query.replace("polling", "websocket");
        assert_eq!(
            connect_async(format!("ws://{place}?{query}")).await.is_ok(),
            query.starts_with("EIO=4&transport=w")
        );
    }
    let sid = server.open(ENGINE).await;
    assert_eq!(server.post(ENGINE, &sid, "abc").await.0, 400);
    assert_eq!(server.get(ENGINE, &sid).await.0, 400);
}

/// Joins a namespace and reads the `auth` event.
async fn joined(server: &Server, namespace: &str) -> Socket {
    let mut socket = server.opened(SOCKET).await;
    join(&mut socket, namespace).await;
    socket
}

async fn join(socket: &mut Socket, namespace: &str) {
    let name = if namespace == "/" { String::new() } else { format!("{namespace},") };
    socket.send(&format!("40{name}{{\"token\":\"123\"}}")).await;
    let connected = socket.message().await.into_text().unwrap().to_string();
    let data: Value = serde_json::from_str(connected.strip_prefix(&format!("40{name}")).unwrap()).unwrap();
    assert!(data["sid"].is_string() && data.as_object().unwrap().len() == 1);
    assert_eq!(socket.message().await, Message::text(format!("42{name}[\"auth\",{{\"token\":\"123\"}}]")));
}

#[actix_rt::test]
async fn joins_leaves_and_refuses_namespaces() {
    let server = Server::start();
    let mut socket = joined(&server, "/").await;
    join(&mut socket, "/custom").await;
    socket.send("40/random").await;
    assert_eq!(socket.message().await, Message::text(r#"44/random,{"message":"Invalid namespace"}"#));
    socket.send(r#"42/custom,["message","there"]"#).await;
    assert_eq!(socket.message().await, Message::text(r#"42/custom,["message-back","there"]"#));
    socket.send("41/custom,").await;
    socket.send(r#"42["message",1,"2",{"3":[true]}]"#).await;
    assert_eq!(socket.message().await, Message::text(r#"42["message-back",1,"2",{"3":[true]}]"#));
    // The client is in no namespace any more.
    socket.send(r#"42/custom,["message"]"#).await;
    socket.ends().await;
    let mut socket = server.opened(SOCKET).await;
    socket.send("40").await;
    assert!(socket.message().await.into_text().unwrap().starts_with("40{"));
    assert_eq!(socket.message().await, Message::text(r#"42["auth",{}]"#));
    socket.send("41").await;
    assert_eq!(socket.text().await, "2", "the connection stays open");
}

#[actix_rt::test]
async fn events_and_acknowledgements_carry_binary_data() {
    let server = Server::start();
    let mut socket = joined(&server, "/").await;
    let placeholders = r#"{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}"#;
    for (sent, expected) in [
        (format!(r#"452-["message",{placeholders}]"#), format!(r#"452-["message-back",{placeholders}]"#)),
        (format!(r#"452-789["message-with-ack",{placeholders}]"#), format!("462-789[{placeholders}]")),
    ] {
        socket.send(&sent).await;
        socket.send_bytes(&[1, 2, 3]).await;
        socket.send_bytes(&[4, 5, 6]).await;
        assert_eq!(socket.message().await, Message::text(expected));
        assert_eq!(socket.message().await, Message::binary(vec![1, 2, 3]));
        assert_eq!(socket.message().await, Message::binary(vec![4, 5, 6]));
    }
    socket.send(r#"42456["message-with-ack",1,"2",{"3":[false]}]"#).await;
    assert_eq!(socket.message().await, Message::text(r#"43456[1,"2",{"3":[false]}]"#));
    // Sends the same over polling, with the attachments in base64.
    let sid = server.open(SOCKET).await;
    let sent = format!("40\u{1e}452-[\"message\",{placeholders}]\u{1e}bAQID\u{1e}bBAUG");
    assert_eq!(server.post(SOCKET, &sid, &sent).await.0, 200);
    let mut seen = String::new();
    while !seen.contains("message-back") {
        let (status, body) = server.get(SOCKET, &sid).await;
        assert_eq!(status, 200);
        seen.push_str(&body);
    }
    assert!(seen.contains(&format!("452-[\"message-back\",{placeholders}]\u{1e}bAQID\u{1e}bBAUG")), "{seen}");
}

#[actix_rt::test]
async fn closes_the_connection_on_invalid_packets() {
    let server = Server::start();
    for wrong in ["4abc", "42{}", "42[]", r#"42abc["message-with-ack",1]"#, r#"451-["message"]"#, "4", "48"] {
        let mut socket = joined(&server, "/").await;
        socket.send(wrong).await;
        if wrong.starts_with("451") {
            // Sends a text message where an attachment is expected.
            socket.send("40").await;
        }
        socket.ends().await;
    }
    let mut socket = server.opened(SOCKET).await;
    socket.send(r#"42["message"]"#).await;
    socket.ends().await;
}
