//! What tells a browser how little it may do with our answers. A page's own headers stand; the rest is filled in.

use actix_web::{
    Error,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    http::header::{
        CONTENT_SECURITY_POLICY, HeaderName, HeaderValue, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY,
        X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
    },
    middleware::Next,
    web::Data,
};
use service::App;

/// Data is never a page.
const DATA_POLICY: HeaderValue =
    HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'");

const ALWAYS: [(HeaderName, HeaderValue); 6] = [
    (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (REFERRER_POLICY, HeaderValue::from_static("strict-origin-when-cross-origin")),
    (HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin")),
    (HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin")),
    (
        HeaderName::from_static("permissions-policy"),
        HeaderValue::from_static("camera=(), geolocation=(), microphone=(self), payment=()"),
    ),
];
/// Two years, as browsers' preload lists ask for.
const HTTPS_ONLY: HeaderValue = HeaderValue::from_static("max-age=63072000; includeSubDomains");

pub async fn add(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let https = request.app_data::<Data<App>>().is_some_and(|app| app.config.server.is_https());
    let mut response = next.call(request).await?;
    let headers = response.headers_mut();
    let missing = |headers: &actix_web::http::header::HeaderMap, name: &HeaderName| !headers.contains_key(name);
    for (name, value) in ALWAYS {
        if missing(headers, &name) {
            headers.insert(name, value);
        }
    }
    if missing(headers, &CONTENT_SECURITY_POLICY) {
        headers.insert(CONTENT_SECURITY_POLICY, DATA_POLICY);
    }
    if https {
        headers.insert(STRICT_TRANSPORT_SECURITY, HTTPS_ONLY);
    }
    Ok(response)
}
