//! What a person may ask of an administrator who can't sign in any more: their data, and the end of their account.

use std::sync::Arc;

use appcore::{AppError, Code, UserId, auth::Principal};
use dbcontext::{constraint::app_error, query::users};
use futures_util::Stream;
use identity::accounts::{
    Confirmed,
    oversight::{entry, keep_an_admin, lock, not_oneself},
};
use platform::{
    audit::{self, Action},
    work_pools::WorkOwner,
};

use super::{deletion, export};
use crate::ConversationsService;

/// All of somebody's data, as they would export it themselves.
pub async fn export_of(
    service: Arc<ConversationsService>,
    by: &Confirmed,
    id: UserId,
) -> Result<impl Stream<Item = Result<Vec<u8>, AppError>> + use<>, AppError> {
    let account = users::by_id(service.db.reader(), id).await?.ok_or(Code::NotFound)?;
    // Whose data it is; the credentials stay the administrator's.
    let whose = Principal { user_id: id, role: account.role, ..Principal::clone(by) };
    export::pieces(service, whose, (entry(by, Action::UserExported, id), WorkOwner::user(by.user_id))).await
}

/// Deletes somebody's account. What others share with it stays usable.
pub async fn delete(service: &ConversationsService, by: &Confirmed, id: UserId) -> Result<(), AppError> {
    not_oneself(by, id)?;
    let tx = service.db.begin().await.map_err(app_error)?;
    keep_an_admin(&tx, id).await?;
    lock(&tx, id).await?;
    let left = deletion::erase(&tx, service, id).await?;
    audit::record(&tx, entry(by, Action::UserDeleted, id)).await?;
    tx.commit().await.map_err(app_error)?;
    left.follow_up(service).await
}
