//! Engine.IO 4: sessions over HTTP long-polling or WebSocket. A session that starts with
//! long-polling may be upgraded to WebSocket.
//!
//! The engine is independent of the product. A [`SessionHandler`] handles the messages of a
//! session; a [`SessionHandlerFactory`] creates it. The product's Socket.IO connections are one
//! implementation, and `examples/socketio_conformance.rs` has others.
//!
//! A session lives on one thread, like everything that is sent to clients (see [`crate::sender`]).
//! A WebSocket session has a socket on that thread. A polling client sends many requests, each on
//! any thread: the session id contains the session's thread, and the [`SessionRouter`] passes the
//! request to it. Queued data are WebSocket frames in either case. A poll is answered with their
//! contents. After an upgrade they are written to the session's new socket. Each frame leaves the
//! queue once, so the upgrade loses and duplicates nothing.

pub mod http;
mod mailbox;
pub mod packet;
pub mod payload;
mod ping_schedule;
mod polling;
mod session_handler;
mod session_router;
mod sid;
mod websocket;

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use tokio::net::TcpStream;
use uuid::Uuid;

pub use session_handler::{Deadline, Message, SessionHandler, SessionHandlerFactory};
pub use session_router::{Body, PollResult, SessionRequest, SessionRouter, UpgradingSocket};
pub use sid::{InvalidSid, Sid};

use self::{mailbox::Mailbox, ping_schedule::PingSchedule, session_router::RoutedRequest};
use crate::{backlog::Backlog, close::Close, deflate::DeflateParams, frame, sender::Sender};

/// Settings of the engine.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Ping interval; 25 s by default.
    pub ping_interval: Duration,
    /// Additional time that the client waits for the next ping before it considers the server lost;
    /// 20 s by default.
    pub ping_timeout: Duration,
    /// Time without any packet after which a session ends; 45 s by default.
    pub silence_timeout: Duration,
    /// Maximum size of a WebSocket message and of a request body, in bytes; 1,000,000 by default.
    pub max_payload: usize,
    /// Limit on queued bytes; 256 KiB per client by default.
    pub backlog: Arc<Backlog>,
    /// Timeout of an upgrade to WebSocket; 10 s by default.
    pub upgrade_timeout: Duration,
    /// Minimum size of a frame to be compressed, in bytes, if the client supports compression;
    /// `None` (the default) disables compression.
    pub compress_from: Option<usize>,
    /// Maximum number of packets per second from a client; `None` (the default) means unlimited.
    pub packets_per_second: Option<u32>,
    /// Maximum number of unauthenticated polling sessions per thread; 10,000 by default. A limit is
    /// needed because such sessions cost the client nothing.
    pub max_unauthenticated: usize,
}

impl Default for Settings {
    fn default() -> Self {
        let (ping_interval, ping_timeout) = (Duration::from_secs(25), Duration::from_secs(20));
        Self {
            ping_interval,
            ping_timeout,
            silence_timeout: ping_interval + ping_timeout,
            max_payload: 1_000_000,
            backlog: Arc::new(Backlog::fixed(256 * 1024)),
            upgrade_timeout: Duration::from_secs(10),
            compress_from: None,
            packets_per_second: None,
            max_unauthenticated: 10_000,
        }
    }
}

/// Reason for refusing a request, as defined by the Engine.IO protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EngineRefusal {
    /// Transport other than polling or websocket.
    Transport,
    /// The session doesn't exist or has ended.
    UnknownSid,
    /// The request would start a session, but its method is not GET.
    Method,
    /// Any other invalid request.
    BadRequest,
    /// Unsupported protocol version.
    Version,
    /// The body exceeds the maximum payload size.
    TooLarge,
    /// The server accepts no more sessions at the moment.
    Full,
    /// The caller has too many sessions.
    TooMany,
}

impl EngineRefusal {
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::TooLarge => 413,
            Self::TooMany => 429,
            Self::Full => 503,
            _ => 400,
        }
    }

    #[must_use]
    pub const fn body(self) -> &'static str {
        match self {
            Self::Transport => r#"{"code":0,"message":"Transport unknown"}"#,
            Self::UnknownSid => r#"{"code":1,"message":"Session ID unknown"}"#,
            Self::Method => r#"{"code":2,"message":"Bad handshake method"}"#,
            Self::BadRequest => r#"{"code":3,"message":"Bad request"}"#,
            Self::TooLarge => r#"{"code":3,"message":"Payload too large"}"#,
            Self::Full => r#"{"code":4,"message":"Forbidden"}"#,
            Self::TooMany => r#"{"code":4,"message":"Too many sessions"}"#,
            Self::Version => r#"{"code":5,"message":"Unsupported protocol version"}"#,
        }
    }
}

