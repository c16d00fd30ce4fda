//! What people look like. The picture is an upload that is kept as long as it is theirs.

use appcore::{AppError, Timestamp, UploadId, UserId, view::UserPicture};
use sea_orm::{ConnectionTrait, FromQueryResult, Value};

use super::{raw, rows::rounded, users};

#[derive(FromQueryResult)]
struct Row {
    user_id: UserId,
    upload_id: UploadId,
}

/// Gives somebody a picture; the one that they had before. Asked within a transaction that holds the person.
pub async fn set<C: ConnectionTrait>(
    db: &C,
    user: UserId,
    upload: UploadId,
    now: Timestamp,
) -> Result<Option<UploadId>, AppError> {
    let before = remove(db, user).await?;
    let sql = "INSERT INTO user_pictures (user_id, upload_id, created_at) VALUES ($1, $2, $3)";
    raw::run(db, sql, vec![user.into(), upload.into(), now.into()]).await?;
    Ok(before)
}

/// Takes somebody's picture away; which it was, where there was one.
pub async fn remove<C: ConnectionTrait>(db: &C, user: UserId) -> Result<Option<UploadId>, AppError> {
    let sql = "DELETE FROM user_pictures WHERE user_id = $1 RETURNING user_id, upload_id";
    let removed: Option<Row> = raw::find_one(db, sql, vec![user.into()]).await?;
    Ok(removed.map(|row| row.upload_id))
}

/// The pictures of those of these people whom `by` may see.
pub async fn of<C: ConnectionTrait>(db: &C, by: UserId, ids: &[UserId]) -> Result<Vec<UserPicture>, AppError> {
    let visible = users::visible(db, by, ids).await?;
    if visible.is_empty() {
        return Ok(Vec::new());
    }
    let values: Vec<Value> = rounded(&visible).map(Value::from).collect();
    let places: Vec<String> = (1..=values.len()).map(|at| format!("${at}")).collect();
    let sql = format!("SELECT user_id, upload_id FROM user_pictures WHERE user_id IN ({})", places.join(", "));
    let found = raw::find::<_, Row>(db, &sql, values).await?;
    Ok(found.into_iter().map(|Row { user_id, upload_id }| UserPicture { user_id, upload_id }).collect())
}

/// Whose picture a file is.
pub async fn owner<C: ConnectionTrait>(db: &C, upload: UploadId) -> Result<Option<UserId>, AppError> {
    let sql = "SELECT user_id, upload_id FROM user_pictures WHERE upload_id = $1 LIMIT 1";
    let found: Option<Row> = raw::find_one(db, sql, vec![upload.into()]).await?;
    Ok(found.map(|row| row.user_id))
}
