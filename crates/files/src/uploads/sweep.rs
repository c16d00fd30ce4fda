//! Removal of uploads that are no longer in use. They are removed first from the store and then
//! from the database, so that no object is left without a row.

use appcore::{AppError, ConversationId, UploadId};
use dbcontext::{constraint::app_error, query::uploads as rows};
use jobs::{self, Job, JobContext, JobOutcome};
use platform::cleanup::SweepJob;

use super::{image::THUMBNAILS, store::StoredObject};
use crate::FilesService;

/// Number of files that are detached per transaction.
const BATCH_SIZE: u32 = 100;

impl Job<FilesService> for SweepJob {
    async fn run(self, work: JobContext<'_, FilesService>) -> Result<JobOutcome, AppError> {
        let sweeping = async {
            match self {
                Self::Upload(id) => sweep(work.state, id).await,
                Self::Conversation(id) => sweep_conversation(work.state, id).await,
            }
        };
        tokio::select! {
            swept = sweeping => swept.map(|()| JobOutcome::Done),
            _ = work.lease.keep_alive(&work.state.db) => Ok(JobOutcome::Lost),
            () = work.draining.cancelled() => Ok(JobOutcome::Requeued),
        }
    }
}

async fn sweep_conversation(service: &FilesService, id: ConversationId) -> Result<(), AppError> {
    loop {
        let part = rows::sample_of_conversation(service.db.writer(), id, BATCH_SIZE).await?;
        if part.is_empty() {
            return Ok(());
        }
        for upload in part {
            let now = service.clock.now();
            let tx = service.db.begin().await.map_err(app_error)?;
            rows::detach_from(&tx, id, upload).await?;
            rows::mark_removed(&tx, &[upload], now).await?;
            // The file is no longer linked to the conversation, so a separate job must remove it if
            // this one is interrupted.
            jobs::enqueue(&tx, now, &SweepJob::Upload(upload)).await?;
            tx.commit().await.map_err(app_error)?;
        }
        service.wake_workers();
    }
}

/// Removes a file that is no longer in use. It is first marked as removed, so that it can't be read
/// or sent meanwhile. Idempotent.
pub(super) async fn sweep(service: &FilesService, id: UploadId) -> Result<(), AppError> {
    let tx = service.db.begin().await.map_err(app_error)?;
    rows::mark_removed(&tx, &[id], service.clock.now()).await?;
    let is_kept = rows::is_referenced(&tx, id).await?;
    tx.commit().await.map_err(app_error)?;
    remove_parts(service, id).await?;
    if is_kept {
        return Ok(());
    }
    remove_objects(service, id).await?;
    rows::delete_unreferenced(service.db.writer(), id).await.map(drop)
}

/// Removes the content of a file and its thumbnails from the store.
pub(super) async fn remove_objects(service: &FilesService, id: UploadId) -> Result<(), AppError> {
    let store = &service.uploads.store;
    for size in THUMBNAILS {
        store.remove(StoredObject::Thumbnail(id, size)).await?;
    }
    store.remove(StoredObject::Whole(id)).await
}

/// Removes the parts of a resumable upload.
pub(super) async fn remove_parts(service: &FilesService, id: UploadId) -> Result<(), AppError> {
    for part in rows::parts(service.db.writer(), id).await? {
        service.uploads.store.remove(StoredObject::Part(id, part.part_id)).await?;
    }
    rows::delete_parts(service.db.writer(), id).await
}
