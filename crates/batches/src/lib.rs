//! Work of the AI gateway that outlives its request: files, batches and background responses, in
//! the formats of OpenAI and Anthropic.
//!
//! A batch has an input file with one request per line. A durable [job](run) executes the requests
//! on the path of an ordinary call and records each result before it starts another request in its
//! place. When all requests are done, the results are written to files. A [background
//! response](background_responses) is executed by a job of its own. Owns the tables `gateway_files`,
//! `gateway_batches`, `gateway_batch_submissions`, `gateway_batch_lines` and `gateway_responses`, and
//! the stored files.

pub mod background_responses;
mod background_run;
mod call;
pub mod file_references;
pub mod files;
mod input;
pub mod message_batches;
pub mod openai_batches;
mod provider_jobs;
mod public_id;
mod result_files;
mod result_line;
mod run;
mod sweep;

use std::{ops::Deref, sync::Arc, time::Duration};

use ::files::FilesService;
use appcore::{AppError, BatchId, Code, Timestamp, view::BatchFormat};
use dbcontext::{
    constraint::app_error,
    query::{
        self,
        gateway_batches::{self as rows, BatchRow},
        gateway_files::GatewayOwner,
        jobs::JobOwner,
        service_accounts,
    },
};
use gateway::{GatewayCaller, GatewayService};
use jobs::JobPayload as _;
use platform::Core;

pub use self::{background_run::BackgroundResponseJob, run::BatchJob};

/// Time in which the requests of a batch must be done.
const COMPLETION_WINDOW: Duration = Duration::from_secs(24 * 60 * 60);
/// Retention of ended batches, and of their files if the caller chooses none.
const RETENTION: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// Maximum number of requests of a batch.
const MAX_REQUESTS: usize = 50_000;
/// Maximum number of a user's batches that have not ended.
const MAX_ACTIVE_BATCHES: u64 = 50;

/// State of files, batches and background responses of an instance. Dereferences to [`Core`].
pub struct BatchesService {
    pub core: Arc<Core>,
    files: Arc<FilesService>,
    gateway: Arc<GatewayService>,
}

impl BatchesService {
    #[must_use]
    pub fn build(files: Arc<FilesService>, gateway: Arc<GatewayService>) -> Arc<Self> {
        Arc::new(Self { core: Arc::clone(&gateway.core), files, gateway })
    }
}

impl Deref for BatchesService {
    type Target = Core;

    fn deref(&self) -> &Core {
        &self.core
    }
}

/// Owner of the files and batches of a key.
fn owner_of(caller: &GatewayCaller) -> GatewayOwner {
    GatewayOwner { user_id: caller.principal.user_id, workspace_id: caller.policy.workspace_id }
}

fn job_owner(owner: GatewayOwner) -> JobOwner {
    JobOwner { user: owner.user_id, workspace: owner.workspace_id }
}

/// Inserts a batch with its job.
async fn insert_batch(service: &BatchesService, row: BatchRow) -> Result<(), AppError> {
    let owner = GatewayOwner { user_id: row.user_id, workspace_id: row.workspace_id };
    let (job, now) = (BatchJob { batch_id: row.id }, row.created_at);
    let tx = service.db.begin().await.map_err(app_error)?;
    service_accounts::lock_key_owner(&tx, owner.user_id).await?.ok_or(Code::Unauthenticated)?;
    if rows::count_active(&tx, owner.user_id).await? >= MAX_ACTIVE_BATCHES {
        let sentence = format!("You have {MAX_ACTIVE_BATCHES} batches in progress. Wait until one of them has ended.");
        return Err(AppError::refused(Code::WrongState, sentence));
    }
    rows::insert(&tx, row).await?;
    jobs::enqueue_for(&tx, now, &job, job_owner(owner)).await?;
    tx.commit().await.map_err(app_error)?;
    service.wake_workers();
    Ok(())
}

async fn find_batch(
    service: &BatchesService,
    caller: &GatewayCaller,
    format: BatchFormat,
    id: &str,
) -> Result<BatchRow, AppError> {
    let unknown = || {
        let shown: String = id.chars().take(80).collect();
        AppError::refused(Code::NotFound, format!("There is no batch with the ID `{shown}`."))
    };
    let id = public_id::parse_batch(format, id).ok_or_else(unknown)?;
    rows::find(service.db.writer(), owner_of(caller), format, id).await?.ok_or_else(unknown)
}

/// Requests the cancellation of a batch and returns it.
async fn cancel_batch(service: &BatchesService, batch: BatchRow) -> Result<BatchRow, AppError> {
    let id = batch.id;
    let is_cancelled = rows::cancel(service.db.writer(), id, service.clock.now()).await?;
    // The job may be suspended.
    if is_cancelled && query::jobs::make_due(service.db.writer(), BatchJob::KIND, id.0).await? {
        service.wake_workers();
    }
    let current = rows::get(service.db.writer(), id).await?.ok_or(Code::NotFound)?;
    if is_cancelled || current.cancelled_at.is_some() {
        return Ok(current);
    }
    let sentence = format!("This batch can't be cancelled, because its status is `{}`.", current.status);
    Err(AppError::refused(Code::WrongState, sentence))
}

/// Row of a new batch.
fn new_batch(caller: &GatewayCaller, id: BatchId, format: BatchFormat, input: BatchInput, now: Timestamp) -> BatchRow {
    let owner = owner_of(caller);
    BatchRow {
        id,
        user_id: owner.user_id,
        workspace_id: owner.workspace_id,
        key_id: caller.key_id,
        format,
        endpoint: input.endpoint,
        status: appcore::view::BatchStatus::Validating,
        input_file_id: input.file_id,
        output_file_id: None,
        error_file_id: None,
        metadata: None,
        output_lifetime: None,
        errors: None,
        betas: None,
        total: input.total,
        succeeded: 0,
        errored: 0,
        canceled: 0,
        expired: 0,
        started_at: None,
        finalizing_at: None,
        cancelled_at: None,
        ended_at: None,
        expires_at: now.plus(COMPLETION_WINDOW),
        created_at: now,
        execution: None,
    }
}

/// Requests of a new batch.
struct BatchInput {
    endpoint: appcore::view::GatewayEndpoint,
    file_id: appcore::GatewayFileId,
    /// Number of requests; 0 until the file is validated.
    total: i64,
}
