//! Maps providers' error responses to [`AiError`].
//!
//! The shapes are OpenAI's `{"error":{message,type,code}}`, Google's `{"error":{code,status,message,details}}` (sometimes in an
//! array), vLLM's `{"object":"error",message,code}` and whatever a proxy answers. Messages are looked at where nothing else
//! tells failures apart, and go nowhere.
//!
//! Whose fault a failure is decides what becomes of the key: a question that no key could ask (too much for the account's limit, more than is
//! left of its money, declined by a filter, not for this region) is the caller's or the deployment's, whatever status it comes with.

use std::{
    sync::LazyLock,
    time::{Duration, SystemTime},
};

use memchr::memmem::Finder;
use reqwest::{StatusCode, header::HeaderMap};
use serde_json::Value;

use crate::AiError;

static STREAM_OPTIONS: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("stream_options"));

/// A failure with what the provider says about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub error: AiError,
    pub told: Option<Words>,
    /// It is about `stream_options`, which the server doesn't know.
    pub of_stream_options: bool,
}

/// A provider's own words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Words {
    pub message: String,
    /// The field that is wrong.
    pub param: Option<String>,
    /// What programs tell it by.
    pub code: Option<String>,
}

impl From<AiError> for Failure {
    fn from(error: AiError) -> Self {
        Self { error, told: None, of_stream_options: false }
    }
}

/// A longer wait than this is not believed. What is longer all the same is the time until a day's quota is renewed.
pub(crate) const LONGEST_ASKED: Duration = Duration::from_secs(3_600);

/// Longer messages of a provider are cut.
const LONGEST_MESSAGE: usize = 1_000;
const LONGEST_CODE: usize = 64;
/// What keys of providers begin with, and the fewest letters that follow.
const KEYS: [&str; 2] = ["sk-", "AIza"];
const SHORTEST_KEY: usize = 16;

/// Whether there is a key in a word: its beginning not within another word (`task-runner`), and enough behind it.
fn has_key(word: &str) -> bool {
    let is_of_key = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '*' | '.');
    KEYS.iter().any(|mark| {
        word.match_indices(mark).any(|(at, _)| {
            let is_begun = word[..at].chars().next_back().is_some_and(|letter| letter.is_alphanumeric());
            let letters = word[at + mark.len()..].chars().take_while(|letter| is_of_key(*letter)).count();
            !is_begun && letters >= SHORTEST_KEY
        })
    })
}

impl Words {
    /// A message without what looks like a key, an account or an address.
    fn cleaned(message: &str, param: Option<&str>, code: Option<&str>) -> Option<Self> {
        let is_account = |word: &str| word.strip_prefix("org-").is_some_and(|id| id.len() > 8);
        let is_secret = |word: &str| word.contains("://") || has_key(word) || is_account(word);
        let words: Vec<&str> =
            message.split(' ').map(|word| if is_secret(word) { "[removed]" } else { word }).collect();
        let message: String = words.join(" ").chars().take(LONGEST_MESSAGE).collect();
        let is_plain = |code: &&str| {
            let letters = code.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'));
            letters && code.len() <= LONGEST_CODE && !has_key(code)
        };
        let code = code.filter(is_plain).map(str::to_owned);
        (!message.trim().is_empty()).then(|| Self { message, param: param.map(str::to_owned), code })
    }
}

/// Reads a response that is no success.
pub fn of_response(status: StatusCode, head: &HeaderMap, body: &[u8]) -> Failure {
    let value = serde_json::from_slice(body).unwrap_or(Value::Null);
    let told = Told::read(&value).unwrap_or_else(|| Told::read_loosely(&value, body));
    let wait = retry_after(head, SystemTime::now()).or(told.retry_delay);
    let error = told.classify(status.as_u16(), wait);
    tracing::warn!(
        status = status.as_u16(),
        upstream_code = told.safe_code(),
        code = error.code(),
        "a provider answered with an error"
    );
    let of_stream_options = matches!(status.as_u16(), 400 | 422) && STREAM_OPTIONS.find(body).is_some();
    Failure { error, told: told.words_of_its_own(), of_stream_options }
}

