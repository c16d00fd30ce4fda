//! Reauthentication before a change that would let a thief stay.
//!
//! A recent sign-in (`auth.fresh_for`) suffices. Later the person confirms once more ([`confirm`]) by any method of the account that works here;
//! an account with only a provider signs in again. So a stolen session can't add sign-in methods. What asks for it takes the caller as [`Confirmed`].

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
    Device, login_throttle,
    hashing::QueuedCaller,
    passkeys,
    password_hash::PasswordCheck,
    second_factor::{self, SecondFactor},
    signin,
};
use crate::IdentityService;

/// The proof that a signed-in person gives.
pub enum Confirmation {
    Password(String),
    SecondFactor(SecondFactor),
    /// What was asked of the authenticator, and its answer.
    Passkey {
        ceremony: String,
        credential: Value,
    },
}

/// The methods by which a person can confirm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfirmMethod {
    Password,
    Totp,
    RecoveryCode,
    Passkey,
}

/// Whether the last sign-in is recent enough, and how to confirm otherwise.
#[derive(Debug)]
pub struct Freshness {
    /// None: it is not.
    pub fresh_until: Option<Timestamp>,
    /// Empty: by signing in anew.
    pub methods: Vec<ConfirmMethod>,
}

/// A caller who has signed in or confirmed a moment ago. Only [asking](Self::ask) makes one.
#[derive(Debug)]
pub struct Confirmed(Principal);

impl Confirmed {
    /// Refuses a caller whose last confirmation is too old. An administrator's key with the scope `admin` is accepted instead: it was given that scope
    /// with a fresh sign-in, and no key reaches the calls about credentials that ask for one.
    pub async fn ask(service: &IdentityService, by: &Principal) -> Result<Self, AppError> {
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

/// How long the caller is believed without being asked, and what they would be asked for.
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

/// Takes the caller's proof that it is them. What is wrong counts like a failed sign-in.
pub async fn confirm(
    service: &IdentityService,
    by: &Principal,
    proof: Confirmation,
    device: &Device,
) -> Result<Freshness, AppError> {
    let session = by.require_session()?;
    let account = users::by_id(service.db.reader(), by.user_id).await?.ok_or(Code::Unauthenticated)?;
    let guess = login_throttle::begin(service, &account.email, Some(account.id), device).await?;
    if let Err(refusal) = examine(service, &account, proof).await {
        if matches!(refusal.code(), Code::PasswordWrong | Code::MfaInvalid | Code::InvalidCredentials) {
            guess.failed().await;
            signin::note_failure(service, Some(account.id), device).await;
        }
        return Err(refusal);
    }
    guess.passed().await;
    let tx = service.db.begin().await.map_err(app_error)?;
    // A session that has ended meanwhile, with a changed password for instance, stays so.
    if !sessions::confirm(&tx, session, service.clock.now()).await? {
        return Err(Code::Unauthenticated.into());
    }
    audit::record(&tx, NewAuditEntry::by(by, Action::Confirmed, None)).await?;
    tx.commit().await.map_err(app_error)?;
    freshness(service, by).await
}

async fn examine(service: &IdentityService, account: &user::Model, proof: Confirmation) -> Result<(), AppError> {
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
        Confirmation::SecondFactor(answer) => second_factor::show(service, account.id, &answer).await,
        Confirmation::Passkey { ceremony, credential } => passkeys::show(service, account.id, &ceremony, credential).await,
    }
}

/// The caller's account, once its password was right. Without a password their sign-in must be fresh.
pub async fn check(
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
            Confirmed::ask(service, by).await?;
        }
    }
    Ok(account)
}
