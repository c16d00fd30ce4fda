//! Response to a WebSocket handshake.

use std::fmt::Write as _;

use actix_http::{
    header::{self, HeaderMap},
    ws,
};
use bytes::{BufMut as _, Bytes, BytesMut};

use crate::deflate::DeflateParams;

/// True if the client offers the subprotocol `protocol`.
#[must_use]
pub fn offers(headers: &HeaderMap, protocol: &str) -> bool {
    headers
        .get_all(header::SEC_WEBSOCKET_PROTOCOL)
        .filter_map(|value| value.to_str().ok())
        .flat_map(|list| list.split(','))
        .any(|offered| offered.trim() == protocol)
}

/// Encodes the 101 response to a handshake that `actix_http::ws::verify_handshake` has accepted.
#[must_use]
pub fn encode_switching_protocols(
    headers: &HeaderMap,
    protocol: Option<&str>,
    deflate: Option<DeflateParams>,
    request_id: &str,
) -> Bytes {
    let key = headers.get(header::SEC_WEBSOCKET_KEY).map(|key| ws::hash_key(key.as_bytes())).unwrap_or_default();
    let mut head = BytesMut::with_capacity(384);
    head.put_slice(
        b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-accept: ",
    );
    head.put_slice(&key);
    // Writing into a growing buffer can't fail.
    if let Some(protocol) = protocol {
        let _ = write!(head, "\r\nsec-websocket-protocol: {protocol}");
    }
    if let Some(agreement) = deflate {
        let _ = write!(head, "\r\nsec-websocket-extensions: {}", agreement.header());
    }
    let _ = write!(head, "\r\nx-request-id: {request_id}\r\n\r\n");
    head.freeze()
}
