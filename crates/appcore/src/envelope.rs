//! Envelope of all REST responses under `/r1`.

use std::borrow::Cow;

use serde::Serialize;

use crate::{code::Code, error::FieldError};

/// Successful response.
#[derive(Debug, Serialize)]
pub struct Success<T> {
    pub status: SuccessTag,
    pub data: T,
    pub message: &'static str,
}

impl<T> Success<T> {
    pub const fn new(data: T) -> Self {
        Self { status: SuccessTag::Success, data, message: "" }
    }
}

#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SuccessTag {
    Success,
}

/// Error response.
#[derive(Debug, Serialize)]
pub struct Failure<'a> {
    pub status: FailureTag,
    pub data: (),
    pub message: Cow<'a, str>,
    pub code: Code,
    pub request_id: &'a str,
    /// Machine-readable details in addition to the code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub details: Option<&'a serde_json::Value>,
    #[serde(skip_serializing_if = "<[FieldError]>::is_empty")]
    pub errors: &'a [FieldError],
}

#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum FailureTag {
    Error,
}
