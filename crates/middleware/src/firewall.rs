//! Refuses banned addresses and counts probes of scanners. The rules are in [`platform::firewall`].
//!
//! A ban by an administrator refuses every request. An automatic ban refuses requests without valid credentials,
//! because others may share the address:
//! - [`admit`] refuses probes and public pages such as `/openapi.json`. It serves the files of the web app, which a browser
//!   needs to renew its session or to sign in.
//! - [`admit_public`] refuses public API calls that change something, except those that verify the caller themselves
//!   ([`verifies_caller`]).
//! - API calls and connections that need credentials answer 401 without them, as always: a client with an expired token
//!   must learn that it has to renew it. [`record_refused`] refuses forged tokens.

use actix_web::{
    HttpRequest,
    dev::ServiceRequest,
    http::{Method, header::HeaderMap},
    web::Data,
};
use appcore::{AppError, Code, limit::Violation};

use crate::{
    RequestServices, address,
    auth::{self, Credentials},
};

/// First segments of paths whose handlers check credentials and automatic bans themselves.
const HANDLER_CHECKED_SEGMENTS: [&str; 8] = ["r1", "v1", "v1beta", "v2", "api", "openai", "files", "socket.io"];
/// First segments of public paths that are not files of the web app.
const PUBLIC_PREFIXES: [&str; 5] = ["metrics", "openapi.json", "frames.json", ".well-known", "docs"];
/// Public calls outside of `/r1/auth` that verify the caller.
const VERIFYING_PATHS: [&str; 3] =
    ["/r1/invitations/preview", "/r1/notifications/unsubscribe", "/r1/payments/webhooks/{gateway}"];
/// Public calls under `/r1/auth` that verify nothing about the caller.
const UNVERIFIED_PATHS: [&str; 3] = ["/r1/auth/signup", "/r1/auth/forgot-password", "/r1/auth/resend-verification"];

/// Admits a request unless its address is banned. Runs before everything but the log line and the flood guard.
pub async fn admit(request: &ServiceRequest) -> Result<(), AppError> {
    let Some(services) = request.app_data::<Data<RequestServices>>() else { return Ok(()) };
    if is_health_check(request.path()) {
        return Ok(());
    }
    let source = || address::source(request.request(), &services.config);
    services.firewall.check_manual(|| source().address)?;
    let is_probe = is_probe(request.path());
    let is_refused =
        || services.firewall.is_banned_automatically(|| source().address) && !is_served_to_strangers(request);
    if is_probe || is_refused() {
        if Box::pin(has_valid_credentials(services, request.headers())).await? {
            return Ok(());
        }
        services.firewall.check_automatic(|| source().address)?;
        if is_probe {
            Box::pin(services.firewall.record_violation(source(), Violation::Probe)).await;
        }
    }
    Ok(())
}

/// Refuses a public API call from an automatically banned address.
pub async fn admit_public(
    services: &RequestServices,
    http: &HttpRequest,
    path: &str,
    credentials: Option<&Credentials>,
) -> Result<(), AppError> {
    let is_read = matches!(*http.method(), Method::GET | Method::HEAD);
    if is_read || verifies_caller(path) || is_valid(auth::authenticate(services, credentials).await)? {
        return Ok(());
    }
    services.firewall.check_automatic(|| address::source(http, &services.config).address)
}

/// Counts refused credentials as a violation if this installation did not issue them. Returns an
/// error if the address is banned.
pub async fn record_refused(
    services: &RequestServices,
    http: &HttpRequest,
    credentials: Option<&Credentials>,
    refusal: &AppError,
) -> Result<(), AppError> {
    if let Some(credentials) = credentials
        && refusal.code() == Code::Unauthenticated
    {
        services.identity.count_rejected_token(address::source(http, &services.config), &credentials.token).await?;
    }
    Ok(())
}

async fn has_valid_credentials(services: &RequestServices, headers: &HeaderMap) -> Result<bool, AppError> {
    let credentials = auth::find_key(headers).or_else(|| Credentials::find(headers, &services.config));
    is_valid(auth::authenticate(services, credentials.as_ref()).await)
}

fn is_valid<T>(authenticated: Result<T, AppError>) -> Result<bool, AppError> {
    match authenticated {
        Ok(_) => Ok(true),
        Err(refusal) if refusal.code() == Code::Unauthenticated => Ok(false),
        Err(error) => Err(error),
    }
}

/// True for public calls that verify the caller themselves: by password, passkey, provider, refresh token, a token from
/// an e-mail or a link, or the signature of a payment provider.
fn verifies_caller(path: &str) -> bool {
    let is_sign_in = path.starts_with("/r1/auth/") && !UNVERIFIED_PATHS.contains(&path);
    is_sign_in || VERIFYING_PATHS.contains(&path)
}

fn is_served_to_strangers(request: &ServiceRequest) -> bool {
    let first = request.path().trim_start_matches('/').split('/').next().unwrap_or_default();
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
    HANDLER_CHECKED_SEGMENTS.contains(&first) || (is_read && !PUBLIC_PREFIXES.contains(&first))
}

/// True for the health checks. Load balancers must get the truth whatever other clients at their
/// address do, so bans and request limits don't apply.
pub(crate) fn is_health_check(path: &str) -> bool {
    matches!(path, "/health" | "/health/simple")
}

/// True for paths that don't exist in Natter and that only vulnerability scanners request.
fn is_probe(path: &str) -> bool {
    let ends_in_php = path.len() >= 4 && path.as_bytes()[path.len() - 4..].eq_ignore_ascii_case(b".php");
    path == "/.env" || path.starts_with("/.git/") || path.starts_with("/wp-") || ends_in_php
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn automatic_bans_admit_calls_that_verify_the_caller() {
        for path in [
            "/r1/auth/signin",
            "/r1/auth/refresh",
            "/r1/auth/passkeys/signin/finish",
            "/r1/auth/reset-password",
            "/r1/payments/webhooks/{gateway}",
        ] {
            assert!(verifies_caller(path), "{path}");
        }
        for path in ["/r1/auth/signup", "/r1/auth/forgot-password", "/r1/auth/resend-verification", "/r1/anything"] {
            assert!(!verifies_caller(path), "{path}");
        }
    }

    #[test]
    fn detects_scanner_probes() {
        for probe in ["/.env", "/.git/config", "/.git/", "/wp-login.php", "/wp-admin/", "/a/b/xmlrpc.PHP", "/.php"] {
            assert!(is_probe(probe), "{probe}");
        }
        for ours in ["/", "/c/wp-login", "/.environment", "/.gitignore", "/r1/users/me", "/php", "/a.phps", "/ä"] {
            assert!(!is_probe(ours), "{ours}");
        }
    }
}
