//! Text sent by users and API clients. It is parsed once when it is received; after that its type
//! guarantees that it is valid.

use serde::{Deserialize, Serialize};

use crate::{error::AppError, text_field::is_blank};

/// Idempotency key of a message, chosen by the client. A sender can use each key for only one
/// message per conversation.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, utoipa::ToSchema)]
#[serde(transparent)]
pub struct ClientId(String);

impl ClientId {
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

/// Normalizes text for storage: unifies line breaks and removes control characters. Control
/// characters are invisible, and come from text that was pasted from a terminal, slides or a PDF.
#[must_use]
pub fn normalize_text(text: String) -> String {
    if !text.chars().any(is_removed_control) {
        return text;
    }
    let mut plain = String::with_capacity(text.len());
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '\r' if letters.peek() == Some(&'\n') => {}
            '\r' | '\u{b}' | '\u{c}' | '\u{85}' => plain.push('\n'),
            '\u{1b}' => {
                // Skips an ANSI escape sequence of a terminal, such as ESC [ 3 2 m.
                let mut rest = letters.clone();
                if rest.next() == Some('[')
                    && rest.find(|sign| !matches!(*sign, ' '..='?')).is_some_and(ends_ansi_sequence)
                {
                    letters = rest;
                }
            }
            _ if is_removed_control(letter) => {}
            _ => plain.push(letter),
        }
    }
    plain
}

fn is_removed_control(letter: char) -> bool {
    letter.is_control() && !matches!(letter, '\n' | '\t')
}

const fn ends_ansi_sequence(sign: char) -> bool {
    matches!(sign, '@'..='~')
}

/// Text of a message. It has visible characters and a limited length, and no control characters
/// other than line breaks and tabs; see [`normalize_text`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Content(String);

impl Content {
    pub fn parse(text: impl Into<String>, max_chars: usize) -> Result<Self, AppError> {
        let content = Self::parse_with_files(text, max_chars)?;
        if content.0.is_empty() {
            return Err(AppError::field("content", "required", "Write a message first."));
        }
        Ok(content)
    }

    /// Parses the text of a message with attachments, which may be empty.
    pub fn parse_with_files(text: impl Into<String>, max_chars: usize) -> Result<Self, AppError> {
        let text = normalize_text(text.into());
        if is_blank(&text) {
            return Ok(Self(String::new()));
        }
        let content = Self(text);
        content.check_length(max_chars)?;
        Ok(content)
    }

    /// Checks the length in characters. It is separate from parsing, because the limit may be known
    /// only once the conversation is loaded.
    pub fn check_length(&self, max_chars: usize) -> Result<(), AppError> {
        // The characters are only counted if the length in bytes exceeds the limit.
        if self.0.len() > max_chars && self.0.chars().count() > max_chars {
            return Err(AppError::field(
                "content",
                "too_long",
                format!("Messages can have up to {max_chars} characters."),
            ));
        }
        Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_counts_characters_not_bytes() {
        assert!(Content::parse("ơ".repeat(10), 10).is_ok());
        assert!(Content::parse("ơ".repeat(11), 10).is_err());
        assert!(Content::parse(" \n", 10).is_err());
        assert!(Content::parse("abc", 10).unwrap().check_length(2).is_err());
    }

    #[test]
    fn content_has_no_control_characters_other_than_line_breaks_and_tabs() {
        for (text, kept) in [
            ("a\r\n\tb\nc", "a\n\tb\nc"),
            ("a\rb\r\r\nc", "a\nb\n\nc"),
            ("a\u{b}b\u{c}c\u{85}d", "a\nb\nc\nd"),
            ("a\0b\u{1}c\u{8}d\u{7f}e\u{9f}f", "abcdef"),
            ("\u{1b}[32mok\u{1b}[0m", "ok"),
            ("\u{1b}[1;38:5:1ma\u{1b}[Kb", "ab"),
            ("\u{1b}b\u{1b}[1", "b[1"),
            ("\u{1b}[1\nb", "[1\nb"),
        ] {
            assert_eq!(Content::parse(text, 10).unwrap().as_str(), kept, "{text:?}");
        }
        assert!(Content::parse("\0\u{1b}[0m", 10).is_err(), "the rest is blank");
        assert!(Content::parse("👩\u{200d}👧 \u{feff}ơ", 10).is_ok(), "joiners and byte order marks are kept");
    }

    #[test]
    fn content_is_visible() {
        for blank in ["\u{200b}", "\u{3164}\n\u{2800}", " \u{e0041}"] {
            assert!(Content::parse(blank, 10).is_err(), "{blank:?}");
            assert_eq!(Content::parse_with_files(blank, 10).unwrap().as_str(), "", "{blank:?}");
        }
        assert_eq!(
            Content::parse("\u{200b}a", 10).unwrap().as_str(),
            "\u{200b}a",
            "other characters are kept unchanged"
        );
    }

    #[test]
    fn client_id_is_visible_ascii() {
        assert!(ClientId::parse("a-1").is_ok());
        for bad in ["", "a b", "ơ", &"x".repeat(65)] {
            assert!(ClientId::parse(bad).is_err(), "{bad:?}");
        }
    }
}
