//! CORS for other origins that may use the API from a browser, as listed in `server.cors_origins`.

use actix_web::{
    Error, HttpResponse,
    body::{EitherBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::{
        Method,
        header::{
            ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
            ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
            ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, HeaderMap, HeaderValue, ORIGIN, VARY,
        },
    },
    middleware::Next,
    web::Data,
};

use crate::{RequestServices, origin::is_listed};

const METHODS: HeaderValue = HeaderValue::from_static("GET, POST, PUT, PATCH, DELETE");
const REQUEST_HEADERS: &str =
    "Authorization, Content-Type, Accept, Idempotency-Key, X-Natter-Transport, X-Request-Id, Last-Event-ID";
/// Allowed request headers, in addition to Natter's own: exact names of those that the libraries of
/// OpenAI, Azure, Anthropic and Google and gateway clients send.
const CLIENT_HEADERS: [&str; 7] =
    ["x-api-key", "api-key", "x-app", "x-client-request-id", "http-referer", "x-title", "cache-control"];
const CLIENT_HEADER_PREFIXES: [&str; 4] = ["x-stainless-", "anthropic-", "openai-", "x-goog-"];
/// Response headers that scripts may read, including those that control the retries of the OpenAI
/// and Anthropic libraries.
const RESPONSE_HEADERS: HeaderValue = HeaderValue::from_static(
    "X-Request-Id, Request-Id, Retry-After, Retry-After-Ms, X-Should-Retry, RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset",
);
/// Maximum age of a cached preflight response, in seconds.
const MAX_AGE: HeaderValue = HeaderValue::from_static("600");
const TRUE: HeaderValue = HeaderValue::from_static("true");

/// Answers preflight requests, and adds the CORS headers to responses.
pub async fn answer<B: MessageBody>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B>>, Error> {
    let Some(origin) = listed_origin(&request) else {
        return next.call(request).await.map(ServiceResponse::map_into_left_body);
    };
    let asks = request.method() == Method::OPTIONS && request.headers().contains_key(ACCESS_CONTROL_REQUEST_METHOD);
    let mut response = if asks {
        let mut permission = HttpResponse::NoContent().finish();
        let headers = permission.headers_mut();
        headers.insert(ACCESS_CONTROL_ALLOW_METHODS, METHODS);
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, allowed_headers(request.headers()));
        headers.insert(ACCESS_CONTROL_MAX_AGE, MAX_AGE);
        request.into_response(permission).map_into_right_body()
    } else {
        next.call(request).await?.map_into_left_body()
    };
    add_cors_headers(response.headers_mut(), origin);
    Ok(response)
}

/// Value of `Access-Control-Allow-Headers`: Natter's own headers, and those of the requested
/// headers that client libraries send.
fn allowed_headers(asked: &HeaderMap) -> HeaderValue {
    let asked = asked.get_all(ACCESS_CONTROL_REQUEST_HEADERS).filter_map(|value| value.to_str().ok());
    let names = asked.flat_map(|names| names.split(',')).map(|name| name.trim().to_ascii_lowercase());
    let allowed = names.filter(|name| {
        let is_plain = |rest: &str| rest.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        let is_begun =
            || CLIENT_HEADER_PREFIXES.iter().any(|beginning| name.strip_prefix(beginning).is_some_and(is_plain));
        CLIENT_HEADERS.contains(&name.as_str()) || is_begun()
    });
    let text = std::iter::once(REQUEST_HEADERS.to_owned()).chain(allowed).collect::<Vec<_>>().join(", ");
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static(REQUEST_HEADERS))
}

fn listed_origin(request: &ServiceRequest) -> Option<HeaderValue> {
    let origin = request.headers().get(ORIGIN)?;
    let services = request.app_data::<Data<RequestServices>>()?;
    is_listed(origin.to_str().ok()?, &services.config).then(|| origin.clone())
}

fn add_cors_headers(headers: &mut HeaderMap, origin: HeaderValue) {
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, TRUE);
    headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, RESPONSE_HEADERS);
    headers.append(VARY, HeaderValue::from_static("Origin"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn allows_only_headers_of_client_libraries() {
        let allowed = |asked: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(ACCESS_CONTROL_REQUEST_HEADERS, HeaderValue::from_static(asked));
            allowed_headers(&headers).to_str().unwrap().to_owned()
        };
        assert_eq!(allowed_headers(&HeaderMap::new()), REQUEST_HEADERS);
        for (asked, added) in [
            (
                "authorization,content-type,x-stainless-os,X-Stainless-Retry-Count",
                ", x-stainless-os, x-stainless-retry-count",
            ),
            ("x-api-key, anthropic-version,anthropic-beta", ", x-api-key, anthropic-version, anthropic-beta"),
            ("http-referer,x-title,openai-project", ", http-referer, x-title, openai-project"),
            ("x-forwarded-for, cookie, x-stainless-a b, x-stainless-a\tb, ,", ""),
        ] {
            assert_eq!(allowed(asked), format!("{REQUEST_HEADERS}{added}"));
        }
    }
}
