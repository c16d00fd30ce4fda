//! Routes of the event stream that are not endpoints. The protocol is implemented in the realtime crate.

use actix_web::{
    HttpRequest, HttpResponse,
    web::{self, Data, ServiceConfig},
};
use app::App;
use appcore::{AppError, Code};
use middleware::{address, auth::Credentials};
use platform::rate_limits::LimitSubject;
use realtime::{socketio::Caller, upgrade::Token};

use crate::answer;

pub fn configure(config: &mut ServiceConfig) {
    let only_get = || web::to(|http: HttpRequest| async move { answer::method_not_allowed(&http, "GET") });
    config.service(web::resource("/r1/websocket").route(web::get().to(handshake_required)).default_service(only_get()));
    // Two literal paths are registered, because one resource with both would be a pattern, which is
    // slower to match against every request.
    for path in ["/socket.io", "/socket.io/"] {
        config.service(web::resource(path).to(socket_io));
    }
}

/// Response to a request that is not a handshake. The connection of a handshake is taken over
/// before routing.
async fn handshake_required(http: HttpRequest) -> HttpResponse {
    crate::failure(&http, &AppError::refused(Code::MalformedRequest, "Connect to this endpoint with a WebSocket."))
}

/// Socket.IO over long polling. The session id in the request identifies the caller.
async fn socket_io(http: HttpRequest, payload: web::Payload, app: Data<App>) -> HttpResponse {
    let caller = || Caller {
        token: Credentials::find(http.headers(), &app.config)
            .map(|found| Token { text: found.token, by_cookie: found.by_cookie }),
        source: address::source(&http, &app.config),
    };
    let lease = app.bodies.start_lease(LimitSubject::from_source(address::source(&http, &app.config)));
    realtime::socketio::respond(&http, payload, lease, caller).await
}
