//! Account details for administrators.

use appcore::{
    AppError, Code, UserId,
    view::{AdminUserDetails, UserRole},
};
use billing::{credits::AccountHolder, entitlements};
use dbcontext::query::admin_users as rows;

use crate::OpsService;

/// Returns an account with its sessions, credentials, storage and credits.
pub async fn user(service: &OpsService, id: UserId) -> Result<AdminUserDetails, AppError> {
    let db = service.db.reader();
    let user = rows::find(db, id, service.clock.now()).await?.ok_or(Code::NotFound)?;
    let belongings = rows::belongings(db, id, service.clock.now()).await?;
    let credits = if service.billing.is_charging() {
        Some(entitlements::credits(&service.billing, AccountHolder::Person(id)).await?)
    } else {
        None
    };
    let is_admin = user.role == UserRole::Admin && user.suspended_at.is_none();
    let count = |count: i64| u64::try_from(count).unwrap_or_default();
    Ok(AdminUserDetails {
        is_last_admin: is_admin && rows::count_admins(db).await? <= 1,
        in_workspaces: rows::workspaces(db, id).await?,
        user,
        suspended_by_name: belongings.suspended_by_name,
        sessions: count(belongings.sessions),
        api_keys: count(belongings.api_keys),
        passkeys: count(belongings.passkeys),
        identities: count(belongings.identities),
        reports: count(belongings.reports),
        warnings: count(belongings.warnings),
        storage: entitlements::storage(&service.billing, id).await?,
        credits,
    })
}
