//! Password policy.
//!
//! A [`Password`] is a new password that has passed the policy. A password entered at sign-in is
//! only text: it is [normalized] and compared. The policy doesn't apply to it, since the policy may
//! have changed after the password was set.

use std::{borrow::Cow, collections::HashSet, sync::LazyLock};

use natter_macro::Settings;
use serde::Deserialize;
use unicode_normalization::{IsNormalized, UnicodeNormalization as _, is_nfc_quick};

use super::Email;
use crate::error::FieldError;

/// Rules for new passwords, in addition to a maximum length and to being different from the e-mail
/// address.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Settings)]
#[settings("auth.password")]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// Minimum length of passwords, in characters.
    #[setting(Number(8, 128), default = 8)]
    pub min_length: usize,
    /// Require an uppercase letter in passwords.
    #[setting(Switch, default = true)]
    pub upper: bool,
    /// Require a lowercase letter in passwords.
    #[setting(Switch, default = true)]
    pub lower: bool,
    /// Require a digit in passwords.
    #[setting(Switch, default = true)]
    pub digit: bool,
    /// Refuse common passwords, which attackers try first.
    #[setting(Switch, default = true)]
    pub common: bool,
}

/// New password that has passed the policy.
#[derive(Clone)]
pub struct Password(String);

/// Maximum length in characters. It allows long passphrases and bounds the cost of hashing.
pub const MAX_CHARS: usize = 128;
/// Maximum length in bytes. It allows [`MAX_CHARS`] characters of up to three combining parts with
/// four bytes each.
pub const MAX_BYTES: usize = MAX_CHARS * 12;

/// Common passwords in lower case. The list contains only passwords that the other rules accept:
/// those with letters and digits and of sufficient length.
static COMMON_PASSWORDS: LazyLock<HashSet<&'static str>> =
    LazyLock::new(|| include_str!("common_passwords.txt").lines().collect());

impl Password {
    /// Checks `text` against the policy, as the password of an account with the address `email`.
    /// Returns one error per broken rule. `field` is the name of the field in the request.
    pub fn parse(
        policy: &Policy,
        field: &'static str,
        text: &str,
        email: Option<&Email>,
    ) -> Result<Self, Vec<FieldError>> {
        let too_long = || vec![FieldError::new(field, "too_long", "Use 128 characters or fewer.")];
        // The length in bytes is checked first, so that a very long text isn't normalized.
        if text.len() > MAX_BYTES {
            return Err(too_long());
        }
        let text = normalize(text);
        if text.chars().count() > MAX_CHARS {
            return Err(too_long());
        }
        let lower = text.to_lowercase();
        let mut broken = Vec::new();
        let mut rule = |kept: bool, code: &'static str, message: Cow<'static, str>| {
            if !kept {
                broken.push(FieldError::new(field, code, message));
            }
        };
        let short = || format!("Use at least {} characters.", policy.min_length).into();
        rule(text.chars().count() >= policy.min_length, "too_short", short());
        let has = |wanted: bool, kind: fn(char) -> bool| !wanted || text.chars().any(kind);
        rule(has(policy.upper, char::is_uppercase), "no_upper", "Add an uppercase letter.".into());
        rule(has(policy.lower, char::is_lowercase), "no_lower", "Add a lowercase letter.".into());
        rule(has(policy.digit, char::is_numeric), "no_digit", "Add a number.".into());
        let is_email = email.is_some_and(|email| lower == email.as_str() || lower == email.local());
        rule(!is_email, "is_email", "Don't use your email as your password.".into());
        let is_common = policy.common && COMMON_PASSWORDS.contains(lower.as_str());
        rule(!is_common, "common", "This password is too common. Choose another one.".into());
        if broken.is_empty() { Ok(Self(text.into_owned())) } else { Err(broken) }
    }

    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

/// Normalizes a password for comparison, so that it doesn't depend on the keyboard: profile
/// `OpaqueString` of RFC 8265.
#[must_use]
pub fn normalize(text: &str) -> Cow<'_, str> {
    let is_other_space = |character: char| {
        matches!(character, '\u{a0}' | '\u{1680}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}')
    };
    if is_nfc_quick(text.chars()) == IsNormalized::Yes && !text.contains(is_other_space) {
        return text.into();
    }
    let spaced = text.chars().map(|character| if is_other_space(character) { ' ' } else { character });
    spaced.nfc().collect::<String>().into()
}

