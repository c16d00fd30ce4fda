//! Keys by which programs act for their owners: who calls with one, and its end. They are made and changed in `gateway::keys`.
//!
//! A key is 256 random bits behind `nk_`; only its fingerprint is kept, and how it begins, so that its owner recognises it.
//! What a key may be used for is checked where it is used, by [`Principal::require_scope`]; nothing that is about credentials
//! themselves takes a key at all, so that a thief can't make a stolen one last.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use appcore::{
    ApiKeyId, AppError, Code, Timestamp,
    auth::{Credential, Principal, Scope, Scopes, token},
    event::{BusMessage, Signal},
    view::{UnknownName, UserRole},
};
use dbcontext::{Database, constraint::app_error, query::api_keys as rows};
use platform::audit::{self, Action, NewAuditEntry};
pub use rows::revoke_all;
use tokio::time::Instant;
use uuid::Uuid;

use super::{
    authenticate::TOUCH_EVERY,
    key_policy::KeyPolicy,
    credential_status::{Fingerprint, CachedKey},
};
use crate::IdentityService;

/// How every key begins.
pub const MARK: &str = "nk_";
/// Ours have 46 characters.
const MAX_KEY_BYTES: usize = 128;
/// How long a revocation waits for the news of it to be on its way to the other instances.
const TELL_WITHIN: Duration = Duration::from_secs(1);

/// Ends one of the caller's keys, and the connections that were opened with it.
pub async fn revoke(service: &IdentityService, by: &Principal, id: ApiKeyId) -> Result<(), AppError> {
    by.require_session()?;
    let tx = service.db.begin().await.map_err(app_error)?;
    if !rows::revoke(&tx, by.user_id, id, service.clock.now()).await? {
        return Err(Code::NotFound.into());
    }
    audit::record(&tx, NewAuditEntry::by(by, Action::ApiKeyRevoked, Some(id.to_string()))).await?;
    tx.commit().await.map_err(app_error)?;
    tell_revoked(service, vec![id]).await;
    Ok(())
}

/// Makes revoked keys known, here at once and to the other instances as fast as the bus is.
pub async fn tell_revoked(service: &IdentityService, ids: Vec<ApiKeyId>) {
    if ids.is_empty() {
        return;
    }
    service.accounts.standings.revoke(&ids).await;
    tell(service, Signal::ApiKeysRevoked(ids)).await;
}

/// Makes known that what keys may do has changed: those that have one of these ids, or whose owner or workspace has.
pub async fn tell_changed(service: &IdentityService, ids: Vec<Uuid>) {
    service.accounts.standings.readmit(&ids).await;
    service.accounts.standings.change(&ids).await;
    tell(service, Signal::KeysChanged(ids)).await;
}

async fn tell(service: &IdentityService, signal: Signal) {
    let left = service.bus.publish(vec![BusMessage::Signal(signal)]);
    // Where the bus is away the others notice by themselves, within the five seconds that they remember.
    if !matches!(tokio::time::timeout(TELL_WITHIN, left).await, Ok(Ok(Ok(())))) {
        tracing::warn!("the other instances could not be told at once that API keys were changed or revoked");
    }
}

/// Whether this is an API key and no access token.
pub(super) fn is_key(text: &str) -> bool {
    text.starts_with(MARK)
}

/// Whose key this is, and what it may be used for.
pub(super) async fn authenticate(service: &IdentityService, key: &str) -> Result<Principal, AppError> {
    Ok(authenticate_key(service, key).await?.0)
}

/// [`authenticate`], with the rules of the key.
pub async fn authenticate_key(service: &IdentityService, key: &str) -> Result<(Principal, Arc<KeyPolicy>), AppError> {
    let refused = || AppError::from(Code::Unauthenticated);
    if key.len() > MAX_KEY_BYTES || !is_key(key) {
        return Err(refused());
    }
    let fingerprint: Fingerprint = token::hash_token(key).try_into().map_err(|_| refused())?;
    let standing = match service.accounts.standings.recall_key(&fingerprint) {
        Some(standing) => standing,
        None => look_up(service, fingerprint).await?.ok_or_else(refused)?,
    };
    if standing.expires_at <= service.clock.now() || service.accounts.standings.is_revoked(standing.id).await {
        return Err(refused());
    }
    let policy = Arc::clone(&standing.policy);
    Ok((principal(standing), policy))
}

/// The owner of a key that was checked before, as they are now. None: it has ended since.
pub(super) async fn owner(service: &IdentityService, id: ApiKeyId) -> Result<Option<Principal>, AppError> {
    if service.accounts.standings.is_revoked(id).await {
        return Ok(None);
    }
    let row = rows::status(service.db.reader(), id, service.clock.now()).await?;
    row.map(|row| read(&row).map(principal)).transpose()
}

async fn look_up(service: &IdentityService, fingerprint: Fingerprint) -> Result<Option<CachedKey>, AppError> {
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
    let Some(row) = service.accounts.lookups.keys.ask(fingerprint, read_all).await? else { return Ok(None) };
    let mut standing = read(&row)?;
    if row.key_hash != fingerprint {
        standing.expires_at = standing.expires_at.min(row.previous_until.unwrap_or(now));
    }
    service.accounts.standings.remember_key(fingerprint, standing.clone(), begun).await;
    if row.last_used_at.is_none_or(|last| last.plus(TOUCH_EVERY) <= now) {
        let (db, touched) = (service.db.clone(), service.accounts.lookups.key_uses.clone());
        tokio::spawn(async move { touched.ask(row.id, move |ids| touch(db.clone(), ids, now)).await });
    }
    Ok(Some(standing))
}

/// A key that was not noted as used this time is the next.
async fn touch(db: Database, ids: Vec<ApiKeyId>, now: Timestamp) -> Result<HashMap<ApiKeyId, ()>, AppError> {
    if let Err(error) = rows::record_use(db.writer(), &ids, now).await {
        tracing::debug!(%error, "the last use of API keys was not noted");
    }
    Ok(HashMap::new())
}

fn read(row: &rows::ApiKeyStatus) -> Result<CachedKey, AppError> {
    Ok(CachedKey {
        id: row.id,
        user_id: row.user_id,
        role: row.role.parse().map_err(|error: UnknownName| AppError::internal(error))?,
        scopes: Scopes::parse(&row.scopes),
        expires_at: row.expires_at.unwrap_or(Timestamp(i64::MAX)),
        policy: Arc::new(KeyPolicy::of(row)),
    })
}

/// Without the scope `admin`, an administrator's key has the rights of an ordinary account everywhere.
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
