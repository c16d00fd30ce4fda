//! Keys of programs: seen and ended by their owners, found by their fingerprints.

use appcore::{ApiKeyId, AppError, Timestamp, UserId, page::PageRequest};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, FromQueryResult, IntoActiveModel, JoinType, PaginatorTrait,
    QueryFilter, QueryOrder, QuerySelect, RelationDef, Select, sea_query::Expr,
};

use super::rows::rounded;
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

/// What must be known of a key to let a request in.
#[derive(Clone, Debug, FromQueryResult)]
pub struct KeyStanding {
    pub id: ApiKeyId,
    pub key_hash: Vec<u8>,
    pub user_id: UserId,
    pub role: String,
    pub scopes: String,
    pub expires_at: Option<Timestamp>,
    pub last_used_at: Option<Timestamp>,
}

/// The keys of these fingerprints that may be used, of accounts that are still there.
pub async fn standings<C: ConnectionTrait>(
    db: &C,
    hashes: &[Vec<u8>],
    now: Timestamp,
) -> Result<Vec<KeyStanding>, AppError> {
    read(db, usable(now).filter(Column::KeyHash.is_in(rounded(hashes)))).await
}

/// One key that may be used.
pub async fn standing<C: ConnectionTrait>(
    db: &C,
    id: ApiKeyId,
    now: Timestamp,
) -> Result<Option<KeyStanding>, AppError> {
    Ok(read(db, usable(now).filter(Column::Id.eq(id))).await?.pop())
}

async fn read<C: ConnectionTrait>(db: &C, query: Select<Entity>) -> Result<Vec<KeyStanding>, AppError> {
    query
        .select_only()
        .columns([Column::Id, Column::KeyHash, Column::UserId, Column::Scopes, Column::ExpiresAt, Column::LastUsedAt])
        .column(user::Column::Role)
        .into_model()
        .all(db)
        .await
        .map_err(app_error)
}

/// Keys that were revoked since then.
pub async fn revoked_since<C: ConnectionTrait>(db: &C, since: Timestamp) -> Result<Vec<ApiKeyId>, AppError> {
    Entity::find()
        .filter(Column::RevokedAt.gte(since))
        .select_only()
        .column(Column::Id)
        .into_tuple()
        .all(db)
        .await
        .map_err(app_error)
}

/// Notes that keys were used.
pub async fn touch<C: ConnectionTrait>(db: &C, ids: &[ApiKeyId], now: Timestamp) -> Result<(), AppError> {
    Entity::update_many()
        .col_expr(Column::LastUsedAt, Expr::value(now))
        .filter(Column::Id.is_in(rounded(ids)))
        .exec(db)
        .await
        .map_err(app_error)?;
    Ok(())
}

/// Somebody's own keys, the newest first; those that have run out, too.
pub async fn list<C: ConnectionTrait>(
    db: &C,
    user_id: UserId,
    page: PageRequest,
) -> Result<(Vec<Model>, u64), AppError> {
    super::page::select(db, kept(user_id).order_by_desc(Column::CreatedAt).order_by_desc(Column::Id), page).await
}

/// How many keys somebody has.
pub async fn count<C: ConnectionTrait>(db: &C, user_id: UserId) -> Result<u64, AppError> {
    kept(user_id).count(db).await.map_err(app_error)
}

/// Ends one of somebody's own keys. False: there is no such one.
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

/// Ends all of somebody's keys, and says which these were.
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

fn kept(user_id: UserId) -> Select<Entity> {
    Entity::find().filter(Column::UserId.eq(user_id)).filter(Column::RevokedAt.is_null())
}

fn usable(now: Timestamp) -> Select<Entity> {
    Entity::find()
        .join(JoinType::InnerJoin, to_user())
        .filter(user::Column::IsDeleted.eq(false))
        .filter(Column::RevokedAt.is_null())
        .filter(Condition::any().add(Column::ExpiresAt.is_null()).add(Column::ExpiresAt.gt(now)))
}

fn to_user() -> RelationDef {
    Entity::belongs_to(user::Entity).from(Column::UserId).to(user::Column::Id).into()
}
