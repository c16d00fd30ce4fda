//! Storage use of a user (bytes of files and texts) and its limit.

use appcore::{AppError, UploadId, UserId, view::QuotaMetric};
use dbcontext::query::{plans, texts, uploads};
use identity::membership::quota::limit;
use sea_orm::ConnectionTrait;

use crate::BillingService;

/// Total bytes of the user's files and texts, without those of the upload `but`.
pub async fn stored_bytes<C: ConnectionTrait>(db: &C, owner: UserId, but: Option<UploadId>) -> Result<i64, AppError> {
    Ok(uploads::bytes_of(db, owner, but).await?.saturating_add(texts::bytes_of(db, owner).await?))
}

/// Limit on the total bytes of a user's files and texts.
pub struct StorageLimit {
    pub bytes: i64,
    /// True if the limit is the plan's quota, which a larger plan raises.
    pub is_plan_quota: bool,
}

/// Resolves the smaller of the plan's storage quota and `uploads.user_bytes`. Returns `None` where neither is set.
pub async fn storage_limit<C: ConnectionTrait>(
    service: &BillingService,
    db: &C,
    owner: UserId,
) -> Result<Option<StorageLimit>, AppError> {
    let of_plan = plan_storage_limit(service, db, owner).await?;
    let of_server = Some(service.config.uploads.user_bytes).filter(|bytes| *bytes > 0);
    let least = of_server.into_iter().chain(of_plan).min();
    Ok(least.map(|bytes| StorageLimit { bytes, is_plan_quota: of_plan == Some(bytes) }))
}

/// Storage quota of the user's plan, in bytes.
async fn plan_storage_limit<C: ConnectionTrait>(
    service: &BillingService,
    db: &C,
    owner: UserId,
) -> Result<Option<i64>, AppError> {
    if !service.is_charging() {
        return Ok(None);
    }
    match plans::quotas_of(db, owner, service.clock.now()).await? {
        Some(quotas) => limit(&quotas, QuotaMetric::Storage),
        None => Ok(None),
    }
}
