//! Error of the application. Every layer returns it, and the HTTP layer turns it into a response.

use std::{borrow::Cow, time::Duration};

use serde::Serialize;

use crate::code::Code;

/// Validation error of a field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct FieldError {
    /// Name of the field, nested ones with dots.
    pub field: Cow<'static, str>,
    /// Machine-readable code: `required`, `too_short`, `too_long`, `invalid`, `weak`, …
    #[schema(value_type = String)]
    pub code: Cow<'static, str>,
    /// Message for the user who fills in the form.
    pub message: Cow<'static, str>,
}

impl FieldError {
    pub fn new(
        field: impl Into<Cow<'static, str>>,
        code: impl Into<Cow<'static, str>>,
        message: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self { field: field.into(), code: code.into(), message: message.into() }
    }
}

/// Error of a request.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// Refusal with a code. `message` replaces the message that belongs to the code.
    #[error("{code}")]
    Refused { code: Code, message: Option<Cow<'static, str>>, retry_after: Option<Duration> },
    /// Refusal with machine-readable details.
    #[error("{code}")]
    Detailed { code: Code, message: Option<Cow<'static, str>>, details: Box<serde_json::Value> },
    /// The request has invalid fields (422).
    #[error("invalid fields")]
    Invalid(Vec<FieldError>),
    /// A dependency is unavailable (503). The cause is only logged.
    #[error("unavailable: {0:#}")]
    Unavailable(anyhow::Error),
    /// Internal error (500). The cause is only logged.
    #[error("internal: {0:#}")]
    Internal(anyhow::Error),
}

impl AppError {
    pub fn refused(code: Code, message: impl Into<Cow<'static, str>>) -> Self {
        Self::Refused { code, message: Some(message.into()), retry_after: None }
    }

    /// Validation error of one field.
    pub fn field(
        field: impl Into<Cow<'static, str>>,
        code: impl Into<Cow<'static, str>>,
        message: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self::Invalid(vec![FieldError::new(field, code, message)])
    }

    /// Refusal with the message that belongs to the code, and with machine-readable details.
    #[must_use]
    pub fn detailed(code: Code, details: serde_json::Value) -> Self {
        Self::Detailed { code, message: None, details: Box::new(details) }
    }

    pub fn internal(cause: impl Into<anyhow::Error>) -> Self {
        Self::Internal(cause.into())
    }

    pub fn unavailable(cause: impl Into<anyhow::Error>) -> Self {
        Self::Unavailable(cause.into())
    }

    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Refused { code, .. } | Self::Detailed { code, .. } => *code,
            Self::Invalid(_) => Code::Invalid,
            Self::Unavailable(_) => Code::Unavailable,
            Self::Internal(_) => Code::Internal,
        }
    }

    /// Message for the user.
    #[must_use]
    pub fn sentence(&self) -> Cow<'static, str> {
        match self {
            Self::Refused { message: Some(message), .. } | Self::Detailed { message: Some(message), .. } => {
                message.clone()
            }
            Self::Invalid(fields) if fields.len() == 1 => fields[0].message.clone(),
            other => Cow::Borrowed(other.code().sentence()),
        }
    }

    /// Delay before a retry; always present for 429 and 503.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused { retry_after: Some(after), .. } => Some(*after),
            other if matches!(other.code().status(), 429 | 503) => Some(Duration::from_secs(1)),
            _ => None,
        }
    }

    /// Machine-readable details in addition to the code.
    #[must_use]
    pub fn details(&self) -> Option<&serde_json::Value> {
        match self {
            Self::Detailed { details, .. } => Some(details),
            _ => None,
        }
    }

    #[must_use]
    pub fn fields(&self) -> &[FieldError] {
        match self {
            Self::Invalid(fields) => fields,
            _ => &[],
        }
    }
}

impl From<Code> for AppError {
    fn from(code: Code) -> Self {
        Self::Refused { code, message: None, retry_after: None }
    }
}
