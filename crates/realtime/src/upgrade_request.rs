//! Upgrade request, and the steps common to native and Socket.IO connections.

use std::{borrow::Cow, rc::Rc};

use actix_http::{
    Request,
    header::{self, HeaderMap},
    ws,
};
use appcore::{
    AppError, Code, RequestSource,
    auth::{Principal, Scope},
};
use bytes::BytesMut;
use identity::accounts;
use tokio::net::TcpStream;

use crate::{RealtimeServices, codec::Wire, connection::Opening, deflate::DeflateParams, shard::Shard};

/// Path of native connections.
pub const WEBSOCKET: &str = "/r1/websocket";
/// Path of Socket.IO connections.
pub const SOCKET_IO: &str = "/socket.io/";

/// Request for a connection, together with its socket.
pub struct UpgradeRequest {
    pub request: Request,
    pub socket: TcpStream,
    /// Bytes received after the request.
    pub unread: BytesMut,
    /// Access token or API key from the `Authorization` header, or the access token from a cookie.
    pub token: Option<Token>,
    /// Address, country and page origin of the client. A cookie is accepted only from the server's
    /// own pages.
    pub source: RequestSource,
    pub request_id: String,
}

/// Access token, and whether it comes from a cookie.
pub struct Token {
    pub text: String,
    pub by_cookie: bool,
}

/// Refused upgrade.
pub(crate) struct Rejection {
    pub error: AppError,
    pub headers: Vec<(header::HeaderName, &'static str)>,
    /// Body that replaces the standard error envelope.
    pub body: Option<Cow<'static, str>>,
}

impl From<AppError> for Rejection {
    fn from(error: AppError) -> Self {
        Self { error, headers: Vec::new(), body: None }
    }
}

impl From<Code> for Rejection {
    fn from(code: Code) -> Self {
        AppError::from(code).into()
    }
}

/// Acquires a permit for the connection and loads the user's subscriptions.
pub(crate) async fn prepare_opening(
    shard: &Rc<Shard>,
    principal: Principal,
    wire: Wire,
    source: RequestSource,
) -> Result<Opening, AppError> {
    principal.require_scope(Scope::Read)?;
    let permit = shard.shards().register(principal.user_id).await?;
    let (arrival, following) = shard.load_subscriptions(principal.user_id).await?;
    Ok(Opening { shard: Rc::clone(shard), principal, permit, arrival, following, wire, source })
}

/// Negotiates compression, unless it is disabled.
pub(crate) fn negotiate_compression(shard: &Shard, headers: &HeaderMap) -> Option<DeflateParams> {
    let is_on = shard.services().config.realtime.compression > 0;
    is_on.then(|| DeflateParams::negotiate(headers)).flatten()
}

/// Authenticates a token. The firewall counts forged tokens.
pub(crate) async fn authenticate_token(
    services: &RealtimeServices,
    token: &str,
    source: RequestSource,
) -> Result<Principal, AppError> {
    let recognised = accounts::authenticate(&services.identity, token).await;
    if recognised.as_ref().is_err_and(|refusal| refusal.code() == Code::Unauthenticated) {
        services.identity.count_rejected_token(source, token).await?;
    }
    recognised
}

pub(crate) fn verify(request: &Request) -> Result<(), Rejection> {
    let error = match ws::verify_handshake(request.head()) {
        Ok(()) => return Ok(()),
        Err(error) => error,
    };
    let malformed = |sentence: &'static str| AppError::refused(Code::MalformedRequest, sentence);
    Err(match error {
        ws::HandshakeError::GetMethodRequired => {
            Rejection { error: Code::MethodNotAllowed.into(), headers: vec![(header::ALLOW, "GET")], body: None }
        }
        ws::HandshakeError::UnsupportedVersion | ws::HandshakeError::NoVersionHeader => Rejection {
            error: malformed("Use version 13 of the WebSocket protocol."),
            headers: vec![(header::SEC_WEBSOCKET_VERSION, "13")],
            body: None,
        },
        ws::HandshakeError::BadWebsocketKey => malformed("The Sec-WebSocket-Key header is missing or invalid.").into(),
        ws::HandshakeError::NoWebsocketUpgrade | ws::HandshakeError::NoConnectionUpgrade => {
            malformed("Connect to this endpoint with a WebSocket.").into()
        }
    })
}
