//! Refusals as the callers' libraries know them.

use actix_web::{
    HttpRequest, HttpResponse,
    http::{
        StatusCode,
        header::{self, HeaderName, HeaderValue},
    },
};
use appcore::{AppError, Code};
use serde_json::{Value, json};

use crate::answer::start;

const RETRY_AFTER_MS: HeaderName = HeaderName::from_static("retry-after-ms");
/// What Anthropic calls `x-request-id`.
const REQUEST_ID: HeaderName = HeaderName::from_static("request-id");

/// Whose form it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    OpenAi,
    Anthropic,
}

impl Form {
    /// That of the path, or of the library that asks what both have.
    pub fn of(http: &HttpRequest) -> Self {
        if http.headers().contains_key("anthropic-version") { Self::Anthropic } else { Self::of_path(http.path()) }
    }

    pub fn of_path(path: &str) -> Self {
        let is_messages =
            path.strip_prefix("/v1/messages").is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        if is_messages { Self::Anthropic } else { Self::OpenAi }
    }

    pub const fn status(self, code: Code) -> u16 {
        match (self, code) {
            (Self::OpenAi, Code::OutOfCredits) => 429,
            (_, Code::Invalid) => 400,
            _ => code.status(),
        }
    }

    pub fn body(self, error: &AppError, request_id: &str) -> Value {
        let (code, message) = (error.code(), error.sentence());
        match self {
            Self::OpenAi => {
                let (kind, code) = open_ai(code);
                let param = error.fields().first().map(|field| &field.field);
                json!({ "error": { "message": message, "type": kind, "param": param, "code": code } })
            }
            Self::Anthropic => {
                json!({ "type": "error", "error": { "type": anthropic(code), "message": message }, "request_id": request_id })
            }
        }
    }
}

/// Type and code.
fn open_ai(code: Code) -> (&'static str, &'static str) {
    match (code, code.status()) {
        (Code::OutOfCredits, _) => ("insufficient_quota", "insufficient_quota"),
        (_, 401) => ("authentication_error", "invalid_api_key"),
        (_, 403) => ("permission_error", code.as_str()),
        (_, 429) => ("rate_limit_error", "rate_limit_exceeded"),
        (_, 500..) => ("server_error", code.as_str()),
        _ => ("invalid_request_error", code.as_str()),
    }
}

fn anthropic(code: Code) -> &'static str {
    match code.status() {
        401 => "authentication_error",
        402 => "billing_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        504 => "timeout_error",
        500.. => "api_error",
        _ => "invalid_request_error",
    }
}

pub(crate) fn answer(http: &HttpRequest, error: &AppError, request_id: &str) -> HttpResponse {
    let form = Form::of(http);
    let status = StatusCode::from_u16(form.status(error.code())).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = start(http, status, "application/json");
    if let Some(after) = error.retry_after() {
        let ms = after.as_millis().max(1);
        response.insert_header((header::RETRY_AFTER, ms.div_ceil(1_000).to_string()));
        response.insert_header((RETRY_AFTER_MS, ms.to_string()));
    }
    if status == StatusCode::UNAUTHORIZED {
        response.insert_header((header::WWW_AUTHENTICATE, "Bearer"));
    }
    if let Ok(id) = HeaderValue::from_str(request_id)
        && form == Form::Anthropic
    {
        response.insert_header((REQUEST_ID, id));
    }
    response.body(form.body(error, request_id).to_string())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use actix_web::{body::to_bytes, test::TestRequest};

    use super::*;

    async fn refused(path: &str, header: Option<(&str, &str)>, error: AppError) -> (u16, Value, HttpResponse<()>) {
        let mut request = TestRequest::with_uri(path);
        if let Some(header) = header {
            request = request.insert_header(header);
        }
        let response = answer(&request.to_http_request(), &error, "id-1");
        let (response, body) = response.into_parts();
        let body = to_bytes(body).await.unwrap();
        (response.status().as_u16(), serde_json::from_slice(&body).unwrap(), response)
    }

    #[actix_web::test]
    async fn each_library_gets_the_form_that_it_knows() {
        let (status, body, _) = refused("/v1/chat/completions", None, Code::Unauthenticated.into()).await;
        assert_eq!(
            (status, &body["error"]["type"], &body["error"]["code"]),
            (401, &json!("authentication_error"), &json!("invalid_api_key"))
        );
        let (_, body, response) = refused("/v1/messages/count_tokens", None, Code::Unauthenticated.into()).await;
        assert_eq!(
            body,
            json!({ "type": "error", "error": { "type": "authentication_error", "message": "Sign in first." }, "request_id": "id-1" })
        );
        assert_eq!(response.headers().get("request-id").unwrap(), "id-1");
        let (_, body, _) =
            refused("/v1/models", Some(("anthropic-version", "2026-10-21")), Code::NotFound.into()).await;
        assert_eq!(body["error"]["type"], "not_found_error");
        let (_, body, _) = refused("/v1/messagesx", None, Code::NotFound.into()).await;
        assert_eq!(body["error"]["type"], "invalid_request_error");
    }

    #[actix_web::test]
    async fn a_wrong_field_is_named_and_a_wait_is_said_twice() {
        let (status, body, _) = refused("/v1/responses", None, AppError::field("tools", "invalid", "Wrong.")).await;
        assert_eq!((status, &body["error"]["param"]), (400, &json!("tools")));
        let wait = AppError::Refused {
            code: Code::RateLimited,
            message: None,
            retry_after: Some(Duration::from_millis(1_500)),
        };
        let (status, _, response) = refused("/v1/responses", None, wait).await;
        let header = |name: &str| response.headers().get(name).unwrap().to_str().unwrap().to_owned();
        assert_eq!((status, header("retry-after"), header("retry-after-ms")), (429, "2".to_owned(), "1500".to_owned()));
    }
}
