//! From a Socket.IO handshake to a connection: until the client has said who it is.

use std::{rc::Rc, time::Duration};

use actix_http::HttpMessage as _;
use appcore::{AppError, Code, ConnectionId};
use bytes::{BufMut, Bytes, BytesMut};
use service::accounts;
use tokio::{io::AsyncWriteExt as _, net::TcpStream, time::Instant};

use crate::{
    close::Close,
    codec::{
        Wire,
        socketio::{self, Packed, engine},
    },
    connection::Opening,
    deflate::Agreement,
    frame::{self, Incoming},
    handshake,
    shard::Shard,
    socket::{Gone, Inbound},
    upgrade::{Knock, REFUSAL, Refusal, Token, agree, drain, inbound, prepare, query, verify},
};

/// How long a client has to say who it is.
const INTRODUCTION: Duration = Duration::from_secs(10);
/// How often it may try.
const INTRODUCTIONS: usize = 5;

/// Opens a connection; whose it is is said later.
pub(crate) async fn open(shard: &Rc<Shard>, knock: Knock) -> Result<Option<String>, (Refusal, Knock)> {
    let checked = match query(&knock.request, "transport").as_deref() {
        _ if query(&knock.request, "EIO").as_deref() != Some("4") => Err(engine_refusal(engine::Refused::Version)),
        Some("websocket") if query(&knock.request, "sid").is_some() => Err(engine_refusal(engine::Refused::UnknownSid)),
        Some("websocket") => verify(&knock.request),
        _ => Err(engine_refusal(engine::Refused::Transport)),
    };
    if let Err(refusal) = checked {
        return Err((refusal, knock));
    }
    let Knock { request, socket, unread, token, is_own_origin, request_id } = knock;
    let deflate = agree(shard, request.headers());
    let inbound = inbound(shard, deflate, &unread);
    let mut preface = BytesMut::from(&handshake::switching(request.headers(), None, deflate, &request_id)[..]);
    drop((request, unread));
    preface.put_slice(&engine::encode_open(ConnectionId::new(), shard.app().config.realtime.heartbeat));
    let introduction = Introduction {
        shard: Rc::clone(shard),
        socket,
        inbound,
        packets: Box::default(),
        deflate,
        token,
        is_own_origin,
    };
    actix_rt::spawn(introduction.run(preface.freeze()));
    Ok(None)
}

fn engine_refusal(refused: engine::Refused) -> Refusal {
    Refusal { error: Code::MalformedRequest.into(), headers: Vec::new(), body: Some(refused.body()) }
}

/// A Socket.IO client that has not said yet who it is.
struct Introduction {
    shard: Rc<Shard>,
    socket: TcpStream,
    inbound: Inbound,
    packets: Box<socketio::Decoder>,
    deflate: Option<Agreement>,
    token: Option<Token>,
    is_own_origin: bool,
}

impl Introduction {
    async fn run(mut self, preface: Bytes) {
        let deadline = Instant::now() + INTRODUCTION;
        let opened = tokio::time::timeout_at(deadline, async {
            self.socket.write_all(&preface).await.map_err(|_| None)?;
            self.listen().await
        });
        match opened.await {
            Ok(Ok(opening)) => {
                let connected = socketio::encode_connected(&ConnectionId::new().to_string());
                opening.open(self.socket, connected, self.inbound, Some(self.packets)).run().await;
            }
            Ok(Err(None)) => {}
            Ok(Err(Some(close))) => bid_farewell(self.socket, close).await,
            Err(_) => bid_farewell(self.socket, Close::CREDENTIALS).await,
        }
    }

    /// Until somebody is let in. An error ends it, with a word or without.
    async fn listen(&mut self) -> Result<Opening, Option<Close>> {
        let mut tries = 0;
        loop {
            while let Some(message) = self.inbound.next_message().map_err(Some)? {
                let (namespace, token) = match self.packed(message)? {
                    Packed::Connect { namespace, token } => (namespace, token),
                    Packed::Disconnect => return Err(None),
                    // Whoever speaks before the introduction is not heard.
                    Packed::Request(_) | Packed::Nothing => continue,
                };
                tries += 1;
                if tries > INTRODUCTIONS {
                    return Err(Some(Close::CREDENTIALS));
                }
                if &*namespace != "/" {
                    self.tell(&socketio::encode_refused(&namespace, "Invalid namespace", Code::NotFound)).await?;
                    continue;
                }
                match self.admit(token).await {
                    Ok(opening) => return Ok(opening),
                    Err(error) => {
                        self.tell(&socketio::encode_refused("/", &error.sentence(), error.code())).await?;
                        if error.code() == Code::CrossSite {
                            return Err(Some(Close::ORIGIN));
                        }
                    }
                }
            }
            self.socket.readable().await.map_err(|_| None)?;
            self.inbound.receive(&self.socket).map_err(|Gone| None)?;
        }
    }

    fn packed(&mut self, message: Incoming) -> Result<Packed, Option<Close>> {
        match message {
            Incoming::Ping(_) | Incoming::Pong => Ok(Packed::Nothing),
            Incoming::Close(_) => Err(None),
            Incoming::Binary(bytes) => self.packets.binary(bytes).map_err(Some),
            Incoming::Text(text) => match engine::decode(text.as_str()).map_err(Some)? {
                engine::Packet::Close => Err(None),
                engine::Packet::Message(data) => self.packets.text(data).map_err(Some),
                engine::Packet::Ping(_) | engine::Packet::Pong | engine::Packet::Noop => Ok(Packed::Nothing),
            },
        }
    }

    async fn admit(&self, token: Option<String>) -> Result<Opening, AppError> {
        let principal = match (&token, &self.token) {
            (Some(token), _) => accounts::authenticate(self.shard.app(), token).await?,
            (None, Some(token)) if token.by_cookie && !self.is_own_origin => return Err(Code::CrossSite.into()),
            (None, Some(token)) => accounts::authenticate(self.shard.app(), &token.text).await?,
            (None, None) => return Err(Code::Unauthenticated.into()),
        };
        prepare(&self.shard, principal, Wire::SocketIo, self.deflate).await
    }

    async fn tell(&mut self, frame: &[u8]) -> Result<(), Option<Close>> {
        self.socket.write_all(frame).await.map_err(|_| None)
    }
}

async fn bid_farewell(mut socket: TcpStream, close: Close) {
    let _ = tokio::time::timeout(REFUSAL, async {
        socket.write_all(&frame::close_frame(close)).await?;
        drain(&mut socket).await
    })
    .await;
}
