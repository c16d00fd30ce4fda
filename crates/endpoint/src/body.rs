//! Reading of request bodies, with limits on their size, on the time, and on the total memory of
//! all bodies.

use std::{sync::Arc, time::Duration};

use actix_web::{
    dev::Payload,
    http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderMap},
};
use appcore::{AppError, Code};
use bytes::Bytes;
use futures_util::StreamExt;
use platform::rate_limits::BodyLease;
use tokio::time::{Instant, timeout, timeout_at};

const FORM: &str = "application/x-www-form-urlencoded";
/// Minimum time limit for a body that is buffered completely.
const MIN_READ_TIMEOUT: Duration = Duration::from_secs(30);
/// Minimum transfer rate of buffered bodies beyond that time, in bytes per second.
const MIN_BYTES_PER_SECOND: u64 = 64 * 1024;
/// Initial buffer capacity, in bytes.
const INITIAL_CAPACITY: usize = 4 * 1024;
/// Maximum number of bytes that a streamed body counts with in the memory budget. Its reader
/// buffers no more before it writes the bytes out.
const MAX_READER_BUFFER: usize = 1024 * 1024;

/// Body that an endpoint accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyForm {
    /// No body. If one is sent, it is ignored.
    Nothing,
    /// Object of named fields, in JSON or MessagePack.
    Fields,
    /// Raw bytes, buffered in memory.
    Bytes,
    /// Raw bytes, passed to the handler as a stream.
    Stream,
}

/// Streamed body, limited in size and in the time between two chunks.
pub struct BodyStream {
    payload: Payload,
    /// Value of the `Content-Length` header, if there is one.
    content_length: Option<usize>,
    read: usize,
    limit: usize,
    idle: Duration,
    lease: BodyLease,
    charged: usize,
}

/// Buffered body. Its part of the memory budget is released when the last reference is dropped.
pub(crate) struct BufferedBody {
    bytes: Vec<u8>,
    lease: Arc<BodyLease>,
}

impl AsRef<[u8]> for BufferedBody {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl BufferedBody {
    pub fn lease(&self) -> Arc<BodyLease> {
        Arc::clone(&self.lease)
    }

    pub fn into_bytes(self) -> Bytes {
        Bytes::from_owner(self)
    }
}

impl BodyStream {
    /// Opens a body. If its declared length exceeds the limit, it is refused before it is read.
    pub(crate) fn open(
        headers: &HeaderMap,
        payload: Payload,
        limit: usize,
        idle: Duration,
        lease: BodyLease,
    ) -> Result<Self, AppError> {
        let declared =
            headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()).and_then(|text| text.parse().ok());
        Self { payload, content_length: declared, read: 0, limit, idle, lease, charged: 0 }.with_limit(limit)
    }

    /// Lowers the limit. Returns `TooLarge` if the declared length exceeds it.
    fn with_limit(mut self, limit: usize) -> Result<Self, AppError> {
        self.limit = self.limit.min(limit);
        if self.content_length.is_some_and(|length| length > self.limit) {
            return Err(too_large(self.limit));
        }
        Ok(self)
    }

    /// Returns the next chunk; `None` at the end. Chunks count in the memory budget up to the size
    /// of the reader's buffer.
    pub async fn next(&mut self) -> Option<Result<Bytes, AppError>> {
        let piece = self.next_chunk().await?;
        Some(piece.and_then(|piece| {
            let more = piece.len().min(MAX_READER_BUFFER - self.charged);
            self.lease.reserve(more)?;
            self.charged += more;
            Ok(piece)
        }))
    }

    async fn next_chunk(&mut self) -> Option<Result<Bytes, AppError>> {
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

    /// Buffers the body, up to `limit` bytes.
    pub async fn read_up_to(self, limit: usize) -> Result<Bytes, AppError> {
        Ok(self.with_limit(limit)?.read_all().await?.into_bytes())
    }

    /// Buffers the whole body. A minimum transfer rate limits the total time, so that tiny chunks
    /// can't keep a request open indefinitely.
    pub(crate) async fn read_all(self) -> Result<BufferedBody, AppError> {
        let limit = self.lease.max_body_bytes();
        let mut body = self.with_limit(limit)?;
        let (start, mut bytes) = (Instant::now(), Vec::new());
        loop {
            let until = start + MIN_READ_TIMEOUT + Duration::from_secs(bytes.len() as u64 / MIN_BYTES_PER_SECOND);
            match timeout_at(until, body.next_chunk()).await {
                Err(_) => return Err(too_slow()),
                Ok(None) => return Ok(BufferedBody { bytes, lease: Arc::new(body.lease) }),
                Ok(Some(piece)) => {
                    let piece = piece?;
                    body.reserve(&mut bytes, piece.len())?;
                    bytes.extend_from_slice(&piece);
                }
            }
        }
    }

    /// Makes room for `more` bytes. The buffer grows with the bytes received, because the declared
    /// length can't be trusted.
    fn reserve(&mut self, bytes: &mut Vec<u8>, more: usize) -> Result<(), AppError> {
        let (needed, had) = (bytes.len() + more, bytes.capacity());
        if needed <= had {
            return Ok(());
        }
        let most = self.content_length.unwrap_or(self.limit);
        let capacity = (had * 2).max(INITIAL_CAPACITY).min(most).max(needed);
        self.lease.reserve(capacity - had)?;
        bytes.reserve_exact(capacity - bytes.len());
        Ok(())
    }

    /// Reads the body as a URL-encoded form. Returns an empty text if there is no body.
    pub(crate) async fn read_form(self, headers: &HeaderMap) -> Result<(String, Arc<BodyLease>), AppError> {
        let body = self.read_all().await?;
        let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let is_form = kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(FORM);
        if !body.bytes.is_empty() && !is_form {
            return Err(AppError::refused(Code::UnsupportedMediaType, "Send the body as a form."));
        }
        let BufferedBody { bytes, lease } = body;
        let form = String::from_utf8(bytes)
            .map_err(|_| AppError::refused(Code::MalformedBody, "The form must be in UTF-8."))?;
        Ok((form, lease))
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
