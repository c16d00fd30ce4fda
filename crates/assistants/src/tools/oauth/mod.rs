//! User accounts at tool servers, connected by the authorization of the Model Context Protocol
//! (OAuth 2.1).
//!
//! [`begin`] runs the [discovery], makes sure that Natter has a [client], and returns the
//! authorization URL for the browser. The browser returns to a page of the app, which passes the
//! parameters to [`finish`] in the session of the user who started. So nobody can be tricked into
//! connecting their own account for somebody else. The [tokens](token) are stored encrypted, are
//! bound to the one server (RFC 8707), and are sent nowhere else. A tool call uses the connection
//! of the user who asked (`access`), so it can do no more than that user.

mod access;
mod client;
mod discovery;
mod token;

use std::time::Duration;

use appcore::{
    AppError, Code, McpServerId,
    auth::{
        Principal,
        seal::StoredSecret,
        token::{hash_token, random_token},
    },
    page::{Page, PageRequest},
    view::{McpAuth, ToolConnected, ToolConnection, ToolConnectionState},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use dbcontext::query::{
    mcp_connections as rows,
    mcp_servers::{self, McpServerRow},
};
use serde::{Deserialize, Serialize};
use url::Url;

pub(super) use access::{AccessToken, access, mark_expired, record_scope};
pub(super) use client::store_entered as enter_client;
pub use client::{ClientFields, document as client_document};
use identity::accounts::pending::{self, PendingKind};
use platform::urls;
use token::{ConnectionTokens, OauthClient, TokenRequestError, TokenTarget};

use crate::AssistantsService;

/// Page of the app to which the browser returns. Each server has its own path below it, so that the
/// response of one authorization server is never taken for that of another (mix-up attack, RFC
/// 9700, section 4.4). Clients that were registered by hand use the page itself.
const PAGE: &str = "/tools/connected";
/// Path of the page to which the user returns after the sign-in by default.
const DEFAULT_PATH: &str = "/settings#tool-connections";
/// Time limit of a sign-in.
const SIGN_IN_TTL: Duration = Duration::from_secs(600);
/// Error codes for a declined request (RFC 6749, section 4.1.2.1).
const DECLINED_CODES: [&str; 2] = ["access_denied", "invalid_scope"];
/// Maximum length of an authorization code, in bytes.
const MAX_CODE: usize = 4_096;

/// Parameters of the redirect.
#[derive(Clone, Debug)]
pub struct RedirectParams {
    /// Server in the path of the redirect.
    pub server_id: Option<McpServerId>,
    pub state: String,
    pub code: Option<String>,
    pub error: Option<String>,
    /// Issuer that the authorization server adds to the redirect (RFC 9207).
    pub issuer: Option<String>,
}

/// State of a sign-in in progress.
#[derive(Serialize, Deserialize)]
struct PendingSignIn {
    server_id: McpServerId,
    /// URL of the server when the sign-in started.
    url: String,
    resource: String,
    issuer: String,
    names_issuer: bool,
    token_endpoint: Url,
    revocation_endpoint: Option<Url>,
    client: OauthClient,
    redirect_uri: String,
    verifier: String,
    next: String,
}

/// Lists the servers to which the caller can connect an account or has connected one.
pub async fn list(
    service: &AssistantsService,
    by: &Principal,
    page: PageRequest,
) -> Result<Page<ToolConnection>, AppError> {
    let (items, total) = rows::list(service.db.reader(), by.user_id, by.is_admin(), page).await?;
    let view = |row: rows::ConnectableRow| ToolConnection {
        server_id: row.id,
        server: row.name,
        description: row.description,
        state: match row.is_expired {
            None => ToolConnectionState::None,
            Some(true) => ToolConnectionState::Expired,
            Some(false) => ToolConnectionState::Connected,
        },
        connected_at: row.connected_at,
    };
    Ok(Page::new(items.into_iter().map(view).collect(), page, total))
}

/// Returns the authorization URL for the caller. Also allowed for servers that only administrators
/// may give to assistants, because the question of any user may trigger their tools.
pub async fn start(
    service: &AssistantsService,
    by: &Principal,
    id: McpServerId,
    next: Option<&str>,
) -> Result<String, AppError> {
    let server = mcp_servers::find(service.db.reader(), id).await?.filter(supports_accounts).ok_or(Code::NotFound)?;
    let url = server.url.as_deref().and_then(|url| Url::parse(url).ok()).ok_or(Code::NotFound)?;
    let found = discovery::discover(service, &url).await?;
    let extra = rows::extra_scope(service.db.writer(), by.user_id, id).await?;
    let scope = match extra {
        Some(extra) => Some(discovery::union_scopes(found.scope.unwrap_or_default(), &extra)),
        None => found.scope,
    };
    let (client, redirect_uri) = client::client(service, id, &found.server).await?;
    let verifier = random_token().map_err(AppError::internal)?;
    let challenge = URL_SAFE_NO_PAD.encode(hash_token(&verifier));
    let visit = PendingSignIn {
        server_id: id,
        url: url.into(),
        resource: found.resource,
        issuer: found.server.issuer,
        names_issuer: found.server.authorization_response_iss_parameter_supported,
        token_endpoint: found.server.token_endpoint,
        revocation_endpoint: found.server.revocation_endpoint,
        client,
        redirect_uri,
        verifier,
        next: next.and_then(urls::own_path).unwrap_or_else(|| DEFAULT_PATH.to_owned()),
    };
    let now = service.clock.now();
    let begun =
        pending::store(service.db.writer(), PendingKind::ToolServer, Some(by.user_id), &visit, now, SIGN_IN_TTL)
            .await?;
    let mut address = found.server.authorization_endpoint;
    address.set_fragment(None);
    address
        .query_pairs_mut()
        .append_pair("response_type", "code")
        .append_pair("client_id", &visit.client.id)
        .append_pair("redirect_uri", &visit.redirect_uri)
        .append_pair("state", &begun.handle)
        .append_pair("code_challenge", &challenge)
        .append_pair("code_challenge_method", "S256")
        .append_pair("resource", &visit.resource)
        .extend_pairs(scope.map(|scope| ("scope", scope)));
    Ok(address.into())
}

/// Completes a sign-in: exchanges the code and stores the connection.
pub async fn finish(
    service: &AssistantsService,
    by: &Principal,
    returned: RedirectParams,
) -> Result<ToolConnected, AppError> {
    let now = service.clock.now();
    let taken = pending::consume::<PendingSignIn>(&service.db, PendingKind::ToolServer, &returned.state, now).await?;
    let (_, visit) = taken.filter(|(user, _)| *user == Some(by.user_id)).ok_or(Code::OauthState)?;
    if redirect_uri(service, returned.server_id) != visit.redirect_uri {
        return Err(sign_in_error("the browser came back to another server's address"));
    }
    let is_it = match &returned.issuer {
        Some(issuer) => *issuer == visit.issuer,
        None => !visit.names_issuer,
    };
    if !is_it {
        return Err(sign_in_error("another authorization server has answered"));
    }
    if let Some(error) = &returned.error {
        // If the user has declined an additional scope, the connection stays without it. After any
        // other error the scope is requested again at the next sign-in.
        if DECLINED_CODES.contains(&error.as_str()) {
            rows::set_extra_scope(service.db.writer(), by.user_id, visit.server_id, None).await?;
        }
        return Err(AppError::refused(Code::OauthDenied, "The account wasn't connected."));
    }
    let code = returned.code.filter(|code| !code.is_empty() && code.len() <= MAX_CODE);
    let code = code.ok_or_else(|| sign_in_error("no code came back"))?;
    let server = mcp_servers::find(service.db.reader(), visit.server_id).await?.filter(supports_accounts);
    let server = server.filter(|server| server.url.as_deref() == Some(visit.url.as_str())).ok_or(Code::NotFound)?;
    let place = TokenTarget { client: &visit.client, resource: &visit.resource, endpoint: &visit.token_endpoint };
    let fields = [
        ("grant_type", "authorization_code"),
        ("code", code.as_str()),
        ("redirect_uri", visit.redirect_uri.as_str()),
        ("code_verifier", visit.verifier.as_str()),
    ];
    let given = match token::request_tokens(service, place, &fields).await {
        Ok(given) => given,
        Err(why) => {
            // The client is registered again at the next attempt.
            if matches!(&why, TokenRequestError::Refused(error) if error == "invalid_client") {
                forget_client(service, server.id).await?;
            }
            return Err(sign_in_error(&why.to_string()));
        }
    };
    let tokens = ConnectionTokens {
        access: given.access,
        refresh: given.refresh,
        client: visit.client,
        resource: visit.resource,
        token_endpoint: visit.token_endpoint,
        revocation_endpoint: visit.revocation_endpoint,
    };
    let owner = StoredSecret::ToolConnection(by.user_id, server.id);
    let kept = token::encrypt_tokens(service, &owner, &tokens, given.expires_at)?;
    rows::upsert(service.db.writer(), by.user_id, server.id, kept, now).await?;
    service.tools.close_for(server.id, by.user_id);
    Ok(ToolConnected { server_id: server.id, server: server.name, next: visit.next })
}

/// Disconnects the caller's account and revokes its tokens.
pub async fn disconnect(service: &AssistantsService, by: &Principal, id: McpServerId) -> Result<(), AppError> {
    let row = rows::find(service.db.writer(), by.user_id, id).await?.ok_or(Code::NotFound)?;
    if !rows::remove(service.db.writer(), by.user_id, id).await? {
        return Err(Code::NotFound.into());
    }
    service.tools.close_for(id, by.user_id);
    match token::decrypt_tokens(&row, service.config.auth.key_encryption_secret.as_ref()) {
        Ok(tokens) => token::revoke(service, &tokens).await,
        Err(error) => tracing::warn!(%error, server = %id, "failed to decrypt tokens for revocation"),
    }
    Ok(())
}

/// Returns the redirect URI for a server; with `None`, the shared one of clients that were
/// registered by hand.
fn redirect_uri(service: &AssistantsService, server: Option<McpServerId>) -> String {
    let page = format!("{}{PAGE}", service.config.server.public_url());
    server.map_or_else(|| page.clone(), |id| format!("{page}/{id}"))
}

/// Deletes a dynamically registered client; one entered by an administrator stays.
async fn forget_client(service: &AssistantsService, server: McpServerId) -> Result<(), AppError> {
    match rows::client(service.db.writer(), server).await? {
        Some(client) if client.issuer.is_some() => rows::remove_client(service.db.writer(), server).await,
        _ => Ok(()),
    }
}

fn supports_accounts(server: &McpServerRow) -> bool {
    server.is_enabled && server.auth == McpAuth::Oauth
}

fn sign_in_error(why: &str) -> AppError {
    AppError::refused(Code::WrongState, format!("The account couldn't be connected ({why}). Try again."))
}
