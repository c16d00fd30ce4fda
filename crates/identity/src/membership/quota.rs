//! Member quota of a workspace's plan. It is checked while the workspace is locked, so that
//! concurrent requests can't exceed it together.

use std::collections::BTreeMap;

use appcore::{
    AppError, Code, Timestamp, WorkspaceId,
    view::{QuotaMetric, QuotaUse, WorkspaceRole},
};
use dbcontext::query::{plans, workspaces};
use sea_orm::ConnectionTrait;
use serde_json::json;

/// Fails if the workspace's plan has no room for another member with this role. The caller must
/// have locked the workspace.
pub async fn check_members<C: ConnectionTrait>(
    txn: &C,
    id: WorkspaceId,
    role: WorkspaceRole,
    now: Timestamp,
) -> Result<(), AppError> {
    if role == WorkspaceRole::Guest {
        return Ok(());
    }
    let Some(quota) = members(txn, id, now).await? else { return Ok(()) };
    if quota.used < quota.limit {
        return Ok(());
    }
    let message = match quota.limit {
        1 => "This workspace's plan has room for one member. Its owner can choose a larger plan.".to_owned(),
        limit => format!("This workspace's plan has room for {limit} members. Its owner can choose a larger plan."),
    };
    Err(quota_error(Code::QuotaReached, message, quota))
}

/// Number of members, and the limit of the workspace's plan. Guests don't count, since they take no
/// seats.
pub async fn members<C: ConnectionTrait>(
    db: &C,
    id: WorkspaceId,
    now: Timestamp,
) -> Result<Option<QuotaUse>, AppError> {
    let Some(quotas) = plans::own_quotas(db, id.0, now).await? else { return Ok(None) };
    let Some(limit) = limit(&quotas, QuotaMetric::Members)? else { return Ok(None) };
    Ok(Some(without_reset(QuotaMetric::Members, workspaces::count_seats(db, id).await?, limit)))
}

/// Creates the state of a quota that never resets.
pub const fn without_reset(metric: QuotaMetric, used: i64, limit: i64) -> QuotaUse {
    QuotaUse { metric, used, limit, resets_at: None }
}

/// Parses a limit from the quotas of a plan, which are a JSON object.
pub fn limit(quotas: &str, metric: QuotaMetric) -> Result<Option<i64>, AppError> {
    let limits: BTreeMap<QuotaMetric, i64> = serde_json::from_str(quotas).map_err(AppError::internal)?;
    Ok(limits.get(&metric).copied())
}

/// Error that suggests a larger plan.
pub fn quota_error(code: Code, message: String, quota: QuotaUse) -> AppError {
    let QuotaUse { metric, used, limit, .. } = quota;
    let details = json!({ "next": "change_plan", "metric": metric, "used": used, "limit": limit });
    AppError::Detailed { code, message: Some(message.into()), details: Box::new(details) }
}
