//! Budgets of administrators and quotas of plans: amounts spent, and reservations for requests in
//! progress.
//!
//! Transactions lock budget rows first, in a fixed order, and only then change reservations, so
//! that they can't deadlock.

use appcore::{
    ApiKeyId, AppError, Timestamp, UserId, WorkspaceId,
    credits::MicroCredits,
    view::{BudgetPeriod, BudgetScope, QuotaMetric},
};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DatabaseBackend, EntityTrait, FromQueryResult, IntoActiveModel,
    PaginatorTrait as _, QueryFilter, QueryOrder, QuerySelect, Select, sea_query::OnConflict,
};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::{
    page,
    pieces::{Change, Piece, execute},
    raw,
    rows::{Column as Field, Rows},
};
use crate::{
    constraint::app_error,
    entity::{
        budget::{Column, Entity, Model},
        budget_hold,
    },
};

/// Scopes of the budgets that administrators set.
const SCOPED: [&str; 2] = ["user", "workspace"];
/// Scopes of the budgets of parts of a key's calls.
const PARTS: [&str; 3] = ["end_user", "model", "tag"];
/// Maximum number of ids per statement.
const IDS_PER_STATEMENT: usize = 512;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BudgetId {
    pub scope: BudgetScope,
    pub id: Uuid,
}

/// Calls that a budget covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BudgetSubject<'a> {
    Key(ApiKeyId),
    User(UserId),
    Workspace(WorkspaceId),
    /// Calls with a key for one end user.
    EndUser(ApiKeyId, &'a str),
    /// Calls with a key of one model, by its name on this server.
    Model(ApiKeyId, &'a str),
    /// Calls with a key and a tag.
    Tag(ApiKeyId, &'a str),
}

impl<'a> BudgetSubject<'a> {
    #[must_use]
    pub fn id(self) -> BudgetId {
        match self {
            Self::Key(id) => BudgetId { scope: BudgetScope::Key, id: id.0 },
            Self::User(id) => BudgetId { scope: BudgetScope::User, id: id.0 },
            Self::Workspace(id) => BudgetId { scope: BudgetScope::Workspace, id: id.0 },
            Self::EndUser(key, name) => BudgetId { scope: BudgetScope::EndUser, id: part_id(key, name) },
            Self::Model(key, name) => BudgetId { scope: BudgetScope::Model, id: part_id(key, name) },
            Self::Tag(key, name) => BudgetId { scope: BudgetScope::Tag, id: part_id(key, name) },
        }
    }

    /// Key and name, if the budget covers a part of a key's calls.
    #[must_use]
    pub fn part(self) -> Option<(ApiKeyId, &'a str)> {
        match self {
            Self::Key(_) | Self::User(_) | Self::Workspace(_) => None,
            Self::EndUser(key, name) | Self::Model(key, name) | Self::Tag(key, name) => Some((key, name)),
        }
    }
}

/// Derives the id of the budget of a part of a key's calls.
fn part_id(key: ApiKeyId, name: &str) -> Uuid {
    let hash = Sha256::new().chain_update(key.0.as_bytes()).chain_update(name).finalize();
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash[..16]);
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

/// Key of a counter: a budget, or a quota of a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CounterId {
    Budget(BudgetId),
    Quota(QuotaMetric, UserId),
}

impl From<BudgetId> for CounterId {
    fn from(id: BudgetId) -> Self {
        Self::Budget(id)
    }
}

impl CounterId {
    /// Value of the column `scope`.
    #[must_use]
    pub fn scope(self) -> &'static str {
        match self {
            Self::Budget(budget) => budget.scope.as_str(),
            Self::Quota(metric, _) => metric.as_str(),
        }
    }

    /// Id of the API key, user or workspace, or derived from a key and the name of a part of its
    /// calls.
    #[must_use]
    pub fn id(self) -> Uuid {
        match self {
            Self::Budget(budget) => budget.id,
            Self::Quota(_, user_id) => user_id.0,
        }
    }

    /// Parses the key of a counter from the columns of its row.
    pub fn parse(scope: &str, id: Uuid) -> Result<Self, AppError> {
        match scope.parse::<BudgetScope>() {
            Ok(scope) => Ok(Self::Budget(BudgetId { scope, id })),
            Err(_) => Ok(Self::Quota(scope.parse().map_err(AppError::internal)?, UserId(id))),
        }
    }
}

/// Amount reserved against one counter.
#[derive(Clone, Copy, Debug)]
pub struct NewBudgetReservation {
    pub id: Uuid,
    pub counter: CounterId,
    pub amount: MicroCredits,
    pub expires_at: Timestamp,
}

