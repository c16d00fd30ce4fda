//! TOTP codes: SHA-1, 6 digits, steps of 30 seconds, and a tolerance of one step.

use std::time::Duration;

use appcore::{AppError, Code, Secret, Timestamp, UserId, auth::seal::StoredSecret};
use dbcontext::entity::totp::Model;
use totp_rs::{Builder, Totp};

/// Name shown by authenticator apps.
pub(super) const ISSUER: &str = "Natter";
const STEP_SECONDS: i64 = 30;
/// Maximum number of wrong codes for an account within [`FAILURE_WINDOW`], for all purposes
/// together. Users make fewer mistakes, and a thief who has the password would need years to guess
/// a code.
const MAX_FAILURES: i32 = 20;
const FAILURE_WINDOW: Duration = Duration::from_secs(3_600);
/// Number of past steps whose use is recorded. The tolerance needs fewer.
const TRACKED_STEPS: i64 = 60;

/// Encrypts a secret for storage if an encryption key is configured. Returns the bytes to store,
/// and whether they are encrypted.
pub(super) fn encrypt(user_id: UserId, secret: &[u8], key: Option<&Secret>) -> Result<(Vec<u8>, bool), AppError> {
    match key {
        Some(key) => Ok((StoredSecret::Totp(user_id).seal(key, secret).map_err(AppError::internal)?, true)),
        None => Ok((secret.to_vec(), false)),
    }
}

/// Decrypts a stored secret.
pub(super) fn decrypt(row: &Model, key: Option<&Secret>) -> Result<Vec<u8>, AppError> {
    if !row.is_sealed {
        return Ok(row.secret.clone());
    }
    let key = key.ok_or_else(|| AppError::internal(anyhow::anyhow!("auth.key_encryption_secret is missing")))?;
    StoredSecret::Totp(row.user_id).unseal(key, &row.secret).map_err(AppError::internal)
}

pub(super) fn authenticator(secret: &[u8], account: &str) -> Result<Totp, AppError> {
    Builder::new()
        .with_secret(secret.to_vec())
        .with_issuer(Some(ISSUER))
        .with_account_name(account)
        .build()
        .map_err(|error| AppError::internal(anyhow::anyhow!("invalid authenticator secret: {error}")))
}

/// Checks a code and marks its step as used. Returns false if the code is wrong or was used before.
pub(super) fn use_code(secret: &[u8], code: &str, now: Timestamp, row: &mut Model) -> Result<bool, AppError> {
    let seconds = u64::try_from(now.seconds()).unwrap_or_default();
    let Some(step) = authenticator(secret, ISSUER)?.check(code.trim(), seconds) else { return Ok(false) };
    let step = i64::try_from(step).unwrap_or(i64::MAX);
    debug_assert!((now.seconds() / STEP_SECONDS - step).abs() <= 1, "step count differs from the library's");
    let Some((newest, used)) = mark_used(row.newest_step, row.used_steps, step) else { return Ok(false) };
    (row.newest_step, row.used_steps) = (newest, used);
    (row.failures, row.failures_since) = (0, now);
    Ok(true)
}

/// Marks a step as used. Returns `None` if it was used before, or is too old for its use to be
/// recorded.
fn mark_used(newest: i64, used: i64, step: i64) -> Option<(i64, i64)> {
    if step > newest {
        let ahead = step - newest;
        let moved = if ahead >= TRACKED_STEPS { 0 } else { (used << ahead) & ((1 << TRACKED_STEPS) - 1) };
        return Some((step, moved | 1));
    }
    let bit = 1 << (newest - step).min(TRACKED_STEPS);
    (newest - step < TRACKED_STEPS && used & bit == 0).then_some((newest, used | bit))
}

pub(super) fn count_failure(row: &mut Model, now: Timestamp) {
    if row.failures_since.plus(FAILURE_WINDOW) <= now {
        (row.failures, row.failures_since) = (0, now);
    }
    row.failures += 1;
}

