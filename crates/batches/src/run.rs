//! Durable job that runs a batch: validates the input, executes the requests and writes the results.
//!
//! The requests are [submitted to the batch API](provider_jobs) of their provider, if it has one;
//! meanwhile the job is suspended. Others are executed here.
//!
//! A result is recorded as soon as its request is done. If the instance is lost, another worker
//! starts the job again and executes only the requests without a result, so at most the requests
//! that were in progress are executed, and billed, twice.

use std::{
    collections::HashSet,
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use ::files::uploads::StoredObject;
use ai::{ErrorKind, GatewayError};
use appcore::{AppError, BatchId, Code, config::Config, view::BatchStatus};
use bytes::Bytes;
use dbcontext::query::{
    self,
    gateway_batches::{self as rows, BatchLineRow, BatchRow},
    gateway_files,
};
use futures_util::{StreamExt as _, TryStreamExt as _, stream::FuturesUnordered};
use jobs::{Job, JobContext, JobOutcome, JobPayload, Lease};
use serde::{Deserialize, Serialize};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    BatchesService,
    call::{self, QueuedCall},
    input::{InputError, InputLine, RequestLine, Scanner, render_errors},
    provider_jobs::{self, SubmittedLines},
    result_files,
    result_line::{RequestResult, render, request_id},
};

/// Interval in which a running batch checks whether it was cancelled or has expired.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);
/// Time for requests in progress to finish when the instance shuts down.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(4);
/// Interval of attempts to record a result while the database is unavailable.
const RECORD_INTERVAL: Duration = Duration::from_secs(1);

/// Runs a batch to its end.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct BatchJob {
    pub(crate) batch_id: BatchId,
}

impl JobPayload for BatchJob {
    const KIND: &'static str = "gateway_batch";

    fn concurrency_key(&self) -> String {
        format!("{}:{}", Self::KIND, self.batch_id)
    }

    fn subject(&self) -> Uuid {
        self.batch_id.0
    }
}

impl Job<BatchesService> for BatchJob {
    fn max_concurrent(config: &Config) -> usize {
        config.gateway.batches
    }

    async fn run(self, work: JobContext<'_, BatchesService>) -> Result<JobOutcome, AppError> {
        let stop = StopSignal::default();
        let processing = process(work, self.batch_id, &stop);
        tokio::pin!(processing);
        tokio::select! {
            outcome = &mut processing => outcome,
            _ = work.lease.keep_alive(&work.state.db) => Ok(JobOutcome::Lost),
            () = work.draining.cancelled() => {
                stop.set(StopReason::Draining);
                timeout(DRAIN_TIMEOUT, processing).await.unwrap_or(Ok(JobOutcome::Requeued))
            }
        }
    }
}

/// Reason for starting no more requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StopReason {
    Cancelled,
    Expired,
    /// The batch was deleted with its owner's account.
    Deleted,
    /// The instance shuts down.
    Draining,
}

/// Signal to start no more requests. The first reason counts.
#[derive(Default)]
pub(crate) struct StopSignal {
    reason: OnceLock<StopReason>,
    token: CancellationToken,
}

impl StopSignal {
    fn set(&self, reason: StopReason) {
        let _ = self.reason.set(reason);
        self.token.cancel();
    }

    pub fn reason(&self) -> Option<StopReason> {
        self.reason.get().copied()
    }
}

/// Running batch.
pub(crate) struct Run<'a> {
    pub service: &'a BatchesService,
    pub batch: &'a BatchRow,
    pub lease: &'a Lease,
    pub stop: &'a StopSignal,
    /// Total size of the results, in bytes.
    pub stored: AtomicU64,
}

async fn process(work: JobContext<'_, BatchesService>, id: BatchId, stop: &StopSignal) -> Result<JobOutcome, AppError> {
    let JobContext { state: service, lease, .. } = work;
    let db = service.db.writer();
    let Some(batch) = rows::get(db, id).await?.filter(|batch| !batch.status.is_final()) else {
        return Ok(JobOutcome::Done);
    };
    check(service, id, stop).await?;
    let stored = AtomicU64::new(rows::result_length(db, id).await?.unsigned_abs());
    let run = Run { service, batch: &batch, lease, stop, stored };
    // The input, which may be large, is read only if there is work to do.
    if let Some(wait) = provider_jobs::poll(&run).await? {
        return suspend(work, id, stop, wait).await;
    }
    let lines = match read_input(service, &batch).await? {
        Ok(lines) => lines,
        Err(errors) => {
            rows::fail(db, id, render_errors(&errors), service.clock.now()).await?;
            return Ok(JobOutcome::Done);
        }
    };
    rows::start(db, id, i64::try_from(lines.len()).unwrap_or(i64::MAX), service.clock.now()).await?;
    let submitted = provider_jobs::advance(&run, &lines).await?;
    tokio::select! {
        done = run_lines(&run, &lines, &submitted) => done?,
        () = watch(service, id, stop) => {}
    }
    if !lease.is_valid() {
        return Ok(JobOutcome::Lost);
    }
    match stop.reason() {
        Some(StopReason::Draining) => return Ok(JobOutcome::Requeued),
        Some(StopReason::Deleted) => return Ok(JobOutcome::Done),
        Some(StopReason::Cancelled | StopReason::Expired) | None => {}
    }
    match submitted.wait {
        Some(wait) => suspend(work, id, stop, wait).await,
        None => {
            finish(service, &batch, &lines).await?;
            Ok(JobOutcome::Done)
        }
    }
}

