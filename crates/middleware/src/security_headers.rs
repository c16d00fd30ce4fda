//! What tells a browser how little it may do with our answers.

use actix_web::http::header::{
    CONTENT_SECURITY_POLICY, HeaderMap, HeaderName, HeaderValue, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use appcore::config::Server;

const ALWAYS: [(HeaderName, HeaderValue); 4] = [
    (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin")),
    (HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin")),
    (
        HeaderName::from_static("permissions-policy"),
        HeaderValue::from_static("camera=(), geolocation=(), microphone=(self), payment=()"),
    ),
];
/// Where an answer does not say its own.
const USUALLY: [(HeaderName, HeaderValue); 3] = [
    (X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (REFERRER_POLICY, HeaderValue::from_static("strict-origin-when-cross-origin")),
    // Data is never a page.
    (
        CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"),
    ),
];
/// Two years, as browsers' preload lists ask for.
const HTTPS_ONLY: HeaderValue = HeaderValue::from_static("max-age=63072000; includeSubDomains");
/// Below a path of a host, the names below that host are others'.
const HTTPS_ONLY_HERE: HeaderValue = HeaderValue::from_static("max-age=63072000");

/// What keeps browsers to https, where the server is reached by it.
#[must_use]
pub fn https_only(server: &Server) -> Option<HeaderValue> {
    let value = if server.path().is_empty() { HTTPS_ONLY } else { HTTPS_ONLY_HERE };
    server.is_https().then_some(value)
}

/// Adds them to an answer.
pub fn add(headers: &mut HeaderMap, https_only: Option<HeaderValue>) {
    for (name, value) in ALWAYS {
        headers.insert(name, value);
    }
    for (name, value) in USUALLY {
        if !headers.contains_key(&name) {
            headers.insert(name, value);
        }
    }
    if let Some(value) = https_only {
        headers.insert(STRICT_TRANSPORT_SECURITY, value);
    }
}
