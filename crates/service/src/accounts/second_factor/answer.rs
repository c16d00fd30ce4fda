//! The second half of a sign-in.

use appcore::{AppError, Code, limit::Violation};
use dbcontext::{
    constraint::app_error,
    query::{pending_sign_ins, second_factors as rows, users},
};

use super::{Verdict, recovery, try_code, wrong};
use crate::{
    App,
    accounts::{
        Device, TokenPair, admit,
        pending::{self, Kind},
        signin,
    },
};

/// After so many wrong answers a challenge is over.
const MAX_FAILURES: i32 = 5;

/// What is shown for a challenge.
pub enum Answer {
    Code(String),
    RecoveryCode(String),
}

/// Signs in whoever shows the second factor.
pub async fn answer_challenge(
    app: &App,
    challenge: &str,
    answer: Answer,
    device: Device,
) -> Result<TokenPair, AppError> {
    let now = app.clock.now();
    // What was never one of ours does not get to the write lock.
    let found = pending::find(app.db.reader(), Kind::SecondFactor, challenge, now).await?.ok_or_else(wrong)?;
    let user_id = found.user_id.ok_or_else(wrong)?;
    let tx = app.db.begin().await.map_err(app_error)?;
    // The account first, as everybody does: so nobody waits for somebody who waits for them.
    let account = users::lock(&tx, user_id).await?.filter(|account| account.second_factor).ok_or_else(wrong)?;
    let pending = pending::find(&tx, Kind::SecondFactor, challenge, now).await?.ok_or_else(wrong)?;
    let verdict = match &answer {
        Answer::Code(code) => match try_code(&tx, app, user_id, code, now).await {
            Err(error) if error.code() == Code::TooManySignins => {
                app.firewall.note(device.ip(), Violation::RateLimited).await;
                return Err(error);
            }
            tried => tried?,
        },
        Answer::RecoveryCode(code) => match rows::use_code(&tx, user_id, &recovery::fingerprint(code), now).await? {
            true => Verdict::Right,
            false => Verdict::Wrong,
        },
    };
    if verdict == Verdict::Wrong {
        pending_sign_ins::count_failure(&tx, pending.id, MAX_FAILURES).await?;
        tx.commit().await.map_err(app_error)?;
        signin::note_failure(app, Some(user_id), &device).await;
        return Err(wrong());
    }
    if !pending_sign_ins::take(&tx, pending.id).await? {
        return Err(Code::MfaInvalid.into());
    }
    let pair = admit::open(&tx, app, &account, &device).await?;
    tx.commit().await.map_err(app_error)?;
    Ok(pair)
}
