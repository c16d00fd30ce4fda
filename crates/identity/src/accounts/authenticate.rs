//! From an access token to the person who shows it.

use std::{collections::HashMap, sync::Arc, time::Duration};

use appcore::{
    ApiKeyId, AppError, Code, RequestSource, SessionId, Timestamp,
    auth::{Credential, Principal, token::AccessTokenError},
    limit::Violation,
    view::UnknownName,
};
use dbcontext::{
    Database,
    query::{api_keys::ApiKeyStatus, sessions as rows},
};
use platform::batcher::Batcher;
use tokio::time::Instant;

use super::{
    api_keys,
    credential_status::{CachedSession, Fingerprint, CachedStatus},
};
use crate::IdentityService;

/// How exactly the last use of a device or of a key is known.
pub(super) const TOUCH_EVERY: Duration = Duration::from_secs(60);

/// What is asked of the database for those who come in at the same time.
#[derive(Default)]
pub(super) struct LookUpBatchers {
    standings: Arc<Batcher<SessionId, Option<rows::LiveSession>>>,
    session_uses: Arc<Batcher<SessionId, ()>>,
    pub(super) keys: Arc<Batcher<Fingerprint, Option<ApiKeyStatus>>>,
    pub(super) key_uses: Arc<Batcher<ApiKeyId, ()>>,
}

/// Checks an access token's signature, kind and time, and that its session has not ended; or an API key.
pub async fn authenticate(service: &IdentityService, access_token: &str) -> Result<Principal, AppError> {
    if api_keys::is_key(access_token) {
        return api_keys::authenticate(service, access_token).await;
    }
    let accounts = &service.accounts;
    let proof = accounts.proofs.check(&accounts.keys, access_token, service.clock.now()).await;
    let proof = proof.map_err(|rejection| {
        tracing::debug!(%rejection, "an access token was refused");
        AppError::from(Code::Unauthenticated)
    })?;
    let standing = standing(service, proof.session_id).await?.filter(|standing| standing.user_id == proof.user_id);
    let standing = standing.ok_or(Code::Unauthenticated)?;
    Ok(Principal {
        user_id: proof.user_id,
        credential: Credential::Session(proof.session_id),
        // As it is now, not as it was when the token was signed.
        role: standing.role,
        expires_at: Timestamp(proof.expires_at.saturating_mul(1000)),
        address: None,
    })
}

/// Whether the token was not signed by this installation. An expired one, or one of an ended session, was; so may be an unknown API key, which
/// can't be guessed, and a token of an unknown signing key: after a change of keys all clients show such ones until they sign in again.
async fn is_forged(service: &IdentityService, access_token: &str) -> bool {
    if api_keys::is_key(access_token) {
        return false;
    }
    let accounts = &service.accounts;
    match accounts.proofs.check(&accounts.keys, access_token, service.clock.now()).await {
        Ok(_) | Err(AccessTokenError::Expired | AccessTokenError::UnknownKey) => false,
        Err(AccessTokenError::Malformed | AccessTokenError::WrongType | AccessTokenError::Forged) => true,
    }
}

impl IdentityService {
    /// Counts refused credentials as a violation if this installation has not issued them. Returns `AddressBanned` if the firewall had banned the
    /// address already.
    pub async fn note_refused_token(&self, source: RequestSource, token: &str) -> Result<(), AppError> {
        if source.attributable_address().is_none() || !is_forged(self, token).await {
            return Ok(());
        }
        self.firewall.check_automatic(|| source.address)?;
        self.firewall.note(source, Violation::ForgedToken).await;
        Ok(())
    }
}

/// The session's standing, as it is remembered or else as the database has it.
pub(super) async fn standing(service: &IdentityService, id: SessionId) -> Result<Option<CachedSession>, AppError> {
    let now = service.clock.now();
    match service.accounts.standings.recall(id).await {
        CachedStatus::Ended => return Ok(None),
        CachedStatus::Live(standing) if standing.expires_at > now => return Ok(Some(standing)),
        CachedStatus::Live(_) => return Ok(None),
        CachedStatus::Unknown => {}
    }
    let asked = Instant::now();
    let Some(row) = look_up(service, id).await? else { return Ok(None) };
    let role = row.role.parse().map_err(|error: UnknownName| AppError::internal(error))?;
    let standing = CachedSession { user_id: row.user_id, role, expires_at: row.expires_at };
    service.accounts.standings.remember(id, standing, asked).await;
    if row.last_used_at.plus(TOUCH_EVERY) <= now {
        let (db, touched) = (service.db.clone(), Arc::clone(&service.accounts.lookups.session_uses));
        tokio::spawn(async move { touched.ask(id, move |ids| touch(db.clone(), ids, now)).await });
    }
    Ok(Some(standing))
}

async fn look_up(service: &IdentityService, id: SessionId) -> Result<Option<rows::LiveSession>, AppError> {
    let (db, clock) = (service.db.clone(), service.clock.clone());
    let read = move |ids: Vec<SessionId>| {
        let (db, now) = (db.clone(), clock.now());
        async move {
            let found = rows::live_sessions(db.reader(), &ids, now).await?;
            Ok(found.into_iter().map(|row| (row.id, Some(row))).collect())
        }
    };
    service.accounts.lookups.standings.ask(id, read).await
}

/// A device that was not noted as used this time is the next.
async fn touch(db: Database, ids: Vec<SessionId>, now: Timestamp) -> Result<HashMap<SessionId, ()>, AppError> {
    if let Err(error) = rows::record_use(db.writer(), &ids, now).await {
        tracing::debug!(%error, "the last use of sessions was not noted");
    }
    Ok(HashMap::new())
}
