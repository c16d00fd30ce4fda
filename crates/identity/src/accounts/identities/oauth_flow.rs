//! OAuth flow of a browser: the redirect to the provider and the way back.

use std::time::Duration;

use appcore::{
    AppError, Code, Language, SessionId, Timestamp,
    auth::{Principal, token},
};
use oidc::FlowState;
use platform::urls;
use serde::{Deserialize, Serialize};

use super::{
    account_linking::{self, NewAccountData},
    linked_identities,
    providers::app_error,
};
use crate::IdentityService;
use crate::accounts::{
    Confirmed, Device, SignedIn,
    pending::{self, PendingKind},
};

/// Maximum duration of a flow.
const FLOW_TTL: Duration = Duration::from_secs(600);
/// Page to show after the flow if the client requested none.
const DEFAULT_PATH: &str = "/";
/// Maximum length of a provider's code. Real codes are shorter.
const MAX_CODE_BYTES: usize = 4_096;

/// Redirect to the provider.
pub struct OauthRedirect {
    pub location: String,
    /// Value of `state` that the provider returns.
    pub state: String,
    /// Secret of the flow. Only the browser keeps it, in a cookie.
    pub handle: String,
    pub expires_at: Timestamp,
    /// True if the provider answers with a cross-site form POST.
    pub by_form: bool,
}

/// Parameters of the callback request.
#[derive(Debug)]
pub struct OauthCallback {
    pub state: Option<String>,
    pub code: Option<String>,
    pub error: Option<String>,
    /// Issuer, from the parameter `iss` (RFC 9207).
    pub issuer: Option<String>,
    /// Form field `user`, which Apple sends.
    pub user: Option<String>,
    /// Language of mails to a new account.
    pub language: Language,
}

/// Result of a flow.
pub struct OauthSignIn {
    /// Result of the sign-in; `None` if the identity was linked to the account that was signed in
    /// already.
    pub signed_in: Option<SignedIn>,
    /// Path on this server to redirect the browser to.
    pub next: String,
}

/// State stored during a flow.
#[derive(Serialize, Deserialize)]
struct OauthFlow {
    provider: String,
    trip: FlowState,
    next: String,
    link_to: Option<SessionId>,
}

/// Starts a flow. With `link_to`, the identity is linked to that caller's account.
pub async fn start_oauth(
    service: &IdentityService,
    provider: &str,
    next: Option<&str>,
    link_to: Option<&Principal>,
) -> Result<OauthRedirect, AppError> {
    let provider = service.accounts.providers.find(provider)?;
    let link_to = match link_to {
        Some(by) => Some(Confirmed::authorize(service, by).await?),
        None => None,
    };
    // Each provider has its own redirect URI, so that no provider can pass off a code from another
    // provider as its own.
    let redirect_uri = format!("{}/r1/auth/oauth/{}/callback", service.config.server.public_url(), provider.name());
    let departure = provider.start(&redirect_uri).await.map_err(|error| app_error(provider, error))?;
    let state = departure.flow.state.clone();
    let visit = OauthFlow {
        provider: provider.name().to_owned(),
        trip: departure.flow,
        next: next.and_then(urls::own_path).unwrap_or_else(|| DEFAULT_PATH.to_owned()),
        link_to: link_to.as_deref().map(Principal::require_session).transpose()?,
    };
    let begun = pending::store(
        service.db.writer(),
        PendingKind::Oauth,
        link_to.as_ref().map(|by| by.user_id),
        &visit,
        service.clock.now(),
        FLOW_TTL,
    )
    .await?;
    Ok(OauthRedirect {
        location: departure.url,
        state,
        handle: begun.handle,
        expires_at: begun.expires_at,
        by_form: provider.answers_by_form(),
    })
}

/// Handles the provider's callback. `handle` is the secret from the browser's cookie.
pub async fn finish_oauth(
    service: &IdentityService,
    provider: &str,
    handle: Option<&str>,
    returned: OauthCallback,
    device: Device,
) -> Result<OauthSignIn, AppError> {
    let arrived = check(service, provider, handle, returned, &device).await;
    if let Err(error) = &arrived {
        account_linking::record_rejection(service, provider, error, &device).await;
    }
    arrived
}

async fn check(
    service: &IdentityService,
    provider: &str,
    handle: Option<&str>,
    returned: OauthCallback,
    device: &Device,
) -> Result<OauthSignIn, AppError> {
    let provider = service.accounts.providers.find(provider)?;
    let now = service.clock.now();
    let handle = handle.ok_or(Code::OauthState)?;
    // Any callback consumes the flow, so a second attempt has to start over.
    let taken = pending::consume(&service.db, PendingKind::Oauth, handle, now).await?;
    let (user_id, visit): (_, OauthFlow) = taken.ok_or(Code::OauthState)?;
    let state = returned.state.unwrap_or_default();
    if visit.provider != provider.name() || token::hash_token(&state) != token::hash_token(&visit.trip.state) {
        return Err(Code::OauthState.into());
    }
    if let Some(error) = returned.error {
        tracing::info!(provider = provider.name(), error = shortened(&error), "provider returned an error");
        return Err(error_code(&error).into());
    }
    let code = returned.code.filter(|code| !code.is_empty() && code.len() <= MAX_CODE_BYTES);
    let code = code.ok_or(Code::OauthInvalid)?;
    let identity = provider
        .finish(&visit.trip, &code, returned.issuer.as_deref(), now)
        .await
        .map_err(|error| app_error(provider, error))?;
    let signed_in = match (user_id, visit.link_to) {
        (Some(user_id), Some(session_id)) => {
            linked_identities::link(service, user_id, session_id, provider.name(), identity, device).await?;
            None
        }
        _ => {
            let name = returned.user.as_deref().and_then(oidc::name_of_form);
            let newcomer = NewAccountData {
                provider: provider.name(),
                name: identity.name.clone().or(name),
                language: returned.language,
            };
            Some(account_linking::sign_in(service, identity, newcomer, device).await?)
        }
    };
    Ok(OauthSignIn { signed_in, next: visit.next })
}

/// Error code for the provider's `error` parameter: denied by the user, or invalid.
fn error_code(error: &str) -> Code {
    match error {
        "access_denied"
        | "user_cancelled_authorize"
        | "user_cancelled_login"
        | "consent_required"
        | "interaction_required"
        | "login_required" => Code::OauthDenied,
        _ => Code::OauthInvalid,
    }
}

fn shortened(text: &str) -> String {
    text.chars().filter(|character| !character.is_control()).take(60).collect()
}
