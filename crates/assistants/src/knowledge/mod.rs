//! Knowledge files of assistants, sections and workspaces.
//!
//! An uploaded file is added to an assistant by somebody who may change it, to a section by its
//! owner, or to a workspace by its admins. A [job](ReadJob) extracts its text, splits it into
//! chunks and embeds them; the owner of the assistant, the section or the workspace pays. For an
//! answer the question is embedded as well. The chunks [nearest](search) to it and those [matching
//! its words](keywords) are [added to the prompt](retrieval) with numbers, so that the answer can
//! cite them.
//!
//! Vectors of different models are never compared: the `space` of a file identifies the model that
//! made its vectors, and files of another model than the current one are [embedded again](follow).

mod chunker;
mod keywords;
mod owner;
mod read;
mod retrieval;
mod search;
mod sweep;
#[cfg(test)]
mod tests;

use std::{sync::Weak, time::Duration};

use appcore::{
    AppError, Code, KnowledgeFileId, MessageId, UploadId,
    access::sees_open_channels,
    auth::Principal,
    credits::MicroCredits,
    view::{CitedPiece, Knowledge, KnowledgeFile, KnowledgeLimits, KnowledgeState, Message, UploadStatus},
};
use dbcontext::{
    constraint::app_error,
    query::{
        self,
        knowledge::{self as rows, FileRow},
        uploads::{self as uploaded, StoredUpload},
    },
};

use files::uploads::space;
use jobs::{self, JobPayload as _};
pub use owner::EditableKnowledge;
pub use read::ReadJob;
pub(crate) use retrieval::{AvailableKnowledge, RetrievedKnowledge};

use self::owner::KnowledgeOwner;
use crate::AssistantsService;

/// Interval between checks whether the embedding model has changed.
const POLL_INTERVAL: Duration = Duration::from_secs(5);
/// Number of checks after which outdated files are searched even if the model has not changed.
const FULL_CHECK_POLLS: u32 = 120;
/// Number of files that are enqueued per batch.
const BATCH_SIZE: usize = 100;

/// Knowledge files of an assistant, a section or a workspace.
pub async fn list(service: &AssistantsService, shelf: &EditableKnowledge) -> Result<Knowledge, AppError> {
    let holder = &shelf.owner;
    let files = rows::list(service.db.reader(), holder.key(), shelf.workspace_id).await?;
    let files: Vec<KnowledgeFile> = files.into_iter().map(TryInto::try_into).collect::<Result<_, _>>()?;
    let settings = &service.config.knowledge;
    Ok(Knowledge {
        assistant_id: holder.assistant_id(),
        section_id: holder.section_id(),
        workspace_id: holder.workspace_id(),
        model: gateway::embedder(&service.gateway).map(|embedder| embedder.name().to_owned()),
        pieces: files.iter().map(|file| file.pieces).sum(),
        limits: KnowledgeLimits {
            files: settings.max_files,
            file_bytes: settings.max_file_bytes,
            pieces: settings.max_pieces,
        },
        files,
    })
}

/// Result of adding a file; `is_new` is false if the file had been added before.
#[derive(Debug)]
pub struct AddedFile {
    pub file: KnowledgeFile,
    pub is_new: bool,
}