/// Reads an error that stands in a stream or in a body that began with 200; `None` where the value is no error.
pub fn of_value(value: &Value) -> Option<Failure> {
    let told = Told::read(value)?;
    let error = told.classify(told.status, told.retry_delay);
    tracing::warn!(upstream_code = told.safe_code(), code = error.code(), "a provider sent an error inside its answer");
    Some(Failure { error, told: told.words_of_its_own(), of_stream_options: false })
}

/// The failure in the data of an event that is one, whatever stands in it.
pub fn of_event(data: &[u8]) -> Failure {
    let value = serde_json::from_slice(data).ok();
    value.as_ref().and_then(of_value).unwrap_or_else(unknown)
}

/// Nobody said what went wrong.
pub fn unknown() -> Failure {
    AiError::Unavailable { retry_after: None }.into()
}

/// What a provider says with 402 where less would have been enough: its price is more than what is left.
const ASKS_FOR_TOO_MUCH: [&str; 3] = ["can only afford", "fewer max_tokens", "prompt tokens limit exceeded"];

/// How Anthropic's message begins where its account has no money, and Google's where a key isn't valid. Only the beginning counts: providers repeat what is
/// wrong in a question ("Invalid value: …"), and whoever writes these words into one must not take the key from everybody.
const OUT_OF_MONEY: [&str; 2] = ["your credit balance is too low", "credit balance is too low"];
const OF_A_BAD_KEY: [&str; 2] = ["api key not valid", "api key expired"];

/// How providers say that a question is longer than its model takes.
const TOO_LONG: [&str; 17] = [
    "context length",
    "context_length_exceeded",
    "maximum context",
    "context window",
    "maximum number of tokens",
    "context size",
    "prompt is too long",
    "input is too long",
    "prompt too long",
    // xAI, vLLM, Kimi, GLM, Qwen, Copilot, Groq and Cohere.
    "maximum prompt length",
    "maximum model length",
    "exceeded model token limit",
    "prompt exceeds max length",
    "range of input length",
    "prompt token count of",
    "reduce the length of the messages",
    "too many tokens: total",
];

/// What a provider says with 403 where it serves no servers of this one's country. Where it is a model that isn't had there, another one may be.
const OF_ANOTHER_COUNTRY: [&str; 5] =
    ["country, region, or territory", "your country", "your region", "your territory", "your location"];
/// How Google's message begins then, which comes with 400.
const OF_GOOGLES_COUNTRIES: [&str; 1] = ["user location is not supported"];

/// What a provider says with 403 where its model is for others than this account, or for other places.
const OF_ANOTHER_PLACE: [&str; 8] = [
    "country",
    "region",
    "territory",
    "not supported",
    "access to model",
    "access to the model",
    "access to this model",
    "access model",
];