/// Suspends the job until the provider is polled again, or the batch is cancelled.
async fn suspend(
    work: JobContext<'_, BatchesService>,
    id: BatchId,
    stop: &StopSignal,
    wait: Duration,
) -> Result<JobOutcome, AppError> {
    let JobContext { state: service, claim, .. } = work;
    if !query::jobs::suspend(&service.db, claim.id, claim.attempt, wait).await? {
        return Ok(JobOutcome::Lost);
    }
    // A cancellation that was made before the job was suspended has not resumed it.
    let is_known = stop.reason().is_some();
    check(service, id, stop).await?;
    if !is_known && stop.reason().is_some() && query::jobs::make_due(service.db.writer(), BatchJob::KIND, id.0).await? {
        service.wake_workers();
    }
    Ok(JobOutcome::Suspended)
}

/// Reads and validates the input file.
async fn read_input(
    service: &BatchesService,
    batch: &BatchRow,
) -> Result<Result<Vec<InputLine>, Vec<InputError>>, AppError> {
    let missing = || Ok(Err(vec![InputError::of_file("file_not_found", "The input file no longer exists.")]));
    let Some(file) = gateway_files::get(service.db.writer(), batch.input_file_id).await? else { return missing() };
    let object = StoredObject::GatewayFile(file.id);
    let mut chunks = match service.files.uploads.store.read(object, 0..file.bytes.unsigned_abs()).await {
        Ok(chunks) => chunks,
        Err(error) if error.code() == Code::NotFound => return missing(),
        Err(error) => return Err(error),
    };
    let max_line = service.config.gateway.max_body_bytes;
    let mut scanner = Scanner::new(batch.format, batch.endpoint, max_line);
    while let Some(chunk) = chunks.try_next().await? {
        let scanned = tokio::task::spawn_blocking(move || {
            scanner.feed(&chunk);
            scanner
        });
        scanner = scanned.await.map_err(AppError::internal)?;
        if scanner.is_full() {
            break;
        }
    }
    Ok(scanner.finish())
}

/// Sets the stop signal if the batch was cancelled, has expired or was deleted.
async fn check(service: &BatchesService, id: BatchId, stop: &StopSignal) -> Result<(), AppError> {
    match rows::get(service.db.writer(), id).await? {
        None => stop.set(StopReason::Deleted),
        Some(batch) if batch.status == BatchStatus::Cancelling => stop.set(StopReason::Cancelled),
        Some(batch) if batch.expires_at <= service.clock.now() => stop.set(StopReason::Expired),
        Some(_) => {}
    }
    Ok(())
}

/// Checks the batch repeatedly. Never returns.
async fn watch(service: &BatchesService, id: BatchId, stop: &StopSignal) {
    loop {
        sleep(CHECK_INTERVAL).await;
        if let Err(error) = check(service, id, stop).await {
            tracing::warn!(%error, batch = %id, "failed to check batch");
        }
    }
}

/// Executes the requests that have no result and were not submitted to a provider, until all are
/// done or the batch is stopped. Requests in progress are finished in any case.
async fn run_lines(run: &Run<'_>, lines: &[InputLine], submitted: &SubmittedLines) -> Result<(), AppError> {
    let finished: HashSet<i64> =
        rows::finished_lines(run.service.db.writer(), run.batch.id).await?.into_iter().collect();
    let is_pending = |line: &&InputLine| !finished.contains(&line.number) && !submitted.contains(line.number);
    let mut pending = lines.iter().filter(is_pending);
    let mut running = FuturesUnordered::new();
    loop {
        while running.len() < run.service.config.gateway.batch_parallel && may_start(run) {
            let Some(line) = pending.next() else { break };
            running.push(run_line(run, line));
        }
        match running.next().await {
            Some(done) => done?,
            None => return Ok(()),
        }
    }
}

/// True if another request may start. Without the lease, another worker may have started it.
pub(crate) fn may_start(run: &Run<'_>) -> bool {
    run.stop.reason().is_none() && run.lease.is_valid()
}

