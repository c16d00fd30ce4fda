//! Sessions of the caller: listing and ending them.

use std::{collections::HashSet, time::Duration};

use appcore::{
    AppError, Code, GeoLocation, SessionId, Timestamp,
    auth::{CredentialId, Principal},
    event::{BusMessage, Signal},
    page::{Page, PageRequest},
    view::UserSession,
};
use dbcontext::{
    constraint::app_error,
    entity::user_session,
    query::{api_keys, sessions as rows},
};
use platform::audit::{self, Action, NewAuditEntry};

use crate::IdentityService;

/// Maximum time that a sign-out waits for its bus message to be published.
const PUBLISH_TIMEOUT: Duration = Duration::from_secs(1);

/// Ends the caller's session.
pub async fn logout(service: &IdentityService, by: &Principal) -> Result<(), AppError> {
    let own = by.require_session()?;
    let tx = service.db.begin().await.map_err(app_error)?;
    rows::end(&tx, by.user_id, own, service.clock.now()).await?;
    audit::record(&tx, NewAuditEntry::by_principal(by, Action::SignOut, None)).await?;
    tx.commit().await.map_err(app_error)?;
    announce_ended(service, vec![own]).await;
    Ok(())
}

/// Lists the caller's sessions, last used first.
pub async fn list(service: &IdentityService, by: &Principal, page: PageRequest) -> Result<Page<UserSession>, AppError> {
    let (sessions, total) = rows::list(service.db.reader(), by.user_id, service.clock.now(), page).await?;
    Ok(Page::new(views(by, sessions), page, total))
}

/// Converts sessions to the view for their owner and for administrators.
pub fn views(by: &Principal, sessions: Vec<user_session::Model>) -> Vec<UserSession> {
    let own = by.session_id();
    let view = |session: user_session::Model| UserSession {
        id: session.id,
        current: Some(session.id) == own,
        user_agent: session.user_agent,
        address: session.address,
        place: GeoLocation::from_stored(session.country.as_deref(), session.city),
        created_at: session.created_at,
        last_used_at: session.last_used_at,
    };
    sessions.into_iter().map(view).collect()
}

/// Ends one of the caller's sessions.
pub async fn terminate(service: &IdentityService, by: &Principal, id: SessionId) -> Result<(), AppError> {
    let tx = service.db.begin().await.map_err(app_error)?;
    if !rows::end(&tx, by.user_id, id, service.clock.now()).await? {
        return Err(Code::NotFound.into());
    }
    audit::record(&tx, NewAuditEntry::by_principal(by, Action::SessionEnded, Some(id.to_string()))).await?;
    tx.commit().await.map_err(app_error)?;
    announce_ended(service, vec![id]).await;
    Ok(())
}

/// Ends all other sessions of the caller.
pub async fn terminate_others(service: &IdentityService, by: &Principal) -> Result<(), AppError> {
    let own = by.require_session()?;
    let tx = service.db.begin().await.map_err(app_error)?;
    let ended = rows::end_all(&tx, by.user_id, Some(own), service.clock.now()).await?;
    audit::record(&tx, NewAuditEntry::by_principal(by, Action::SessionEnded, None)).await?;
    tx.commit().await.map_err(app_error)?;
    announce_ended(service, ended).await;
    Ok(())
}

/// Sessions and API keys that have ended since a time, to find open connections that must be
/// closed. The cost doesn't depend on the number of connections.
pub async fn ended_since(service: &IdentityService, since: Timestamp) -> Result<HashSet<CredentialId>, AppError> {
    let db = service.db.reader();
    let sessions = rows::ended_since(db, since).await?.into_iter().map(CredentialId::Session);
    let keys = api_keys::revoked_since(db, since).await?.into_iter().map(CredentialId::ApiKey);
    Ok(sessions.chain(keys).collect())
}

/// Announces ended sessions: on this instance at once, to the other instances by the bus.
pub async fn announce_ended(service: &IdentityService, ids: Vec<SessionId>) {
    if ids.is_empty() {
        return;
    }
    service.accounts.credential_status.mark_ended(&ids).await;
    let left = service.bus.publish(vec![BusMessage::Signal(Signal::SessionsEnded(ids))]);
    // If the bus is unavailable, the other instances notice when their cache entries expire after
    // five seconds.
    if !matches!(tokio::time::timeout(PUBLISH_TIMEOUT, left).await, Ok(Ok(Ok(())))) {
        tracing::warn!("failed to publish ended sessions");
    }
}