/// The words of a message, in whatever it is packed: a text, an error within it, or a list of them, each with its place.
fn words(said: &Value) -> String {
    const DEEPEST: usize = 4;
    fn read(said: &Value, depth: usize) -> String {
        if depth == DEEPEST {
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
                let items = items.iter().take(8).map(|item| read(item, depth + 1)).filter(|text| !text.is_empty());
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

/// What an error object says.
#[derive(Debug, Default)]
struct Told {
    /// An HTTP status inside the object; 0 where there is none.
    status: u16,
    /// Every machine-readable word in it, in lower case.
    words: Vec<String>,
    /// In lower case.
    message: String,
    told: String,
    param: Option<String>,
    code: Option<String>,
    retry_delay: Option<Duration>,
    /// A quota that is renewed only once a day.
    per_day: bool,
    /// A page for people, as a firewall before the provider has it.
    is_page: bool,
}

impl Told {
    fn read(value: &Value) -> Option<Self> {
        let object = match value {
            Value::Array(items) => return items.first().and_then(Self::read),
            Value::Object(object) => object,
            _ => return None,
        };
        let error = match object.get("error") {
            Some(Value::Null) | None if object.get("object").and_then(Value::as_str) == Some("error") => value,
            Some(Value::Null) | None => return None,
            // Some servers say with each answer that there was none.
            Some(error) if is_nothing(error) => return None,
            Some(Value::String(message)) => {
                return Some(Self { message: message.to_lowercase(), told: message.clone(), ..Self::default() });
            }
            Some(error) => error,
        };
        let mut told = Self::default();
        for field in ["code", "type", "status"] {
            match error.get(field) {
                Some(Value::String(word)) => match word.parse() {
                    Ok(status) => told.status = status,
                    Err(_) => told.words.push(word.to_lowercase()),
                },
                Some(Value::Number(number)) => {
                    told.status = number.as_u64().and_then(|status| u16::try_from(status).ok()).unwrap_or(told.status);
                }
                _ => {}
            }
        }
        let message = error.get("message").map(words).filter(|message| !message.is_empty());
        told.say(message.unwrap_or_else(|| words(error)));
        // OpenRouter says that somebody failed, and what they said beside it.
        if let Some(raw) = error.get("metadata").and_then(|metadata| metadata.get("raw")).map(words)
            && !raw.is_empty()
        {
            told.say(format!("{}: {raw}", told.told));
        }
        told.param = error.get("param").and_then(Value::as_str).map(str::to_owned);
        let code = error.get("code").and_then(Value::as_str).filter(|code| code.parse::<u16>().is_err());
        told.code = code.map(str::to_owned);
        for detail in error.get("details").and_then(Value::as_array).into_iter().flatten() {
            told.read_detail(detail);
        }
        Some(told)
    }

    /// Reads what is no error object, but comes with a status that says it is an error: FastAPI's `detail`, what frameworks and gateways have instead, or a
    /// plain text.
    fn read_loosely(value: &Value, body: &[u8]) -> Self {
        let mut told = Self::default();
        if let Value::Object(_) = value {
            let names = ["message", "detail", "errors", "error_message", "error_msg", "msg", "Message"];
            let said = names.iter().find_map(|name| value.get(*name)).map(words).unwrap_or_default();
            told.say(said);
            let words = ["code", "type"].into_iter().filter_map(|name| value.get(name).and_then(Value::as_str));
            told.words = words.map(str::to_lowercase).collect();
        } else if value.is_null() {
            let text = std::str::from_utf8(body).unwrap_or_default().trim();
            // A page is for people who look at it.
            told.is_page = body.trim_ascii_start().starts_with(b"<");
            if !told.is_page && text != "null" {
                told.say(text.to_owned());
            }
        }
        told
    }

    fn say(&mut self, told: String) {
        self.message = told.to_lowercase();
        self.told = told;
    }

    fn read_detail(&mut self, detail: &Value) {
        if let Some(reason) = detail.get("reason").and_then(Value::as_str) {
            self.words.push(reason.to_lowercase());
        }
        if let Some(delay) = detail.get("retryDelay").and_then(Value::as_str) {
            self.retry_delay = delay.strip_suffix('s').and_then(seconds);
        }
        for violation in detail.get("violations").and_then(Value::as_array).into_iter().flatten() {
            self.per_day |= violation.get("quotaId").and_then(Value::as_str).is_some_and(|id| id.contains("PerDay"));
        }
    }

    fn words_of_its_own(&self) -> Option<Words> {
        Words::cleaned(&self.told, self.param.as_deref(), self.code.as_deref())
    }

    fn says(&self, words: &[&str]) -> bool {
        self.words.iter().any(|word| words.contains(&word.as_str()))
    }

    /// Whether it is the provider who says so, and not what it repeats of a question.
    fn begins(&self, phrases: &[&str]) -> bool {
        phrases.iter().any(|phrase| self.message.trim_start().starts_with(phrase))
    }

    fn mentions(&self, phrases: &[&str]) -> bool {
        phrases.iter().any(|phrase| self.message.contains(phrase))
    }

    fn classify(&self, status: u16, wait: Option<Duration>) -> AiError {
        let wait = wait.map(|wait| wait.min(LONGEST_ASKED));
        if status == 402 && self.mentions(&ASKS_FOR_TOO_MUCH) {
            return AiError::Rejected;
        }
        if self.says(&["insufficient_quota", "billing_hard_limit_reached", "billing_error"])
            || status == 402
            || self.begins(&OUT_OF_MONEY)
        {
            return AiError::Quota;
        }
        if self.says(&["api_key_invalid", "invalid_api_key", "authentication_error", "unauthenticated"])
            || (status == 400 && self.begins(&OF_A_BAD_KEY))
        {
            return AiError::Credentials;
        }
        if self.says(&["context_length_exceeded", "exceed_context_size_error", "model_max_prompt_tokens_exceeded"])
            || (matches!(status, 0 | 400 | 413 | 422) && self.mentions(&TOO_LONG))
            || (matches!(status, 0 | 429) && self.is_over_a_limit_alone())
        {
            return AiError::TooLong;
        }
        if self.says(&["content_filter", "content_policy_violation"]) {
            return AiError::Declined;
        }
        match status {
            429 => {
                AiError::Busy { retry_after: if self.per_day { Some(until_renewal(SystemTime::now())) } else { wait } }
            }
            // A firewall knows nothing of keys: it is about what stands in the question, or where it comes from.
            403 if self.is_page => AiError::Barred,
            400 if self.begins(&OF_GOOGLES_COUNTRIES) => AiError::WrongCountry,
            403 if self.is_of_another_country() => AiError::WrongCountry,
            403 if self.says(&["model_not_found"]) || self.mentions(&OF_ANOTHER_PLACE) => AiError::UnknownModel,
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

    fn is_of_another_country(&self) -> bool {
        self.says(&["unsupported_country_region_territory"])
            || (self.mentions(&OF_ANOTHER_COUNTRY) && !self.mentions(&["model"]))
    }

    /// Whether it is one question that is larger than all of a limit: no wait makes it fit.
    fn is_over_a_limit_alone(&self) -> bool {
        let numbers = (self.number_after("requested"), self.number_after("limit"));
        self.mentions(&["request too large"]) || matches!(numbers, (Some(asked), Some(limit)) if asked > limit)
    }

    /// The number that stands behind a word of the message: `Limit 30000`, `limit: 30,000`, `requested ~2000`.
    fn number_after(&self, word: &str) -> Option<u64> {
        self.message.match_indices(word).find_map(|(at, _)| {
            let rest = self.message[at + word.len()..].trim_start_matches([' ', ':', '=', '~', '`']);
            let digits = rest.chars().take_while(|letter| letter.is_ascii_digit() || *letter == ',');
            digits.filter(char::is_ascii_digit).collect::<String>().parse().ok()
        })
    }

    /// Whether it is what the question says that is refused, not the key.
    fn is_declined(&self) -> bool {
        let is_of_a_filter = self.says(&["moderation", "safety", "content_policy", "policy_violation"])
            || self.mentions(&["moderation", "flagged", "safety", "policy", "policies"]);
        // Rights within an account are written down as policies, too.
        is_of_a_filter && !self.mentions(&["api key", "not authorized", "identity-based"])
    }

    fn classify_words(&self, wait: Option<Duration>) -> AiError {
        if self.says(&["rate_limit_error", "rate_limit_exceeded", "resource_exhausted", "tokens", "requests"]) {
            AiError::Busy { retry_after: wait }
        } else if self.says(&["permission_error", "permission_denied"]) {
            AiError::Credentials
        } else if self.says(&["model_not_found", "not_found_error", "not_found"]) {
            AiError::UnknownModel
        } else if self.says(&["invalid_request_error", "invalid_argument", "failed_precondition", "badrequesterror"]) {
            AiError::Rejected
        } else {
            AiError::Unavailable { retry_after: wait }
        }
    }

    /// The upstream's first word where it is a plain identifier. Anything else might hold a key or an address.
    fn safe_code(&self) -> &str {
        let plain =
            |word: &&String| word.len() <= 40 && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
        self.words.iter().find(plain).map_or("none", String::as_str)
    }
}

/// `retry-after-ms`, else `retry-after` in seconds or as a date.
fn retry_after(head: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = |name: &str| head.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    if let Some(wait) = text("retry-after-ms").and_then(seconds) {
        return Some(wait / 1_000);
    }
    let value = text("retry-after")?;
    seconds(value.strip_suffix('s').unwrap_or(value))
        .or_else(|| httpdate::parse_http_date(value).ok().map(|date| date.duration_since(now).unwrap_or_default()))
}

/// Seconds, possibly fractional; `None` if the value is no plausible wait.
fn seconds(text: &str) -> Option<Duration> {
    let seconds: f64 = text.parse().ok()?;
    Duration::try_from_secs_f64(seconds).ok()
}

/// Until a daily quota is surely renewed: midnight in Pacific time is 07:00 or 08:00 UTC, and 08:00 is right all year.
fn until_renewal(now: SystemTime) -> Duration {
    const DAY: u64 = 24 * 3_600;
    let seconds = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs() % DAY;
    let renewal = 8 * 3_600;
    Duration::from_secs(if seconds < renewal { renewal - seconds } else { DAY + renewal - seconds })
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;
    use serde_json::json;

    use super::*;

    fn response(status: u16, head: &[(&'static str, &str)], body: &Value) -> AiError {
        let mut headers = HeaderMap::new();
        for (name, value) in head {
            headers.insert(*name, HeaderValue::from_str(value).expect("a header"));
        }
        of_response(StatusCode::from_u16(status).expect("a status"), &headers, body.to_string().as_bytes()).error
    }

    fn busy(milliseconds: u64) -> AiError {
        AiError::Busy { retry_after: Some(Duration::from_millis(milliseconds)) }
    }

    #[test]
    fn waits_are_read_in_every_form() {
        assert_eq!(response(429, &[("retry-after", "7")], &Value::Null), busy(7_000));
        assert_eq!(response(429, &[("retry-after", "9"), ("retry-after-ms", "250")], &Value::Null), busy(250));
        assert_eq!(response(429, &[("retry-after", "7s")], &Value::Null), busy(7_000));
        assert_eq!(response(429, &[("retry-after", "-1")], &Value::Null), AiError::Busy { retry_after: None });
        assert_eq!(response(429, &[("retry-after", "Wed, 21 Oct 2015 07:28:00 GMT")], &Value::Null), busy(0));
        let told = json!({"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "details": [
            {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34.5s"}]}});
        assert_eq!(response(429, &[], &told), busy(34_500));
    }

    #[test]
    fn a_spent_daily_quota_waits_for_its_renewal() {
        let told = json!([{"error": {"code": 429, "details": [{"violations": [{"quotaId": "GenerateRequestsPerDayPerProject"}]}]}}]);
        let wait = response(429, &[], &told).retry_after().expect("a wait");
        assert!(wait > Duration::ZERO && wait <= Duration::from_secs(24 * 3_600));
        let at =
            |hour: u64| until_renewal(SystemTime::UNIX_EPOCH + Duration::from_secs(hour * 3_600)).as_secs() / 3_600;
        assert_eq!((at(7), at(8), at(20)), (1, 24, 12));
    }

    #[test]
    fn statuses_and_words_tell_failures_apart() {
        let unavailable = AiError::Unavailable { retry_after: None };
        let cases = [
            (500, json!("boom"), unavailable.clone()),
            (529, json!({"error": {"type": "overloaded_error"}}), unavailable),
            (401, json!({"error": {"code": "invalid_api_key"}}), AiError::Credentials),
            (403, Value::Null, AiError::Credentials),
            (
                400,
                json!({"error": {"status": "INVALID_ARGUMENT", "details": [{"reason": "API_KEY_INVALID"}]}}),
                AiError::Credentials,
            ),
            (400, json!({"error": {"code": "context_length_exceeded"}}), AiError::TooLong),
            (
                400,
                json!({"error": {"message": "This model's maximum context length is 8192 tokens."}}),
                AiError::TooLong,
            ),
            (
                400,
                json!({"type": "error", "error": {"type": "invalid_request_error", "message": "prompt is too long: 9 tokens > 8 maximum"}}),
                AiError::TooLong,
            ),
            (400, json!({"error": {"code": "content_filter"}}), AiError::Declined),
            (400, json!({"error": {"message": "bad"}}), AiError::Rejected),
            (404, json!({"error": {"code": "model_not_found"}}), AiError::UnknownModel),
            (429, json!({"error": {"code": "insufficient_quota", "type": "insufficient_quota"}}), AiError::Quota),
            (302, Value::Null, AiError::Garbled),
        ];
        for (status, body, expected) in cases {
            assert_eq!(response(status, &[], &body), expected, "{status} {body}");
        }
    }

    #[test]
    fn whose_fault_it_is_stands_in_the_words() {
        let busy = AiError::Busy { retry_after: None };
        let cases = [
            // A question larger than the limit, and one that has to wait.
            (
                429,
                "Request too large for gpt-4o in organization org-1 on tokens per min (TPM): Limit 30000, Requested 342389. The input or output tokens must be reduced.",
                AiError::TooLong,
            ),
            (429, "Limit: 6,000, Requested: 8,000 tokens", AiError::TooLong),
            (429, "requested ~12000 tokens, the limit = 10000", AiError::TooLong),
            (0, "Request too large for gpt-4o: Limit 30000, Requested 342389", AiError::TooLong),
            (
                429,
                "Rate limit reached for gpt-4o on tokens per min (TPM): Limit 30000, Used 29000, Requested 2000. Please try again in 2s.",
                busy.clone(),
            ),
            (429, "Limit 30000, Requested 30000", busy.clone()),
            (
                429,
                "This request would exceed your organization's rate limit of 30,000 input tokens per minute.",
                busy.clone(),
            ),
            (429, "Limit 99999999999999999999999, Requested 2", busy.clone()),
            (429, "Limit, Requested", busy.clone()),
            (429, "", busy),
            // More than the money is for, and no money.
            (
                402,
                "This request requires more credits, or fewer max_tokens. You requested up to 65536 tokens, but can only afford 3434.",
                AiError::Rejected,
            ),
            (402, "Prompt tokens limit exceeded: 12000 > 9000", AiError::Rejected),
            (402, "Insufficient credits. Add more.", AiError::Quota),
            (402, "", AiError::Quota),
            // What is said, where one is, and the key.
            (403, "Your input was flagged for \"sexual\". No credits were charged.", AiError::Declined),
            (403, "gpt-4o requires moderation on OpenAI.", AiError::Declined),
            (403, "Blocked by our safety system", AiError::Declined),
            (403, "It violates our usage policies.", AiError::Declined),
            // Where the server is, and what there is of models there.
            (403, "Country, region, or territory not supported", AiError::WrongCountry),
            (403, "Our API is not available in your region.", AiError::WrongCountry),
            (403, "This service is not available in your country", AiError::WrongCountry),
            (400, "User location is not supported for the API use.", AiError::WrongCountry),
            (400, "Invalid value: 'User location is not supported for the API use.'", AiError::Rejected),
            (403, "This model is not available in your region.", AiError::UnknownModel),
            (403, "The model is not supported in this region.", AiError::UnknownModel),
            (403, "Project `proj_1` does not have access to model `gpt-5`", AiError::UnknownModel),
            (403, "Your API key has no access to the model with the specified model ID.", AiError::UnknownModel),
            (
                403,
                "User is not authorized to perform InvokeModel because no identity-based policy allows it",
                AiError::Credentials,
            ),
            (403, "This API key has been disabled by your security policy", AiError::Credentials),
            (403, "Key limit exceeded", AiError::Credentials),
            (403, "", AiError::Credentials),
            (401, "It was flagged.", AiError::Credentials),
        ];
        for (status, message, expected) in cases {
            let told = Told::read(&json!({"error": {"message": message}})).expect("an error");
            let told = Told { words: if status == 0 { vec!["tokens".to_owned()] } else { Vec::new() }, ..told };
            assert_eq!(told.classify(status, None), expected, "{status} {message}");
        }
        let named = json!({"error": {"message": "No.", "code": "model_not_found"}});
        assert_eq!(response(403, &[], &named), AiError::UnknownModel);
        let placed = json!({"error": {"message": "No.", "code": "unsupported_country_region_territory", "type": "request_forbidden"}});
        assert_eq!(response(403, &[], &placed), AiError::WrongCountry);
        let refused = json!({"error": {"message": "It was flagged.", "code": "invalid_api_key"}});
        assert_eq!(response(403, &[], &refused), AiError::Credentials);
    }

    #[test]
    fn what_is_repeated_of_a_question_says_nothing_of_the_key() {
        let refused = |message: &str| response(400, &[], &json!({"error": {"message": message, "code": 400}}));
        for (own, expected) in [
            ("Your credit balance is too low to access the Anthropic API.", AiError::Quota),
            ("API key not valid. Please pass a valid API key.", AiError::Credentials),
            ("API key expired. Please renew the API key.", AiError::Credentials),
        ] {
            assert_eq!(refused(own), expected, "{own}");
            for repeated in
                [format!("Invalid value: '{own}'. Supported values are: 'user'."), format!("tools[0]: {own}")]
            {
                assert_eq!(refused(&repeated), AiError::Rejected, "{repeated}");
            }
        }
    }

    #[test]
    fn a_page_of_a_firewall_says_nothing_of_the_key() {
        let refused = |status: u16, body: &str| {
            of_response(StatusCode::from_u16(status).expect("a status"), &HeaderMap::new(), body.as_bytes()).error
        };
        for page in ["<!DOCTYPE html><title>Attention required</title>", "\n <html>\u{fffd}</html>"] {
            assert_eq!(refused(403, page), AiError::Barred, "{page}");
            assert_eq!(refused(401, page), AiError::Credentials, "{page}");
        }
        assert_eq!(refused(403, "Forbidden"), AiError::Credentials);
    }

    #[test]
    fn a_wait_of_hours_is_not_believed_and_an_account_is_not_told() {
        assert_eq!(response(429, &[("retry-after", "86400")], &Value::Null), busy(3_600_000));
        let words = Words::cleaned("Too large in organization org-AbCdEfGhIj on", None, None).expect("words");
        assert_eq!(words.message, "Too large in organization [removed] on");
    }

    #[test]
    fn errors_inside_an_answer_are_known_by_their_shape() {
        let of_value = |value: &Value| super::of_value(value).map(|failure| failure.error);
        assert_eq!(of_value(&json!({"choices": [], "error": null})), None);
        assert_eq!(of_value(&json!([{"candidates": []}])), None);
        assert_eq!(of_value(&json!({"error": "overloaded"})), Some(AiError::Unavailable { retry_after: None }));
        assert_eq!(of_value(&json!({"object": "error", "code": 400, "message": "no"})), Some(AiError::Rejected));
        assert_eq!(
            of_value(&json!({"error": {"type": "rate_limit_error"}})),
            Some(AiError::Busy { retry_after: None })
        );
        assert_eq!(of_value(&json!({"error": {"code": "429"}})), Some(AiError::Busy { retry_after: None }));
    }

    #[test]
    fn a_callers_mistake_is_told_without_keys_and_addresses() {
        let body = json!({"error": {"message": "Bad schema for key sk-proj-0123456789abcdef, see https://x.y/z",
            "param": "tools[0]", "code": "invalid_function_parameters"}});
        let failure = of_response(StatusCode::BAD_REQUEST, &HeaderMap::new(), body.to_string().as_bytes());
        let words = Words {
            message: "Bad schema for key [removed] see [removed]".to_owned(),
            param: Some("tools[0]".to_owned()),
            code: Some("invalid_function_parameters".to_owned()),
        };
        assert_eq!(failure, Failure { error: AiError::Rejected, told: Some(words), of_stream_options: false });
    }

    #[test]
    fn words_are_found_in_whatever_they_are_packed() {
        let of = |body: &str| {
            let failure = of_response(StatusCode::BAD_REQUEST, &HeaderMap::new(), body.as_bytes());
            (failure.error, failure.told.map(|words| words.message))
        };
        for (body, said) in [
            (r#"{"message":"No tools."}"#, "No tools."),
            (r#"{"detail":"No tools."}"#, "No tools."),
            (r#"{"detail":[{"loc":["body","seed",0],"msg":"Extra inputs","type":"x"}]}"#, "body.seed.0: Extra inputs"),
            (r#"{"errors":[{"message":"One."},{"message":"Two."}]}"#, "One.; Two."),
            (r#"{"error":{"message":{"message":"No tools."}}}"#, "No tools."),
            (r#"{"error":{"error":{"message":"No tools."},"code":"x"}}"#, "No tools."),
            (r#"{"error":["No tools."]}"#, "No tools."),
            (r#"{"error":{"message":"{\"error\":{\"message\":\"No tools.\"}}"}}"#, "No tools."),
            (
                r#"{"error":{"message":"It failed","metadata":{"raw":"{\"error\":\"No tools.\"}"}}}"#,
                "It failed: No tools.",
            ),
            ("No tools.\n", "No tools."),
        ] {
            assert_eq!(of(body), (AiError::Rejected, Some(said.to_owned())), "{body}");
        }
        for silent in ["", "<html>No tools.</html>", "[]", "{}", "7"] {
            assert_eq!(of(silent), (AiError::Rejected, None), "{silent}");
        }
        let deep = format!("{}\"x\"{}", r#"{"message":"#.repeat(50), "}".repeat(50));
        assert_eq!(of(&deep), (AiError::Rejected, None));
    }

    #[test]
    fn a_question_that_is_too_long_is_known_in_the_words_of_many() {
        for said in [
            "This model's maximum prompt length is 131072 but the request contains 537812 tokens.",
            "The decoder prompt (length 5001) is longer than the maximum model length of 4096.",
            "Invalid request: Your request exceeded model token limit: 262144",
            "Prompt exceeds max length",
            "<400> InternalError.Algo.InvalidParameter: Range of input length should be [1, 98304]",
            "prompt token count of 140000 exceeds the limit of 128000",
            "Please reduce the length of the messages or completion.",
            "too many tokens: total number of tokens in the prompt cannot exceed 4081",
            "prompt too long; exceeded max context length by 4 tokens",
        ] {
            assert_eq!(response(400, &[], &json!({"error": {"message": said}})), AiError::TooLong, "{said}");
            assert_eq!(response(400, &[], &json!({"detail": said})), AiError::TooLong, "{said}");
            let packed = json!({"error": {"message": "Provider returned error", "metadata": {"raw": said}}});
            assert_eq!(response(400, &[], &packed), AiError::TooLong, "{said}");
        }
        assert_eq!(
            response(429, &[], &json!({"error": {"message": "too many tokens"}})),
            AiError::Busy { retry_after: None }
        );
    }

    #[test]
    fn only_keys_are_hidden() {
        let cleaned = |message: &str| Words::cleaned(message, None, None).expect("words").message;
        for plain in ["task-runner: disk-usage is missing", "sk-1 sk-learn", "task-0123456789abcdefghij", "AIza"] {
            assert_eq!(cleaned(plain), plain);
        }
        let keys = [
            "sk-0123456789abcdef",
            "'sk-ant-api03-0123456789abcdef'.",
            "key=sk-0123456789abcdef",
            "AIzaSyA0123456789abcdef",
            "sk-01234************cdef",
        ];
        for key in keys {
            assert_eq!(cleaned(&format!("Bad {key} here")), "Bad [removed] here");
        }
        let code = |code: &str| Words::cleaned("x", None, Some(code)).expect("words").code;
        assert_eq!(code("unsupported_value").as_deref(), Some("unsupported_value"));
        assert_eq!((code("sk-0123456789abcdef"), code("see https://x.y"), code(&"a".repeat(65))), (None, None, None));
    }

    #[test]
    fn only_plain_identifiers_of_the_upstream_reach_the_log() {
        let told = Told {
            words: vec!["sk-12345".to_owned(), "https://x".to_owned(), "rate_limit".to_owned()],
            ..Told::default()
        };
        assert_eq!(told.safe_code(), "rate_limit");
    }
}
