//! Upgrade of an HTTP request to a connection.
//!
//! actix-web hands over the socket of an upgrade request before any middleware has run
//! (docs/architecture.md explains why this is intended). The checks of the middleware are therefore
//! repeated here, and a refusal is written in the format of the REST API.

use std::{borrow::Cow, rc::Rc, time::Duration};

use actix_http::{HttpMessage as _, Method, Request, header::HeaderMap};
use appcore::{
    AppError, Code,
    auth::Principal,
    envelope::{Failure, FailureTag},
};
use identity::accounts;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::Instant,
};

pub use crate::upgrade_request::{Token, UpgradeRequest};
use crate::{
    codec::Wire,
    connection,
    deflate::DeflateParams,
    frame::{self, Reader},
    frame_limit::TokenBucket,
    handshake::{self, offers},
    sender::Sender,
    shard::Shard,
    socket::Inbound,
    socketio::SocketIo,
    upgrade_request::{
        Rejection, SOCKET_IO, WEBSOCKET, authenticate_token, negotiate_compression, prepare_opening, verify,
    },
};

/// Timeout for sending a refusal.
const REFUSAL_TIMEOUT: Duration = Duration::from_secs(5);

/// Returns the body of the response to an unknown path, where it isn't the standard error envelope:
/// by the path and the request id.
pub type UnknownPathBody = fn(&str, &str) -> Option<String>;

/// Answers an upgrade request that earlier checks have admitted or refused. Serves the resulting
/// connection in a separate task.
pub async fn answer(
    shard: Rc<Shard>,
    socket_io: Rc<SocketIo>,
    upgrade: UpgradeRequest,
    admitted: Result<(), AppError>,
    unknown_path_body: UnknownPathBody,
) {
    let begun = Instant::now();
    let (method, path, request_id) =
        (upgrade.request.method().clone(), upgrade.request.path().to_owned(), upgrade.request_id.clone());
    let result = match admitted.and_then(|()| shard.services().firewall.check_manual(|| upgrade.source.address)) {
        Err(refusal) => Err((Rejection::from(refusal), Some(upgrade))),
        Ok(()) if upgrade.request.method() == Method::CONNECT => {
            Err((Rejection::from(Code::MethodNotAllowed), Some(upgrade)))
        }
        Ok(()) if path == WEBSOCKET => open_native(&shard, upgrade).await,
        Ok(()) if path == SOCKET_IO || path == SOCKET_IO.trim_end_matches('/') => socket_io.open(upgrade).await,
        Ok(()) => {
            let body = unknown_path_body(&path, &request_id).map(Into::into);
            Err((Rejection { body, ..Rejection::from(Code::NotFound) }, Some(upgrade)))
        }
    };
    let milliseconds = || begun.elapsed().as_secs_f64() * 1_000.0;
    // The request is logged like a REST request, with the fields that are known here.
    let route = if path.starts_with(SOCKET_IO.trim_end_matches('/')) { SOCKET_IO } else { WEBSOCKET };
    match result {
        Ok(user_id) => {
            tracing::info!(request_id, %method, route, status = 101, ms = milliseconds(), user_id, "request")
        }
        Err((refusal, upgrade)) => {
            let (status, code) = (refusal.error.code().status(), refusal.error.code().as_str());
            match &refusal.error {
                AppError::Internal(cause) | AppError::Unavailable(cause) => {
                    tracing::warn!(request_id, %method, path, status, code, ms = milliseconds(), error = format!("{cause:#}"), "request");
                }
                _ => tracing::info!(request_id, %method, path, status, code, ms = milliseconds(), "request"),
            }
            if let Some(upgrade) = upgrade {
                refuse(upgrade, &refusal).await;
            }
        }
    }
}

/// Opens a native connection and returns the id of its user.
async fn open_native(
    shard: &Rc<Shard>,
    upgrade: UpgradeRequest,
) -> Result<Option<String>, (Rejection, Option<UpgradeRequest>)> {
    let prepared = async {
        verify(&upgrade.request)?;
        let principal = authenticate(shard, &upgrade).await?;
        let headers = upgrade.request.headers();
        prepare_opening(shard, principal, choose_wire(headers), upgrade.source).await.map_err(Rejection::from)
    };
    let opening = match prepared.await {
        Ok(opening) => opening,
        Err(refusal) => return Err((refusal, Some(upgrade))),
    };
    let protocol = match opening.wire {
        Wire::MessagePack => Some("natter.msgpack"),
        _ if offers(upgrade.request.headers(), "natter.json") => Some("natter.json"),
        _ => None,
    };
    let UpgradeRequest { request, socket, unread, request_id, .. } = upgrade;
    let deflate = negotiate_compression(shard, request.headers());
    let preface = handshake::encode_switching_protocols(request.headers(), protocol, deflate, &request_id);
    let inbound = inbound(shard, deflate, &unread);
    drop((request, unread));
    let settings = &shard.services().config.realtime;
    let sender = Sender::new(Some(socket), shard.shards().backlog());
    if deflate.is_some() {
        sender.deflate_from(settings.compression);
    }
    let user_id = opening.principal.user_id.to_string();
    actix_rt::spawn(connection::serve(opening.open(Rc::new(sender), preface), inbound));
    Ok(Some(user_id))
}

