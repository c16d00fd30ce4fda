//! Full-text extraction: the texts of files are searched with the messages that they are attached to.
//!
//! The indexer enqueues a job for each file without an extracted text. The job is stored before the indexer's position,
//! so none is lost. A separate process extracts the text, which is truncated and stored with the upload; then the
//! file's messages are queued for indexing again. Deleting the file deletes its text.

use std::collections::HashMap;

use appcore::{
    AppError, Code, UploadId,
    config::Config,
    event::{BusMessage, Signal},
    view::UploadStatus,
};
use dbcontext::{
    constraint::app_error,
    query::{
        search::{self as rows, IndexedMessage, UnextractedFile},
        uploads,
    },
};
use extract::Section;
use files::uploads::text::{self, TextSource};
use jobs::{self, Job, JobContext, JobOutcome, JobPayload};
use platform::work_pools::{WorkOwner, job_owner};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::SearchService;
use crate::document::Texts;

/// Maximum size of a processed file, in bytes.
const MAX_FILE_BYTES: i64 = 64 * 1024 * 1024;
/// Maximum size of a stored text, in bytes: about as many words as are indexed per message.
const MAX_TEXT_BYTES: usize = 64 * 1024;
/// Maximum number of files that this instance processes concurrently.
const MAX_CONCURRENT_FILES: usize = 2;
/// Number of crashed attempts after which a file counts as having no text, because it may cause the crashes.
const MAX_ATTEMPTS: i32 = 4;

/// Extracts the text of a file for the search.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct FileTextJob {
    pub upload_id: UploadId,
}

impl JobPayload for FileTextJob {
    const KIND: &'static str = "file_text";

    fn concurrency_key(&self) -> String {
        format!("{}:{}", Self::KIND, self.upload_id)
    }

    fn subject(&self) -> Uuid {
        self.upload_id.0
    }
}

impl Job<SearchService> for FileTextJob {
    /// Number of jobs that run at the same time: one per slot of the file parsers, because each job waits for a slot.
    fn max_concurrent(_config: &Config) -> usize {
        MAX_CONCURRENT_FILES
    }

    async fn run(self, work: JobContext<'_, SearchService>) -> Result<JobOutcome, AppError> {
        let JobContext { state: service, claim, lease, draining } = work;
        let is_hopeless = claim.attempt - claim.attempts_before > MAX_ATTEMPTS;
        tokio::select! {
            done = self.extract_text(service, job_owner(claim), is_hopeless) => done.map(|()| JobOutcome::Done),
            _ = lease.keep_alive(&service.db) => Ok(JobOutcome::Lost),
            () = draining.cancelled() => Ok(JobOutcome::Requeued),
        }
    }
}

impl FileTextJob {
    async fn extract_text(self, service: &SearchService, owner: WorkOwner, is_hopeless: bool) -> Result<(), AppError> {
        let id = self.upload_id;
        let is_read = rows::is_file_extracted(service.db.reader(), id).await?;
        let mut text = String::new();
        if !is_read && !is_hopeless {
            // The file may have been removed in the meantime.
            let Some(file) = uploads::get_all(service.db.reader(), [id]).await?.pop() else { return Ok(()) };
            let size = file.size.unwrap_or_default();
            if file.status == UploadStatus::Ready && size <= MAX_FILE_BYTES {
                let source = TextSource { id, name: file.name, media_type: file.media_type, size };
                let slot = service.work.parsing.acquire_for_job(owner).await;
                text = match text::sections(&service.files, &source, &slot).await {
                    Ok(sections) => sections.map(|sections| join_sections(&sections)).unwrap_or_default(),
                    Err(error) if error.code() == Code::NotFound => return Ok(()),
                    Err(error) => return Err(error),
                };
            }
        }
        let tx = service.db.begin().await.map_err(app_error)?;
        if uploads::lock_to_send(&tx, [id]).await?.is_empty() {
            return Ok(());
        }
        if !is_read {
            rows::set_file_text(&tx, id, &text, service.clock.now()).await?;
        }
        rows::queue_messages_of(&tx, id).await?;
        tx.commit().await.map_err(app_error)?;
        drop(service.bus.publish(vec![BusMessage::Signal(Signal::SearchIndexStale)]));
        Ok(())
    }
}

/// Joins the sections of a file's text up to the maximum size.
fn join_sections(sections: &[Section]) -> String {
    let mut text = String::new();
    for section in sections {
        if !text.is_empty() {
            text.push('\n');
        }
        let end = section.text.floor_char_boundary(MAX_TEXT_BYTES.saturating_sub(text.len()));
        text.push_str(&section.text[..end]);
        if end < section.text.len() {
            break;
        }
    }
    text
}

/// Returns the texts of these messages' files, and enqueues jobs for files without an extracted text.
pub(super) async fn texts(service: &SearchService, found: &[IndexedMessage]) -> Result<HashMap<Uuid, Texts>, AppError> {
    let carrying: Vec<Uuid> =
        found.iter().filter(|row| row.deleted_at.is_none() && row.attachments.is_some()).map(|row| row.id.0).collect();
    if carrying.is_empty() {
        return Ok(HashMap::new());
    }
    let unread = rows::unextracted_files(service.db.reader(), &carrying).await?;
    let mut unread: Vec<UnextractedFile> =
        unread.into_iter().filter(|file| extract::is_readable(&file.media_type, &file.name)).collect();
    unread.sort_unstable_by_key(|file| file.id);
    unread.dedup_by_key(|file| file.id);
    if !unread.is_empty() {
        let now = service.clock.now();
        let tx = service.db.begin().await.map_err(app_error)?;
        for UnextractedFile { id, owner_id, workspace_id, .. } in unread {
            let job = FileTextJob { upload_id: id };
            match owner_id {
                Some(owner) => jobs::enqueue_for(&tx, now, &job, (owner, workspace_id)).await?,
                None => jobs::enqueue(&tx, now, &job).await?,
            }
        }
        tx.commit().await.map_err(app_error)?;
        service.wake_workers();
    }
    Ok(by_message(rows::file_texts(service.db.reader(), &carrying).await?))
}

pub(super) fn by_message(texts: Vec<rows::FileText>) -> HashMap<Uuid, Texts> {
    let mut found: HashMap<Uuid, Texts> = HashMap::new();
    for one in texts {
        found.entry(one.message_id.0).or_default().insert(one.upload_id, one.text);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn truncates_text_at_a_character_boundary() {
        let section = |text: &str| Section { text: text.to_owned(), ..Section::default() };
        assert_eq!(join_sections(&[section("one"), section("two")]), "one\ntwo");
        let long = join_sections(&[section("x"), section(&"đ".repeat(MAX_TEXT_BYTES)), section("more")]);
        assert_eq!(long, format!("x\n{}", "đ".repeat(MAX_TEXT_BYTES / 2 - 1)));
    }
}
