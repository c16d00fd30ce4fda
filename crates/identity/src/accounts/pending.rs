//! Multi-step sign-ins in progress: OAuth flow, second factor, passkey, and the OAuth flow of a
//! tool server.
//!
//! Each one is a row, so that any instance can continue it, with or without Redis. The caller has a
//! handle of 256 random bits. The row contains only the handle's fingerprint, and the state is
//! encrypted with the handle, so the database alone reveals nothing.

use std::time::Duration;

use appcore::{
    AppError, Timestamp, UserId,
    auth::{seal, token},
};
use dbcontext::{Database, entity::pending_sign_in, query::pending_sign_ins as rows};
use sea_orm::ConnectionTrait;
use serde::{Serialize, de::DeserializeOwned};

const PURPOSE: &[u8] = b"pending sign-in";
/// Maximum length of a presented handle. Our handles have 43 characters.
const MAX_HANDLE_BYTES: usize = 128;

/// Kind of multi-step sign-in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PendingKind {
    Oauth,
    SecondFactor,
    PasskeyRegistration,
    PasskeySignIn,
    /// Identity to be linked once the owner of the account's address has opened the mailed link.
    Claim,
    /// Connection of an account to a tool server.
    ToolServer,
    /// Change of the email address until both addresses have confirmed it.
    EmailChange,
}

impl PendingKind {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Oauth => "oauth",
            Self::SecondFactor => "second_factor",
            Self::PasskeyRegistration => "passkey_registration",
            Self::PasskeySignIn => "passkey_sign_in",
            Self::Claim => "claim",
            Self::ToolServer => "tool_server",
            Self::EmailChange => "email_change",
        }
    }
}

/// Handle of a pending sign-in, which the caller has to present to continue it.
pub struct PendingHandle {
    pub handle: String,
    pub expires_at: Timestamp,
}

/// Stores a pending sign-in that must continue within `ttl`.
pub async fn store<C: ConnectionTrait, T: Serialize>(
    db: &C,
    kind: PendingKind,
    user_id: Option<UserId>,
    what: &T,
    now: Timestamp,
    ttl: Duration,
) -> Result<PendingHandle, AppError> {
    let handle = token::random_token().map_err(AppError::internal)?;
    let plain = serde_json::to_vec(what).map_err(AppError::internal)?;
    let state = seal::seal(handle.as_bytes(), PURPOSE, kind.as_str().as_bytes(), &plain).map_err(AppError::internal)?;
    let expires_at = now.plus(ttl);
    let new = rows::NewPendingSignIn {
        kind: kind.as_str(),
        user_id,
        handle_hash: token::hash_token(&handle),
        state,
        at: now,
        expires_at,
    };
    rows::insert(db, new).await?;
    Ok(PendingHandle { handle, expires_at })
}

/// Returns the pending sign-in of a handle without consuming it.
pub(super) async fn find<C: ConnectionTrait>(
    db: &C,
    kind: PendingKind,
    handle: &str,
    now: Timestamp,
) -> Result<Option<pending_sign_in::Model>, AppError> {
    if handle.len() > MAX_HANDLE_BYTES {
        return Ok(None);
    }
    rows::find(db, kind.as_str(), &token::hash_token(handle), now).await
}

/// Consumes the pending sign-in of a handle; only the first caller gets it.
pub async fn consume<T: DeserializeOwned>(
    db: &Database,
    kind: PendingKind,
    handle: &str,
    now: Timestamp,
) -> Result<Option<(Option<UserId>, T)>, AppError> {
    // Unknown handles are rejected here already, before the write lock is taken.
    let Some(row) = find(db.reader(), kind, handle, now).await? else { return Ok(None) };
    if !rows::consume(db.writer(), row.id).await? {
        return Ok(None);
    }
    let plain =
        seal::unseal(handle.as_bytes(), PURPOSE, kind.as_str().as_bytes(), &row.state).map_err(AppError::internal)?;
    Ok(Some((row.user_id, serde_json::from_slice(&plain).map_err(AppError::internal)?)))
}
