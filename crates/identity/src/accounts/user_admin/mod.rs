//! Administration of other users' accounts.
//!
//! Operations that can't be undone or grant access require a [`Confirmed`] caller. Each change is
//! audited in its own transaction, and one administrator who can sign in always remains
//! ([`require_remaining_admin`]). A suspended account keeps its data, but it can't start a session
//! ([`super::session_start`]), its keys are rejected, and its connections are closed on every
//! instance.

mod access;
mod account_status;
mod bulk;

pub use access::{
    NewAccount, invite, remove_second_factor, send_reset, sessions_of, terminate_session, terminate_sessions,
};
pub use account_status::{AccountChange, change};
pub use bulk::{BulkAction, apply_to_all};

use appcore::{
    AppError, Code, UserId,
    auth::Principal,
    page::{Page, PageRequest},
    text_field::validate_search_text,
    view::AdminUser,
};
pub use dbcontext::query::admin_users::Filter;
use dbcontext::{
    Transaction,
    entity::user,
    query::{admin_users as rows, users},
};
use platform::audit::{Action, NewAuditEntry};

use super::reauthenticate::Confirmed;
use crate::IdentityService;

/// Lists accounts, the newest first.
pub async fn list(service: &IdentityService, filter: Filter, page: PageRequest) -> Result<Page<AdminUser>, AppError> {
    validate_search_text(&filter.text)?;
    let (items, total) = rows::list(&service.db.replica().await, &filter, page, service.clock.now()).await?;
    Ok(Page::new(items, page, total))
}

/// Returns an account after a change, read from the primary database.
async fn read_changed(service: &IdentityService, id: UserId) -> Result<AdminUser, AppError> {
    rows::find(service.db.writer(), id, service.clock.now()).await?.ok_or_else(|| Code::NotFound.into())
}

/// Locks the account until the transaction ends.
pub async fn lock(tx: &Transaction, id: UserId) -> Result<user::Model, AppError> {
    users::lock(tx, id).await?.ok_or_else(|| Code::NotFound.into())
}

/// Fails if the installation would be left without an administrator. Must be called before the
/// account itself is locked.
pub async fn require_remaining_admin(tx: &Transaction, leaving: UserId) -> Result<(), AppError> {
    let admins = rows::lock_admins(tx).await?;
    if admins.contains(&leaving) && admins.len() == 1 { Err(Code::LastAdmin.into()) } else { Ok(()) }
}

/// Rejects operations on the caller's own account; Settings offers them.
pub fn reject_own_account(by: &Principal, id: UserId) -> Result<(), AppError> {
    if by.user_id == id {
        return Err(AppError::refused(Code::WrongState, "This is your own account. Use Settings for that."));
    }
    Ok(())
}

pub fn audit_entry(by: &Principal, action: Action, id: UserId) -> NewAuditEntry {
    NewAuditEntry::by_principal(by, action, Some(id.to_string()))
}
