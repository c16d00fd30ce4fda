//! Reading a body: never more than the limit, never for longer than the time, never more memory than there is for all of them.

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
/// How long a body that is read as a whole may take to arrive, however small it is.
const LEAST_TIME: Duration = Duration::from_secs(30);
/// Bytes a second of a larger one.
const LEAST_PACE: u64 = 64 * 1024;
/// What is gathered at first of a body that is read as a whole.
const FIRST: usize = 4 * 1024;
/// What whoever reads a body as it arrives gathers of it at most before it is put away.
const GATHERED: usize = 1024 * 1024;

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
    /// As its head says.
    declared: Option<usize>,
    read: usize,
    limit: usize,
    idle: Duration,
    lease: BodyLease,
    counted: usize,
}

/// A body that is all there; it counts as long as anybody holds it.
pub(crate) struct WholeBody {
    bytes: Vec<u8>,
    lease: Arc<BodyLease>,
}

impl AsRef<[u8]> for WholeBody {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl WholeBody {
    pub fn lease(&self) -> Arc<BodyLease> {
        Arc::clone(&self.lease)
    }

    pub fn into_bytes(self) -> Bytes {
        Bytes::from_owner(self)
    }
}

impl BodyStream {
    /// Refuses a body that says beforehand that it is too large: nobody need wait for the rest of it.
    pub(crate) fn open(
        headers: &HeaderMap,
        payload: Payload,
        limit: usize,
        idle: Duration,
        lease: BodyLease,
    ) -> Result<Self, AppError> {
        let declared =
            headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()).and_then(|text| text.parse().ok());
        Self { payload, declared, read: 0, limit, idle, lease, counted: 0 }.up_to(limit)
    }

    /// The body, of which no more than this is taken.
    fn up_to(mut self, limit: usize) -> Result<Self, AppError> {
        self.limit = self.limit.min(limit);
        if self.declared.is_some_and(|length| length > self.limit) {
            return Err(too_large(self.limit));
        }
        Ok(self)
    }

    /// The next piece; `None` at the end. What was handed out counts up to what its reader gathers.
    pub async fn next(&mut self) -> Option<Result<Bytes, AppError>> {
        let piece = self.piece().await?;
        Some(piece.and_then(|piece| {
            let more = piece.len().min(GATHERED - self.counted);
            self.lease.grow(more)?;
            self.counted += more;
            Ok(piece)
        }))
    }

    async fn piece(&mut self) -> Option<Result<Bytes, AppError>> {
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

    /// All of it, where it is no more than that.
    pub async fn whole_up_to(self, limit: usize) -> Result<Bytes, AppError> {
        Ok(self.up_to(limit)?.whole().await?.into_bytes())
    }

    /// All of it. It must keep a pace, or pieces that are small enough could take for ever.
    pub(crate) async fn whole(self) -> Result<WholeBody, AppError> {
        let limit = self.lease.largest();
        let mut body = self.up_to(limit)?;
        let (start, mut bytes) = (Instant::now(), Vec::new());
        loop {
            let until = start + LEAST_TIME + Duration::from_secs(bytes.len() as u64 / LEAST_PACE);
            match timeout_at(until, body.piece()).await {
                Err(_) => return Err(too_slow()),
                Ok(None) => return Ok(WholeBody { bytes, lease: Arc::new(body.lease) }),
                Ok(Some(piece)) => {
                    let piece = piece?;
                    body.make_room(&mut bytes, piece.len())?;
                    bytes.extend_from_slice(&piece);
                }
            }
        }
    }

    /// Memory grows with what came, not with what is promised.
    fn make_room(&mut self, bytes: &mut Vec<u8>, more: usize) -> Result<(), AppError> {
        let (needed, had) = (bytes.len() + more, bytes.capacity());
        if needed <= had {
            return Ok(());
        }
        let most = self.declared.unwrap_or(self.limit);
        let capacity = (had * 2).max(FIRST).min(most).max(needed);
        self.lease.grow(capacity - had)?;
        bytes.reserve_exact(capacity - bytes.len());
        Ok(())
    }

    /// A form that a browser sends; nothing where there is none.
    pub(crate) async fn form(self, headers: &HeaderMap) -> Result<(String, Arc<BodyLease>), AppError> {
        let body = self.whole().await?;
        let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let is_form = kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(FORM);
        if !body.bytes.is_empty() && !is_form {
            return Err(AppError::refused(Code::UnsupportedMediaType, "Send the body as a form."));
        }
        let WholeBody { bytes, lease } = body;
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
