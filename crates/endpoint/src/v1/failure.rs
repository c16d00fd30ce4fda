//! Gateway errors in the formats of OpenAI, Anthropic, Google and Ollama.

use actix_web::{
    HttpRequest, HttpResponse,
    http::{
        Method, StatusCode,
        header::{self, HeaderName, HeaderValue},
    },
};
use ai::{ApiStyle, ErrorKind, GatewayError, Rendered};
use appcore::{AppError, Code};
use middleware::auth::GOOGLE_API_KEY;

use super::GEMINI_ROOT;
use crate::{Raw, Reply, answer::response_builder};

/// Programs can't sign in; they need a key.
const BAD_KEY: &str = "The API key is missing, or is not a valid key of this server. Such keys begin with `nk_`.";

/// Header that Anthropic uses for the request id, instead of `x-request-id`.
const REQUEST_ID: HeaderName = HeaderName::from_static("request-id");

/// Error format for a request: that of the client library if the headers identify it, otherwise
/// that of the path.
pub(crate) fn style_of(http: &HttpRequest) -> ApiStyle {
    // Only in Gemini's API, models are called by their path. Google's library for Python also lists
    // them there.
    let calls_model = || *http.method() == Method::POST && http.path().starts_with("/v1/models/");
    let lists_models = || http.path() == "/v1/models" || http.path().starts_with("/v1/models/");
    if calls_model() || http.headers().contains_key(GOOGLE_API_KEY) && lists_models() {
        return ApiStyle::Gemini;
    }
    if http.headers().contains_key("anthropic-version") { ApiStyle::Messages } else { style_of_path(http.path()) }
}

pub(crate) fn style_of_path(path: &str) -> ApiStyle {
    let is_under = |root: &str| path.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    if is_under("/v1/messages") {
        ApiStyle::Messages
    } else if is_under(GEMINI_ROOT) {
        ApiStyle::Gemini
    } else {
        ApiStyle::Chat
    }
}

/// HTTP status of an error code at this path.
pub(crate) fn status(path: &str, code: Code) -> u16 {
    to_gateway_error(&code.into()).status(style_of_path(path))
}

/// Response to an unknown path, or to an error before the endpoint is reached.
pub(crate) fn answer(http: &HttpRequest, error: &AppError, request_id: &str) -> HttpResponse {
    let style = style_of(http);
    let mut response = response(http, error.code(), render(http.path(), error, style, request_id));
    if let (ApiStyle::Messages, Ok(id)) = (style, HeaderValue::from_str(request_id)) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    response
}

/// Response like [`answer`] in Ollama's format.
pub(crate) fn answer_ollama(http: &HttpRequest, error: &AppError) -> HttpResponse {
    response(http, error.code(), render_for_ollama(error))
}

/// Renders an error at this path before the endpoint is reached.
pub(crate) fn render(path: &str, error: &AppError, style: ApiStyle, request_id: &str) -> Rendered {
    let unknown = if error.code() == Code::NotFound { unknown_path(path) } else { None };
    unknown.unwrap_or_else(|| to_gateway_error(error)).render(style, request_id)
}

pub(crate) fn render_for_ollama(error: &AppError) -> Rendered {
    to_gateway_error(error).render_for_ollama()
}

fn response(http: &HttpRequest, code: Code, rendered: Rendered) -> HttpResponse {
    let Rendered { status, headers, body } = rendered;
    // Only the log uses this status, since the client is gone.
    let status = if code == Code::ClientGone { Code::ClientGone.status() } else { status };
    let mut response = response_builder(http, status_code(status), "application/json");
    headers.into_iter().for_each(|header| _ = response.insert_header(header));
    if status == 401 {
        response.insert_header((header::WWW_AUTHENTICATE, "Bearer"));
    }
    response.body(body)
}

