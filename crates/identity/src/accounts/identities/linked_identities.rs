//! The caller's linked identities.

use appcore::{
    AppError, Code, IdentityId, SessionId, Timestamp, UserId,
    auth::Principal,
    config::OauthKind,
    page::{Page, PageRequest},
};
use dbcontext::{
    constraint::app_error,
    query::{identities as rows, users},
};
use oidc::Identity;
use platform::audit::{self, Action, NewAuditEntry};

use super::account_linking;
use crate::IdentityService;
use crate::accounts::{Confirmed, Device, authenticate::session_status, methods};

/// Identity that is linked to the caller's account.
#[derive(Clone, Debug)]
pub struct LinkedIdentity {
    pub id: IdentityId,
    pub provider: String,
    /// Kind of the provider; `None` if it is no longer configured.
    pub kind: Option<OauthKind>,
    pub email: Option<String>,
    pub created_at: Timestamp,
    pub last_used_at: Timestamp,
}

/// Lists the caller's identities, in the order in which they were linked.
pub async fn list(
    service: &IdentityService,
    by: &Principal,
    page: PageRequest,
) -> Result<Page<LinkedIdentity>, AppError> {
    let (found, total) = rows::list(service.db.reader(), by.user_id, page).await?;
    let items = found
        .into_iter()
        .map(|row| LinkedIdentity {
            id: row.id,
            kind: service.accounts.providers.kind_of(&row.provider),
            provider: row.provider,
            email: row.email,
            created_at: row.created_at,
            last_used_at: row.last_used_at,
        })
        .collect();
    Ok(Page::new(items, page, total))
}

/// Unlinks one of the caller's identities, unless it is the only sign-in method.
pub async fn unlink(service: &IdentityService, by: &Confirmed, id: IdentityId) -> Result<(), AppError> {
    let tx = service.db.begin().await.map_err(app_error)?;
    let account = users::lock(&tx, by.user_id).await?.ok_or(Code::Unauthenticated)?;
    if !rows::remove(&tx, account.id, id).await? {
        return Err(Code::NotFound.into());
    }
    methods::require_any(&tx, &account).await?;
    audit::record(&tx, NewAuditEntry::by_principal(by, Action::IdentityUnlinked, Some(id.to_string()))).await?;
    tx.commit().await.map_err(app_error)
}

/// Links an identity to the account that started the flow, if its session is still valid.
pub(super) async fn link(
    service: &IdentityService,
    user_id: UserId,
    session_id: SessionId,
    provider: &str,
    identity: Identity,
    device: &Device,
) -> Result<(), AppError> {
    session_status(service, session_id)
        .await?
        .filter(|standing| standing.user_id == user_id)
        .ok_or(Code::OauthState)?;
    let tx = service.db.begin().await.map_err(app_error)?;
    let account = users::lock(&tx, user_id).await?.ok_or(Code::OauthState)?;
    account_linking::consume_token(&tx, service, &identity).await?;
    match rows::by_subject(&tx, &identity.issuer, &identity.subject).await? {
        Some(row) if row.user_id == user_id => {
            rows::record_sign_in(&tx, row.id, identity.email, service.clock.now()).await?
        }
        // The identity stays with the other account.
        Some(_) => return Err(Code::OauthInvalid.into()),
        None => account_linking::insert(&tx, service, &account, provider, &identity, device).await?,
    }
    tx.commit().await.map_err(app_error)
}
