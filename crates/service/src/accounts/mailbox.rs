//! What people do who can read the mail of an address: prove that it is theirs, and choose another password.
//!
//! An answer never tells whether there is an account, nor does the time that it takes: the worker that sends the mail finds that out.
//! Whoever has signed up with another's address is out as soon as its owner shows up: a reset, and the first proof of an address, end
//! the sessions and keys of the account and all changes that are pending (arXiv 2205.10174).

use std::net::IpAddr;

use appcore::{
    AppError, Code, UserId,
    auth::{Email, Password, Principal, token},
};
use dbcontext::{
    constraint::app_error,
    query::{
        api_keys,
        mail_tokens::{self, Purpose},
        sessions, users,
    },
};

use super::{api_keys::tell_revoked, identities, sessions::tell_ended};
use crate::{
    App,
    audit::{self, Action, Entry},
    jobs,
    mail::{self, Letter, Recipient},
};

/// Ours have 43 characters.
const MAX_TOKEN_BYTES: usize = 128;

/// Sends the proof of an address again, where there is an account that lacks it.
pub async fn resend_verification(app: &App, email: &str) -> Result<(), AppError> {
    request(app, email, Letter::Verification).await
}

/// Sends the way to another password, where there is an account.
pub async fn forgot_password(app: &App, email: &str) -> Result<(), AppError> {
    request(app, email, Letter::PasswordReset).await
}

async fn request(app: &App, email: &str, letter: Letter) -> Result<(), AppError> {
    let email = Email::parse(email).map_err(|error| AppError::Invalid(vec![error]))?;
    mail::post(app.db.writer(), app.clock.now(), Recipient::Account(email), letter).await?;
    jobs::wake(app);
    Ok(())
}

/// Proves an address by the token that was mailed to it. Whoever shows the account's own session with it keeps that one: they have both
/// the mail and the account.
pub async fn verify_email(
    app: &App,
    shown: &str,
    by: Option<&Principal>,
    address: Option<IpAddr>,
) -> Result<(), AppError> {
    let hash = fingerprint(shown)?;
    let now = app.clock.now();
    let tx = app.db.begin().await.map_err(app_error)?;
    let (user_id, is_claim) = match mail_tokens::take(&tx, Purpose::Verification, &hash, now).await? {
        Some(subject) => (UserId(subject), false),
        None => {
            let pending = mail_tokens::take(&tx, Purpose::Claim, &hash, now).await?.ok_or(Code::TokenInvalid)?;
            (identities::claim(&tx, app, pending).await?, true)
        }
    };
    let account = users::lock(&tx, user_id).await?.ok_or(Code::TokenInvalid)?;
    if is_claim {
        users::drop_password(&tx, account.id, now).await?;
    }
    let (mut ended, mut revoked) = (Vec::new(), Vec::new());
    if users::verify(&tx, account.id, now).await? || is_claim {
        mail_tokens::remove(&tx, account.id.0).await?;
        audit::record(&tx, entry(Action::EmailVerified, account.id, address)).await?;
        let kept = by.filter(|by| by.user_id == account.id && !is_claim).and_then(Principal::session_id);
        if kept.is_none() && !is_claim {
            // Whatever was added by somebody who is not here now.
            identities::forget_other_ways(&tx, app, account.id).await?;
        }
        ended = sessions::end_all(&tx, account.id, kept, now).await?;
        revoked = api_keys::revoke_all(&tx, account.id, now).await?;
    }
    tx.commit().await.map_err(app_error)?;
    tell_ended(app, ended).await;
    tell_revoked(app, revoked).await;
    Ok(())
}

/// Puts another password in place by the token that was mailed, and signs all devices out. Whoever has the mail has the address.
pub async fn redeem_reset(app: &App, shown: &str, password: &str, address: Option<IpAddr>) -> Result<(), AppError> {
    let hash = fingerprint(shown)?;
    let now = app.clock.now();
    // A password that may not be one leaves the token good.
    let subject = mail_tokens::find(app.db.reader(), Purpose::PasswordReset, &hash, now).await?;
    let account = match subject {
        Some(subject) => users::by_id(app.db.reader(), UserId(subject)).await?,
        None => None,
    };
    let account = account.ok_or(Code::TokenInvalid)?;
    let email = Email::parse(&account.email).ok();
    let password = Password::parse(&app.config.auth.password, "password", password, email.as_ref());
    let password = password.map_err(AppError::Invalid)?;
    let stored = app.accounts.hashing.hash(password.expose().to_owned()).await?;

    let tx = app.db.begin().await.map_err(app_error)?;
    let subject = mail_tokens::take(&tx, Purpose::PasswordReset, &hash, now).await?.ok_or(Code::TokenInvalid)?;
    let account = users::lock(&tx, UserId(subject)).await?.ok_or(Code::TokenInvalid)?;
    users::set_password(&tx, account.id, &stored, now).await?;
    if users::verify(&tx, account.id, now).await? {
        // Whatever was added before anybody had shown that the address is theirs.
        identities::forget_other_ways(&tx, app, account.id).await?;
    }
    mail_tokens::remove(&tx, account.id.0).await?;
    let ended = sessions::end_all(&tx, account.id, None, now).await?;
    let revoked = api_keys::revoke_all(&tx, account.id, now).await?;
    audit::record(&tx, entry(Action::PasswordReset, account.id, address)).await?;
    mail::post(&tx, now, Recipient::User(account.id), Letter::PasswordChanged { at: now }).await?;
    tx.commit().await.map_err(app_error)?;
    tell_ended(app, ended).await;
    tell_revoked(app, revoked).await;
    jobs::wake(app);
    Ok(())
}

fn entry(action: Action, user_id: UserId, address: Option<IpAddr>) -> Entry {
    Entry { action, actor: Some(user_id), target: None, address }
}

fn fingerprint(shown: &str) -> Result<Vec<u8>, AppError> {
    if shown.len() > MAX_TOKEN_BYTES {
        return Err(Code::TokenInvalid.into());
    }
    Ok(token::fingerprint(shown))
}
