//! Security headers of responses.

use actix_web::http::header::{
    CONTENT_SECURITY_POLICY, HeaderMap, HeaderName, HeaderValue, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use appcore::config::Server;

const MANDATORY_HEADERS: [(HeaderName, HeaderValue); 4] = [
    (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin")),
    (HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin")),
    (
        HeaderName::from_static("permissions-policy"),
        HeaderValue::from_static("camera=(), geolocation=(), microphone=(self), payment=()"),
    ),
];
/// Defaults for responses that don't set their own.
const DEFAULT_HEADERS: [(HeaderName, HeaderValue); 3] = [
    (X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (REFERRER_POLICY, HeaderValue::from_static("strict-origin-when-cross-origin")),
    // A response with data must never be rendered as a page.
    (
        CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"),
    ),
];
/// HSTS for two years, as browsers' preload lists require.
const HSTS: HeaderValue = HeaderValue::from_static("max-age=63072000; includeSubDomains");
/// HSTS under a base path. The header doesn't cover subdomains, since they may belong to others.
const HSTS_HOST_ONLY: HeaderValue = HeaderValue::from_static("max-age=63072000");

/// HSTS header, if the server is reached over https.
#[must_use]
pub fn hsts(server: &Server) -> Option<HeaderValue> {
    let value = if server.base_path().is_empty() { HSTS } else { HSTS_HOST_ONLY };
    server.is_https().then_some(value)
}

/// Adds the security headers to a response.
pub fn add(headers: &mut HeaderMap, https_only: Option<HeaderValue>) {
    for (name, value) in MANDATORY_HEADERS {
        headers.insert(name, value);
    }
    for (name, value) in DEFAULT_HEADERS {
        if !headers.contains_key(&name) {
            headers.insert(name, value);
        }
    }
    if let Some(value) = https_only {
        headers.insert(STRICT_TRANSPORT_SECURITY, value);
    }
}
