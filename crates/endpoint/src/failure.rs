//! Formats of error responses.

use actix_web::{
    HttpRequest, HttpResponse,
    http::{StatusCode, header},
};
use appcore::{
    AppError, Code,
    envelope::{Failure, FailureTag},
};
use middleware::tracing::{record_error, request_id};

use crate::{answer::response_builder, content_negotiation::WireFormat, r1, v1};

/// Format of an endpoint's error responses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureForm {
    /// Envelope, in JSON or MessagePack.
    Envelope,
    /// Format of OpenAI, Anthropic or Google, depending on the client's library and the path.
    Gateway,
    /// Ollama's format.
    Ollama,
}

/// Error response in the format that belongs to the requested path.
pub fn failure(http: &HttpRequest, error: &AppError) -> HttpResponse {
    FailureForm::of_path(http.path()).answer(http, error)
}

/// Body of the response to an unknown path; `None` if it is the envelope.
#[must_use]
pub fn unknown_path_body(path: &str, request_id: &str) -> Option<String> {
    let error = Code::NotFound.into();
    let rendered = match FailureForm::of_path(path) {
        FailureForm::Envelope => return None,
        FailureForm::Gateway => v1::failure::render(path, &error, v1::failure::style_of_path(path), request_id),
        FailureForm::Ollama => v1::failure::render_for_ollama(&error),
    };
    String::from_utf8(rendered.body).ok()
}

impl FailureForm {
    /// Format for a path, used for errors that occur before the endpoint is known.
    pub(crate) fn of_path(path: &str) -> Self {
        let is_under =
            |root: &&str| path.strip_prefix(*root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        if [v1::ROOT, v1::GEMINI_ROOT, v1::COHERE_ROOT, v1::AZURE_ROOT].iter().any(is_under) {
            Self::Gateway
        } else if is_under(&v1::OLLAMA_ROOT) {
            Self::Ollama
        } else {
            Self::Envelope
        }
    }

    /// HTTP status of an error code at this path.
    pub(crate) fn status(self, path: &str, code: Code) -> u16 {
        match self {
            Self::Envelope => code.status(),
            Self::Gateway | Self::Ollama => v1::failure::status(path, code),
        }
    }

    /// Builds the response. Internal errors are logged and not shown to the client.
    pub(crate) fn answer(self, http: &HttpRequest, error: &AppError) -> HttpResponse {
        let request_id = request_id(http);
        record_error(http, error.code().as_str());
        match error {
            AppError::Internal(cause) => tracing::error!(request_id, error = format!("{cause:#}"), "request failed"),
            AppError::Unavailable(cause) => {
                tracing::warn!(request_id, error = format!("{cause:#}"), "request unavailable");
            }
            AppError::Refused { .. } | AppError::Detailed { .. } | AppError::Invalid(_) => {}
        }
        match self {
            Self::Envelope => envelope(http, error, &request_id),
            Self::Gateway => v1::failure::answer(http, error, &request_id),
            Self::Ollama => v1::failure::answer_ollama(http, error),
        }
    }
}

fn envelope(http: &HttpRequest, error: &AppError, request_id: &str) -> HttpResponse {
    let code = error.code();
    let body = Failure {
        status: FailureTag::Error,
        data: (),
        message: error.sentence(),
        code,
        request_id,
        details: error.details(),
        errors: error.fields(),
    };
    let form = WireFormat::from_accept(http.headers()).unwrap_or(WireFormat::Json);
    // Serialising strings can't fail. If it did, the body would be empty.
    let body =
        serde_json::to_vec(&body).map_err(AppError::internal).and_then(|json| form.transcode(json)).unwrap_or_default();
    let status = StatusCode::from_u16(code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = response_builder(http, status, form.content_type());
    if let Some(after) = error.retry_after() {
        response.insert_header((header::RETRY_AFTER, after.as_secs().max(1).to_string()));
    }
    if code.status() == 401 {
        response.insert_header((header::WWW_AUTHENTICATE, "Bearer"));
    }
    if code == Code::TusVersion {
        response.insert_header(("tus-version", r1::tus::VERSION));
    }
    response.body(body)
}
