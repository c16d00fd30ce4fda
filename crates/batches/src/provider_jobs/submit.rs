//! Submission of a job. The state is stored before the request that creates the job: if its answer is
//! lost, the job is searched at the provider before it is submitted again.

use std::{collections::HashSet, time::Duration};

use ai::batch::{BatchBody, BatchClient, BatchError, BatchUpload, JobSearch, JobSignature, ProviderJob};
use appcore::{
    AppError,
    view::{BatchFormat, SubmissionState},
};
use dbcontext::query::{
    gateway_batch_submissions::{self as submissions, SubmissionRow},
    gateway_batches as rows,
    gateway_files::GatewayOwner,
};

use super::{collect, key_of, prepare::prepare, refuse, tag_of};
use crate::{
    files::work_owner,
    input::InputLine,
    result_line::request_id,
    run::{Run, StopReason, body_of, may_start, read_line},
};

/// Maximum number of attempts to submit a job.
const MAX_ATTEMPTS: i64 = 3;
/// Time after which a job that the provider doesn't list was not created. It exceeds the timeout of
/// the request.
const CONFIRMATION_TIMEOUT: Duration = Duration::from_secs(11 * 60);

/// Submits a prepared job.
pub(super) async fn submit(
    run: &Run<'_>,
    client: &BatchClient,
    lines: &[InputLine],
    row: &mut SubmissionRow,
) -> Result<(), AppError> {
    match run.stop.reason() {
        Some(StopReason::Cancelled | StopReason::Expired) => return refuse(run, row, "batch_stopped").await,
        _ if !may_start(run) => return Ok(()),
        _ => {}
    }
    if row.file_id.is_none() {
        match client.choose_key(&row.model) {
            Ok(key) => row.key_index = i64::try_from(key).unwrap_or_default(),
            Err(error) => return fail(run, client, row, &error).await,
        }
    }
    let needs_upload = row.form == BatchFormat::Anthropic || row.file_id.is_none();
    let upload = if needs_upload {
        match encode(run, lines, row).await? {
            Some(upload) => Some(upload),
            None => return refuse(run, row, "no_requests").await,
        }
    } else {
        None
    };
    let created = match (row.form, upload) {
        (BatchFormat::Anthropic, Some(upload)) => {
            start(run, row).await?;
            client.create(key_of(row), upload, row.betas.as_deref()).await
        }
        (_, upload) => {
            if let Some(upload) = upload {
                match client.upload(key_of(row), upload).await {
                    Ok(id) => row.file_id = id,
                    Err(error) => return fail(run, client, row, &error).await,
                }
            }
            start(run, row).await?;
            let file_id = row.file_id.clone().unwrap_or_default();
            client.create_from_file(key_of(row), &file_id, &row.endpoint, &tag_of(row)).await
        }
    };
    match created {
        Ok(job) => confirm(run, row, job).await,
        // Whether the job exists is found out later.
        Err(error @ BatchError::Unclear(_)) => {
            tracing::warn!(?error, provider = row.provider, batch = %row.batch_id, "submission of batch not confirmed");
            Ok(())
        }
        Err(error) => fail(run, client, row, &error).await,
    }
}

/// Searches a job whose creation was not confirmed. If the provider has none, it is submitted again.
pub(super) async fn recover(run: &Run<'_>, client: &BatchClient, row: &mut SubmissionRow) -> Result<(), AppError> {
    let now = run.service.clock.now();
    let since = row.submitted_at.unwrap_or(row.created_at);
    let others = submissions::job_ids(run.service.db.writer(), &row.provider, row.id).await?;
    let tag = tag_of(row);
    let signature = JobSignature {
        tag: &tag,
        file_id: row.file_id.as_deref(),
        total: row.total.unsigned_abs(),
        since,
        others: &others,
    };
    match client.find(key_of(row), signature).await {
        Ok(JobSearch::Found(job)) => confirm(run, row, job).await,
        Ok(JobSearch::Missing) if since.plus(CONFIRMATION_TIMEOUT) <= now => {
            fail(run, client, row, &BatchError::Unclear("not_created")).await
        }
        Ok(JobSearch::Missing | JobSearch::Undecided) => Ok(()),
        Err(error) => {
            tracing::warn!(?error, provider = row.provider, batch = %row.batch_id, "failed to search batch at provider");
            Ok(())
        }
    }
}

/// Stores that the job is about to be created.
async fn start(run: &Run<'_>, row: &mut SubmissionRow) -> Result<(), AppError> {
    row.state = SubmissionState::Submitting;
    row.submitted_at = Some(run.service.clock.now());
    submissions::update(run.service.db.writer(), row).await
}

async fn confirm(run: &Run<'_>, row: &mut SubmissionRow, job: ProviderJob) -> Result<(), AppError> {
    tracing::info!(provider = row.provider, batch = %row.batch_id, job = job.id, "batch submitted to provider");
    row.state = SubmissionState::Submitted;
    row.job_id = Some(job.id);
    submissions::update(run.service.db.writer(), row).await
}

/// Records a failed attempt. The job is given up if the provider refused it, or after several
/// attempts.
async fn fail(
    run: &Run<'_>,
    client: &BatchClient,
    row: &mut SubmissionRow,
    error: &BatchError,
) -> Result<(), AppError> {
    row.attempts += 1;
    match error {
        BatchError::Unclear(_) if row.attempts < MAX_ATTEMPTS => {
            row.state = SubmissionState::Prepared;
            submissions::update(run.service.db.writer(), row).await
        }
        BatchError::Refused(code) | BatchError::Unclear(code) => {
            refuse(run, row, code).await?;
            collect::discard(client, row, None).await;
            Ok(())
        }
    }
}

/// Writes the requests of a job to a temporary file. Requests that can't be part of the job any more
/// are left out. `None` if none is left.
async fn encode(run: &Run<'_>, lines: &[InputLine], row: &mut SubmissionRow) -> Result<Option<BatchUpload>, AppError> {
    let (service, batch) = (run.service, run.batch);
    let Ok(caller) = gateway::authenticate_by_id(&service.gateway, batch.key_id).await else { return Ok(None) };
    let finished: HashSet<i64> = rows::finished_lines(service.db.writer(), batch.id).await?.into_iter().collect();
    let owner = GatewayOwner { user_id: batch.user_id, workspace_id: batch.workspace_id };
    let mut file = service.files.uploads.store.receive(work_owner(owner)).await?;
    let mut body = BatchBody::new(ai::batch::BatchForm(row.form), &tag_of(row));
    let mut total = 0;
    file.write(&body.start()).await?;
    let range = row.first_line..=row.last_line;
    for line in lines.iter().filter(|line| range.contains(&line.number) && !finished.contains(&line.number)) {
        let text = read_line(service, batch, line).await?;
        let id = request_id(batch.id, line.number);
        let Ok(prepared) = prepare(run, &caller, body_of(batch, &text)?, &id).await else { continue };
        let target = prepared.target;
        let is_same = target.provider == row.provider
            && target.endpoint == row.endpoint
            && target.model.is_none_or(|model| model == row.model);
        if is_same {
            file.write(&body.encode(line.number, &prepared.request)).await?;
            total += 1;
        }
    }
    let content_type = body.content_type();
    file.write(&body.finish()).await?;
    row.total = total;
    let received = file.close().await?;
    let length = received.size;
    Ok((total > 0).then(|| BatchUpload { content_type, length, chunks: received.into_chunks() }))
}
