//! Task of one connection: passes the client's frames to its session, in the connection's wire
//! format.

use std::rc::Rc;

use appcore::{AppError, Code, RequestSource, auth::Principal};
use bytes::Bytes;
use conversations::ConnectionSubscriptions;
use metrics::{ConnectionGuard, metrics};

use crate::{
    broadcaster::Permit,
    client::ClientContext,
    close::Close,
    codec::{FrameBody, Request, Wire, json, msgpack},
    connection_handle::{ConnectionHandle, Identity},
    frame::Incoming,
    hello,
    protocol::{ControlFrame as _, Hello},
    sender::Sender,
    session::{Inbox, WsSession},
    shard::{PendingJoin, Shard},
    socket::{self, Handler, Inbound},
};

/// State needed to open a connection.
pub(crate) struct Opening {
    pub shard: Rc<Shard>,
    pub principal: Principal,
    pub permit: Permit,
    pub arrival: PendingJoin,
    pub following: ConnectionSubscriptions,
    pub wire: Wire,
    /// Address, country and page origin of the client.
    pub source: RequestSource,
}

impl Opening {
    /// Opens the connection: sends `preface`, then `hello`, then all events that follow.
    pub(crate) fn open(self, sender: Rc<Sender>, preface: Bytes) -> OpenConnection {
        let Self { shard, principal, permit, arrival, following, wire, source } = self;
        let services = shard.services();
        let out = ConnectionHandle::with_sender(&Identity::from(&principal), wire, sender);
        out.set_address(source.address);
        let conversations = arrival.merge_memberships(&following, Some(&out));
        let now = services.clock.now();
        let hello = hello::encode(services, &principal, &conversations, &following, now);
        out.push_first(preface);
        out.push_first(out.compress_if_long(wire.encode(&FrameBody::control(Hello::KIND, now, &hello, None))));
        out.flush();
        shard.watch(&out);
        shard.close_if_banned(&out);
        if shard.is_draining() {
            out.close(Close::RESTARTING);
        }
        shard.end_when_expired(&out);
        let client =
            ClientContext { shard: Rc::clone(&shard), out: Rc::clone(&out), principal, country: source.country };
        let inbox = WsSession::start(client, permit);
        let counted = metrics().realtime.connect(wire.transport());
        OpenConnection { shard, out, inbox, _counted: counted }
    }
}

/// Open connection.
pub(crate) struct OpenConnection {
    shard: Rc<Shard>,
    out: Rc<ConnectionHandle>,
    inbox: Rc<Inbox>,
    _counted: ConnectionGuard,
}

impl OpenConnection {
    /// True if the session accepts another command.
    pub(crate) fn has_slot(&self) -> bool {
        self.inbox.has_slot()
    }

    /// Passes a request to the session.
    pub(crate) fn handle(&self, request: Request) {
        self.inbox.push(request, &self.out);
    }

    pub(crate) fn push(&self, frame: Bytes) {
        self.shard.push(&self.out, frame);
    }

    pub(crate) fn close(&self, close: Close) {
        self.out.close(close);
    }

    /// Unregisters the connection and closes its inbox.
    pub(crate) fn leave(&self) {
        self.shard.leave(&self.out);
        self.inbox.close();
    }
}

/// Serves a native connection until it is closed.
pub(crate) async fn serve(live: OpenConnection, mut inbound: Inbound) {
    let out = Rc::clone(&live.out);
    let mut handler = FrameHandler(live);
    socket::run(&out, &mut inbound, &mut handler).await;
    handler.0.leave();
    drop((handler, inbound));
    if !out.is_broken() {
        Box::pin(socket::linger(&out)).await;
    }
    out.abort();
}

/// Decodes frames of native clients.
struct FrameHandler(OpenConnection);

impl Handler for FrameHandler {
    fn has_slot(&self) -> bool {
        self.0.has_slot()
    }

    async fn handle(&mut self, message: Incoming) -> Result<(), Close> {
        let speaks_msgpack = self.0.out.wire == Wire::MessagePack;
        match message {
            Incoming::Ping(_) | Incoming::Pong | Incoming::Close(_) => {}
            Incoming::Text(_) if speaks_msgpack => {
                self.0.handle(wrong_format("This connection uses MessagePack. Send binary frames."));
            }
            Incoming::Text(text) => self.0.handle(json::decode(text.as_str())),
            Incoming::Binary(bytes) if speaks_msgpack => self.0.handle(msgpack::decode(&bytes)),
            Incoming::Binary(_) => self.0.handle(wrong_format("This connection uses JSON. Send text frames.")),
        }
        Ok(())
    }

    fn close(&self, close: Close) {
        self.0.close(close);
    }
}

fn wrong_format(sentence: &'static str) -> Request {
    Request {
        answer_to: crate::codec::AnswerTo::Nobody,
        command: Err(AppError::refused(Code::MalformedFrame, sentence)),
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        broadcaster::Permit,
        client::ClientContext,
        connection_handle::ConnectionHandle,
        queue::Queue,
        sender::Sender,
        session::{Inbox, WsSession},
        shard::size_of_person,
        socket::Inbound,
    };

    /// Compares the sizes with `docs/connections.md`, which documents the memory per connection.
    /// They may be somewhat smaller than documented.
    #[test]
    fn connection_sizes_match_the_documentation() {
        fn future<A, B, F>(_: fn(A, B) -> F) -> usize {
            size_of::<F>()
        }
        let text = include_str!("../../../docs/connections.md");
        let mut wrong = Vec::new();
        for (name, size) in [
            ("ConnectionHandle", size_of::<ConnectionHandle>()),
            ("Sender", size_of::<Sender>()),
            ("Queue", size_of::<Queue>()),
            ("Inbound", size_of::<Inbound>()),
            ("connection::serve", future(super::serve)),
            ("WsSession", size_of::<WsSession>()),
            ("Context<WsSession>", size_of::<actix::Context<WsSession>>()),
            ("Inbox", size_of::<Inbox>()),
            ("ClientContext", size_of::<ClientContext>()),
            ("Permit", size_of::<Permit>()),
            ("Person", size_of_person()),
        ] {
            let row = text.lines().find_map(|line| line.strip_prefix(&format!("| `{name}` | ")));
            let written: usize = row.and_then(|row| row.split(' ').next()?.parse().ok()).unwrap_or_default();
            if size > written || size * 5 < written * 4 {
                wrong.push(format!("`{name}` has {size} bytes, and {written} are written"));
            }
        }
        assert!(wrong.is_empty(), "{wrong:#?}");
    }
}
