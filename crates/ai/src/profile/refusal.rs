//! Finds how a request that a provider refused can be adapted, from the provider's message.
//!
//! The phrases are those of the providers' and servers' messages, in lower case; quotes and names of
//! models differ between versions, so only the words around them are compared.

use bytes::Bytes;
use serde_json::{Map, Value};

use super::{
    Profile,
    adapt::{self, BodyFormat},
};
use crate::{canonical::Effort, provider_http::failure::Refusal};

/// How to adapt a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Remedy {
    /// Settings of the profile.
    pub settings: Vec<String>,
    /// True if the settings apply to every request to the deployment, false if only to this one.
    pub is_general: bool,
}

/// Settings to try for a message; the first that changes the request is used.
struct Rule {
    /// All of these are in the message.
    phrases: &'static [&'static str],
    settings: &'static [&'static str],
}

const fn rule(phrases: &'static [&'static str], settings: &'static [&'static str]) -> Rule {
    Rule { phrases, settings }
}

/// Settings by message, the more specific ones first.
static RULES: [Rule; 45] = [
    rule(&["system message must be at the beginning"], &["system=first", "system=none"]),
    rule(&["unexpected role 'system'"], &["system=first", "system=none"]),
    rule(&["invalid message role: system"], &["system=first", "system=none"]),
    rule(&["system role not supported"], &["system=none"]),
    rule(&["does not support 'system'", "role"], &["system=none"]),
    rule(&["'developer'", "does not support"], &["developer=no"]),
    rule(&["unknown variant `developer`"], &["developer=no"]),
    rule(&["role", "developer"], &["developer=no"]),
    rule(&["unexpected role 'user' after role 'tool'"], &["user_after_tool=no"]),
    rule(&["roles must alternate"], &["turns=alternate", "system=none"]),
    rule(&["should alternate with assistant"], &["turns=alternate", "user_after_tool=no"]),
    rule(&["expected last role user or tool"], &["last=prefix"]),
    rule(&["assistant message prefill"], &["last=user"]),
    rule(&["assistant response prefill"], &["last=user"]),
    rule(&["must end with a user message"], &["last=user"]),
    rule(&["last message must have role"], &["last=user"]),
    rule(&["assistant messages at the end of the list"], &["last=user"]),
    rule(&["unknown variant `image_url`"], &["images=no"]),
    rule(&["not a multimodal model"], &["images=no"]),
    rule(&["image input is not supported"], &["images=no"]),
    rule(&["support image input"], &["images=no"]),
    rule(&["does not support image"], &["images=no"]),
    rule(&["does not support vision"], &["images=no"]),
    rule(&["unknown variant `file`"], &["files=no"]),
    rule(&["expected to be either text or image_url"], &["files=no", "audio=no"]),
    rule(&["response_format.type", "must be 'json_schema' or 'text'"], &["schema=only"]),
    rule(&["response_format type is unavailable"], &["schema=object", "schema=no"]),
    rule(&["does not support response format"], &["schema=object", "schema=no"]),
    rule(&["response_format", "json_schema"], &["schema=object", "schema=no"]),
    rule(&["response_format", "not support"], &["schema=object", "schema=no"]),
    rule(&["must contain the word", "json"], &["json_word=yes"]),
    rule(&["invalid tool_choice type"], &["named_tool=no"]),
    rule(&["tool_choice", "think"], &["forced_tool=not_thinking", "forced_tool=no"]),
    rule(&["does not support this tool_choice"], &["forced_tool=not_thinking", "forced_tool=no"]),
    rule(&["support the provided 'tool_choice'"], &["forced_tool=no"]),
    rule(&["tools with reasoning_effort are not supported"], &["tool_effort=none", "tool_effort=drop"]),
    rule(&["use 'max_completion_tokens'"], &["limit=max_completion_tokens"]),
    rule(&["max_completion_tokens", "not supported"], &["limit=max_tokens"]),
    rule(&["max_completion_tokens", "extra inputs"], &["limit=max_tokens"]),
    rule(&["reasoning_content", "must be passed back"], &["thoughts=always"]),
    rule(&["reasoning_content is missing"], &["thoughts=always"]),
    rule(&["enable_thinking must be set to false for non-streaming"], &["stream=only"]),
    rule(&["enable thinking", "stream=false"], &["stream=only"]),
    rule(&["tool call id was", "length of 9"], &["call_ids=9"]),
    rule(&["function parameters is empty"], &["empty_parameters=no"]),
];