/// Removed reservation.
#[derive(Clone, Debug, FromQueryResult)]
pub struct BudgetReservation {
    pub id: Uuid,
    pub scope: String,
    pub scope_id: Uuid,
    pub amount: MicroCredits,
    pub expires_at: Timestamp,
}

/// Locks those of these counters that exist until the transaction ends.
pub async fn lock<C: ConnectionTrait>(txn: &C, ids: &[CounterId]) -> Result<Vec<Model>, AppError> {
    let backend = txn.get_database_backend();
    // On SQLite no row locks are needed: the transaction holds the only write lock.
    let suffix = if backend == DatabaseBackend::Postgres { " FOR UPDATE OF b" } else { "" };
    let rows = ids.iter().map(|counter| [counter.scope().into(), counter.id().into()]);
    let asked = Rows::new(backend, [Field::Text("scope"), Field::Uuid("scope_id")], rows);
    let sql = format!(
        "SELECT b.* FROM budgets b WHERE (b.scope, b.scope_id) IN (SELECT w.scope, w.scope_id FROM {}) \
         ORDER BY b.scope, b.scope_id{suffix}",
        asked.table()
    );
    asked.find::<_, Model>(txn, sql).await
}

/// Inserts counters that don't exist yet.
pub async fn insert_missing<C: ConnectionTrait>(db: &C, new: Vec<Model>) -> Result<(), AppError> {
    if new.is_empty() {
        return Ok(());
    }
    let again = OnConflict::columns([Column::Scope, Column::ScopeId]).do_nothing().to_owned();
    let rows = new.into_iter().map(IntoActiveModel::into_active_model);
    Entity::insert_many(rows).on_conflict(again).exec_without_returning(db).await.map_err(app_error)?;
    Ok(())
}

/// Writes back counters that the caller has locked.
pub async fn store<C: ConnectionTrait>(txn: &C, changed: &[&Model]) -> Result<(), AppError> {
    static UPDATE: Change<6> = Change::new(
        [
            Field::Int("spending_limit"),
            Field::Int("period_start"),
            Field::Int("spent"),
            Field::Int("held"),
            Field::Text("scope"),
            Field::Uuid("scope_id"),
        ],
        "UPDATE budgets SET spending_limit = w.spending_limit, period_start = w.period_start, spent = w.spent, held = w.held FROM {} \
         WHERE budgets.scope = w.scope AND budgets.scope_id = w.scope_id",
        "UPDATE budgets SET spending_limit = ?, period_start = ?, spent = ?, held = ? WHERE scope = ? AND scope_id = ?",
    );
    if changed.is_empty() {
        return Ok(());
    }
    let rows = changed.iter().map(|row| {
        [
            row.spending_limit.0.into(),
            row.period_start.0.into(),
            row.spent.0.into(),
            row.held.0.into(),
            row.scope.clone().into(),
            row.scope_id.into(),
        ]
    });
    execute(txn, vec![UPDATE.piece(rows)]).await
}

/// Inserts reservations whose amounts are already added to the counters.
pub async fn insert_reservations<C: ConnectionTrait>(txn: &C, holds: &[NewBudgetReservation]) -> Result<(), AppError> {
    static INSERT: Change<5> = Change::insert(
        "budget_holds",
        [
            Field::Uuid("id"),
            Field::Text("scope"),
            Field::Uuid("scope_id"),
            Field::Int("amount"),
            Field::Int("expires_at"),
        ],
    );
    if holds.is_empty() {
        return Ok(());
    }
    let rows = holds.iter().map(|hold| {
        [
            hold.id.into(),
            hold.counter.scope().into(),
            hold.counter.id().into(),
            hold.amount.0.into(),
            hold.expires_at.0.into(),
        ]
    });
    execute(txn, vec![INSERT.piece(rows)]).await
}

/// Removes reservations and returns the removed ones. Expired reservations may already be gone.
pub async fn remove_reservations<C: ConnectionTrait>(
    txn: &C,
    ids: &[Uuid],
) -> Result<Vec<BudgetReservation>, AppError> {
    let asked = Rows::ids(txn.get_database_backend(), ids.iter().copied());
    let sql = format!(
        "DELETE FROM budget_holds WHERE id IN (SELECT w.id FROM {}) RETURNING id, scope, scope_id, amount, expires_at",
        asked.table()
    );
    asked.find::<_, BudgetReservation>(txn, sql).await
}

