//! What can go wrong between us and a provider.

/// Why nobody is signed in. The texts are for the log.
#[derive(Debug, thiserror::Error)]
pub enum OidcError {
    /// The provider does not answer, or not as it should.
    #[error("the provider is away: {0}")]
    Away(String),
    /// What came is not to be believed.
    #[error("{0}")]
    Invalid(String),
    /// A setting of ours can't be used.
    #[error("{0}")]
    Settings(String),
}

impl OidcError {
    pub(crate) fn invalid(reason: impl ToString) -> Self {
        Self::Invalid(reason.to_string())
    }
}
