//! API keys: their owners list and revoke them, requests look them up by hash.

use appcore::{ApiKeyId, AppError, Timestamp, UserId, WorkspaceId, page::PageRequest, view::UserRole};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, Condition, ConnectionTrait, DatabaseBackend, EntityTrait, FromQueryResult,
    IntoActiveModel, JoinType, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect, RelationDef, Select,
    sea_query::{Expr, Query},
};

use super::{raw, rows::padded_to_power_of_two, service_accounts};
use crate::{
    constraint::app_error,
    entity::{
        api_key::{Column, Entity, Model},
        user,
    },
};

pub async fn insert<C: ConnectionTrait>(db: &C, row: Model) -> Result<(), AppError> {
    Entity::insert(row.into_active_model()).exec_without_returning(db).await.map_err(app_error)?;
    Ok(())
}

/// Attributes of a key that authorise a request.
#[derive(Clone, Debug, FromQueryResult)]
pub struct ApiKeyStatus {
    pub id: ApiKeyId,
    pub key_hash: Vec<u8>,
    pub user_id: UserId,
    pub role: UserRole,
    /// True if the owner is a service account.
    pub is_service_account: bool,
    pub scopes: String,
    pub expires_at: Option<Timestamp>,
    pub last_used_at: Option<Timestamp>,
    pub workspace_id: Option<WorkspaceId>,
    pub models: Option<String>,
    pub endpoints: Option<String>,
    pub passes: Option<String>,
    pub rpm: Option<i64>,
    pub tpm: Option<i64>,
    pub parallel: Option<i64>,
    pub previous_hash: Option<Vec<u8>>,
    pub previous_until: Option<Timestamp>,
    pub end_users: Option<String>,
    pub scoped_budgets: Option<String>,
    /// Budgets that the key counts against, as a bit set: 1 key, 2 owner, 4 workspace.
    pub budgets: i64,
}

/// Returns the usable keys with these hashes whose owners' accounts, of people or services, are
/// active.
pub async fn statuses<C: ConnectionTrait>(
    db: &C,
    hashes: &[Vec<u8>],
    now: Timestamp,
) -> Result<Vec<ApiKeyStatus>, AppError> {
    let by_previous = Condition::all()
        .add(Column::PreviousHash.is_in(padded_to_power_of_two(hashes)))
        .add(Column::PreviousUntil.gt(now));
    let named = Condition::any().add(Column::KeyHash.is_in(padded_to_power_of_two(hashes))).add(by_previous);
    read(db, usable_keys(now).filter(named)).await
}

pub async fn status<C: ConnectionTrait>(
    db: &C,
    id: ApiKeyId,
    now: Timestamp,
) -> Result<Option<ApiKeyStatus>, AppError> {
    Ok(read(db, usable_keys(now).filter(Column::Id.eq(id))).await?.pop())
}

const BUDGETS: &str = "(SELECT CAST(COALESCE(SUM(CASE b.scope WHEN 'key' THEN 1 WHEN 'user' THEN 2 ELSE 4 END), 0) AS BIGINT) \
    FROM budgets b WHERE (b.scope = 'key' AND b.scope_id = api_keys.id) OR (b.scope = 'user' AND b.scope_id = api_keys.user_id) \
    OR (b.scope = 'workspace' AND b.scope_id = api_keys.workspace_id))";

async fn read<C: ConnectionTrait>(db: &C, query: Select<Entity>) -> Result<Vec<ApiKeyStatus>, AppError> {
    query
        .select_only()
        .columns([Column::Id, Column::KeyHash, Column::UserId, Column::Scopes, Column::ExpiresAt, Column::LastUsedAt])
        .columns([Column::WorkspaceId, Column::Models, Column::Endpoints, Column::Rpm, Column::Tpm, Column::Parallel])
        .columns([Column::Passes, Column::PreviousHash, Column::PreviousUntil, Column::EndUsers, Column::ScopedBudgets])
        .column(user::Column::Role)
        // Of the deleted accounts, only service accounts own usable keys.
        .column_as(user::Column::IsDeleted, "is_service_account")
        .column_as(Expr::cust(BUDGETS), "budgets")
        .into_model()
        .all(db)
        .await
        .map_err(app_error)
}

/// Returns the keys that were revoked after `since`, or whose owners were suspended after it.
pub async fn revoked_since<C: ConnectionTrait>(db: &C, since: Timestamp) -> Result<Vec<ApiKeyId>, AppError> {
    let suspended = Query::select()
        .column(user::Column::Id)
        .from(user::Entity)
        .and_where(user::Column::SuspendedAt.gte(since))
        .to_owned();
    Entity::find()
        .filter(Condition::any().add(Column::RevokedAt.gte(since)).add(Column::UserId.in_subquery(suspended)))
        .select_only()
        .column(Column::Id)
        .into_tuple()
        .all(db)
        .await
        .map_err(app_error)
}

