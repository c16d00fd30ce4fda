//! Job that reads a knowledge file: splits it into chunks and embeds them in batches.
//!
//! Progress is stored after each batch. A worker that takes over continues after the last embedded
//! chunk, so a crash wastes at most one call to the model.

use std::time::Duration;

use anyhow::anyhow;
use appcore::{AppError, KnowledgeFileId, config::Config, view::KnowledgeState};
use dbcontext::{
    constraint::app_error,
    query::knowledge::{self as rows, FileRow, PieceRow, VectorsRow},
};
use files::uploads::text::{self, TextSource};
use gateway::{self, BillingIdentity, EmbedCause, EmbedFailure, Embedded, Embedder};
use jobs::{Job, JobContext, JobOutcome, JobPayload};
use platform::work_pools::{WorkOwner, job_owner};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use uuid::Uuid;

use super::{chunker, keywords, owner::KnowledgeOwner, search::CHUNKS_PER_ROW};
use crate::AssistantsService;

/// Maximum number of concurrent read jobs per instance.
const MAX_CONCURRENT: usize = 2;
/// Minimum interval between progress events of a file.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(1);
/// Maximum number of attempts. After that the file fails, because it may be the cause of crashing
/// workers.
const MAX_ATTEMPTS: i32 = 8;

const INTERNAL_ERROR: &str = "Something went wrong on the server.";
pub(super) const NO_MODEL: &str = "This server has no embedding model yet. Ask your admin to set one up.";

/// Reads a knowledge file, or embeds it again for another model.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct ReadJob {
    pub file_id: KnowledgeFileId,
}

/// Reason why a file could not be read.
enum KnowledgeReadError {
    /// Temporary failure, with the message that users see.
    Transient(String),
    /// Failure that lasts until somebody acts. `is_ours` is true if that must be the operator.
    Permanent {
        sentence: String,
        is_ours: bool,
    },
    Internal(AppError),
}

impl From<AppError> for KnowledgeReadError {
    fn from(error: AppError) -> Self {
        Self::Internal(error)
    }
}

impl From<EmbedFailure> for KnowledgeReadError {
    fn from(failure: EmbedFailure) -> Self {
        match failure.cause {
            EmbedCause::Transient => Self::Transient(failure.sentence),
            EmbedCause::Payer => Self::Permanent { sentence: failure.sentence, is_ours: false },
            EmbedCause::Model => Self::Permanent { sentence: failure.sentence, is_ours: true },
        }
    }
}

impl JobPayload for ReadJob {
    const KIND: &'static str = "read_knowledge";

    fn concurrency_key(&self) -> String {
        format!("{}:{}", Self::KIND, self.file_id)
    }

    fn subject(&self) -> Uuid {
        self.file_id.0
    }
}

impl Job<AssistantsService> for ReadJob {
    fn max_concurrent(_config: &Config) -> usize {
        MAX_CONCURRENT
    }

    async fn run(self, work: JobContext<'_, AssistantsService>) -> Result<JobOutcome, AppError> {
        let JobContext { state: service, claim, lease, draining } = work;
        let file = rows::get(service.db.writer(), self.file_id).await?;
        let holder = match &file {
            Some(file) => KnowledgeOwner::of(service, file).await?,
            None => None,
        };
        // The file or its owner was removed in the meantime.
        let (Some(file), Some(holder)) = (file, holder) else { return Ok(JobOutcome::Done) };
        let failures = claim.attempt - claim.attempts_before;
        let reading = async {
            if failures > MAX_ATTEMPTS {
                return Err(KnowledgeReadError::Permanent { sentence: INTERNAL_ERROR.to_owned(), is_ours: true });
            }
            read(service, job_owner(claim), &holder, file).await
        };
        let read = tokio::select! {
            read = reading => read,
            _ = lease.keep_alive(&service.db) => return Ok(JobOutcome::Lost),
            () = draining.cancelled() => return Ok(JobOutcome::Requeued),
        };
        let is_last = service.config.jobs.backoff_after(failures.unsigned_abs()).is_none();
        let (sentence, error) = match read {
            Ok(()) => return Ok(JobOutcome::Done),
            Err(KnowledgeReadError::Permanent { sentence, is_ours }) => {
                self.set_state(service, &holder, KnowledgeState::Failed, Some(&sentence)).await?;
                return Ok(if is_ours { JobOutcome::DeadLettered(sentence) } else { JobOutcome::Done });
            }
            Err(KnowledgeReadError::Transient(sentence)) => {
                (sentence.clone(), AppError::unavailable(anyhow!(sentence)))
            }
            Err(KnowledgeReadError::Internal(error)) => (INTERNAL_ERROR.to_owned(), error),
        };
        let state = if is_last { KnowledgeState::Failed } else { KnowledgeState::Waiting };
        self.set_state(service, &holder, state, Some(&sentence)).await?;
        Err(error)
    }
}

