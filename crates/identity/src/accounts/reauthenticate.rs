//! Reauthentication before sensitive changes.
//!
//! A recent sign-in (`auth.fresh_for`) suffices. Later the user has to confirm their identity
//! ([`confirm`]) by any method that the account has. An account that only has an identity provider
//! must sign in again. So a stolen session can't add sign-in methods. Operations that require it
//! take the caller as [`Confirmed`].

use std::ops::Deref;

use appcore::{AppError, Code, Timestamp, auth::Principal};
use dbcontext::{
    constraint::app_error,
    entity::user,
    query::{passkeys as passkey_rows, second_factors, sessions, users},
};
use platform::audit::{self, Action, NewAuditEntry};
use serde_json::Value;

use super::{
    Device,
    hashing::QueuedCaller,
    login_throttle, passkeys,
    password_hash::PasswordCheck,
    second_factor::{self, SecondFactor},
    signin,
};
use crate::IdentityService;

/// Credential with which a signed-in user confirms their identity.
pub enum Confirmation {
    Password(String),
    SecondFactor(SecondFactor),
    /// Challenge id and answer of the authenticator.
    Passkey {
        ceremony: String,
        credential: Value,
    },
}

/// Method of confirmation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfirmMethod {
    Password,
    Totp,
    RecoveryCode,
    Passkey,
}

/// Time until which the last confirmation is valid, and the methods for a new one.
#[derive(Debug)]
pub struct Freshness {
    /// Time until which no confirmation is needed; `None` if one is needed now.
    pub fresh_until: Option<Timestamp>,
    /// Methods that can be used to confirm; empty if the user must sign in again.
    pub methods: Vec<ConfirmMethod>,
}

/// Caller who has signed in or confirmed recently. Only [`Self::ask`] constructs it.
#[derive(Debug)]
pub struct Confirmed(Principal);

impl Confirmed {
    /// Rejects a caller whose last confirmation is too old. An administrator's key with the scope
    /// `admin` is accepted without a confirmation: it got that scope in a confirmed session, and
    /// operations on credentials that require confirmation accept no keys at all.
    pub async fn authorize(service: &IdentityService, by: &Principal) -> Result<Self, AppError> {
        if by.session_id().is_none() && by.may_administer() {
            return Ok(Self(by.clone()));
        }
        if fresh_until(service, by).await? > service.clock.now() {
            Ok(Self(by.clone()))
        } else {
            Err(Code::FreshSignInRequired.into())
        }
    }
}

impl Deref for Confirmed {
    type Target = Principal;

    fn deref(&self) -> &Principal {
        &self.0
    }
}

async fn fresh_until(service: &IdentityService, by: &Principal) -> Result<Timestamp, AppError> {
    let session = by.require_session()?;
    let proved_at = sessions::authenticated_at(service.db.reader(), session).await?.ok_or(Code::Unauthenticated)?;
    Ok(proved_at.plus(service.config.auth.fresh_for))
}

/// Returns the time until which the caller counts as confirmed, and the methods to confirm again.
pub async fn freshness(service: &IdentityService, by: &Principal) -> Result<Freshness, AppError> {
    let db = service.db.reader();
    let account = users::by_id(db, by.user_id).await?.ok_or(Code::Unauthenticated)?;
    let mut means = Vec::new();
    if account.password_hash.is_some() {
        means.push(ConfirmMethod::Password);
    }
    if passkey_rows::count(db, account.id).await? > 0 {
        means.push(ConfirmMethod::Passkey);
    }
    if account.second_factor {
        means.push(ConfirmMethod::Totp);
        if second_factors::codes_left(db, account.id).await? > 0 {
            means.push(ConfirmMethod::RecoveryCode);
        }
    }
    let until = fresh_until(service, by).await?;
    Ok(Freshness { fresh_until: Some(until).filter(|until| *until > service.clock.now()), methods: means })
}

/// Confirms the caller's identity. A wrong credential counts as a failed sign-in.
pub async fn confirm(
    service: &IdentityService,
    by: &Principal,
    proof: Confirmation,
    device: &Device,
) -> Result<Freshness, AppError> {
    let session = by.require_session()?;
    let account = users::by_id(service.db.reader(), by.user_id).await?.ok_or(Code::Unauthenticated)?;
    let guess = login_throttle::begin(service, &account.email, Some(account.id), device).await?;
    if let Err(refusal) = verify_confirmation(service, &account, proof).await {
        if matches!(refusal.code(), Code::PasswordWrong | Code::MfaInvalid | Code::InvalidCredentials) {
            guess.record_failure().await;
            signin::record_failure(service, Some(account.id), device).await;
        }
        return Err(refusal);
    }
    guess.record_success().await;
    let tx = service.db.begin().await.map_err(app_error)?;
    // If the session has ended in the meantime, it stays ended.
    if !sessions::record_confirmation(&tx, session, service.clock.now()).await? {
        return Err(Code::Unauthenticated.into());
    }
    audit::record(&tx, NewAuditEntry::by_principal(by, Action::Confirmed, None)).await?;
    tx.commit().await.map_err(app_error)?;
    freshness(service, by).await
}

async fn verify_confirmation(
    service: &IdentityService,
    account: &user::Model,
    proof: Confirmation,
) -> Result<(), AppError> {
    match proof {
        Confirmation::Password(shown) => {
            match service
                .accounts
                .hashing
                .verify(QueuedCaller::user(account.id), shown, account.password_hash.clone())
                .await?
            {
                PasswordCheck::Wrong => Err(Code::PasswordWrong.into()),
                _ => Ok(()),
            }
        }
        Confirmation::SecondFactor(answer) => second_factor::verify_answer(service, account.id, &answer).await,
        Confirmation::Passkey { ceremony, credential } => {
            passkeys::verify_answer(service, account.id, &ceremony, credential).await
        }
    }
}

/// Returns the caller's account after checking its password. An account without a password needs a recent sign-in.
pub async fn require_password(
    service: &IdentityService,
    by: &Principal,
    password: Option<String>,
) -> Result<user::Model, AppError> {
    let account = users::by_id(service.db.reader(), by.user_id).await?.ok_or(Code::Unauthenticated)?;
    match (&account.password_hash, password) {
        (Some(stored), Some(shown)) => {
            let applicant = QueuedCaller::user(account.id);
            if service.accounts.hashing.verify(applicant, shown, Some(stored.clone())).await? == PasswordCheck::Wrong {
                return Err(Code::PasswordWrong.into());
            }
        }
        (Some(_), None) => return Err(AppError::field("password", "required", "Enter your password.")),
        (None, _) => {
            Confirmed::authorize(service, by).await?;
        }
    }
    Ok(account)
}