/// Loads the list of common passwords at the start, so that the first check of a password isn't
/// slower.
pub fn preload_common_passwords() {
    LazyLock::force(&COMMON_PASSWORDS);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const USUAL: Policy = Policy { min_length: 8, upper: true, lower: true, digit: true, common: true };

    fn refusal(text: &str) -> String {
        let email = Email::parse("Adalove1ace@example.com").unwrap();
        let codes = |broken: Vec<FieldError>| broken.iter().map(|rule| rule.code.to_string()).collect::<Vec<_>>();
        Password::parse(&USUAL, "password", text, Some(&email))
            .map_or_else(|broken| codes(broken).join(" "), |_| "taken".to_owned())
    }

    #[test]
    fn reports_each_broken_rule() {
        for good in ["Tr1ckyHorse", "ĐàNẵng2026 biển", &format!("Aa1{}", "x".repeat(125)), "Aa1 with spaces and 日本語"]
        {
            assert_eq!(refusal(good), "taken", "{good}");
        }
        for (bad, expected) in [
            ("Sh0rt", "too_short"),
            ("", "too_short no_upper no_lower no_digit"),
            (&format!("Aa1{}", "x".repeat(126)), "too_long"),
            (&"𝔸a1".repeat(100_000), "too_long"),
            ("alllower1", "no_upper"),
            ("ALLUPPER1", "no_lower"),
            ("NoDigitsHere", "no_digit"),
            ("lowercase", "no_upper no_digit"),
            ("AdaLove1ace@Example.com", "is_email"),
            ("ADALOVE1ace", "is_email"),
            ("Password1", "common"),
            ("password1", "no_upper common"),
            ("Qwerty123", "common"),
            ("Passw0rd", "common"),
        ] {
            assert_eq!(refusal(bad), expected, "{bad:.80}");
        }
    }

    #[test]
    fn rules_can_be_disabled_except_length() {
        let long = Policy { min_length: 15, upper: false, lower: false, digit: false, common: false };
        assert!(Password::parse(&long, "password", "correct horse battery staple", None).is_ok());
        let refused = Password::parse(&long, "password", "correct horse", None).unwrap_err();
        assert_eq!(refused.len(), 1);
        assert_eq!((refused[0].field.as_ref(), refused[0].code.as_ref()), ("password", "too_short"));
        assert!(refused[0].message.contains("15"));
    }

    #[test]
    fn common_passwords_pass_all_other_rules() {
        assert!(COMMON_PASSWORDS.len() > 1_000);
        for common in COMMON_PASSWORDS.iter() {
            assert!(common.len() >= USUAL.min_length && *common == common.to_lowercase(), "{common}");
            assert!(common.chars().any(char::is_numeric) && common.chars().any(char::is_alphabetic), "{common}");
        }
    }

    #[test]
    fn length_is_counted_after_normalization() {
        let in_parts = format!("Aa1{}", "e\u{301}\u{323}".repeat(125));
        assert!(
            Password::parse(&USUAL, "password", &in_parts, None).is_err(),
            "combining marks without a composed form count separately"
        );
        let in_parts = format!("Aa1{}", "e\u{302}\u{301}".repeat(125));
        assert!(Password::parse(&USUAL, "password", &in_parts, None).is_ok());
    }

    proptest! {
        #[test]
        fn accepted_passwords_satisfy_the_policy(text in ".{0,140}") {
            if let Ok(password) = Password::parse(&USUAL, "password", &text, None) {
                let count = password.expose().chars().count();
                prop_assert!((USUAL.min_length..=MAX_CHARS).contains(&count));
                prop_assert_eq!(password.expose(), &*normalize(&text), "the password is not truncated");
            }
        }
    }
}
