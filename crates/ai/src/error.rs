//! Failures of providers: a sentence for the reader, a code for programs.

use std::time::Duration;

/// A failure of the AI layer.
///
/// `Display` is a sentence for whoever waits for the answer. It never holds a key, an address or text of the upstream: those
/// would be shown in a chat. What an operator needs (provider, status, the upstream's own code) is logged where it happens.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AiError {
    /// Too many requests, or every key is resting.
    #[error("The AI provider is busy. Try again in {}.", in_words(.retry_after))]
    Busy { retry_after: Option<Duration> },
    /// The provider answered 5xx or could not be reached.
    #[error("The AI provider is unavailable. Try again in {}.", in_words(.retry_after))]
    Unavailable { retry_after: Option<Duration> },
    /// Silence for too long, or an answer that took longer than allowed.
    #[error("The AI provider took too long to answer. Try again.")]
    Timeout,
    /// The stream ended before the answer did.
    #[error("The answer was cut off. Try again.")]
    Cut,
    /// What came was not what the provider's protocol says.
    #[error("The AI provider sent an answer Natter couldn't read. Try again.")]
    Garbled,
    /// The key is missing, wrong or not allowed.
    #[error("The AI provider rejected this server's API key. Ask an admin to check it.")]
    Credentials,
    /// The account at the provider has no credit or quota left.
    #[error("This server has used up its quota with the AI provider. Ask an admin to raise it.")]
    Quota,
    /// No such model here or at the provider.
    #[error("This assistant's model isn't available. Ask an admin to choose another one.")]
    UnknownModel,
    /// A page for people came in place of an error: the provider, or a firewall before it, lets this call not through.
    #[error(
        "The AI provider, or something before it, refused this call. Ask an admin to check the connection to the provider."
    )]
    Barred,
    /// The provider serves no servers where this one is.
    #[error("The AI provider doesn't serve the country this server is in. Ask an admin to choose another provider.")]
    WrongCountry,
    /// The provider refused the request as it is.
    #[error("The AI provider rejected this request. Edit your message and send it again.")]
    Rejected,
    /// More text than the model takes.
    #[error("This conversation is too long for the assistant. Start a new one.")]
    TooLong,
    /// The provider's filter refused the question or the whole answer.
    #[error("The AI provider declined to answer. Rephrase your message and send it again.")]
    Declined,
    /// The answer ended without a word.
    #[error("The assistant returned an empty answer. Try again.")]
    Empty,
    /// The answer went over a limit of ours.
    #[error("The answer exceeded this server's length limit. Ask for a shorter one.")]
    TooLarge,
}

impl AiError {
    /// The stable name of this failure, for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Busy { .. } => "provider_busy",
            Self::Unavailable { .. } => "provider_unavailable",
            Self::Timeout => "provider_timeout",
            Self::Cut => "answer_cut",
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

    /// Whether the same request may succeed a moment later. A time-out is not among these: the reader has waited long enough.
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Busy { .. } | Self::Unavailable { .. } | Self::Cut)
    }

    /// Whether the provider's server failed or could not be reached, whatever it was asked and with which key.
    pub fn is_of_provider(&self) -> bool {
        matches!(self, Self::Unavailable { .. } | Self::Timeout)
    }

    /// How long the provider asked us to wait.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Busy { retry_after } | Self::Unavailable { retry_after } => *retry_after,
            _ => None,
        }
    }
}

/// A wait in words: rounded up, never "0 seconds", and "a minute" if unknown.
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
    fn waits_are_said_in_words() {
        let busy = |seconds| AiError::Busy { retry_after: Some(Duration::from_secs(seconds)) }.to_string();
        assert_eq!(AiError::Busy { retry_after: None }.to_string(), "The AI provider is busy. Try again in a minute.");
        assert_eq!(busy(3), "The AI provider is busy. Try again in a minute.");
        assert_eq!(busy(61), "The AI provider is busy. Try again in 2 minutes.");
        assert_eq!(busy(3_700), "The AI provider is busy. Try again in an hour.");
        assert_eq!(busy(40_000), "The AI provider is busy. Try again in 12 hours.");
    }
}
