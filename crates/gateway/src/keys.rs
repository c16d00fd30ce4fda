//! API keys of users and [service accounts](super::service_accounts): creation, changes, rotation,
//! listing. Their permissions are their [policy](super::policy).

use std::{collections::HashMap, time::Duration};

use appcore::{
    ApiKeyId, AppError, Code, Secret, Timestamp, UserId,
    auth::{Principal, Scope, Scopes, token},
    page::{Page, PageRequest},
    text_field::parse_line,
    view::{ApiKey, BudgetScope},
};
use dbcontext::{
    constraint::app_error,
    entity::{api_key, budget},
    query::{
        api_keys as rows,
        budgets::{self as budget_rows, BudgetId, BudgetSubject},
        service_accounts, users,
    },
};
use identity::accounts::{
    Confirmed,
    api_keys::KEY_PREFIX,
    key_policy::{self, ScopedBudgets},
};
use platform::audit::{self, Action, NewAuditEntry};
use uuid::Uuid;

use crate::{GatewayService, PolicyChange, announce_changed, budgets, usage};

/// Number of characters of a key that remain visible to its owner.
const VISIBLE_PREFIX_CHARS: usize = 11;
const MAX_NAME_CHARS: usize = 80;
/// Maximum number of keys per user.
const MAX_KEYS: u64 = 100;
/// Maximum time for which the previous secret is accepted after a rotation.
const MAX_GRACE: Duration = Duration::from_secs(30 * 86_400);

/// Owner of API keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyOwner {
    User(UserId),
    ServiceAccount(UserId),
}

impl KeyOwner {
    const fn id(self) -> UserId {
        match self {
            Self::User(id) | Self::ServiceAccount(id) => id,
        }
    }

    /// Locks the account of the owner until the transaction ends.
    async fn lock<C: sea_orm::ConnectionTrait>(self, tx: &C) -> Result<(), AppError> {
        match self {
            Self::User(id) => drop(users::lock(tx, id).await?.ok_or(Code::Unauthenticated)?),
            Self::ServiceAccount(id) => drop(service_accounts::lock(tx, id).await?.ok_or(Code::NotFound)?),
        }
        Ok(())
    }

    /// Checks that `by` may give these scopes to a key of the owner.
    fn check_scopes(self, by: &Confirmed, scopes: Scopes) -> Result<(), AppError> {
        if scopes.is_empty() {
            return Err(AppError::field("scopes", "required", "Choose at least one permission."));
        }
        if scopes.contains(Scope::Admin) && !by.is_admin() {
            return Err(AppError::field("scopes", "forbidden", "Only admins can give a key the admin permission."));
        }
        if matches!(self, Self::ServiceAccount(_)) && scopes != scopes.only(Scope::Gateway) {
            return Err(AppError::field("scopes", "forbidden", "Service accounts can only call models."));
        }
        Ok(())
    }
}

/// API key to create.
pub struct NewApiKey {
    pub name: String,
    pub scopes: Scopes,
    pub expires_at: Option<Timestamp>,
    pub policy: PolicyChange,
}

/// Changes of a key; `None` leaves a field unchanged.
#[derive(Default)]
pub struct KeyChange {
    pub name: Option<String>,
    pub scopes: Option<Scopes>,
    pub expires_at: Option<Option<Timestamp>>,
    pub policy: PolicyChange,
}

/// Creates a key for the caller. The secret is returned once and not stored.
pub async fn create(service: &GatewayService, by: &Confirmed, new: NewApiKey) -> Result<(ApiKey, Secret), AppError> {
    create_for(service, by, KeyOwner::User(by.user_id), new).await
}

