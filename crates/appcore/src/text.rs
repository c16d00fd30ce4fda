//! Text that people and programs send: parsed once at the edge, correct by type afterwards.

use serde::{Deserialize, Serialize};

use crate::error::AppError;

/// Chosen by a client to make sending idempotent: the same one from the same sender in one conversation is one message.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, utoipa::ToSchema)]
#[serde(transparent)]
pub struct ClientId(String);

impl ClientId {
    /// The longest that is taken, in bytes.
    pub const MAX_BYTES: usize = 64;

    pub fn parse(text: impl Into<String>) -> Result<Self, AppError> {
        let text = text.into();
        if text.is_empty() || text.len() > Self::MAX_BYTES || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(AppError::field("client_id", "invalid", "client_id is 1 to 64 visible ASCII characters."));
        }
        Ok(Self(text))
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What a person writes: not blank, no NUL, at most so many characters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Content(String);

impl Content {
    pub fn parse(text: impl Into<String>, max_chars: usize) -> Result<Self, AppError> {
        let text = text.into();
        if text.trim().is_empty() {
            return Err(AppError::field("content", "required", "Write a message first."));
        }
        // Counting characters only where bytes leave a doubt.
        if text.len() > max_chars && text.chars().count() > max_chars {
            return Err(AppError::field(
                "content",
                "too_long",
                format!("Messages can have up to {max_chars} characters."),
            ));
        }
        if text.contains('\0') {
            return Err(AppError::field(
                "content",
                "invalid",
                "The text contains a NUL character. Remove it and try again.",
            ));
        }
        Ok(Self(text))
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    #[must_use]
    pub fn into_string(self) -> String {
        self.0
    }
}

/// A short line of text, such as a name or a title: trimmed, without control characters.
pub fn parse_line(field: &'static str, text: &str, max_chars: usize) -> Result<String, AppError> {
    let text = text.trim();
    if text.is_empty() {
        return Err(AppError::field(field, "required", "This can't be empty."));
    }
    if text.chars().count() > max_chars {
        return Err(AppError::field(field, "too_long", format!("Use {max_chars} characters or fewer.")));
    }
    if text.chars().any(char::is_control) {
        return Err(AppError::field(field, "invalid", "Control characters are not allowed here."));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_counts_characters_not_bytes() {
        assert!(Content::parse("ơ".repeat(10), 10).is_ok());
        assert!(Content::parse("ơ".repeat(11), 10).is_err());
        assert!(Content::parse(" \n", 10).is_err());
        assert!(Content::parse("a\0b", 10).is_err());
    }

    #[test]
    fn client_id_is_visible_ascii() {
        assert!(ClientId::parse("a-1").is_ok());
        for bad in ["", "a b", "ơ", &"x".repeat(65)] {
            assert!(ClientId::parse(bad).is_err(), "{bad:?}");
        }
    }
}
