//! Result files of a batch, written when its requests are done.

use std::time::Duration;

use ::files::uploads::IncomingFile;
use appcore::{
    AppError, GatewayFileId,
    view::{BatchFormat, BatchOutcome, BatchStatus},
};
use bytes::Bytes;
use dbcontext::{
    constraint::app_error,
    query::{
        gateway_batches::{self as rows, BatchCounts, BatchLineRow, BatchRow, EndedBatch},
        gateway_files::{GatewayOwner, ReceivedFileData},
    },
};
use platform::cleanup::GatewaySweepJob;

use crate::{
    BatchesService, RETENTION,
    files::{RESULT_PURPOSE, finish_pending, store_result, work_owner},
    input::InputLine,
    public_id,
    result_line::{render_skipped, request_id},
};

/// Number of results that are read at once.
const PAGE: u64 = 100;

/// Result file that is being written; `None` before its first line.
#[derive(Default)]
struct ResultFile(Option<IncomingFile>);

impl ResultFile {
    async fn append(&mut self, service: &BatchesService, owner: GatewayOwner, line: String) -> Result<(), AppError> {
        let file = match &mut self.0 {
            Some(file) => file,
            None => self.0.insert(service.files.uploads.store.receive(work_owner(owner)).await?),
        };
        file.write(&Bytes::from(line + "\n")).await
    }
}

/// Content of a result file that is stored, but not readable yet.
struct StoredResult {
    id: GatewayFileId,
    data: ReceivedFileData,
}

/// Writes the result files and ends the batch with `status`. Requests without a result were skipped.
pub(crate) async fn finish(
    service: &BatchesService,
    batch: &BatchRow,
    lines: &[InputLine],
    status: BatchStatus,
) -> Result<(), AppError> {
    let skipped = if status == BatchStatus::Cancelled { BatchOutcome::Canceled } else { BatchOutcome::Expired };
    let (counts, output, errors) = write_lines(service, batch, lines, skipped).await?;
    let output = store(service, batch, output, "output").await?;
    let errors = store(service, batch, errors, "error").await?;
    let now = service.clock.now();
    let tx = service.db.begin().await.map_err(app_error)?;
    let ended = EndedBatch {
        status,
        counts,
        output_file_id: output.as_ref().map(|file| file.id),
        error_file_id: errors.as_ref().map(|file| file.id),
    };
    if !rows::complete(&tx, batch.id, ended, now).await? {
        // The batch was deleted or ended by another worker. The stored files are removed by their
        // jobs.
        return Ok(());
    }
    for StoredResult { id, data } in [output, errors].into_iter().flatten() {
        finish_pending(&tx, id, data, now).await?;
    }
    rows::delete_results(&tx, batch.id).await?;
    jobs::enqueue_after(&tx, now, &GatewaySweepJob::Batch(batch.id), RETENTION).await?;
    tx.commit().await.map_err(app_error)?;
    service.wake_workers();
    Ok(())
}

/// Writes all results in the order of the input. Returns their number by outcome, and the files.
async fn write_lines(
    service: &BatchesService,
    batch: &BatchRow,
    lines: &[InputLine],
    skipped: BatchOutcome,
) -> Result<(BatchCounts, ResultFile, ResultFile), AppError> {
    let owner = owner(batch);
    let (mut output, mut errors) = (ResultFile::default(), ResultFile::default());
    let mut counts = BatchCounts::default();
    let mut page: std::vec::IntoIter<BatchLineRow> = Vec::new().into_iter();
    let (mut next, mut after) = (None, 0);
    for line in lines {
        if next.is_none() {
            if page.len() == 0 && after < i64::MAX {
                page = rows::results(service.db.writer(), batch.id, after, PAGE).await?.into_iter();
            }
            next = page.next();
            after = next.as_ref().map_or(i64::MAX, |row: &BatchLineRow| row.line);
        }
        let (outcome, text) = match next.take_if(|row| row.line == line.number) {
            Some(row) => (row.outcome, row.result),
            None => {
                let id = request_id(batch.id, line.number);
                (skipped, render_skipped(batch.format, &line.custom_id, &id, skipped))
            }
        };
        counts.add(outcome, 1);
        let is_output = batch.format == BatchFormat::Anthropic || outcome == BatchOutcome::Succeeded;
        let file = if is_output { &mut output } else { &mut errors };
        file.append(service, owner, text).await?;
    }
    Ok((counts, output, errors))
}

async fn store(
    service: &BatchesService,
    batch: &BatchRow,
    file: ResultFile,
    kind: &str,
) -> Result<Option<StoredResult>, AppError> {
    let ResultFile(Some(file)) = file else { return Ok(None) };
    let received = file.close().await?;
    let bytes = i64::try_from(received.size).unwrap_or(i64::MAX);
    let is_internal = batch.format == BatchFormat::Anthropic;
    let id = store_result(service, owner(batch), received, is_internal).await?;
    let lifetime = batch.output_lifetime.map_or(RETENTION, |seconds| Duration::from_secs(seconds.unsigned_abs()));
    let data = ReceivedFileData {
        name: format!("{}_{kind}.jsonl", public_id::batch(batch.format, batch.id)),
        purpose: RESULT_PURPOSE.to_owned(),
        bytes,
        expires_at: Some(service.clock.now().plus(lifetime)),
    };
    Ok(Some(StoredResult { id, data }))
}

const fn owner(batch: &BatchRow) -> GatewayOwner {
    GatewayOwner { user_id: batch.user_id, workspace_id: batch.workspace_id }
}
