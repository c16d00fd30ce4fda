//! Transcripts of voice notes. Sending a voice note enqueues the job, and the text is published
//! with `message.updated`. An assistant addressed by a voice note waits briefly for the transcript.

use appcore::{AppError, Code, view::TranscriptState};
use bytes::Bytes;
use dbcontext::query::uploads::{self as rows, StoredUpload};
use event_log::events::{ServerAction, SetTranscript, TranscribeJob};
use files::uploads::StoredObject;
use futures_util::TryStreamExt as _;
use gateway::{BillingIdentity, StoredRecording};
use jobs::{Job, JobContext, JobOutcome};

use crate::ConversationsService;

impl Job<ConversationsService> for TranscribeJob {
    async fn run(self, work: JobContext<'_, ConversationsService>) -> Result<JobOutcome, AppError> {
        let failures = work.claim.attempt.saturating_sub(work.claim.attempts_before).unsigned_abs();
        let is_last = work.state.config.jobs.backoff_after(failures).is_none();
        tokio::select! {
            written = transcribe(work.state, self, is_last) => match written {
                // The message was deleted meanwhile.
                Err(error) if error.code() == Code::NotFound => Ok(JobOutcome::Done),
                written => written.map(|()| JobOutcome::Done),
            },
            _ = work.lease.keep_alive(&work.state.db) => Ok(JobOutcome::Lost),
            () = work.draining.cancelled() => Ok(JobOutcome::Requeued),
        }
    }
}

async fn transcribe(service: &ConversationsService, job: TranscribeJob, is_last: bool) -> Result<(), AppError> {
    let row = rows::get_all(service.db.reader(), [job.upload_id]).await?.pop().ok_or(Code::NotFound)?;
    if row.transcript_state != Some(TranscriptState::Pending) {
        // The same upload was already transcribed for another message.
        return set_transcript(service, job, row.transcript).await;
    }
    match transcript(service, job, row).await {
        Ok(transcript) => set_transcript(service, job, transcript).await,
        Err(error) if is_last && error.code() != Code::NotFound => {
            set_transcript(service, job, None).await?;
            Err(error)
        }
        // The worker retries the job later.
        Err(error) => Err(error),
    }
}

async fn set_transcript(
    service: &ConversationsService,
    job: TranscribeJob,
    transcript: Option<String>,
) -> Result<(), AppError> {
    let TranscribeJob { conversation_id, message_id, upload_id } = job;
    let set = ServerAction::SetTranscript(SetTranscript { message_id, upload_id, transcript });
    service.events.writer.submit(set.on_conversation(conversation_id)).await.map(drop)
}

/// Transcribes a recording. Returns `None` if it can't be transcribed, now or later.
async fn transcript(
    service: &ConversationsService,
    job: TranscribeJob,
    row: StoredUpload,
) -> Result<Option<String>, AppError> {
    let size = u64::try_from(row.size.unwrap_or_default()).unwrap_or_default();
    let Some(owner) = row.owner_id else { return Ok(None) };
    let workspace = rows::workspace_of(service.db.reader(), job.message_id, job.upload_id).await?;
    let asker = BillingIdentity { user_id: owner, workspace_id: Some(workspace.ok_or(Code::NotFound)?) };
    let recording = StoredRecording { id: row.id, size, media_type: row.media_type };
    let read = async || {
        let pieces = service.files.uploads.store.read(StoredObject::Whole(row.id), 0..size).await?;
        let file: Vec<Bytes> = pieces.try_collect().await?;
        Ok(file.concat().into())
    };
    gateway::transcribe(&service.gateway, asker, recording, read).await
}
