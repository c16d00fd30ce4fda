//! Maps providers' error responses to [`AiError`].
//!
//! The shapes are OpenAI's `{"error":{message,type,code}}`, Google's `{"error":{code,status,message,details}}` (sometimes in an
//! array), vLLM's `{"object":"error",message,code}` and whatever a proxy answers. Messages are looked at where nothing else
//! tells failures apart, and go nowhere.
//!
//! Whose fault a failure is decides what becomes of the key: a question that no key could ask (too much for the account's limit, more than is
//! left of its money, declined by a filter, not for this region) is the caller's or the deployment's, whatever status it comes with.

mod retry;
#[cfg(test)]
mod tests;
mod told;
mod words;

use std::{
    sync::LazyLock,
    time::{Duration, SystemTime},
};

use memchr::memmem::Finder;
use reqwest::{StatusCode, header::HeaderMap};
use serde_json::Value;

pub use self::words::Words;
use self::{retry::retry_after, told::Told};
use crate::AiError;

static STREAM_OPTIONS: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("stream_options"));

/// A failure with what the provider says about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub error: AiError,
    pub told: Option<Words>,
    /// It is about `stream_options`, which the server doesn't know.
    pub of_stream_options: bool,
}

impl From<AiError> for Failure {
    fn from(error: AiError) -> Self {
        Self { error, told: None, of_stream_options: false }
    }
}

/// A longer wait than this is not believed. What is longer all the same is the time until a day's quota is renewed.
pub(crate) const LONGEST_ASKED: Duration = Duration::from_secs(3_600);

/// Reads a response that is no success.
pub fn of_response(status: StatusCode, head: &HeaderMap, body: &[u8]) -> Failure {
    let value = serde_json::from_slice(body).unwrap_or(Value::Null);
    let told = Told::read(&value).unwrap_or_else(|| Told::read_loosely(&value, body));
    let wait = retry_after(head, SystemTime::now()).or(told.retry_delay);
    let error = told.classify(status.as_u16(), wait);
    tracing::warn!(
        status = status.as_u16(),
        upstream_code = told.safe_code(),
        code = error.code(),
        "a provider answered with an error"
    );
    let of_stream_options = matches!(status.as_u16(), 400 | 422) && STREAM_OPTIONS.find(body).is_some();
    Failure { error, told: told.words_of_its_own(), of_stream_options }
}

/// Reads an error that stands in a stream or in a body that began with 200; `None` where the value is no error.
pub fn of_value(value: &Value) -> Option<Failure> {
    let told = Told::read(value)?;
    let error = told.classify(told.status, told.retry_delay);
    tracing::warn!(upstream_code = told.safe_code(), code = error.code(), "a provider sent an error inside its answer");
    Some(Failure { error, told: told.words_of_its_own(), of_stream_options: false })
}

/// The failure in the data of an event that is one, whatever stands in it.
pub fn of_event(data: &[u8]) -> Failure {
    let value = serde_json::from_slice(data).ok();
    value.as_ref().and_then(of_value).unwrap_or_else(unknown)
}

/// Nobody said what went wrong.
pub fn unknown() -> Failure {
    AiError::Unavailable { retry_after: None }.into()
}
