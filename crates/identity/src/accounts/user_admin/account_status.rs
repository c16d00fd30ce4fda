//! Role and suspension of accounts.

use appcore::{
    AppError, UserId,
    event::{BusMessage, Signal},
    text_field::parse_line,
    view::{AdminUser, UserRole, UserStatus},
};
use dbcontext::{
    constraint::app_error,
    query::{admin_users as rows, api_keys, sessions},
};
use platform::audit::{self, Action};
use uuid::Uuid;

use super::{Confirmed, audit_entry, lock, read_changed, reject_own_account, require_remaining_admin};
use crate::IdentityService;
use crate::{
    accounts::{
        api_keys::{announce_changed, announce_revoked},
        sessions::announce_ended,
    },
    mail::{self, MailContent, Recipient},
};

const MAX_REASON_CHARS: usize = 200;

/// Changes to an account; `None` leaves a field unchanged.
#[derive(Default)]
pub struct AccountChange {
    pub role: Option<UserRole>,
    pub status: Option<UserStatus>,
    /// Reason for a suspension.
    pub reason: Option<String>,
}

/// Changes an account's role, or suspends or restores it.
pub async fn change(
    service: &IdentityService,
    by: &Confirmed,
    id: UserId,
    change: AccountChange,
) -> Result<AdminUser, AppError> {
    apply(service, by, id, change).await?;
    read_changed(service, id).await
}

/// Validates a reason. Blank text counts as none.
pub(super) fn checked_reason(reason: Option<&str>) -> Result<Option<String>, AppError> {
    let said = reason.map(str::trim).filter(|reason| !reason.is_empty());
    said.map(|reason| parse_line("reason", reason, MAX_REASON_CHARS)).transpose()
}

/// Applies a change like [`change`], but doesn't return the account.
pub(super) async fn apply(
    service: &IdentityService,
    by: &Confirmed,
    id: UserId,
    change: AccountChange,
) -> Result<(), AppError> {
    let reason = checked_reason(change.reason.as_deref())?;
    let suspends = change.status == Some(UserStatus::Suspended);
    if suspends {
        reject_own_account(by, id)?;
    }
    let now = service.clock.now();
    let tx = service.db.begin().await.map_err(app_error)?;
    if suspends || change.role == Some(UserRole::User) {
        require_remaining_admin(&tx, id).await?;
    }
    let account = lock(&tx, id).await?;
    let new_role = change.role.filter(|new| *new != account.role);
    if let Some(role) = new_role {
        rows::set_role(&tx, id, role, now).await?;
        audit::record(&tx, audit_entry(by, Action::UserRoleChanged, id)).await?;
    }
    let (mut ended, mut keys) = (Vec::new(), Vec::new());
    match (change.status, account.suspended_at) {
        (Some(UserStatus::Suspended), None) => {
            rows::suspend(&tx, id, by.account_id(), reason, now).await?;
            ended = sessions::end_all(&tx, id, None, now).await?;
            keys = api_keys::ids(&tx, id).await?;
            mail::enqueue(&tx, now, Recipient::User(id), MailContent::Suspended { at: now }).await?;
            audit::record(&tx, audit_entry(by, Action::UserSuspended, id)).await?;
        }
        (Some(UserStatus::Active), Some(_)) => {
            rows::restore(&tx, id, now).await?;
            keys = api_keys::ids(&tx, id).await?;
            mail::enqueue(&tx, now, Recipient::User(id), MailContent::Restored).await?;
            audit::record(&tx, audit_entry(by, Action::UserRestored, id)).await?;
        }
        _ => {}
    }
    tx.commit().await.map_err(app_error)?;
    service.wake_workers();
    // The change takes effect on this instance at once, and on the others when they get the bus
    // message.
    service.accounts.credential_status.invalidate_user(id).await;
    drop(service.bus.publish(vec![BusMessage::Signal(Signal::UserChanged(id))]));
    if new_role.is_some() {
        service.notify_account_changed(id)?;
    }
    announce_ended(service, ended).await;
    if suspends {
        announce_revoked(service, keys).await;
    } else {
        let keys: Vec<Uuid> = keys.into_iter().map(|key| key.0).collect();
        if !keys.is_empty() {
            announce_changed(service, keys).await;
        }
    }
    Ok(())
}
