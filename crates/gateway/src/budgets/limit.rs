//! Setting, removing and viewing budgets.

use appcore::{
    AppError, Code, Timestamp, UserId, WorkspaceId,
    auth::Principal,
    credits::MicroCredits,
    page::{Page, PageRequest},
    view::{Budget, BudgetLimit, BudgetScope, ScopedBudget},
};
use billing::reservations::{period_of, resets_at, roll_over, start_of};
use dbcontext::{
    constraint::app_error,
    entity::budget,
    query::{
        self,
        budgets::{self as rows, BudgetId, BudgetSubject},
        usage,
    },
};
use platform::audit::{self, Action, NewAuditEntry};
use sea_orm::ConnectionTrait;
use uuid::Uuid;

use super::{super::announce_changed, scope};
use crate::{GatewayService, policy::check_budget, usage::wait_for_pending};

/// Returns the view of a budget. Amounts that this instance has reserved in advance aren't shown as
/// reserved.
pub(crate) fn view(service: &GatewayService, id: BudgetId, mut row: budget::Model) -> Budget {
    let now = service.clock.now();
    roll_over(&mut row, now);
    let period = period_of(&row);
    let (unused, owed) = service.billing.reservations.unposted(id.into());
    let held = (row.held - unused).max(MicroCredits::ZERO);
    Budget { limit: row.spending_limit, period, spent: row.spent + owed, held, resets_at: resets_at(period, now) }
}

/// Creates or replaces a budget in the caller's transaction. Earlier spending in the current period
/// counts.
pub(crate) async fn upsert<C: ConnectionTrait>(
    txn: &C,
    subject: BudgetSubject<'_>,
    limit: BudgetLimit,
    now: Timestamp,
) -> Result<budget::Model, AppError> {
    let id = subject.id();
    let period_start = start_of(limit.period, now);
    let known = rows::lock(txn, &[id.into()]).await?.pop();
    // If the period stays the same, the existing counter is kept, because it is exact and the daily
    // totals may lag behind.
    let counted = known.as_ref().filter(|row| row.period == limit.period.as_str()).cloned().map(|mut row| {
        roll_over(&mut row, now);
        row.spent
    });
    let spent = match counted {
        Some(spent) => spent,
        None => usage::spent_since(txn, subject, period_start).await?,
    };
    let row = budget::Model {
        scope: id.scope.as_str().to_owned(),
        scope_id: id.id,
        spending_limit: limit.limit,
        period: limit.period.as_str().to_owned(),
        period_start,
        spent,
        held: known.map_or(MicroCredits::ZERO, |row| row.held),
        key_id: subject.part().map(|(key, _)| key),
        name: subject.part().map(|(_, name)| name.to_owned()),
    };
    rows::upsert(txn, row.clone()).await?;
    Ok(row)
}

/// Lists the budgets of users and workspaces.
pub async fn list(service: &GatewayService, page: PageRequest) -> Result<Page<ScopedBudget>, AppError> {
    let (found, total) = rows::list(service.db.reader(), page).await?;
    let mut items = Vec::with_capacity(found.len());
    for row in found {
        let id = BudgetId { scope: scope(&row.scope)?, id: row.scope_id };
        items.push(ScopedBudget { scope: id.scope, id: id.id, budget: view(service, id, row) });
    }
    Ok(Page::new(items, page, total))
}

/// Sets the budget of a user or a workspace.
pub async fn set(
    service: &GatewayService,
    by: &Principal,
    scope: BudgetScope,
    id: Uuid,
    limit: BudgetLimit,
) -> Result<ScopedBudget, AppError> {
    check_budget("limit", limit)?;
    let subject = match scope {
        BudgetScope::User => BudgetSubject::User(UserId(id)),
        BudgetScope::Workspace => BudgetSubject::Workspace(WorkspaceId(id)),
        BudgetScope::Key | BudgetScope::EndUser | BudgetScope::Model | BudgetScope::Tag => {
            return Err(Code::NotFound.into());
        }
    };
    if !exists(service, scope, id).await? {
        return Err(Code::NotFound.into());
    }
    wait_for_pending(service).await;
    let now = service.clock.now();
    let tx = service.db.begin().await.map_err(app_error)?;
    let row = upsert(&tx, subject, limit, now).await?;
    audit::record(&tx, NewAuditEntry::by_principal(by, Action::BudgetChanged, Some(format!("{scope}:{id}")))).await?;
    tx.commit().await.map_err(app_error)?;
    service.record_budget(BudgetId { scope, id }, true);
    announce_changed(service, id).await;
    Ok(ScopedBudget { scope, id, budget: view(service, BudgetId { scope, id }, row) })
}

/// Removes the budget of a user or a workspace.
pub async fn remove(service: &GatewayService, by: &Principal, scope: BudgetScope, id: Uuid) -> Result<(), AppError> {
    if !matches!(scope, BudgetScope::User | BudgetScope::Workspace) {
        return Err(Code::NotFound.into());
    }
    let tx = service.db.begin().await.map_err(app_error)?;
    if !rows::remove(&tx, BudgetId { scope, id }).await? {
        return Err(Code::NotFound.into());
    }
    audit::record(&tx, NewAuditEntry::by_principal(by, Action::BudgetRemoved, Some(format!("{scope}:{id}")))).await?;
    tx.commit().await.map_err(app_error)?;
    service.record_budget(BudgetId { scope, id }, false);
    announce_changed(service, id).await;
    Ok(())
}

/// True if the user, service account or workspace exists. False for other scopes, whose budgets are set by the owners
/// of the keys.
pub(crate) async fn exists(service: &GatewayService, scope: BudgetScope, id: Uuid) -> Result<bool, AppError> {
    match scope {
        BudgetScope::Key | BudgetScope::EndUser | BudgetScope::Model | BudgetScope::Tag => Ok(false),
        BudgetScope::User => query::service_accounts::is_key_owner(service.db.reader(), UserId(id)).await,
        BudgetScope::Workspace => Ok(query::workspaces::name(service.db.reader(), WorkspaceId(id)).await?.is_some()),
    }
}
