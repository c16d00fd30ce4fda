//! Request log: one line per request, and the request id that correlates all log lines of a request.
//!
//! The line contains the route instead of the path, so that queries, ids and tokens stay out of the log.

use std::{borrow::Cow, cell::Cell, time::Instant};

use ::tracing::{Instrument, debug_span, field, info};
use actix_web::{
    Error, HttpMessage, HttpRequest,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    http::header::{HeaderMap, HeaderName, HeaderValue},
    middleware::Next,
};
use appcore::UserId;
use metrics::metrics;
use telemetry::{Span, SpanRole};
use uuid::Uuid;

/// Header with the request id, in requests and responses.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const MAX_ID_BYTES: usize = 64;
/// Route name that the log shows for unknown paths.
const UNKNOWN_ROUTE: &str = "(unknown)";
/// Header of W3C Trace Context, which names the parent span.
const TRACEPARENT: &str = "traceparent";
const UNNAMED: HeaderValue = HeaderValue::from_static("-");

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
    caller: Cell<Option<UserId>>,
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

/// Records the caller for the log line.
pub fn record_caller(http: &HttpRequest, user_id: UserId) {
    if let Some(observed) = http.extensions().get::<RequestRecord>() {
        observed.caller.set(Some(user_id));
    }
}

/// Outermost middleware: assigns the request id and writes the log line. Refused requests are
/// logged as well.
pub async fn observe(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let (start, id, method) = (Instant::now(), RequestId::from_headers(request.headers()), request.method().clone());
    request.extensions_mut().insert(RequestRecord { id: id.clone(), route: Cell::default(), caller: Cell::default() });
    // The span is at debug level: the log line has all fields, so the span's cost is only justified
    // when debugging.
    let span = debug_span!("request", request_id = id.as_str());
    let parent = request.headers().get(TRACEPARENT).and_then(|value| value.to_str().ok());
    let traced = Span::start_within(SpanRole::Server, "request", parent);
    let told = async {
        let result = next.call(request).await;
        let took = start.elapsed();
        let ms = took.as_micros() as f64 / 1000.0;
        match result {
            Ok(mut response) => {
                let (route, caller) = recorded_fields(response.request());
                let (request_id, status) = (id.as_str(), response.status().as_u16());
                // All paths without an endpoint share one value of the metric label.
                let label = match route {
                    Cow::Borrowed(route) if route != UNKNOWN_ROUTE => route,
                    _ => metrics::OTHER,
                };
                metrics().http.record(method.as_str(), label, status, took);
                describe(&traced, method.as_str(), &route, status);
                info!(request_id, %method, route = &*route, status, ms, user_id = caller.map(field::display), "request");
                response.headers_mut().insert(REQUEST_ID, id.0);
                Ok(response)
            }
            Err(error) => {
                let status = error.as_response_error().status_code().as_u16();
                metrics().http.record(method.as_str(), metrics::OTHER, status, took);
                describe(&traced, method.as_str(), UNKNOWN_ROUTE, status);
                info!(request_id = id.as_str(), %method, route = UNKNOWN_ROUTE, status, ms, "request");
                Err(error)
            }
        }
    }
    .instrument(span);
    traced.scope(told).await
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
        span.fail("");
    }
}

fn recorded_fields(http: &HttpRequest) -> (Cow<'static, str>, Option<UserId>) {
    let noted = http.extensions().get::<RequestRecord>().map(|observed| (observed.route.get(), observed.caller.get()));
    let (route, caller) = noted.unwrap_or_default();
    let matched = || http.match_pattern().map_or(Cow::Borrowed(UNKNOWN_ROUTE), Cow::Owned);
    (route.map_or_else(matched, Cow::Borrowed), caller)
}

#[cfg(test)]
mod tests {
    use super::*;

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
