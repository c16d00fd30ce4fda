//! Mailed links: address verification and password reset.
//!
//! No answer reveals whether an account exists, nor does its timing: the mail worker does the
//! look-up. Somebody who signed up with another person's address is locked out once the address's
//! owner resets the password: a reset ends the account's sessions, its keys and all pending changes
//! (arXiv 2205.10174). The mailed link alone does not verify an address, because the reader may not
//! know whose account the mail is about. The account's session or password is required as well.

use std::net::IpAddr;

use appcore::{
    AppError, Code, UserId,
    auth::{Email, Password, Principal, token},
};
use dbcontext::{
    constraint::app_error,
    entity::user,
    query::{
        api_keys,
        mail_tokens::{self, Purpose},
        sessions, users,
    },
};
use platform::audit::{self, Action, NewAuditEntry};

use super::{
    Device, api_keys::announce_revoked, email_change, hashing::QueuedCaller, identities, login_throttle,
    password_hash::PasswordCheck, sessions::announce_ended, signin,
};
use crate::IdentityService;
use crate::mail::{self, MailContent, Recipient};

/// Maximum length of a presented token. Our tokens have 43 characters.
const MAX_TOKEN_BYTES: usize = 128;

/// Mails another verification link if there is an account with this address and the address is not
/// verified yet.
pub async fn resend_verification(service: &IdentityService, email: &str) -> Result<(), AppError> {
    request(service, email, MailContent::Verification).await
}

/// Mails a password reset link, if there is an account.
pub async fn forgot_password(service: &IdentityService, email: &str) -> Result<(), AppError> {
    request(service, email, MailContent::PasswordReset).await
}

async fn request(service: &IdentityService, email: &str, letter: MailContent) -> Result<(), AppError> {
    let email = Email::parse(email).map_err(|error| AppError::Invalid(vec![error]))?;
    mail::enqueue(service.db.writer(), service.clock.now(), Recipient::Account(email), letter).await?;
    service.wake_workers();
    Ok(())
}

/// Verifies an address by its mailed token together with the account's session or password. The
/// caller has access to the mailbox and to the account, so no session is ended. With the mail
/// alone, the password can be reset ([`reset_password_by_token`]).
///
/// A claim ([`identities::claim`]) needs neither session nor password: it takes the account away
/// from its creator.
pub async fn verify_email(
    service: &IdentityService,
    shown: &str,
    password: Option<String>,
    by: Option<&Principal>,
    device: &Device,
) -> Result<(), AppError> {
    let hash = fingerprint(shown)?;
    let now = service.clock.now();
    let Some(subject) = mail_tokens::find(service.db.reader(), Purpose::Verification, &hash, now).await? else {
        return claim(service, &hash, device.ip()).await;
    };
    let account = users::by_id(service.db.reader(), UserId(subject)).await?.ok_or(Code::TokenInvalid)?;
    let is_signed_in = by.is_some_and(|by| by.user_id == account.id && by.session_id().is_some());
    if !is_signed_in {
        require_password(service, &account, password, device).await?;
    }
    let tx = service.db.begin().await.map_err(app_error)?;
    let taken = mail_tokens::consume(&tx, Purpose::Verification, &hash, now).await?;
    let current = users::lock(&tx, account.id).await?.filter(|_| taken == Some(subject)).ok_or(Code::TokenInvalid)?;
    // The password was changed by a concurrent request.
    if !is_signed_in && current.password_hash != account.password_hash {
        return Err(Code::PasswordWrong.into());
    }
    let is_new = users::verify(&tx, account.id, now).await?;
    if is_new {
        mail_tokens::remove(&tx, account.id.0).await?;
        audit::record(&tx, entry(Action::EmailVerified, account.id, device.ip())).await?;
    }
    tx.commit().await.map_err(app_error)?;
    if is_new {
        service.notify_account_changed(account.id)?;
    }
    Ok(())
}

/// Checks the password of an account that isn't signed in on this device. Wrong passwords count
/// like failed sign-ins.
async fn require_password(
    service: &IdentityService,
    account: &user::Model,
    password: Option<String>,
    device: &Device,
) -> Result<(), AppError> {
    if account.password_hash.is_none() {
        let message = "Sign in on this device first, then open the link again.";
        return Err(AppError::refused(Code::Forbidden, message));
    }
    let password = password.ok_or(Code::PasswordRequired)?;
    let guess = login_throttle::begin(service, &account.email, Some(account.id), device).await?;
    if service.accounts.hashing.verify(guess.applicant(), password, account.password_hash.clone()).await?
        == PasswordCheck::Wrong
    {
        guess.record_failure().await;
        signin::record_failure(service, Some(account.id), device).await;
        return Err(AppError::refused(Code::PasswordWrong, "That's not the password of this account."));
    }
    guess.record_success().await;
    Ok(())
}

