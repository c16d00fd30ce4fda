//! Passwords: what may be one, and how it is kept.
//!
//! A [`Password`] is one that somebody chooses, and has passed the policy. What somebody shows at sign-in is only text: it
//! is compared, whatever policy it was chosen under.

use std::{collections::HashSet, sync::LazyLock};

use argon2::{
    Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version,
    password_hash::{Error as HashError, phc::PasswordHash},
};

use super::Email;
use crate::error::FieldError;

/// A password that may be chosen.
#[derive(Clone)]
pub struct Password(String);

/// Long passphrases are welcome; beyond this it is somebody who wants to keep the hasher busy.
pub const MAX_CHARS: usize = 128;
const MIN_CHARS: usize = 8;

/// OWASP's choice for Argon2id: 19 MiB, two passes, one lane.
const MEMORY_KIB: u32 = 19_456;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// Passwords that are tried first, in lower case. Only such as have letters and digits and are long enough: the rest is
/// refused anyway.
static COMMON: LazyLock<HashSet<&'static str>> =
    LazyLock::new(|| include_str!("common_passwords.txt").lines().collect());

impl Password {
    /// Checks the policy for the account of `email`. The field is the request's name for it.
    pub fn parse(field: &'static str, text: &str, email: Option<&Email>) -> Result<Self, FieldError> {
        let weak = |message: &'static str| Err(FieldError::new(field, "weak", message));
        // Bytes first, so that nobody makes us count a mebibyte of characters.
        if text.len() > MAX_CHARS * 4 || text.chars().count() > MAX_CHARS {
            return Err(FieldError::new(field, "too_long", "A password has at most 128 characters."));
        }
        if text.chars().count() < MIN_CHARS {
            return Err(FieldError::new(field, "too_short", "A password has at least 8 characters."));
        }
        if !text.chars().any(char::is_uppercase) {
            return weak("Add a capital letter to the password.");
        }
        if !text.chars().any(char::is_lowercase) {
            return weak("Add a small letter to the password.");
        }
        if !text.chars().any(char::is_numeric) {
            return weak("Add a digit to the password.");
        }
        let lower = text.to_lowercase();
        if email.is_some_and(|email| lower == email.as_str() || lower == email.local()) {
            return weak("The password must not be the e-mail address.");
        }
        if COMMON.contains(lower.as_str()) {
            return weak("This password is among the first that attackers try. Choose another.");
        }
        Ok(Self(text.to_owned()))
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
pub enum Verdict {
    Right,
    /// The right one, but hashed by weaker settings than today's: hash it again.
    RightButOutdated,
    Wrong,
}

fn hasher() -> Result<Argon2<'static>, HashError> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).map_err(|_| HashError::ParamsInvalid)?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

/// Hashes with a salt of its own. Takes tens of milliseconds and 19 MiB: never on a thread that answers requests.
pub fn hash(text: &str) -> anyhow::Result<String> {
    let hash: PasswordHash = hasher()
        .and_then(|hasher| hasher.hash_password(text.as_bytes()))
        .map_err(|error| anyhow::anyhow!("hashing a password failed: {error}"))?;
    Ok(hash.to_string())
}

/// Compares with a stored hash, or, where there is none, takes as long and says no. As slow as [`hash`].
pub fn verify(text: &str, stored: Option<&str>) -> anyhow::Result<Verdict> {
    let failed = |error| anyhow::anyhow!("a stored password hash can't be used: {error}");
    let hasher = hasher().map_err(failed)?;
    // Nobody has a password this long; the same work all the same.
    let shown = if text.len() > MAX_CHARS * 4 { "" } else { text };
    let Some(stored) = stored else {
        hasher.verify_password(shown.as_bytes(), &*DECOY).ok();
        return Ok(Verdict::Wrong);
    };
    let stored =
        PasswordHash::new(stored).map_err(|error| anyhow::anyhow!("a stored password hash can't be read: {error}"))?;
    match hasher.verify_password(shown.as_bytes(), &stored) {
        Ok(()) if is_outdated(&stored) => Ok(Verdict::RightButOutdated),
        Ok(()) => Ok(Verdict::Right),
        Err(HashError::PasswordInvalid) => Ok(Verdict::Wrong),
        Err(error) => Err(failed(error)),
    }
}

fn is_outdated(stored: &PasswordHash) -> bool {
    let current = Params::try_from(stored)
        .is_ok_and(|params| params.m_cost() == MEMORY_KIB && params.t_cost() == PASSES && params.p_cost() == LANES);
    !current || stored.algorithm.as_str() != "argon2id"
}

/// What an account that does not exist is compared with: made once, of a text that nobody knows.
#[allow(clippy::expect_used, reason = "first used at start-up, where failing is right")]
static DECOY: LazyLock<PasswordHash> = LazyLock::new(|| {
    let text = super::token::random_text().expect("the system has no randomness");
    hasher().and_then(|hasher| hasher.hash_password(text.as_bytes())).expect("Argon2 refuses its settings")
});

/// Makes what later calls compare with, so that the first of them takes no longer than the others.
pub fn prepare() {
    LazyLock::force(&DECOY);
    LazyLock::force(&COMMON);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn refusal(text: &str) -> String {
        let email = Email::parse("Adalove1ace@example.com").unwrap();
        Password::parse("password", text, Some(&email))
            .map_or_else(|error| error.code.into_owned(), |_| "taken".to_owned())
    }

    #[test]
    fn the_policy() {
        for good in ["Tr1ckyHorse", "ĐàNẵng2026 biển", &format!("Aa1{}", "x".repeat(125)), "Aa1 with spaces and 日本語"]
        {
            assert_eq!(refusal(good), "taken", "{good}");
        }
        assert_eq!(refusal("Sh0rt"), "too_short");
        assert_eq!(refusal(&format!("Aa1{}", "x".repeat(126))), "too_long");
        assert_eq!(refusal(&"𝔸a1".repeat(100_000)), "too_long");
        for weak in [
            "alllower1",
            "ALLUPPER1",
            "NoDigitsHere",
            "AdaLove1ace@Example.com",
            "ADALOVE1ace",
            "Password1",
            "Qwerty123",
            "Passw0rd",
        ] {
            assert_eq!(refusal(weak), "weak", "{weak}");
        }
    }

    #[test]
    fn the_list_of_common_ones_holds_what_the_other_rules_let_through() {
        assert!(COMMON.len() > 1_000);
        for common in COMMON.iter() {
            assert!(common.len() >= MIN_CHARS && *common == common.to_lowercase(), "{common}");
            assert!(common.chars().any(char::is_numeric) && common.chars().any(char::is_alphabetic), "{common}");
        }
    }

    #[test]
    fn a_hash_knows_its_password_and_its_age() {
        let kept = hash("Tr1ckyHorse").unwrap();
        assert!(kept.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{kept}");
        assert_ne!(kept, hash("Tr1ckyHorse").unwrap(), "each has its own salt");
        assert_eq!(verify("Tr1ckyHorse", Some(&kept)).unwrap(), Verdict::Right);
        assert_eq!(verify("Tr1ckyHorsf", Some(&kept)).unwrap(), Verdict::Wrong);
        assert_eq!(verify("Tr1ckyHorse", None).unwrap(), Verdict::Wrong);
        let weaker = Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(64, 1, 1, None).unwrap());
        let old: PasswordHash = weaker.hash_password(b"Tr1ckyHorse").unwrap();
        assert_eq!(verify("Tr1ckyHorse", Some(&old.to_string())).unwrap(), Verdict::RightButOutdated);
        assert!(verify("x", Some("not a hash")).is_err());
    }

    proptest! {
        #[test]
        fn whatever_is_taken_keeps_the_policy(text in ".{0,140}") {
            if let Ok(password) = Password::parse("password", &text, None) {
                let count = password.expose().chars().count();
                prop_assert!((MIN_CHARS..=MAX_CHARS).contains(&count));
                prop_assert_eq!(password.expose(), text.as_str(), "nothing is cut off or changed");
            }
        }
    }
}