/// Encodes the last frame for a client, depending on its transport.
#[must_use]
pub fn encode_close(sender: &Sender, close: Close) -> Bytes {
    if sender.socket().is_some() { frame::close_frame(close) } else { packet::encode_empty(packet::CLOSE) }
}

/// Socket of a client that requested WebSocket.
#[derive(Debug)]
pub struct Upgraded {
    pub socket: TcpStream,
    /// Bytes received after the request.
    pub unread: BytesMut,
    /// Response to the request.
    pub preface: Bytes,
    pub deflate: Option<DeflateParams>,
}

/// Sessions of one thread.
pub struct Engine<H: SessionHandlerFactory> {
    factory: H,
    settings: Settings,
    router: SessionRouter,
    thread: u16,
    /// Sessions that started with polling, by their secret. The mailbox is `None` once the session
    /// was upgraded to WebSocket.
    sessions: RefCell<HashMap<Uuid, Option<Rc<Mailbox>>>>,
    /// Number of unauthenticated polling sessions.
    unauthenticated: Cell<usize>,
}

impl<H: SessionHandlerFactory> Engine<H> {
    /// Starts the engine of this thread.
    #[must_use]
    pub fn start(host: H, settings: Settings, router: &SessionRouter) -> Rc<Self> {
        let (thread, visits) = router.register_thread();
        let engine = Rc::new(Self {
            factory: host,
            settings,
            router: router.clone(),
            thread,
            sessions: RefCell::default(),
            unauthenticated: Cell::new(0),
        });
        actix_rt::spawn(Rc::clone(&engine).receive(visits));
        engine
    }

    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    #[must_use]
    pub fn router(&self) -> &SessionRouter {
        &self.router
    }

    fn new_sid(&self) -> Sid {
        Sid::new(self.router.instance(), self.thread)
    }

    /// Starts a polling session and returns the response to its first request.
    pub fn open_polling(self: &Rc<Self>, caller: H::Caller) -> PollResult {
        if self.unauthenticated.get() >= self.settings.max_unauthenticated {
            return Err(EngineRefusal::Full);
        }
        let sid = self.new_sid();
        let sender = Rc::new(Sender::new(None, &self.settings.backlog));
        let guest = self.factory.receive(caller, Rc::clone(&sender))?;
        let mailbox: Rc<Mailbox> = Rc::default();
        self.sessions.borrow_mut().insert(sid.secret, Some(Rc::clone(&mailbox)));
        actix_rt::spawn(polling::serve(Rc::clone(self), sid, guest, sender, mailbox));
        Ok(packet::open(&sid, &self.settings, &["websocket"]).into())
    }

    /// Starts a WebSocket session. If the client is refused, returns the socket.
    pub fn open_websocket(
        self: &Rc<Self>,
        caller: H::Caller,
        upgraded: Upgraded,
    ) -> Result<(), (Upgraded, EngineRefusal)> {
        let sender = Rc::new(Sender::new(None, &self.settings.backlog));
        let guest = match self.factory.receive(caller, Rc::clone(&sender)) {
            Ok(guest) => guest,
            Err(refused) => return Err((upgraded, refused)),
        };
        let Upgraded { socket, unread, preface, deflate } = upgraded;
        sender.attach(socket);
        let opening = packet::open(&self.new_sid(), &self.settings, &[]);
        sender.push_first(preface);
        sender.push_first(frame::frame(frame::Kind::Text, opening.as_bytes()));
        sender.flush();
        websocket::compress(&sender, deflate, &self.settings);
        let (rhythm, inbound) =
            (PingSchedule::new(&self.settings, &guest), websocket::inbound(&self.settings, deflate, &unread));
        actix_rt::spawn(websocket::serve(guest, sender, inbound, rhythm));
        Ok(())
    }

    /// Receives requests that were routed to this thread.
    async fn receive(self: Rc<Self>, mut visits: tokio::sync::mpsc::UnboundedReceiver<RoutedRequest>) {
        while let Some(RoutedRequest { secret, call }) = visits.recv().await {
            let mailbox = self.sessions.borrow().get(&secret).cloned();
            match mailbox {
                Some(Some(mailbox)) => mailbox.push(call),
                Some(None) => call.refuse(EngineRefusal::BadRequest),
                None => call.refuse(EngineRefusal::UnknownSid),
            }
        }
    }

    fn remove_session(&self, sid: &Sid) {
        let mut sessions = self.sessions.borrow_mut();
        sessions.remove(&sid.secret);
        if sessions.capacity() > 64 && sessions.len() < sessions.capacity() / 4 {
            sessions.shrink_to_fit();
        }
    }
}
