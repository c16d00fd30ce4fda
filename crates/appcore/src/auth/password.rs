//! Passwords: what may be one, and how it is kept.
//!
//! A [`Password`] is one that somebody chooses, and has passed the policy. What somebody shows at sign-in is only text: it
//! is compared, whatever policy it was chosen under.

use std::{
    borrow::Cow,
    collections::HashSet,
    sync::{LazyLock, OnceLock},
};

use argon2::{
    Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version,
    password_hash::{Error as HashError, phc::PasswordHash},
};

use serde::Deserialize;
use unicode_normalization::{IsNormalized, UnicodeNormalization as _, is_nfc_quick};

use super::Email;
use crate::error::FieldError;

/// What is asked of a password that somebody chooses, beside a length that can be hashed and not being the address.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    pub min_length: usize,
    pub upper: bool,
    pub lower: bool,
    pub digit: bool,
    /// Whether what attackers try first is refused.
    pub common: bool,
}

/// A password that may be chosen.
#[derive(Clone)]
pub struct Password(String);

/// Long passphrases are welcome; beyond this it is somebody who wants to keep the hasher busy.
pub const MAX_CHARS: usize = 128;
/// So many characters as they may be typed: in parts, of up to four bytes each.
const MAX_BYTES: usize = MAX_CHARS * 12;

/// OWASP's choice for Argon2id: 19 MiB, two passes, one lane.
const MEMORY_KIB: u32 = 19_456;
const PASSES: u32 = 2;
const LANES: u32 = 1;

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

/// Whether a shown password is the stored one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PasswordCheck {
    Right,
    /// The right one, but hashed by weaker settings than today's: hash it again.
    RightButOutdated,
    Wrong,
}

fn hasher() -> Result<Argon2<'static>, HashError> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).map_err(|_| HashError::ParamsInvalid)?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

/// As passwords are compared, whatever keyboard they were typed on: the profile `OpaqueString` of RFC 8265.
fn normalized(text: &str) -> Cow<'_, str> {
    let is_other_space = |character: char| {
        matches!(character, '\u{a0}' | '\u{1680}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}')
    };
    if is_nfc_quick(text.chars()) == IsNormalized::Yes && !text.contains(is_other_space) {
        return text.into();
    }
    let spaced = text.chars().map(|character| if is_other_space(character) { ' ' } else { character });
    spaced.nfc().collect::<String>().into()
}

/// Hashes with a salt of its own. Takes tens of milliseconds and 19 MiB: never on a thread that answers requests.
pub fn hash(text: &str) -> anyhow::Result<String> {
    let hash: PasswordHash = hasher()
        .and_then(|hasher| hasher.hash_password(normalized(text).as_bytes()))
        .map_err(|error| anyhow::anyhow!("hashing a password failed: {error}"))?;
    Ok(hash.to_string())
}

/// Compares with a stored hash, or, where there is none, takes as long and says no. As slow as [`hash`], or twice where the text is not
/// normalized: hashes from before passwords were are of what was typed.
pub fn verify(text: &str, stored: Option<&str>) -> anyhow::Result<PasswordCheck> {
    let failed = |error| anyhow::anyhow!("a stored password hash can't be used: {error}");
    let hasher = hasher().map_err(failed)?;
    // Nobody has a password this long; the same work all the same.
    let typed = if text.len() > MAX_BYTES { "" } else { text };
    let shown = normalized(typed);
    let shown: &str = &shown;
    let as_typed = (typed != shown).then_some(typed);
    let Some(stored) = stored else {
        for text in std::iter::once(shown).chain(as_typed) {
            hasher.verify_password(text.as_bytes(), decoy()?).ok();
        }
        return Ok(PasswordCheck::Wrong);
    };
    let stored =
        PasswordHash::new(stored).map_err(|error| anyhow::anyhow!("a stored password hash can't be read: {error}"))?;
    let is_right = |text: &str| match hasher.verify_password(text.as_bytes(), &stored) {
        Ok(()) => Ok(true),
        Err(HashError::PasswordInvalid) => Ok(false),
        Err(error) => Err(failed(error)),
    };
    if is_right(shown)? {
        return Ok(if is_outdated(&stored) { PasswordCheck::RightButOutdated } else { PasswordCheck::Right });
    }
    match as_typed {
        Some(typed) if is_right(typed)? => Ok(PasswordCheck::RightButOutdated),
        _ => Ok(PasswordCheck::Wrong),
    }
}

