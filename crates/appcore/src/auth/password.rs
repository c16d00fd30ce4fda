//! Passwords: what may be one.
//!
//! A [`Password`] is one that somebody chooses, and has passed the policy. What somebody shows at sign-in is only text: it
//! is compared, [normalized], whatever policy it was chosen under.

use std::{borrow::Cow, collections::HashSet, sync::LazyLock};

use natter_macro::Settings;
use serde::Deserialize;
use unicode_normalization::{IsNormalized, UnicodeNormalization as _, is_nfc_quick};

use super::Email;
use crate::error::FieldError;

/// What is asked of a password that somebody chooses, beside a length that can be hashed and not being the address.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Settings)]
#[settings("auth.password")]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// Characters that a password has at least.
    #[setting(Number(8, 128), default = 8)]
    pub min_length: usize,
    /// Whether a password must have a capital letter.
    #[setting(Switch, default = true)]
    pub upper: bool,
    /// Whether a password must have a small letter.
    #[setting(Switch, default = true)]
    pub lower: bool,
    /// Whether a password must have a digit.
    #[setting(Switch, default = true)]
    pub digit: bool,
    /// Whether passwords are refused that attackers try first.
    #[setting(Switch, default = true)]
    pub common: bool,
}

/// A password that may be chosen.
#[derive(Clone)]
pub struct Password(String);

/// Long passphrases are welcome; beyond this it is somebody who wants to keep the hasher busy.
pub const MAX_CHARS: usize = 128;
/// So many characters as they may be typed: in parts, of up to four bytes each.
pub const MAX_BYTES: usize = MAX_CHARS * 12;

/// Passwords that are tried first, in lower case. Only such as have letters and digits and are long enough: the rest is
/// refused anyway.
static COMMON: LazyLock<HashSet<&'static str>> =
    LazyLock::new(|| include_str!("common_passwords.txt").lines().collect());

impl Password {
    /// Checks the policy for the account of `email`, and names each rule that is not kept. The field is the request's name for it.
    pub fn parse(
        policy: &Policy,
        field: &'static str,
        text: &str,
        email: Option<&Email>,
    ) -> Result<Self, Vec<FieldError>> {
        let too_long = || vec![FieldError::new(field, "too_long", "Use 128 characters or fewer.")];
        // Bytes first, so that nobody makes us count a mebibyte of characters.
        if text.len() > MAX_BYTES {
            return Err(too_long());
        }
        let text = normalized(text);
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
        let is_common = policy.common && COMMON.contains(lower.as_str());
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

/// As passwords are compared, whatever keyboard they were typed on: the profile `OpaqueString` of RFC 8265.
#[must_use]
pub fn normalized(text: &str) -> Cow<'_, str> {
    let is_other_space = |character: char| {
        matches!(character, '\u{a0}' | '\u{1680}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}')
    };
    if is_nfc_quick(text.chars()) == IsNormalized::Yes && !text.contains(is_other_space) {
        return text.into();
    }
    let spaced = text.chars().map(|character| if is_other_space(character) { ' ' } else { character });
    spaced.nfc().collect::<String>().into()
}

/// Reads the list of common passwords, so that whoever chooses one first waits no longer than others.
pub fn prepare() {
    LazyLock::force(&COMMON);
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
    fn the_policy() {
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
    fn an_operator_may_ask_for_length_alone() {
        let long = Policy { min_length: 15, upper: false, lower: false, digit: false, common: false };
        assert!(Password::parse(&long, "password", "correct horse battery staple", None).is_ok());
        let refused = Password::parse(&long, "password", "correct horse", None).unwrap_err();
        assert_eq!(refused.len(), 1);
        assert_eq!((refused[0].field.as_ref(), refused[0].code.as_ref()), ("password", "too_short"));
        assert!(refused[0].message.contains("15"));
    }

    #[test]
    fn the_list_of_common_ones_holds_what_the_other_rules_let_through() {
        assert!(COMMON.len() > 1_000);
        for common in COMMON.iter() {
            assert!(common.len() >= USUAL.min_length && *common == common.to_lowercase(), "{common}");
            assert!(common.chars().any(char::is_numeric) && common.chars().any(char::is_alphabetic), "{common}");
        }
    }

    #[test]
    fn characters_are_counted_as_they_are_kept() {
        let in_parts = format!("Aa1{}", "e\u{301}\u{323}".repeat(125));
        assert!(Password::parse(&USUAL, "password", &in_parts, None).is_err(), "each has a mark that stays its own");
        let in_parts = format!("Aa1{}", "e\u{302}\u{301}".repeat(125));
        assert!(Password::parse(&USUAL, "password", &in_parts, None).is_ok());
    }

    proptest! {
        #[test]
        fn whatever_is_taken_keeps_the_policy(text in ".{0,140}") {
            if let Ok(password) = Password::parse(&USUAL, "password", &text, None) {
                let count = password.expose().chars().count();
                prop_assert!((USUAL.min_length..=MAX_CHARS).contains(&count));
                prop_assert_eq!(password.expose(), &*normalized(&text), "nothing is cut off");
            }
        }
    }
}
