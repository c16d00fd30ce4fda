//! Reading a body: never more than the limit, never for longer than the time.

use std::time::Duration;

use actix_web::{
    dev::Payload,
    http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderMap},
    rt::time::timeout,
};
use appcore::{AppError, Code};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;

/// The largest body, uploads apart.
pub(crate) const MAX_BYTES: usize = 1024 * 1024;
const FORM: &str = "application/x-www-form-urlencoded";
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
        Err(_) => Err(AppError::refused(Code::MalformedBody, "The request body took too long to arrive. Try again.")),
    }
}

/// A form that a browser sends; nothing where there is none.
pub(crate) async fn read_form(headers: &HeaderMap, payload: Payload) -> Result<String, AppError> {
    let body = read(headers, payload).await?;
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let is_form = kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(FORM);
    if !body.is_empty() && !is_form {
        return Err(AppError::refused(Code::UnsupportedMediaType, "Send the body as a form."));
    }
    String::from_utf8(body.to_vec()).map_err(|_| AppError::refused(Code::MalformedBody, "The form must be in UTF-8."))
}

async fn collect(mut payload: Payload) -> Result<Bytes, AppError> {
    let mut body = BytesMut::new();
    while let Some(chunk) = payload.next().await {
        let chunk =
            chunk.map_err(|_| AppError::refused(Code::MalformedBody, "The request body was cut off. Try again."))?;
        if body.len() + chunk.len() > MAX_BYTES {
            return Err(too_large());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

fn too_large() -> AppError {
    AppError::refused(Code::TooLarge, "The request body must be 1 MiB or smaller.")
}
