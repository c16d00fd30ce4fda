//! From an access token to the person who shows it.

use std::time::Duration;

use appcore::{AppError, Code, SessionId, Timestamp, auth::Principal, view::UnknownName};
use dbcontext::query::sessions as rows;

use super::standings::{Memory, Standing};
use crate::App;

/// How exactly a device's last use is known.
const TOUCH_EVERY: Duration = Duration::from_secs(60);

/// Checks the token's signature, kind and time, and that its session has not ended.
pub async fn authenticate(app: &App, access_token: &str) -> Result<Principal, AppError> {
    let accounts = &app.accounts;
    let proof = accounts.proofs.check(&accounts.keyring, access_token, app.clock.now()).await;
    let claims = proof.map_err(|rejection| {
        tracing::debug!(%rejection, "an access token was refused");
        AppError::from(Code::Unauthenticated)
    })?;
    let standing = standing(app, claims.sid).await?.filter(|standing| standing.user_id == claims.sub);
    let standing = standing.ok_or(Code::Unauthenticated)?;
    Ok(Principal {
        user_id: claims.sub,
        session_id: claims.sid,
        // As it is now, not as it was when the token was signed.
        role: standing.role,
        expires_at: Timestamp(claims.exp.saturating_mul(1000)),
    })
}

/// The session's standing, as it is remembered or else as the database has it.
pub(super) async fn standing(app: &App, id: SessionId) -> Result<Option<Standing>, AppError> {
    let now = app.clock.now();
    match app.accounts.standings.recall(id).await {
        Memory::Ended => return Ok(None),
        Memory::Live(standing) if standing.expires_at > now => return Ok(Some(standing)),
        Memory::Live(_) => return Ok(None),
        Memory::Unknown => {}
    }
    let Some(row) = rows::standing(app.db.reader(), id, now).await? else { return Ok(None) };
    let role = row.role.parse().map_err(|error: UnknownName| AppError::internal(error))?;
    let standing = Standing { user_id: row.user_id, role, expires_at: row.expires_at };
    app.accounts.standings.remember(id, standing).await;
    if row.last_used_at.plus(TOUCH_EVERY) <= now {
        let db = app.db.clone();
        tokio::spawn(async move {
            if let Err(error) = rows::touch(db.writer(), id, now).await {
                tracing::debug!(%error, "the last use of a session was not noted");
            }
        });
    }
    Ok(Some(standing))
}
