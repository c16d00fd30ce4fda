//! Password hashes: Argon2id of the [normalized] text.

use appcore::auth::password::{self, MAX_BYTES, normalize};
use argon2::{
    Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version,
    password_hash::{Error as HashError, phc::PasswordHash},
};

/// OWASP's recommendation for Argon2id: 19 MiB, two passes, one lane.
const MEMORY_KIB: u32 = 19_456;
const PASSES: u32 = 2;
const LANES: u32 = 1;
/// Environment variable that makes hashes cheap in debug builds. Black-box tests need it because
/// they sign up thousands of users. Release builds don't read it.
#[cfg(debug_assertions)]
const CHEAP_HASHES: &str = "NATTER_TEST_CHEAP_HASHES";
/// Hash to compare with if the account doesn't exist. Comparing costs as much as with a real hash,
/// and no password matches.
const DECOY: &str = "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// Result of comparing a password with the stored hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PasswordCheck {
    Right,
    /// The password matches, but the hash has a lower cost than today's hashes and should be
    /// replaced.
    RightButOutdated,
    Wrong,
}

/// Cost of new hashes: memory in KiB, passes and lanes.
fn cost() -> (u32, u32, u32) {
    #[cfg(debug_assertions)]
    if std::env::var_os(CHEAP_HASHES).is_some() {
        return (Params::MIN_M_COST, Params::MIN_T_COST, Params::MIN_P_COST);
    }
    (MEMORY_KIB, PASSES, LANES)
}

fn hasher() -> Result<Argon2<'static>, HashError> {
    let (memory, passes, lanes) = cost();
    let params = Params::new(memory, passes, lanes, None).map_err(|_| HashError::ParamsInvalid)?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

/// Hashes with a random salt. This takes tens of milliseconds and 19 MiB, so it must not run on a
/// thread that serves requests.
pub(super) fn hash(text: &str) -> anyhow::Result<String> {
    let hash: PasswordHash = hasher()
        .and_then(|hasher| hasher.hash_password(normalize(text).as_bytes()))
        .map_err(|error| anyhow::anyhow!("failed to hash password: {error}"))?;
    Ok(hash.to_string())
}

/// Compares with a stored hash. Without one, it takes as long and returns [`PasswordCheck::Wrong`].
/// The cost is that of [`hash`]. It doubles if normalisation changes the text, because old hashes
/// are of the text as it was typed.
pub(super) fn verify(text: &str, stored: Option<&str>) -> anyhow::Result<PasswordCheck> {
    let failed = |error| anyhow::anyhow!("failed to verify stored password hash: {error}");
    let hasher = hasher().map_err(failed)?;
    // A password longer than the maximum can't match, but the comparison must take as long.
    let typed = if text.len() > MAX_BYTES { "" } else { text };
    let shown = normalize(typed);
    let shown: &str = &shown;
    let as_typed = (typed != shown).then_some(typed);
    let is_known = stored.is_some();
    let stored = PasswordHash::new(stored.unwrap_or(DECOY))
        .map_err(|error| anyhow::anyhow!("failed to parse stored password hash: {error}"))?;
    let is_right = |text: &str| match hasher.verify_password(text.as_bytes(), &stored) {
        Ok(()) => Ok(true),
        Err(HashError::PasswordInvalid) => Ok(false),
        Err(error) => Err(failed(error)),
    };
    if is_right(shown)? && is_known {
        return Ok(if is_outdated(&stored) { PasswordCheck::RightButOutdated } else { PasswordCheck::Right });
    }
    match as_typed {
        Some(typed) if is_right(typed)? && is_known => Ok(PasswordCheck::RightButOutdated),
        _ => Ok(PasswordCheck::Wrong),
    }
}

fn is_outdated(stored: &PasswordHash) -> bool {
    let current =
        Params::try_from(stored).is_ok_and(|params| (params.m_cost(), params.t_cost(), params.p_cost()) == cost());
    !current || stored.algorithm.as_str() != "argon2id"
}

/// Loads the list of common passwords at start-up, so that the first sign-in isn't slower.
pub(super) fn prepare() {
    password::preload_common_passwords();
}

#[cfg(test)]
mod tests {
    use appcore::auth::{Password, password::Policy};

    use super::*;

    #[test]
    fn password_is_the_same_on_every_keyboard() {
        let policy = Policy { min_length: 8, upper: true, lower: true, digit: true, common: true };
        for (set, shown) in [
            ("\u{110}a\u{300} N\u{1eb5}ng 2026", "\u{110}\u{e0} Na\u{306}\u{303}ng 2026"),
            ("Caf\u{e9} 2026", "Cafe\u{301}\u{a0}2026"),
            ("\u{d55c}\u{ae00} Aa1234", "\u{1112}\u{1161}\u{11ab}\u{1100}\u{1173}\u{11af}\u{3000}Aa1234"),
        ] {
            let password = Password::parse(&policy, "password", set, None).unwrap();
            let kept = hash(password.expose()).unwrap();
            assert_eq!(verify(shown, Some(&kept)).unwrap(), PasswordCheck::Right, "{shown}");
            assert_eq!(verify(set, Some(&kept)).unwrap(), PasswordCheck::Right, "{set}");
            assert_eq!(verify(&shown.to_uppercase(), Some(&kept)).unwrap(), PasswordCheck::Wrong, "{shown}");
            assert_eq!(verify(shown, None).unwrap(), PasswordCheck::Wrong, "{shown}");
        }
    }

    #[test]
    fn hash_of_unnormalized_text_still_matches() {
        let typed = "Cafe\u{301} 2026";
        let kept: PasswordHash = hasher().unwrap().hash_password(typed.as_bytes()).unwrap();
        let kept = kept.to_string();
        assert_eq!(verify(typed, Some(&kept)).unwrap(), PasswordCheck::RightButOutdated);
        assert_eq!(verify("Caf\u{e9} 2026", Some(&kept)).unwrap(), PasswordCheck::Wrong);
    }

    #[test]
    fn unknown_account_takes_the_same_work() {
        let decoy = PasswordHash::new(DECOY).unwrap();
        assert!(!is_outdated(&decoy), "the decoy has the current cost");
        assert_eq!(hasher().unwrap().verify_password(b"x", &decoy), Err(HashError::PasswordInvalid));
    }

    #[test]
    fn matches_its_password_and_detects_outdated_cost() {
        let kept = hash("Tr1ckyHorse").unwrap();
        assert!(kept.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{kept}");
        assert_ne!(kept, hash("Tr1ckyHorse").unwrap(), "random salt");
        assert_eq!(verify("Tr1ckyHorse", Some(&kept)).unwrap(), PasswordCheck::Right);
        assert_eq!(verify("Tr1ckyHorsf", Some(&kept)).unwrap(), PasswordCheck::Wrong);
        assert_eq!(verify("Tr1ckyHorse", None).unwrap(), PasswordCheck::Wrong);
        let weaker = Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(64, 1, 1, None).unwrap());
        let old: PasswordHash = weaker.hash_password(b"Tr1ckyHorse").unwrap();
        assert_eq!(verify("Tr1ckyHorse", Some(&old.to_string())).unwrap(), PasswordCheck::RightButOutdated);
        assert!(verify("x", Some("not a hash")).is_err());
    }
}
