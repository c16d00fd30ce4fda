//! What one can react with: one emoji of Unicode, or one of the workspace's own.

use appcore::AppError;

/// The longest sequence that is one emoji, in bytes.
const MAX_BYTES: usize = 64;

/// Reads what somebody reacts with. The forms of one emoji become the same.
pub fn parse(text: &str) -> Result<&'static str, AppError> {
    let found = if text.len() > MAX_BYTES { None } else { emojis::get(text) };
    found.map(emojis::Emoji::as_str).ok_or_else(|| AppError::field("emoji", "invalid", "React with one emoji."))
}

/// The shortest and the longest name of an emoji of a workspace.
const NAME: std::ops::RangeInclusive<usize> = 2..=32;

/// Whether an emoji of a workspace can be called this.
pub fn is_name(name: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'-');
    NAME.contains(&name.len()) && name.bytes().all(is_part)
}

/// The name between colons, where it is written as one of a workspace's own.
pub fn own_name(text: &str) -> Option<&str> {
    text.strip_prefix(':')?.strip_suffix(':').filter(|name| is_name(name))
}

/// Whether an emoji of Unicode is known by this name.
pub fn is_standard(name: &str) -> bool {
    emojis::get_by_shortcode(name).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_emoji_is_one_sequence() {
        for emoji in ["👍", "👍🏽", "👩‍👩‍👧‍👦", "🇻🇳", "🏴󠁧󠁢󠁷󠁬󠁳󠁿", "1️⃣"]
        {
            assert_eq!(parse(emoji).unwrap(), emoji);
        }
        // Those of Unicode 16.
        for emoji in ["🫩", "🫆", "🪾", "🫜", "🪉", "🪏", "🫟", "🇨🇶"] {
            assert_eq!(parse(emoji).unwrap(), emoji);
        }
        // With and without the selector that asks for colours.
        assert_eq!(parse("❤").unwrap(), parse("❤️").unwrap());
        assert_eq!(parse("👍\u{fe0f}").unwrap(), "👍");
        for wrong in ["", "a", "👍👍", "👍 ", "<b>", "1", ":a:", "\0", "\u{200d}", "\u{fe0f}"] {
            assert!(parse(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn names_of_workspaces_stand_between_colons() {
        assert_eq!(own_name(":party_cat-2:"), Some("party_cat-2"));
        for wrong in
            [":a:", "party", ":party", ":Party:", ":pár:", "::", ":", ":a b:", &format!(":{}:", "x".repeat(33))]
        {
            assert_eq!(own_name(wrong), None, "{wrong:?}");
        }
        assert!(is_standard("tada"));
        assert!(!is_standard("party_cat"));
    }
}
