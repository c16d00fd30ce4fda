//! Authentication by access token or API key.

use std::{collections::HashMap, sync::Arc, time::Duration};

use appcore::{
    ApiKeyId, AppError, Code, RequestSource, SessionId, Timestamp,
    auth::{Credential, Principal, token::AccessTokenError},
    limit::Violation,
};
use dbcontext::{
    Database,
    query::{api_keys::ApiKeyStatus, sessions as rows},
};
use platform::batcher::Batcher;
use tokio::time::Instant;

use super::{
    api_keys,
    credential_status::{CachedSession, CachedStatus, Fingerprint},
};
use crate::IdentityService;

/// Precision with which the last use of sessions and API keys is recorded.
pub(super) const LAST_USE_RESOLUTION: Duration = Duration::from_secs(60);

/// Batchers that combine concurrent look-ups and updates of sessions and API keys.
#[derive(Default)]
pub(super) struct LookUpBatchers {
    sessions: Arc<Batcher<SessionId, Option<rows::LiveSession>>>,
    session_uses: Arc<Batcher<SessionId, ()>>,
    pub(super) keys: Arc<Batcher<Fingerprint, Option<ApiKeyStatus>>>,
    pub(super) key_uses: Arc<Batcher<ApiKeyId, ()>>,
}

/// Authenticates an API key or an access token. A token must have a valid signature, the right kind
/// and a current validity period, and its session must not have ended.
pub async fn authenticate(service: &IdentityService, access_token: &str) -> Result<Principal, AppError> {
    if api_keys::is_key(access_token) {
        return api_keys::authenticate(service, access_token).await;
    }
    let accounts = &service.accounts;
    let proof = accounts.verified_tokens.check(&accounts.keys, access_token, service.clock.now()).await;
    let proof = proof.map_err(|rejection| {
        tracing::debug!(%rejection, "access token rejected");
        AppError::from(Code::Unauthenticated)
    })?;
    let expires_at = Timestamp(proof.expires_at.saturating_mul(1000));
    if proof.user_id == Principal::OPERATOR {
        return Ok(Principal::operator(expires_at));
    }
    let standing =
        session_status(service, proof.session_id).await?.filter(|standing| standing.user_id == proof.user_id);
    let standing = standing.ok_or(Code::Unauthenticated)?;
    Ok(Principal {
        user_id: proof.user_id,
        credential: Credential::Session(proof.session_id),
        // The role may have changed since the token was signed, so the current one is used.
        role: standing.role,
        expires_at,
        address: None,
    })
}

/// True if the token was not signed by this installation. Expired tokens and tokens of ended
/// sessions are not forged. Unknown API keys don't count either, because keys can't be guessed.
/// Tokens with an unknown signing key don't count, because after a change of keys all clients
/// present such tokens until they sign in again.
async fn is_forged(service: &IdentityService, access_token: &str) -> bool {
    if api_keys::is_key(access_token) {
        return false;
    }
    let accounts = &service.accounts;
    match accounts.verified_tokens.check(&accounts.keys, access_token, service.clock.now()).await {
        Ok(_) | Err(AccessTokenError::Expired | AccessTokenError::UnknownKey) => false,
        Err(AccessTokenError::Malformed | AccessTokenError::WrongType | AccessTokenError::Forged) => true,
    }
}

impl IdentityService {
    /// Counts a rejected credential as a violation if it is forged. Returns `AddressBanned` if the
    /// firewall had already banned the address.
    pub async fn count_rejected_token(&self, source: RequestSource, token: &str) -> Result<(), AppError> {
        if source.attributable_address().is_none() || !is_forged(self, token).await {
            return Ok(());
        }
        self.firewall.check_automatic(|| source.address)?;
        self.firewall.record_violation(source, Violation::ForgedToken).await;
        Ok(())
    }
}

/// Status of a session, from the cache or the database; `None` if it has ended.
pub(super) async fn session_status(
    service: &IdentityService,
    id: SessionId,
) -> Result<Option<CachedSession>, AppError> {
    let now = service.clock.now();
    match service.accounts.credential_status.get(id).await {
        CachedStatus::Ended => return Ok(None),
        CachedStatus::Live(standing) if standing.expires_at > now => return Ok(Some(standing)),
        CachedStatus::Live(_) => return Ok(None),
        CachedStatus::Unknown => {}
    }
    let asked = Instant::now();
    let Some(row) = load_session(service, id).await? else { return Ok(None) };
    let standing = CachedSession { user_id: row.user_id, role: row.role, expires_at: row.expires_at };
    service.accounts.credential_status.insert(id, standing, asked).await;
    if row.last_used_at.plus(LAST_USE_RESOLUTION) <= now {
        let (db, touched) = (service.db.clone(), Arc::clone(&service.accounts.lookups.session_uses));
        tokio::spawn(async move { touched.get(id, move |ids| record_use(db.clone(), ids, now)).await });
    }
    Ok(Some(standing))
}

async fn load_session(service: &IdentityService, id: SessionId) -> Result<Option<rows::LiveSession>, AppError> {
    let (db, clock) = (service.db.clone(), service.clock.clone());
    let read = move |ids: Vec<SessionId>| {
        let (db, now) = (db.clone(), clock.now());
        async move {
            let found = rows::live_sessions(db.reader(), &ids, now).await?;
            Ok(found.into_iter().map(|row| (row.id, Some(row))).collect())
        }
    };
    service.accounts.lookups.sessions.get(id, read).await
}

/// Records the last use of sessions. After a failure, the next use is recorded instead.
async fn record_use(db: Database, ids: Vec<SessionId>, now: Timestamp) -> Result<HashMap<SessionId, ()>, AppError> {
    if let Err(error) = rows::record_use(db.writer(), &ids, now).await {
        tracing::debug!(%error, "failed to record last use of sessions");
    }
    Ok(HashMap::new())
}
