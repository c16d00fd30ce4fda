//! The requests of Engine.IO: what they ask for, and how they are answered.

use std::{rc::Rc, time::Duration};

use actix_http::Method;
use actix_web::{
    HttpResponse,
    http::{StatusCode, header},
    web,
};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use tokio::{net::TcpStream, sync::oneshot};

use super::{Call, Engine, Host, PollResult, Refused, Sid, Upgraded, Visitor};
use crate::{close::Close, frame, sender::Sender, socket::see_off};

/// How long a body may take.
const BODY: Duration = Duration::from_secs(10);
/// The longest query that is read.
const QUERY: usize = 2_048;

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Question {
    pub transport: Transport,
    /// None: a new session.
    pub sid: Option<Sid>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    Polling,
    WebSocket,
}

impl Question {
    /// Reads the query of a request.
    pub fn parse(query: Option<&str>) -> Result<Self, Refused> {
        let query = query.filter(|query| query.len() <= QUERY).unwrap_or_default();
        let pairs = web::Query::<Vec<(String, String)>>::from_query(query).map_err(|_| Refused::BadRequest)?;
        let value = |name: &str| pairs.iter().find_map(|(key, value)| (key == name).then_some(value.as_str()));
        let transport = match value("transport") {
            Some("polling") => Transport::Polling,
            Some("websocket") => Transport::WebSocket,
            _ => return Err(Refused::Transport),
        };
        let sid = value("sid").map(|sid| sid.parse().map_err(|_| Refused::UnknownSid)).transpose()?;
        if value("EIO") == Some("4") { Ok(Self { transport, sid }) } else { Err(Refused::Version) }
    }
}

/// Answers a request of a client that polls, if the session is of this instance. `room` says of so many bytes more of its body whether there is memory.
pub async fn poll<H: Host>(
    engine: &Rc<Engine<H>>,
    method: &Method,
    question: Question,
    payload: web::Payload,
    room: impl FnMut(usize) -> Result<(), Refused>,
    caller: impl FnOnce() -> H::Caller,
) -> PollResult {
    if question.transport == Transport::WebSocket {
        // Without a handshake that is nothing.
        return Err(Refused::BadRequest);
    }
    let (reply, answer) = oneshot::channel();
    match (question.sid, method) {
        (None, &Method::GET) => return engine.open_polling(caller()),
        (None, _) => return Err(Refused::Method),
        (Some(sid), &Method::GET) => engine.router().bring(&sid, Call::Poll(reply)),
        (Some(sid), &Method::POST) => {
            let (arrived, body) = oneshot::channel();
            engine.router().bring(&sid, Call::Post(body, reply));
            let limit = engine.settings().max_payload;
            // Where the client goes away, `arrived` is dropped, and the session learns it.
            if let Some(body) = read(payload, limit, room).await {
                let _ = arrived.send(body);
            }
        }
        (Some(_), _) => return Err(Refused::BadRequest),
    }
    // A session that ends before it answers is one that there is no more.
    answer.await.unwrap_or(Err(Refused::UnknownSid))
}

/// A whole body. None when the client does not send all of it.
pub async fn read(
    mut payload: web::Payload,
    limit: usize,
    mut room: impl FnMut(usize) -> Result<(), Refused>,
) -> Option<Result<Bytes, Refused>> {
    let whole = async {
        let mut body = BytesMut::new();
        while let Some(chunk) = payload.next().await {
            let chunk = chunk.ok()?;
            if body.len() + chunk.len() > limit {
                return Some(Err(Refused::TooLarge));
            }
            if let Err(refused) = room(chunk.len()) {
                return Some(Err(refused));
            }
            body.extend_from_slice(&chunk);
        }
        Some(Ok(body.freeze()))
    };
    tokio::time::timeout(BODY, whole).await.ok().flatten()
}

/// The answer as HTTP.
#[must_use]
pub fn respond(answer: PollResult) -> HttpResponse {
    match answer {
        Ok(payload) => HttpResponse::Ok()
            .insert_header((header::CONTENT_TYPE, "text/plain; charset=UTF-8"))
            .insert_header((header::CACHE_CONTROL, "no-store"))
            .body(payload),
        Err(refused) => {
            let status = StatusCode::from_u16(refused.status()).unwrap_or(StatusCode::BAD_REQUEST);
            let mut response = HttpResponse::build(status);
            response
                .insert_header((header::CONTENT_TYPE, "application/json"))
                .insert_header((header::CACHE_CONTROL, "no-store"));
            if matches!(refused, Refused::Full | Refused::TooMany) {
                response.insert_header((header::RETRY_AFTER, "5"));
            }
            response.body(refused.body())
        }
    }
}

/// Brings a client on a socket to its session. The socket comes back where there is no such session. Where the session has one already, or is
/// about to, this one is taken and closed: that is no error of the client's, says Engine.IO.
pub async fn go_over<H: Host>(
    engine: &Engine<H>,
    sid: &Sid,
    upgraded: Upgraded,
) -> Result<(), Option<(TcpStream, Refused)>> {
    let Upgraded { socket, unread, preface, deflate } = upgraded;
    let socket = socket.into_std().map_err(|_| None)?;
    let (refused, refusal) = oneshot::channel();
    let visitor = Visitor { socket, unread, preface: preface.clone(), deflate, refused };
    engine.router().bring(sid, Call::Upgrade(Box::new(visitor)));
    match refusal.await {
        Err(_) => Ok(()),
        Ok((socket, refused)) => {
            let socket = TcpStream::from_std(socket).map_err(|_| None)?;
            if refused != Refused::BadRequest {
                return Err(Some((socket, refused)));
            }
            let sender = Sender::new(Some(socket), &engine.settings().backlog);
            sender.greet(preface);
            sender.greet(frame::close_frame(Close::PROTOCOL));
            sender.flush();
            see_off(&sender).await;
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_read_or_refused_with_the_code_that_clients_know() {
        let sid = Sid::new(uuid::Uuid::nil(), 0);
        let parse = |query: &str| Question::parse(Some(query));
        let polling = Question { transport: Transport::Polling, sid: None };
        assert_eq!(parse("EIO=4&transport=polling&t=x"), Ok(polling));
        let upgrade = Question { transport: Transport::WebSocket, sid: Some(sid) };
        assert_eq!(parse(&format!("EIO=4&transport=websocket&sid={sid}")), Ok(upgrade));
        assert_eq!(parse("EIO=4"), Err(Refused::Transport));
        assert_eq!(parse("EIO=4&transport=abc"), Err(Refused::Transport));
        assert_eq!(parse("transport=polling"), Err(Refused::Version));
        assert_eq!(parse("EIO=3&transport=polling"), Err(Refused::Version));
        assert_eq!(parse("EIO=4&transport=polling&sid=x"), Err(Refused::UnknownSid));
        assert_eq!(Question::parse(None), Err(Refused::Transport));
        assert_eq!(parse(&format!("EIO=4&transport=polling&x={}", "x".repeat(QUERY))), Err(Refused::Transport));
    }
}
