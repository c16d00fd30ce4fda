//! Batches that the batch API of a provider executes, at its price for batches.
//!
//! A batch is [planned](plan) once: if all of its requests can be executed by one provider's batch
//! API, they are submitted as one job there, or several if they exceed its limits. The state of each
//! submission is stored before and after the request that creates the job, so that another worker
//! [finds](submit) a job whose creation was not confirmed instead of creating it again. The job is
//! polled until it has ended; then its results are [recorded and charged](collect).
//!
//! If the provider doesn't accept a job, and for requests that it couldn't answer, the requests have
//! no results, and so are executed here.

mod collect;
mod plan;
mod prepare;
mod submit;

use std::{ops::RangeInclusive, time::Duration};

use ai::batch::{BatchClient, BatchError, BatchForm, ProviderJob, ProviderJobState};
use appcore::{
    AppError, Timestamp, UserId,
    view::{BatchExecution, SubmissionState},
};
use dbcontext::query::{
    gateway_batch_submissions::{self as submissions, SubmissionRow},
    gateway_batches as rows,
};
use gateway::BatchReservation;

use crate::{
    BatchesService,
    input::InputLine,
    run::{Run, StopReason, may_start},
};

/// Limits of the interval in which a job is polled. It grows with the age of the job, but is always
/// below the time after which reservations expire.
const MIN_POLL_INTERVAL: Duration = Duration::from_secs(1);
const MAX_POLL_INTERVAL: Duration = Duration::from_secs(20);
/// Share of a job's age after which it is polled again.
const POLL_DIVISOR: u32 = 20;
/// Time after the end of a batch's completion window in which its jobs have to end.
const MAX_DELAY: Duration = Duration::from_secs(60 * 60);

/// Requests that are at a provider.
#[derive(Default)]
pub(crate) struct SubmittedLines {
    ranges: Vec<RangeInclusive<i64>>,
    /// Time until the provider is polled again; `None` if nothing is submitted.
    pub wait: Option<Duration>,
}

impl SubmittedLines {
    pub fn contains(&self, line: i64) -> bool {
        self.ranges.iter().any(|range| range.contains(&line))
    }

    fn add(&mut self, row: &SubmissionRow, service: &BatchesService) {
        self.ranges.push(row.first_line..=row.last_line);
        let wait = poll_interval(row, service.clock.now()).min(service.config.holds.expiry / 3);
        self.wait = Some(self.wait.map_or(wait, |other| other.min(wait)));
    }
}

const fn is_final(state: SubmissionState) -> bool {
    matches!(state, SubmissionState::Ended | SubmissionState::Refused)
}

fn poll_interval(row: &SubmissionRow, now: Timestamp) -> Duration {
    if row.state == SubmissionState::Prepared {
        // An attempt has failed.
        return MAX_POLL_INTERVAL;
    }
    let since = row.submitted_at.unwrap_or(row.created_at);
    let age = Duration::from_millis(now.0.saturating_sub(since.0).max(0).unsigned_abs());
    (age / POLL_DIVISOR).clamp(MIN_POLL_INTERVAL, MAX_POLL_INTERVAL)
}

/// Polls the jobs of a batch whose requests are all at a provider. Returns the time until the next
/// poll, or `None` if there is other work to do.
pub(crate) async fn poll(run: &Run<'_>) -> Result<Option<Duration>, AppError> {
    if run.batch.execution != Some(BatchExecution::Provider) {
        return Ok(None);
    }
    let mut found = submissions::of_batch(run.service.db.writer(), run.batch.id).await?;
    if found.iter().any(|row| row.state != SubmissionState::Submitted) {
        return Ok(None);
    }
    let mut submitted = SubmittedLines::default();
    for row in &mut found {
        // Renewed, although nothing is charged yet.
        let _reservation = adopt(run, row).await?;
        let Some(client) = client_of(run.service, row) else {
            submitted.add(row, run.service);
            continue;
        };
        match find_state(run, &client, row).await? {
            Some(job) if job.state != ProviderJobState::Running => return Ok(None),
            None if is_overdue(run) => return Ok(None),
            _ => submitted.add(row, run.service),
        }
    }
    Ok(submitted.wait)
}

