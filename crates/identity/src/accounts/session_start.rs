//! The one path by which an authenticated person gets a session, whatever the method.

use std::time::Duration;

use appcore::{AppError, Code, Timestamp, UserId};
use dbcontext::{
    Transaction,
    entity::user,
    query::{passkeys, second_factors, sessions},
};
use platform::audit::{self, Action, NewAuditEntry};

use super::{
    Device, TokenPair, session_tokens, known_devices,
    pending::{self, PendingKind},
};
use crate::IdentityService;

/// How long a second factor may take.
const CHALLENGE_TTL: Duration = Duration::from_secs(300);

/// How a person authenticated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AuthMethod {
    Password,
    /// A provider of identities has said so.
    IdentityProvider,
    /// It has seen the person itself, by a finger or a PIN: a second factor is in it.
    Passkey,
}

/// The outcome of a sign-in.
#[derive(Debug)]
pub enum SignedIn {
    Tokens(Box<TokenPair>),
    /// A second factor is asked for first.
    SecondFactor(Challenge),
}

/// What must be answered before there are tokens.
#[derive(Debug)]
pub struct Challenge {
    /// Represents the person until it expires, so it is as secret as a token.
    pub handle: String,
    pub methods: Vec<SecondFactorMethod>,
    pub expires_at: Timestamp,
}

/// What a challenge can be answered with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecondFactorMethod {
    Totp,
    RecoveryCode,
    /// In the place of all of it: a sign-in by passkey asks for no second factor.
    Passkey,
}

impl SecondFactorMethod {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Totp => "totp",
            Self::RecoveryCode => "recovery_code",
            Self::Passkey => "passkey",
        }
    }
}

/// Opens a session, or asks for the second factor first. The caller holds the lock of the user's row.
pub(super) async fn admit(
    tx: &Transaction,
    service: &IdentityService,
    account: &user::Model,
    proof: AuthMethod,
    device: &Device,
) -> Result<SignedIn, AppError> {
    must_be_active(account)?;
    if account.second_factor && proof != AuthMethod::Passkey {
        return challenge(tx, service, account.id).await.map(SignedIn::SecondFactor);
    }
    open(tx, service, account, device).await.map(|pair| SignedIn::Tokens(Box::new(pair)))
}

/// Opens the session, once nothing more is asked for.
pub(super) async fn open(
    tx: &Transaction,
    service: &IdentityService,
    account: &user::Model,
    device: &Device,
) -> Result<TokenPair, AppError> {
    must_be_active(account)?;
    sessions::delete_expired(tx, account.id, service.clock.now()).await?;
    let entry = NewAuditEntry { action: Action::SignIn, actor: Some(account.id), target: None, address: device.ip() };
    audit::record(tx, entry).await?;
    known_devices::note(tx, service, account, device).await?;
    session_tokens::open_session(tx, service, account, device).await
}

/// Refuses a suspended account, which is told only to whoever has shown that it is theirs.
fn must_be_active(account: &user::Model) -> Result<(), AppError> {
    if account.suspended_at.is_some() { Err(Code::AccountSuspended.into()) } else { Ok(()) }
}

async fn challenge(tx: &Transaction, service: &IdentityService, user_id: UserId) -> Result<Challenge, AppError> {
    let begun = pending::begin(tx, PendingKind::SecondFactor, Some(user_id), &(), service.clock.now(), CHALLENGE_TTL).await?;
    let mut methods = vec![SecondFactorMethod::Totp];
    if second_factors::codes_left(tx, user_id).await? > 0 {
        methods.push(SecondFactorMethod::RecoveryCode);
    }
    if passkeys::count(tx, user_id).await? > 0 {
        methods.push(SecondFactorMethod::Passkey);
    }
    Ok(Challenge { handle: begun.handle, methods, expires_at: begun.expires_at })
}
