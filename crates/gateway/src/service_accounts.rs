//! Service accounts: owners of API keys that are not people, so that the keys of programs outlive
//! the accounts of the people who created them. Administrators manage them and their keys.
//!
//! A service account is a row in `users`, so that usage, budgets, the ledger, files and batches
//! refer to it like to a user. The row is marked as deleted, and `service_accounts` has a second row
//! with the same id. Every query of people leaves deleted accounts out already: sign-in, password
//! reset, directories, mentions, members, seats, announcements and mail. A query that forgets
//! service accounts thus excludes them, and only the few look-ups by the owner of a key include
//! them ([`dbcontext::query::service_accounts`]). Work on deleted accounts starts with their
//! deletion and not from the mark, so it doesn't reach service accounts.
//!
//! The keys of a service account have no scope but `gateway`. They are created, limited, rotated and
//! revoked like those of users. A disabled service account is suspended: its keys are refused like
//! those of a suspended user.

use std::{collections::HashMap, time::Duration};

use appcore::{
    ApiKeyId, AppError, Code, Secret, Timestamp, UserId,
    auth::Scope,
    page::{Page, PageRequest},
    text_field::{parse_line, validate_search_text},
    view::{ApiKey, BudgetLimit, BudgetScope, ServiceAccount, ServiceAccountContact},
};
use dbcontext::{
    Transaction,
    constraint::app_error,
    entity::{budget, service_account},
    query::{
        admin_users, api_keys as key_rows,
        budgets::{self as budget_rows, BudgetId, BudgetSubject},
        model_lists as list_rows,
        service_accounts::{self as rows, ServiceAccountRow},
        users,
    },
};
use identity::accounts::{Confirmed, api_keys};
use platform::{
    audit::{self, Action, NewAuditEntry},
    cleanup::GatewaySweepJob,
};
use uuid::Uuid;

use crate::{
    GatewayService, announce_changed, budgets,
    keys::{self, KeyChange, KeyOwner, NewApiKey},
    model_lists,
    policy::{PolicyChange, check_budget},
    usage::wait_for_pending,
};

const MAX_NAME_CHARS: usize = 80;
const MAX_DESCRIPTION_CHARS: usize = 500;
/// Maximum number of service accounts.
const MAX_SERVICE_ACCOUNTS: u64 = 1_000;

/// Service account to create.
pub struct NewServiceAccount {
    pub name: String,
    pub description: Option<String>,
    /// Person who is responsible for it.
    pub contact_id: Option<UserId>,
    /// Budget of all keys together.
    pub budget: Option<BudgetLimit>,
}

/// Changes of a service account; `None` leaves a field unchanged.
#[derive(Default)]
pub struct ServiceAccountChange {
    pub name: Option<String>,
    pub description: Option<String>,
    pub contact_id: Option<Option<UserId>>,
    pub enabled: Option<bool>,
    pub budget: Option<Option<BudgetLimit>>,
}

/// API key of a service account to create.
pub struct NewServiceAccountKey {
    pub name: String,
    pub expires_at: Option<Timestamp>,
    pub policy: PolicyChange,
}

/// Lists service accounts whose name contains `text`, by name.
pub async fn list(service: &GatewayService, text: &str, page: PageRequest) -> Result<Page<ServiceAccount>, AppError> {
    validate_search_text(text)?;
    let (found, total) = rows::list(service.db.reader(), text, page).await?;
    let ids: Vec<Uuid> = found.iter().map(|row| row.id.0).collect();
    let budgets = budget_rows::of_users(service.db.reader(), &ids).await?;
    let mut budgets: HashMap<Uuid, budget::Model> = budgets.into_iter().map(|row| (row.scope_id, row)).collect();
    let items = found.into_iter().map(|row| {
        let budget = budgets.remove(&row.id.0);
        view(service, row, budget)
    });
    Ok(Page::new(items.collect(), page, total))
}

/// Finds a service account.
pub async fn find(service: &GatewayService, id: UserId) -> Result<ServiceAccount, AppError> {
    let row = rows::find(service.db.reader(), id).await?.ok_or(Code::NotFound)?;
    let budget = budget_rows::find(service.db.reader(), own_budget(id)).await?;
    Ok(view(service, row, budget))
}

