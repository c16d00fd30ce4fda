//! Removal of files, batches and background responses. The content of a file is removed before its row, so that no object
//! is left without a row.

use std::time::Duration;

use ::files::uploads::StoredObject;
use appcore::{
    AppError, GatewayFileId, Timestamp, UserId,
    view::{BatchFormat, GatewayFileState},
};
use dbcontext::{
    constraint::app_error,
    query::{
        gateway_batches::{self, BatchRow},
        gateway_files::{self as rows, GatewayFileRow},
        gateway_responses,
    },
};
use jobs::{Job, JobContext, JobOutcome};
use platform::cleanup::GatewaySweepJob;

use crate::{BatchesService, files::PENDING_RETENTION, provider_jobs};

/// Delay after which the removal of a file is tried again while a batch reads it.
const RETRY_DELAY: Duration = Duration::from_secs(60 * 60);
/// Number of files that are removed per query.
const CHUNK: u64 = 100;

impl Job<BatchesService> for GatewaySweepJob {
    async fn run(self, work: JobContext<'_, BatchesService>) -> Result<JobOutcome, AppError> {
        let service = work.state;
        let sweeping = async {
            match self {
                Self::File(id) => sweep_file(service, id).await,
                Self::Batch(id) => match gateway_batches::get(service.db.writer(), id).await? {
                    Some(batch) if batch.status.is_final() => delete_batch(service, &batch).await,
                    _ => Ok(()),
                },
                Self::Response(id) => gateway_responses::delete_by_id(service.db.writer(), id).await,
                Self::User(id) => sweep_user(service, id).await,
            }
        };
        tokio::select! {
            swept = sweeping => swept.map(|()| JobOutcome::Done),
            _ = work.lease.keep_alive(&service.db) => Ok(JobOutcome::Lost),
            () = work.draining.cancelled() => Ok(JobOutcome::Requeued),
        }
    }
}

/// Removes a file that was deleted, has expired, or was not received completely. Idempotent.
pub(crate) async fn sweep_file(service: &BatchesService, id: GatewayFileId) -> Result<(), AppError> {
    let Some(row) = rows::get(service.db.writer(), id).await? else { return Ok(()) };
    let now = service.clock.now();
    if !is_due(&row, now) {
        return Ok(());
    }
    if gateway_batches::is_active_input(service.db.writer(), id).await? {
        return jobs::enqueue_after(service.db.writer(), now, &GatewaySweepJob::File(id), RETRY_DELAY).await;
    }
    service.files.uploads.store.remove(StoredObject::GatewayFile(id)).await?;
    rows::delete(service.db.writer(), id).await
}

fn is_due(row: &GatewayFileRow, now: Timestamp) -> bool {
    match row.state {
        GatewayFileState::Deleted => true,
        GatewayFileState::Ready => row.expires_at.is_some_and(|at| at <= now),
        GatewayFileState::Pending => row.created_at.plus(PENDING_RETENTION) <= now,
    }
}

/// Deletes an ended batch, and its files if its API has no files.
pub(crate) async fn delete_batch(service: &BatchesService, batch: &BatchRow) -> Result<(), AppError> {
    let internal = if batch.format == BatchFormat::Anthropic {
        [Some(batch.input_file_id), batch.output_file_id, batch.error_file_id]
    } else {
        [None; 3]
    };
    let tx = service.db.begin().await.map_err(app_error)?;
    gateway_batches::delete(&tx, batch.id).await?;
    for file in internal.into_iter().flatten() {
        rows::mark_deleted(&tx, file).await?;
        jobs::enqueue(&tx, service.clock.now(), &GatewaySweepJob::File(file)).await?;
    }
    tx.commit().await.map_err(app_error)?;
    service.wake_workers();
    Ok(())
}

async fn sweep_user(service: &BatchesService, id: UserId) -> Result<(), AppError> {
    provider_jobs::cancel_all(service, id).await?;
    gateway_batches::delete_of_user(service.db.writer(), id).await?;
    gateway_responses::delete_of_user(service.db.writer(), id).await?;
    loop {
        let part = rows::ids_of_user(service.db.writer(), id, CHUNK).await?;
        if part.is_empty() {
            return Ok(());
        }
        for file in part {
            service.files.uploads.store.remove(StoredObject::GatewayFile(file)).await?;
            rows::delete(service.db.writer(), file).await?;
        }
    }
}
