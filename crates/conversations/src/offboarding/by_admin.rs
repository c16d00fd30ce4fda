//! Data export and account deletion by an administrator, for people who can't sign in any more.

use std::sync::Arc;

use appcore::{AppError, Code, UserId, auth::Principal};
use dbcontext::{constraint::app_error, query::users};
use futures_util::Stream;
use identity::accounts::{
    Confirmed,
    user_admin::{audit_entry, lock, reject_own_account, require_remaining_admin},
};
use platform::{
    audit::{self, Action},
    work_pools::WorkOwner,
};

use super::{deletion, export};
use crate::ConversationsService;

/// Exports another user's data in the form in which the user would get it.
pub async fn export_of(
    service: Arc<ConversationsService>,
    by: &Confirmed,
    id: UserId,
) -> Result<impl Stream<Item = Result<Vec<u8>, AppError>> + use<>, AppError> {
    let account = users::by_id(service.db.reader(), id).await?.ok_or(Code::NotFound)?;
    // The exported data is the user's; session and permissions stay those of the administrator.
    let whose = Principal { user_id: id, role: account.role, ..Principal::clone(by) };
    export::stream_export(service, whose, (audit_entry(by, Action::UserExported, id), WorkOwner::user(by.user_id)))
        .await
}

/// Deletes another user's account. Content shared with others stays usable.
pub async fn delete(service: &ConversationsService, by: &Confirmed, id: UserId) -> Result<(), AppError> {
    reject_own_account(by, id)?;
    let tx = service.db.begin().await.map_err(app_error)?;
    require_remaining_admin(&tx, id).await?;
    lock(&tx, id).await?;
    let left = deletion::erase(&tx, service, id).await?;
    audit::record(&tx, audit_entry(by, Action::UserDeleted, id)).await?;
    tx.commit().await.map_err(app_error)?;
    left.follow_up(service).await
}
