//! Failures of gateway calls, rendered in the client's format.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{AiError, call::ApiStyle, provider_http::failure::Failure};

/// Category of a failure, as clients distinguish them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// The request is malformed.
    Invalid,
    Unauthenticated,
    Forbidden,
    UnknownModel,
    NotFound,
    MethodNotAllowed,
    TooLarge,
    /// The body's media type or encoding isn't supported.
    UnsupportedMediaType,
    /// A rate limit of this server or of the provider.
    RateLimited,
    /// A budget is used up; retrying is useless.
    OutOfBudget,
    /// The request exceeds the model's context window.
    ContextTooLong,
    /// The provider's content filter refused.
    Declined,
    /// The provider's server fails or is unreachable.
    Unavailable,
    /// The provider sent an invalid answer or rejected this server's credentials.
    BadUpstream,
    Timeout,
    Internal,
}

impl ErrorKind {
    /// Name in the log.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Invalid => "invalid",
            Self::Unauthenticated => "unauthenticated",
            Self::Forbidden => "forbidden",
            Self::UnknownModel => "unknown_model",
            Self::NotFound => "not_found",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::TooLarge => "too_large",
            Self::UnsupportedMediaType => "unsupported_media_type",
            Self::RateLimited => "rate_limited",
            Self::OutOfBudget => "out_of_budget",
            Self::ContextTooLong => "context_too_long",
            Self::Declined => "declined",
            Self::Unavailable => "unavailable",
            Self::BadUpstream => "bad_upstream",
            Self::Timeout => "timeout",
            Self::Internal => "internal",
        }
    }
}

/// Anthropic's error text for a request that exceeds the context window.
const TOO_LONG: &str = "prompt is too long";

/// A failure, to be [rendered](Self::render) in a client format.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct GatewayError {
    kind: ErrorKind,
    message: String,
    pub(crate) param: Option<String>,
    code: Option<String>,
    retry_after: Option<Duration>,
    /// Whether the client should retry; overrides the default of the error kind.
    should_retry: Option<bool>,
}

/// A rendered failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: Vec<u8>,
}

