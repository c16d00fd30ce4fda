//! Removal of knowledge files that nobody can reach any more: their chunks, and their bytes if
//! nothing else refers to them.

use appcore::{AppError, KnowledgeFileId};
use dbcontext::{constraint::app_error, query::knowledge as rows};
use jobs::{self, Job, JobContext, JobOutcome};
use platform::cleanup::{KnowledgeSweepJob, SweepJob};

use super::BATCH_SIZE;
use crate::AssistantsService;

impl Job<AssistantsService> for KnowledgeSweepJob {
    async fn run(self, work: JobContext<'_, AssistantsService>) -> Result<JobOutcome, AppError> {
        tokio::select! {
            swept = sweep(work.state) => swept.map(|()| JobOutcome::Done),
            _ = work.lease.keep_alive(&work.state.db) => Ok(JobOutcome::Lost),
            () = work.draining.cancelled() => Ok(JobOutcome::Requeued),
        }
    }
}

async fn sweep(service: &AssistantsService) -> Result<(), AppError> {
    let (mut after, mut failed) = (None, None);
    loop {
        let files = rows::orphaned(service.db.writer(), after, BATCH_SIZE).await?;
        let Some(last) = files.last() else { return failed.map_or(Ok(()), Err) };
        after = Some(last.id);
        for file in files {
            if let Err(error) = remove(service, file.id).await {
                tracing::warn!(%error, file = %file.id, "failed to remove unreachable knowledge file");
                failed = Some(error);
            }
        }
    }
}

/// Removes a file with its chunks and vectors. The bytes are removed by a separate job.
pub(super) async fn remove(service: &AssistantsService, id: KnowledgeFileId) -> Result<(), AppError> {
    let tx = service.db.begin().await.map_err(app_error)?;
    let removed = rows::remove(&tx, id).await?;
    if let Some(removed) = removed {
        jobs::enqueue(&tx, service.clock.now(), &SweepJob::Upload(removed.upload_id)).await?;
    }
    tx.commit().await.map_err(app_error)?;
    service.wake_workers();
    Ok(())
}