/// Lists expired reservations that were neither settled nor renewed, ordered by expiry, after the
/// cursor `after`.
pub async fn expired_reservations<C: ConnectionTrait>(
    db: &C,
    now: Timestamp,
    after: (Timestamp, Uuid),
    most: u64,
) -> Result<Vec<BudgetReservation>, AppError> {
    let sql = "SELECT id, scope, scope_id, amount, expires_at FROM budget_holds WHERE expires_at <= $1 AND (expires_at, id) > ($2, $3) \
               ORDER BY expires_at, id LIMIT $4";
    let values = [now.0.into(), after.0.0.into(), after.1.into(), raw::limit(most)];
    raw::find::<_, BudgetReservation>(db, sql, values).await
}

/// Removes the given reservations, except those that were renewed in the meantime.
pub async fn remove_expired<C: ConnectionTrait>(
    txn: &C,
    ids: &[Uuid],
    now: Timestamp,
) -> Result<Vec<BudgetReservation>, AppError> {
    let backend = txn.get_database_backend();
    let asked = Rows::ids(backend, ids.iter().copied());
    let sql = format!(
        "DELETE FROM budget_holds WHERE id IN (SELECT w.id FROM {}) AND expires_at <= $2 RETURNING id, scope, scope_id, amount, expires_at",
        asked.table()
    );
    raw::find::<_, BudgetReservation>(txn, sql, [asked.parameter()?.into(), now.0.into()]).await
}

/// Reservations with these ids.
pub async fn reservations<C: ConnectionTrait>(db: &C, ids: &[Uuid]) -> Result<Vec<BudgetReservation>, AppError> {
    let asked = Rows::ids(db.get_database_backend(), ids.iter().copied());
    let sql = format!(
        "SELECT id, scope, scope_id, amount, expires_at FROM budget_holds WHERE id IN (SELECT w.id FROM {})",
        asked.table()
    );
    asked.find::<_, BudgetReservation>(db, sql).await
}

/// Extends the reservations of requests in progress.
pub fn extend_reservations(ids: &[Uuid], expires_at: Timestamp) -> Piece {
    static UPDATE: Change<2> = Change::new(
        [Field::Int("expires_at"), Field::Uuid("id")],
        "UPDATE budget_holds SET expires_at = w.expires_at FROM {} WHERE budget_holds.id = w.id",
        "UPDATE budget_holds SET expires_at = ? WHERE id = ?",
    );
    UPDATE.piece(ids.iter().map(|id| [expires_at.0.into(), (*id).into()]))
}

/// Inserts or replaces a budget.
pub async fn upsert<C: ConnectionTrait>(db: &C, row: Model) -> Result<(), AppError> {
    let again = OnConflict::columns([Column::Scope, Column::ScopeId])
        .update_columns([Column::SpendingLimit, Column::Period, Column::PeriodStart, Column::Spent])
        .to_owned();
    Entity::insert(row.into_active_model()).on_conflict(again).exec_without_returning(db).await.map_err(app_error)?;
    Ok(())
}

/// Deletes a budget and its reservations; returns `false` if there is none.
pub async fn remove<C: ConnectionTrait>(txn: &C, budget: BudgetId) -> Result<bool, AppError> {
    let done = Entity::delete_many().filter(counter_condition(budget.into())).exec(txn).await.map_err(app_error)?;
    let holds = budget_hold::Entity::delete_many()
        .filter(budget_hold::Column::Scope.eq(budget.scope))
        .filter(budget_hold::Column::ScopeId.eq(budget.id));
    holds.exec(txn).await.map_err(app_error)?;
    Ok(done.rows_affected > 0)
}

/// Number of budgets of parts of a key's calls.
pub async fn count_parts<C: ConnectionTrait>(db: &C, key: ApiKeyId, scope: BudgetScope) -> Result<u64, AppError> {
    Entity::find()
        .filter(Column::KeyId.eq(key))
        .filter(Column::Scope.eq(scope.as_str()))
        .count(db)
        .await
        .map_err(app_error)
}

/// Deletes all budgets of parts of a key's calls and their reservations.
pub async fn remove_parts<C: ConnectionTrait>(txn: &C, key: ApiKeyId) -> Result<(), AppError> {
    // The rows are locked in the same order as by calls.
    let parts: Vec<Uuid> = Entity::find()
        .select_only()
        .column(Column::ScopeId)
        .filter(Column::KeyId.eq(key))
        .order_by_asc(Column::Scope)
        .order_by_asc(Column::ScopeId)
        .lock_exclusive()
        .into_tuple()
        .all(txn)
        .await
        .map_err(app_error)?;
    if parts.is_empty() {
        return Ok(());
    }
    Entity::delete_many().filter(Column::KeyId.eq(key)).exec(txn).await.map_err(app_error)?;
    for ids in parts.chunks(IDS_PER_STATEMENT) {
        let holds = budget_hold::Entity::delete_many()
            .filter(budget_hold::Column::Scope.is_in(PARTS))
            .filter(budget_hold::Column::ScopeId.is_in(super::rows::padded_to_power_of_two(ids)));
        holds.exec(txn).await.map_err(app_error)?;
    }
    Ok(())
}

