//! Bulk operations on accounts.

use appcore::{
    AppError, UserId,
    view::{ChangedAccounts, SkippedAccount, UserStatus},
};

use super::{AccountChange, Confirmed, access, account_status};
use crate::IdentityService;

/// Operation applied to each account.
#[derive(Clone, Copy, Debug)]
pub enum BulkAction {
    Suspend,
    Restore,
    EndSessions,
}

/// Applies the operation to each account separately. A rejected account is reported and doesn't
/// stop the others.
pub async fn apply_to_all(
    service: &IdentityService,
    by: &Confirmed,
    ids: &[UserId],
    deed: BulkAction,
    reason: Option<&str>,
) -> Result<ChangedAccounts, AppError> {
    let reason = account_status::checked_reason(reason)?;
    let mut done = ChangedAccounts { changed: 0, skipped: Vec::new() };
    for &id in ids {
        let change = |status, reason: Option<&String>| AccountChange {
            status: Some(status),
            reason: reason.cloned(),
            role: None,
        };
        let changed = match deed {
            BulkAction::Suspend => {
                account_status::apply(service, by, id, change(UserStatus::Suspended, reason.as_ref())).await
            }
            BulkAction::Restore => account_status::apply(service, by, id, change(UserStatus::Active, None)).await,
            BulkAction::EndSessions => access::terminate_sessions(service, by, id).await,
        };
        match changed {
            Ok(()) => done.changed += 1,
            Err(AppError::Refused { code, .. }) => {
                done.skipped.push(SkippedAccount { id, code: code.as_str().to_owned() })
            }
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}
