//! Reading a body: never more than the limit, never for longer than the time.

use std::time::Duration;

use actix_web::{
    dev::Payload,
    http::header::{CONTENT_LENGTH, HeaderMap},
    rt::time::timeout,
};
use appcore::{AppError, Code};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;

/// The largest body, uploads apart.
pub(crate) const MAX_BYTES: usize = 1024 * 1024;
/// How long the whole body may take to arrive.
const TIMEOUT: Duration = Duration::from_secs(30);

pub(crate) async fn read(headers: &HeaderMap, payload: Payload) -> Result<Bytes, AppError> {
    let declared = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()).and_then(|text| text.parse().ok());
    // Nobody need wait for the rest of what is refused anyway.
    if declared.is_some_and(|length: usize| length > MAX_BYTES) {
        return Err(too_large());
    }
    match timeout(TIMEOUT, collect(payload)).await {
        Ok(body) => body,
        Err(_) => Err(AppError::refused(Code::MalformedBody, "The request's body took too long to arrive.")),
    }
}

async fn collect(mut payload: Payload) -> Result<Bytes, AppError> {
    let mut body = BytesMut::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|_| AppError::refused(Code::MalformedBody, "The request's body broke off."))?;
        if body.len() + chunk.len() > MAX_BYTES {
            return Err(too_large());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

fn too_large() -> AppError {
    AppError::refused(Code::TooLarge, "The request's body is larger than 1 MiB.")
}
