//! Recovery codes: `abcdef-ghijkl-mnopqr-stuvwx`. With 120 random bits each, storing a fingerprint suffices.

use appcore::{AppError, auth::token};
use totp_rs::Secret;

/// Number of codes per set.
pub(super) const COUNT: usize = 10;
const BYTES: usize = 15;
const GROUP: usize = 6;

/// Generates a set of codes.
pub(super) fn make() -> Result<Vec<String>, AppError> {
    (0..COUNT)
        .map(|_| token::random_bytes::<BYTES>().map(|bytes| format_code(&bytes)).map_err(AppError::internal))
        .collect()
}

/// Fingerprint of a code, ignoring case and separators.
pub(super) fn fingerprint(code: &str) -> Vec<u8> {
    let plain: String = code
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .take(BYTES * 2)
        .map(|character| character.to_ascii_lowercase())
        .collect();
    token::hash_token(&plain)
}

fn format_code(bytes: &[u8]) -> String {
    let text = Secret::new(bytes.into()).to_base32().to_ascii_lowercase();
    let groups: Vec<String> =
        text.chars().collect::<Vec<_>>().chunks(GROUP).map(|group| group.iter().collect()).collect();
    groups.join("-")
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn codes_are_long_different_and_tolerant_of_typing() {
        let codes: HashSet<String> = make().unwrap().into_iter().collect();
        assert_eq!(codes.len(), COUNT);
        for code in &codes {
            assert_eq!(code.len(), 27, "{code}");
            assert_eq!(code.split('-').map(str::len).collect::<Vec<_>>(), [6, 6, 6, 6]);
            let typed = format!("  {} ", code.to_uppercase().replace('-', " "));
            assert_eq!(fingerprint(&typed), fingerprint(code));
            assert_ne!(fingerprint(&code[1..]), fingerprint(code));
        }
        assert_eq!(format_code(&[0; 15]), "aaaaaa-aaaaaa-aaaaaa-aaaaaa");
    }
}
