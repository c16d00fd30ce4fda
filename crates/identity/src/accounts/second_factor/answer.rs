//! Second step of a sign-in.

use appcore::{AppError, Code, Timestamp, UserId};
use dbcontext::{
    Transaction,
    constraint::app_error,
    query::{pending_sign_ins, second_factors as rows, users},
};

use super::{CodeCheck, invalid_code, recovery, try_code};
use crate::IdentityService;
use crate::accounts::{
    Device, TokenPair,
    pending::{self, PendingKind},
    session_start, signin,
};

/// Number of wrong answers after which a challenge becomes invalid.
const MAX_FAILURES: i32 = 5;

/// Answer to a challenge, or to a confirmation.
pub enum SecondFactor {
    Code(String),
    RecoveryCode(String),
}

/// Completes a sign-in by the second factor.
pub async fn answer_challenge(
    service: &IdentityService,
    challenge: &str,
    answer: SecondFactor,
    device: Device,
) -> Result<TokenPair, AppError> {
    let now = service.clock.now();
    // Unknown challenges are rejected here already, before the write lock is taken.
    let found = pending::find(service.db.reader(), PendingKind::SecondFactor, challenge, now)
        .await?
        .ok_or_else(invalid_code)?;
    let user_id = found.user_id.ok_or_else(invalid_code)?;
    let tx = service.db.begin().await.map_err(app_error)?;
    // The account's row is locked first, as everywhere, so that there are no deadlocks.
    let account = users::lock(&tx, user_id).await?.filter(|account| account.second_factor).ok_or_else(invalid_code)?;
    let pending = pending::find(&tx, PendingKind::SecondFactor, challenge, now).await?.ok_or_else(invalid_code)?;
    let verdict = try_answer(&tx, service, user_id, &answer, now).await?;
    if verdict == CodeCheck::Wrong {
        pending_sign_ins::count_failure(&tx, pending.id, MAX_FAILURES).await?;
        tx.commit().await.map_err(app_error)?;
        signin::record_failure(service, Some(user_id), &device).await;
        return Err(invalid_code());
    }
    if !pending_sign_ins::consume(&tx, pending.id).await? {
        return Err(Code::MfaInvalid.into());
    }
    let pair = session_start::open_authenticated(&tx, service, &account, &device).await?;
    tx.commit().await.map_err(app_error)?;
    Ok(pair)
}

/// Checks the second factor of a user who is already signed in.
pub(in crate::accounts) async fn verify_answer(
    service: &IdentityService,
    user_id: UserId,
    answer: &SecondFactor,
) -> Result<(), AppError> {
    let tx = service.db.begin().await.map_err(app_error)?;
    users::lock(&tx, user_id).await?.filter(|account| account.second_factor).ok_or_else(invalid_code)?;
    let verdict = try_answer(&tx, service, user_id, answer, service.clock.now()).await?;
    // The commit also stores the failure count after a wrong answer.
    tx.commit().await.map_err(app_error)?;
    if verdict == CodeCheck::Right { Ok(()) } else { Err(invalid_code()) }
}

async fn try_answer(
    tx: &Transaction,
    service: &IdentityService,
    user_id: UserId,
    answer: &SecondFactor,
    now: Timestamp,
) -> Result<CodeCheck, AppError> {
    match answer {
        SecondFactor::Code(code) => try_code(tx, service, user_id, code, now).await,
        SecondFactor::RecoveryCode(code) => {
            let used = rows::consume_code(tx, user_id, &recovery::fingerprint(code), now).await?;
            Ok(if used { CodeCheck::Right } else { CodeCheck::Wrong })
        }
    }
}