/// Explains why a path is unknown.
fn unknown_path(path: &str) -> Option<GatewayError> {
    let error = |sentence| GatewayError::new(ErrorKind::NotFound, sentence);
    let is_realtime = ["/v1/realtime", "/openai/realtime", "/openai/v1/realtime"]
        .iter()
        .any(|root| path.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')));
    if is_realtime {
        let sentence = "The Realtime API isn't supported. Transcribe speech with `/v1/audio/transcriptions`, stream the \
                        answer with `/v1/chat/completions` or `/v1/responses`, and speak it with `/v1/audio/speech`.";
        return Some(error(sentence).with_code("unsupported_endpoint"));
    }
    url_mistake(path).map(error)
}

/// Hint about a common mistake in the URL.
fn url_mistake(path: &str) -> Option<&'static str> {
    if path == "/v1/v1" || path.starts_with("/v1/v1/") {
        return Some("The address has `/v1` twice. Leave it out of the base URL, or out of the path.");
    }
    if path.starts_with("/v1beta/v1beta/") || path.starts_with("/v1/v1beta/") {
        return Some("The address has two versions. Leave the one of the base URL out.");
    }
    if path.contains("//") || path.ends_with('/') {
        return Some("The address has a slash too many. Check the end of the base URL and of the path.");
    }
    let model = path.strip_prefix("/v1/models/")?;
    model.contains('/').then_some("Write the slashes in a model's name as `%2F`.")
}

/// Error response of an endpoint, in the client's format.
pub(crate) fn reply(error: &GatewayError, style: ApiStyle, request_id: &str) -> Reply<Raw> {
    with_request_id(rendered_reply(error.render(style, request_id)), style, request_id)
}

/// Error response of an endpoint, in Ollama's format.
pub(crate) fn ollama_reply(error: &GatewayError) -> Reply<Raw> {
    rendered_reply(error.render_for_ollama())
}

fn rendered_reply(Rendered { status, headers, body }: Rendered) -> Reply<Raw> {
    let mut reply = Reply::bytes("application/json", body.into()).status(status_code(status));
    for (name, value) in headers {
        if let Ok(value) = HeaderValue::from_str(&value) {
            reply = reply.header(HeaderName::from_static(name), value);
        }
    }
    reply
}

/// Adds the request id under the header that the client library reads.
pub(crate) fn with_request_id(reply: Reply<Raw>, style: ApiStyle, request_id: &str) -> Reply<Raw> {
    match (style, HeaderValue::from_str(request_id)) {
        (ApiStyle::Messages, Ok(id)) => reply.header(REQUEST_ID, id),
        _ => reply,
    }
}

pub(super) fn to_gateway_error(error: &AppError) -> GatewayError {
    let code = error.code();
    let kind = match (code, code.status()) {
        (Code::OutOfCredits | Code::BudgetExceeded, _) => ErrorKind::OutOfBudget,
        (_, 401) => ErrorKind::Unauthenticated,
        (_, 403) => ErrorKind::Forbidden,
        (_, 404) => ErrorKind::NotFound,
        (_, 405) => ErrorKind::MethodNotAllowed,
        (_, 413) => ErrorKind::TooLarge,
        (_, 415) => ErrorKind::UnsupportedMediaType,
        (_, 429) => ErrorKind::RateLimited,
        (_, 503) => ErrorKind::Unavailable,
        (_, 500..) => ErrorKind::Internal,
        _ => ErrorKind::Invalid,
    };
    let mut told = match code {
        Code::Unauthenticated => GatewayError::new(kind, BAD_KEY),
        _ => GatewayError::new(kind, error.sentence()),
    };
    if let Some(field) = error.fields().first() {
        told = told.with_param(field.field.as_ref());
    }
    match error.retry_after() {
        Some(wait) => told.with_retry_after(wait),
        None => told,
    }
}

