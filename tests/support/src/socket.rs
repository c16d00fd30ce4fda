//! Real-time connection over the native WebSocket, which is read frame by frame.

use std::collections::VecDeque;

use futures_util::{SinkExt, StreamExt};
use reqwest::header::HeaderMap;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{self, Message, Utf8Bytes};

use crate::new_id;
use crate::place::PATIENCE;
use crate::schema::check_frame;

/// Subprotocol of the WebSocket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    Json,
    MessagePack,
}

/// Frame of the real-time protocol.
#[derive(Clone, Debug)]
pub struct Frame {
    pub id: String,
    pub kind: String,
    pub timestamp: String,
    pub payload: Value,
    pub reply_to: Option<String>,
}

/// How the server has ended a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closed {
    /// Code of the close frame; 1006 if there was none.
    pub code: u16,
    pub reason: String,
}

/// Real-time connection. Frames that are skipped in order to find another one are kept for later
/// reads.
pub struct Socket {
    stream: WebSocketStream<TcpStream>,
    codec: Codec,
    /// Payload of the first frame, `hello`.
    pub hello: Value,
    waiting: VecDeque<Frame>,
}

impl Socket {
    /// Connects and reads the `hello`.
    pub async fn open(base: &str, path: &str, headers: HeaderMap, codec: Codec) -> Self {
        let opened = Self::try_open(base, path, headers, codec).await;
        let mut socket = opened.unwrap_or_else(|(status, body)| panic!("the upgrade got {status}: {body}"));
        let first = socket.next().await;
        assert_eq!(first.kind, "hello", "the first frame is {first:?}");
        socket.hello = first.payload;
        socket
    }

    /// Connects. If that is refused, returns the status and the body of the refusal.
    pub async fn try_open(base: &str, path: &str, headers: HeaderMap, codec: Codec) -> Result<Self, (u16, String)> {
        let place = base.trim_start_matches("http://");
        // The server may be below a path, which isn't part of the address.
        let address = place.split('/').next().unwrap_or(place).to_owned();
        let mut request = format!("ws://{place}{path}").into_client_request().expect("an address");
        for (name, value) in &headers {
            // The library uses the same version of the crate `http`.
            request.headers_mut().insert(name.clone(), value.clone());
        }
        let protocol = match codec {
            Codec::Json => "natter.json",
            Codec::MessagePack => "natter.msgpack",
        };
        request.headers_mut().insert("sec-websocket-protocol", protocol.parse().expect("a header"));
        let tcp = TcpStream::connect(&address).await.map_err(|error| (0, error.to_string()))?;
        tcp.set_nodelay(true).expect("a socket");
        match timeout(PATIENCE, tokio_tungstenite::client_async(request, tcp)).await.expect("the upgrade is answered") {
            Ok((stream, _)) => Ok(Self { stream, codec, hello: Value::Null, waiting: VecDeque::new() }),
            Err(tungstenite::Error::Http(answer)) => {
                let body = answer.body().as_deref().map(|body| String::from_utf8_lossy(body).into_owned());
                Err((answer.status().as_u16(), body.unwrap_or_default()))
            }
            Err(error) => Err((0, error.to_string())),
        }
    }

    // ---- Writing --------------------------------------------------------------------------------------------------

    /// Sends a frame and returns its id.
    pub async fn send(&mut self, kind: &str, payload: Value) -> String {
        let id = new_id();
        self.send_envelope(
            &json!({ "id": id, "type": kind, "timestamp": "2026-01-01T00:00:00.000Z", "payload": payload }),
        )
        .await;
        id
    }

    /// Sends any envelope, even an invalid one.
    pub async fn send_envelope(&mut self, envelope: &Value) {
        let message = match self.codec {
            Codec::Json => Message::Text(envelope.to_string().into()),
            Codec::MessagePack => Message::Binary(rmp_serde::to_vec_named(envelope).expect("writable").into()),
        };
        self.send_raw(message).await;
    }

    pub async fn send_text(&mut self, text: &str) {
        self.send_raw(Message::Text(Utf8Bytes::from(text))).await;
    }

    pub async fn send_bytes(&mut self, bytes: Vec<u8>) {
        self.send_raw(Message::Binary(bytes.into())).await;
    }

    /// Sends a message and ignores errors; [`Self::closed`] reads the reason if the connection is
    /// broken.
    pub async fn send_raw(&mut self, message: Message) {
        let _ = timeout(PATIENCE, self.stream.send(message)).await.expect("the server reads");
    }

    /// Sends a frame and reads the answer to it. Other frames are kept.
    pub async fn request(&mut self, kind: &str, payload: Value) -> Frame {
        let id = self.send(kind, payload).await;
        self.reply(&id).await
    }

    /// Reads the answer to an earlier frame.
    pub async fn reply(&mut self, id: &str) -> Frame {
        self.find(&format!("an answer to {id}"), |frame| frame.reply_to.as_deref() == Some(id)).await
    }

