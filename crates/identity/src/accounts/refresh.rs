//! Refresh token rotation.
//!
//! A refresh token works once. The statement that consumes it decides between concurrent requests.
//! A client that lost the response can repeat the request: with the same `Idempotency-Key` within
//! the grace period, it gets the same tokens. For this they are stored, encrypted with a key
//! derived from the presented token. Any other reuse of a token ends the session.

use appcore::{
    AppError, Code, SessionId, Timestamp,
    auth::{seal, token},
};
use dbcontext::{
    Transaction,
    constraint::app_error,
    entity::{refresh_token, user_session},
    query::{sessions as rows, users},
};
use platform::audit::{self, Action, NewAuditEntry};
use sea_orm::ConnectionTrait;

use super::{
    Device, TokenPair,
    session_tokens::{IssuedTokens, own_view},
    sessions::announce_ended,
};
use crate::IdentityService;

const PURPOSE: &[u8] = b"refresh successor";
/// Maximum length of a presented token. Our tokens have 43 characters.
const MAX_TOKEN_BYTES: usize = 128;
const MAX_KEY_BYTES: usize = 255;

/// Returns the session of a refresh token; `None` if the token is unknown.
pub async fn token_family(service: &IdentityService, shown: &str) -> Result<Option<SessionId>, AppError> {
    if shown.len() > MAX_TOKEN_BYTES {
        return Ok(None);
    }
    let row = rows::token(service.db.reader(), &token::hash_token(shown)).await?;
    Ok(row.map(|(_, session)| session.id))
}

/// Exchanges a refresh token for new tokens.
pub async fn refresh(
    service: &IdentityService,
    shown: &str,
    idempotency_key: Option<&str>,
    device: Device,
) -> Result<TokenPair, AppError> {
    if idempotency_key.is_some_and(|key| key.is_empty() || key.len() > MAX_KEY_BYTES) {
        return Err(AppError::refused(Code::MalformedRequest, "Idempotency-Key must have 1 to 255 characters."));
    }
    if shown.len() > MAX_TOKEN_BYTES {
        return Err(Code::Unauthenticated.into());
    }
    let hash = token::hash_token(shown);
    // Unknown tokens are rejected here already, before the write lock is taken.
    if rows::token(service.db.reader(), &hash).await?.is_none() {
        return Err(Code::Unauthenticated.into());
    }
    let tx = service.db.begin().await.map_err(app_error)?;
    let attempt = RefreshAttempt { service, presented_token: shown, idempotency_key, now: service.clock.now() };
    let (token, session) = attempt.read(&tx, &hash).await?;
    if token.used_at.is_none()
        && attempt.is_live(&session)
        && let Some(pair) = attempt.rotate(&tx, &token, &session, &device).await?
    {
        tx.commit().await.map_err(app_error)?;
        return Ok(pair);
    }
    // The token was used before, perhaps by a concurrent request.
    let (token, session) = attempt.read(&tx, &hash).await?;
    if token.used_at.is_none() {
        return Err(Code::Unauthenticated.into());
    }
    if attempt.is_live(&session) {
        if let Some(pair) = attempt.repeat(&tx, &token, &session).await? {
            return Ok(pair);
        }
        rows::end(&tx, session.user_id, session.id, attempt.now).await?;
        let (actor, target) = (Some(session.user_id), Some(session.id.to_string()));
        audit::record(&tx, NewAuditEntry { action: Action::RefreshReused, actor, target, address: device.ip() })
            .await?;
        tx.commit().await.map_err(app_error)?;
        tracing::warn!(session_id = %session.id, user_id = %session.user_id, "refresh token reused, session ended");
        announce_ended(service, vec![session.id]).await;
    }
    Err(Code::RefreshReused.into())
}

struct RefreshAttempt<'a> {
    service: &'a IdentityService,
    presented_token: &'a str,
    idempotency_key: Option<&'a str>,
    now: Timestamp,
}

impl RefreshAttempt<'_> {
    async fn read<C: ConnectionTrait>(
        &self,
        db: &C,
        hash: &[u8],
    ) -> Result<(refresh_token::Model, user_session::Model), AppError> {
        rows::token(db, hash).await?.ok_or_else(|| Code::Unauthenticated.into())
    }

    fn is_live(&self, session: &user_session::Model) -> bool {
        session.ended_at.is_none() && session.expires_at > self.now
    }

    /// Consumes the token and creates its successor. Returns `None` if a concurrent request was first.
    async fn rotate(
        &self,
        tx: &Transaction,
        token: &refresh_token::Model,
        session: &user_session::Model,
        device: &Device,
    ) -> Result<Option<TokenPair>, AppError> {
        let user = users::by_id(tx, session.user_id).await?.ok_or(Code::Unauthenticated)?;
        let user = own_view(&user);
        let tokens = IssuedTokens::make(self.service, &user, session.id, self.now, session.expires_at)?;
        let successor = match self.idempotency_key {
            Some(key) => {
                let plain = serde_json::to_vec(&tokens).map_err(AppError::internal)?;
                Some(
                    seal::seal(self.presented_token.as_bytes(), PURPOSE, key.as_bytes(), &plain)
                        .map_err(AppError::internal)?,
                )
            }
            None => None,
        };
        if !rows::consume_token(tx, token.id, successor, self.now).await? {
            return Ok(None);
        }
        rows::insert_token(tx, session.id, tokens.fingerprint(), self.now).await?;
        rows::update_device(tx, session.id, device.session_data(&self.service.geoip, self.now)).await?;
        rows::delete_successors(tx, session.id, self.now.minus(self.service.config.auth.refresh_grace)).await?;
        Ok(Some(tokens.for_user(user, session.id)))
    }

    /// Returns the earlier tokens if the same request is repeated within the grace period.
    async fn repeat(
        &self,
        tx: &Transaction,
        token: &refresh_token::Model,
        session: &user_session::Model,
    ) -> Result<Option<TokenPair>, AppError> {
        let in_time =
            token.used_at.is_some_and(|used_at| used_at.plus(self.service.config.auth.refresh_grace) > self.now);
        let (true, Some(key), Some(sealed)) = (in_time, self.idempotency_key, &token.successor) else {
            return Ok(None);
        };
        let Ok(plain) = seal::unseal(self.presented_token.as_bytes(), PURPOSE, key.as_bytes(), sealed) else {
            return Ok(None);
        };
        let tokens: IssuedTokens = serde_json::from_slice(&plain).map_err(AppError::internal)?;
        let user = users::by_id(tx, session.user_id).await?.ok_or(Code::Unauthenticated)?;
        Ok(Some(tokens.for_user(own_view(&user), session.id)))
    }
}
