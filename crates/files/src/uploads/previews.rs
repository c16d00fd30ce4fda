//! Images of link previews. They are uploads without an owner, each of which belongs to one
//! message.

use appcore::{AppError, MessageId, UploadId, view::UploadKind};
use dbcontext::{
    constraint::app_error,
    query::{
        self,
        uploads::{self as rows, NewUpload},
    },
};
use platform::{cleanup::SweepJob, work_pools::WorkOwner};

use super::{SmallPicture, UNSENT_RETENTION, store_received, sweep};
use crate::FilesService;

/// Removes the preview images of a deleted message.
pub async fn remove_previews(service: &FilesService, message: MessageId) -> Result<(), AppError> {
    let tx = service.db.begin().await.map_err(app_error)?;
    let pictures = query::previews::pictures(&tx, message).await?;
    for picture in &pictures {
        query::previews::detach(&tx, message, *picture).await?;
    }
    rows::mark_removed(&tx, &pictures, service.clock.now()).await?;
    tx.commit().await.map_err(app_error)?;
    for picture in pictures {
        sweep::sweep(service, picture).await?;
    }
    Ok(())
}

/// Stores a preview image as an upload without an owner. It is removed after a day unless a message
/// refers to it.
pub async fn store_preview(
    service: &FilesService,
    owner: WorkOwner,
    picture: SmallPicture,
) -> Result<UploadId, AppError> {
    let now = service.clock.now();
    let new = NewUpload {
        id: UploadId::new(),
        owner: None,
        name: "preview".to_owned(),
        kind: UploadKind::Preview,
        media_type: picture.media_type.to_owned(),
        size: i64::try_from(picture.bytes.len()).ok(),
        reserved_bytes: None,
        peaks: None,
        duration_ms: None,
        transcript_state: None,
        created_at: now,
    };
    let tx = service.db.begin().await.map_err(app_error)?;
    rows::insert(&tx, &new).await?;
    jobs::enqueue_after(&tx, now, &SweepJob::Upload(new.id), UNSENT_RETENTION).await?;
    tx.commit().await.map_err(app_error)?;
    let mut incoming = service.uploads.store.receive(owner).await?;
    incoming.write(&picture.bytes).await?;
    Ok(store_received(service, (new.id, owner), picture.media_type, incoming.close().await?).await?.id)
}