/// Creates a service account without keys.
pub async fn create(
    service: &GatewayService,
    by: &Confirmed,
    new: NewServiceAccount,
) -> Result<ServiceAccount, AppError> {
    let name = parse_line("name", &new.name, MAX_NAME_CHARS)?;
    let description = parse_description(new.description.as_deref().unwrap_or_default())?;
    check_contact(service, new.contact_id).await?;
    new.budget.map_or(Ok(()), |limit| check_budget("budget.limit", limit))?;
    let (id, now) = (UserId::new(), service.clock.now());
    let tx = service.db.begin().await.map_err(app_error)?;
    if rows::count(&tx).await? >= MAX_SERVICE_ACCOUNTS {
        let message = format!("The limit of {MAX_SERVICE_ACCOUNTS} service accounts has been reached.");
        return Err(AppError::refused(Code::WrongState, message));
    }
    let row = service_account::Model { id, description, contact_id: new.contact_id, created_at: now };
    rows::insert(&tx, name, row).await?;
    record(&tx, by, Action::ServiceAccountCreated, id).await?;
    if let Some(limit) = new.budget {
        set_budget(service, &tx, by, id, Some(limit)).await?;
    }
    tx.commit().await.map_err(app_error)?;
    if new.budget.is_some() {
        service.record_budget(own_budget(id), true);
        announce_changed(service, id.0).await;
    }
    read_changed(service, id).await
}

/// Changes a service account. A disabled one loses access on every instance at once.
pub async fn update(
    service: &GatewayService,
    by: &Confirmed,
    id: UserId,
    change: ServiceAccountChange,
) -> Result<ServiceAccount, AppError> {
    let name = change.name.as_deref().map(|name| parse_line("name", name, MAX_NAME_CHARS)).transpose()?;
    let description = change.description.as_deref().map(parse_description).transpose()?;
    check_contact(service, change.contact_id.flatten()).await?;
    change.budget.flatten().map_or(Ok(()), |limit| check_budget("budget.limit", limit))?;
    let now = service.clock.now();
    if change.budget.flatten().is_some() {
        wait_for_pending(service).await;
    }
    let tx = service.db.begin().await.map_err(app_error)?;
    let account = rows::lock(&tx, id).await?.ok_or(Code::NotFound)?;
    if name.is_some() || description.is_some() || change.contact_id.is_some() {
        if let Some(name) = name {
            rows::rename(&tx, id, name, now).await?;
        }
        if let Some(description) = description {
            rows::set_description(&tx, id, description).await?;
        }
        if let Some(contact) = change.contact_id {
            rows::set_contact(&tx, id, contact).await?;
        }
        record(&tx, by, Action::ServiceAccountChanged, id).await?;
    }
    if let Some(limit) = change.budget {
        set_budget(service, &tx, by, id, limit).await?;
    }
    let switched = change.enabled.filter(|enabled| *enabled != account.suspended_at.is_none());
    match switched {
        Some(true) => {
            admin_users::restore(&tx, id, now).await?;
            record(&tx, by, Action::ServiceAccountEnabled, id).await?;
        }
        Some(false) => {
            admin_users::suspend(&tx, id, by.account_id(), None, now).await?;
            record(&tx, by, Action::ServiceAccountDisabled, id).await?;
        }
        None => {}
    }
    let keys = if switched.is_some() { key_rows::ids(&tx, id).await? } else { Vec::new() };
    tx.commit().await.map_err(app_error)?;
    if let Some(limit) = change.budget {
        service.record_budget(own_budget(id), limit.is_some());
    }
    if switched == Some(true) {
        api_keys::announce_changed(&service.identity, keys.iter().map(|key| key.0).collect()).await;
    }
    if change.budget.is_some() || switched.is_some() {
        announce_changed(service, id.0).await;
    }
    if switched == Some(false) {
        api_keys::announce_revoked(&service.identity, keys).await;
    }
    read_changed(service, id).await
}

/// Deletes a service account with its keys, files and batches. Its usage remains.
pub async fn delete(service: &GatewayService, by: &Confirmed, id: UserId) -> Result<(), AppError> {
    let now = service.clock.now();
    let tx = service.db.begin().await.map_err(app_error)?;
    rows::lock(&tx, id).await?.ok_or(Code::NotFound)?;
    let revoked = key_rows::revoke_all(&tx, id, now).await?;
    for key in &revoked {
        budget_rows::remove_parts(&tx, *key).await?;
    }
    let had_budget = budget_rows::remove(&tx, own_budget(id)).await?;
    let had_list = list_rows::remove(&tx, own_budget(id)).await?;
    rows::delete(&tx, id).await?;
    jobs::enqueue(&tx, now, &GatewaySweepJob::User(id)).await?;
    record(&tx, by, Action::ServiceAccountDeleted, id).await?;
    tx.commit().await.map_err(app_error)?;
    service.wake_workers();
    if had_budget {
        service.record_budget(own_budget(id), false);
    }
    announce_changed(service, id.0).await;
    api_keys::announce_revoked(&service.identity, revoked).await;
    if had_list { model_lists::announce_lists_changed(service).await } else { Ok(()) }
}

