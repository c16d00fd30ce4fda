//! What one looks like: a picture that one has uploaded, kept as long as it is one's own.

use appcore::{AppError, Code, UploadId, UserId, auth::Principal, view::UserPicture};
use dbcontext::{
    constraint::app_error,
    query::{pictures as rows, uploads as uploaded, users},
};
use platform::{cleanup::SweepJob, small_picture::SmallPictureRules};

use super::change_events::tell_others;
use crate::IdentityService;

const PICTURE: SmallPictureRules = SmallPictureRules {
    name: "A profile picture",
    media_types: ["image/png", "image/jpeg", "image/webp"],
    formats: "PNG, JPEG or WebP",
    max_bytes: 512 * 1024,
    max_side: 1024,
};

/// The pictures of those of these people whom the caller may see. Who has none is left out.
pub async fn pictures(service: &IdentityService, by: &Principal, ids: &[UserId]) -> Result<Vec<UserPicture>, AppError> {
    rows::of(service.db.reader(), by.user_id, ids).await
}

/// Takes a picture that the caller has uploaded for theirs.
pub async fn set_picture(
    service: &IdentityService,
    by: &Principal,
    upload_id: UploadId,
) -> Result<UserPicture, AppError> {
    let now = service.clock.now();
    let tx = service.db.begin().await.map_err(app_error)?;
    users::lock(&tx, by.user_id).await?.ok_or(Code::Unauthenticated)?;
    // Nobody removes it until it is the person's.
    let upload = uploaded::get_to_send(&tx, [upload_id]).await?.pop();
    PICTURE.check(&upload.filter(|upload| upload.owner_id == Some(by.user_id)).ok_or(Code::NotFound)?)?;
    let before = rows::set(&tx, by.user_id, upload_id, now).await?;
    let is_other = before != Some(upload_id);
    if let Some(picture) = before.filter(|before| *before != upload_id) {
        jobs::ask(&tx, now, &SweepJob::Upload(picture)).await?;
    }
    tx.commit().await.map_err(app_error)?;
    service.wake_workers();
    if is_other {
        tell_others(service, by.user_id).await;
    }
    service.notify_account_changed(by.user_id)?;
    Ok(UserPicture { user_id: by.user_id, upload_id })
}

/// The caller has no picture any more; nor is it wrong to have none.
pub async fn remove_picture(service: &IdentityService, by: &Principal) -> Result<(), AppError> {
    let now = service.clock.now();
    let tx = service.db.begin().await.map_err(app_error)?;
    users::lock(&tx, by.user_id).await?.ok_or(Code::Unauthenticated)?;
    let before = rows::remove(&tx, by.user_id).await?;
    if let Some(picture) = before {
        jobs::ask(&tx, now, &SweepJob::Upload(picture)).await?;
    }
    tx.commit().await.map_err(app_error)?;
    service.wake_workers();
    if before.is_some() {
        tell_others(service, by.user_id).await;
    }
    service.notify_account_changed(by.user_id)
}
