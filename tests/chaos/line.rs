//! Connection of a client, in each of the supported protocols. It can be cut at any time.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use support::{Member, Value, json, new_id};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

/// Time without an answer after which the client considers the server gone.
const PATIENCE: Duration = Duration::from_secs(6);
/// Time for which the client looks for a close frame after the connection has ended.
const FAREWELL: Duration = Duration::from_millis(200);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Json,
    MessagePack,
    SocketIo,
}

pub struct Line {
    stream: WebSocketStream<TcpStream>,
    form: Form,
    emitted: u64,
}

/// Decoded frame, of any of the protocols.
#[derive(Debug)]
pub struct Incoming {
    pub kind: String,
    pub payload: Value,
    /// Id of the frame that this frame answers; see [`Line::send`].
    pub answers: Option<String>,
}

/// Error if the connection has ended, with the code of the close frame.
#[derive(Clone, Copy, Debug)]
pub struct Over(pub Option<u16>);

impl Line {
    pub async fn open(member: &Member, form: Form) -> Option<Self> {
        tokio::time::timeout(PATIENCE, Self::try_open(member, form)).await.ok()?
    }

    async fn try_open(member: &Member, form: Form) -> Option<Self> {
        let address = member.base().trim_start_matches("http://").to_owned();
        let path = match form {
            Form::Json | Form::MessagePack => "/r1/websocket",
            Form::SocketIo => "/socket.io/?EIO=4&transport=websocket",
        };
        let mut request = format!("ws://{address}{path}").into_client_request().ok()?;
        let protocol = match form {
            Form::Json => Some("natter.json"),
            Form::MessagePack => Some("natter.msgpack"),
            Form::SocketIo => None,
        };
        if let Some(protocol) = protocol {
            request.headers_mut().extend(member.headers());
            request.headers_mut().insert("sec-websocket-protocol", protocol.parse().ok()?);
        }
        let tcp = TcpStream::connect(&address).await.ok()?;
        tcp.set_nodelay(true).ok()?;
        let (stream, _) = tokio_tungstenite::client_async(request, tcp).await.ok()?;
        let mut line = Self { stream, form, emitted: 0 };
        if form == Form::SocketIo {
            line.packet('0').await?;
            line.write(Message::text(format!("40{}", json!({ "token": member.access_token() })))).await?;
            line.packet('4').await?;
        }
        Some(line)
    }

    /// Reads packets of Engine.IO up to the first of this type.
    async fn packet(&mut self, kind: char) -> Option<String> {
        loop {
            match self.stream.next().await?.ok()? {
                Message::Text(text) if text.starts_with(kind) => return Some(text.to_string()),
                Message::Close(_) => return None,
                _ => {}
            }
        }
    }

    async fn write(&mut self, message: Message) -> Option<()> {
        tokio::time::timeout(PATIENCE, self.stream.send(message)).await.ok()?.ok()
    }

    /// Sends a frame that the server answers. Returns its id.
    pub async fn send(&mut self, kind: &str, payload: Value) -> Option<String> {
        if self.form == Form::SocketIo {
            self.emitted += 1;
            let number = self.emitted;
            self.write(Message::text(format!("42{number}{}", json!([kind, payload])))).await?;
            return Some(number.to_string());
        }
        let id = new_id();
        let frame = json!({ "id": id, "type": kind, "timestamp": "2026-01-01T00:00:00.000Z", "payload": payload });
        let message = match self.form {
            Form::MessagePack => Message::binary(rmp_serde::to_vec_named(&frame).ok()?),
            Form::Json | Form::SocketIo => Message::text(frame.to_string()),
        };
        self.write(message).await?;
        Some(id)
    }

    /// Looks for a close frame that was received before a write failed; it may be behind unread
    /// frames.
    pub async fn goodbye(&mut self) -> Option<u16> {
        let read = async {
            loop {
                if let Err(Over(code)) = self.next().await {
                    return code;
                }
            }
        };
        tokio::time::timeout(FAREWELL, read).await.ok().flatten()
    }

    /// Receives the next frame. Can be cancelled without losing a frame.
    pub async fn next(&mut self) -> Result<Incoming, Over> {
        loop {
            let message = match self.stream.next().await {
                Some(Ok(message)) => message,
                Some(Err(_)) | None => return Err(Over(None)),
            };
            match message {
                Message::Close(close) => return Err(Over(close.map(|close| close.code.into()))),
                Message::Text(text) if self.form == Form::SocketIo => {
                    if text == "2" {
                        self.write(Message::text("3")).await.ok_or(Over(None))?;
                    } else if let Some(incoming) = event(&text) {
                        return Ok(incoming);
                    } else if text == "41" || text == "1" {
                        return Err(Over(Some(1000)));
                    }
                }
                Message::Text(text) => return frame(&serde_json::from_str(&text).map_err(|_| Over(None))?),
                Message::Binary(bytes) => return frame(&rmp_serde::from_slice(&bytes).map_err(|_| Over(None))?),
                _ => {}
            }
        }
    }
}

fn frame(value: &Value) -> Result<Incoming, Over> {
    Ok(Incoming {
        kind: value["type"].as_str().ok_or(Over(None))?.to_owned(),
        payload: value["payload"].clone(),
        answers: value["reply_to"].as_str().map(str::to_owned),
    })
}

/// Decodes an event or acknowledgement of Socket.IO.
fn event(text: &str) -> Option<Incoming> {
    if let Some(event) = text.strip_prefix("42") {
        let (kind, payload): (String, Value) = serde_json::from_str(event).ok()?;
        return Some(Incoming { kind, payload, answers: None });
    }
    let answer = text.strip_prefix("43")?;
    let (number, arguments) = answer.split_at(answer.find('[')?);
    let (payload,): (Value,) = serde_json::from_str(arguments).ok()?;
    let kind = match &payload {
        payload if payload["code"].is_string() => "error",
        payload if payload["message_id"].is_string() => "ack",
        _ => "sync.done",
    };
    Some(Incoming { kind: kind.to_owned(), payload, answers: Some(number.to_owned()) })
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;
    use tokio_tungstenite::tungstenite::protocol::{CloseFrame, frame::coding::CloseCode};

    use super::*;

    #[tokio::test]
    async fn a_failed_write_does_not_hide_the_close_frame() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tokio::spawn(async move {
            let (socket, _) = listener.accept().await.unwrap();
            let mut stream = tokio_tungstenite::accept_async(socket).await.unwrap();
            stream.send(Message::text("{}")).await.unwrap();
            let close = CloseFrame { code: CloseCode::Restart, reason: "".into() };
            stream.send(Message::Close(Some(close))).await.unwrap();
        });
        let tcp = TcpStream::connect(address).await.unwrap();
        let (stream, _) = tokio_tungstenite::client_async(format!("ws://{address}/"), tcp).await.unwrap();
        let mut line = Line { stream, form: Form::SocketIo, emitted: 0 };
        server.await.unwrap();
        while line.send("ping", json!({})).await.is_some() {}
        assert_eq!(line.goodbye().await, Some(1012));
    }
}