/// [`create`] for another owner.
pub(crate) async fn create_for(
    service: &GatewayService,
    by: &Confirmed,
    owner: KeyOwner,
    new: NewApiKey,
) -> Result<(ApiKey, Secret), AppError> {
    let name = parse_line("name", &new.name, MAX_NAME_CHARS)?;
    owner.check_scopes(by, new.scopes)?;
    let now = service.clock.now();
    check_expiry(new.expires_at, now)?;
    new.policy.check(service, by).await?;
    let key = generate()?;
    let mut row = api_key::Model {
        id: ApiKeyId::new(),
        user_id: owner.id(),
        name,
        prefix: prefix(&key),
        key_hash: token::hash_token(&key),
        scopes: new.scopes.to_string(),
        created_at: now,
        expires_at: new.expires_at,
        last_used_at: None,
        revoked_at: None,
        workspace_id: None,
        models: None,
        endpoints: None,
        passes: None,
        rpm: None,
        tpm: None,
        parallel: None,
        previous_hash: None,
        previous_until: None,
        end_users: None,
        scoped_budgets: None,
    };
    let budget = new.policy.budget.flatten();
    new.policy.apply(service, &mut row)?;
    let tx = service.db.begin().await.map_err(app_error)?;
    owner.lock(&tx).await?;
    if rows::count(&tx, owner.id()).await? >= MAX_KEYS {
        return Err(AppError::refused(
            Code::WrongState,
            format!("The limit of {MAX_KEYS} API keys has been reached. Revoke one that isn't used."),
        ));
    }
    rows::insert(&tx, row.clone()).await?;
    let budget = match budget {
        Some(limit) => Some(budgets::upsert(&tx, BudgetSubject::Key(row.id), limit, now).await?),
        None => None,
    };
    audit::record(&tx, NewAuditEntry::by_principal(by, Action::ApiKeyCreated, Some(row.id.to_string()))).await?;
    tx.commit().await.map_err(app_error)?;
    Ok((view(service, row, budget), key.into()))
}

/// Changes one of the caller's keys, with immediate effect on every instance.
pub async fn update(
    service: &GatewayService,
    by: &Confirmed,
    id: ApiKeyId,
    change: KeyChange,
) -> Result<ApiKey, AppError> {
    update_for(service, by, KeyOwner::User(by.user_id), id, change).await
}

/// [`update`] for another owner.
pub(crate) async fn update_for(
    service: &GatewayService,
    by: &Confirmed,
    owner: KeyOwner,
    id: ApiKeyId,
    change: KeyChange,
) -> Result<ApiKey, AppError> {
    let name = change.name.as_deref().map(|name| parse_line("name", name, MAX_NAME_CHARS)).transpose()?;
    change.scopes.map_or(Ok(()), |scopes| owner.check_scopes(by, scopes))?;
    let now = service.clock.now();
    check_expiry(change.expires_at.flatten(), now)?;
    change.policy.check(service, by).await?;
    if change.policy.budget.flatten().is_some() {
        usage::wait_for_pending(service).await;
    }
    let tx = service.db.begin().await.map_err(app_error)?;
    let mut row = find_locked(&tx, owner, id).await?;
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
    let scoped_budgets = row.scoped_budgets.clone();
    change.policy.apply(service, &mut row)?;
    rows::update(&tx, row.clone()).await?;
    if row.scoped_budgets != scoped_budgets {
        // Each is created again, with what was spent in its period, by the next call.
        budget_rows::remove_parts(&tx, id).await?;
    }
    let budget = match budget {
        Some(Some(limit)) => Some(budgets::upsert(&tx, BudgetSubject::Key(id), limit, now).await?),
        Some(None) => {
            budget_rows::remove(&tx, own_budget(id)).await?;
            None
        }
        None => budget_rows::find(&tx, own_budget(id)).await?,
    };
    audit::record(&tx, NewAuditEntry::by_principal(by, Action::ApiKeyChanged, Some(id.to_string()))).await?;
    tx.commit().await.map_err(app_error)?;
    announce_changed(service, id.0).await;
    Ok(view(service, row, budget))
}

/// Replaces the secret of one of the caller's keys. The previous secret is accepted during the
/// grace period. The key keeps its id, usage, limits and budget.
pub async fn rotate(
    service: &GatewayService,
    by: &Confirmed,
    id: ApiKeyId,
    grace: Duration,
) -> Result<(ApiKey, Secret), AppError> {
    rotate_for(service, by, KeyOwner::User(by.user_id), id, grace).await
}

/// [`rotate`] for another owner.
pub(crate) async fn rotate_for(
    service: &GatewayService,
    by: &Confirmed,
    owner: KeyOwner,
    id: ApiKeyId,
    grace: Duration,
) -> Result<(ApiKey, Secret), AppError> {
    if grace > MAX_GRACE {
        let message = format!("At most {} seconds.", MAX_GRACE.as_secs());
        return Err(AppError::field("grace_seconds", "too_large", message));
    }
    let now = service.clock.now();
    let key = generate()?;
    let tx = service.db.begin().await.map_err(app_error)?;
    let mut row = find_locked(&tx, owner, id).await?;
    if row.expires_at.is_some_and(|expires_at| expires_at <= now) {
        return Err(AppError::refused(Code::WrongState, "This key has expired. Change its expiration date first."));
    }
    let until = (!grace.is_zero()).then(|| now.plus(grace));
    let previous = std::mem::replace(&mut row.key_hash, token::hash_token(&key));
    row.previous_hash = until.map(|_| previous);
    row.previous_until = until;
    row.prefix = prefix(&key);
    rows::update(&tx, row.clone()).await?;
    let budget = budget_rows::find(&tx, own_budget(id)).await?;
    audit::record(&tx, NewAuditEntry::by_principal(by, Action::ApiKeyRotated, Some(id.to_string()))).await?;
    tx.commit().await.map_err(app_error)?;
    announce_changed(service, id.0).await;
    Ok((view(service, row, budget), key.into()))
}

