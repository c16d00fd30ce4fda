//! Request log: one line per request, and the request id that correlates all log lines of a request.
//!
//! The line contains the path without its query, because queries may contain tokens, and without the ids of shared
//! chats, which whoever is signed in may read by the id. Requests of probes are not logged: a load balancer sends one every second.

use std::{borrow::Cow, cell::Cell, net::IpAddr, time::Instant};

use ::tracing::{Instrument, debug_span, field, info, warn};
use actix_web::{
    Error, HttpMessage, HttpRequest,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    http::header::{HeaderMap, HeaderName, HeaderValue},
    middleware::Next,
    web::Data,
};
use appcore::{
    ApiKeyId, RequestSource, UserId,
    auth::{Credential, Principal},
};
use metrics::metrics;
use telemetry::{Span, SpanRole};
use uuid::Uuid;

use crate::{RequestServices, address};

/// Target of the request log.
pub const LOG_TARGET: &str = module_path!();
/// Header with the request id, in requests and responses.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const MAX_ID_BYTES: usize = 64;
/// Route name that the log shows for unknown paths.
const UNKNOWN_ROUTE: &str = "(unknown)";
/// Prefix of the paths of shared chats.
const SHARED_CHATS: &str = "/r1/shared/";
/// Maximum length of a path in the log, in characters.
const MAX_PATH_CHARS: usize = 256;
/// Header of W3C Trace Context, which names the parent span.
const TRACEPARENT: &str = "traceparent";
const UNNAMED: HeaderValue = HeaderValue::from_static("-");

/// Logs a request; as a warning if the server failed to serve it.
macro_rules! log_request {
    ($status:expr, $($fields:tt)*) => {
        if $status >= 500 { warn!($($fields)*) } else { info!($($fields)*) }
    };
}

/// Request id, for the log and the response.
#[derive(Clone)]
pub struct RequestId(HeaderValue);

impl RequestId {
    /// Accepts the client's id if it is well-formed, otherwise generates one.
    #[must_use]
    pub fn from_headers(headers: &HeaderMap) -> Self {
        let is_sane = |id: &&HeaderValue| {
            (1..=MAX_ID_BYTES).contains(&id.len())
                && id.as_bytes().iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_.:".contains(byte))
        };
        Self(headers.get(REQUEST_ID).filter(is_sane).cloned().unwrap_or_else(|| {
            let mut text = Uuid::encode_buffer();
            HeaderValue::from_str(Uuid::now_v7().hyphenated().encode_lower(&mut text)).unwrap_or(UNNAMED)
        }))
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(self.0.as_bytes()).unwrap_or_default()
    }
}

/// Request in progress, with the fields of its log line collected so far.
struct RequestRecord {
    id: RequestId,
    route: Cell<Option<&'static str>>,
    user: Cell<Option<UserId>>,
    key: Cell<Option<ApiKeyId>>,
    error: Cell<Option<&'static str>>,
}

impl RequestRecord {
    fn new(id: RequestId) -> Self {
        Self { id, route: Cell::default(), user: Cell::default(), key: Cell::default(), error: Cell::default() }
    }
}

/// Id that [`observe`] assigned to the request; empty without one.
#[must_use]
pub fn request_id(http: &HttpRequest) -> String {
    http.extensions().get::<RequestRecord>().map_or_else(String::new, |observed| observed.id.as_str().to_owned())
}

/// Records the route, so that the log line doesn't have to look it up.
pub fn record_route(http: &HttpRequest, route: &'static str) {
    if let Some(observed) = http.extensions().get::<RequestRecord>() {
        observed.route.set(Some(route));
    }
}

/// Records the caller for the log line: the user, and the API key if there is one.
pub fn record_caller(http: &HttpRequest, principal: &Principal) {
    if let Some(observed) = http.extensions().get::<RequestRecord>() {
        observed.user.set(principal.account_id());
        if let Credential::ApiKey { id, .. } = principal.credential {
            observed.key.set(Some(id));
        }
    }
}

/// Records the error code of the response for the log line.
pub fn record_error(http: &HttpRequest, code: &'static str) {
    if let Some(observed) = http.extensions().get::<RequestRecord>() {
        observed.error.set(Some(code));
    }
}

