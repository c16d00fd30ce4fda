//! Second factor: an authenticator app (RFC 6238), and recovery codes.
//!
//! A secret is active once a code has confirmed it. A code can be used once across all instances:
//! the secret's row records the time steps whose codes were used ([`totp`]). Wrong codes are
//! counted there too, across all sign-ins. A limit per challenge would not suffice, because
//! somebody who has stolen the password could open new challenges.

mod answer;
mod enrol;
mod recovery;
mod totp;

use appcore::{AppError, Code, Timestamp, UserId, config::Config};
use dbcontext::{Database, Transaction, query::second_factors as rows};

pub(super) use self::answer::verify_answer;
pub use self::{
    answer::{SecondFactor, answer_challenge},
    enrol::{Enrolment, confirm, enrol, remove},
};
use crate::IdentityService;

/// Encrypts secrets stored in plaintext before the encryption key was configured.
pub(super) async fn seal_all(db: &Database, config: &Config) -> Result<(), AppError> {
    let Some(key) = &config.auth.key_encryption_secret else { return Ok(()) };
    for row in rows::unsealed(db.writer()).await? {
        let (sealed, _) = totp::encrypt(row.user_id, &row.secret, Some(key))?;
        rows::seal(db.writer(), row.user_id, row.secret, sealed).await?;
    }
    Ok(())
}

/// Result of checking a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CodeCheck {
    Right,
    Wrong,
}

/// Checks an authenticator code in the caller's transaction. The transaction must be committed
/// whatever the result, because it counts failures.
async fn try_code(
    tx: &Transaction,
    service: &IdentityService,
    user_id: UserId,
    code: &str,
    now: Timestamp,
) -> Result<CodeCheck, AppError> {
    let Some(mut row) = rows::lock(tx, user_id).await? else { return Ok(CodeCheck::Wrong) };
    let secret = totp::decrypt(&row, service.config.auth.key_encryption_secret.as_ref())?;
    totp::check_failures(&row, now)?;
    let verdict = match totp::use_code(&secret, code, now, &mut row)? {
        true => CodeCheck::Right,
        false => CodeCheck::Wrong,
    };
    if verdict == CodeCheck::Wrong {
        totp::count_failure(&mut row, now);
    }
    rows::update(tx, row).await?;
    Ok(verdict)
}

fn invalid_code() -> AppError {
    Code::MfaInvalid.into()
}
