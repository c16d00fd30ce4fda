//! Parses a provider's error object, and classifies it by status and message.

use std::time::{Duration, SystemTime};

use serde_json::Value;

use super::{
    MAX_TRUSTED_DELAY,
    retry::{seconds, until_renewal},
    safe_message::SafeMessage,
};
use crate::AiError;

/// Messages of a 402 for a request whose price exceeds the remaining credit, while smaller requests
/// would succeed.
const INSUFFICIENT_CREDIT_PHRASES: [&str; 3] = ["can only afford", "fewer max_tokens", "prompt tokens limit exceeded"];
/// Prefixes of Anthropic's message for an account without credit, and of Google's for an invalid
/// key. Only prefixes count: providers quote invalid parts of a request ("Invalid value: …"), and a
/// caller who writes these words must not disable the key for everybody.
const NO_CREDIT_PREFIXES: [&str; 2] = ["your credit balance is too low", "credit balance is too low"];
const INVALID_KEY_PREFIXES: [&str; 2] = ["api key not valid", "api key expired"];

/// Messages for a request that exceeds the context window.
const CONTEXT_LENGTH_PHRASES: [&str; 17] = [
    "context length",
    "context_length_exceeded",
    "maximum context",
    "context window",
    "maximum number of tokens",
    "context size",
    "prompt is too long",
    "input is too long",
    "prompt too long",
    // Phrases of xAI, vLLM, Kimi, GLM, Qwen, Copilot, Groq and Cohere.
    "maximum prompt length",
    "maximum model length",
    "exceeded model token limit",
    "prompt exceeds max length",
    "range of input length",
    "prompt token count of",
    "reduce the length of the messages",
    "too many tokens: total",
];

/// Messages of a 403 if the provider doesn't serve this server's country. If only a model is
/// unavailable there, another model may work.
const UNSUPPORTED_COUNTRY_PHRASES: [&str; 5] =
    ["country, region, or territory", "your country", "your region", "your territory", "your location"];

/// Prefixes of Google's message if it doesn't serve this server's country; Google sends it with
/// status 400.
const GOOGLE_UNSUPPORTED_COUNTRY_PREFIXES: [&str; 1] = ["user location is not supported"];

/// Messages of a 403 if the model is unavailable to this account or region.
const UNAVAILABLE_MODEL_PHRASES: [&str; 8] = [
    "country",
    "region",
    "territory",
    "not supported",
    "access to model",
    "access to the model",
    "access to this model",
    "access model",
];

/// Extracts the message from any wrapping: a text, a nested error, or a list of errors with their
/// paths.
fn extract_message(said: &Value) -> String {
    const MAX_DEPTH: usize = 4;
    /// A list of refused fields may name each message of a conversation.
    const MAX_ITEMS: usize = 64;
    fn read(said: &Value, depth: usize) -> String {
        if depth == MAX_DEPTH {
            return String::new();
        }
        match said {
            Value::String(text) => match serde_json::from_str::<Value>(text) {
                Ok(packed @ (Value::Object(_) | Value::Array(_))) => {
                    let inner = read(&packed, depth + 1);
                    if inner.is_empty() { text.clone() } else { inner }
                }
                _ => text.clone(),
            },
            Value::Array(items) => {
                let items =
                    items.iter().take(MAX_ITEMS).map(|item| read(item, depth + 1)).filter(|text| !text.is_empty());
                items.collect::<Vec<_>>().join("; ")
            }
            Value::Object(fields) => {
                let names = ["message", "msg", "error", "detail", "description"];
                let mut texts = names.iter().filter_map(|name| fields.get(*name)).map(|inner| read(inner, depth + 1));
                let text = texts.find(|text| !text.is_empty()).unwrap_or_default();
                let place = fields.get("loc").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
                let place: Vec<String> =
                    place.iter().map(|step| step.as_str().map_or_else(|| step.to_string(), str::to_owned)).collect();
                if place.is_empty() || text.is_empty() { text } else { format!("{}: {text}", place.join(".")) }
            }
            _ => String::new(),
        }
    }
    read(said, 0)
}

