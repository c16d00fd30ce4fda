//! Our WebSocket stack as a server that sends back what it gets, for conformance suites: `ws_echo [ADDRESS]`, by default 127.0.0.1:9001.
//!
//! Handshake, reading, joining, inflating, writing, compressing and closing are the product's own. Otherwise than there, nobody has to say
//! who they are, messages may have [`MAX_MESSAGE`] bytes, and all of them are compressed where that was agreed on.

use std::{net::TcpListener, rc::Rc, sync::Arc};

use actix_codec::Framed;
use actix_http::{HttpMessage as _, HttpService, Request, Response, h1, ws};
use actix_server::Server;
use actix_service::fn_service;
use realtime::{
    backlog::Backlog,
    close::Close,
    deflate::Agreement,
    frame::{self, Incoming, Kind, Reader},
    handshake,
    sender::Sender,
    socket::{self, Handler, Inbound},
};
use tokio::net::TcpStream;

/// What Autobahn's largest message has.
const MAX_MESSAGE: usize = 16 * 1024 * 1024;
/// What may wait for a client: room for such a message in either direction.
const BACKLOG: usize = 2 * MAX_MESSAGE;
/// While so much waits, nothing more is read.
const ENOUGH: usize = 1024 * 1024;

struct Echo {
    sender: Rc<Sender>,
    compresses: bool,
}

impl Handler for Echo {
    fn has_slot(&self) -> bool {
        self.sender.waiting() < ENOUGH
    }

    async fn take(&mut self, message: Incoming) -> Result<(), Close> {
        let answer = match message {
            Incoming::Text(text) => frame::frame(Kind::Text, text.as_str().as_bytes()),
            Incoming::Binary(bytes) => frame::frame(Kind::Binary, &bytes),
            Incoming::Ping(_) | Incoming::Pong | Incoming::Close(_) => return Ok(()),
        };
        let compressed = if self.compresses { frame::compress(&answer) } else { None };
        let is_taken = self.sender.push(compressed.unwrap_or(answer));
        self.sender.flush();
        if is_taken { Ok(()) } else { Err(Close::TOO_SLOW) }
    }

    fn close(&self, close: Close) {
        self.sender.close(close, [frame::close_frame(close)]);
    }
}

async fn take_over(request: Request, framed: Framed<TcpStream, h1::Codec>) -> Result<(), ws::HandshakeError> {
    ws::verify_handshake(request.head())?;
    let agreement = Agreement::negotiate(request.headers());
    let parts = framed.into_parts();
    let sender = Rc::new(Sender::new(Some(parts.io), &Arc::new(Backlog::fixed(BACKLOG))));
    let compresses = agreement.is_some();
    sender.greet(handshake::switching(request.headers(), None, agreement, "echo"));
    sender.flush();
    let mut inbound = Inbound::new(Reader::new(MAX_MESSAGE, agreement.is_some()), None, &parts.read_buf);
    actix_rt::spawn(async move {
        socket::exchange(&sender, &mut inbound, &mut Echo { sender: Rc::clone(&sender), compresses }).await;
        if !sender.is_broken() {
            socket::see_off(&sender).await;
        }
    });
    Ok(())
}

#[actix_web::main]
async fn main() -> anyhow::Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:9001".to_owned());
    let listener = TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    let server = Server::build().listen("echo", listener, || {
        HttpService::build()
            .upgrade(fn_service(|(request, framed)| take_over(request, framed)))
            .h1(fn_service(|_: Request| async { Ok::<_, ws::HandshakeError>(Response::bad_request()) }))
            .tcp()
    })?;
    Ok(server.run().await?)
}