    /// Sends a message and returns the payload of its `ack`.
    pub async fn send_message(&mut self, conversation: &str, content: &str) -> Value {
        let body = json!({ "conversation_id": conversation, "client_id": new_id(), "content": content });
        let answer = self.request("message.send", body).await;
        assert_eq!(answer.kind, "ack", "{answer:?}");
        answer.payload
    }

    // ---- Reading --------------------------------------------------------------------------------------------------

    /// Returns the next frame that was not read yet.
    pub async fn next(&mut self) -> Frame {
        if let Some(frame) = self.waiting.pop_front() {
            return frame;
        }
        self.read().await.unwrap_or_else(|closed| panic!("the connection was closed: {closed:?}"))
    }

    /// Returns the next frame of this type; earlier ones are kept.
    pub async fn expect(&mut self, kind: &str) -> Frame {
        self.find(kind, |frame| frame.kind == kind).await
    }

    /// Returns the next frame of this type in this conversation; earlier ones are kept.
    pub async fn expect_in(&mut self, kind: &str, conversation: &str) -> Frame {
        let what = format!("{kind} in {conversation}");
        self.find(&what, |frame| frame.kind == kind && frame.payload["conversation_id"] == conversation).await
    }

    /// Returns the first frame that matches; earlier ones are kept.
    pub async fn find(&mut self, what: &str, mut fits: impl FnMut(&Frame) -> bool) -> Frame {
        if let Some(place) = self.waiting.iter().position(&mut fits) {
            return self.waiting.remove(place).expect("found before");
        }
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let read = tokio::time::timeout_at(deadline, self.read()).await;
            match read {
                Ok(Ok(frame)) if fits(&frame) => return frame,
                Ok(Ok(frame)) => self.waiting.push_back(frame),
                Ok(Err(closed)) => panic!("closed ({closed:?}) while waiting for {what}; seen: {:#?}", self.waiting),
                Err(_) => panic!("{what} not received; seen: {:#?}", self.waiting),
            }
        }
    }

    /// Sends a `ping` and returns all frames up to its answer. They include the effects of all
    /// earlier frames on this connection, so a test can prove that a frame was not sent.
    pub async fn drain(&mut self) -> Vec<Frame> {
        let ping = self.request("ping", json!({})).await;
        assert_eq!(ping.kind, "pong", "{ping:?}");
        self.waiting.drain(..).collect()
    }

    /// Returns the durable events of a conversation up to this `seq`, in the order in which they
    /// arrived.
    pub async fn read_until_seq(&mut self, conversation: &str, seq: i64) -> Vec<Frame> {
        let mut all = Vec::new();
        loop {
            let frame = self
                .find(&format!("seq {seq} of {conversation}"), |frame| {
                    frame.payload["conversation_id"] == conversation && frame.payload["seq"].is_i64()
                })
                .await;
            let last = frame.payload["seq"].as_i64() >= Some(seq);
            all.push(frame);
            if last {
                return all;
            }
        }
    }

    /// Waits for the end of the connection; all earlier frames are dropped.
    pub async fn closed(&mut self) -> Closed {
        self.waiting.clear();
        loop {
            if let Err(closed) = self.read().await {
                return closed;
            }
        }
    }

    async fn read(&mut self) -> Result<Frame, Closed> {
        let gone = |reason: String| Closed { code: 1006, reason };
        loop {
            let message = timeout(PATIENCE, self.stream.next())
                .await
                .unwrap_or_else(|_| panic!("nothing received for {PATIENCE:?}; seen: {:#?}", self.waiting));
            let value = match message {
                None => return Err(gone("the connection ended".into())),
                Some(Err(error)) => return Err(gone(error.to_string())),
                Some(Ok(Message::Close(close))) => {
                    // While it reads, the library answers the close frame.
                    while let Ok(Some(Ok(_))) = timeout(PATIENCE, self.stream.next()).await {}
                    return Err(match close {
                        Some(close) => Closed { code: close.code.into(), reason: close.reason.to_string() },
                        None => Closed { code: 1005, reason: String::new() },
                    });
                }
                Some(Ok(Message::Text(text))) => {
                    assert_eq!(self.codec, Codec::Json, "unexpected text frame: {text}");
                    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error} in {text}"))
                }
                Some(Ok(Message::Binary(bytes))) => {
                    assert_eq!(self.codec, Codec::MessagePack, "unexpected binary frame");
                    rmp_serde::from_slice(&bytes).expect("MessagePack")
                }
                Some(Ok(_)) => continue,
            };
            return Ok(Frame::of(&value));
        }
    }
}

impl Frame {
    /// Parses a frame. Panics unless it matches the API description.
    pub(crate) fn of(value: &Value) -> Self {
        let text = |name: &str| {
            value[name].as_str().unwrap_or_else(|| panic!("the envelope has no {name}: {value}")).to_owned()
        };
        check_frame(value);
        Self {
            id: text("id"),
            kind: text("type"),
            timestamp: text("timestamp"),
            payload: value["payload"].clone(),
            reply_to: value["reply_to"].as_str().map(str::to_owned),
        }
    }
}