fn is_nothing(error: &Value) -> bool {
    match error {
        Value::String(text) => text.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::Array(items) => items.is_empty(),
        other => *other == false || *other == 0,
    }
}

/// A parsed error object.
#[derive(Debug, Default)]
pub(super) struct ErrorObject {
    /// HTTP status inside the object; 0 if absent.
    pub(super) status: u16,
    /// Machine-readable codes, in lower case.
    pub(super) codes: Vec<String>,
    /// Message, in lower case.
    pub(super) message: String,
    pub(super) original_message: String,
    pub(super) param: Option<String>,
    pub(super) code: Option<String>,
    pub(super) retry_delay: Option<Duration>,
    /// True if a daily quota is exhausted.
    pub(super) per_day: bool,
    /// True for an HTML page, such as from a firewall in front of the provider.
    pub(super) is_page: bool,
}

/// A provider's objection to a request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// Message, in lower case.
    pub message: String,
    pub original_message: String,
    /// Name of the refused field.
    pub param: Option<String>,
    codes: Vec<String>,
}

impl Refusal {
    pub fn has_code(&self, code: &str) -> bool {
        self.codes.iter().any(|known| known == code)
    }
}

impl ErrorObject {
    pub(super) fn read(value: &Value) -> Option<Self> {
        let object = match value {
            Value::Array(items) => return items.first().and_then(Self::read),
            Value::Object(object) => object,
            _ => return None,
        };
        if let Some(told) = object.get("base_resp").and_then(Self::read_minimax) {
            return Some(told);
        }
        let error = match object.get("error") {
            Some(Value::Null) | None if object.get("object").and_then(Value::as_str) == Some("error") => value,
            Some(Value::Null) | None => return None,
            // Some servers send an empty error with each answer; it doesn't count as an error.
            Some(error) if is_nothing(error) => return None,
            Some(Value::String(message)) => {
                return Some(Self {
                    message: message.to_lowercase(),
                    original_message: message.clone(),
                    ..Self::default()
                });
            }
            Some(error) => error,
        };
        let mut told = Self::default();
        for field in ["code", "type", "status"] {
            match error.get(field) {
                Some(Value::String(word)) => match word.parse() {
                    Ok(status) => told.status = status,
                    Err(_) => told.codes.push(word.to_lowercase()),
                },
                Some(Value::Number(number)) => {
                    told.status = number.as_u64().and_then(|status| u16::try_from(status).ok()).unwrap_or(told.status);
                }
                _ => {}
            }
        }
        let message = error.get("message").map(extract_message).filter(|message| !message.is_empty());
        told.set_message(message.unwrap_or_else(|| extract_message(error)));
        // OpenRouter adds the original provider's message in `metadata.raw`.
        if let Some(raw) = error.get("metadata").and_then(|metadata| metadata.get("raw")).map(extract_message)
            && !raw.is_empty()
        {
            told.set_message(format!("{}: {raw}", told.original_message));
        }
        told.param = error.get("param").and_then(Value::as_str).map(str::to_owned);
        let code = error.get("code").and_then(Value::as_str).filter(|code| code.parse::<u16>().is_err());
        told.code = code.map(str::to_owned);
        for detail in error.get("details").and_then(Value::as_array).into_iter().flatten() {
            told.read_detail(detail);
        }
        Some(told)
    }

    /// Parses `MiniMax`'s error, which it sends with status 200 beside an empty answer.
    fn read_minimax(response: &Value) -> Option<Self> {
        let code = response["status_code"].as_u64().filter(|code| *code != 0)?;
        let word = match code {
            1_002 | 1_039 => "rate_limit_exceeded",
            1_004 | 2_049 => "invalid_api_key",
            1_008 => "insufficient_quota",
            1_026 | 1_027 => "content_filter",
            2_013 => "invalid_request_error",
            _ => "server_error",
        };
        let mut told = Self { codes: vec![word.to_owned()], ..Self::default() };
        told.set_message(response["status_msg"].as_str().unwrap_or_default().to_owned());
        Some(told)
    }

