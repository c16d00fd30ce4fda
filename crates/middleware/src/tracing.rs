//! One log line per request, and the id that ties everything together that the log says about it.
//!
//! The line names the route, not the address: queries and ids stay out of the log, and tokens with them.

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
use telemetry::{Kind, Span};
use uuid::Uuid;

/// The header that carries the id, both ways.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const MAX_ID_BYTES: usize = 64;
/// What the log calls a route that is none.
const UNKNOWN: &str = "(unknown)";
/// W3C Trace Context: what the request is part of.
const TRACEPARENT: &str = "traceparent";
const UNNAMED: HeaderValue = HeaderValue::from_static("-");

/// The name under which a request stands in the log and in its answer.
#[derive(Clone)]
pub struct RequestId(HeaderValue);

impl RequestId {
    /// The caller's own, when it is sane; else a new one.
    #[must_use]
    pub fn choose(headers: &HeaderMap) -> Self {
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

/// A request on its way, and what is found out on it that its log line tells.
struct Observed {
    id: RequestId,
    route: Cell<Option<&'static str>>,
    caller: Cell<Option<UserId>>,
}

/// The [`RequestId`] that [`observe`] has given to a request.
#[must_use]
pub fn request_id(http: &HttpRequest) -> String {
    http.extensions().get::<Observed>().map_or_else(String::new, |observed| observed.id.as_str().to_owned())
}

/// Spares the log line looking for the route.
pub fn note_route(http: &HttpRequest, route: &'static str) {
    if let Some(observed) = http.extensions().get::<Observed>() {
        observed.route.set(Some(route));
    }
}

/// Has the log line say who called.
pub fn note_caller(http: &HttpRequest, user_id: UserId) {
    if let Some(observed) = http.extensions().get::<Observed>() {
        observed.caller.set(Some(user_id));
    }
}

/// Wraps everything, so that refusals are logged too.
pub async fn observe(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let (start, id, method) = (Instant::now(), RequestId::choose(request.headers()), request.method().clone());
    request.extensions_mut().insert(Observed { id: id.clone(), route: Cell::default(), caller: Cell::default() });
    // The line below says all of it; what is logged in between is worth the cost only to whoever looks closely.
    let span = debug_span!("request", request_id = id.as_str());
    let parent = request.headers().get(TRACEPARENT).and_then(|value| value.to_str().ok());
    let traced = Span::within(Kind::Server, "request", parent);
    let told = async {
        let result = next.call(request).await;
        let took = start.elapsed();
        let ms = took.as_micros() as f64 / 1000.0;
        match result {
            Ok(mut response) => {
                let (route, caller) = found(response.request());
                let (request_id, status) = (id.as_str(), response.status().as_u16());
                // Only endpoints have names of their own there.
                let label = match route {
                    Cow::Borrowed(route) if route != UNKNOWN => route,
                    _ => metrics::OTHER,
                };
                metrics().http.count(method.as_str(), label, status, took);
                describe(&traced, method.as_str(), &route, status);
                info!(request_id, %method, route = &*route, status, ms, user_id = caller.map(field::display), "request");
                response.headers_mut().insert(REQUEST_ID, id.0);
                Ok(response)
            }
            Err(error) => {
                let status = error.as_response_error().status_code().as_u16();
                metrics().http.count(method.as_str(), metrics::OTHER, status, took);
                describe(&traced, method.as_str(), UNKNOWN, status);
                info!(request_id = id.as_str(), %method, route = UNKNOWN, status, ms, "request");
                Err(error)
            }
        }
    }
    .instrument(span);
    traced.around(told).await
}

/// Says of a span what the log line says, under the names of OpenTelemetry's conventions for HTTP.
fn describe(span: &Span, method: &str, route: &str, status: u16) {
    if !span.is_on() {
        return;
    }
    span.rename(format!("{method} {route}"));
    span.set("http.request.method", method.to_owned());
    span.set("http.route", route.to_owned());
    span.set("http.response.status_code", i64::from(status));
    if status >= 500 {
        span.fail("");
    }
}

fn found(http: &HttpRequest) -> (Cow<'static, str>, Option<UserId>) {
    let noted = http.extensions().get::<Observed>().map(|observed| (observed.route.get(), observed.caller.get()));
    let (route, caller) = noted.unwrap_or_default();
    let matched = || http.match_pattern().map_or(Cow::Borrowed(UNKNOWN), Cow::Owned);
    (route.map_or_else(matched, Cow::Borrowed), caller)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_sane_id_is_taken_over() {
        let chosen = |text: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(REQUEST_ID, HeaderValue::from_static(text));
            RequestId::choose(&headers).as_str().to_owned()
        };
        assert_eq!(chosen("trace-1.a:b_c"), "trace-1.a:b_c");
        for wrong in ["", "a b", "a\"b", "0123456789012345678901234567890123456789012345678901234567890123456789"] {
            assert!(Uuid::parse_str(&chosen(wrong)).is_ok(), "{wrong}");
        }
    }
}