/// Loads a key of the owner and locks it until the end of the transaction.
async fn find_locked<C: sea_orm::ConnectionTrait>(
    tx: &C,
    owner: KeyOwner,
    id: ApiKeyId,
) -> Result<api_key::Model, AppError> {
    owner.lock(tx).await?;
    Ok(rows::find(tx, owner.id(), id).await?.ok_or(Code::NotFound)?)
}

const fn own_budget(id: ApiKeyId) -> BudgetId {
    BudgetId { scope: BudgetScope::Key, id: id.0 }
}

fn check_expiry(expires_at: Option<Timestamp>, now: Timestamp) -> Result<(), AppError> {
    if expires_at.is_some_and(|expires_at| expires_at <= now) {
        return Err(AppError::field("expires_at", "invalid", "Choose an expiration date in the future, or none."));
    }
    Ok(())
}

fn generate() -> Result<String, AppError> {
    Ok(format!("{KEY_PREFIX}{}", token::random_token().map_err(AppError::internal)?))
}

fn prefix(key: &str) -> String {
    key.chars().take(VISIBLE_PREFIX_CHARS).collect()
}

/// Lists the caller's keys, newest first.
pub async fn list(service: &GatewayService, by: &Principal, page: PageRequest) -> Result<Page<ApiKey>, AppError> {
    list_of(service, by.user_id, page).await
}

/// Lists the keys of a user, newest first, for administrators.
pub async fn list_for_user(
    service: &GatewayService,
    owner: UserId,
    page: PageRequest,
) -> Result<Page<ApiKey>, AppError> {
    users::by_id(service.db.reader(), owner).await?.ok_or(Code::NotFound)?;
    list_of(service, owner, page).await
}

pub(crate) async fn list_of(
    service: &GatewayService,
    owner: UserId,
    page: PageRequest,
) -> Result<Page<ApiKey>, AppError> {
    let (keys, total) = rows::list(service.db.reader(), owner, page).await?;
    let ids: Vec<Uuid> = keys.iter().map(|key| key.id.0).collect();
    let budgets = budget_rows::of_keys(service.db.reader(), &ids).await?;
    let mut budgets: HashMap<Uuid, budget::Model> = budgets.into_iter().map(|row| (row.scope_id, row)).collect();
    let items = keys.into_iter().map(|key| {
        let budget = budgets.remove(&key.id.0);
        view(service, key, budget)
    });
    Ok(Page::new(items.collect(), page, total))
}

fn view(service: &GatewayService, row: api_key::Model, budget: Option<budget::Model>) -> ApiKey {
    let (id, now) = (own_budget(row.id), service.clock.now());
    let scoped_budgets = ScopedBudgets::parse(row.scoped_budgets.as_deref());
    ApiKey {
        id: row.id,
        name: row.name,
        prefix: row.prefix,
        scopes: Scopes::parse(&row.scopes).into(),
        expires_at: row.expires_at,
        last_used_at: row.last_used_at,
        created_at: row.created_at,
        workspace_id: row.workspace_id,
        models: key_policy::models(row.models.as_deref()),
        endpoints: key_policy::endpoints(row.endpoints.as_deref()),
        passthrough: key_policy::passes(row.passes.as_deref()),
        rpm: key_policy::parse_limit(row.rpm),
        tpm: key_policy::parse_limit(row.tpm),
        parallel: key_policy::parse_limit(row.parallel),
        budget: budget.map(|row| budgets::view(service, id, row)),
        end_users: key_policy::parse_end_users(row.end_users.as_deref()),
        end_user_budget: scoped_budgets.end_user,
        end_user_budgets: scoped_budgets.end_users,
        model_budgets: scoped_budgets.models,
        tag_budgets: scoped_budgets.tags,
        previous_until: row.previous_until.filter(|until| *until > now),
    }
}