    /// Parses a body that isn't an error object but has an error status: FastAPI's `detail`,
    /// formats of other frameworks and gateways, or plain text.
    pub(super) fn read_loosely(value: &Value, body: &[u8]) -> Self {
        let mut told = Self::default();
        if let Value::Object(_) = value {
            let names = ["message", "detail", "errors", "error_message", "error_msg", "msg", "Message"];
            let said = names.iter().find_map(|name| value.get(*name)).map(extract_message).unwrap_or_default();
            told.set_message(said);
            let words = ["code", "type"].into_iter().filter_map(|name| value.get(name).and_then(Value::as_str));
            told.codes = words.map(str::to_lowercase).collect();
        } else if value.is_null() {
            let text = std::str::from_utf8(body).unwrap_or_default().trim();
            // An HTML page contains no message that could be classified.
            told.is_page = body.trim_ascii_start().starts_with(b"<");
            if !told.is_page && text != "null" {
                told.set_message(text.to_owned());
            }
        }
        told
    }

    fn set_message(&mut self, told: String) {
        self.message = told.to_lowercase();
        self.original_message = told;
    }

    fn read_detail(&mut self, detail: &Value) {
        if let Some(reason) = detail.get("reason").and_then(Value::as_str) {
            self.codes.push(reason.to_lowercase());
        }
        if let Some(delay) = detail.get("retryDelay").and_then(Value::as_str) {
            self.retry_delay = delay.strip_suffix('s').and_then(seconds);
        }
        for violation in detail.get("violations").and_then(Value::as_array).into_iter().flatten() {
            self.per_day |= violation.get("quotaId").and_then(Value::as_str).is_some_and(|id| id.contains("PerDay"));
        }
    }

    /// Objection to the request, if another form of it may be accepted: never for credentials,
    /// quotas and content. Some servers report what a chat template refuses with status 500.
    /// OpenRouter reports that no host supports a field with status 404, and OpenAI that another API
    /// serves the model.
    pub(super) fn refusal(&self, status: u16, error: &AiError) -> Option<Refusal> {
        let is_repairable = match (status, error) {
            (400 | 422, AiError::Rejected | AiError::TooLong) => true,
            (404, AiError::UnknownModel) => {
                self.mentions(&["no endpoints found that support", "v1/responses", "v1/chat/completions"])
            }
            (500, AiError::Unavailable { .. }) => !self.message.is_empty(),
            _ => false,
        };
        is_repairable.then(|| Refusal {
            message: self.message.clone(),
            original_message: self.original_message.clone(),
            param: self.param.clone(),
            codes: self.codes.clone(),
        })
    }

    pub(super) fn safe_message(&self) -> Option<SafeMessage> {
        SafeMessage::sanitize(&self.original_message, self.param.as_deref(), self.code.as_deref())
    }

    fn has_code(&self, words: &[&str]) -> bool {
        self.codes.iter().any(|word| words.contains(&word.as_str()))
    }

    /// True if the message starts with one of the phrases. Prefixes come from the provider, never
    /// from a quoted request.
    fn starts_with_any(&self, phrases: &[&str]) -> bool {
        phrases.iter().any(|phrase| self.message.trim_start().starts_with(phrase))
    }

    fn mentions(&self, phrases: &[&str]) -> bool {
        phrases.iter().any(|phrase| self.message.contains(phrase))
    }

