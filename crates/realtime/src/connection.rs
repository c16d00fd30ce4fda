//! The task of one connection: gives what the client sends to its session, in the form that the connection speaks.

use std::rc::Rc;

use appcore::{AppError, Code, auth::Principal};
use bytes::Bytes;
use tokio::net::TcpStream;

use crate::{
    broadcaster::Permit,
    close::Close,
    codec::{
        Envelope, Request, Wire, json, msgpack,
        socketio::{self, Packed, engine},
    },
    deflate::Agreement,
    frame::Incoming,
    greeting,
    outbound::{Identity, Outbound},
    session::{Inbox, Speaker, WsSession},
    shard::{Arrival, Shard},
    socket::{self, Handler, Inbound},
};

/// Everything that a connection needs to go live.
pub(crate) struct Opening {
    pub shard: Rc<Shard>,
    pub principal: Principal,
    pub permit: Permit,
    pub arrival: Arrival,
    pub followed: Vec<(appcore::ConversationId, i64)>,
    pub wire: Wire,
    pub deflate: Option<Agreement>,
}

impl Opening {
    /// Goes live: the greeting comes first, after `preface`, and everything that happens from here on behind it.
    pub(crate) fn open(
        self,
        socket: TcpStream,
        preface: Bytes,
        inbound: Inbound,
        packets: Option<Box<socketio::Decoder>>,
    ) -> Connection {
        let Self { shard, principal, permit, arrival, followed, wire, deflate } = self;
        let app = shard.app();
        let settings = &app.config.realtime;
        let out = Outbound::new(&Identity::from(&principal), wire, Some(socket), settings.backlog_bytes);
        if deflate.is_some() {
            out.deflate_from(settings.compression);
        }
        let conversations = arrival.settle(&followed, Some(&out));
        let now = app.clock.now();
        let hello = greeting::hello(app, &principal, &conversations, now);
        out.greet(preface);
        out.greet(out.fit(wire.encode(&Envelope::control("hello", now, &hello, None))));
        out.flush();
        shard.watch(&out);
        if shard.is_draining() {
            out.close(Close::RESTARTING);
        }
        shard.end_when_expired(&out);
        let inbox = WsSession::start(Speaker { shard: Rc::clone(&shard), out: Rc::clone(&out), principal }, permit);
        Connection { inbound, hearer: Hearer { shard, out, inbox, packets } }
    }
}

/// A connection that is live.
pub(crate) struct Connection {
    inbound: Inbound,
    hearer: Hearer,
}

impl Connection {
    /// Serves it to its end.
    pub(crate) async fn run(mut self) {
        let out = Rc::clone(&self.hearer.out);
        socket::exchange(&out, &mut self.inbound, &mut self.hearer).await;
        self.hearer.shard.leave(&out);
        self.hearer.inbox.close();
        drop(self);
        if !out.is_broken() {
            Box::pin(socket::see_off(&out)).await;
        }
        out.give_up();
    }
}

/// Gives what a client asks for to its session.
struct Hearer {
    shard: Rc<Shard>,
    out: Rc<Outbound>,
    inbox: Rc<Inbox>,
    /// Only for Socket.IO.
    packets: Option<Box<socketio::Decoder>>,
}

impl Handler for Hearer {
    fn has_place(&self) -> bool {
        self.inbox.has_place()
    }

    async fn take(&mut self, message: Incoming) -> Result<(), Close> {
        match message {
            Incoming::Ping(_) | Incoming::Pong | Incoming::Close(_) => {}
            Incoming::Text(text) => match self.out.wire {
                Wire::MessagePack => self.ask(wrong_form("This connection speaks MessagePack, in binary frames.")),
                Wire::SocketIo => return self.take_packet(text.as_str()),
                Wire::Json | Wire::Sse => self.ask(json::decode(text.as_str())),
            },
            Incoming::Binary(bytes) => match self.out.wire {
                Wire::MessagePack => self.ask(msgpack::decode(&bytes)),
                Wire::SocketIo => {
                    let packed = self.packets.get_or_insert_default().binary(bytes)?;
                    return self.take_packed(packed);
                }
                Wire::Json | Wire::Sse => self.ask(wrong_form("This connection speaks JSON, in text frames.")),
            },
        }
        Ok(())
    }

    fn close(&self, close: Close) {
        self.out.close(close);
    }
}

impl Hearer {
    fn take_packet(&mut self, text: &str) -> Result<(), Close> {
        match engine::decode(text)? {
            engine::Packet::Close => Err(Close::NORMAL),
            engine::Packet::Ping(data) => {
                self.shard.push(&self.out, engine::encode_pong(data));
                Ok(())
            }
            engine::Packet::Pong | engine::Packet::Noop => Ok(()),
            engine::Packet::Message(data) => {
                let packed = self.packets.get_or_insert_default().text(data)?;
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