/// Fails if there were too many wrong codes.
pub(super) fn check_failures(row: &Model, now: Timestamp) -> Result<(), AppError> {
    let until = row.failures_since.plus(FAILURE_WINDOW);
    if row.failures < MAX_FAILURES || until <= now {
        return Ok(());
    }
    let wait = Duration::from_millis(u64::try_from(until.millis() - now.millis()).unwrap_or_default());
    Err(AppError::Refused {
        code: Code::TooManySignins,
        message: Some("Too many wrong codes. Wait a while, or use a recovery code.".into()),
        retry_after: Some(wait),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_800_000_010_000);
    const SECRET: &[u8] = b"12345678901234567890";

    fn row() -> Model {
        Model {
            user_id: UserId::new(),
            secret: SECRET.to_vec(),
            is_sealed: false,
            confirmed_at: None,
            newest_step: 0,
            used_steps: 0,
            failures: 0,
            failures_since: NOW,
            created_at: NOW,
        }
    }

    fn code(at: Timestamp) -> String {
        authenticator(SECRET, "x").unwrap().generate(at.seconds() as u64).to_string()
    }

    #[test]
    fn generates_the_codes_of_rfc_6238() {
        // Test vectors of RFC 6238, appendix B. Authenticator apps show the last six digits.
        for (seconds, expected) in [(59, "287082"), (1_111_111_109, "081804"), (20_000_000_000, "353130")] {
            assert_eq!(code(Timestamp(seconds * 1_000)), expected);
        }
    }

    #[test]
    fn code_works_once_and_one_step_early_or_late() {
        let step = Duration::from_secs(30);
        let mut row = row();
        let mut tries = |at: Timestamp, code: &str| use_code(SECRET, code, at, &mut row).unwrap();
        assert!(!tries(NOW, &code(NOW.plus(step * 2))));
        assert!(!tries(NOW, &code(NOW.minus(step * 2))));
        // Each code within the tolerance is accepted once, in any order.
        for at in [NOW, NOW.plus(step), NOW.minus(step)] {
            assert!(tries(NOW, &code(at)));
            assert!(!tries(NOW, &code(at)), "rejected the second time");
        }
        assert!(!tries(NOW.plus(step), &code(NOW)), "rejected later");
        assert!(tries(NOW.plus(step * 2), &code(NOW.plus(step * 2))));
        assert!(tries(NOW.plus(step * 1_000), &code(NOW.plus(step * 1_000))));
        for nonsense in ["", "000", "abcdef", "1234567", "１２３４５６", &"1".repeat(10_000)] {
            assert!(!tries(NOW.plus(step * 2_000), nonsense), "{nonsense}");
        }
    }

    #[test]
    fn used_steps_are_remembered() {
        let (newest, used) = mark_used(0, 0, 100).unwrap();
        assert_eq!(mark_used(newest, used, 100), None);
        let (newest, used) = mark_used(newest, used, 99).unwrap();
        let (newest, used) = mark_used(newest, used, 101).unwrap();
        for step in [99, 100, 101] {
            assert_eq!(mark_used(newest, used, step), None, "{step}");
        }
        assert_eq!(mark_used(newest, used, 101 - TRACKED_STEPS), None, "outside the window");
        assert!(mark_used(newest, used, 102 - TRACKED_STEPS).is_some());
        let (newest, used) = mark_used(newest, used, 100 + TRACKED_STEPS).unwrap();
        assert_eq!(mark_used(newest, used, 101), None);
    }

    #[test]
    fn guessing_is_limited() {
        let mut row = row();
        for _ in 0..MAX_FAILURES {
            check_failures(&row, NOW).unwrap();
            count_failure(&mut row, NOW);
        }
        let refused = check_failures(&row, NOW).unwrap_err();
        assert_eq!((refused.code(), refused.retry_after()), (Code::TooManySignins, Some(FAILURE_WINDOW)));
        check_failures(&row, NOW.plus(FAILURE_WINDOW)).unwrap();
        count_failure(&mut row, NOW.plus(FAILURE_WINDOW));
        assert_eq!(row.failures, 1);
    }

    #[test]
    fn secret_is_encrypted_if_a_key_is_configured() {
        let (user_id, key) = (UserId::new(), Secret::new("a long random text"));
        let (secret, is_sealed) = encrypt(user_id, SECRET, Some(&key)).unwrap();
        assert!(is_sealed && !secret.windows(SECRET.len()).any(|window| window == SECRET));
        let stored = Model { user_id, secret, is_sealed, ..row() };
        assert_eq!(decrypt(&stored, Some(&key)).unwrap(), SECRET);
        assert!(decrypt(&stored, None).is_err());
        assert!(decrypt(&Model { user_id: UserId::new(), ..stored }, Some(&key)).is_err(), "bound to one account");
        assert_eq!(encrypt(user_id, SECRET, None).unwrap(), (SECRET.to_vec(), false));
    }
}