/// Adds an upload of the caller to an assistant, a section or a workspace.
pub async fn add(
    service: &AssistantsService,
    shelf: &EditableKnowledge,
    upload_id: UploadId,
) -> Result<AddedFile, AppError> {
    let EditableKnowledge { by, owner: holder, workspace_id } = shelf;
    let (id, workspace_id) = (holder.key(), *workspace_id);
    if gateway::embedder(&service.gateway).is_none() {
        return Err(AppError::refused(Code::WrongState, read::NO_MODEL));
    }
    let upload = uploaded::find_readable(service.db.reader(), by.user_id, upload_id).await?;
    let upload = upload.filter(|upload| upload.owner_id == Some(by.user_id)).ok_or(Code::NotFound)?;
    if let Some(known) = rows::of_upload(service.db.reader(), id, upload_id).await? {
        return Ok(AddedFile { file: known.try_into()?, is_new: false });
    }
    check(service, holder, &upload)?;
    let now = service.clock.now();
    let row = FileRow {
        id: KnowledgeFileId::new(),
        assistant_id: id,
        section_id: holder.section_id(),
        workspace_id,
        upload_id,
        added_by: Some(by.user_id),
        name: upload.name,
        media_type: upload.media_type,
        size: upload.size.unwrap_or_default(),
        state: KnowledgeState::Waiting,
        error: None,
        pieces: 0,
        embedded: 0,
        model: None,
        space: None,
        cost: MicroCredits::ZERO,
        created_at: now,
        updated_at: now,
    };
    let tx = service.db.begin().await.map_err(app_error)?;
    if !holder.lock(&tx).await? {
        return Err(Code::NotFound.into());
    }
    space::check_knowledge_file(&service.files, &tx, workspace_id, row.size).await?;
    // Locks the upload until it is attached.
    if uploaded::lock_to_send(&tx, [upload_id]).await?.is_empty() {
        return Err(Code::NotFound.into());
    }
    let most = service.config.knowledge.max_files;
    if rows::count(&tx, id).await? >= most {
        let sentence = match holder {
            KnowledgeOwner::Assistant(_) => format!("An assistant can have up to {most} files. Remove others first."),
            KnowledgeOwner::Section { .. } => format!("A project can have up to {most} files. Remove others first."),
            KnowledgeOwner::Workspace { .. } => {
                format!("A workspace can have up to {most} files. Remove others first.")
            }
        };
        return Err(AppError::refused(Code::QuotaExceeded, sentence));
    }
    let is_new = rows::insert(&tx, &row).await?;
    if is_new {
        jobs::enqueue_for(&tx, now, &ReadJob { file_id: row.id }, (by.user_id, workspace_id)).await?;
    }
    tx.commit().await.map_err(app_error)?;
    let known = rows::of_upload(service.db.writer(), id, upload_id).await?.ok_or(Code::NotFound)?;
    if is_new {
        service.wake_workers();
        holder.publish_change(service);
    }
    Ok(AddedFile { file: known.try_into()?, is_new })
}

/// Refuses unreadable and too large files before the job is enqueued.
fn check(service: &AssistantsService, holder: &KnowledgeOwner, upload: &StoredUpload) -> Result<(), AppError> {
    if upload.status != UploadStatus::Ready {
        return Err(AppError::refused(Code::WrongState, "This file hasn't been uploaded completely yet."));
    }
    if !extract::is_readable(&upload.media_type, &upload.name) {
        let sentence = "Assistants can read texts, Markdown, code, web pages, CSV, PDF, Office (.docx, .xlsx, .xls, .pptx) and OpenDocument files.";
        return Err(AppError::refused(Code::TypeRefused, sentence));
    }
    let most = service.config.knowledge.max_file_bytes;
    if upload.size.unwrap_or_default().unsigned_abs() > most {
        let most = most / 1_000_000;
        let sentence = match holder {
            KnowledgeOwner::Assistant(_) => format!("An assistant’s files can have up to {most} MB each."),
            KnowledgeOwner::Section { .. } => format!("A project’s files can have up to {most} MB each."),
            KnowledgeOwner::Workspace { .. } => format!("A workspace’s files can have up to {most} MB each."),
        };
        return Err(AppError::refused(Code::TooLarge, sentence));
    }
    Ok(())
}

/// Reads a failed or delayed file again now.
pub async fn retry(
    service: &AssistantsService,
    shelf: &EditableKnowledge,
    file_id: KnowledgeFileId,
) -> Result<KnowledgeFile, AppError> {
    let id = shelf.owner.key();
    let tx = service.db.begin().await.map_err(app_error)?;
    let known = rows::find(&tx, id, file_id).await?.ok_or(Code::NotFound)?;
    let may_try = known.file.state == KnowledgeState::Failed
        || known.file.state == KnowledgeState::Waiting && known.file.error.is_some();
    if !may_try {
        return Err(AppError::refused(Code::WrongState, "This file doesn't need a retry."));
    }
    let now = service.clock.now();
    let job = ReadJob { file_id };
    rows::set_state(&tx, file_id, KnowledgeState::Waiting, None, now).await?;
    // An earlier job of the file may be dead-lettered or delayed, so it is removed.
    query::jobs::remove_all(&tx, ReadJob::KIND, job.subject()).await?;
    jobs::enqueue_for(&tx, now, &job, (shelf.by.user_id, shelf.workspace_id)).await?;
    tx.commit().await.map_err(app_error)?;
    service.wake_workers();
    shelf.owner.publish_change(service);
    rows::find(service.db.writer(), id, file_id).await?.ok_or(Code::NotFound)?.try_into()
}

/// Removes a file from an assistant, a section or a workspace, with its chunks and vectors.
pub async fn remove(
    service: &AssistantsService,
    shelf: &EditableKnowledge,
    file_id: KnowledgeFileId,
) -> Result<(), AppError> {
    rows::find(service.db.writer(), shelf.owner.key(), file_id).await?.ok_or(Code::NotFound)?;
    sweep::remove(service, file_id).await?;
    shelf.owner.publish_change(service);
    Ok(())
}

