//! Emoji of reactions: a Unicode emoji, or a custom one of the workspace.

use appcore::AppError;

/// Maximum length of an emoji sequence, in bytes.
const MAX_BYTES: usize = 64;

/// Parses the emoji of a reaction. Spellings with and without a variation selector give the same
/// result.
pub fn parse(text: &str) -> Result<&'static str, AppError> {
    let found = if text.len() > MAX_BYTES { None } else { emojis::get(text) };
    found.map(emojis::Emoji::as_str).ok_or_else(|| AppError::field("emoji", "invalid", "React with one emoji."))
}

/// Allowed length of the name of a custom emoji, in characters.
const NAME_LEN: std::ops::RangeInclusive<usize> = 2..=32;

/// True if the name is valid for a custom emoji.
pub fn is_custom_name(name: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'-');
    NAME_LEN.contains(&name.len()) && name.bytes().all(is_part)
}

/// Name of a custom emoji that is written as `:name:`.
pub fn custom_name(text: &str) -> Option<&str> {
    text.strip_prefix(':')?.strip_suffix(':').filter(|name| is_custom_name(name))
}

/// True if a Unicode emoji has this shortcode.
pub fn is_unicode_shortcode(name: &str) -> bool {
    emojis::get_by_shortcode(name).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_exactly_one_emoji() {
        for emoji in ["👍", "👍🏽", "👩‍👩‍👧‍👦", "🇻🇳", "🏴󠁧󠁢󠁷󠁬󠁳󠁿", "1️⃣"]
        {
            assert_eq!(parse(emoji).unwrap(), emoji);
        }
        // Emoji that Unicode 16 added.
        for emoji in ["🫩", "🫆", "🪾", "🫜", "🪉", "🪏", "🫟", "🇨🇶"] {
            assert_eq!(parse(emoji).unwrap(), emoji);
        }
        // With and without the variation selector for emoji presentation.
        assert_eq!(parse("❤").unwrap(), parse("❤️").unwrap());
        assert_eq!(parse("👍\u{fe0f}").unwrap(), "👍");
        for wrong in ["", "a", "👍👍", "👍 ", "<b>", "1", ":a:", "\0", "\u{200d}", "\u{fe0f}"] {
            assert!(parse(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn custom_emoji_are_written_between_colons() {
        assert_eq!(custom_name(":party_cat-2:"), Some("party_cat-2"));
        for wrong in
            [":a:", "party", ":party", ":Party:", ":pár:", "::", ":", ":a b:", &format!(":{}:", "x".repeat(33))]
        {
            assert_eq!(custom_name(wrong), None, "{wrong:?}");
        }
        assert!(is_unicode_shortcode("tada"));
        assert!(!is_unicode_shortcode("party_cat"));
    }
}
