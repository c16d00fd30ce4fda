//! API keys: authentication and revocation. They are created and changed in `gateway::keys`.
//!
//! A key is 256 random bits with the prefix `nk_`; only its fingerprint and its first characters,
//! by which the owner recognises it, are stored. The permissions of a key are checked at each use,
//! by [`Principal::require_scope`]; operations on credentials never accept an API key, so that the
//! thief of a key can't gain permanent access. The keys of service accounts have no other scope than
//! `gateway`, whatever is stored.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use appcore::{
    ApiKeyId, AppError, Code, Timestamp, UserId,
    auth::{Credential, Principal, Scope, Scopes, token},
    event::{BusMessage, Signal},
    view::UserRole,
};
use dbcontext::{
    Database,
    constraint::app_error,
    query::{api_keys as rows, budgets},
};
use platform::audit::{self, Action, NewAuditEntry};
pub use rows::revoke_all;
use tokio::time::Instant;
use uuid::Uuid;

use super::{
    authenticate::LAST_USE_RESOLUTION,
    credential_status::{CachedKey, Fingerprint},
    key_policy::KeyPolicy,
    reauthenticate::Confirmed,
};
use crate::IdentityService;

/// Prefix of every key.
pub const KEY_PREFIX: &str = "nk_";
/// Maximum length of a presented key. Our keys have 46 characters.
const MAX_KEY_BYTES: usize = 128;
/// Maximum time that a change of keys waits for its bus message to be published.
const PUBLISH_TIMEOUT: Duration = Duration::from_secs(1);

/// Revokes one of the caller's keys, and closes the connections opened with it.
pub async fn revoke(service: &IdentityService, by: &Principal, id: ApiKeyId) -> Result<(), AppError> {
    by.require_session()?;
    revoke_of(service, by, by.user_id, id).await
}

/// Revokes a key of another user, and closes the connections opened with it.
pub async fn revoke_for_user(
    service: &IdentityService,
    by: &Confirmed,
    owner: UserId,
    id: ApiKeyId,
) -> Result<(), AppError> {
    revoke_of(service, by, owner, id).await
}

async fn revoke_of(service: &IdentityService, by: &Principal, owner: UserId, id: ApiKeyId) -> Result<(), AppError> {
    let tx = service.db.begin().await.map_err(app_error)?;
    if !rows::revoke(&tx, owner, id, service.clock.now()).await? {
        return Err(Code::NotFound.into());
    }
    budgets::remove_parts(&tx, id).await?;
    audit::record(&tx, NewAuditEntry::by_principal(by, Action::ApiKeyRevoked, Some(id.to_string()))).await?;
    tx.commit().await.map_err(app_error)?;
    announce_revoked(service, vec![id]).await;
    Ok(())
}

/// Announces revoked keys: on this instance at once, to the other instances by the bus.
pub async fn announce_revoked(service: &IdentityService, ids: Vec<ApiKeyId>) {
    if ids.is_empty() {
        return;
    }
    service.accounts.credential_status.revoke(&ids).await;
    publish(service, Signal::ApiKeysRevoked(ids)).await;
}

/// Announces that permissions of keys have changed. `ids` are the ids of the keys, their owners or
/// their workspaces.
pub async fn announce_changed(service: &IdentityService, ids: Vec<Uuid>) {
    service.accounts.credential_status.clear_revoked(&ids).await;
    service.accounts.credential_status.invalidate_keys(&ids).await;
    publish(service, Signal::KeysChanged(ids)).await;
}

async fn publish(service: &IdentityService, signal: Signal) {
    let left = service.bus.publish(vec![BusMessage::Signal(signal)]);
    // If the bus is unavailable, the other instances notice when their cache entries expire after
    // five seconds.
    if !matches!(tokio::time::timeout(PUBLISH_TIMEOUT, left).await, Ok(Ok(Ok(())))) {
        tracing::warn!("failed to publish change of API keys");
    }
}

/// True for an API key, false for an access token.
pub(super) fn is_key(text: &str) -> bool {
    text.starts_with(KEY_PREFIX)
}

/// Authenticates an API key.
pub(super) async fn authenticate(service: &IdentityService, key: &str) -> Result<Principal, AppError> {
    Ok(authenticate_key(service, key).await?.0)
}

/// Authenticates an API key; also returns its policy.
pub async fn authenticate_key(service: &IdentityService, key: &str) -> Result<(Principal, Arc<KeyPolicy>), AppError> {
    let refused = || AppError::from(Code::Unauthenticated);
    if key.len() > MAX_KEY_BYTES || !is_key(key) {
        return Err(refused());
    }
    let fingerprint: Fingerprint = token::hash_token(key).try_into().map_err(|_| refused())?;
    let standing = match service.accounts.credential_status.get_key(&fingerprint) {
        Some(standing) => standing,
        None => load_key(service, fingerprint).await?.ok_or_else(refused)?,
    };
    if standing.expires_at <= service.clock.now() || service.accounts.credential_status.is_revoked(standing.id).await {
        return Err(refused());
    }
    let policy = Arc::clone(&standing.policy);
    Ok((principal(standing), policy))
}