/// Executes a request and records its result. A request that is stopped before it was admitted has
/// none.
async fn run_line(run: &Run<'_>, line: &InputLine) -> Result<(), AppError> {
    let Run { service, batch, .. } = run;
    let text = read_line(service, batch, line).await?;
    let id = request_id(batch.id, line.number);
    let answer = if run.stored.load(Ordering::Relaxed) >= service.config.gateway.file_bytes {
        let message = "The results of this batch have reached the maximum size of a file.";
        Err(GatewayError::new(ErrorKind::TooLarge, message))
    } else {
        match execute(run, body_of(batch, &text)?, &id).await {
            Some(answer) => answer,
            None => return Ok(()),
        }
    };
    record_answer(run, line, &id, answer).await.map(drop)
}

/// Records the answer to a request; returns `false` if it has a result already.
pub(crate) async fn record_answer(
    run: &Run<'_>,
    line: &InputLine,
    id: &str,
    answer: Result<Bytes, GatewayError>,
) -> Result<bool, AppError> {
    let batch = run.batch;
    let result = RequestResult { style: call::style_of(batch.endpoint), request_id: id, answer };
    let (outcome, result) = render(batch.format, &line.custom_id, result);
    run.stored.fetch_add(result.len() as u64, Ordering::Relaxed);
    record(run, BatchLineRow { batch_id: batch.id, line: line.number, outcome, result }).await
}

pub(crate) async fn read_line(service: &BatchesService, batch: &BatchRow, line: &InputLine) -> Result<Bytes, AppError> {
    let object = StoredObject::GatewayFile(batch.input_file_id);
    let chunks: Vec<Bytes> =
        service.files.uploads.store.read(object, line.start..line.end).await?.try_collect().await?;
    Ok(chunks.concat().into())
}

pub(crate) fn body_of(batch: &BatchRow, line: &Bytes) -> Result<Bytes, AppError> {
    let request: RequestLine<'_> = serde_json::from_slice(line).map_err(AppError::internal)?;
    Ok(line.slice_ref(request.body(batch.format).unwrap_or_default().as_bytes()))
}

/// Executes a request, repeatedly if a limit delays it or its provider is unavailable. Returns
/// `None` if the batch was stopped meanwhile.
async fn execute(run: &Run<'_>, body: Bytes, id: &str) -> Option<Result<Bytes, GatewayError>> {
    let batch = run.batch;
    let queued = QueuedCall {
        key_id: batch.key_id,
        endpoint: batch.endpoint,
        is_of_batch: true,
        betas: batch.betas.as_deref(),
        request_id: id,
        labels: None,
    };
    let mut attempts = 0;
    loop {
        let wait = match call::execute(run.service, queued, body.clone()).await {
            Ok(answer) => return Some(Ok(answer)),
            Err(error) => match error.wait(&mut attempts) {
                Ok(wait) => wait,
                Err(error) => return Some(Err(error)),
            },
        };
        tokio::select! {
            () = sleep(wait) => {}
            () = run.stop.token.cancelled() => return None,
        }
        if !may_start(run) {
            return None;
        }
    }
}

/// Records a result; returns `false` if the request has one already. While the database is
/// unavailable, it tries again as long as the lease is valid, because a result that is lost is billed
/// again.
pub(crate) async fn record(run: &Run<'_>, row: BatchLineRow) -> Result<bool, AppError> {
    loop {
        match rows::record_result(run.service.db.writer(), row.clone()).await {
            Ok(is_new) => return Ok(is_new),
            Err(error) if error.code().status() == 503 && run.lease.is_valid() => {
                tracing::warn!(%error, batch = %row.batch_id, line = row.line, "failed to record result of batch");
                sleep(RECORD_INTERVAL).await;
            }
            // The batch was deleted with its owner's account.
            Err(_) if rows::get(run.service.db.writer(), row.batch_id).await?.is_none() => return Ok(false),
            Err(error) => return Err(error),
        }
    }
}

/// Writes the result files and ends the batch.
async fn finish(service: &BatchesService, batch: &BatchRow, lines: &[InputLine]) -> Result<(), AppError> {
    let db = service.db.writer();
    let is_cancelled = !rows::finalize(db, batch.id, service.clock.now()).await?;
    let counts = rows::counts(db, batch.id).await?;
    let is_complete = usize::try_from(counts.total()).is_ok_and(|done| done == lines.len()) && counts.expired == 0;
    let status = match (is_cancelled, is_complete) {
        (true, _) => BatchStatus::Cancelled,
        (false, true) => BatchStatus::Completed,
        (false, false) => BatchStatus::Expired,
    };
    result_files::finish(service, batch, lines, status).await
}
