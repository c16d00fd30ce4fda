//! Access tokens of users for tool servers, with automatic renewal.

use std::time::Duration;

use appcore::{AppError, McpServerId, Secret, UserId, auth::seal::StoredSecret, view::McpAuth};
use dbcontext::{
    constraint::app_error,
    query::{
        mcp_connections::{self as rows, ConnectionRow},
        mcp_servers::McpServerRow,
    },
};
use mcp::McpError;
use tokio::time::{Instant, sleep};

use super::{
    discovery,
    token::{self, ConnectionTokens, TokenRequestError, TokenTarget},
};
use crate::AssistantsService;

/// Time before its expiry at which a token is renewed.
const RENEWAL_MARGIN: Duration = Duration::from_secs(60);
/// Lease of a worker on the renewal of a token; other workers wait for it.
const CLAIM_TTL: Duration = Duration::from_secs(30);
const POLL_INTERVAL: Duration = Duration::from_millis(250);
/// Maximum length of a requested scope, in bytes.
const MAX_SCOPE_LEN: usize = 2_000;
/// Error code for a client that the authorization server no longer knows.
const CLIENT_FORGOTTEN: &str = "invalid_client";

/// Access token for a server.
pub(in crate::tools) struct AccessToken {
    pub token: Secret,
    /// Version, which changes with each new token.
    pub version: i64,
}

/// Returns the access token of a user for a server; `None` if the server has no user accounts. If
/// the server has refused the token of version `refused`, that token is renewed even if it hasn't
/// expired.
pub(in crate::tools) async fn access(
    service: &AssistantsService,
    server: &McpServerRow,
    user: UserId,
    refused: Option<i64>,
) -> Result<Option<AccessToken>, McpError> {
    if server.auth != McpAuth::Oauth {
        return Ok(None);
    }
    let (until, mut is_renewed) = (Instant::now() + CLAIM_TTL, false);
    loop {
        let row = rows::find(service.db.writer(), user, server.id)
            .await
            .map_err(|error| internal_error(server.id, &error))?;
        let row = row.filter(|row| !row.is_expired).ok_or(McpError::AccountNotConnected)?;
        let tokens = token::decrypt_tokens(&row, service.config.auth.key_encryption_secret.as_ref());
        let tokens = tokens.map_err(|error| internal_error(server.id, &error))?;
        let now = service.clock.now();
        let is_good = refused != Some(row.version);
        let is_fresh = is_good && row.expires_at.is_none_or(|at| at > now.plus(RENEWAL_MARGIN));
        let is_usable = is_good && row.expires_at.is_none_or(|at| at > now);
        let given = AccessToken { token: Secret::new(tokens.access.as_str()), version: row.version };
        // A token that has just been renewed is used even if it expires soon.
        if is_fresh || (is_good && is_renewed) || (is_usable && tokens.refresh.is_none()) {
            return Ok(Some(given));
        }
        if rows::claim(service.db.writer(), &row, now.plus(CLAIM_TTL), now)
            .await
            .map_err(|error| internal_error(server.id, &error))?
        {
            match renew(service, &row, &tokens).await {
                Ok(()) => is_renewed = true,
                Err(_) if is_usable => return Ok(Some(given)),
                Err(error) => return Err(error),
            }
        } else if Instant::now() >= until {
            return Err(McpError::Timeout);
        } else {
            sleep(POLL_INTERVAL).await;
        }
    }
}

/// Marks a connection as expired, because the server rejects even a new token.
pub(in crate::tools) async fn mark_expired(
    service: &AssistantsService,
    server: McpServerId,
    user: UserId,
    version: i64,
) {
    let done = async {
        let row = rows::find(service.db.writer(), user, server).await?;
        match row.filter(|row| row.version == version) {
            Some(row) => rows::expire(service.db.writer(), &row).await,
            None => Ok(()),
        }
    };
    if let Err(error) = done.await {
        tracing::error!(%error, %server, "failed to mark connection as expired");
    }
}

/// Records the scope that a server demands in its challenge, so that the user is asked for it at
/// the next sign-in.
pub(in crate::tools) async fn record_scope(
    service: &AssistantsService,
    server: McpServerId,
    user: UserId,
    challenge: &str,
) {
    let done = async {
        let Some(scope) = discovery::scope_of(challenge) else { return Ok(()) };
        let tx = service.db.begin().await.map_err(app_error)?;
        // The row is locked, because a concurrent call may record another scope.
        let before = rows::lock_extra_scope(&tx, user, server).await?.unwrap_or_default();
        let wanted = discovery::union_scopes(before, &scope);
        if wanted.len() <= MAX_SCOPE_LEN {
            rows::set_extra_scope(&tx, user, server, Some(wanted)).await?;
        }
        tx.commit().await.map_err(app_error)
    };
    if let Err(error) = done.await {
        tracing::error!(%error, %server, "failed to record required scope");
    }
}

/// Renews tokens that this worker has claimed.
async fn renew(service: &AssistantsService, row: &ConnectionRow, tokens: &ConnectionTokens) -> Result<(), McpError> {
    let broken = |error: AppError| internal_error(row.server_id, &error);
    let db = service.db.writer();
    let Some(refresh) = &tokens.refresh else {
        rows::expire(db, row).await.map_err(broken)?;
        return Err(McpError::AccountNotConnected);
    };
    let place = TokenTarget { client: &tokens.client, resource: &tokens.resource, endpoint: &tokens.token_endpoint };
    match token::request_tokens(service, place, &[("grant_type", "refresh_token"), ("refresh_token", refresh.as_str())])
        .await
    {
        Ok(given) => {
            let refresh = given.refresh.or_else(|| tokens.refresh.clone());
            let tokens = ConnectionTokens { access: given.access, refresh, ..tokens.clone() };
            let owner = StoredSecret::ToolConnection(row.user_id, row.server_id);
            let kept = token::encrypt_tokens(service, &owner, &tokens, given.expires_at);
            rows::renew(db, row, kept.map_err(broken)?).await.map_err(broken)?;
            Ok(())
        }
        Err(TokenRequestError::Refused(why)) => {
            tracing::info!(why, server = %row.server_id, "authorization server refused token renewal");
            rows::expire(db, row).await.map_err(broken)?;
            if why == CLIENT_FORGOTTEN {
                super::forget_client(service, row.server_id).await.map_err(broken)?;
            }
            Err(McpError::AccountNotConnected)
        }
        Err(TokenRequestError::Unavailable(why)) => {
            rows::release(db, row).await.map_err(broken)?;
            Err(McpError::Unreachable(format!("its authorization server doesn't renew the connection now ({why})")))
        }
    }
}

/// Logs an internal error and returns a generic one for the caller.
fn internal_error(server: McpServerId, error: &AppError) -> McpError {
    tracing::error!(%error, %server, "failed to read or store tool server connection");
    McpError::Unreachable("the connection can't be read".to_owned())
}
