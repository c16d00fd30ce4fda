//! Export job: writes a conversation and its files into an archive.

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use appcore::{
    AppError, Code, ConversationId, NotificationId, Timestamp, UploadId, UserId,
    event::Event,
    view::{ExportFormat, Message, NotificationKind, Upload},
};
use bytes::Bytes;
use dbcontext::query::{conversations, exports, members};
use event_log::notifications::{NewNotification, notify};
use files::uploads::{self, StoredObject};
use jobs::{Job, JobContext, JobOutcome, JobPayload};
use platform::work_pools::WorkOwner;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{ExportOptions, MEDIA_TYPE, archive::Archive, check, format};
use crate::ConversationsService;

/// Minimum interval between progress events.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(1);
/// Number of member names in the title of a conversation without one.
const TITLE_NAMES: u32 = 5;
/// Maximum total size of the files in an export, in bytes.
const MAX_BYTES: u64 = 2 * 1024 * 1024 * 1024;

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct StoredExportOptions {
    pub format: ExportFormat,
    pub from: Option<Timestamp>,
    pub to: Option<Timestamp>,
    pub files: bool,
}

impl From<ExportOptions> for StoredExportOptions {
    fn from(ExportOptions { format, from, to, files }: ExportOptions) -> Self {
        Self { format, from, to, files }
    }
}

/// Writes a conversation into the upload reserved for it. The job can start over at any time.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct ExportJob {
    pub upload_id: UploadId,
    pub user_id: UserId,
    pub conversation_id: ConversationId,
    pub(crate) wanted: StoredExportOptions,
}

impl JobPayload for ExportJob {
    const KIND: &'static str = "export";

    fn concurrency_key(&self) -> String {
        format!("{}:{}", Self::KIND, self.user_id)
    }

    fn subject(&self) -> Uuid {
        self.upload_id.0
    }
}

impl Job<ConversationsService> for ExportJob {
    /// Limit of one export at a time, because exports use disk space and are not urgent.
    fn max_concurrent(_config: &appcore::config::Config) -> usize {
        1
    }

    async fn run(self, work: JobContext<'_, ConversationsService>) -> Result<JobOutcome, AppError> {
        let failures = work.claim.attempt.saturating_sub(work.claim.attempts_before).unsigned_abs();
        let is_last = work.state.config.jobs.backoff_after(failures).is_none();
        tokio::select! {
            ended = write_and_notify(work.state, self, is_last) => ended,
            _ = work.lease.keep_alive(&work.state.db) => Ok(JobOutcome::Lost),
            () = work.draining.cancelled() => Ok(JobOutcome::Requeued),
        }
    }
}

/// Writes the export and notifies its owner. Only `Unavailable` is retried; after any other error
/// or the last attempt, the owner is notified of the failure.
async fn write_and_notify(
    service: &ConversationsService,
    job: ExportJob,
    is_last: bool,
) -> Result<JobOutcome, AppError> {
    let error = match write(service, job).await {
        Ok(upload) => return notify_owner(service, job, Some(upload)).await.map(|()| JobOutcome::Done),
        Err(AppError::Unavailable(cause)) if !is_last => return Err(AppError::Unavailable(cause)),
        Err(error) => error,
    };
    tracing::info!(%error, export = %job.upload_id, "failed to write export");
    uploads::cancel(&service.files, job.upload_id).await?;
    notify_owner(service, job, None).await?;
    match error {
        AppError::Unavailable(_) => Err(error),
        AppError::Internal(_) => Ok(JobOutcome::DeadLettered(error.to_string())),
        _ => Ok(JobOutcome::Done),
    }
}

