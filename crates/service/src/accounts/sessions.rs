//! One's own devices, and ending them.

use std::{collections::HashSet, time::Duration};

use appcore::{
    AppError, Code, SessionId,
    auth::Principal,
    event::{BusMessage, Signal},
    page::{Page, PageRequest},
    view::UserSession,
};
use dbcontext::query::sessions as rows;

use crate::App;

/// How long a sign-out waits for the news of it to be on its way to the other instances.
const TELL_WITHIN: Duration = Duration::from_secs(1);
/// How many sessions one statement asks about: databases have a limit.
const MOST_AT_ONCE: usize = 5_000;

/// Signs the caller's device out.
pub async fn logout(app: &App, by: &Principal) -> Result<(), AppError> {
    rows::end(app.db.writer(), by.user_id, by.session_id, app.clock.now()).await?;
    tell_ended(app, vec![by.session_id]).await;
    Ok(())
}

/// The caller's devices, the one used last first.
pub async fn list(app: &App, by: &Principal, page: PageRequest) -> Result<Page<UserSession>, AppError> {
    let (sessions, total) = rows::list(app.db.reader(), by.user_id, app.clock.now(), page).await?;
    let items = sessions
        .into_iter()
        .map(|session| UserSession {
            id: session.id,
            current: session.id == by.session_id,
            user_agent: session.user_agent,
            address: session.address,
            created_at: session.created_at,
            last_used_at: session.last_used_at,
        })
        .collect();
    Ok(Page::new(items, page, total))
}

/// Signs one of the caller's devices out.
pub async fn end(app: &App, by: &Principal, id: SessionId) -> Result<(), AppError> {
    if !rows::end(app.db.writer(), by.user_id, id, app.clock.now()).await? {
        return Err(Code::NotFound.into());
    }
    tell_ended(app, vec![id]).await;
    Ok(())
}

/// Signs all of the caller's other devices out.
pub async fn end_others(app: &App, by: &Principal) -> Result<(), AppError> {
    let ended = rows::end_all(app.db.writer(), by.user_id, Some(by.session_id), app.clock.now()).await?;
    tell_ended(app, ended).await;
    Ok(())
}

/// Which of these sessions are over: for open connections, which no request asks about.
pub async fn ended_among(app: &App, ids: &[SessionId]) -> Result<Vec<SessionId>, AppError> {
    let mut ended = Vec::new();
    for some in ids.chunks(MOST_AT_ONCE) {
        let live: HashSet<SessionId> =
            rows::live_among(app.db.reader(), some, app.clock.now()).await?.into_iter().collect();
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