fn is_outdated(stored: &PasswordHash) -> bool {
    let current = Params::try_from(stored)
        .is_ok_and(|params| params.m_cost() == MEMORY_KIB && params.t_cost() == PASSES && params.p_cost() == LANES);
    !current || stored.algorithm.as_str() != "argon2id"
}

/// The hash of a random text, made once, that stands in for accounts that don't exist.
fn decoy() -> anyhow::Result<&'static PasswordHash> {
    static DECOY: OnceLock<PasswordHash> = OnceLock::new();
    if let Some(hash) = DECOY.get() {
        return Ok(hash);
    }
    let text = super::token::random_text()?;
    let hash = hasher()
        .and_then(|hasher| hasher.hash_password(text.as_bytes()))
        .map_err(|error| anyhow::anyhow!("hashing a password failed: {error}"))?;
    Ok(DECOY.get_or_init(|| hash))
}

/// Makes the decoy and the list of common passwords at start-up, so that the first sign-in takes no longer than later ones.
pub fn prepare() -> anyhow::Result<()> {
    decoy()?;
    LazyLock::force(&COMMON);
    Ok(())
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
    fn a_password_is_the_same_on_every_keyboard() {
        for (set, shown) in [
            ("\u{110}a\u{300} N\u{1eb5}ng 2026", "\u{110}\u{e0} Na\u{306}\u{303}ng 2026"),
            ("Caf\u{e9} 2026", "Cafe\u{301}\u{a0}2026"),
            ("\u{d55c}\u{ae00} Aa1234", "\u{1112}\u{1161}\u{11ab}\u{1100}\u{1173}\u{11af}\u{3000}Aa1234"),
        ] {
            let password = Password::parse(&USUAL, "password", set, None).unwrap();
            let kept = hash(password.expose()).unwrap();
            assert_eq!(verify(shown, Some(&kept)).unwrap(), PasswordCheck::Right, "{shown}");
            assert_eq!(verify(set, Some(&kept)).unwrap(), PasswordCheck::Right, "{set}");
            assert_eq!(verify(&shown.to_uppercase(), Some(&kept)).unwrap(), PasswordCheck::Wrong, "{shown}");
            assert_eq!(verify(shown, None).unwrap(), PasswordCheck::Wrong, "{shown}");
        }
        let in_parts = format!("Aa1{}", "e\u{301}\u{323}".repeat(125));
        assert!(Password::parse(&USUAL, "password", &in_parts, None).is_err(), "each has a mark that stays its own");
        let in_parts = format!("Aa1{}", "e\u{302}\u{301}".repeat(125));
        assert!(Password::parse(&USUAL, "password", &in_parts, None).is_ok());
    }

    #[test]
    fn a_hash_of_what_was_typed_still_knows_it() {
        let typed = "Cafe\u{301} 2026";
        let kept: PasswordHash = hasher().unwrap().hash_password(typed.as_bytes()).unwrap();
        let kept = kept.to_string();
        assert_eq!(verify(typed, Some(&kept)).unwrap(), PasswordCheck::RightButOutdated);
        assert_eq!(verify("Caf\u{e9} 2026", Some(&kept)).unwrap(), PasswordCheck::Wrong);
    }

    #[test]
    fn a_hash_knows_its_password_and_its_age() {
        let kept = hash("Tr1ckyHorse").unwrap();
        assert!(kept.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{kept}");
        assert_ne!(kept, hash("Tr1ckyHorse").unwrap(), "each has its own salt");
        assert_eq!(verify("Tr1ckyHorse", Some(&kept)).unwrap(), PasswordCheck::Right);
        assert_eq!(verify("Tr1ckyHorsf", Some(&kept)).unwrap(), PasswordCheck::Wrong);
        assert_eq!(verify("Tr1ckyHorse", None).unwrap(), PasswordCheck::Wrong);
        let weaker = Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(64, 1, 1, None).unwrap());
        let old: PasswordHash = weaker.hash_password(b"Tr1ckyHorse").unwrap();
        assert_eq!(verify("Tr1ckyHorse", Some(&old.to_string())).unwrap(), PasswordCheck::RightButOutdated);
        assert!(verify("x", Some("not a hash")).is_err());
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
