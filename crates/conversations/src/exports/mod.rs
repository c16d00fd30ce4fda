//! Exports of a conversation: requested by a member, written by a durable job, delivered as one of
//! the requester's uploads.

mod archive;
mod format;
mod job;

use std::time::Duration;

use appcore::{
    AppError, Code, ConversationId, Timestamp, UploadId, UserId, WorkspaceId,
    access::Access,
    auth::Principal,
    view::{ExportFormat, Upload, UploadKind},
};
use dbcontext::{
    constraint::app_error,
    query::{
        self,
        uploads::{self as uploads, NewUpload},
    },
};
use event_log::access;
use jobs::{self, JobPayload as _};
use platform::cleanup::SweepJob;

pub use job::ExportJob;

use crate::ConversationsService;

/// Time for which a finished export is kept.
const RETENTION: Duration = Duration::from_secs(7 * 24 * 3_600);
/// Maximum number of unfinished exports per user.
const MAX_WAITING: u64 = 3;
const MEDIA_TYPE: &str = "application/zip";

/// Format and period of an export.
#[derive(Clone, Copy, Debug)]
pub struct ExportOptions {
    pub format: ExportFormat,
    pub from: Option<Timestamp>,
    pub to: Option<Timestamp>,
    /// True to include the attached files.
    pub files: bool,
}

/// Witness that the caller may export a conversation. The export job checks the permission again.
#[derive(Debug)]
pub struct ExportableConversation {
    by: Principal,
    id: ConversationId,
    workspace_id: WorkspaceId,
}

impl ExportableConversation {
    pub async fn authorize(
        service: &ConversationsService,
        by: &Principal,
        id: ConversationId,
    ) -> Result<Self, AppError> {
        let workspace_id = check(service, by.user_id, id).await?.workspace_id;
        Ok(Self { by: by.clone(), id, workspace_id })
    }
}

/// Requests an export. Returns its upload, which is pending until the job has written it.
pub async fn start(
    service: &ConversationsService,
    conversation: &ExportableConversation,
    wanted: ExportOptions,
) -> Result<Upload, AppError> {
    let ExportableConversation { by, id, workspace_id } = conversation;
    if wanted.from.zip(wanted.to).is_some_and(|(from, to)| from > to) {
        return Err(AppError::field("to", "invalid", "Choose an end after the start."));
    }
    let now = service.clock.now();
    let upload_id = UploadId::new();
    let job = ExportJob { upload_id, user_id: by.user_id, conversation_id: *id, wanted: wanted.into() };
    if query::jobs::count_unfinished(service.db.reader(), &job.concurrency_key()).await? >= MAX_WAITING {
        let sentence = "Your last exports are still being written. Wait for them, then try again.";
        return Err(AppError::refused(Code::TooMany, sentence));
    }
    let new = NewUpload {
        id: upload_id,
        owner: Some(by.user_id),
        name: format!("conversation-{}.zip", &now.to_string()[..10]),
        kind: UploadKind::File,
        media_type: MEDIA_TYPE.to_owned(),
        size: None,
        reserved_bytes: None,
        peaks: None,
        duration_ms: None,
        transcript_state: None,
        created_at: now,
    };
    let tx = service.db.begin().await.map_err(app_error)?;
    uploads::insert(&tx, &new).await?;
    jobs::enqueue_for(&tx, now, &job, (by.user_id, *workspace_id)).await?;
    jobs::enqueue_after(&tx, now, &SweepJob::Upload(upload_id), RETENTION).await?;
    tx.commit().await.map_err(app_error)?;
    service.wake_workers();
    files::uploads::find(&service.files, by, upload_id).await
}

/// Refuses users who may not export the conversation.
async fn check(service: &ConversationsService, user: UserId, id: ConversationId) -> Result<Access, AppError> {
    let access = access::reader(&service.events, user, id).await?;
    let members = query::members::count(service.db.reader(), id).await?;
    access.may_export(members <= u64::from(service.config.realtime.small_conversation))?;
    Ok(access)
}