async fn write(service: &ConversationsService, job: ExportJob) -> Result<Upload, AppError> {
    let ExportJob { upload_id, user_id, conversation_id: id, wanted } = job;
    // Access is checked again, because the user may have been removed since the request.
    let begins_after = check(service, user_id, id).await?.hidden_until_seq();
    let row = conversations::find(service.db.reader(), user_id, id).await?.ok_or(Code::NotFound)?;
    let people = members::of_conversations(service.db.reader(), &[id], TITLE_NAMES).await?;
    let head = format::ExportHead {
        id,
        kind: row.kind,
        title: row.title,
        people: people.into_iter().map(|member| member.display_name).collect(),
        exported_at: service.clock.now(),
        from: wanted.from,
        to: wanted.to,
    };
    let of =
        exports::count_of_conversation(&service.db.replica().await, id, begins_after, wanted.from, wanted.to).await?;
    let tell = |messages| {
        service.notify_user(user_id, &Event::ExportProgress { conversation_id: id, upload_id, messages, of })
    };
    tell(0)?;
    let mut archive = Archive::create(service, WorkOwner::user(user_id)).await?;
    let filled = fill(service, job, &head, begins_after, &mut archive, tell).await;
    uploads::store_generated(&service.files, upload_id, MEDIA_TYPE, archive.finish(filled).await?).await
}

/// Writes messages and files into the archive. `tell` is called with the number of messages written
/// so far.
async fn fill(
    service: &ConversationsService,
    ExportJob { conversation_id: id, wanted, .. }: ExportJob,
    head: &format::ExportHead,
    mut after: i64,
    archive: &mut Archive,
    tell: impl Fn(u64) -> Result<(), AppError> + Send,
) -> Result<(), AppError> {
    let (mut messages, mut told_at) = (0, Instant::now());
    archive.start_file(wanted.format.file_name()).await?;
    archive.write(format::prologue(wanted.format, head)?).await?;
    let (mut files, mut paths) = (Vec::new(), HashSet::new());
    let mut is_first = true;
    loop {
        let part = exports::of_conversation(&service.db.replica().await, id, after, wanted.from, wanted.to).await?;
        let Some(last) = part.last() else { break };
        after = last.seq;
        for row in part {
            let message = Message::try_from(row)?;
            for file in message.attachments.iter().filter(|_| wanted.files) {
                let path = format::path_of(file);
                // The same file may be attached to several messages.
                if paths.insert(path.clone()) {
                    files.push((file.id, path, file.size));
                }
            }
            archive.write(format::message(wanted.format, &message, is_first, wanted.files)?).await?;
            is_first = false;
            messages += 1;
        }
        if told_at.elapsed() >= PROGRESS_INTERVAL {
            told_at = Instant::now();
            tell(messages)?;
        }
    }
    archive.write(format::epilogue(wanted.format)).await?;
    for (file, path, size) in files {
        let size = u64::try_from(size).unwrap_or_default();
        if archive.size().saturating_add(size) > MAX_BYTES {
            return Err(AppError::refused(Code::TooLarge, "This conversation has too many files for one export."));
        }
        copy(service, archive, file, &path, size).await?;
    }
    Ok(())
}

async fn copy(
    service: &ConversationsService,
    archive: &mut Archive,
    id: UploadId,
    path: &str,
    size: u64,
) -> Result<(), AppError> {
    use futures_util::StreamExt as _;
    let mut pieces = match service.files.uploads.store.read(StoredObject::Whole(id), 0..size).await {
        Ok(pieces) => pieces,
        // The file was deleted after its message was read.
        Err(error) if error.code() == Code::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    archive.start_file(path).await?;
    while let Some(piece) = pieces.next().await {
        archive.write::<Bytes>(piece?).await?;
    }
    Ok(())
}

/// Notifies the owner that the export has ended, successfully or not.
async fn notify_owner(service: &ConversationsService, job: ExportJob, upload: Option<Upload>) -> Result<(), AppError> {
    let event = Event::ExportEnded {
        conversation_id: job.conversation_id,
        upload_id: job.upload_id,
        upload: upload.clone().map(Box::new),
    };
    service.notify_user(job.user_id, &event)?;
    let Some(upload) = upload else { return Ok(()) };
    let notice = NewNotification {
        // The id is derived from the upload, so that there is one notification per export.
        id: NotificationId(job.upload_id.0),
        user_id: job.user_id,
        kind: NotificationKind::Export,
        conversation_id: Some(job.conversation_id),
        message_id: None,
        upload_id: Some(job.upload_id),
        detail: None,
        title: Some(upload.name),
        text: Some(String::new()),
    };
    notify(&service.events, notice).await
}