/// Phrases by which a message says that a field isn't supported.
const UNSUPPORTED_FIELD_PHRASES: [&str; 14] = [
    "unsupported",
    "not support",
    "unknown parameter",
    "unknown field",
    "unknown name",
    "unrecognized",
    "unrecognised",
    "extra inputs are not permitted",
    "extra_forbidden",
    "not permitted",
    "was unexpected",
    "only the default",
    "is allowed for this model",
    "cannot be set simultaneously",
];
/// Words before the supported efforts.
const EFFORT_LIST_PHRASES: [&str; 6] =
    ["supported levels", "supported values", "must be one of", "expected one of", "please use", "should be one of"];
/// Fields that hold an effort.
const EFFORT_FIELDS: [&str; 3] = ["effort", "thinking", "reasoning"];
/// Words before the maximum output.
const LIMIT_PHRASES: [&str; 5] =
    ["supports at most", "at most", "a value <=", "less than or equal to", "maximum value of"];
/// Minimum output that is worth a second try, in tokens.
const MIN_OUTPUT: u64 = 16;

/// Finds the remedy for a refusal of this body, under the profile with which the body was sent.
pub(crate) fn find(refusal: &Refusal, profile: &Profile, format: BodyFormat, body: &Bytes) -> Option<Remedy> {
    let message = refusal.message.as_str();
    let value: Value = serde_json::from_slice(body).ok()?;
    let fields = value.as_object()?;
    let changes = |setting: &str| adapt::adapt(&profile.with([setting]), format, body).is_some();
    let general = |settings: Vec<String>| Some(Remedy { settings, is_general: true });
    if let Some(most) = remaining_output(message) {
        return changes(&most).then(|| Remedy { settings: vec![most], is_general: false });
    }
    if let Some(most) = max_output(message).filter(|setting| changes(setting)) {
        return general(vec![most]);
    }
    if let Some(efforts) = supported_efforts(message).filter(|setting| changes(setting)) {
        return general(vec![efforts]);
    }
    for rule in &RULES {
        if rule.phrases.iter().all(|phrase| message.contains(phrase))
            && let Some(setting) = rule.settings.iter().find(|setting| changes(setting))
        {
            return general(vec![(*setting).to_owned()]);
        }
    }
    if message.contains("string with maximum length 64") || refusal.has_code("string_above_max_length") {
        let setting = format!("short={}", refusal.param.as_deref()?);
        return changes(&setting).then(|| general(vec![setting])).flatten();
    }
    let settings = dropped_fields(refusal, fields);
    let settings: Vec<String> = settings.into_iter().filter(|setting| changes(setting)).collect();
    if settings.is_empty() { None } else { general(settings) }
}

/// Output that fits beside the input: `188059 + 20000 > 200000`, or `maximum context length is 16384
/// tokens. However, you requested 17000 tokens (7000 in the messages, 10000 in the completion)`.
fn remaining_output(message: &str) -> Option<String> {
    let (limit, input) = if message.contains("exceed context limit") {
        let numbers = numbers(message.split_once("exceed context limit")?.1);
        let &[input, _, limit, ..] = numbers.as_slice() else { return None };
        (limit, input)
    } else {
        let told = message.split_once("maximum context length is")?.1;
        let told = told.split_once("in the messages")?.0;
        let numbers = numbers(told);
        (*numbers.first()?, *numbers.last()?)
    };
    let left = limit.checked_sub(input).filter(|left| *left >= MIN_OUTPUT)?;
    Some(format!("max_output={left}"))
}

