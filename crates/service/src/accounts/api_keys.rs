//! Keys by which programs act for their owners.
//!
//! A key is 256 random bits behind `nk_`; only its fingerprint is kept, and how it begins, so that its owner recognises it.
//! What a key may be used for is checked where it is used, by [`Principal::require_scope`]; nothing that is about credentials
//! themselves takes a key at all, so that a thief can't make a stolen one last.

use std::{collections::HashMap, time::Duration};

use appcore::{
    ApiKeyId, AppError, Code, Secret, Timestamp,
    auth::{Credential, Principal, Scopes, token},
    event::{BusMessage, Signal},
    line::parse_line,
    page::{Page, PageRequest},
    view::{ApiKey, UnknownName},
};
use dbcontext::{
    Database,
    constraint::app_error,
    entity::api_key,
    query::{api_keys as rows, users},
};

pub use rows::revoke_all;

use super::{
    authenticate::TOUCH_EVERY,
    reauthenticate,
    standings::{Fingerprint, KeyStanding},
};
use crate::{
    App,
    audit::{self, Action, Entry},
};

/// How every key begins.
const MARK: &str = "nk_";
/// Ours have 46 characters.
const MAX_KEY_BYTES: usize = 128;
/// How much of a key its owner sees again.
const PREFIX_CHARS: usize = 11;
const MAX_NAME_CHARS: usize = 80;
/// The most keys of one person.
const MAX_KEYS: u64 = 100;
/// How long a revocation waits for the news of it to be on its way to the other instances.
const TELL_WITHIN: Duration = Duration::from_secs(1);

/// What is requested.
pub struct NewApiKey {
    pub name: String,
    pub scopes: Scopes,
    pub expires_at: Option<Timestamp>,
}

/// Makes a key for the caller. The key itself is returned once and not stored.
pub async fn create(app: &App, by: &Principal, new: NewApiKey) -> Result<(ApiKey, Secret), AppError> {
    reauthenticate::require_fresh(app, by).await?;
    let name = parse_line("name", &new.name, MAX_NAME_CHARS)?;
    if new.scopes.is_empty() {
        return Err(AppError::field("scopes", "required", "Choose at least one permission: read, write or gateway."));
    }
    let now = app.clock.now();
    if new.expires_at.is_some_and(|expires_at| expires_at <= now) {
        return Err(AppError::field("expires_at", "invalid", "Choose an expiration date in the future, or none."));
    }
    let key = format!("{MARK}{}", token::random_text().map_err(AppError::internal)?);
    let row = api_key::Model {
        id: ApiKeyId::new(),
        user_id: by.user_id,
        name,
        prefix: key.chars().take(PREFIX_CHARS).collect(),
        key_hash: token::fingerprint(&key),
        scopes: new.scopes.to_string(),
        created_at: now,
        expires_at: new.expires_at,
        last_used_at: None,
        revoked_at: None,
    };
    let tx = app.db.begin().await.map_err(app_error)?;
    users::lock(&tx, by.user_id).await?.ok_or(Code::Unauthenticated)?;
    if rows::count(&tx, by.user_id).await? >= MAX_KEYS {
        return Err(AppError::refused(
            Code::WrongState,
            format!("You've reached the limit of {MAX_KEYS} API keys. Revoke one you don't use."),
        ));
    }
    rows::insert(&tx, row.clone()).await?;
    audit::record(&tx, Entry::by(by, Action::ApiKeyCreated, Some(row.id.to_string()))).await?;
    tx.commit().await.map_err(app_error)?;
    Ok((view(row), key.into()))
}

/// The caller's keys, the newest first.
pub async fn list(app: &App, by: &Principal, page: PageRequest) -> Result<Page<ApiKey>, AppError> {
    let (keys, total) = rows::list(app.db.reader(), by.user_id, page).await?;
    Ok(Page::new(keys.into_iter().map(view).collect(), page, total))
}

/// Ends one of the caller's keys, and the connections that were opened with it.
pub async fn revoke(app: &App, by: &Principal, id: ApiKeyId) -> Result<(), AppError> {
    by.require_session()?;
    let tx = app.db.begin().await.map_err(app_error)?;
    if !rows::revoke(&tx, by.user_id, id, app.clock.now()).await? {
        return Err(Code::NotFound.into());
    }
    audit::record(&tx, Entry::by(by, Action::ApiKeyRevoked, Some(id.to_string()))).await?;
    tx.commit().await.map_err(app_error)?;
    tell_revoked(app, vec![id]).await;
    Ok(())
}

