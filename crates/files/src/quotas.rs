//! Storage quotas: total size of a user's files and texts, in bytes. They are checked while the
//! user's row is locked, so that concurrent requests can't exceed them together.

use appcore::{AppError, Code, UploadId, UserId, view::QuotaMetric};
use billing::storage;
use dbcontext::query::{texts, uploads, users};
use identity::membership::quota::{quota_error, without_reset};
use sea_orm::ConnectionTrait;

use crate::FilesService;

/// Refuses a file that exceeds its owner's quota. Called in the transaction that announces the file
/// or stores its size. Returns the size up to which the file may grow, in bytes.
pub(crate) async fn check_storage<C: ConnectionTrait>(
    service: &FilesService,
    txn: &C,
    owner: UserId,
    size: i64,
    known: Option<UploadId>,
) -> Result<i64, AppError> {
    let Some(limit) = storage::storage_limit(&service.billing, txn, owner).await? else { return Ok(i64::MAX) };
    users::lock(txn, owner).await?;
    let used = storage::stored_bytes(txn, owner, known).await?;
    let left = limit.bytes.saturating_sub(used);
    if size <= left {
        return Ok(left);
    }
    if limit.is_plan_quota {
        let message = "Your plan has no space left for this file. Delete files, or choose a larger plan.";
        return Err(quota_error(
            Code::QuotaExceeded,
            message.to_owned(),
            without_reset(QuotaMetric::Storage, used, limit.bytes),
        ));
    }
    Err(AppError::refused(Code::QuotaExceeded, "You have no space left for this file. Delete files first."))
}

/// Refuses a text that grows from `before` to `after` bytes if it exceeds its owner's quota or the
/// disk space. Called in the transaction that stores the text. A text that doesn't grow is never
/// refused. See [`row_bytes`](texts::row_bytes).
pub async fn check_text_quota<C: ConnectionTrait>(
    service: &FilesService,
    txn: &C,
    owner: UserId,
    before: i64,
    after: i64,
) -> Result<(), AppError> {
    let growth = after.saturating_sub(before);
    if growth <= 0 {
        return Ok(());
    }
    service.uploads.store.check_space_for_text(growth.unsigned_abs()).await?;
    users::lock(txn, owner).await?;
    let most = service.config.uploads.text_bytes;
    let texts = texts::bytes_of(txn, owner).await?;
    if most > 0 && texts.saturating_add(growth) > most {
        let message = "Your notes, drafts, prompts and tasks have no space left. Delete some first.";
        return Err(AppError::refused(Code::QuotaExceeded, message));
    }
    let Some(limit) = storage::storage_limit(&service.billing, txn, owner).await? else { return Ok(()) };
    let used = texts.saturating_add(uploads::bytes_of(txn, owner, None).await?);
    if used.saturating_add(growth) <= limit.bytes {
        return Ok(());
    }
    if limit.is_plan_quota {
        let message = "Your plan has no space left. Delete files or notes, or choose a larger plan.";
        return Err(quota_error(
            Code::QuotaExceeded,
            message.to_owned(),
            without_reset(QuotaMetric::Storage, used, limit.bytes),
        ));
    }
    Err(AppError::refused(Code::QuotaExceeded, "You have no space left. Delete files or notes first."))
}
