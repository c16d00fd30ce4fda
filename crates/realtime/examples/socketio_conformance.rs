//! Conformance server: the Engine.IO and Socket.IO implementation without the product, with the
//! behaviour that the public test suites of Engine.IO (protocol 4) and Socket.IO (protocol 5)
//! expect. Listens on port 3000; `/engine.io/` echoes messages, `/socket.io/` has the namespaces
//! `/` and `/custom`.
//!
//! `cargo run -p realtime --example socketio_conformance`

use std::{io, net::TcpListener, rc::Rc, sync::Arc, time::Duration};

use actix_codec::Framed;
use actix_http::{HttpMessage as _, HttpService, Request, h1, ws};
use actix_server::Server;
use actix_service::{fn_service, map_config};
use actix_web::{App, Error, HttpRequest, HttpResponse, dev::AppConfig, web};
use bytes::Bytes;
use realtime::{
    backlog::Backlog,
    close::Close,
    codec::socketio::packet::{self, Content, Decoder, MAIN, Packet},
    engine::{
        self, Engine, EngineRefusal, Message, SessionHandler, SessionHandlerFactory, SessionRouter, Settings, Sid,
        Upgraded,
        http::{self, EngineQuery, Transport},
    },
    frame::{self, Kind},
    handshake,
    sender::Sender,
};
use tokio::{io::AsyncWriteExt as _, net::TcpStream};
use uuid::Uuid;

const PORT: u16 = 3000;
/// Delay between the response to a connect packet and the event that follows it. The suites install
/// a new listener for each message. They would miss the second of two messages that arrive
/// together.
const PAUSE: Duration = Duration::from_millis(10);

fn settings() -> Settings {
    Settings {
        ping_interval: Duration::from_millis(300),
        ping_timeout: Duration::from_millis(200),
        silence_timeout: Duration::from_millis(500),
        max_payload: 1_000_000,
        backlog: Arc::new(Backlog::fixed(4_000_000)),
        ..Settings::default()
    }
}

/// Queues frames for a client. Returns an error for a client that doesn't read.
fn send(sender: &Sender, frames: impl IntoIterator<Item = Bytes>) -> Result<(), Close> {
    for frame in frames {
        if !sender.push(frame) {
            return Err(Close::TOO_SLOW);
        }
    }
    sender.flush();
    Ok(())
}

/// Echoes every message.
struct Echo;

struct Echoing(Rc<Sender>);

impl SessionHandlerFactory for Echo {
    type Caller = ();
    type Handler = Echoing;

    fn receive(&self, (): (), sender: Rc<Sender>) -> Result<Echoing, EngineRefusal> {
        Ok(Echoing(sender))
    }
}

impl SessionHandler for Echoing {
    async fn handle_message(&mut self, message: Message<'_>) -> Result<(), Close> {
        let frame = match message {
            Message::Text(text) => engine::packet::message(text),
            Message::Binary(bytes) => frame::frame(Kind::Binary, &bytes),
        };
        send(&self.0, [frame])
    }

    fn close(&self, close: Close) {
        self.0.close(close, [engine::encode_close(&self.0, close)]);
    }
}

/// Serves the namespaces `/` and `/custom`.
struct Namespaces;

struct Visitor {
    sender: Rc<Sender>,
    packets: Decoder,
    joined: Vec<Box<str>>,
}

impl SessionHandlerFactory for Namespaces {
    type Caller = ();
    type Handler = Visitor;

    fn receive(&self, (): (), sender: Rc<Sender>) -> Result<Visitor, EngineRefusal> {
        Ok(Visitor { sender, packets: Decoder::new(1_000_000, 16), joined: Vec::new() })
    }
}

impl Visitor {
    fn take_packet(&mut self, Packet { namespace, content }: Packet) -> Result<(), Close> {
        let is_in = self.joined.contains(&namespace);
        match content {
            Content::Connect(_) if is_in => Ok(()),
            Content::Connect(_) if !matches!(&*namespace, MAIN | "/custom") => {
                send(&self.sender, [packet::refused(&namespace, "Invalid namespace")])
            }
            Content::Connect(auth) => {
                let auth = auth.as_ref().map_or("{}", |auth| auth.as_str());
                serde_json::from_str::<serde::de::IgnoredAny>(auth).map_err(|_| Close::PROTOCOL)?;
                let connected = packet::connected(&namespace, &Uuid::new_v4().to_string());
                let greeting = packet::packet(b'2', &namespace, None, &format!("[\"auth\",{auth}]"));
                self.joined.push(namespace);
                send(&self.sender, [connected])?;
                let sender = Rc::clone(&self.sender);
                actix_rt::spawn(async move {
                    tokio::time::sleep(PAUSE).await;
                    if let Err(close) = send(&sender, [greeting]) {
                        sender.close(close, [engine::encode_close(&sender, close)]);
                    }
                });
                Ok(())
            }
            Content::Disconnect => {
                self.joined.retain(|joined| *joined != namespace);
                Ok(())
            }
            Content::Event { number, data, attachments } if is_in => {
                let event = packet::event(data.as_str())?;
                let arguments: Vec<&str> = event.arguments.iter().map(|argument| argument.get()).collect();
                match (&*event.name, number) {
                    ("message", _) => {
                        let name = std::iter::once("\"message-back\"");
                        let data = format!("[{}]", name.chain(arguments).collect::<Vec<_>>().join(","));
                        send(&self.sender, packet::event_frames(&namespace, &data, attachments))
                    }
                    ("message-with-ack", Some(number)) => {
                        let data = format!("[{}]", arguments.join(","));
                        send(&self.sender, packet::acknowledgement_frames(&namespace, number, &data, attachments))
                    }
                    _ => Ok(()),
                }
            }
            Content::Event { .. } => Err(Close::PROTOCOL),
            Content::Acknowledgement => Ok(()),
        }
    }
}

