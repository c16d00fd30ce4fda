//! One's own devices, and ending them.

use std::{collections::HashSet, time::Duration};

use appcore::{
    AppError, Code, Place, SessionId,
    auth::{CredentialId, Principal},
    event::{BusMessage, Signal},
    page::{Page, PageRequest},
    view::UserSession,
};
use dbcontext::{
    constraint::app_error,
    query::{api_keys, sessions as rows},
};

use crate::{
    App,
    audit::{self, Action, Entry},
};

/// How long a sign-out waits for the news of it to be on its way to the other instances.
const TELL_WITHIN: Duration = Duration::from_secs(1);
/// How many sessions one statement asks about: databases have a limit.
const MOST_AT_ONCE: usize = 5_000;

/// Signs the caller's device out.
pub async fn logout(app: &App, by: &Principal) -> Result<(), AppError> {
    let own = by.require_session()?;
    let tx = app.db.begin().await.map_err(app_error)?;
    rows::end(&tx, by.user_id, own, app.clock.now()).await?;
    audit::record(&tx, Entry::by(by, Action::SignOut, None)).await?;
    tx.commit().await.map_err(app_error)?;
    tell_ended(app, vec![own]).await;
    Ok(())
}

/// The caller's devices, the one used last first.
pub async fn list(app: &App, by: &Principal, page: PageRequest) -> Result<Page<UserSession>, AppError> {
    let (sessions, total) = rows::list(app.db.reader(), by.user_id, app.clock.now(), page).await?;
    let items = sessions
        .into_iter()
        .map(|session| UserSession {
            id: session.id,
            current: Some(session.id) == by.session_id(),
            user_agent: session.user_agent,
            address: session.address,
            place: Place::stored(session.country.as_deref(), session.city),
            created_at: session.created_at,
            last_used_at: session.last_used_at,
        })
        .collect();
    Ok(Page::new(items, page, total))
}

/// Signs one of the caller's devices out.
pub async fn end(app: &App, by: &Principal, id: SessionId) -> Result<(), AppError> {
    let tx = app.db.begin().await.map_err(app_error)?;
    if !rows::end(&tx, by.user_id, id, app.clock.now()).await? {
        return Err(Code::NotFound.into());
    }
    audit::record(&tx, Entry::by(by, Action::SessionEnded, Some(id.to_string()))).await?;
    tx.commit().await.map_err(app_error)?;
    tell_ended(app, vec![id]).await;
    Ok(())
}

/// Signs all of the caller's other devices out.
pub async fn end_others(app: &App, by: &Principal) -> Result<(), AppError> {
    let own = by.require_session()?;
    let tx = app.db.begin().await.map_err(app_error)?;
    let ended = rows::end_all(&tx, by.user_id, Some(own), app.clock.now()).await?;
    audit::record(&tx, Entry::by(by, Action::SessionEnded, None)).await?;
    tx.commit().await.map_err(app_error)?;
    tell_ended(app, ended).await;
    Ok(())
}

/// Which of these sessions and keys are over: for open connections, which no request asks about.
pub async fn ended_among(app: &App, credentials: &[CredentialId]) -> Result<Vec<CredentialId>, AppError> {
    let (db, now) = (app.db.reader(), app.clock.now());
    let mut ended = Vec::new();
    for some in credentials.chunks(MOST_AT_ONCE) {
        let (mut sessions, mut keys) = (Vec::new(), Vec::new());
        for credential in some {
            match credential {
                CredentialId::Session(id) => sessions.push(*id),
                CredentialId::ApiKey(id) => keys.push(*id),
            }
        }
        let mut live: HashSet<CredentialId> = HashSet::new();
        if !sessions.is_empty() {
            live.extend(rows::live_among(db, &sessions, now).await?.into_iter().map(CredentialId::Session));
        }
        if !keys.is_empty() {
            live.extend(api_keys::live_among(db, &keys, now).await?.into_iter().map(CredentialId::ApiKey));
        }
        ended.extend(some.iter().filter(|id| !live.contains(id)));
    }
    Ok(ended)
}

/// Makes ended sessions known, here at once and to the other instances as fast as the bus is.
pub(super) async fn tell_ended(app: &App, ids: Vec<SessionId>) {
    if ids.is_empty() {
        return;
    }
    app.accounts.standings.end(&ids).await;
    let left = app.bus.publish(vec![BusMessage::Signal(Signal::SessionsEnded(ids))]);
    // Where the bus is away the others notice by themselves, within the five seconds that they remember.
    if !matches!(tokio::time::timeout(TELL_WITHIN, left).await, Ok(Ok(Ok(())))) {
        tracing::warn!("the other instances could not be told at once that sessions have ended");
    }
}
