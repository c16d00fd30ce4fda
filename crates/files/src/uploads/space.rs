//! Limits on storage space: for the unsent files of a user, all files of a user, those of a
//! workspace, and the disk.
//!
//! Space is reserved in the transaction that announces a file, while its owner's row is locked, so
//! that concurrent uploads can't exceed a limit together. A file of unknown size reserves space in
//! steps. The limit of a workspace is enforced by the writer when a file is attached to a message;
//! earlier checks only serve to refuse a file early.

use appcore::{AppError, Code, ConversationId, Timestamp, UploadId, UserId, WorkspaceId, auth::Principal};
use dbcontext::{
    constraint::app_error,
    query::{uploads as rows, users},
};
use event_log::access;
use platform::work_pools::WorkOwner;
use sea_orm::ConnectionTrait;

use super::UNSENT_RETENTION;
use crate::{FilesService, quotas};

/// Number of bytes that a file of unknown size reserves at a time.
const RESERVATION_STEP: i64 = 8 * 1024 * 1024;

/// Reserves space for a file, or for the first step if its size is unknown. Returns the number of
/// reserved bytes.
pub(super) async fn reserve<C: ConnectionTrait>(
    service: &FilesService,
    txn: &C,
    owner: UserId,
    size: Option<i64>,
) -> Result<i64, AppError> {
    let (least, most) = size.map_or((1, initial_reservation(service)), |size| (size, size));
    reserve_between(service, txn, owner, (least, most), None).await
}

fn initial_reservation(service: &FilesService) -> i64 {
    i64::try_from(service.config.uploads.max_bytes).unwrap_or(i64::MAX).min(RESERVATION_STEP)
}

/// Extends the reservation of a file that has become larger than it.
pub(super) async fn extend_reservation(
    service: &FilesService,
    owner: UserId,
    id: UploadId,
    size: u64,
) -> Result<u64, AppError> {
    let least = i64::try_from(size).unwrap_or(i64::MAX);
    let _slot = service.work.disk.acquire_for_job(WorkOwner::user(owner)).await;
    let tx = service.db.begin().await.map_err(app_error)?;
    let taken = reserve_between(service, &tx, owner, (least, least.saturating_add(RESERVATION_STEP)), Some(id)).await?;
    if !rows::reserve(&tx, id, taken).await? {
        return Err(Code::NotFound.into());
    }
    tx.commit().await.map_err(app_error)?;
    Ok(taken.unsigned_abs())
}

async fn reserve_between<C: ConnectionTrait>(
    service: &FilesService,
    txn: &C,
    owner: UserId,
    (least, most): (i64, i64),
    known: Option<UploadId>,
) -> Result<i64, AppError> {
    users::lock(txn, owner).await?;
    let since = Timestamp(
        service.clock.now().0.saturating_sub(i64::try_from(UNSENT_RETENTION.as_millis()).unwrap_or(i64::MAX)),
    );
    let left = service.config.uploads.unsent_bytes.saturating_sub(rows::unsent_bytes(txn, owner, since, known).await?);
    if least > left {
        return Err(AppError::refused(
            Code::QuotaExceeded,
            "Too many of your files haven't been sent yet. Send or remove some first.",
        ));
    }
    Ok(most.min(left).min(quotas::check_storage(service, txn, owner, least, known).await?))
}

/// Refuses a file that already exceeds the limit of the conversation's workspace before it is sent.
pub(super) async fn check_workspace(
    service: &FilesService,
    by: &Principal,
    id: ConversationId,
    size: i64,
) -> Result<(), AppError> {
    let most = service.config.uploads.workspace_bytes;
    if most == 0 {
        return Ok(());
    }
    let workspace = access::member(&service.events, by.user_id, id).await?.workspace_id;
    check_fits(service.db.reader(), workspace, size, most).await
}

/// Refuses a knowledge file that exceeds the limit of its workspace. Locks the workspace's storage
/// quota until the transaction ends.
pub async fn check_knowledge_file<C: ConnectionTrait>(
    service: &FilesService,
    txn: &C,
    workspace: WorkspaceId,
    size: i64,
) -> Result<(), AppError> {
    let most = service.config.uploads.workspace_bytes;
    if most == 0 {
        return Ok(());
    }
    rows::lock_workspace_quota(txn, workspace).await?;
    check_fits(txn, workspace, size, most).await
}

/// Refuses files that exceed the limit of the workspace in which they will be sent.
pub async fn check_attachments(
    service: &FilesService,
    access: &access::Lookup<'_>,
    uploads: &[UploadId],
) -> Result<(), AppError> {
    let most = service.config.uploads.workspace_bytes;
    if uploads.is_empty() || most == 0 {
        return Ok(());
    }
    let workspace = access.member().await?.workspace_id;
    let sent = rows::get_all(service.db.reader(), uploads.iter().copied()).await?;
    let size: i64 = sent.iter().filter_map(|row| row.size).sum();
    check_fits(service.db.reader(), workspace, size, most).await
}

async fn check_fits<C: ConnectionTrait>(db: &C, workspace: WorkspaceId, size: i64, most: i64) -> Result<(), AppError> {
    if rows::bytes_in_workspace(db, workspace).await?.saturating_add(size) > most {
        return Err(AppError::refused(
            Code::QuotaExceeded,
            "This workspace has too little storage left. Delete files there, or ask its admins.",
        ));
    }
    Ok(())
}
