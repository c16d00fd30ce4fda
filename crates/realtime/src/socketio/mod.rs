//! Socket.IO: the product's sessions on the engine.

mod introduction;

use actix_web::{HttpResponse, http::header::CONTENT_TYPE};

pub(crate) use introduction::open;

use crate::codec::socketio::engine::Refused;

/// Long-polling is not spoken: clients are told in the words of Engine.IO, and those that may use WebSocket go on with that.
#[must_use]
pub fn polling_refused() -> HttpResponse {
    HttpResponse::BadRequest().insert_header((CONTENT_TYPE, "application/json")).body(Refused::Transport.body())
}
