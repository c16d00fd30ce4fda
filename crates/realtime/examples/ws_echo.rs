//! Echo server on our WebSocket stack for conformance suites: `ws_echo [ADDRESS]`, by default on
//! 127.0.0.1:9001.
//!
//! Handshake, framing, reassembly, compression and closing are those of the product. Unlike the
//! product, it requires no authentication, accepts messages of up to [`MAX_MESSAGE`] bytes, and
//! compresses every message if compression was negotiated.

use std::{net::TcpListener, rc::Rc, sync::Arc};

use actix_codec::Framed;
use actix_http::{HttpMessage as _, HttpService, Request, Response, h1, ws};
use actix_server::Server;
use actix_service::fn_service;
use realtime::{
    backlog::Backlog,
    close::Close,
    deflate::DeflateParams,
    frame::{self, Incoming, Kind, Reader},
    handshake,
    sender::Sender,
    socket::{self, Handler, Inbound},
};
use tokio::net::TcpStream;

/// Size of Autobahn's largest message, in bytes.
const MAX_MESSAGE: usize = 16 * 1024 * 1024;
/// Limit on queued bytes per client. Two of the largest messages fit.
const BACKLOG: usize = 2 * MAX_MESSAGE;
/// Number of queued bytes above which reading pauses.
const MAX_QUEUED_BYTES: usize = 1024 * 1024;

struct Echo {
    sender: Rc<Sender>,
    compresses: bool,
}

impl Handler for Echo {
    fn has_slot(&self) -> bool {
        self.sender.queued_bytes() < MAX_QUEUED_BYTES
    }

    async fn handle(&mut self, message: Incoming) -> Result<(), Close> {
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
    let agreement = DeflateParams::negotiate(request.headers());
    let parts = framed.into_parts();
    let sender = Rc::new(Sender::new(Some(parts.io), &Arc::new(Backlog::fixed(BACKLOG))));
    let compresses = agreement.is_some();
    sender.push_first(handshake::encode_switching_protocols(request.headers(), None, agreement, "echo"));
    sender.flush();
    let mut inbound = Inbound::new(Reader::new(MAX_MESSAGE, agreement.is_some()), None, &parts.read_buf);
    actix_rt::spawn(async move {
        socket::run(&sender, &mut inbound, &mut Echo { sender: Rc::clone(&sender), compresses }).await;
        if !sender.is_broken() {
            socket::linger(&sender).await;
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