/// Authenticates a key that was authenticated before, by its id. Returns `Unauthenticated` if the
/// key was revoked or has expired.
pub async fn authenticate_by_id(
    service: &IdentityService,
    id: ApiKeyId,
) -> Result<(Principal, Arc<KeyPolicy>), AppError> {
    if service.accounts.credential_status.is_revoked(id).await {
        return Err(Code::Unauthenticated.into());
    }
    let row = rows::status(service.db.reader(), id, service.clock.now()).await?.ok_or(Code::Unauthenticated)?;
    let standing = read(&row);
    let policy = Arc::clone(&standing.policy);
    Ok((principal(standing), policy))
}

/// Current principal of a key that was authenticated before; `None` if the key was revoked or has
/// expired.
pub(super) async fn current_principal(service: &IdentityService, id: ApiKeyId) -> Result<Option<Principal>, AppError> {
    if service.accounts.credential_status.is_revoked(id).await {
        return Ok(None);
    }
    let row = rows::status(service.db.reader(), id, service.clock.now()).await?;
    Ok(row.map(|row| principal(read(&row))))
}

async fn load_key(service: &IdentityService, fingerprint: Fingerprint) -> Result<Option<CachedKey>, AppError> {
    let (now, begun) = (service.clock.now(), Instant::now());
    let (db, clock) = (service.db.clone(), service.clock.clone());
    let read_all = move |asked: Vec<Fingerprint>| {
        let (db, now) = (db.clone(), clock.now());
        async move {
            let hashes: Vec<Vec<u8>> = asked.iter().map(|hash| hash.to_vec()).collect();
            let found = rows::statuses(db.reader(), &hashes, now).await?;
            let asked: HashSet<Fingerprint> = asked.into_iter().collect();
            let mut standings = HashMap::with_capacity(found.len());
            for row in found {
                for hash in [Some(&row.key_hash), row.previous_hash.as_ref()].into_iter().flatten() {
                    if let Ok(hash) = Fingerprint::try_from(hash.as_slice())
                        && asked.contains(&hash)
                    {
                        standings.insert(hash, Some(row.clone()));
                    }
                }
            }
            Ok(standings)
        }
    };
    let Some(row) = service.accounts.lookups.keys.get(fingerprint, read_all).await? else { return Ok(None) };
    let mut standing = read(&row);
    if row.key_hash != fingerprint {
        standing.expires_at = standing.expires_at.min(row.previous_until.unwrap_or(now));
    }
    service.accounts.credential_status.insert_key(fingerprint, standing.clone(), begun).await;
    if row.last_used_at.is_none_or(|last| last.plus(LAST_USE_RESOLUTION) <= now) {
        let (db, touched) = (service.db.clone(), service.accounts.lookups.key_uses.clone());
        tokio::spawn(async move { touched.get(row.id, move |ids| record_use(db.clone(), ids, now)).await });
    }
    Ok(Some(standing))
}

/// Records the last use of keys. After a failure, the next use is recorded instead.
async fn record_use(db: Database, ids: Vec<ApiKeyId>, now: Timestamp) -> Result<HashMap<ApiKeyId, ()>, AppError> {
    if let Err(error) = rows::record_use(db.writer(), &ids, now).await {
        tracing::debug!(%error, "failed to record last use of API keys");
    }
    Ok(HashMap::new())
}

fn read(row: &rows::ApiKeyStatus) -> CachedKey {
    let scopes = Scopes::parse(&row.scopes);
    CachedKey {
        id: row.id,
        user_id: row.user_id,
        role: row.role,
        scopes: if row.is_service_account { scopes.only(Scope::Gateway) } else { scopes },
        expires_at: row.expires_at.unwrap_or(Timestamp(i64::MAX)),
        policy: Arc::new(KeyPolicy::from_row(row)),
    }
}

/// Principal of a key. Without the scope `admin`, an administrator's key only has the rights of an
/// ordinary account.
fn principal(standing: CachedKey) -> Principal {
    let role = if standing.scopes.contains(Scope::Admin) { standing.role } else { UserRole::User };
    Principal {
        user_id: standing.user_id,
        credential: Credential::ApiKey { id: standing.id, scopes: standing.scopes },
        role,
        expires_at: standing.expires_at,
        address: None,
    }
}
