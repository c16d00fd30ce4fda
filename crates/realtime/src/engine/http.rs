//! Engine.IO over HTTP: request parsing, long-polling and responses.

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

use super::{Engine, EngineRefusal, PollResult, SessionHandlerFactory, SessionRequest, Sid, Upgraded, UpgradingSocket};
use crate::{close::Close, frame, sender::Sender, socket::linger};

/// Timeout for receiving a request body.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);
/// Maximum length of a query string, in bytes.
const MAX_QUERY_LEN: usize = 2_048;

/// Parsed query of an Engine.IO request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EngineQuery {
    pub transport: Transport,
    /// Session id; `None` starts a new session.
    pub sid: Option<Sid>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    Polling,
    WebSocket,
}

impl EngineQuery {
    /// Parses the query string of a request.
    pub fn parse(query: Option<&str>) -> Result<Self, EngineRefusal> {
        let query = query.filter(|query| query.len() <= MAX_QUERY_LEN).unwrap_or_default();
        let pairs = web::Query::<Vec<(String, String)>>::from_query(query).map_err(|_| EngineRefusal::BadRequest)?;
        let value = |name: &str| pairs.iter().find_map(|(key, value)| (key == name).then_some(value.as_str()));
        let transport = match value("transport") {
            Some("polling") => Transport::Polling,
            Some("websocket") => Transport::WebSocket,
            _ => return Err(EngineRefusal::Transport),
        };
        let sid = value("sid").map(|sid| sid.parse().map_err(|_| EngineRefusal::UnknownSid)).transpose()?;
        if value("EIO") == Some("4") { Ok(Self { transport, sid }) } else { Err(EngineRefusal::Version) }
    }
}

/// Handles a long-polling request for a session on this instance. `room` reserves memory for a
/// number of further bytes of the body.
pub async fn poll<H: SessionHandlerFactory>(
    engine: &Rc<Engine<H>>,
    method: &Method,
    question: EngineQuery,
    payload: web::Payload,
    room: impl FnMut(usize) -> Result<(), EngineRefusal>,
    caller: impl FnOnce() -> H::Caller,
) -> PollResult {
    if question.transport == Transport::WebSocket {
        // The WebSocket transport requires a handshake, so this request can't use it.
        return Err(EngineRefusal::BadRequest);
    }
    let (reply, answer) = oneshot::channel();
    match (question.sid, method) {
        (None, &Method::GET) => return engine.open_polling(caller()),
        (None, _) => return Err(EngineRefusal::Method),
        (Some(sid), &Method::GET) => engine.router().route(&sid, SessionRequest::Poll(reply)),
        (Some(sid), &Method::POST) => {
            let (arrived, body) = oneshot::channel();
            engine.router().route(&sid, SessionRequest::Post(body, reply));
            let limit = engine.settings().max_payload;
            // If the client disconnects, `arrived` is dropped. The session notices this.
            if let Some(body) = read_body(payload, limit, room).await {
                let _ = arrived.send(body);
            }
        }
        (Some(_), _) => return Err(EngineRefusal::BadRequest),
    }
    // The session ended before it answered.
    answer.await.unwrap_or(Err(EngineRefusal::UnknownSid))
}

/// Reads the whole body. Returns `None` if the client doesn't send all of it in time.
pub async fn read_body(
    mut payload: web::Payload,
    limit: usize,
    mut room: impl FnMut(usize) -> Result<(), EngineRefusal>,
) -> Option<Result<Bytes, EngineRefusal>> {
    let whole = async {
        let mut body = BytesMut::new();
        while let Some(chunk) = payload.next().await {
            let chunk = chunk.ok()?;
            if body.len() + chunk.len() > limit {
                return Some(Err(EngineRefusal::TooLarge));
            }
            if let Err(refused) = room(chunk.len()) {
                return Some(Err(refused));
            }
            body.extend_from_slice(&chunk);
        }
        Some(Ok(body.freeze()))
    };
    tokio::time::timeout(BODY_TIMEOUT, whole).await.ok().flatten()
}

/// Converts the result to an HTTP response.
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
            if matches!(refused, EngineRefusal::Full | EngineRefusal::TooMany) {
                response.insert_header((header::RETRY_AFTER, "5"));
            }
            response.body(refused.body())
        }
    }
}

/// Passes a socket to its session for the upgrade. Returns the socket if there is no such session.
/// If the session has a socket already, the new one is accepted and then closed, because Engine.IO
/// doesn't treat a second socket as a client error.
pub async fn upgrade<H: SessionHandlerFactory>(
    engine: &Engine<H>,
    sid: &Sid,
    upgraded: Upgraded,
) -> Result<(), Option<(TcpStream, EngineRefusal)>> {
    let Upgraded { socket, unread, preface, deflate } = upgraded;
    let socket = socket.into_std().map_err(|_| None)?;
    let (refused, refusal) = oneshot::channel();
    let visitor = UpgradingSocket { socket, unread, preface: preface.clone(), deflate, refused };
    engine.router().route(sid, SessionRequest::Upgrade(Box::new(visitor)));
    match refusal.await {
        Err(_) => Ok(()),
        Ok((socket, refused)) => {
            let socket = TcpStream::from_std(socket).map_err(|_| None)?;
            if refused != EngineRefusal::BadRequest {
                return Err(Some((socket, refused)));
            }
            let sender = Sender::new(Some(socket), &engine.settings().backlog);
            sender.push_first(preface);
            sender.push_first(frame::close_frame(Close::PROTOCOL));
            sender.flush();
            linger(&sender).await;
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_queries_and_refuses_invalid_ones_with_the_specified_codes() {
        let sid = Sid::new(uuid::Uuid::nil(), 0);
        let parse = |query: &str| EngineQuery::parse(Some(query));
        let polling = EngineQuery { transport: Transport::Polling, sid: None };
        assert_eq!(parse("EIO=4&transport=polling&t=x"), Ok(polling));
        let upgrade = EngineQuery { transport: Transport::WebSocket, sid: Some(sid) };
        assert_eq!(parse(&format!("EIO=4&transport=websocket&sid={sid}")), Ok(upgrade));
        assert_eq!(parse("EIO=4"), Err(EngineRefusal::Transport));
        assert_eq!(parse("EIO=4&transport=abc"), Err(EngineRefusal::Transport));
        assert_eq!(parse("transport=polling"), Err(EngineRefusal::Version));
        assert_eq!(parse("EIO=3&transport=polling"), Err(EngineRefusal::Version));
        assert_eq!(parse("EIO=4&transport=polling&sid=x"), Err(EngineRefusal::UnknownSid));
        assert_eq!(EngineQuery::parse(None), Err(EngineRefusal::Transport));
        assert_eq!(
            parse(&format!("EIO=4&transport=polling&x={}", "x".repeat(MAX_QUERY_LEN))),
            Err(EngineRefusal::Transport)
        );
    }
}