impl SessionHandler for Visitor {
    async fn handle_message(&mut self, message: Message<'_>) -> Result<(), Close> {
        let packet = match message {
            Message::Text(text) => self.packets.text(text)?,
            Message::Binary(bytes) => self.packets.binary(bytes)?,
        };
        packet.map_or(Ok(()), |packet| self.take_packet(packet))
    }

    fn close(&self, close: Close) {
        self.sender.close(close, [engine::encode_close(&self.sender, close)]);
    }
}

/// The two engines of a thread.
struct Engines {
    echo: Rc<Engine<Echo>>,
    namespaces: Rc<Engine<Namespaces>>,
}

async fn poll(request: HttpRequest, payload: web::Payload) -> HttpResponse {
    let Some(engines) = request.app_data::<Rc<Engines>>() else { return HttpResponse::NotFound().finish() };
    let question = match EngineQuery::parse(request.uri().query()) {
        Ok(question) => question,
        Err(refused) => return http::respond(Err(refused)),
    };
    match request.path() {
        "/engine.io/" => {
            http::respond(http::poll(&engines.echo, request.method(), question, payload, |_| Ok(()), || ()).await)
        }
        "/socket.io/" => {
            http::respond(http::poll(&engines.namespaces, request.method(), question, payload, |_| Ok(()), || ()).await)
        }
        _ => HttpResponse::NotFound().finish(),
    }
}

/// Opens a session, or upgrades an existing one. If the request is refused, returns its socket.
async fn take_over<H: SessionHandlerFactory<Caller = ()>>(
    engine: &Rc<Engine<H>>,
    sid: Option<Sid>,
    upgraded: Upgraded,
) -> Option<(TcpStream, EngineRefusal)> {
    match sid {
        None => engine.open_websocket((), upgraded).err().map(|(upgraded, refused)| (upgraded.socket, refused)),
        Some(sid) => http::upgrade(engine, &sid, upgraded).await.err().flatten(),
    }
}

async fn upgrade(engines: Rc<Engines>, request: Request, framed: Framed<TcpStream, h1::Codec>) -> Result<(), Error> {
    let parts = framed.into_parts();
    let (socket, unread) = (parts.io, parts.read_buf);
    let refused = match EngineQuery::parse(request.uri().query()) {
        Err(refused) => Some((socket, refused)),
        Ok(_) if ws::verify_handshake(request.head()).is_err() => Some((socket, EngineRefusal::BadRequest)),
        Ok(EngineQuery { transport: Transport::Polling, .. }) => Some((socket, EngineRefusal::BadRequest)),
        Ok(EngineQuery { sid, .. }) => {
            let preface = handshake::encode_switching_protocols(request.headers(), None, None, "conformance");
            let upgraded = Upgraded { socket, unread, preface, deflate: None };
            match request.path() {
                "/socket.io/" => take_over(&engines.namespaces, sid, upgraded).await,
                "/engine.io/" => take_over(&engines.echo, sid, upgraded).await,
                _ => Some((upgraded.socket, EngineRefusal::BadRequest)),
            }
        }
    };
    if let Some((mut socket, refused)) = refused {
        let body = refused.body();
        let head = format!("HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
        socket.write_all(&[head.as_bytes(), body.as_bytes()].concat()).await?;
    }
    Ok(())
}

/// Starts the server on this listener.
pub fn serve(listener: TcpListener) -> io::Result<Server> {
    let (echo, namespaces) = (SessionRouter::new(Uuid::new_v4()), SessionRouter::new(Uuid::new_v4()));
    let server = Server::build().workers(1).shutdown_timeout(1).listen("conformance", listener, move || {
        let engines = Rc::new(Engines {
            echo: Engine::start(Echo, settings(), &echo),
            namespaces: Engine::start(Namespaces, settings(), &namespaces),
        });
        let application = App::new().app_data(Rc::clone(&engines)).default_service(web::to(poll));
        HttpService::build()
            .tcp_nodelay(true)
            // A client that closes its sending direction has cancelled its poll.
            .h1_allow_half_closed(false)
            .upgrade(fn_service(move |(request, framed)| upgrade(Rc::clone(&engines), request, framed)))
            .h1(map_config(application, |_| AppConfig::default()))
            .tcp()
    })?;
    Ok(server.run())
}

#[allow(dead_code, reason = "the tests include this file and serve elsewhere")]
fn main() -> io::Result<()> {
    actix_rt::System::new().block_on(async {
        // Listens on both address families if available, because `localhost` may resolve to either.
        let listener = TcpListener::bind(("::", PORT)).or_else(|_| TcpListener::bind(("0.0.0.0", PORT)))?;
        listener.set_nonblocking(true)?;
        serve(listener)?.await
    })
}
