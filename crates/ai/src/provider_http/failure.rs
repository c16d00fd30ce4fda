//! Maps providers' error responses to [`AiError`].
//!
//! The formats are OpenAI's `{"error":{message,type,code}}`, Google's
//! `{"error":{code,status,message,details}}` (sometimes in an array), vLLM's
//! `{"object":"error",message,code}`, and whatever a proxy answers. Messages are inspected only if
//! nothing else distinguishes failures, and are not logged.
//!
//! The cause decides about the key: a request that would fail with every key (above the account's
//! limit or remaining credit, refused by a content filter, unsupported region) is attributed to the
//! caller or deployment, whatever its status.

mod error_object;
mod retry;
mod safe_message;
#[cfg(test)]
mod tests;

use std::{
    sync::LazyLock,
    time::{Duration, SystemTime},
};

use memchr::memmem::Finder;
use reqwest::{StatusCode, header::HeaderMap};
use serde_json::{Value, json};

pub(crate) use self::error_object::Refusal;
pub use self::safe_message::SafeMessage;
use self::{error_object::ErrorObject, retry::retry_after};
use super::ConnectionCause;
use crate::AiError;

static STREAM_OPTIONS: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("stream_options"));

/// A failure, with the provider's message about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub error: AiError,
    pub safe_message: Option<SafeMessage>,
    /// True if the server doesn't support `stream_options`.
    pub is_stream_options_error: bool,
    /// The provider's objection to the request, if adapting the request might help.
    pub(crate) refusal: Option<Box<Refusal>>,
    /// Cause of a failed connection, for administrators.
    pub(crate) cause: Option<ConnectionCause>,
}

impl From<AiError> for Failure {
    fn from(error: AiError) -> Self {
        Self { error, safe_message: None, is_stream_options_error: false, refusal: None, cause: None }
    }
}

/// Maximum delay that is accepted from a provider; longer ones are shortened to it. Only the time
/// until the renewal of a daily quota may be longer.
pub(crate) const MAX_TRUSTED_DELAY: Duration = Duration::from_secs(3_600);

/// Parses an unsuccessful response.
pub fn parse_response(status: StatusCode, head: &HeaderMap, body: &[u8]) -> Failure {
    let value = serde_json::from_slice(body).unwrap_or(Value::Null);
    let told = ErrorObject::read(&value).unwrap_or_else(|| ErrorObject::read_loosely(&value, body));
    let wait = retry_after(head, SystemTime::now()).or(told.retry_delay);
    let error = told.classify(status.as_u16(), wait);
    tracing::warn!(
        status = status.as_u16(),
        upstream_code = told.safe_code(),
        code = error.code(),
        "provider returned an error"
    );
    let of_stream_options = matches!(status.as_u16(), 400 | 422) && STREAM_OPTIONS.find(body).is_some();
    let refusal = told.refusal(status.as_u16(), &error).map(Box::new);
    Failure {
        error,
        safe_message: told.safe_message(),
        is_stream_options_error: of_stream_options,
        refusal,
        cause: None,
    }
}

/// Parses an error within a stream or a body with status 200; `None` if the value is not an error.
pub fn parse_value(value: &Value) -> Option<Failure> {
    let told = ErrorObject::read(value)?;
    let error = told.classify(told.status, told.retry_delay);
    tracing::warn!(upstream_code = told.safe_code(), code = error.code(), "provider sent an error within its answer");
    Some(Failure { safe_message: told.safe_message(), ..error.into() })
}

/// Parses an error event, whose fields stand in an `error` object or beside its type; `None` if the
/// value is not an error.
pub fn parse_error_event(value: &Value) -> Option<Failure> {
    let bare = || (value["type"] == "error").then(|| json!({ "error": value }));
    parse_value(value).or_else(|| parse_value(&bare()?))
}

/// Failure in the data of an error event.
pub fn parse_event(data: &[u8]) -> Failure {
    let value = serde_json::from_slice(data).ok();
    value.as_ref().and_then(parse_error_event).unwrap_or_else(unknown_failure)
}

/// Failure about which the provider says nothing.
pub fn unknown_failure() -> Failure {
    AiError::Unavailable { retry_after: None }.into()
}