/// Plans the batch, and advances its submissions. Returns the requests that are at a provider.
pub(crate) async fn advance(run: &Run<'_>, lines: &[InputLine]) -> Result<SubmittedLines, AppError> {
    let (db, mut submitted) = (run.service.db.writer(), SubmittedLines::default());
    let execution = match run.batch.execution {
        None if may_start(run) => plan::plan(run, lines).await?,
        execution => execution,
    };
    if execution != Some(BatchExecution::Provider) {
        return Ok(submitted);
    }
    for mut row in submissions::of_batch(db, run.batch.id).await? {
        if is_final(row.state) {
            continue;
        }
        let reservation = adopt(run, &row).await?;
        advance_submission(run, lines, &mut row, reservation.as_ref()).await?;
        if !is_final(row.state) {
            submitted.add(&row, run.service);
        } else if let Some(reservation) = reservation {
            reservation.release();
        }
    }
    Ok(submitted)
}

async fn advance_submission(
    run: &Run<'_>,
    lines: &[InputLine],
    row: &mut SubmissionRow,
    reservation: Option<&BatchReservation>,
) -> Result<(), AppError> {
    let Some(client) = client_of(run.service, row) else {
        // A provider that was added at runtime may not be known yet.
        if is_overdue(run) {
            refuse(run, row, "provider_unknown").await?;
        }
        return Ok(());
    };
    if row.state == SubmissionState::Submitting {
        submit::recover(run, &client, row).await?;
    }
    if row.state == SubmissionState::Prepared {
        submit::submit(run, &client, lines, row).await?;
    }
    if row.state != SubmissionState::Submitted {
        return Ok(());
    }
    let job = find_state(run, &client, row).await?;
    match job.as_ref().map(|job| (job, &job.state)) {
        Some((job, ProviderJobState::Failed(code))) => {
            refuse(run, row, code).await?;
            collect::discard(&client, row, Some(job)).await;
            Ok(())
        }
        Some((job, ProviderJobState::Ended)) => collect::collect(run, &client, lines, row, job, reservation).await,
        _ if is_overdue(run) => refuse(run, row, "job_not_ended").await,
        _ => Ok(()),
    }
}

/// Returns the state of a job, and passes on the end of its batch. `None` if the provider doesn't
/// say.
async fn find_state(
    run: &Run<'_>,
    client: &BatchClient,
    row: &mut SubmissionRow,
) -> Result<Option<ProviderJob>, AppError> {
    let Some(id) = row.job_id.clone() else { return Ok(None) };
    let Some((key, job)) = query_job(client, row, &id).await else { return Ok(None) };
    let index = i64::try_from(key).unwrap_or_default();
    let has_moved = row.key_index != index;
    row.key_index = index;
    let is_cancelled = job.state == ProviderJobState::Running
        && row.cancelled_at.is_none()
        && is_withdrawn(run).await
        && cancel(client, row, key, &id).await;
    if is_cancelled {
        row.cancelled_at = Some(run.service.clock.now());
    }
    if is_cancelled || has_moved {
        submissions::update(run.service.db.writer(), row).await?;
    }
    Ok(Some(job))
}

/// Queries a job with the key that submitted it, and with the others if that no longer works.
async fn query_job(client: &BatchClient, row: &SubmissionRow, id: &str) -> Option<(usize, ProviderJob)> {
    for key in client.keys_from(key_of(row)) {
        match client.job(key, id).await {
            Ok(job) => return Some((key, job)),
            Err(error) => {
                tracing::warn!(?error, provider = row.provider, job = id, "failed to poll batch at provider");
                if matches!(error, BatchError::Unclear(_)) {
                    return None;
                }
            }
        }
    }
    None
}

async fn cancel(client: &BatchClient, row: &SubmissionRow, key: usize, id: &str) -> bool {
    match client.cancel(key, id).await {
        Ok(()) => true,
        Err(error) => {
            tracing::warn!(?error, provider = row.provider, job = id, "failed to cancel batch at provider");
            false
        }
    }
}