/// Creates the connection's receiving half with the configured limits.
fn inbound(shard: &Shard, deflate: Option<DeflateParams>, unread: &[u8]) -> Inbound {
    let config = &shard.services().config;
    let allowance =
        config.rate_limit.enabled.then(|| TokenBucket::new(config.realtime.max_frames_per_second, Instant::now()));
    Inbound::new(Reader::new(frame::MAX_MESSAGE, deflate.is_some()), allowance, unread)
}

/// Authenticates by ticket, or else by token. A cookie is accepted only from the server's own pages
/// and trusted origins.
async fn authenticate(shard: &Shard, upgrade: &UpgradeRequest) -> Result<Principal, Rejection> {
    if let Some(ticket) = query(&upgrade.request, "ticket") {
        return Ok(accounts::redeem_ticket(&shard.services().identity, &ticket).await?);
    }
    match &upgrade.token {
        None => Err(Code::Unauthenticated.into()),
        Some(token) if token.by_cookie && upgrade.source.is_cross_site => Err(Code::CrossSite.into()),
        Some(token) => Ok(authenticate_token(shard.services(), &token.text, upgrade.source).await?),
    }
}

/// Closes the sending direction and discards received data. Otherwise the connection could be reset
/// and the client would lose the response.
async fn close_gracefully(socket: &mut TcpStream) -> std::io::Result<()> {
    socket.shutdown().await?;
    let mut dropped = [0; 512];
    while socket.read(&mut dropped).await? > 0 {}
    Ok(())
}

/// Returns a value of the query string.
fn query(request: &Request, name: &str) -> Option<String> {
    let pairs = request.uri().query()?;
    actix_web::web::Query::<Vec<(String, String)>>::from_query(pairs)
        .ok()?
        .into_inner()
        .into_iter()
        .find_map(|(key, value)| (key == name).then_some(value))
}

/// Selects JSON, unless the client offers only MessagePack.
fn choose_wire(headers: &HeaderMap) -> Wire {
    if offers(headers, "natter.msgpack") && !offers(headers, "natter.json") { Wire::MessagePack } else { Wire::Json }
}

/// Writes the response of the REST API and closes the socket.
async fn refuse(upgrade: UpgradeRequest, refusal: &Rejection) {
    use std::fmt::Write as _;
    let UpgradeRequest { mut socket, request_id, .. } = upgrade;
    let error = &refusal.error;
    let status = actix_http::StatusCode::from_u16(error.code().status()).unwrap_or(actix_http::StatusCode::BAD_REQUEST);
    let failure = Failure {
        status: FailureTag::Error,
        data: (),
        message: error.sentence(),
        code: error.code(),
        request_id: &request_id,
        details: error.details(),
        errors: error.fields(),
    };
    let body = match refusal.body.as_deref() {
        Some(body) => Cow::Borrowed(body),
        // The error consists of text, so serialising it can't fail.
        None => Cow::Owned(serde_json::to_string(&failure).unwrap_or_default()),
    };
    let mut answer = format!("HTTP/1.1 {} {}\r\n", status.as_str(), status.canonical_reason().unwrap_or_default());
    // Writing into a string can't fail.
    for (name, value) in &refusal.headers {
        let _ = write!(answer, "{name}: {value}\r\n");
    }
    if let Some(pause) = error.retry_after() {
        let _ = write!(answer, "retry-after: {}\r\n", pause.as_secs().max(1));
    }
    let _ = write!(
        answer,
        "content-type: application/json\r\ncontent-length: {}\r\nx-request-id: {request_id}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    let _ = tokio::time::timeout(REFUSAL_TIMEOUT, async {
        socket.write_all(answer.as_bytes()).await?;
        close_gracefully(&mut socket).await
    })
    .await;
}