/// Gives an account to the person who reads mail at its address, and ends all earlier sessions,
/// keys and sign-in methods.
async fn claim(service: &IdentityService, hash: &[u8], address: Option<IpAddr>) -> Result<(), AppError> {
    let now = service.clock.now();
    let tx = service.db.begin().await.map_err(app_error)?;
    let pending = mail_tokens::consume(&tx, Purpose::Claim, hash, now).await?.ok_or(Code::TokenInvalid)?;
    let user_id = identities::claim(&tx, service, pending).await?;
    let account = users::lock(&tx, user_id).await?.ok_or(Code::TokenInvalid)?;
    users::remove_password(&tx, account.id, now).await?;
    users::verify(&tx, account.id, now).await?;
    mail_tokens::remove(&tx, account.id.0).await?;
    audit::record(&tx, entry(Action::EmailVerified, account.id, address)).await?;
    let ended = sessions::end_all(&tx, account.id, None, now).await?;
    let revoked = api_keys::revoke_all(&tx, account.id, now).await?;
    tx.commit().await.map_err(app_error)?;
    announce_ended(service, ended).await;
    announce_revoked(service, revoked).await;
    Ok(())
}

/// Sets a new password by the mailed token, and signs all devices out. Reading the mail verifies the address.
pub async fn reset_password_by_token(
    service: &IdentityService,
    shown: &str,
    password: &str,
    address: Option<IpAddr>,
) -> Result<(), AppError> {
    let hash = fingerprint(shown)?;
    let now = service.clock.now();
    // The token is only read here, so that a rejected password doesn't consume it.
    let subject = mail_tokens::find(service.db.reader(), Purpose::PasswordReset, &hash, now).await?;
    let account = match subject {
        Some(subject) => users::by_id(service.db.reader(), UserId(subject)).await?,
        None => None,
    };
    let account = account.ok_or(Code::TokenInvalid)?;
    let email = Email::parse(&account.email).ok();
    let password = Password::parse(&service.config.auth.password, "password", password, email.as_ref());
    let password = password.map_err(AppError::Invalid)?;
    let stored = service.accounts.hashing.hash(QueuedCaller::user(account.id), password.expose().to_owned()).await?;

    let tx = service.db.begin().await.map_err(app_error)?;
    let subject = mail_tokens::consume(&tx, Purpose::PasswordReset, &hash, now).await?.ok_or(Code::TokenInvalid)?;
    let account = users::lock(&tx, UserId(subject)).await?.ok_or(Code::TokenInvalid)?;
    users::set_password(&tx, account.id, &stored, now).await?;
    if users::verify(&tx, account.id, now).await? {
        // The account may have been created by somebody else, so all that was added before the
        // address was verified is removed.
        identities::remove_other_methods(&tx, service, account.id).await?;
    }
    mail_tokens::remove(&tx, account.id.0).await?;
    email_change::cancel_all(&tx, account.id).await?;
    let ended = sessions::end_all(&tx, account.id, None, now).await?;
    let revoked = api_keys::revoke_all(&tx, account.id, now).await?;
    audit::record(&tx, entry(Action::PasswordReset, account.id, address)).await?;
    mail::enqueue(&tx, now, Recipient::User(account.id), MailContent::PasswordChanged { at: now }).await?;
    tx.commit().await.map_err(app_error)?;
    announce_ended(service, ended).await;
    announce_revoked(service, revoked).await;
    service.wake_workers();
    Ok(())
}

fn entry(action: Action, user_id: UserId, address: Option<IpAddr>) -> NewAuditEntry {
    NewAuditEntry { action, actor: Some(user_id), target: None, address }
}

/// Hash of a presented token. One that is too long is invalid.
pub(super) fn fingerprint(shown: &str) -> Result<Vec<u8>, AppError> {
    if shown.len() > MAX_TOKEN_BYTES {
        return Err(Code::TokenInvalid.into());
    }
    Ok(token::hash_token(shown))
}