    pub(super) fn classify(&self, status: u16, wait: Option<Duration>) -> AiError {
        let wait = wait.map(|wait| wait.min(MAX_TRUSTED_DELAY));
        if status == 402 && self.mentions(&INSUFFICIENT_CREDIT_PHRASES) {
            return AiError::Rejected;
        }
        if self.has_code(&["insufficient_quota", "billing_hard_limit_reached", "billing_error"])
            || status == 402
            || self.starts_with_any(&NO_CREDIT_PREFIXES)
        {
            return AiError::Quota;
        }
        if self.has_code(&["api_key_invalid", "invalid_api_key", "authentication_error", "unauthenticated"])
            || (status == 400 && self.starts_with_any(&INVALID_KEY_PREFIXES))
        {
            return AiError::Credentials;
        }
        if self.has_code(&["context_length_exceeded", "exceed_context_size_error", "model_max_prompt_tokens_exceeded"])
            || (matches!(status, 0 | 400 | 413 | 422) && self.mentions(&CONTEXT_LENGTH_PHRASES))
            || (matches!(status, 0 | 429) && self.exceeds_whole_limit())
        {
            return AiError::TooLong;
        }
        if self.has_code(&["content_filter", "content_policy_violation"]) {
            return AiError::Declined;
        }
        match status {
            429 => {
                AiError::Busy { retry_after: if self.per_day { Some(until_renewal(SystemTime::now())) } else { wait } }
            }
            // A firewall doesn't check keys: it objects to the content or origin of the request.
            403 if self.is_page => AiError::Barred,
            400 if self.starts_with_any(&GOOGLE_UNSUPPORTED_COUNTRY_PREFIXES) => AiError::WrongCountry,
            403 if self.is_unsupported_country() => AiError::WrongCountry,
            403 if self.has_code(&["model_not_found"]) || self.mentions(&UNAVAILABLE_MODEL_PHRASES) => {
                AiError::UnknownModel
            }
            403 if self.is_declined() => AiError::Declined,
            401 | 403 => AiError::Credentials,
            404 => AiError::UnknownModel,
            413 => AiError::TooLong,
            408 | 500..=599 => AiError::Unavailable { retry_after: wait },
            300..=399 => AiError::Garbled,
            400..=499 => AiError::Rejected,
            _ => self.classify_words(wait),
        }
    }

    fn is_unsupported_country(&self) -> bool {
        self.has_code(&["unsupported_country_region_territory"])
            || (self.mentions(&UNSUPPORTED_COUNTRY_PHRASES) && !self.mentions(&["model"]))
    }

    /// True if the single request exceeds the whole limit, so that waiting doesn't help.
    fn exceeds_whole_limit(&self) -> bool {
        let numbers = (self.number_after("requested"), self.number_after("limit"));
        self.mentions(&["request too large"]) || matches!(numbers, (Some(asked), Some(limit)) if asked > limit)
    }

    /// Number after a word of the message: `Limit 30000`, `limit: 30,000`, `requested ~2000`.
    fn number_after(&self, word: &str) -> Option<u64> {
        self.message.match_indices(word).find_map(|(at, _)| {
            let rest = self.message[at + word.len()..].trim_start_matches([' ', ':', '=', '~', '`']);
            let digits = rest.chars().take_while(|letter| letter.is_ascii_digit() || *letter == ',');
            digits.filter(char::is_ascii_digit).collect::<String>().parse().ok()
        })
    }

    /// True if the request's content was refused, not the key.
    fn is_declined(&self) -> bool {
        let is_of_a_filter = self.has_code(&["moderation", "safety", "content_policy", "policy_violation"])
            || self.mentions(&["moderation", "flagged", "safety", "policy", "policies"]);
        // Account permissions are called policies too.
        is_of_a_filter && !self.mentions(&["api key", "not authorized", "identity-based"])
    }

    fn classify_words(&self, wait: Option<Duration>) -> AiError {
        if self.has_code(&["rate_limit_error", "rate_limit_exceeded", "resource_exhausted", "tokens", "requests"]) {
            AiError::Busy { retry_after: wait }
        } else if self.has_code(&["permission_error", "permission_denied"]) {
            AiError::Credentials
        } else if self.has_code(&["model_not_found", "not_found_error", "not_found"]) {
            AiError::UnknownModel
        } else if self.has_code(&[
            "invalid_request_error",
            "invalid_argument",
            "failed_precondition",
            "badrequesterror",
        ]) {
            AiError::Rejected
        } else {
            AiError::Unavailable { retry_after: wait }
        }
    }

    /// First code of the provider, if it is a plain identifier; anything else might contain a key
    /// or an address.
    pub(super) fn safe_code(&self) -> &str {
        let plain =
            |word: &&String| word.len() <= 40 && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
        self.codes.iter().find(plain).map_or("none", String::as_str)
    }
}