/// Outermost middleware: assigns the request id and writes the log line. Refused requests are
/// logged as well.
pub async fn observe(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let (start, id, method) = (Instant::now(), RequestId::from_headers(request.headers()), request.method().clone());
    request.extensions_mut().insert(RequestRecord::new(id.clone()));
    // The request is gone if a middleware returns an error. The copy of the address shares its memory.
    let uri = request.uri().clone();
    // The span is at debug level: the log line has all fields, so the span's cost is only justified
    // when debugging.
    let span = debug_span!("request", request_id = id.as_str());
    let parent = request.headers().get(TRACEPARENT).and_then(|value| value.to_str().ok());
    let traced = Span::start_within(SpanRole::Server, "request", parent);
    describe_request(&traced, &request);
    let told = async {
        let result = next.call(request).await;
        let took = start.elapsed();
        let ms = took.as_micros() as f64 / 1000.0;
        match result {
            Ok(mut response) => {
                let http = response.request();
                let (route, error) = (recorded_route(http), recorded(http, |observed| observed.error.get()));
                let (request_id, status) = (id.as_str(), response.status().as_u16());
                // All paths without an endpoint share one value of the metric label.
                let label = match route {
                    Cow::Borrowed(route) if route != UNKNOWN_ROUTE => route,
                    _ => metrics::OTHER,
                };
                metrics().http.record(method.as_str(), label, status, took);
                describe(&traced, method.as_str(), &route, status);
                if !is_probe(uri.path()) {
                    let user_id = recorded(http, |observed| observed.user.get()).map(field::display);
                    let key_id = recorded(http, |observed| observed.key.get()).map(field::display);
                    let (path, address) = (shown(uri.path()), client_address(http).map(field::display));
                    log_request!(
                        status, request_id, %method, route = &*route, path, status, error, ms, address, user_id, key_id, "request"
                    );
                }
                response.headers_mut().insert(REQUEST_ID, id.0);
                Ok(response)
            }
            Err(error) => {
                let status = error.as_response_error().status_code().as_u16();
                metrics().http.record(method.as_str(), metrics::OTHER, status, took);
                describe(&traced, method.as_str(), UNKNOWN_ROUTE, status);
                let path = shown(uri.path());
                log_request!(status, request_id = id.as_str(), %method, route = UNKNOWN_ROUTE, path, status, ms, "request");
                Err(error)
            }
        }
    }
    .instrument(span);
    traced.scope(told).await
}

/// Records the address of the request in the span, by OpenTelemetry's semantic conventions for HTTP.
fn describe_request(span: &Span, request: &ServiceRequest) {
    if !span.is_on() {
        return;
    }
    let connection = request.connection_info();
    span.set_attribute("url.path", shown(request.uri().path()).to_owned());
    span.set_attribute("url.scheme", connection.scheme().to_owned());
    span.set_attribute("server.address", host_name(connection.host()).to_owned());
}

/// Returns the host of a `Host` header without the port.
fn host_name(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

/// Records the fields of the log line in the span, by OpenTelemetry's semantic conventions for HTTP.
fn describe(span: &Span, method: &str, route: &str, status: u16) {
    if !span.is_on() {
        return;
    }
    span.set_name(format!("{method} {route}"));
    span.set_attribute("http.request.method", method.to_owned());
    span.set_attribute("http.route", route.to_owned());
    span.set_attribute("http.response.status_code", i64::from(status));
    if status >= 500 {
        span.set_attribute("error.type", status.to_string());
        span.fail("");
    }
}

fn recorded<T>(http: &HttpRequest, field: impl Fn(&RequestRecord) -> Option<T>) -> Option<T> {
    http.extensions().get::<RequestRecord>().and_then(field)
}

fn recorded_route(http: &HttpRequest) -> Cow<'static, str> {
    let matched = || http.match_pattern().map_or(Cow::Borrowed(UNKNOWN_ROUTE), Cow::Owned);
    recorded(http, |observed| observed.route.get()).map_or_else(matched, Cow::Borrowed)
}

/// True for the health endpoints, which load balancers request all the time.
fn is_probe(path: &str) -> bool {
    path.strip_prefix("/health").is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Returns what the log shows of a path: the beginning of a long one, and nothing after the prefix
/// of shared chats.
fn shown(path: &str) -> &str {
    if path.starts_with(SHARED_CHATS) {
        return SHARED_CHATS;
    }
    path.char_indices().nth(MAX_PATH_CHARS).map_or(path, |(end, _)| &path[..end])
}

/// Client address, which the checks of the request have usually determined already.
fn client_address(http: &HttpRequest) -> Option<IpAddr> {
    if let Some(source) = http.extensions().get::<RequestSource>() {
        return source.address;
    }
    let services = http.app_data::<Data<RequestServices>>()?;
    address::source_of(http.peer_addr(), http.headers(), &services.config).address
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_health_endpoints_are_probes() {
        assert!(["/health", "/health/", "/health/simple"].into_iter().all(is_probe));
        assert!(!["/", "/healthy", "/r1/health"].into_iter().any(is_probe));
    }

    #[test]
    fn host_names_have_no_port() {
        let names = ["chat.example:8080", "chat.example", "[::1]:8080", "[::1]"].map(host_name);
        assert_eq!(names, ["chat.example", "chat.example", "[::1]", "[::1]"]);
    }

    #[test]
    fn long_paths_are_cut_and_ids_of_shared_chats_left_out() {
        assert_eq!(shown("/r1/shared/01a22b47-6553-7011-98c1-1835e5cb766f/messages"), SHARED_CHATS);
        assert_eq!(shown("/r1/users"), "/r1/users");
        assert_eq!(shown(&"é".repeat(1_000)), "é".repeat(MAX_PATH_CHARS));
    }

    #[test]
    fn accepts_only_well_formed_ids() {
        let chosen = |text: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(REQUEST_ID, HeaderValue::from_static(text));
            RequestId::from_headers(&headers).as_str().to_owned()
        };
        assert_eq!(chosen("trace-1.a:b_c"), "trace-1.a:b_c");
        for wrong in ["", "a b", "a\"b", "0123456789012345678901234567890123456789012345678901234567890123456789"] {
            assert!(Uuid::parse_str(&chosen(wrong)).is_ok(), "{wrong}");
        }
    }
}
