//! Provider failures: a sentence for the user and a code for programs.

use std::time::Duration;

/// A failure of an AI provider.
///
/// `Display` is a sentence for the user who waits for the answer. It never contains a key, an
/// address or provider text, because it is shown in a chat. Details for operators (provider,
/// status, provider's error code) are logged where the failure occurs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AiError {
    /// Rate limit reached, or all keys are cooling down.
    #[error("The AI provider is busy. Try again in {}.", in_words(.retry_after))]
    Busy { retry_after: Option<Duration> },
    /// The provider answered 5xx or could not be reached.
    #[error("The AI provider is unavailable. Try again in {}.", in_words(.retry_after))]
    Unavailable { retry_after: Option<Duration> },
    /// Idle timeout, or the answer took longer than allowed.
    #[error("The AI provider took too long to answer. Try again.")]
    Timeout,
    /// The stream ended before the answer was complete.
    #[error("The answer was cut off. Try again.")]
    Truncated,
    /// The answer violates the provider's protocol.
    #[error("The AI provider sent an answer Natter couldn't read. Try again.")]
    Garbled,
    /// The API key is missing, wrong or lacks permission.
    #[error("The AI provider rejected this server's API key. Ask an admin to check it.")]
    Credentials,
    /// The provider account has no credit or quota left.
    #[error("This server has used up its quota with the AI provider. Ask an admin to raise it.")]
    Quota,
    /// The model is unknown here or at the provider.
    #[error("This assistant's model isn't available. Ask an admin to choose another one.")]
    UnknownModel,
    /// An HTML page arrived instead of an API error: the provider or a firewall in front of it
    /// blocks the call.
    #[error(
        "The AI provider, or something before it, refused this call. Ask an admin to check the connection to the provider."
    )]
    Barred,
    /// The provider doesn't serve the country of this server.
    #[error("The AI provider doesn't serve the country this server is in. Ask an admin to choose another provider.")]
    WrongCountry,
    /// The provider rejected the request as invalid.
    #[error("The AI provider rejected this request. Edit your message and send it again.")]
    Rejected,
    /// The request exceeds the model's context window.
    #[error("This conversation is too long for the assistant. Start a new one.")]
    TooLong,
    /// The provider's content filter refused the request or the whole answer.
    #[error("The AI provider declined to answer. Rephrase your message and send it again.")]
    Declined,
    /// The answer ended without content.
    #[error("The assistant returned an empty answer. Try again.")]
    Empty,
    /// The answer exceeded a limit of this server.
    #[error("The answer exceeded this server's length limit. Ask for a shorter one.")]
    TooLarge,
}

impl AiError {
    /// Stable error code, for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Busy { .. } => "provider_busy",
            Self::Unavailable { .. } => "provider_unavailable",
            Self::Timeout => "provider_timeout",
            Self::Truncated => "answer_cut",
            Self::Garbled => "provider_garbled",
            Self::Credentials => "provider_credentials",
            Self::Quota => "provider_quota",
            Self::UnknownModel => "model_unavailable",
            Self::Barred => "provider_barred",
            Self::WrongCountry => "provider_wrong_country",
            Self::Rejected => "provider_rejected",
            Self::TooLong => "context_too_long",
            Self::Declined => "provider_declined",
            Self::Empty => "answer_empty",
            Self::TooLarge => "answer_too_large",
        }
    }

    /// True if the same request may succeed shortly. Excludes timeouts, since the user has waited
    /// long enough.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Busy { .. } | Self::Unavailable { .. } | Self::Truncated)
    }

    /// True if the provider's server failed or was unreachable, regardless of request and key.
    pub fn is_provider_failure(&self) -> bool {
        matches!(self, Self::Unavailable { .. } | Self::Timeout)
    }

    /// Delay that the provider asked for.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Busy { retry_after } | Self::Unavailable { retry_after } => *retry_after,
            _ => None,
        }
    }
}

/// Wait time in words: rounded up, and "a minute" if unknown.
fn in_words(wait: &Option<Duration>) -> String {
    let Some(wait) = wait else { return "a minute".to_owned() };
    let minutes = wait.as_secs().div_ceil(60);
    match minutes {
        0 | 1 => "a minute".to_owned(),
        2..=59 => format!("{minutes} minutes"),
        60..=90 => "an hour".to_owned(),
        _ => format!("{} hours", minutes.div_ceil(60)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn renders_waits_in_words() {
        let busy = |seconds| AiError::Busy { retry_after: Some(Duration::from_secs(seconds)) }.to_string();
        assert_eq!(AiError::Busy { retry_after: None }.to_string(), "The AI provider is busy. Try again in a minute.");
        assert_eq!(busy(3), "The AI provider is busy. Try again in a minute.");
        assert_eq!(busy(61), "The AI provider is busy. Try again in 2 minutes.");
        assert_eq!(busy(3_700), "The AI provider is busy. Try again in an hour.");
        assert_eq!(busy(40_000), "The AI provider is busy. Try again in 12 hours.");
    }
}