impl ReadJob {
    async fn set_state(
        self,
        service: &AssistantsService,
        holder: &KnowledgeOwner,
        state: KnowledgeState,
        error: Option<&str>,
    ) -> Result<(), AppError> {
        if rows::set_state(service.db.writer(), self.file_id, state, error, service.clock.now()).await? {
            holder.publish_change(service);
        }
        Ok(())
    }
}

async fn read(
    service: &AssistantsService,
    owner: WorkOwner,
    holder: &KnowledgeOwner,
    file: FileRow,
) -> Result<(), KnowledgeReadError> {
    let job = ReadJob { file_id: file.id };
    let lasting = |sentence: &str| KnowledgeReadError::Permanent { sentence: sentence.to_owned(), is_ours: false };
    let embedder = gateway::embedder(&service.gateway).ok_or_else(|| lasting(NO_MODEL))?;
    let is_current = file.space.as_deref() == Some(embedder.space.as_str());
    if is_current && file.state == KnowledgeState::Ready {
        return Ok(());
    }
    let payer = holder.payer(&file);
    let payer = payer.ok_or_else(|| lasting("No account is left to pay for reading this file. Add it again."))?;
    job.set_state(service, holder, KnowledgeState::Reading, None).await?;
    if file.pieces == 0 {
        chunk_file(service, owner, holder, &file).await?;
        holder.publish_change(service);
    }
    if !is_current {
        let tx = service.db.begin().await.map_err(app_error)?;
        let (model, space) = (embedder.name(), embedder.space.as_str());
        if !rows::set_embedding_model(&tx, file.id, (model, space), service.clock.now()).await? {
            return Ok(());
        }
        tx.commit().await.map_err(app_error)?;
    }
    let mut told = Instant::now();
    loop {
        let pieces = rows::not_embedded(service.db.writer(), file.id, CHUNKS_PER_ROW).await?;
        if pieces.is_empty() {
            break;
        }
        if !embed(service, payer, &embedder, &file, &pieces).await? {
            return Ok(());
        }
        if told.elapsed() >= PROGRESS_INTERVAL {
            told = Instant::now();
            holder.publish_change(service);
        }
    }
    Ok(job.set_state(service, holder, KnowledgeState::Ready, None).await?)
}

/// Extracts the text of a file, splits it, and stores all chunks in one transaction.
async fn chunk_file(
    service: &AssistantsService,
    owner: WorkOwner,
    holder: &KnowledgeOwner,
    file: &FileRow,
) -> Result<(), KnowledgeReadError> {
    let source = TextSource {
        id: file.upload_id,
        name: file.name.clone(),
        media_type: file.media_type.clone(),
        size: file.size,
    };
    let slot = service.work.parsing.acquire_for_job(owner).await;
    let sections = text::sections(&service.files, &source, &slot).await?;
    drop(slot);
    let sections =
        sections.map_err(|why| KnowledgeReadError::Permanent { sentence: why.to_string(), is_ours: false })?;
    let most = service.config.knowledge.max_pieces;
    let left = most.saturating_sub(rows::count_chunks_beside(service.db.writer(), file.assistant_id, file.id).await?);
    let (id, left) = (file.id, usize::try_from(left).unwrap_or(usize::MAX));
    let name = file.name.clone();
    let cutting = tokio::task::spawn_blocking(move || {
        let pieces = chunker::split(id, &sections, left)?;
        Ok::<_, AppError>(pieces.map(|pieces| {
            let words = keywords::word_rows(&name, &pieces);
            (pieces, words)
        }))
    });
    let cut = cutting.await.map_err(AppError::internal)??.ok_or_else(|| {
        let word = holder.label();
        let sentence =
            format!("With this file, this {word} would have more than {most} sections. Remove other files first.");
        KnowledgeReadError::Permanent { sentence, is_ours: false }
    })?;
    let tx = service.db.begin().await.map_err(app_error)?;
    rows::insert_chunks(&tx, file.id, cut, service.clock.now()).await?;
    tx.commit().await.map_err(app_error)?;
    Ok(())
}

/// Embeds a batch of chunks and stores their vectors. Returns `false` if the file was removed.
async fn embed(
    service: &AssistantsService,
    payer: BillingIdentity,
    embedder: &Embedder,
    file: &FileRow,
    pieces: &[PieceRow],
) -> Result<bool, KnowledgeReadError> {
    let Some(first) = pieces.first().map(|piece| piece.number) else { return Ok(true) };
    let texts: Vec<String> = pieces.iter().map(|piece| chunker::embedding_text(&file.name, piece)).collect();
    let Embedded { vectors, cost } = gateway::embed(&service.gateway, payer, file.id.0, embedder, &texts).await?;
    let row = VectorsRow {
        file_id: file.id,
        first,
        count: i32::try_from(vectors.len()).map_err(AppError::internal)?,
        vectors: vectors.iter().flatten().flat_map(|number| number.to_le_bytes()).collect(),
    };
    let tx = service.db.begin().await.map_err(app_error)?;
    let is_there = rows::add_vectors(&tx, row, &embedder.space, service.clock.now()).await?;
    rows::add_cost(&tx, file.id, cost).await?;
    tx.commit().await.map_err(app_error)?;
    Ok(is_there)
}