/// Maximum output of the model.
fn max_output(message: &str) -> Option<String> {
    if !["max_tokens", "max_completion_tokens", "max_output_tokens", "completion tokens"]
        .iter()
        .any(|name| message.contains(name))
    {
        return None;
    }
    let after = |phrase: &str| message.split_once(phrase).and_then(|(_, rest)| numbers(rest).first().copied());
    let range = || {
        let inner = message.split_once("range")?.1.split_once('[')?.1.split_once(']')?.0;
        numbers(inner).last().copied()
    };
    // Anthropic's form: `max_tokens: 21333 > 4096, which is the maximum allowed number`.
    let compared = || {
        let (_, told) = message.split_once("max_tokens:")?;
        told.contains("maximum allowed").then(|| numbers(told).get(1).copied()).flatten()
    };
    let most = LIMIT_PHRASES.iter().find_map(|phrase| after(phrase)).or_else(range).or_else(compared)?;
    (most >= MIN_OUTPUT).then(|| format!("max_output={most}"))
}

/// Supported efforts that the message lists.
fn supported_efforts(message: &str) -> Option<String> {
    if !EFFORT_FIELDS.iter().any(|name| message.contains(name)) {
        return None;
    }
    let (_, list) = EFFORT_LIST_PHRASES.iter().find_map(|phrase| message.split_once(phrase))?;
    let efforts: Vec<&str> = words(list).filter(|word| Effort::parse(word).is_some()).collect();
    (!efforts.is_empty()).then(|| format!("efforts={}", efforts.join(",")))
}

/// Settings that drop the fields that the message names.
fn dropped_fields(refusal: &Refusal, fields: &Map<String, Value>) -> Vec<String> {
    let message = refusal.message.as_str();
    if !UNSUPPORTED_FIELD_PHRASES.iter().any(|phrase| message.contains(phrase)) {
        return Vec::new();
    }
    // The usage of a stream can't be metered without `stream_options`, which has a rule of its own.
    let is_kept = |path: &str| path.starts_with("stream_options") || !adapt::may_drop(path);
    let drop = |path: &str| (!is_kept(path)).then(|| format!("drop={path}"));
    // A path such as `body.messages.31.assistant.reasoning_content` or `messages[0].name`.
    let original = refusal.original_message.replace(['[', ']'], ".");
    let paths = refusal.param.iter().map(String::as_str).chain(words(&original).filter(|word| word.contains('.')));
    for path in paths {
        let path = path.replace(['[', ']'], ".");
        let names = path.split('.').filter(|name| !name.is_empty() && *name != "body" && name.parse::<u64>().is_err());
        let names: Vec<&str> = names.collect();
        let is_path = names.len() > 1 || path.starts_with("body.");
        if is_path && names.first().is_some_and(|first| fields.contains_key(*first)) {
            return drop(&names.join(".")).into_iter().collect();
        }
    }
    // Groq's form: `'messages.1' : property 'reasoning_content' is unsupported`.
    if message.contains("'messages.") && message.contains("property '") {
        let property = message.rsplit_once("property '").and_then(|(_, rest)| rest.split_once('\''));
        if let Some((name, _)) = property {
            return drop(&format!("messages.{name}")).into_iter().collect();
        }
    }
    let candidates = refusal.param.iter().map(String::as_str).chain(words(&refusal.original_message));
    let mut named: Vec<String> = Vec::new();
    for word in candidates {
        let name = snake_case(word);
        if let Some(setting) = drop(&name).filter(|setting| fields.contains_key(&name) && !named.contains(setting)) {
            named.push(setting);
        }
    }
    // A message about one field may mention others.
    let is_list = ["(s)", "parameters:", "arguments", "simultaneously"].iter().any(|mark| message.contains(mark));
    named.truncate(if is_list { usize::MAX } else { 1 });
    named
}

/// Words that may be names or numbers.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|letter: char| !letter.is_ascii_alphanumeric() && !matches!(letter, '_' | '.'))
        .map(|word| word.trim_matches('.'))
        .filter(|word| !word.is_empty())
}

/// Numbers in a text, which may have commas between thousands.
fn numbers(text: &str) -> Vec<u64> {
    let digits = text.split(|letter: char| !letter.is_ascii_digit() && letter != ',');
    digits.filter_map(|digits| digits.replace(',', "").parse().ok()).collect()
}

/// `presencePenalty` → `presence_penalty`.
fn snake_case(name: &str) -> String {
    let mut snake = String::with_capacity(name.len() + 4);
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    snake
}
