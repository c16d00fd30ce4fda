//! Multi-step sign-ins in progress, keyed by the hash of a handle that only the client has.

use appcore::{AppError, Timestamp, UserId};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, ExprTrait as _, QueryFilter, QueryOrder, Set, sea_query::Expr,
};
use uuid::Uuid;

use crate::{constraint::app_error, entity::pending_sign_in};

pub struct NewPendingSignIn {
    pub kind: &'static str,
    pub user_id: Option<UserId>,
    pub handle_hash: Vec<u8>,
    pub state: Vec<u8>,
    pub at: Timestamp,
    pub expires_at: Timestamp,
}

/// Inserts a pending sign-in and deletes expired ones.
pub async fn insert<C: ConnectionTrait>(db: &C, new: NewPendingSignIn) -> Result<Uuid, AppError> {
    pending_sign_in::Entity::delete_many()
        .filter(pending_sign_in::Column::ExpiresAt.lt(new.at))
        .exec(db)
        .await
        .map_err(app_error)?;
    let id = Uuid::now_v7();
    let row = pending_sign_in::ActiveModel {
        id: Set(id),
        kind: Set(new.kind.to_owned()),
        user_id: Set(new.user_id),
        handle_hash: Set(new.handle_hash),
        state: Set(new.state),
        failures: Set(0),
        created_at: Set(new.at),
        expires_at: Set(new.expires_at),
    };
    pending_sign_in::Entity::insert(row).exec_without_returning(db).await.map_err(app_error)?;
    Ok(id)
}

/// Finds an unexpired sign-in by its handle's hash.
pub async fn find<C: ConnectionTrait>(
    db: &C,
    kind: &str,
    handle_hash: &[u8],
    now: Timestamp,
) -> Result<Option<pending_sign_in::Model>, AppError> {
    pending_sign_in::Entity::find()
        .filter(pending_sign_in::Column::HandleHash.eq(handle_hash))
        .filter(pending_sign_in::Column::Kind.eq(kind))
        .filter(pending_sign_in::Column::ExpiresAt.gt(now))
        .one(db)
        .await
        .map_err(app_error)
}

/// Finds an unexpired entry by its id. Used for entries whose handle was not given to a client.
pub async fn by_id<C: ConnectionTrait>(
    db: &C,
    kind: &str,
    id: Uuid,
    now: Timestamp,
) -> Result<Option<pending_sign_in::Model>, AppError> {
    pending_sign_in::Entity::find_by_id(id)
        .filter(pending_sign_in::Column::Kind.eq(kind))
        .filter(pending_sign_in::Column::ExpiresAt.gt(now))
        .one(db)
        .await
        .map_err(app_error)
}

/// Returns the user's latest unexpired entry of this kind.
pub async fn of_user<C: ConnectionTrait>(
    db: &C,
    kind: &str,
    user_id: UserId,
    now: Timestamp,
) -> Result<Option<pending_sign_in::Model>, AppError> {
    pending_sign_in::Entity::find()
        .filter(pending_sign_in::Column::UserId.eq(user_id))
        .filter(pending_sign_in::Column::Kind.eq(kind))
        .filter(pending_sign_in::Column::ExpiresAt.gt(now))
        .order_by_desc(pending_sign_in::Column::Id)
        .one(db)
        .await
        .map_err(app_error)
}

/// Replaces the state of an entry.
pub async fn set_state<C: ConnectionTrait>(db: &C, id: Uuid, state: Vec<u8>) -> Result<(), AppError> {
    pending_sign_in::Entity::update_many()
        .col_expr(pending_sign_in::Column::State, Expr::value(state))
        .filter(pending_sign_in::Column::Id.eq(id))
        .exec(db)
        .await
        .map_err(app_error)?;
    Ok(())
}

/// Deletes the user's entries of this kind; returns `false` if there were none.
pub async fn delete_kind<C: ConnectionTrait>(db: &C, kind: &str, user_id: UserId) -> Result<bool, AppError> {
    let done = pending_sign_in::Entity::delete_many()
        .filter(pending_sign_in::Column::UserId.eq(user_id))
        .filter(pending_sign_in::Column::Kind.eq(kind))
        .exec(db)
        .await
        .map_err(app_error)?;
    Ok(done.rows_affected > 0)
}

/// True if the user has a sign-in of this kind that was started after `since`.
pub async fn any_since<C: ConnectionTrait>(
    db: &C,
    kind: &str,
    user_id: UserId,
    since: Timestamp,
) -> Result<bool, AppError> {
    let found = pending_sign_in::Entity::find()
        .filter(pending_sign_in::Column::UserId.eq(user_id))
        .filter(pending_sign_in::Column::Kind.eq(kind))
        .filter(pending_sign_in::Column::CreatedAt.gt(since))
        .one(db)
        .await
        .map_err(app_error)?;
    Ok(found.is_some())
}

/// Deletes a pending sign-in; returns `false` if it was already deleted.
pub async fn consume<C: ConnectionTrait>(db: &C, id: Uuid) -> Result<bool, AppError> {
    let done = pending_sign_in::Entity::delete_by_id(id).exec(db).await.map_err(app_error)?;
    Ok(done.rows_affected > 0)
}

/// Counts a failed attempt. Deletes the sign-in when the maximum number is reached.
pub async fn count_failure<C: ConnectionTrait>(db: &C, id: Uuid, most: i32) -> Result<(), AppError> {
    pending_sign_in::Entity::update_many()
        .col_expr(pending_sign_in::Column::Failures, Expr::col(pending_sign_in::Column::Failures).add(1))
        .filter(pending_sign_in::Column::Id.eq(id))
        .exec(db)
        .await
        .map_err(app_error)?;
    pending_sign_in::Entity::delete_many()
        .filter(pending_sign_in::Column::Id.eq(id))
        .filter(pending_sign_in::Column::Failures.gte(most))
        .exec(db)
        .await
        .map_err(app_error)?;
    Ok(())
}

/// Deletes all pending sign-ins of a user.
pub async fn delete_all<C: ConnectionTrait>(db: &C, user_id: UserId) -> Result<(), AppError> {
    pending_sign_in::Entity::delete_many()
        .filter(pending_sign_in::Column::UserId.eq(user_id))
        .exec(db)
        .await
        .map_err(app_error)?;
    Ok(())
}
