//! Engine.IO 4: sessions that begin over HTTP long-polling or WebSocket, and may go over from the first to the second.
//!
//! The engine knows nothing of the product. What is said in a session is for its [`Guest`], which a [`Host`] makes for each; the product's
//! Socket.IO connections are one kind of guest, `examples/socketio_conformance.rs` has others.
//!
//! A session lives on one thread, as everything that is sent to clients does (see [`crate::sender`]). A session over WebSocket has that
//! thread's socket and nothing else. A client that polls comes with many requests, each on any thread: the session's name says where it
//! lives, and the [`SessionRouter`] brings the request there. What waits for the client are WebSocket frames in either case; for a poll they
//! are taken out of their frames, and when the client goes over to WebSocket the queue simply gets a socket. So nothing is lost or doubled
//! at the switch: each frame leaves the queue once.

mod guest;
pub mod http;
mod mailbox;
pub mod packet;
pub mod payload;
mod polling;
mod rhythm;
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

pub use guest::{Deadline, Guest, Host, Message};
pub use session_router::{Body, Call, PollResult, SessionRouter, Visitor};
pub use sid::{NoSid, Sid};

use self::{mailbox::Mailbox, rhythm::Rhythm, session_router::Visit};
use crate::{backlog::Backlog, close::Close, deflate::Agreement, frame, sender::Sender};

/// How sessions go about it.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How often a session is asked for a sign of life: 25 s.
    pub ping_interval: Duration,
    /// How long the client waits for the next ping beyond the interval, before it gives the server up: 20 s.
    pub ping_timeout: Duration,
    /// Silence that ends a session: 45 s.
    pub patience: Duration,
    /// Bytes of a message over WebSocket, and of the body of a request: 1,000,000.
    pub max_payload: usize,
    /// Bytes that may wait for a client: 256 KiB.
    pub backlog: Arc<Backlog>,
    /// How long a client may take to go over to WebSocket: 10 s.
    pub upgrade_timeout: Duration,
    /// Bytes from which a frame goes out compressed, where the client takes that; never by default.
    pub compress_from: Option<usize>,
    /// Packets that a client may send in a second; no limit by default.
    pub packets_per_second: Option<u32>,
    /// Sessions over long-polling of one thread whose client has not been let in: 10,000. They cost a stranger nothing.
    pub strangers: usize,
}

impl Default for Settings {
    fn default() -> Self {
        let (ping_interval, ping_timeout) = (Duration::from_secs(25), Duration::from_secs(20));
        Self {
            ping_interval,
            ping_timeout,
            patience: ping_interval + ping_timeout,
            max_payload: 1_000_000,
            backlog: Arc::new(Backlog::fixed(256 * 1024)),
            upgrade_timeout: Duration::from_secs(10),
            compress_from: None,
            packets_per_second: None,
            strangers: 10_000,
        }
    }
}

/// Why a request is refused, as Engine.IO's clients read it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The transport is neither polling nor websocket.
    Transport,
    /// There is no such session, or no more.
    UnknownSid,
    /// A session begins with GET.
    Method,
    /// Anything else that makes no sense.
    BadRequest,
    /// Another version of the protocol.
    Version,
    /// The body is longer than what may come at once.
    TooLarge,
    /// No more sessions just now.
    Full,
    /// No more sessions for this caller just now.
    TooMany,
}

impl Refused {
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

/// The last word to a client, by the way that there is to it.
#[must_use]
pub fn goodbye(sender: &Sender, close: Close) -> Bytes {
    if sender.socket().is_some() { frame::close_frame(close) } else { packet::bare(packet::CLOSE) }
}

/// A socket whose client asked for WebSocket.
#[derive(Debug)]
pub struct Upgraded {
    pub socket: TcpStream,
    /// What came behind the request.
    pub unread: BytesMut,
    /// The answer to the request.
    pub preface: Bytes,
    pub deflate: Option<Agreement>,
}

/// The sessions of one thread.
pub struct Engine<H: Host> {
    host: H,
    settings: Settings,
    router: SessionRouter,
    thread: u16,
    /// Sessions that began with polling, by their secret; without a mailbox once their client has gone over to WebSocket.
    sessions: RefCell<HashMap<Uuid, Option<Rc<Mailbox>>>>,
    /// Those of them whose client has not been let in.
    strangers: Cell<usize>,
}

impl<H: Host> Engine<H> {
    /// Starts the engine of this thread.
    #[must_use]
    pub fn start(host: H, settings: Settings, router: &SessionRouter) -> Rc<Self> {
        let (thread, visits) = router.open();
        let engine = Rc::new(Self {
            host,
            settings,
            router: router.clone(),
            thread,
            sessions: RefCell::default(),
            strangers: Cell::new(0),
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

    /// Begins a session whose client polls; the answer to its first request.
    pub fn open_polling(self: &Rc<Self>, caller: H::Caller) -> PollResult {
        if self.strangers.get() >= self.settings.strangers {
            return Err(Refused::Full);
        }
        let sid = self.new_sid();
        let sender = Rc::new(Sender::new(None, &self.settings.backlog));
        let guest = self.host.receive(caller, Rc::clone(&sender))?;
        let mailbox: Rc<Mailbox> = Rc::default();
        self.sessions.borrow_mut().insert(sid.secret, Some(Rc::clone(&mailbox)));
        actix_rt::spawn(polling::serve(Rc::clone(self), sid, guest, sender, mailbox));
        Ok(packet::open(&sid, &self.settings, &["websocket"]).into())
    }

    /// Begins a session over WebSocket. The socket comes back where the host does not take the client.
    pub fn open_websocket(self: &Rc<Self>, caller: H::Caller, upgraded: Upgraded) -> Result<(), (Upgraded, Refused)> {
        let sender = Rc::new(Sender::new(None, &self.settings.backlog));
        let guest = match self.host.receive(caller, Rc::clone(&sender)) {
            Ok(guest) => guest,
            Err(refused) => return Err((upgraded, refused)),
        };
        let Upgraded { socket, unread, preface, deflate } = upgraded;
        sender.attach(socket);
        let opening = packet::open(&self.new_sid(), &self.settings, &[]);
        sender.greet(preface);
        sender.greet(frame::frame(frame::Kind::Text, opening.as_bytes()));
        sender.flush();
        websocket::compress(&sender, deflate, &self.settings);
        let (rhythm, inbound) =
            (Rhythm::new(&self.settings, &guest), websocket::inbound(&self.settings, deflate, &unread));
        actix_rt::spawn(websocket::serve(guest, sender, inbound, rhythm));
        Ok(())
    }

    /// Takes what is brought to this thread.
    async fn receive(self: Rc<Self>, mut visits: tokio::sync::mpsc::UnboundedReceiver<Visit>) {
        while let Some(Visit { secret, call }) = visits.recv().await {
            let mailbox = self.sessions.borrow().get(&secret).cloned();
            match mailbox {
                Some(Some(mailbox)) => mailbox.put(call),
                Some(None) => call.refuse(Refused::BadRequest),
                None => call.refuse(Refused::UnknownSid),
            }
        }
    }

    fn forget(&self, sid: &Sid) {
        let mut sessions = self.sessions.borrow_mut();
        sessions.remove(&sid.secret);
        if sessions.capacity() > 64 && sessions.len() < sessions.capacity() / 4 {
            sessions.shrink_to_fit();
        }
    }
}
