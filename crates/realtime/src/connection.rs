//! The task of one connection: reads the socket, and sees to its end.
//!
//! It reads only while the session has places left for commands, so a client that asks faster than it is answered is slowed down by
//! TCP and not by memory. It waits for the socket to take more when a write was cut short. And when it was decided (by anyone) that the
//! connection ends, it gives the goodbye a short time to arrive and then drops the socket, whether the client reads or not.

use std::{rc::Rc, time::Duration};

use appcore::{AppError, Code, auth::Principal};
use bytes::{Bytes, BytesMut};
use tokio::{net::TcpStream, time::Instant};

use crate::{
    broadcaster::Permit,
    close::Close,
    codec::{
        Envelope, Request, Wire, json, msgpack,
        socketio::{self, Packed, engine},
    },
    flood::Allowance,
    frame::{self, Incoming, Kind},
    greeting,
    outbound::{Identity, Outbound},
    session::{Inbox, Speaker, WsSession},
    shard::{Arrival, Shard},
};

/// Bytes that one read takes.
const CHUNK: usize = 4_096;
/// Bytes after which others get the thread.
const TURN: usize = 64 * 1024;
/// How long a client may take to read the goodbye.
const FAREWELL: Duration = Duration::from_secs(10);
/// How long after the goodbye the client's own is waited for.
const LINGER: Duration = Duration::from_secs(1);

/// What a client sends, cut into messages.
pub(crate) struct Inbound {
    reader: frame::Reader,
    buffer: BytesMut,
    /// Only for Socket.IO.
    packets: Option<Box<socketio::Decoder>>,
    /// None: as many as it likes.
    allowance: Option<Allowance>,
}

impl Inbound {
    /// `unread` came with the request that opened the connection.
    pub(crate) fn new(shard: &Shard, wire: Wire, unread: &[u8]) -> Self {
        let config = &shard.app().config;
        let allowance =
            config.rate_limit.enabled.then(|| Allowance::new(config.realtime.max_frames_per_second, Instant::now()));
        Self {
            reader: frame::Reader::default(),
            buffer: BytesMut::from(unread),
            packets: (wire == Wire::SocketIo).then(Box::default),
            allowance,
        }
    }

    /// Reads what is there. An error is the end.
    pub(crate) fn receive(&mut self, socket: &TcpStream) -> Result<usize, Gone> {
        let mut chunk = [0; CHUNK];
        match socket.try_read(&mut chunk) {
            Ok(0) => Err(Gone),
            Ok(read) => {
                self.buffer.extend_from_slice(&chunk[..read]);
                Ok(read)
            }
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => Ok(0),
            Err(_) => Err(Gone),
        }
    }

    /// The next message, if it is all there. An empty buffer gives its memory back.
    pub(crate) fn next(&mut self) -> Result<Option<Incoming>, Close> {
        if self.buffer.is_empty() {
            return Ok(None);
        }
        let message = self.reader.next(&mut self.buffer)?;
        if self.buffer.is_empty() {
            self.buffer = BytesMut::new();
        }
        if let (Some(_), Some(allowance)) = (&message, &mut self.allowance)
            && !allowance.take(Instant::now())
        {
            return Err(Close::FLOOD);
        }
        Ok(message)
    }

    pub(crate) fn packets(&mut self) -> &mut socketio::Decoder {
        self.packets.get_or_insert_default()
    }
}

/// The other side has closed the socket.
pub(crate) struct Gone;

/// Everything that a connection needs to go live.
pub(crate) struct Opening {
    pub shard: Rc<Shard>,
    pub principal: Principal,
    pub permit: Permit,
    pub arrival: Arrival,
    pub followed: Vec<(appcore::ConversationId, i64)>,
    pub wire: Wire,
}

impl Opening {
    /// Goes live: the greeting comes first, after `preface`, and everything that happens from here on behind it.
    pub(crate) fn open(self, socket: TcpStream, preface: Bytes, inbound: Inbound) -> Connection {
        let Self { shard, principal, permit, arrival, followed, wire } = self;
        let app = shard.app();
        let out = Outbound::new(&Identity::from(&principal), wire, Some(socket), app.config.realtime.backlog_bytes);
        let conversations = arrival.settle(&followed, Some(&out));
        let now = app.clock.now();
        let hello = greeting::hello(app, &principal, &conversations, now);
        out.greet(preface);
        out.greet(wire.encode(&Envelope::control("hello", now, &hello, None)));
        out.flush();
        shard.watch(&out);
        if shard.is_draining() {
            out.close(Close::RESTARTING);
        }
        shard.end_when_expired(&out);
        let inbox = WsSession::start(Speaker { shard: Rc::clone(&shard), out: Rc::clone(&out), principal }, permit);
        Connection { shard, out, inbox, inbound }
    }
}

/// A connection that is live.
pub(crate) struct Connection {
    shard: Rc<Shard>,
    out: Rc<Outbound>,
    inbox: Rc<Inbox>,
    inbound: Inbound,
}

