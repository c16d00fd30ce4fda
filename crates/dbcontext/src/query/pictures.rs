//! Profile pictures of users. The upload of a picture is kept for as long as the picture is in use.

use appcore::{AppError, Timestamp, UploadId, UserId, view::UserPicture};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, Set, Value};

use super::{raw, rows::padded_to_power_of_two, single, users};
use crate::{
    constraint::app_error,
    entity::user_picture::{ActiveModel, Column, Entity, Model},
};

/// Sets a user's picture and returns the previous one. The transaction must hold a lock on the user.
pub async fn set<C: ConnectionTrait>(
    db: &C,
    user: UserId,
    upload: UploadId,
    now: Timestamp,
) -> Result<Option<UploadId>, AppError> {
    let before = remove(db, user).await?;
    let row = ActiveModel { user_id: Set(user), upload_id: Set(upload), created_at: Set(now) };
    single::insert(db, row).await?;
    Ok(before)
}

/// Deletes a user's picture and returns it.
pub async fn remove<C: ConnectionTrait>(db: &C, user: UserId) -> Result<Option<UploadId>, AppError> {
    let removed = Entity::delete_by_id(user).exec_with_returning(db).await.map_err(app_error)?;
    Ok(removed.map(|picture| picture.upload_id))
}

/// Returns the pictures of those of these users whom the user `by` may see.
pub async fn visible_pictures<C: ConnectionTrait>(
    db: &C,
    by: UserId,
    ids: &[UserId],
) -> Result<Vec<UserPicture>, AppError> {
    let visible = users::visible_among(db, by, ids).await?;
    if visible.is_empty() {
        return Ok(Vec::new());
    }
    let values: Vec<Value> = padded_to_power_of_two(&visible).map(Value::from).collect();
    let places: Vec<String> = (1..=values.len()).map(|at| format!("${at}")).collect();
    let sql = format!("SELECT * FROM user_pictures WHERE user_id IN ({})", places.join(", "));
    let found = raw::find::<_, Model>(db, &sql, values).await?;
    Ok(found.into_iter().map(|Model { user_id, upload_id, .. }| UserPicture { user_id, upload_id }).collect())
}

/// Returns the user whose profile picture is this upload; `None` if there is none.
pub async fn owner<C: ConnectionTrait>(db: &C, upload: UploadId) -> Result<Option<UserId>, AppError> {
    let found = Entity::find().filter(Column::UploadId.eq(upload)).one(db).await.map_err(app_error)?;
    Ok(found.map(|picture| picture.user_id))
}
