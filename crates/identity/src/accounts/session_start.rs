//! Start of a session after authentication. It is the same for all sign-in methods.

use std::time::Duration;

use appcore::{AppError, Code, Timestamp, UserId};
use dbcontext::{
    Transaction,
    entity::user,
    query::{passkeys, second_factors, sessions},
};
use platform::audit::{self, Action, NewAuditEntry};

use super::{
    Device, TokenPair, known_devices,
    pending::{self, PendingKind},
    session_tokens,
};
use crate::IdentityService;

/// Lifetime of a second-factor challenge.
const CHALLENGE_TTL: Duration = Duration::from_secs(300);

/// Method by which a user has authenticated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AuthMethod {
    Password,
    /// Identity provider.
    IdentityProvider,
    /// Passkey with user verification by biometrics or PIN, which includes a second factor.
    Passkey,
}

/// Result of authenticating: the tokens of a session, or a challenge.
#[derive(Debug)]
pub enum SignedIn {
    Tokens(Box<TokenPair>),
    /// The user has to present a second factor first.
    SecondFactor(Challenge),
}

/// Second-factor challenge of a sign-in.
#[derive(Debug)]
pub struct Challenge {
    /// Handle of the challenge. It represents the user until it expires, so it is as secret as a
    /// token.
    pub handle: String,
    pub methods: Vec<SecondFactorMethod>,
    pub expires_at: Timestamp,
}

/// Method by which a challenge can be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecondFactorMethod {
    Totp,
    RecoveryCode,
    /// Sign-in by passkey instead, which needs no other factor.
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

/// Opens a session, or creates a second-factor challenge. The caller must have locked the user's
/// row.
pub(super) async fn start_session(
    tx: &Transaction,
    service: &IdentityService,
    account: &user::Model,
    proof: AuthMethod,
    device: &Device,
) -> Result<SignedIn, AppError> {
    require_active(account)?;
    if account.second_factor && proof != AuthMethod::Passkey {
        return challenge(tx, service, account.id).await.map(SignedIn::SecondFactor);
    }
    open_authenticated(tx, service, account, device).await.map(|pair| SignedIn::Tokens(Box::new(pair)))
}

/// Opens the session, after all checks.
pub(super) async fn open_authenticated(
    tx: &Transaction,
    service: &IdentityService,
    account: &user::Model,
    device: &Device,
) -> Result<TokenPair, AppError> {
    require_active(account)?;
    sessions::delete_expired(tx, account.id, service.clock.now()).await?;
    let entry = NewAuditEntry { action: Action::SignIn, actor: Some(account.id), target: None, address: device.ip() };
    audit::record(tx, entry).await?;
    known_devices::record_sign_in(tx, service, account, device).await?;
    session_tokens::open_session(tx, service, account, device).await
}

/// Rejects a suspended account. This is checked after authentication, so that a stranger doesn't
/// learn of the suspension.
fn require_active(account: &user::Model) -> Result<(), AppError> {
    if account.suspended_at.is_some() { Err(Code::AccountSuspended.into()) } else { Ok(()) }
}

async fn challenge(tx: &Transaction, service: &IdentityService, user_id: UserId) -> Result<Challenge, AppError> {
    let begun =
        pending::store(tx, PendingKind::SecondFactor, Some(user_id), &(), service.clock.now(), CHALLENGE_TTL).await?;
    let mut methods = vec![SecondFactorMethod::Totp];
    if second_factors::codes_left(tx, user_id).await? > 0 {
        methods.push(SecondFactorMethod::RecoveryCode);
    }
    if passkeys::count(tx, user_id).await? > 0 {
        methods.push(SecondFactorMethod::Passkey);
    }
    Ok(Challenge { handle: begun.handle, methods, expires_at: begun.expires_at })
}
