//! Profile pictures.

use appcore::{AppError, Code, UploadId, UserId, auth::Principal, view::UserPicture};
use dbcontext::{
    constraint::app_error,
    query::{pictures as rows, uploads as uploaded, users},
};
use platform::{cleanup::SweepJob, small_picture::SmallPictureRules};

use super::change_events::announce_user_change;
use crate::IdentityService;

const PICTURE_LIMITS: SmallPictureRules = SmallPictureRules {
    name: "A profile picture",
    media_types: ["image/png", "image/jpeg", "image/webp"],
    formats: "PNG, JPEG or WebP",
    max_bytes: 512 * 1024,
    max_side: 1024,
};

/// Pictures of the given users, as far as the caller may see these users. Users without a picture
/// are left out.
pub async fn pictures(service: &IdentityService, by: &Principal, ids: &[UserId]) -> Result<Vec<UserPicture>, AppError> {
    rows::visible_pictures(service.db.reader(), by.user_id, ids).await
}

/// Sets an upload of the caller as profile picture.
pub async fn set_picture(
    service: &IdentityService,
    by: &Principal,
    upload_id: UploadId,
) -> Result<UserPicture, AppError> {
    let now = service.clock.now();
    let tx = service.db.begin().await.map_err(app_error)?;
    users::lock(&tx, by.user_id).await?.ok_or(Code::Unauthenticated)?;
    // Locks the upload, so that it isn't removed before the account refers to it.
    let upload = uploaded::lock_to_send(&tx, [upload_id]).await?.pop();
    PICTURE_LIMITS.check(&upload.filter(|upload| upload.owner_id == Some(by.user_id)).ok_or(Code::NotFound)?)?;
    let before = rows::set(&tx, by.user_id, upload_id, now).await?;
    let is_other = before != Some(upload_id);
    if let Some(picture) = before.filter(|before| *before != upload_id) {
        jobs::enqueue(&tx, now, &SweepJob::Upload(picture)).await?;
    }
    tx.commit().await.map_err(app_error)?;
    service.wake_workers();
    if is_other {
        announce_user_change(service, by.user_id).await;
    }
    service.notify_account_changed(by.user_id)?;
    Ok(UserPicture { user_id: by.user_id, upload_id })
}

/// Removes the caller's picture, if there is one.
pub async fn remove_picture(service: &IdentityService, by: &Principal) -> Result<(), AppError> {
    let now = service.clock.now();
    let tx = service.db.begin().await.map_err(app_error)?;
    users::lock(&tx, by.user_id).await?.ok_or(Code::Unauthenticated)?;
    let before = rows::remove(&tx, by.user_id).await?;
    if let Some(picture) = before {
        jobs::enqueue(&tx, now, &SweepJob::Upload(picture)).await?;
    }
    tx.commit().await.map_err(app_error)?;
    service.wake_workers();
    if before.is_some() {
        announce_user_change(service, by.user_id).await;
    }
    service.notify_account_changed(by.user_id)
}