/// True if the batch was cancelled or has expired, or its key was revoked.
async fn is_withdrawn(run: &Run<'_>) -> bool {
    match run.stop.reason() {
        Some(StopReason::Cancelled | StopReason::Expired) => true,
        Some(StopReason::Deleted | StopReason::Draining) => false,
        None => {
            let caller = gateway::authenticate_by_id(&run.service.gateway, run.batch.key_id).await;
            caller.is_err_and(|error| error.code().status() == 401)
        }
    }
}

fn is_overdue(run: &Run<'_>) -> bool {
    run.batch.expires_at.plus(MAX_DELAY) <= run.service.clock.now()
}

fn key_of(row: &SubmissionRow) -> usize {
    usize::try_from(row.key_index).unwrap_or_default()
}

/// Unique name of a submission, which begins the ids of its requests.
fn tag_of(row: &SubmissionRow) -> String {
    format!("natter-{}", row.id.0.simple())
}

fn client_of(service: &BatchesService, row: &SubmissionRow) -> Option<BatchClient> {
    service.gateway.ai().batch_client(&row.provider, BatchForm(row.form))
}

async fn adopt(run: &Run<'_>, row: &SubmissionRow) -> Result<Option<BatchReservation>, AppError> {
    match row.reservation_id {
        Some(id) => gateway::adopt_batch_reservation(&run.service.gateway, id).await,
        None => Ok(None),
    }
}

/// Gives a submission up. Its requests are executed here, if there is time left.
async fn refuse(run: &Run<'_>, row: &mut SubmissionRow, code: &str) -> Result<(), AppError> {
    tracing::warn!(provider = row.provider, batch = %row.batch_id, code, "batch not accepted by provider");
    row.state = SubmissionState::Refused;
    submissions::update(run.service.db.writer(), row).await
}

/// Records where the requests of a batch are executed.
async fn decide(run: &Run<'_>, execution: BatchExecution) -> Result<Option<BatchExecution>, AppError> {
    rows::set_execution(run.service.db.writer(), run.batch.id, execution).await?;
    Ok(Some(execution))
}

/// Cancels the jobs of a user whose batches are deleted. Failures are logged.
pub(crate) async fn cancel_all(service: &BatchesService, user: UserId) -> Result<(), AppError> {
    for row in submissions::running_of_user(service.db.writer(), user).await? {
        if let Some((client, id)) = client_of(service, &row).zip(row.job_id.as_deref()) {
            cancel(&client, &row, key_of(&row), id).await;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use appcore::{BatchId, BatchSubmissionId, view::BatchFormat};

    use super::*;

    fn row(first_line: i64, last_line: i64) -> SubmissionRow {
        SubmissionRow {
            id: BatchSubmissionId::new(),
            batch_id: BatchId::new(),
            first_line,
            last_line,
            total: last_line - first_line + 1,
            provider: "main".to_owned(),
            model: "small".to_owned(),
            form: BatchFormat::OpenAi,
            endpoint: "/v1/chat/completions".to_owned(),
            betas: None,
            price_percent: 50,
            key_index: 0,
            state: SubmissionState::Submitted,
            file_id: None,
            job_id: None,
            attempts: 0,
            submitted_at: None,
            cancelled_at: None,
            reservation_id: None,
            created_at: Timestamp(0),
        }
    }

    #[test]
    fn polls_old_jobs_less_often() {
        let after = |seconds: i64| poll_interval(&row(1, 2), Timestamp(seconds * 1_000)).as_millis();
        assert_eq!([0, 20, 100, 86_400].map(after), [1_000, 1_000, 5_000, 20_000]);
    }

    #[test]
    fn knows_which_lines_are_submitted() {
        assert!(!SubmittedLines::default().contains(1));
        let submitted = SubmittedLines { ranges: vec![1..=2, 5..=6], wait: None };
        let found: Vec<i64> = (0..9).filter(|line| submitted.contains(*line)).collect();
        assert_eq!(found, [1, 2, 5, 6]);
    }
}
