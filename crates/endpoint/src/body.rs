//! Reading a body: never more than the limit, never for longer than the time.

use std::time::Duration;

use actix_web::{
    dev::Payload,
    http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderMap},
};
use appcore::{AppError, Code};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use tokio::time::{Instant, timeout, timeout_at};

const FORM: &str = "application/x-www-form-urlencoded";
/// How long a body that is read as a whole may take to arrive, however small it is.
const LEAST_TIME: Duration = Duration::from_secs(30);
/// Bytes a second of a larger one.
const LEAST_PACE: u64 = 64 * 1024;

/// What an endpoint takes as its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyForm {
    /// None; what is sent all the same is not read.
    Nothing,
    /// A map of fields, in JSON or MessagePack.
    Fields,
    /// Bytes that the endpoint reads itself, all of them in memory.
    Bytes,
    /// Bytes that the endpoint reads itself as they arrive.
    Stream,
}

/// A body that is read as it arrives, up to its limit. Between two pieces only so much time may pass.
pub struct BodyStream {
    payload: Payload,
    read: usize,
    limit: usize,
    idle: Duration,
}

impl BodyStream {
    /// Refuses a body that says beforehand that it is too large: nobody need wait for the rest of it.
    pub(crate) fn open(headers: &HeaderMap, payload: Payload, limit: usize, idle: Duration) -> Result<Self, AppError> {
        let declared =
            headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()).and_then(|text| text.parse().ok());
        if declared.is_some_and(|length: usize| length > limit) {
            return Err(too_large(limit));
        }
        Ok(Self { payload, read: 0, limit, idle })
    }

    /// The next piece; `None` at the end.
    pub async fn next(&mut self) -> Option<Result<Bytes, AppError>> {
        let piece = match timeout(self.idle, self.payload.next()).await {
            Err(_) => return Some(Err(too_slow())),
            Ok(piece) => piece?,
        };
        Some(match piece {
            Err(_) => Err(AppError::refused(Code::MalformedBody, "The request body was cut off. Try again.")),
            Ok(piece) if piece.len() > self.limit - self.read => Err(too_large(self.limit)),
            Ok(piece) => {
                self.read += piece.len();
                Ok(piece)
            }
        })
    }

    /// All of it. It must keep a pace, or pieces that are small enough could take for ever.
    pub(crate) async fn whole(mut self) -> Result<Bytes, AppError> {
        let (start, mut whole) = (Instant::now(), BytesMut::new());
        loop {
            let until = start + LEAST_TIME + Duration::from_secs(whole.len() as u64 / LEAST_PACE);
            match timeout_at(until, self.next()).await {
                Err(_) => return Err(too_slow()),
                Ok(None) => return Ok(whole.freeze()),
                Ok(Some(piece)) => whole.extend_from_slice(&piece?),
            }
        }
    }

    /// A form that a browser sends; nothing where there is none.
    pub(crate) async fn form(self, headers: &HeaderMap) -> Result<String, AppError> {
        let body = self.whole().await?;
        let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let is_form = kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(FORM);
        if !body.is_empty() && !is_form {
            return Err(AppError::refused(Code::UnsupportedMediaType, "Send the body as a form."));
        }
        String::from_utf8(body.to_vec())
            .map_err(|_| AppError::refused(Code::MalformedBody, "The form must be in UTF-8."))
    }
}

fn too_slow() -> AppError {
    AppError::refused(Code::MalformedBody, "The request body took too long to arrive. Try again.")
}

fn too_large(limit: usize) -> AppError {
    const KIB: usize = 1024;
    let size = match limit {
        _ if limit.is_multiple_of(KIB * KIB) => format!("{} MiB", limit / (KIB * KIB)),
        _ if limit.is_multiple_of(KIB) => format!("{} KiB", limit / KIB),
        _ => format!("{limit} bytes"),
    };
    AppError::refused(Code::TooLarge, format!("The request body must be {size} or smaller."))
}
