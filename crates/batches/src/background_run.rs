//! Durable job that executes a background response.
//!
//! If the instance is lost, another worker starts the job again, so the request may be executed,
//! and billed by the provider, twice. Its result is recorded once.

use std::time::Duration;

use ai::{
    ErrorKind, GatewayError, RequestLabels,
    background::{self, BackgroundAnswer},
};
use appcore::{
    AppError, BackgroundResponseId, Timestamp,
    config::Config,
    view::{BackgroundResponseStatus, GatewayEndpoint},
};
use bytes::Bytes;
use dbcontext::query::{
    gateway_files::GatewayOwner,
    gateway_responses::{self as rows, BackgroundResponseRow, BackgroundResponseState},
};
use jobs::{Job, JobContext, JobOutcome, JobPayload, Lease};
use serde::{Deserialize, Serialize};
use tokio::time::{sleep, timeout};
use uuid::Uuid;

use crate::{
    BatchesService,
    call::{self, QueuedCall},
    files::work_owner,
    public_id,
};

/// Interval in which a running response checks whether it was cancelled or deleted.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);
/// Time for a response in progress to finish when the instance shuts down.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(4);
/// Interval of attempts to record a result while the database is unavailable.
const RECORD_INTERVAL: Duration = Duration::from_secs(1);

/// Executes a background response.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct BackgroundResponseJob {
    pub(crate) response_id: BackgroundResponseId,
}

impl JobPayload for BackgroundResponseJob {
    const KIND: &'static str = "gateway_response";

    fn concurrency_key(&self) -> String {
        format!("{}:{}", Self::KIND, self.response_id)
    }

    fn subject(&self) -> Uuid {
        self.response_id.0
    }
}

impl Job<BatchesService> for BackgroundResponseJob {
    fn max_concurrent(config: &Config) -> usize {
        config.gateway.background_responses
    }

    async fn run(self, work: JobContext<'_, BatchesService>) -> Result<JobOutcome, AppError> {
        let executing = process(work.state, self.response_id, work.lease);
        tokio::pin!(executing);
        tokio::select! {
            outcome = &mut executing => outcome,
            _ = work.lease.keep_alive(&work.state.db) => Ok(JobOutcome::Lost),
            () = work.draining.cancelled() => {
                timeout(DRAIN_TIMEOUT, executing).await.unwrap_or(Ok(JobOutcome::Requeued))
            }
        }
    }
}

async fn process(service: &BatchesService, id: BackgroundResponseId, lease: &Lease) -> Result<JobOutcome, AppError> {
    let db = service.db.writer();
    let Some(row) = rows::get(db, id).await? else { return Ok(JobOutcome::Done) };
    if !rows::start(db, id).await? {
        return Ok(JobOutcome::Done);
    }
    // A call that is dropped is charged like one whose client has disconnected.
    let answer = tokio::select! {
        answer = execute(service, &row) => answer,
        () = wait_for_end(service, id) => return Ok(JobOutcome::Done),
        () = wait_until(service, row.expires_at) => Err(expired()),
    };
    if !lease.is_valid() {
        return Ok(JobOutcome::Lost);
    }
    let owner = work_owner(GatewayOwner { user_id: row.user_id, workspace_id: row.workspace_id });
    let BackgroundAnswer { status, response } =
        background::finish(owner, row.response, answer).await.map_err(AppError::internal)?;
    let status = status.parse().unwrap_or(BackgroundResponseStatus::Completed);
    record(service, id, BackgroundResponseState { status, response }, lease).await?;
    Ok(JobOutcome::Done)
}

fn expired() -> GatewayError {
    GatewayError::new(ErrorKind::Timeout, "This response couldn't be created within 24 hours.")
}

/// Executes the request, repeatedly if a limit delays it or its provider is unavailable.
async fn execute(service: &BatchesService, row: &BackgroundResponseRow) -> Result<Bytes, GatewayError> {
    let request_id = public_id::background_response(row.id);
    let labels: Option<RequestLabels> = row.labels.as_deref().and_then(|labels| serde_json::from_str(labels).ok());
    let queued = QueuedCall {
        key_id: row.key_id,
        endpoint: GatewayEndpoint::Responses,
        is_of_batch: false,
        betas: None,
        request_id: &request_id,
        labels: labels.as_ref(),
    };
    let body = Bytes::from(row.request.clone());
    let mut attempts = 0;
    loop {
        match call::execute(service, queued, body.clone()).await {
            Ok(answer) => return Ok(answer),
            Err(error) => sleep(error.wait(&mut attempts)?).await,
        }
    }
}

/// Waits until the response was cancelled or deleted.
async fn wait_for_end(service: &BatchesService, id: BackgroundResponseId) {
    loop {
        sleep(CHECK_INTERVAL).await;
        match rows::status(service.db.writer(), id).await {
            Ok(status) if status.is_none_or(BackgroundResponseStatus::is_final) => return,
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, response = %id, "failed to check background response"),
        }
    }
}

async fn wait_until(service: &BatchesService, at: Timestamp) {
    while service.clock.now() < at {
        sleep(CHECK_INTERVAL).await;
    }
}

/// Records the result. While the database is unavailable, it tries again as long as the lease is
/// valid, because a result that is lost is billed again.
async fn record(
    service: &BatchesService,
    id: BackgroundResponseId,
    ended: BackgroundResponseState,
    lease: &Lease,
) -> Result<(), AppError> {
    loop {
        match rows::complete(service.db.writer(), id, ended.clone(), service.clock.now()).await {
            Ok(_) => return Ok(()),
            Err(error) if error.code().status() == 503 && lease.is_valid() => {
                tracing::warn!(%error, response = %id, "failed to record background response");
                sleep(RECORD_INTERVAL).await;
            }
            Err(error) => return Err(error),
        }
    }
}
