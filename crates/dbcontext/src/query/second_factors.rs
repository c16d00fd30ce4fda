//! TOTP secrets and recovery codes.

use appcore::{AppError, Timestamp, UserId};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, PaginatorTrait as _, QueryFilter, QuerySelect, Set};
use uuid::Uuid;

use crate::{
    constraint::app_error,
    entity::{recovery_code, totp},
};

/// Finds a user's authenticator and locks it until the transaction ends.
pub async fn lock<C: ConnectionTrait>(db: &C, user_id: UserId) -> Result<Option<totp::Model>, AppError> {
    totp::Entity::find_by_id(user_id).lock_exclusive().one(db).await.map_err(app_error)
}

/// Stores a new TOTP secret. It replaces an earlier secret that was not confirmed.
pub async fn start_enrolment<C: ConnectionTrait>(
    db: &C,
    user_id: UserId,
    secret: Vec<u8>,
    is_sealed: bool,
    at: Timestamp,
) -> Result<(), AppError> {
    drop_totp(db, user_id).await?;
    let row = totp::ActiveModel {
        user_id: Set(user_id),
        secret: Set(secret),
        is_sealed: Set(is_sealed),
        confirmed_at: Set(None),
        newest_step: Set(0),
        used_steps: Set(0),
        failures: Set(0),
        failures_since: Set(at),
        created_at: Set(at),
    };
    totp::Entity::insert(row).exec_without_returning(db).await.map_err(app_error)?;
    Ok(())
}

/// Returns the authenticators whose secrets are not sealed.
pub async fn unsealed<C: ConnectionTrait>(db: &C) -> Result<Vec<totp::Model>, AppError> {
    totp::Entity::find().filter(totp::Column::IsSealed.eq(false)).all(db).await.map_err(app_error)
}

/// Replaces a plain secret by its sealed form.
pub async fn seal<C: ConnectionTrait>(
    db: &C,
    user_id: UserId,
    clear: Vec<u8>,
    sealed: Vec<u8>,
) -> Result<(), AppError> {
    let row = totp::ActiveModel { secret: Set(sealed), is_sealed: Set(true), ..Default::default() };
    totp::Entity::update_many()
        .set(row)
        .filter(totp::Column::UserId.eq(user_id))
        .filter(totp::Column::Secret.eq(clear))
        .filter(totp::Column::IsSealed.eq(false))
        .exec(db)
        .await
        .map_err(app_error)?;
    Ok(())
}

/// Updates an authenticator after a code was used.
pub async fn update<C: ConnectionTrait>(db: &C, changed: totp::Model) -> Result<(), AppError> {
    let row = totp::ActiveModel {
        newest_step: Set(changed.newest_step),
        used_steps: Set(changed.used_steps),
        failures: Set(changed.failures),
        failures_since: Set(changed.failures_since),
        ..Default::default()
    };
    totp::Entity::update_many()
        .set(row)
        .filter(totp::Column::UserId.eq(changed.user_id))
        .exec(db)
        .await
        .map_err(app_error)?;
    Ok(())
}

/// Marks the secret as confirmed.
pub async fn confirm<C: ConnectionTrait>(db: &C, user_id: UserId, at: Timestamp) -> Result<(), AppError> {
    let row = totp::ActiveModel { confirmed_at: Set(Some(at)), ..Default::default() };
    totp::Entity::update_many().set(row).filter(totp::Column::UserId.eq(user_id)).exec(db).await.map_err(app_error)?;
    Ok(())
}

/// Deletes a user's authenticator and recovery codes.
pub async fn remove<C: ConnectionTrait>(db: &C, user_id: UserId) -> Result<(), AppError> {
    drop_totp(db, user_id).await?;
    drop_codes(db, user_id).await
}

/// Replaces all recovery codes of a user.
pub async fn replace_codes<C: ConnectionTrait>(db: &C, user_id: UserId, hashes: Vec<Vec<u8>>) -> Result<(), AppError> {
    drop_codes(db, user_id).await?;
    let rows = hashes.into_iter().map(|hash| recovery_code::ActiveModel {
        id: Set(Uuid::now_v7()),
        user_id: Set(user_id),
        code_hash: Set(hash),
        used_at: Set(None),
    });
    recovery_code::Entity::insert_many(rows).exec_without_returning(db).await.map_err(app_error)?;
    Ok(())
}

/// Number of unused recovery codes.
pub async fn codes_left<C: ConnectionTrait>(db: &C, user_id: UserId) -> Result<u64, AppError> {
    unused_codes(user_id).count(db).await.map_err(app_error)
}

/// Consumes a recovery code; returns `false` if the code is unknown or was already used.
pub async fn consume_code<C: ConnectionTrait>(
    db: &C,
    user_id: UserId,
    hash: &[u8],
    at: Timestamp,
) -> Result<bool, AppError> {
    let row = recovery_code::ActiveModel { used_at: Set(Some(at)), ..Default::default() };
    let done = recovery_code::Entity::update_many()
        .set(row)
        .filter(recovery_code::Column::UserId.eq(user_id))
        .filter(recovery_code::Column::CodeHash.eq(hash))
        .filter(recovery_code::Column::UsedAt.is_null())
        .exec(db)
        .await
        .map_err(app_error)?;
    Ok(done.rows_affected > 0)
}

fn unused_codes(user_id: UserId) -> sea_orm::Select<recovery_code::Entity> {
    recovery_code::Entity::find()
        .filter(recovery_code::Column::UserId.eq(user_id))
        .filter(recovery_code::Column::UsedAt.is_null())
}

async fn drop_totp<C: ConnectionTrait>(db: &C, user_id: UserId) -> Result<(), AppError> {
    totp::Entity::delete_by_id(user_id).exec(db).await.map_err(app_error)?;
    Ok(())
}

async fn drop_codes<C: ConnectionTrait>(db: &C, user_id: UserId) -> Result<(), AppError> {
    recovery_code::Entity::delete_many()
        .filter(recovery_code::Column::UserId.eq(user_id))
        .exec(db)
        .await
        .map_err(app_error)?;
    Ok(())
}
