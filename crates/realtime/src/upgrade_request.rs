//! A request for a connection, and what native and Socket.IO connections ask of it alike.

use std::rc::Rc;

use actix_http::{
    Request,
    header::{self, HeaderMap},
    ws,
};
use app::App;
use appcore::{
    AppError, Code, RequestSource,
    auth::{Principal, Scope},
};
use bytes::BytesMut;
use identity::accounts;
use tokio::net::TcpStream;

use crate::{codec::Wire, connection::Opening, deflate::Agreement, shard::Shard};

/// Where native connections are opened.
pub const WEBSOCKET: &str = "/r1/websocket";
/// Where Socket.IO connections are opened.
pub const SOCKET_IO: &str = "/socket.io/";

/// A request for a connection, and the socket that it came on.
pub struct UpgradeRequest {
    pub request: Request,
    pub socket: TcpStream,
    /// What came behind the request.
    pub unread: BytesMut,
    /// The access token or API key in the `Authorization` header, or the token in a cookie.
    pub token: Option<Token>,
    /// Where the client is, and whose page it is on: only ours may use the cookies.
    pub source: RequestSource,
    pub request_id: String,
}

/// An access token, and how it came.
pub struct Token {
    pub text: String,
    pub by_cookie: bool,
}

/// Why a request is not answered with a connection.
pub(crate) struct Rejection {
    pub error: AppError,
    pub headers: Vec<(header::HeaderName, &'static str)>,
    /// Instead of the envelope.
    pub body: Option<&'static str>,
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

/// Admits a person and reads what they follow.
pub(crate) async fn prepare(
    shard: &Rc<Shard>,
    principal: Principal,
    wire: Wire,
    source: RequestSource,
) -> Result<Opening, AppError> {
    principal.require_scope(Scope::Read)?;
    let permit = shard.shards().admit(principal.user_id).await?;
    let (arrival, following) = shard.invite(principal.user_id).await?;
    Ok(Opening { shard: Rc::clone(shard), principal, permit, arrival, following, wire, source })
}

/// What the client offers for compression, unless it is turned off.
pub(crate) fn agree(shard: &Shard, headers: &HeaderMap) -> Option<Agreement> {
    let is_on = shard.app().config.realtime.compression > 0;
    is_on.then(|| Agreement::negotiate(headers)).flatten()
}

/// Identifies the owner of a token. A forged one is counted by the firewall.
pub(crate) async fn recognise(app: &App, token: &str, source: RequestSource) -> Result<Principal, AppError> {
    let recognised = accounts::authenticate(&app.identity, token).await;
    if recognised.as_ref().is_err_and(|refusal| refusal.code() == Code::Unauthenticated) {
        app.identity.note_refused_token(source, token).await?;
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