/// Makes revoked keys known, here at once and to the other instances as fast as the bus is.
pub(crate) async fn tell_revoked(app: &App, ids: Vec<ApiKeyId>) {
    if ids.is_empty() {
        return;
    }
    app.accounts.standings.revoke(&ids).await;
    let left = app.bus.publish(vec![BusMessage::Signal(Signal::ApiKeysRevoked(ids))]);
    // Where the bus is away the others notice by themselves, within the five seconds that they remember.
    if !matches!(tokio::time::timeout(TELL_WITHIN, left).await, Ok(Ok(Ok(())))) {
        tracing::warn!("the other instances could not be told at once that API keys were revoked");
    }
}

/// Whether this is an API key and no access token.
pub(super) fn is_key(text: &str) -> bool {
    text.starts_with(MARK)
}

/// Whose key this is, and what it may be used for.
pub(super) async fn authenticate(app: &App, key: &str) -> Result<Principal, AppError> {
    let refused = || AppError::from(Code::Unauthenticated);
    if key.len() > MAX_KEY_BYTES {
        return Err(refused());
    }
    let fingerprint: Fingerprint = token::fingerprint(key).try_into().map_err(|_| refused())?;
    let standing = match app.accounts.standings.recall_key(&fingerprint) {
        Some(standing) => standing,
        None => look_up(app, fingerprint).await?.ok_or_else(refused)?,
    };
    if standing.expires_at <= app.clock.now() || app.accounts.standings.is_revoked(standing.id).await {
        return Err(refused());
    }
    Ok(principal(standing))
}

/// The owner of a key that was checked before, as they are now. None: it has ended since.
pub(super) async fn owner(app: &App, id: ApiKeyId) -> Result<Option<Principal>, AppError> {
    if app.accounts.standings.is_revoked(id).await {
        return Ok(None);
    }
    let row = rows::standing(app.db.reader(), id, app.clock.now()).await?;
    row.map(|row| read(&row).map(principal)).transpose()
}

async fn look_up(app: &App, fingerprint: Fingerprint) -> Result<Option<KeyStanding>, AppError> {
    let now = app.clock.now();
    let (db, clock) = (app.db.clone(), app.clock.clone());
    let read_all = move |asked: Vec<Fingerprint>| {
        let (db, now) = (db.clone(), clock.now());
        async move {
            let hashes: Vec<Vec<u8>> = asked.iter().map(|hash| hash.to_vec()).collect();
            let found = rows::standings(db.reader(), &hashes, now).await?;
            let by_hash = |row: rows::KeyStanding| Some((row.key_hash.clone().try_into().ok()?, Some(row)));
            Ok(found.into_iter().filter_map(by_hash).collect())
        }
    };
    let Some(row) = app.accounts.lookups.keys.ask(fingerprint, read_all).await? else { return Ok(None) };
    let standing = read(&row)?;
    app.accounts.standings.remember_key(fingerprint, standing);
    if row.last_used_at.is_none_or(|last| last.plus(TOUCH_EVERY) <= now) {
        let (db, touched) = (app.db.clone(), app.accounts.lookups.keys_touched.clone());
        tokio::spawn(async move { touched.ask(row.id, move |ids| touch(db.clone(), ids, now)).await });
    }
    Ok(Some(standing))
}

/// A key that was not noted as used this time is the next.
async fn touch(db: Database, ids: Vec<ApiKeyId>, now: Timestamp) -> Result<HashMap<ApiKeyId, ()>, AppError> {
    if let Err(error) = rows::touch(db.writer(), &ids, now).await {
        tracing::debug!(%error, "the last use of API keys was not noted");
    }
    Ok(HashMap::new())
}

fn read(row: &rows::KeyStanding) -> Result<KeyStanding, AppError> {
    Ok(KeyStanding {
        id: row.id,
        user_id: row.user_id,
        role: row.role.parse().map_err(|error: UnknownName| AppError::internal(error))?,
        scopes: Scopes::parse(&row.scopes),
        expires_at: row.expires_at.unwrap_or(Timestamp(i64::MAX)),
    })
}

fn principal(standing: KeyStanding) -> Principal {
    Principal {
        user_id: standing.user_id,
        credential: Credential::ApiKey { id: standing.id, scopes: standing.scopes },
        role: standing.role,
        expires_at: standing.expires_at,
        address: None,
    }
}

fn view(row: api_key::Model) -> ApiKey {
    ApiKey {
        id: row.id,
        name: row.name,
        prefix: row.prefix,
        scopes: Scopes::parse(&row.scopes).into(),
        expires_at: row.expires_at,
        last_used_at: row.last_used_at,
        created_at: row.created_at,
    }
}