/// Deletes at most `most` budgets of end users that have no reservation and whose period has ended
/// before its start in `current`, which lists the periods with their starts.
pub async fn delete_ended_parts<C: ConnectionTrait>(
    db: &C,
    current: &[(BudgetPeriod, Timestamp)],
    most: u64,
) -> Result<u64, AppError> {
    let ended = current.iter().fold(Condition::any(), |ended, (period, start)| {
        ended.add(Condition::all().add(Column::Period.eq(period.as_str())).add(Column::PeriodStart.lt(*start)))
    });
    let ids: Vec<Uuid> = Entity::find()
        .select_only()
        .column(Column::ScopeId)
        .filter(Column::KeyId.is_not_null())
        .filter(Column::Scope.eq(BudgetScope::EndUser.as_str()))
        .filter(Column::Held.eq(MicroCredits::ZERO))
        .filter(ended.clone())
        .limit(most)
        .into_tuple()
        .all(db)
        .await
        .map_err(app_error)?;
    if ids.is_empty() {
        return Ok(0);
    }
    let done = Entity::delete_many()
        .filter(Column::Scope.eq(BudgetScope::EndUser.as_str()))
        .filter(Column::ScopeId.is_in(super::rows::padded_to_power_of_two(&ids)))
        .filter(Column::Held.eq(MicroCredits::ZERO))
        .filter(ended)
        .exec(db)
        .await
        .map_err(app_error)?;
    Ok(done.rows_affected)
}

pub async fn find<C: ConnectionTrait>(db: &C, counter: impl Into<CounterId>) -> Result<Option<Model>, AppError> {
    Entity::find().filter(counter_condition(counter.into())).one(db).await.map_err(app_error)
}

/// Returns the counters of an account for these quotas.
pub async fn quotas_of<C: ConnectionTrait>(
    db: &C,
    user_id: UserId,
    metrics: &[QuotaMetric],
) -> Result<Vec<Model>, AppError> {
    Entity::find()
        .filter(Column::Scope.is_in(metrics.iter().map(|metric| metric.as_str())))
        .filter(Column::ScopeId.eq(user_id.0))
        .all(db)
        .await
        .map_err(app_error)
}

pub async fn of_keys<C: ConnectionTrait>(db: &C, ids: &[Uuid]) -> Result<Vec<Model>, AppError> {
    of_scope(db, BudgetScope::Key, ids).await
}

/// Returns the budgets of these users or service accounts.
pub async fn of_users<C: ConnectionTrait>(db: &C, ids: &[Uuid]) -> Result<Vec<Model>, AppError> {
    of_scope(db, BudgetScope::User, ids).await
}

async fn of_scope<C: ConnectionTrait>(db: &C, scope: BudgetScope, ids: &[Uuid]) -> Result<Vec<Model>, AppError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    Entity::find()
        .filter(Column::Scope.eq(scope.as_str()))
        .filter(Column::ScopeId.is_in(super::rows::padded_to_power_of_two(ids)))
        .all(db)
        .await
        .map_err(app_error)
}

/// Lists the budgets of users and workspaces, which administrators set.
pub async fn list<C: ConnectionTrait>(db: &C, page: appcore::page::PageRequest) -> Result<(Vec<Model>, u64), AppError> {
    let select: Select<Entity> =
        Entity::find().filter(Column::Scope.is_in(SCOPED)).order_by_asc(Column::Scope).order_by_asc(Column::ScopeId);
    page::select(db, select, page).await
}

/// Keys of all budgets of users and workspaces.
pub async fn scoped<C: ConnectionTrait>(db: &C) -> Result<Vec<BudgetId>, AppError> {
    let rows: Vec<(BudgetScope, Uuid)> = Entity::find()
        .select_only()
        .columns([Column::Scope, Column::ScopeId])
        .filter(Column::Scope.is_in(SCOPED))
        .into_tuple()
        .all(db)
        .await
        .map_err(app_error)?;
    Ok(rows.into_iter().map(|(scope, id)| BudgetId { scope, id }).collect())
}

fn counter_condition(counter: CounterId) -> Condition {
    Condition::all().add(Column::Scope.eq(counter.scope())).add(Column::ScopeId.eq(counter.id()))
}