/// Passage cited by an answer, with its neighbours. Allowed to readers of the answer, except that
/// guests get nothing from files of a workspace, because they may have joined after the answer.
pub async fn cited_passage(
    service: &AssistantsService,
    by: &Principal,
    id: MessageId,
    n: u64,
) -> Result<CitedPiece, AppError> {
    let found = query::messages::find(service.db.reader(), by.user_id, id).await?;
    let message = Message::try_from(found.ok_or(Code::NotFound)?)?;
    let citations = message.answer.filter(|_| message.deleted_at.is_none()).map(|answer| answer.citations);
    let cited = citations.into_iter().flatten().find(|citation| u64::from(citation.n) == n).ok_or(Code::NotFound)?;
    let gone = || AppError::refused(Code::NotFound, "This file isn't part of the assistant's knowledge any more.");
    let file = rows::get(service.db.reader(), cited.file_id).await?.ok_or_else(gone)?;
    if file.is_of_workspace() {
        let place = query::access::find(service.db.reader(), message.conversation_id, by.user_id).await?;
        if !place.and_then(|place| place.workspace_role).is_some_and(sees_open_channels) {
            return Err(gone());
        }
    }
    let number = i32::try_from(cited.piece).map_err(AppError::internal)?;
    let around = [number - 1, number, number.saturating_add(1)].map(|number| (cited.file_id, number));
    let mut pieces = rows::chunks(service.db.reader(), &around).await?;
    let mut take = |number: i32| {
        let place = pieces.iter().position(|piece| piece.number == number)?;
        Some(pieces.swap_remove(place).text)
    };
    let text = take(number).ok_or_else(gone)?;
    let may_read_file = uploaded::find_readable(service.db.reader(), by.user_id, cited.upload_id).await?.is_some();
    Ok(CitedPiece {
        n: cited.n,
        file_id: cited.file_id,
        upload_id: cited.upload_id,
        file_name: cited.file_name,
        piece: cited.piece,
        page: cited.page,
        heading: cited.heading,
        line: cited.line,
        text,
        may_read_file,
        before: take(number - 1),
        after: take(number.saturating_add(1)),
    })
}

/// Background task: embeds files again after a change of the embedding model.
pub(crate) async fn follow_embedding_model(service: Weak<AssistantsService>) {
    let mut tick = tokio::time::interval(POLL_INTERVAL);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let (mut known, mut since, mut are_filled) = (None, 0, false);
    loop {
        tick.tick().await;
        let Some(service) = service.upgrade() else { return };
        if !are_filled {
            match jobs::catch_panic(keywords::index_earlier_files(&service)).await {
                Ok(()) => are_filled = true,
                Err(error) => tracing::warn!(%error, "failed to index words of earlier files, retrying"),
            }
        }
        let Some(embedder) = gateway::embedder(&service.gateway) else { continue };
        since += 1;
        if known.as_ref() == Some(&embedder.space) && since < FULL_CHECK_POLLS {
            continue;
        }
        match jobs::catch_panic(reembed_outdated(&service, &embedder.space)).await {
            Ok(()) => (known, since) = (Some(embedder.space), 0),
            Err(error) => tracing::warn!(%error, "failed to enqueue files for re-embedding, retrying"),
        }
    }
}

/// Enqueues all outdated files. A failing file doesn't block the others and is retried later.
async fn reembed_outdated(service: &AssistantsService, space: &str) -> Result<(), AppError> {
    let (mut after, mut failed) = (None, None);
    loop {
        let files = rows::of_other_space(service.db.reader(), space, after, BATCH_SIZE).await?;
        let Some(last) = files.last() else { return failed.map_or(Ok(()), Err) };
        after = Some(last.id);
        for file in files {
            let id = file.id;
            if let Err(error) = reembed_file(service, file, space).await {
                if !service.db.is_available() {
                    return Err(error);
                }
                tracing::warn!(%error, file = %id, "failed to enqueue file for re-embedding");
                failed = Some(error);
            }
        }
        service.wake_workers();
    }
}

async fn reembed_file(service: &AssistantsService, file: FileRow, space: &str) -> Result<(), AppError> {
    let now = service.clock.now();
    let tx = service.db.begin().await.map_err(app_error)?;
    if rows::reset_embedding(&tx, file.id, space, now).await? {
        let job = ReadJob { file_id: file.id };
        match file.added_by {
            Some(user_id) => jobs::enqueue_for(&tx, now, &job, (user_id, file.workspace_id)).await?,
            None => jobs::enqueue(&tx, now, &job).await?,
        }
    }
    tx.commit().await.map_err(app_error)
}
