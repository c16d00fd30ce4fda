//! Errors of identity providers.

/// Reason why a sign-in failed. The texts are for the log.
#[derive(Debug, thiserror::Error)]
pub enum OidcError {
    /// The provider is unavailable, or its response is unexpected.
    #[error("provider unavailable: {0}")]
    Unavailable(String),
    /// The provider's answer or token is invalid.
    #[error("{0}")]
    Invalid(String),
    /// The settings are invalid, or Natter itself has failed.
    #[error("{0}")]
    Settings(String),
}

impl OidcError {
    pub(crate) fn invalid(reason: impl ToString) -> Self {
        Self::Invalid(reason.to_string())
    }
}