/// Lists the keys of a service account, newest first.
pub async fn list_keys(service: &GatewayService, id: UserId, page: PageRequest) -> Result<Page<ApiKey>, AppError> {
    rows::find(service.db.reader(), id).await?.ok_or(Code::NotFound)?;
    keys::list_of(service, id, page).await
}

/// Creates a key for a service account. The secret is returned once and not stored.
pub async fn create_key(
    service: &GatewayService,
    by: &Confirmed,
    id: UserId,
    new: NewServiceAccountKey,
) -> Result<(ApiKey, Secret), AppError> {
    let NewServiceAccountKey { name, expires_at, policy } = new;
    let scopes = [Scope::Gateway].into_iter().collect();
    keys::create_for(service, by, KeyOwner::ServiceAccount(id), NewApiKey { name, scopes, expires_at, policy }).await
}

/// Changes a key of a service account.
pub async fn update_key(
    service: &GatewayService,
    by: &Confirmed,
    (id, key): (UserId, ApiKeyId),
    change: KeyChange,
) -> Result<ApiKey, AppError> {
    keys::update_for(service, by, KeyOwner::ServiceAccount(id), key, change).await
}

/// Replaces the secret of a key of a service account.
pub async fn rotate_key(
    service: &GatewayService,
    by: &Confirmed,
    (id, key): (UserId, ApiKeyId),
    grace: Duration,
) -> Result<(ApiKey, Secret), AppError> {
    keys::rotate_for(service, by, KeyOwner::ServiceAccount(id), key, grace).await
}

/// Revokes a key of a service account.
pub async fn revoke_key(
    service: &GatewayService,
    by: &Confirmed,
    (id, key): (UserId, ApiKeyId),
) -> Result<(), AppError> {
    rows::find(service.db.reader(), id).await?.ok_or(Code::NotFound)?;
    api_keys::revoke_for_user(&service.identity, by, id, key).await
}

async fn set_budget(
    service: &GatewayService,
    tx: &Transaction,
    by: &Confirmed,
    id: UserId,
    limit: Option<BudgetLimit>,
) -> Result<(), AppError> {
    let action = if let Some(limit) = limit {
        budgets::upsert(tx, BudgetSubject::User(id), limit, service.clock.now()).await?;
        Action::BudgetChanged
    } else if budget_rows::remove(tx, own_budget(id)).await? {
        Action::BudgetRemoved
    } else {
        return Ok(());
    };
    let target = format!("{}:{id}", BudgetScope::User);
    audit::record(tx, NewAuditEntry::by_principal(by, action, Some(target))).await
}

async fn record(tx: &Transaction, by: &Confirmed, action: Action, id: UserId) -> Result<(), AppError> {
    audit::record(tx, NewAuditEntry::by_principal(by, action, Some(id.to_string()))).await
}

const fn own_budget(id: UserId) -> BudgetId {
    BudgetId { scope: BudgetScope::User, id: id.0 }
}

fn parse_description(text: &str) -> Result<String, AppError> {
    if text.trim().is_empty() {
        return Ok(String::new());
    }
    parse_line("description", text, MAX_DESCRIPTION_CHARS)
}

/// Fails if there is no person with this id.
async fn check_contact(service: &GatewayService, contact: Option<UserId>) -> Result<(), AppError> {
    let Some(contact) = contact else { return Ok(()) };
    if users::by_id(service.db.reader(), contact).await?.is_none() {
        return Err(AppError::field("contact_id", "unknown", "Choose a person who has an account here."));
    }
    Ok(())
}

/// Returns a service account after a change, read from the primary database.
async fn read_changed(service: &GatewayService, id: UserId) -> Result<ServiceAccount, AppError> {
    let row = rows::find(service.db.writer(), id).await?.ok_or(Code::NotFound)?;
    let budget = budget_rows::find(service.db.writer(), own_budget(id)).await?;
    Ok(view(service, row, budget))
}

fn view(service: &GatewayService, row: ServiceAccountRow, budget: Option<budget::Model>) -> ServiceAccount {
    let contact = match (row.contact_id, row.contact_name, row.contact_email) {
        (Some(id), Some(display_name), Some(email)) => Some(ServiceAccountContact { id, display_name, email }),
        _ => None,
    };
    ServiceAccount {
        id: row.id,
        name: row.name,
        description: row.description,
        enabled: row.disabled_at.is_none(),
        contact,
        budget: budget.map(|budget| budgets::view(service, own_budget(row.id), budget)),
        keys: u64::try_from(row.keys).unwrap_or_default(),
        last_used_at: row.last_used_at,
        created_at: row.created_at,
    }
}
