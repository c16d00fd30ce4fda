//! Keys that sign access tokens.

use appcore::{AppError, Timestamp};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, Set};

use crate::{
    constraint::{app_error, unique_violation},
    entity::signing_key,
};

/// Returns all keys, beginning with the one that signs.
pub async fn all<C: ConnectionTrait>(db: &C) -> Result<Vec<signing_key::Model>, AppError> {
    signing_key::Entity::find()
        .order_by_desc(signing_key::Column::IsActive)
        .order_by_desc(signing_key::Column::CreatedAt)
        .all(db)
        .await
        .map_err(app_error)
}

/// Inserts a new signing key; returns `false` if another instance has already inserted one.
pub async fn insert<C: ConnectionTrait>(
    db: &C,
    kid: &str,
    private_key: Vec<u8>,
    is_sealed: bool,
    at: Timestamp,
) -> Result<bool, AppError> {
    let row = signing_key::ActiveModel {
        kid: Set(kid.to_owned()),
        private_key: Set(private_key),
        is_sealed: Set(is_sealed),
        is_active: Set(true),
        created_at: Set(at),
        retired_at: Set(None),
    };
    match signing_key::Entity::insert(row).exec_without_returning(db).await {
        Ok(_) => Ok(true),
        Err(error) if unique_violation(&error) => Ok(false),
        Err(error) => Err(app_error(error)),
    }
}

/// Retires the signing key: from now on it is only used to verify tokens.
pub async fn retire<C: ConnectionTrait>(db: &C, at: Timestamp) -> Result<(), AppError> {
    let row = signing_key::ActiveModel { is_active: Set(false), retired_at: Set(Some(at)), ..Default::default() };
    signing_key::Entity::update_many()
        .set(row)
        .filter(signing_key::Column::IsActive.eq(true))
        .exec(db)
        .await
        .map_err(app_error)?;
    Ok(())
}

/// Deletes keys that were retired before the given time.
pub async fn remove_retired_before<C: ConnectionTrait>(db: &C, before: Timestamp) -> Result<(), AppError> {
    signing_key::Entity::delete_many()
        .filter(signing_key::Column::RetiredAt.lt(before))
        .exec(db)
        .await
        .map_err(app_error)?;
    Ok(())
}

/// Replaces a plain key by its sealed form.
pub async fn seal<C: ConnectionTrait>(db: &C, kid: &str, sealed: Vec<u8>) -> Result<(), AppError> {
    let row = signing_key::ActiveModel { private_key: Set(sealed), is_sealed: Set(true), ..Default::default() };
    signing_key::Entity::update_many()
        .set(row)
        .filter(signing_key::Column::Kid.eq(kid))
        .filter(signing_key::Column::IsSealed.eq(false))
        .exec(db)
        .await
        .map_err(app_error)?;
    Ok(())
}
