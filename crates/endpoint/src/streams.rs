//! The ways into the event stream that are no endpoints. What happens then is the realtime crate's.

use actix_web::{
    HttpRequest, HttpResponse,
    web::{self, Data, ServiceConfig},
};
use app::App;
use appcore::{AppError, Code};
use middleware::{address, auth::Credentials};
use platform::rate_limits::Subject;
use realtime::{socketio::Caller, upgrade::Token};

use crate::answer;

pub fn configure(config: &mut ServiceConfig) {
    let only_get = || web::to(|http: HttpRequest| async move { answer::wrong_method(&http, "GET") });
    config.service(web::resource("/r1/websocket").route(web::get().to(no_handshake)).default_service(only_get()));
    // Each by itself is compared; both together would be a pattern that every request is matched with.
    for path in ["/socket.io", "/socket.io/"] {
        config.service(web::resource(path).to(socket_io));
    }
}

/// A handshake never comes here: its connection is taken over before.
async fn no_handshake(http: HttpRequest) -> HttpResponse {
    crate::failure(&http, &AppError::refused(Code::MalformedRequest, "Connect to this endpoint with a WebSocket."))
}

/// Long-polling; whose session it is is said within it.
async fn socket_io(http: HttpRequest, payload: web::Payload, app: Data<App>) -> HttpResponse {
    let caller = || Caller {
        token: Credentials::find(http.headers(), &app.config)
            .map(|found| Token { text: found.token, by_cookie: found.by_cookie }),
        source: address::source(&http, &app.config),
    };
    let lease = app.bodies.begin(Subject::of(address::source(&http, &app.config)));
    realtime::socketio::respond(&http, payload, lease, caller).await
}
