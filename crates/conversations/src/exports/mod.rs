//! A conversation as a file: asked for by a member, written by a durable job, given to whoever has asked as one of their uploads.

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
use jobs::{self, Stored as _};
use platform::cleanup::SweepJob;

pub use job::ExportJob;

use crate::ConversationsService;

/// So long an export can be fetched.
const KEPT: Duration = Duration::from_secs(7 * 24 * 3_600);
/// Exports of one person that may wait.
const MAX_WAITING: u64 = 3;
const MEDIA_TYPE: &str = "application/zip";

/// What of a conversation is wanted.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    pub format: ExportFormat,
    pub from: Option<Timestamp>,
    pub to: Option<Timestamp>,
    /// With the files that messages carry.
    pub files: bool,
}

/// A conversation that the caller may take along. Only [asking](Self::ask) makes one; the job that writes it checks once more.
#[derive(Debug)]
pub struct ExportableConversation {
    by: Principal,
    id: ConversationId,
    workspace_id: WorkspaceId,
}

impl ExportableConversation {
    pub async fn ask(service: &ConversationsService, by: &Principal, id: ConversationId) -> Result<Self, AppError> {
        let workspace_id = check(service, by.user_id, id).await?.workspace_id;
        Ok(Self { by: by.clone(), id, workspace_id })
    }
}

/// Begins an export. Answers the upload that it will be, which is pending until it is written.
pub async fn begin(
    service: &ConversationsService,
    conversation: &ExportableConversation,
    wanted: Wanted,
) -> Result<Upload, AppError> {
    let ExportableConversation { by, id, workspace_id } = conversation;
    if wanted.from.zip(wanted.to).is_some_and(|(from, to)| from > to) {
        return Err(AppError::field("to", "invalid", "This is before the beginning."));
    }
    let now = service.clock.now();
    let upload_id = UploadId::new();
    let job = ExportJob { upload_id, user_id: by.user_id, conversation_id: *id, wanted: wanted.into() };
    if query::jobs::unfinished(service.db.reader(), &job.concurrency_key()).await? >= MAX_WAITING {
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
    jobs::ask_for(&tx, now, &job, (by.user_id, *workspace_id)).await?;
    jobs::ask_after(&tx, now, &SweepJob::Upload(upload_id), KEPT).await?;
    tx.commit().await.map_err(app_error)?;
    service.wake_workers();
    files::uploads::find(&service.files, by, upload_id).await
}

/// Refuses whoever may not take the conversation along.
async fn check(service: &ConversationsService, user: UserId, id: ConversationId) -> Result<Access, AppError> {
    let access = access::reader(&service.events, user, id).await?;
    let members = query::members::count(service.db.reader(), id).await?;
    access.may_export(members <= u64::from(service.config.realtime.small_conversation))?;
    Ok(access)
}