/// Records the last use of keys.
pub async fn record_use<C: ConnectionTrait>(db: &C, ids: &[ApiKeyId], now: Timestamp) -> Result<(), AppError> {
    Entity::update_many()
        .col_expr(Column::LastUsedAt, Expr::value(now))
        .filter(Column::Id.is_in(padded_to_power_of_two(ids)))
        .exec(db)
        .await
        .map_err(app_error)?;
    Ok(())
}

/// Lists a user's keys, newest first, including expired ones.
pub async fn list<C: ConnectionTrait>(
    db: &C,
    user_id: UserId,
    page: PageRequest,
) -> Result<(Vec<Model>, u64), AppError> {
    super::page::select(db, unrevoked_keys(user_id).order_by_desc(Column::CreatedAt).order_by_desc(Column::Id), page)
        .await
}

/// Number of keys of a user.
pub async fn count<C: ConnectionTrait>(db: &C, user_id: UserId) -> Result<u64, AppError> {
    unrevoked_keys(user_id).count(db).await.map_err(app_error)
}

/// Finds a key of a user, even if it has expired.
pub async fn find<C: ConnectionTrait>(db: &C, user_id: UserId, id: ApiKeyId) -> Result<Option<Model>, AppError> {
    unrevoked_keys(user_id).filter(Column::Id.eq(id)).one(db).await.map_err(app_error)
}

/// Returns the budgets of parts of a key's calls as JSON, and locks the key until the transaction
/// ends. Returns `None` if the key has none.
pub async fn lock_scoped_budgets<C: ConnectionTrait>(txn: &C, id: ApiKeyId) -> Result<Option<String>, AppError> {
    // On SQLite the transaction holds the only write lock.
    let suffix = if txn.get_database_backend() == DatabaseBackend::Postgres { " FOR NO KEY UPDATE" } else { "" };
    let sql = format!("SELECT scoped_budgets FROM api_keys WHERE id = $1 AND revoked_at IS NULL{suffix}");
    Ok(raw::find_value::<_, Option<String>>(txn, sql, [id.0.into()]).await?.flatten())
}

pub async fn update<C: ConnectionTrait>(db: &C, row: Model) -> Result<(), AppError> {
    Entity::update(row.into_active_model().reset_all()).exec(db).await.map_err(app_error)?;
    Ok(())
}

/// Revokes a key of a user; returns `false` if there is none.
pub async fn revoke<C: ConnectionTrait>(
    db: &C,
    user_id: UserId,
    id: ApiKeyId,
    now: Timestamp,
) -> Result<bool, AppError> {
    let done = Entity::update_many()
        .col_expr(Column::RevokedAt, Expr::value(now))
        .filter(Column::Id.eq(id))
        .filter(Column::UserId.eq(user_id))
        .filter(Column::RevokedAt.is_null())
        .exec(db)
        .await
        .map_err(app_error)?;
    Ok(done.rows_affected > 0)
}

/// Ids of a user's keys that are not revoked.
pub async fn ids<C: ConnectionTrait>(db: &C, user_id: UserId) -> Result<Vec<ApiKeyId>, AppError> {
    unrevoked_keys(user_id).select_only().column(Column::Id).into_tuple().all(db).await.map_err(app_error)
}

/// Revokes all keys of a user and returns their ids.
pub async fn revoke_all<C: ConnectionTrait>(
    db: &C,
    user_id: UserId,
    now: Timestamp,
) -> Result<Vec<ApiKeyId>, AppError> {
    let revoked = Entity::update_many()
        .col_expr(Column::RevokedAt, Expr::value(now))
        .filter(Column::UserId.eq(user_id))
        .filter(Column::RevokedAt.is_null())
        .exec_with_returning(db)
        .await
        .map_err(app_error)?;
    Ok(revoked.into_iter().map(|key| key.id).collect())
}

fn unrevoked_keys(user_id: UserId) -> Select<Entity> {
    Entity::find().filter(Column::UserId.eq(user_id)).filter(Column::RevokedAt.is_null())
}

fn usable_keys(now: Timestamp) -> Select<Entity> {
    Entity::find()
        .join(JoinType::InnerJoin, to_user())
        .filter(service_accounts::owns_keys())
        .filter(user::Column::SuspendedAt.is_null())
        .filter(Column::RevokedAt.is_null())
        .filter(Condition::any().add(Column::ExpiresAt.is_null()).add(Column::ExpiresAt.gt(now)))
        .filter(Condition::any().add(Column::WorkspaceId.is_null()).add(Expr::cust(IS_MEMBER)))
}

/// Condition that the owner is still a member of the key's workspace; otherwise the key is invalid.
/// The workspace of a service account's key only has to exist.
const IS_MEMBER: &str = "EXISTS (SELECT 1 FROM workspaces w WHERE w.id = api_keys.workspace_id AND NOT w.is_deleted \
    AND (users.is_deleted OR EXISTS (SELECT 1 FROM workspace_members m \
      WHERE m.workspace_id = w.id AND m.user_id = api_keys.user_id AND NOT m.is_deleted)))";

fn to_user() -> RelationDef {
    Entity::belongs_to(user::Entity).from(Column::UserId).to(user::Column::Id).into()
}
