//! Keys by which programs act for their owners.
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
    ApiKeyId, AppError, Code, Secret, Timestamp,
    auth::{Credential, Principal, Scopes, token},
    event::{BusMessage, Signal},
    line::parse_line,
    page::{Page, PageRequest},
    view::{ApiKey, BudgetScope, UnknownName},
};
use dbcontext::{
    Database,
    constraint::app_error,
    entity::{api_key, budget},
    query::{
        api_keys as rows,
        budgets::{self as budget_rows, BudgetId},
        users,
    },
};
use tokio::time::Instant;
use uuid::Uuid;

pub use rows::revoke_all;

use super::{
    authenticate::TOUCH_EVERY,
    reauthenticate,
    standings::{Fingerprint, KeyStanding},
};
use crate::{
    App,
    audit::{self, Action, Entry},
    gateway::{self, KeyPolicy, PolicyChange},
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
/// The longest that a key is accepted beside the one that took its place.
const MAX_GRACE: Duration = Duration::from_secs(30 * 86_400);
/// How long a revocation waits for the news of it to be on its way to the other instances.
const TELL_WITHIN: Duration = Duration::from_secs(1);

/// What is requested.
pub struct NewApiKey {
    pub name: String,
    pub scopes: Scopes,
    pub expires_at: Option<Timestamp>,
    pub policy: PolicyChange,
}

/// What is changed of a key. What is left out stays as it is.
#[derive(Default)]
pub struct KeyChange {
    pub name: Option<String>,
    pub scopes: Option<Scopes>,
    pub expires_at: Option<Option<Timestamp>>,
    pub policy: PolicyChange,
}

/// Makes a key for the caller. The key itself is returned once and not stored.
pub async fn create(app: &App, by: &Principal, new: NewApiKey) -> Result<(ApiKey, Secret), AppError> {
    reauthenticate::require_fresh(app, by).await?;
    let name = parse_line("name", &new.name, MAX_NAME_CHARS)?;
    check_scopes(new.scopes)?;
    let now = app.clock.now();
    check_expiry(new.expires_at, now)?;
    new.policy.check(app, by).await?;
    let key = generate()?;
    let mut row = api_key::Model {
        id: ApiKeyId::new(),
        user_id: by.user_id,
        name,
        prefix: prefix(&key),
        key_hash: token::fingerprint(&key),
        scopes: new.scopes.to_string(),
        created_at: now,
        expires_at: new.expires_at,
        last_used_at: None,
        revoked_at: None,
        workspace_id: None,
        models: None,
        endpoints: None,
        rpm: None,
        tpm: None,
        parallel: None,
        previous_hash: None,
        previous_until: None,
    };
    let budget = new.policy.budget.flatten();
    new.policy.apply(app, &mut row)?;
    let tx = app.db.begin().await.map_err(app_error)?;
    users::lock(&tx, by.user_id).await?.ok_or(Code::Unauthenticated)?;
    if rows::count(&tx, by.user_id).await? >= MAX_KEYS {
        return Err(AppError::refused(
            Code::WrongState,
            format!("You've reached the limit of {MAX_KEYS} API keys. Revoke one you don't use."),
        ));
    }
    rows::insert(&tx, row.clone()).await?;
    let budget = match budget {
        Some(limit) => Some(gateway::budgets::put(&tx, own_budget(row.id), limit, now).await?),
        None => None,
    };
    audit::record(&tx, Entry::by(by, Action::ApiKeyCreated, Some(row.id.to_string()))).await?;
    tx.commit().await.map_err(app_error)?;
    Ok((view(app, row, budget), key.into()))
}

/// Changes one of the caller's keys; what it may do is another at once, on every instance.
pub async fn update(app: &App, by: &Principal, id: ApiKeyId, change: KeyChange) -> Result<ApiKey, AppError> {
    reauthenticate::require_fresh(app, by).await?;
    let name = change.name.as_deref().map(|name| parse_line("name", name, MAX_NAME_CHARS)).transpose()?;
    change.scopes.map_or(Ok(()), check_scopes)?;
    let now = app.clock.now();
    check_expiry(change.expires_at.flatten(), now)?;
    change.policy.check(app, by).await?;
    let tx = app.db.begin().await.map_err(app_error)?;
    let mut row = locked(&tx, by, id).await?;
    if let Some(name) = name {
        row.name = name;
    }
    if let Some(scopes) = change.scopes {
        row.scopes = scopes.to_string();
    }
    if let Some(expires_at) = change.expires_at {
        row.expires_at = expires_at;
    }
    let budget = change.policy.budget;
    change.policy.apply(app, &mut row)?;
    rows::update(&tx, row.clone()).await?;
    let budget = match budget {
        Some(Some(limit)) => Some(gateway::budgets::put(&tx, own_budget(id), limit, now).await?),
        Some(None) => {
            budget_rows::remove(&tx, own_budget(id)).await?;
            None
        }
        None => budget_rows::find(&tx, own_budget(id)).await?,
    };
    audit::record(&tx, Entry::by(by, Action::ApiKeyChanged, Some(id.to_string()))).await?;
    tx.commit().await.map_err(app_error)?;
    tell_changed(app, vec![id.0]).await;
    Ok(view(app, row, budget))
}

/// Gives one of the caller's keys another secret. The one before is accepted for the grace that is asked for; the key is the same, with its
/// usage, limits and budget.
pub async fn rotate(app: &App, by: &Principal, id: ApiKeyId, grace: Duration) -> Result<(ApiKey, Secret), AppError> {
    reauthenticate::require_fresh(app, by).await?;
    if grace > MAX_GRACE {
        let message = format!("At most {} seconds.", MAX_GRACE.as_secs());
        return Err(AppError::field("grace_seconds", "too_large", message));
    }
    let now = app.clock.now();
    let key = generate()?;
    let tx = app.db.begin().await.map_err(app_error)?;
    let mut row = locked(&tx, by, id).await?;
    if row.expires_at.is_some_and(|expires_at| expires_at <= now) {
        return Err(AppError::refused(Code::WrongState, "This key has expired. Change its expiration date first."));
    }
    let until = (!grace.is_zero()).then(|| now.plus(grace));
    let previous = std::mem::replace(&mut row.key_hash, token::fingerprint(&key));
    row.previous_hash = until.map(|_| previous);
    row.previous_until = until;
    row.prefix = prefix(&key);
    rows::update(&tx, row.clone()).await?;
    let budget = budget_rows::find(&tx, own_budget(id)).await?;
    audit::record(&tx, Entry::by(by, Action::ApiKeyRotated, Some(id.to_string()))).await?;
    tx.commit().await.map_err(app_error)?;
    tell_changed(app, vec![id.0]).await;
    Ok((view(app, row, budget), key.into()))
}

/// One of the caller's keys, which nobody else changes until the transaction ends.
async fn locked<C: sea_orm::ConnectionTrait>(tx: &C, by: &Principal, id: ApiKeyId) -> Result<api_key::Model, AppError> {
    users::lock(tx, by.user_id).await?.ok_or(Code::Unauthenticated)?;
    Ok(rows::find(tx, by.user_id, id).await?.ok_or(Code::NotFound)?)
}

const fn own_budget(id: ApiKeyId) -> BudgetId {
    BudgetId { scope: BudgetScope::Key, id: id.0 }
}

fn check_scopes(scopes: Scopes) -> Result<(), AppError> {
    if scopes.is_empty() {
        return Err(AppError::field("scopes", "required", "Choose at least one permission: read, write or gateway."));
    }
    Ok(())
}

fn check_expiry(expires_at: Option<Timestamp>, now: Timestamp) -> Result<(), AppError> {
    if expires_at.is_some_and(|expires_at| expires_at <= now) {
        return Err(AppError::field("expires_at", "invalid", "Choose an expiration date in the future, or none."));
    }
    Ok(())
}

fn generate() -> Result<String, AppError> {
    Ok(format!("{MARK}{}", token::random_text().map_err(AppError::internal)?))
}

fn prefix(key: &str) -> String {
    key.chars().take(PREFIX_CHARS).collect()
}

/// The caller's keys, the newest first.
pub async fn list(app: &App, by: &Principal, page: PageRequest) -> Result<Page<ApiKey>, AppError> {
    let (keys, total) = rows::list(app.db.reader(), by.user_id, page).await?;
    let ids: Vec<Uuid> = keys.iter().map(|key| key.id.0).collect();
    let budgets = budget_rows::of_keys(app.db.reader(), &ids).await?;
    let mut budgets: HashMap<Uuid, budget::Model> = budgets.into_iter().map(|row| (row.scope_id, row)).collect();
    let items = keys.into_iter().map(|key| {
        let budget = budgets.remove(&key.id.0);
        view(app, key, budget)
    });
    Ok(Page::new(items.collect(), page, total))
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
    tell(app, Signal::ApiKeysRevoked(ids)).await;
}

/// Makes known that what keys may do has changed: those that have one of these ids, or whose owner or workspace has.
pub(crate) async fn tell_changed(app: &App, ids: Vec<Uuid>) {
    app.accounts.standings.readmit(&ids).await;
    app.accounts.standings.change(&ids).await;
    app.gateway.budgets_changed(&ids);
    tell(app, Signal::KeysChanged(ids)).await;
}

async fn tell(app: &App, signal: Signal) {
    let left = app.bus.publish(vec![BusMessage::Signal(signal)]);
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
pub(super) async fn authenticate(app: &App, key: &str) -> Result<Principal, AppError> {
    Ok(authenticate_key(app, key).await?.0)
}

/// The same, with the rules of the key.
pub(crate) async fn authenticate_key(app: &App, key: &str) -> Result<(Principal, Arc<KeyPolicy>), AppError> {
    let refused = || AppError::from(Code::Unauthenticated);
    if key.len() > MAX_KEY_BYTES || !is_key(key) {
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
    let policy = Arc::clone(&standing.policy);
    Ok((principal(standing), policy))
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
    let (now, begun) = (app.clock.now(), Instant::now());
    let (db, clock) = (app.db.clone(), app.clock.clone());
    let read_all = move |asked: Vec<Fingerprint>| {
        let (db, now) = (db.clone(), clock.now());
        async move {
            let hashes: Vec<Vec<u8>> = asked.iter().map(|hash| hash.to_vec()).collect();
            let found = rows::standings(db.reader(), &hashes, now).await?;
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
    let Some(row) = app.accounts.lookups.keys.ask(fingerprint, read_all).await? else { return Ok(None) };
    let mut standing = read(&row)?;
    if row.key_hash != fingerprint {
        standing.expires_at = standing.expires_at.min(row.previous_until.unwrap_or(now));
    }
    app.accounts.standings.remember_key(fingerprint, standing.clone(), begun).await;
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
        policy: Arc::new(KeyPolicy::of(row)),
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

fn view(app: &App, row: api_key::Model, budget: Option<budget::Model>) -> ApiKey {
    let (id, now) = (own_budget(row.id), app.clock.now());
    ApiKey {
        id: row.id,
        name: row.name,
        prefix: row.prefix,
        scopes: Scopes::parse(&row.scopes).into(),
        expires_at: row.expires_at,
        last_used_at: row.last_used_at,
        created_at: row.created_at,
        workspace_id: row.workspace_id,
        models: gateway::listed_models(row.models.as_deref()),
        endpoints: gateway::endpoints(row.endpoints.as_deref()),
        rpm: gateway::whole(row.rpm),
        tpm: gateway::whole(row.tpm),
        parallel: gateway::whole(row.parallel),
        budget: budget.map(|row| gateway::budgets::view(app, id, row)),
        previous_until: row.previous_until.filter(|until| *until > now),
    }
}