fn status_code(status: u16) -> StatusCode {
    StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use actix_web::{body::to_bytes, test::TestRequest};
    use serde_json::{Value, json};

    use super::*;
    use crate::{FailureForm, failure::unknown_path_body};

    async fn refusal(path: &str, header: Option<(&str, &str)>, error: AppError) -> (u16, Value, HttpResponse<()>) {
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
    async fn uses_the_format_of_the_client_library() {
        let (status, body, _) = refusal("/v1/chat/completions", None, Code::Unauthenticated.into()).await;
        assert_eq!((status, &body["error"]["code"]), (401, &json!("invalid_api_key")));
        let (_, body, response) = refusal("/v1/messages/count_tokens", None, Code::Unauthenticated.into()).await;
        assert_eq!(
            body,
            json!({ "type": "error", "error": { "type": "authentication_error", "message": BAD_KEY }, "request_id": "id-1" })
        );
        assert_eq!(response.headers().get("request-id").unwrap(), "id-1");
        let (_, body, _) =
            refusal("/v1/models", Some(("anthropic-version", "2026-10-21")), Code::NotFound.into()).await;
        assert_eq!(body["error"]["type"], "not_found_error");
        let (_, body, _) = refusal("/v1/messagesx", None, Code::NotFound.into()).await;
        assert_eq!(body["error"]["type"], "invalid_request_error");
        let (status, body, _) = refusal("/v1beta/files", None, Code::NotFound.into()).await;
        assert_eq!((status, &body["error"]["status"], &body["error"]["code"]), (404, &json!("NOT_FOUND"), &json!(404)));
        let call = TestRequest::post().uri("/v1/models/m:generateContent").to_http_request();
        assert_eq!((style_of(&call), style_of_path("/v1/models/m")), (ApiStyle::Gemini, ApiStyle::Chat));
    }

    #[actix_web::test]
    async fn explains_malformed_urls() {
        for (path, told) in [
            ("/v1/v1/models", "twice"),
            ("/v1//models", "slash too many"),
            ("/v1beta/v1beta/models/m:generateContent", "two versions"),
            ("/v1/chat/completions/", "slash too many"),
            ("/v1/models/openai/gpt-5-mini", "%2F"),
            ("/v1/nothing", "doesn't exist"),
        ] {
            let (status, body, _) = refusal(path, None, Code::NotFound.into()).await;
            let message = body["error"]["message"].as_str().unwrap();
            assert!(status == 404 && message.contains(told), "{path}: {message}");
        }
    }

    #[actix_web::test]
    async fn names_the_alternatives_to_the_realtime_api() {
        for path in ["/v1/realtime", "/v1/realtime/sessions", "/openai/v1/realtime", "/openai/realtime"] {
            let (status, body, _) = refusal(path, None, Code::NotFound.into()).await;
            assert_eq!((status, &body["error"]["code"]), (404, &json!("unsupported_endpoint")), "{body}");
            let message = body["error"]["message"].as_str().unwrap();
            for alternative in ["/v1/audio/transcriptions", "/v1/chat/completions", "/v1/audio/speech"] {
                assert!(message.contains(alternative), "{message}");
            }
        }
        let upgrade: Value = serde_json::from_str(&unknown_path_body("/v1/realtime", "id-1").unwrap()).unwrap();
        assert_eq!(upgrade["error"]["code"], "unsupported_endpoint", "{upgrade}");
        assert_eq!(unknown_path_body("/r1/nothing", "id-1"), None);
        let (_, body, _) = refusal("/v1/realtimes", None, Code::NotFound.into()).await;
        assert_eq!(body["error"]["code"], Value::Null);
    }

    #[actix_web::test]
    async fn uses_ollamas_format_below_its_root() {
        for (path, form) in [
            ("/api/nothing", FailureForm::Ollama),
            ("/apis", FailureForm::Envelope),
            ("/openai/nothing", FailureForm::Gateway),
        ] {
            assert_eq!(FailureForm::of_path(path), form, "{path}");
        }
        let response = answer_ollama(&TestRequest::with_uri("/api/nothing").to_http_request(), &Code::NotFound.into());
        assert_eq!(response.status().as_u16(), 404);
        let body = to_bytes(response.into_body()).await.unwrap();
        let body: Value = serde_json::from_slice(&body).unwrap();
        assert!(body["error"].is_string(), "{body}");
    }

    #[actix_web::test]
    async fn includes_the_field_and_both_retry_headers() {
        let (status, body, _) = refusal("/v1/responses", None, AppError::field("tools", "invalid", "Wrong.")).await;
        assert_eq!((status, &body["error"]["param"]), (400, &json!("tools")));
        let wait = Some(Duration::from_millis(1_500));
        let wait = AppError::Refused { code: Code::RateLimited, message: None, retry_after: wait };
        let (status, _, response) = refusal("/v1/responses", None, wait).await;
        let header = |name: &str| response.headers().get(name).unwrap().to_str().unwrap().to_owned();
        assert_eq!((status, header("retry-after"), header("retry-after-ms")), (429, "2".to_owned(), "1500".to_owned()));
    }
}
