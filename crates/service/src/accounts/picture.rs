//! What one looks like: a picture that one has uploaded, kept as long as it is one's own.

use appcore::{
    AppError, Code, UploadId, UserId,
    auth::Principal,
    view::{UploadStatus, UserPicture},
};
use dbcontext::{
    constraint::app_error,
    query::{
        pictures as rows,
        uploads::{self as uploaded, StoredUpload},
        users,
    },
};

use crate::{App, jobs, sweep::SweepJob};

const MAX_BYTES: i64 = 512 * 1024;
/// The longest side, in pixels: a reader draws many of them.
const MAX_SIDE: i32 = 1024;
const MEDIA_TYPES: [&str; 3] = ["image/png", "image/jpeg", "image/webp"];

/// The pictures of those of these people whom the caller may see. Who has none is left out.
pub async fn pictures(app: &App, by: &Principal, ids: &[UserId]) -> Result<Vec<UserPicture>, AppError> {
    rows::of(app.db.reader(), by.user_id, ids).await
}

/// Takes a picture that the caller has uploaded for theirs.
pub async fn set_picture(app: &App, by: &Principal, upload_id: UploadId) -> Result<UserPicture, AppError> {
    let now = app.clock.now();
    let tx = app.db.begin().await.map_err(app_error)?;
    users::lock(&tx, by.user_id).await?.ok_or(Code::Unauthenticated)?;
    // Nobody removes it until it is the person's.
    let upload = uploaded::get_to_send(&tx, [upload_id]).await?.pop();
    check(&upload.filter(|upload| upload.owner_id == Some(by.user_id)).ok_or(Code::NotFound)?)?;
    let before = rows::set(&tx, by.user_id, upload_id, now).await?;
    if let Some(picture) = before.filter(|before| *before != upload_id) {
        jobs::ask(&tx, now, &SweepJob::Upload(picture)).await?;
    }
    tx.commit().await.map_err(app_error)?;
    jobs::wake(app);
    Ok(UserPicture { user_id: by.user_id, upload_id })
}

/// The caller has no picture any more; nor is it wrong to have none.
pub async fn remove_picture(app: &App, by: &Principal) -> Result<(), AppError> {
    let now = app.clock.now();
    let tx = app.db.begin().await.map_err(app_error)?;
    users::lock(&tx, by.user_id).await?.ok_or(Code::Unauthenticated)?;
    if let Some(picture) = rows::remove(&tx, by.user_id).await? {
        jobs::ask(&tx, now, &SweepJob::Upload(picture)).await?;
    }
    tx.commit().await.map_err(app_error)?;
    jobs::wake(app);
    Ok(())
}

/// Refuses what can't be shown as somebody's picture.
fn check(upload: &StoredUpload) -> Result<(), AppError> {
    if upload.status != UploadStatus::Ready.as_str() {
        return Err(AppError::refused(Code::WrongState, "This file hasn't been uploaded completely yet."));
    }
    if !MEDIA_TYPES.contains(&upload.media_type.as_str()) {
        return Err(AppError::refused(Code::TypeRefused, "A profile picture is a PNG, JPEG or WebP picture."));
    }
    if upload.size.unwrap_or_default() > MAX_BYTES {
        let sentence = format!("A profile picture can have up to {} KB.", MAX_BYTES / 1024);
        return Err(AppError::refused(Code::TooLarge, sentence));
    }
    match (upload.width, upload.height) {
        (Some(width), Some(height)) if width.max(height) <= MAX_SIDE => Ok(()),
        _ => {
            let sentence = format!("A profile picture can be up to {MAX_SIDE} pixels wide and high.");
            Err(AppError::refused(Code::TooLarge, sentence))
        }
    }
}