impl Connection {
    /// Serves it to its end.
    pub(crate) async fn run(mut self) {
        self.exchange().await;
        self.shard.leave(&self.out);
        self.inbox.close();
        if !self.out.is_broken() {
            Box::pin(see_off(&self.out)).await;
        }
        self.out.give_up();
    }

    async fn exchange(&mut self) {
        let out = Rc::clone(&self.out);
        let Some(socket) = out.socket() else { return };
        // The client may have sent frames along with its request.
        self.take_messages();
        let mut in_turn = 0;
        while out.is_open() {
            let reads = self.inbox.has_place();
            tokio::select! {
                biased;
                () = out.woken() => self.take_messages(),
                ready = socket.writable(), if out.is_blocked() => match ready {
                    Ok(()) => out.unblock(),
                    Err(_) => return out.give_up(),
                },
                ready = socket.readable(), if reads => {
                    if ready.is_err() {
                        return out.give_up();
                    }
                    match self.inbound.receive(socket) {
                        Ok(0) => {}
                        Ok(read) => {
                            in_turn += read;
                            out.heard();
                            self.take_messages();
                        }
                        Err(Gone) => return out.give_up(),
                    }
                }
            }
            if in_turn >= TURN {
                in_turn = 0;
                tokio::task::yield_now().await;
            }
        }
    }

    /// Hands on what has arrived, as far as there are places for it.
    fn take_messages(&mut self) {
        while self.out.is_open() && self.inbox.has_place() {
            let taken = match self.inbound.next() {
                Ok(Some(message)) => self.take(message),
                Ok(None) => return,
                Err(close) => Err(close),
            };
            if let Err(close) = taken {
                self.out.close(close);
            }
        }
    }

    fn take(&mut self, message: Incoming) -> Result<(), Close> {
        match message {
            Incoming::Pong => {}
            Incoming::Ping(data) => self.shard.push(&self.out, frame::frame(Kind::Pong, &data)),
            Incoming::Close => return Err(Close::NORMAL),
            Incoming::Text(text) => match self.out.wire {
                Wire::MessagePack => self.ask(wrong_form("This connection speaks MessagePack, in binary frames.")),
                Wire::SocketIo => return self.take_packet(text.as_str()),
                Wire::Json | Wire::Sse => self.ask(json::decode(text.as_str())),
            },
            Incoming::Binary(bytes) => match self.out.wire {
                Wire::MessagePack => self.ask(msgpack::decode(&bytes)),
                Wire::SocketIo => {
                    let packed = self.inbound.packets().binary(bytes)?;
                    return self.take_packed(packed);
                }
                Wire::Json | Wire::Sse => self.ask(wrong_form("This connection speaks JSON, in text frames.")),
            },
        }
        Ok(())
    }

    fn take_packet(&mut self, text: &str) -> Result<(), Close> {
        match engine::decode(text)? {
            engine::Packet::Close => Err(Close::NORMAL),
            engine::Packet::Ping(data) => {
                self.shard.push(&self.out, engine::encode_pong(data));
                Ok(())
            }
            engine::Packet::Pong | engine::Packet::Noop => Ok(()),
            engine::Packet::Message(data) => {
                let packed = self.inbound.packets().text(data)?;
                self.take_packed(packed)
            }
        }
    }

    fn take_packed(&mut self, packed: Packed) -> Result<(), Close> {
        match packed {
            Packed::Connect { namespace, .. } => {
                if &*namespace != "/" {
                    self.shard
                        .push(&self.out, socketio::encode_refused(&namespace, "Invalid namespace", Code::NotFound));
                }
            }
            Packed::Disconnect => return Err(Close::NORMAL),
            Packed::Request(request) => self.ask(request),
            Packed::Nothing => {}
        }
        Ok(())
    }

    fn ask(&self, request: Request) {
        self.inbox.put(request, &self.out);
    }
}

fn wrong_form(sentence: &'static str) -> Request {
    Request {
        answer_to: crate::codec::AnswerTo::Nobody,
        command: Err(AppError::refused(Code::MalformedFrame, sentence)),
    }
}

/// Gives the goodbye a chance to be read: until the client has said its own or closed, or its time is up. What it still sends is dropped,
/// because a socket that is closed with something unread takes back what it has sent.
async fn see_off(out: &Outbound) {
    let Some(socket) = out.socket() else { return };
    let mut deadline = Instant::now() + FAREWELL;
    let mut is_told = false;
    let mut dropped = [0; 512];
    while !out.is_broken() {
        if !is_told && out.waiting() == 0 {
            is_told = true;
            if out.closing() == Some(Close::NORMAL) {
                return;
            }
            deadline = deadline.min(Instant::now() + LINGER);
        }
        tokio::select! {
            () = tokio::time::sleep_until(deadline) => return,
            ready = socket.writable(), if out.is_blocked() => match ready {
                Ok(()) => out.unblock(),
                Err(_) => return,
            },
            ready = socket.readable() => {
                if ready.is_err() {
                    return;
                }
                match socket.try_read(&mut dropped) {
                    Ok(0) => return,
                    Ok(_) => {}
                    Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                    Err(_) => return,
                }
            }
        }
    }
}