impl GatewayError {
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), param: None, code: None, retry_after: None, should_retry: None }
    }

    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Invalid, message)
    }

    /// Creates an error about the request field `param`.
    pub fn invalid_param(param: impl Into<String>, message: impl Into<String>) -> Self {
        Self { param: Some(param.into()), ..Self::invalid(message) }
    }

    pub(crate) fn unreadable(error: &serde_json::Error) -> Self {
        Self::invalid(format!("The request body couldn't be read: {error}."))
    }

    #[must_use]
    pub fn unknown_model(model: &str) -> Self {
        let shown: String = model.chars().take(100).collect();
        let message = format!("The model `{shown}` doesn't exist, or this key may not use it.");
        Self { param: Some("model".to_owned()), ..Self::new(ErrorKind::UnknownModel, message) }
    }

    #[must_use]
    pub fn with_retry_after(self, wait: Duration) -> Self {
        Self { retry_after: Some(wait), ..self }
    }

    #[must_use]
    pub fn with_code(self, code: impl Into<String>) -> Self {
        Self { code: Some(code.into()), ..self }
    }

    #[must_use]
    pub fn with_param(self, param: impl Into<String>) -> Self {
        Self { param: Some(param.into()), ..self }
    }

    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// HTTP status of the failure in this client format.
    #[must_use]
    pub fn status(&self, style: ApiStyle) -> u16 {
        match self.kind {
            ErrorKind::Invalid | ErrorKind::ContextTooLong | ErrorKind::Declined => 400,
            ErrorKind::Unauthenticated => 401,
            ErrorKind::OutOfBudget if style == ApiStyle::Messages => 402,
            ErrorKind::Forbidden => 403,
            ErrorKind::UnknownModel | ErrorKind::NotFound => 404,
            ErrorKind::MethodNotAllowed => 405,
            ErrorKind::TooLarge => 413,
            ErrorKind::UnsupportedMediaType => 415,
            ErrorKind::RateLimited | ErrorKind::OutOfBudget => 429,
            ErrorKind::Internal => 500,
            ErrorKind::BadUpstream => 502,
            ErrorKind::Unavailable if style == ApiStyle::Messages => 529,
            ErrorKind::Unavailable => 503,
            ErrorKind::Timeout => 504,
        }
    }

    /// Renders status, headers and body in this format.
    #[must_use]
    pub fn render(&self, style: ApiStyle, request_id: &str) -> Rendered {
        let mut headers = Vec::new();
        if let Some(wait) = self.retry_after {
            headers.push(("retry-after", wait.as_millis().div_ceil(1_000).max(1).to_string()));
            headers.push(("retry-after-ms", wait.as_millis().max(1).to_string()));
        }
        let never = matches!(self.kind, ErrorKind::OutOfBudget).then_some(false);
        if let Some(should_retry) = self.should_retry.or(never) {
            headers.push(("x-should-retry", should_retry.to_string()));
        }
        let body = match style {
            ApiStyle::Chat | ApiStyle::Responses => json!({"error": self.openai_object()}),
            ApiStyle::Messages => {
                json!({"type": "error", "error": self.anthropic_object(), "request_id": request_id})
            }
            ApiStyle::Gemini => json!({"error": self.google_object()}),
        };
        Rendered { status: self.status(style), headers, body: body.to_string().into_bytes() }
    }

    /// Renders status, headers and body in Ollama's format.
    #[must_use]
    pub fn render_for_ollama(&self) -> Rendered {
        Rendered { body: json!({"error": self.message}).to_string().into_bytes(), ..self.render(ApiStyle::Chat, "") }
    }

    /// Error frame that ends a stream. `sequence` is used only by the Responses API.
    #[must_use]
    pub fn frame(&self, style: ApiStyle, sequence: u64) -> Vec<u8> {
        let (event, data) = match style {
            ApiStyle::Chat => ("", json!({"error": self.openai_object()})),
            ApiStyle::Responses => (
                "event: error\n",
                json!({"type": "error", "sequence_number": sequence, "code": self.openai_code(), "message": self.message, "param": self.param}),
            ),
            ApiStyle::Messages => ("event: error\n", json!({"type": "error", "error": self.anthropic_object()})),
            ApiStyle::Gemini => ("", json!({"error": self.google_object()})),
        };
        format!("{event}data: {data}\n\n").into_bytes()
    }

    fn openai_object(&self) -> Value {
        let kind = match self.kind {
            ErrorKind::Unauthenticated => "authentication_error",
            ErrorKind::Forbidden => "permission_error",
            ErrorKind::RateLimited => "rate_limit_error",
            ErrorKind::OutOfBudget => "insufficient_quota",
            ErrorKind::Unavailable | ErrorKind::BadUpstream | ErrorKind::Timeout | ErrorKind::Internal => {
                "server_error"
            }
            _ => "invalid_request_error",
        };
        json!({"message": self.message, "type": kind, "param": self.param, "code": self.openai_code()})
    }

    pub(crate) fn openai_code(&self) -> Option<&str> {
        self.code.as_deref().or(match self.kind {
            ErrorKind::Unauthenticated => Some("invalid_api_key"),
            ErrorKind::UnknownModel => Some("model_not_found"),
            ErrorKind::RateLimited => Some("rate_limit_exceeded"),
            ErrorKind::OutOfBudget => Some("insufficient_quota"),
            ErrorKind::ContextTooLong => Some("context_length_exceeded"),
            ErrorKind::Declined => Some("content_policy_violation"),
            ErrorKind::Unavailable => Some("provider_unavailable"),
            ErrorKind::BadUpstream => Some("provider_error"),
            ErrorKind::Timeout => Some("timeout"),
            ErrorKind::Invalid
            | ErrorKind::Forbidden
            | ErrorKind::NotFound
            | ErrorKind::MethodNotAllowed
            | ErrorKind::TooLarge
            | ErrorKind::UnsupportedMediaType
            | ErrorKind::Internal => None,
        })
    }

    fn google_object(&self) -> Value {
        let status = match self.kind {
            ErrorKind::Invalid
            | ErrorKind::ContextTooLong
            | ErrorKind::Declined
            | ErrorKind::TooLarge
            | ErrorKind::UnsupportedMediaType => "INVALID_ARGUMENT",
            ErrorKind::Unauthenticated => "UNAUTHENTICATED",
            ErrorKind::Forbidden => "PERMISSION_DENIED",
            ErrorKind::UnknownModel | ErrorKind::NotFound => "NOT_FOUND",
            ErrorKind::MethodNotAllowed => "UNIMPLEMENTED",
            ErrorKind::RateLimited | ErrorKind::OutOfBudget => "RESOURCE_EXHAUSTED",
            ErrorKind::Internal => "INTERNAL",
            ErrorKind::Unavailable | ErrorKind::BadUpstream => "UNAVAILABLE",
            ErrorKind::Timeout => "DEADLINE_EXCEEDED",
        };
        let mut details = Vec::new();
        if self.kind == ErrorKind::OutOfBudget {
            // Gemini CLI retries unless the violated quota is one per day.
            let violation = json!({"subject": "budget", "quotaId": "BudgetPerDay", "description": self.message});
            details.push(json!({"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [violation]}));
        } else if let Some(wait) = self.retry_after {
            let delay = format!("{:.3}s", wait.as_secs_f64());
            details.push(json!({"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay}));
        }
        let mut object = json!({"code": self.status(ApiStyle::Gemini), "message": self.message, "status": status});
        if !details.is_empty() {
            object["details"] = details.into();
        }
        object
    }

    fn anthropic_object(&self) -> Value {
        let kind = match self.kind {
            ErrorKind::Invalid
            | ErrorKind::ContextTooLong
            | ErrorKind::Declined
            | ErrorKind::MethodNotAllowed
            | ErrorKind::UnsupportedMediaType => "invalid_request_error",
            ErrorKind::Unauthenticated => "authentication_error",
            ErrorKind::OutOfBudget => "billing_error",
            ErrorKind::Forbidden => "permission_error",
            ErrorKind::UnknownModel | ErrorKind::NotFound => "not_found_error",
            ErrorKind::TooLarge => "request_too_large",
            ErrorKind::RateLimited => "rate_limit_error",
            ErrorKind::Unavailable => "overloaded_error",
            ErrorKind::Timeout => "timeout_error",
            ErrorKind::BadUpstream | ErrorKind::Internal => "api_error",
        };
        // Claude Code compacts a conversation only if the error contains these words, and as much as
        // the numbers require if they follow in Anthropic's form.
        let message = match self.kind {
            ErrorKind::ContextTooLong if !self.message.to_lowercase().contains(TOO_LONG) => {
                match context_lengths(&self.message) {
                    Some((requested, limit)) => format!("{TOO_LONG}: {requested} tokens > {limit} maximum"),
                    None => format!("{TOO_LONG}: {}", self.message),
                }
            }
            _ => self.message.clone(),
        };
        json!({"type": kind, "message": message})
    }
}

/// Requested tokens and context length that a provider's error names, in any words.
fn context_lengths(message: &str) -> Option<(u64, u64)> {
    /// Smaller numbers are versions, statuses or the output limit.
    const MIN_CONTEXT: u64 = 1_000;
    let read = |digits: &str| digits.parse::<u64>().ok().filter(|number| *number >= MIN_CONTEXT);
    let plain = message.replace(',', "");
    let numbers = |text: &str| -> Vec<u64> {
        let words = text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '.' && letter != '-');
        words.filter_map(|word| read(word.trim_end_matches('.'))).collect()
    };
    let all = numbers(&plain);
    let limit = match plain.split_once("context length is ") {
        Some((_, rest)) => *numbers(rest).first()?,
        None => *all.iter().min()?,
    };
    let requested = *all.iter().max()?;
    let is_clear = plain.contains("context length is ") || all.len() == 2;
    (is_clear && requested > limit).then_some((requested, limit))
}

impl From<Failure> for GatewayError {
    fn from(failure: Failure) -> Self {
        let Failure { error, safe_message: told, .. } = failure;
        let (kind, sentence) = match &error {
            AiError::Busy { .. } => (ErrorKind::RateLimited, "The AI provider is busy. Try again later."),
            AiError::Unavailable { .. } => (ErrorKind::Unavailable, "The AI provider is unavailable. Try again later."),
            AiError::Timeout => (ErrorKind::Timeout, "The AI provider took too long to answer."),
            AiError::Truncated => (ErrorKind::BadUpstream, "The AI provider cut off the answer."),
            AiError::Garbled => (ErrorKind::BadUpstream, "The AI provider sent an answer that couldn't be read."),
            AiError::Credentials => (ErrorKind::BadUpstream, "The AI provider rejected this server's API key."),
            AiError::Quota => (ErrorKind::BadUpstream, "This server has used up its quota with the AI provider."),
            AiError::UnknownModel => (ErrorKind::UnknownModel, "The AI provider doesn't have this model."),
            AiError::Barred => (
                ErrorKind::BadUpstream,
                "The AI provider, or something before it such as a firewall, refused this call.",
            ),
            AiError::WrongCountry => {
                (ErrorKind::BadUpstream, "The AI provider doesn't serve the country this server is in.")
            }
            AiError::Rejected => (ErrorKind::Invalid, "The AI provider rejected this request."),
            AiError::TooLong => (ErrorKind::ContextTooLong, "The request is longer than the model takes."),
            AiError::Declined => (ErrorKind::Declined, "The AI provider declined this request."),
            AiError::Empty => (ErrorKind::BadUpstream, "The AI provider sent an empty answer."),
            AiError::TooLarge => (ErrorKind::BadUpstream, "The answer exceeded this server's length limit."),
        };
        let lasting = matches!(
            error,
            AiError::Credentials | AiError::Quota | AiError::Barred | AiError::WrongCountry | AiError::TooLarge
        );
        // The provider's error text is passed on only if the caller made a mistake, because it
        // explains the mistake.
        let told =
            told.filter(|_| matches!(kind, ErrorKind::Invalid | ErrorKind::ContextTooLong | ErrorKind::Declined));
        let (message, param, code) = match told {
            Some(told) => (told.message, told.param, told.code),
            None => (sentence.to_owned(), None, None),
        };
        Self {
            param,
            // The gateway sets the codes of other kinds itself.
            code: code.filter(|_| kind == ErrorKind::Invalid),
            retry_after: error.retry_after(),
            should_retry: lasting.then_some(false),
            ..Self::new(kind, message)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(error: &GatewayError, style: ApiStyle) -> String {
        String::from_utf8(error.render(style, "req_1").body).expect("text")
    }

    #[test]
    fn renders_errors_in_the_clients_format() {
        let error = GatewayError::unknown_model("m");
        let message = "The model `m` doesn't exist, or this key may not use it.";
        assert_eq!(
            text(&error, ApiStyle::Chat),
            json!({"error": {"message": message, "type": "invalid_request_error", "param": "model", "code": "model_not_found"}}).to_string()
        );
        assert_eq!(
            text(&error, ApiStyle::Messages),
            json!({"type": "error", "error": {"type": "not_found_error", "message": message}, "request_id": "req_1"})
                .to_string()
        );
        assert_eq!(error.status(ApiStyle::Responses), 404);
    }

    #[test]
    fn renders_errors_of_googles_format() {
        let object = |error: &GatewayError| -> Value {
            let value: Value = serde_json::from_str(&text(error, ApiStyle::Gemini)).expect("JSON");
            let frame = String::from_utf8(error.frame(ApiStyle::Gemini, 0)).expect("text");
            assert_eq!(frame, format!("data: {value}\n\n"));
            value["error"].clone()
        };
        for (kind, code, status) in [
            (ErrorKind::Invalid, 400, "INVALID_ARGUMENT"),
            (ErrorKind::Unauthenticated, 401, "UNAUTHENTICATED"),
            (ErrorKind::Forbidden, 403, "PERMISSION_DENIED"),
            (ErrorKind::UnknownModel, 404, "NOT_FOUND"),
            (ErrorKind::RateLimited, 429, "RESOURCE_EXHAUSTED"),
            (ErrorKind::Internal, 500, "INTERNAL"),
            (ErrorKind::BadUpstream, 502, "UNAVAILABLE"),
            (ErrorKind::Unavailable, 503, "UNAVAILABLE"),
            (ErrorKind::Timeout, 504, "DEADLINE_EXCEEDED"),
        ] {
            let error = GatewayError::new(kind, "Why.");
            assert_eq!(object(&error), json!({"code": code, "message": "Why.", "status": status}));
        }
        let busy = GatewayError::new(ErrorKind::RateLimited, "Busy.").with_retry_after(Duration::from_millis(34_500));
        assert_eq!(object(&busy)["details"][0]["retryDelay"], "34.500s");
        let spent = object(&GatewayError::new(ErrorKind::OutOfBudget, "Spent."));
        assert_eq!(
            (&spent["code"], &spent["details"][0]["violations"][0]["quotaId"]),
            (&json!(429), &json!("BudgetPerDay"))
        );
    }

    #[test]
    fn renders_only_the_message_for_ollama() {
        let rendered = GatewayError::new(ErrorKind::OutOfBudget, "Spent.").render_for_ollama();
        assert_eq!((rendered.status, rendered.body), (429, br#"{"error":"Spent."}"#.to_vec()));
        assert_eq!(rendered.headers, [("x-should-retry", "false".to_owned())]);
    }

    #[test]
    fn forbids_retries_when_out_of_budget_and_sends_both_wait_headers() {
        let spent = GatewayError::new(ErrorKind::OutOfBudget, "Spent.");
        assert_eq!((spent.status(ApiStyle::Chat), spent.status(ApiStyle::Messages)), (429, 402));
        assert_eq!(spent.render(ApiStyle::Chat, "").headers, [("x-should-retry", "false".to_owned())]);
        let busy = GatewayError::from(Failure::from(AiError::Busy { retry_after: Some(Duration::from_millis(1_500)) }));
        assert_eq!(
            busy.render(ApiStyle::Chat, "").headers,
            [("retry-after", "2".to_owned()), ("retry-after-ms", "1500".to_owned())]
        );
    }

    #[test]
    fn distinguishes_firewall_blocks_from_unknown_models() {
        let error = GatewayError::from(Failure::from(AiError::Barred));
        assert_eq!((error.status(ApiStyle::Chat), error.openai_code()), (502, Some("provider_error")));
        assert!(error.message().contains("something before it"), "{}", error.message());
        assert_eq!(error.render(ApiStyle::Chat, "").headers, [("x-should-retry", "false".to_owned())]);
    }

    #[test]
    fn distinguishes_unsupported_countries_from_unknown_models() {
        let error = GatewayError::from(Failure::from(AiError::WrongCountry));
        assert_eq!((error.status(ApiStyle::Chat), error.openai_code()), (502, Some("provider_error")));
        assert_eq!(error.message(), "The AI provider doesn't serve the country this server is in.");
        assert_eq!(error.render(ApiStyle::Chat, "").headers, [("x-should-retry", "false".to_owned())]);
    }

    #[test]
    fn words_context_errors_as_the_clients_api() {
        let said = |message: &str, style| {
            let error = GatewayError::new(ErrorKind::ContextTooLong, message);
            let body: Value = serde_json::from_str(&text(&error, style)).expect("JSON");
            body["error"]["message"].as_str().expect("a message").to_owned()
        };
        let words = "This model's maximum context length is 10 tokens.";
        assert_eq!(said(words, ApiStyle::Messages), format!("prompt is too long: {words}"));
        assert_eq!(said("prompt is too long: 9 > 8", ApiStyle::Messages), "prompt is too long: 9 > 8");
        assert_eq!(said(words, ApiStyle::Chat), words);
        let (long, longer) = ("450000 tokens > 400000 maximum", "122946 tokens > 16384 maximum");
        for (words, expected) in [
            (
                "This model's maximum context length is 400000 tokens. However, your messages resulted in 450000 tokens.",
                long,
            ),
            (
                "This model's maximum context length is 16384 tokens. However, you requested 122946 tokens (112946 in the \
                 messages, 10000 in the completion).",
                longer,
            ),
            (
                "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).",
                "1200000 tokens > 1048576 maximum",
            ),
            ("Prompt of 450,000 tokens is above the limit of 400,000 for gpt-5.4-mini.", long),
            ("request (9000 tokens) exceeds the available context size (8192 tokens)", "9000 tokens > 8192 maximum"),
        ] {
            assert_eq!(said(words, ApiStyle::Messages), format!("prompt is too long: {expected}"));
        }
        for unclear in ["Input is too long.", "Tokens: 2000, 3000, 4000.", "The limit is 8192 tokens."] {
            assert_eq!(said(unclear, ApiStyle::Messages), format!("prompt is too long: {unclear}"));
        }
    }

    #[test]
    fn keeps_provider_codes_of_invalid_requests() {
        let words = |error: AiError| {
            let code = Some("unsupported_value".to_owned());
            let told = crate::provider_http::failure::SafeMessage { message: "No.".to_owned(), param: None, code };
            GatewayError::from(Failure { safe_message: Some(told), ..error.into() }).openai_code().map(str::to_owned)
        };
        assert_eq!(words(AiError::Rejected).as_deref(), Some("unsupported_value"));
        assert_eq!(words(AiError::TooLong).as_deref(), Some("context_length_exceeded"));
        assert_eq!(words(AiError::Busy { retry_after: None }).as_deref(), Some("rate_limit_exceeded"));
    }

    #[test]
    fn renders_errors_as_frames() {
        let error = GatewayError::new(ErrorKind::BadUpstream, "Broken.");
        let frame = |style| String::from_utf8(error.frame(style, 4)).expect("text");
        assert!(frame(ApiStyle::Chat).starts_with(r#"data: {"error":{"#));
        assert!(frame(ApiStyle::Messages).starts_with("event: error\ndata: {"));
        assert!(frame(ApiStyle::Responses).contains(r#""sequence_number":4"#));
    }
}
