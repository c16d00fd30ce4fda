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
use crate::{canonical::Effort, image_download::may_have_image_urls, provider_http::failure::Refusal};

/// How to adapt a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Remedy {
    /// Settings of the profile.
    pub settings: Vec<String>,
    /// True if the settings apply to every request to the deployment, false if only to this one.
    pub is_general: bool,
}

impl Remedy {
    /// True if images have to be sent inline, which an adaptation of the body alone can't do.
    pub fn inlines_images(&self) -> bool {
        self.settings.iter().any(|setting| setting == INLINE_IMAGES)
    }

    pub fn drops_fields(&self) -> bool {
        self.settings.iter().any(|setting| setting.starts_with("drop="))
    }
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

/// Setting of a server that fetches no images.
const INLINE_IMAGES: &str = "image_urls=no";

/// Settings by message, the more specific ones first.
static RULES: [Rule; 97] = [
    rule(&["system message must be at the beginning"], &["system=first", "system=none"]),
    rule(&["unexpected role 'system'"], &["system=first", "system=none"]),
    rule(&["invalid message role: system"], &["system=first", "system=none"]),
    rule(&["system role not supported"], &["system=none"]),
    rule(&["only user and assistant roles"], &["system=none", "tool_results=paired"]),
    rule(&["invalid chat setting"], &["system=first", "system=none"]),
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
    rule(&["no user query found"], &["last=user"]),
    rule(&["messages parameter is illegal"], &["last=user", "tool_results=paired", "empty_content=no"]),
    rule(&["messages 参数非法"], &["last=user", "tool_results=paired", "empty_content=no"]),
    rule(&["maximum of 4 blocks with cache_control"], &["cache_marks=4"]),
    rule(&["last message must have role"], &["last=user"]),
    rule(&["assistant messages at the end of the list"], &["last=user"]),
    rule(&["image urls are not currently supported"], &[INLINE_IMAGES]),
    rule(&["url' field must be a base64"], &[INLINE_IMAGES]),
    rule(&["unsupported image url"], &[INLINE_IMAGES]),
    rule(&["cannot fetch content from the provided url"], &[INLINE_IMAGES]),
    rule(&["unknown variant `image_url`"], &["images=no"]),
    rule(&["messages.content.type", "['text']"], &["images=no", "files=no", "audio=no"]),
    rule(&["unknown variant `file`"], &["files=no"]),
    rule(&["expected to be either text or image_url"], &["files=no", "audio=no"]),
    rule(&["invalid type: sequence, expected a string"], &["text_parts=no", "images=no"]),
    rule(&["should be a valid string"], &["text_parts=no", "images=no"]),
    rule(&["expected a string, but got an array"], &["text_parts=no", "images=no"]),
    rule(&["content' : value must be a string"], &["text_parts=no", "images=no"]),
    rule(&["content must be a string"], &["text_parts=no", "images=no"]),
    rule(&["cannot unmarshal array", "content of type string"], &["text_parts=no", "images=no"]),
    rule(&["response_format.type", "must be 'json_schema' or 'text'"], &["schema=only"]),
    rule(&["response_format type is unavailable"], &["schema=object", "schema=no"]),
    rule(&["does not support response format"], &["schema=object", "schema=no"]),
    rule(&["response_format", "json_schema"], &["schema=object", "schema=no"]),
    rule(&["response_format", "not support"], &["schema=object", "schema=no"]),
    rule(&["json_schema", "not support"], &["schema=object", "schema=no"]),
    rule(&["json_object", "not support"], &["schema=only", "schema=no"]),
    rule(&["structured output", "not support"], &["schema=object", "schema=no"]),
    rule(&["json mode", "not support"], &["schema=no"]),
    rule(&["must contain the word", "json"], &["json_word=yes"]),
    rule(&["invalid tool_choice type"], &["named_tool=no"]),
    rule(&["tool_choice", "think"], &["forced_tool=not_thinking", "forced_tool=no"]),
    rule(&["does not support this tool_choice"], &["forced_tool=not_thinking", "forced_tool=no"]),
    rule(&["support the provided 'tool_choice'"], &["forced_tool=no"]),
    rule(&["tool_choice", "not support"], &["named_tool=no", "forced_tool=no"]),
    rule(&["tool_choice", "unsupported"], &["named_tool=no", "forced_tool=no"]),
    rule(&["tool_choice", "must be"], &["named_tool=no", "forced_tool=no"]),
    rule(&["not support reasoning effort"], &["efforts=low,medium,high", "drop=reasoning_effort"]),
    rule(&["cannot both be specified", "top_p"], &["drop=top_p"]),
    rule(&["tools with reasoning_effort are not supported"], &["tool_effort=none", "tool_effort=drop"]),
    rule(&["use 'max_completion_tokens'"], &["limit=max_completion_tokens"]),
    rule(&["max_completion_tokens", "not supported"], &["limit=max_tokens"]),
    rule(&["max_completion_tokens", "extra inputs"], &["limit=max_tokens"]),
    rule(&["reasoning_content", "must be passed back"], &["thoughts=always"]),
    rule(&["reasoning_content is missing"], &["thoughts=always"]),
    rule(&["missing `reasoning_content` field"], &["thoughts=always"]),
    rule(&["enable_thinking must be set to false for non-streaming"], &["stream=only"]),
    rule(&["enable thinking", "stream=false"], &["stream=only"]),
    rule(&["only support stream"], &["stream=only"]),
    rule(&["only supports stream"], &["stream=only"]),
    rule(&["must have stream=true"], &["stream=only"]),
    rule(&["must be followed by tool messages"], &["tool_results=paired"]),
    rule(&["must be a response to a prece"], &["tool_results=paired"]),
    rule(&["did not have response messages"], &["tool_results=paired"]),
    rule(&["without `tool_result` blocks"], &["tool_results=paired"]),
    rule(&["without tool_result blocks"], &["tool_results=paired"]),
    rule(&["unexpected `tool_use_id`"], &["tool_results=paired"]),
    rule(&["unexpected tool_use_id"], &["tool_results=paired"]),
    rule(&["must have a single result"], &["tool_results=paired"]),
    rule(&["tool_use` ids must be unique"], &["tool_results=paired"]),
    rule(&["duplicate value for 'tool_call_id'"], &["tool_results=paired"]),
    rule(&["same number of function calls and responses"], &["tool_results=paired"]),
    rule(&["number of function response parts"], &["tool_results=paired"]),
    rule(&["tool result's tool id", "not found"], &["tool_results=paired"]),
    rule(&["tool_call_id", "not found"], &["tool_results=paired"]),
    rule(&["unexpected role 'tool'"], &["tool_results=paired"]),
    rule(&["tool call id was", "length of 9"], &["call_ids=9"]),
    rule(&["content or tool_calls must be set"], &["empty_answers=no", "empty_content=no"]),
    rule(&["either content or tool_calls"], &["empty_answers=no", "empty_content=no"]),
    rule(&["content", "must be non-empty"], &["empty_answers=no", "empty_content=no"]),
    rule(&["content", "non-whitespace"], &["empty_answers=no", "empty_content=no"]),
    rule(&["content is empty"], &["empty_answers=no", "empty_content=no"]),
    rule(&["content", "must not be empty"], &["empty_answers=no", "empty_content=no"]),
    rule(&["with role", "must not be empty"], &["empty_answers=no", "empty_content=no"]),
    rule(&["content", "cannot be empty"], &["empty_answers=no", "empty_content=no"]),
    rule(&["is not a 'regex'"], &["tool_schemas=repaired"]),
    rule(&["input_schema"], &["tool_schemas=repaired"]),
    rule(&["invalid schema for function"], &["tool_schemas=repaired"]),
    rule(&["schema is invalid"], &["tool_schemas=repaired"]),
    rule(&["function parameters is empty"], &["empty_parameters=no"]),
];

/// Phrases by which a message says that the provider can't read earlier reasoning, because another
/// account or another provider has signed it.
const UNREADABLE_THOUGHTS: [&[&str]; 5] = [
    &["invalid", "signature", "thinking"],
    &["encrypted content", "could not be"],
    &["invalid_encrypted_content"],
    &["thought signature", "not valid"],
    &["corrupted thought signature"],
];
/// Phrases by which a message says that a field isn't supported.
const UNSUPPORTED_FIELD_PHRASES: [&str; 17] = [
    "n't support",
    "not allowed",
    "does not match pattern",
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
/// Objects that hold a field whose path a message doesn't name.
const FIELD_PARENTS: [&str; 3] = ["tools.function", "tools", "messages"];
/// Words before the supported efforts.
const EFFORT_LIST_PHRASES: [&str; 7] = [
    "supported levels",
    "supported values",
    "must be one of",
    "expected one of",
    "please use",
    "should be one of",
    "input should be",
];
/// Fields that hold an effort.
const EFFORT_FIELDS: [&str; 3] = ["effort", "thinking", "reasoning"];
/// Words before the maximum output.
const LIMIT_PHRASES: [&str; 6] =
    ["supports at most", "at most", "a value <=", "less than or equal to", "maximum value of", "maximum length"];
/// Words before the size of the context window.
const CONTEXT_LIMIT_PHRASES: [&str; 3] =
    ["maximum context length is", "maximum context length of", "`max_new_tokens` must be <="];
/// Words after the number of input tokens: OpenAI's and vLLM's, those of newer versions of vLLM,
/// `SGLang`'s, OpenRouter's, and TGI's.
const INPUT_LABELS: [&str; 6] = [
    " in the messages",
    " input tokens",
    " tokens from the input messages",
    " of text input",
    " of tool input",
    " `inputs` tokens and",
];
const IMAGE_WORDS: [&str; 3] = ["image", "vision", "multimodal"];
/// Phrases by which a message says that a model sees no images.
const NO_IMAGES_PHRASES: [&str; 10] = [
    "not support",
    "n't support",
    "unsupported",
    "endpoints found that support",
    "not a multimodal model",
    "not enabled for this model",
    "missing data required",
    "at most 0 image",
    "not available for this model",
    "no vision",
];
/// Words of messages about a single image.
const IMAGE_FAULT_WORDS: [&str; 11] =
    ["format", "mime", "media type", "media_type", "url", "base64", "download", "fetch", "decode", "size", "large"];
/// Minimum output that is worth a second try, in tokens.
const MIN_OUTPUT: u64 = 16;

/// Finds the remedy for a refusal of this body, under the profile with which the body was sent.
pub(crate) fn find(refusal: &Refusal, profile: &Profile, format: BodyFormat, body: &Bytes) -> Option<Remedy> {
    let message = refusal.message.as_str();
    // Some servers name the field only beside the message.
    let param = refusal.param.as_deref().unwrap_or_default().to_lowercase();
    let mentions = |phrase: &str| message.contains(phrase) || param.contains(phrase);
    let value: Value = serde_json::from_slice(body).ok()?;
    let fields = value.as_object()?;
    let changes = |setting: &str| {
        if setting == INLINE_IMAGES {
            return format == BodyFormat::Chat && !profile.refuses_image_urls() && may_have_image_urls(body);
        }
        adapt::adapt(&profile.with([setting]), format, body).is_some()
    };
    let general = |settings: Vec<String>| Some(Remedy { settings, is_general: true });
    if let Some(most) = remaining_output(message) {
        return changes(&most).then(|| Remedy { settings: vec![most], is_general: false });
    }
    if let Some(most) = max_output(message).filter(|setting| changes(setting)) {
        return general(vec![most]);
    }
    if (message.contains("temperature") || param == "temperature")
        && let Some(most) = number_after_limit(message).map(|most| format!("max_temperature={most}"))
        && changes(&most)
    {
        return general(vec![most]);
    }
    if (message.contains("'stop'") || message.contains("`stop`") || param == "stop")
        && let Some(most) = number_after_limit(message).map(|most| format!("max_stops={most}"))
        && changes(&most)
    {
        return general(vec![most]);
    }
    if let Some(efforts) = supported_efforts(message).filter(|setting| changes(setting)) {
        return general(vec![efforts]);
    }
    // Other conversations have reasoning that the provider can read.
    if UNREADABLE_THOUGHTS.iter().any(|phrases| phrases.iter().all(|phrase| mentions(phrase))) && changes("thoughts=no")
    {
        return Some(Remedy { settings: vec!["thoughts=no".to_owned()], is_general: false });
    }
    for rule in &RULES {
        if rule.phrases.iter().all(|phrase| mentions(phrase))
            && let Some(setting) = rule.settings.iter().find(|setting| changes(setting))
        {
            return general(vec![(*setting).to_owned()]);
        }
    }
    if refuses_images(message) && changes("images=no") {
        return general(vec!["images=no".to_owned()]);
    }
    if message.contains("string with maximum length 64") || refusal.has_code("string_above_max_length") {
        let setting = format!("short={}", refusal.param.as_deref()?);
        return changes(&setting).then(|| general(vec![setting])).flatten();
    }
    let settings = dropped_fields(refusal, fields, &changes);
    let settings: Vec<String> = settings.into_iter().filter(|setting| changes(setting)).collect();
    if settings.is_empty() { None } else { general(settings) }
}

/// True if the model sees no images. An image with a fault must not be left out.
fn refuses_images(message: &str) -> bool {
    let message = message.replace("image_url", "image");
    let has_any = |words: &[&str]| words.iter().any(|word| message.contains(word));
    has_any(&IMAGE_WORDS) && has_any(&NO_IMAGES_PHRASES) && !has_any(&IMAGE_FAULT_WORDS)
}

/// Output that fits beside the input: `188059 + 20000 > 200000`, or `maximum context length is 16384
/// tokens. However, you requested 17000 tokens (7000 in the messages, 10000 in the completion)`.
fn remaining_output(message: &str) -> Option<String> {
    let (limit, input) = if let Some((_, told)) = message.split_once("exceed context limit") {
        let numbers = numbers(told);
        let &[input, _, limit, ..] = numbers.as_slice() else { return None };
        (limit, input)
    } else {
        let told = CONTEXT_LIMIT_PHRASES.iter().find_map(|phrase| Some(message.split_once(phrase)?.1))?;
        let number_before = |label: &&str| {
            let (before, _) = message.split_once(*label)?;
            numbers(before).last().copied()
        };
        let input: Vec<u64> = INPUT_LABELS.iter().filter_map(number_before).collect();
        (*numbers(told).first()?, if input.is_empty() { return None } else { input.into_iter().sum() })
    };
    let left = limit.checked_sub(input).filter(|left| *left >= MIN_OUTPUT)?;
    Some(format!("max_output={left}"))
}

/// Number after the words for a maximum.
fn number_after_limit(message: &str) -> Option<u64> {
    let after = |phrase: &&str| numbers(message.split_once(*phrase)?.1).first().copied();
    LIMIT_PHRASES.iter().find_map(after)
}

/// Maximum output of the model.
fn max_output(message: &str) -> Option<String> {
    if !["max_tokens", "max_completion_tokens", "max_output_tokens", "completion tokens"]
        .iter()
        .any(|name| message.contains(name))
    {
        return None;
    }
    let range = || {
        let inner = message.split_once("range")?.1.split_once('[')?.1.split_once(']')?.0;
        numbers(inner).last().copied()
    };
    // Anthropic's form: `max_tokens: 21333 > 4096, which is the maximum allowed number`.
    let compared = || {
        let (_, told) = message.split_once("max_tokens:")?;
        told.contains("maximum allowed").then(|| numbers(told).get(1).copied()).flatten()
    };
    let most = number_after_limit(message).or_else(range).or_else(compared)?;
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

/// Settings that drop the fields that the message names. `changes` is true for settings that change
/// the body.
fn dropped_fields(refusal: &Refusal, fields: &Map<String, Value>, changes: &impl Fn(&str) -> bool) -> Vec<String> {
    let message = with_dotted_paths(&refusal.original_message);
    // Lists in the formats of JSON, Python and Pydantic.
    let lines = message.replace("\n ", " ");
    let objections = lines.split('\n').flat_map(|line| line.split("; ")).flat_map(|part| part.split("}, {"));
    let found = fields_of_objections(objections, refusal.param.as_deref(), fields, changes);
    if found.is_empty() {
        // The phrase and the name may be in different parts.
        return fields_of_objections(std::iter::once(message.as_str()), refusal.param.as_deref(), fields, changes);
    }
    found
}

/// Settings that drop the fields of all objections; `param` belongs to the first one.
fn fields_of_objections<'a>(
    objections: impl Iterator<Item = &'a str>,
    mut param: Option<&'a str>,
    fields: &Map<String, Value>,
    changes: &impl Fn(&str) -> bool,
) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for objection in objections.filter(|objection| is_about_unsupported_field(objection)) {
        for setting in fields_of_objection(objection, param.take(), fields, changes) {
            if !found.contains(&setting) {
                found.push(setting);
            }
        }
    }
    found
}

fn is_about_unsupported_field(objection: &str) -> bool {
    let objection = objection.to_lowercase();
    UNSUPPORTED_FIELD_PHRASES.iter().any(|phrase| objection.contains(phrase))
}

/// Settings that drop the fields of one objection.
fn fields_of_objection(
    objection: &str,
    param: Option<&str>,
    fields: &Map<String, Value>,
    changes: &impl Fn(&str) -> bool,
) -> Vec<String> {
    // The usage of a stream can't be metered without `stream_options`, which has a rule of its own.
    let is_kept = |path: &str| path.starts_with("stream_options") || !adapt::may_drop(path);
    let drop = |path: &str| (!is_kept(path)).then(|| format!("drop={path}"));
    let candidates = || param.into_iter().chain(words(objection));
    if let Some(setting) = candidates().find_map(|word| drop(&path_of_field(word, fields)?)) {
        return vec![setting];
    }
    // Groq's form: `'messages.1' : property 'reasoning_content' is unsupported`.
    if objection.contains("'messages.") {
        let properties = objection.split("property '").skip(1).filter_map(|rest| rest.split_once('\''));
        let settings: Vec<String> = properties.filter_map(|(name, _)| drop(&format!("messages.{name}"))).collect();
        if !settings.is_empty() {
            return settings;
        }
    }
    let mut named: Vec<String> = Vec::new();
    for word in candidates() {
        let name = match snake_case(word) {
            name if name == "stop_sequences" && !fields.contains_key(&name) => "stop".to_owned(),
            name => name,
        };
        if let Some(setting) = drop(&name).filter(|setting| fields.contains_key(&name) && !named.contains(setting)) {
            named.push(setting);
        }
    }
    // A message about one field may mention others.
    let lower = objection.to_lowercase();
    let is_list = ["(s)", "parameters:", "arguments", "simultaneously"].iter().any(|mark| lower.contains(mark));
    named.truncate(if is_list { usize::MAX } else { 1 });
    if named.is_empty() {
        // A name without its path, as in `property 'strict' is unsupported`.
        let quoted = objection.split(['\'', '"', '`']).skip(1).step_by(2);
        named.extend(quoted.filter_map(|name| {
            let mut settings = FIELD_PARENTS.iter().filter_map(|parent| drop(&format!("{parent}.{name}")));
            settings.find(|setting| changes(setting))
        }));
    }
    named
}

/// Path of a field of the request, without indexes, if the word is a path, for example
/// `body.messages.31.assistant.reasoning_content` or `messages[0].name`.
fn path_of_field(word: &str, fields: &Map<String, Value>) -> Option<String> {
    let path = word.replace(['[', ']'], ".");
    let names = path.split('.').filter(|name| !name.is_empty() && *name != "body" && name.parse::<u64>().is_err());
    let names: Vec<&str> = names.collect();
    let is_path = names.len() > 1 || path.starts_with("body.");
    let is_known = names.first().is_some_and(|first| fields.contains_key(*first));
    (is_path && is_known).then(|| names.join("."))
}

/// The message with all paths in the format `body.messages.0.name`: `('body', 'messages', 0, 'name')`
/// in Python's format, `body -> messages -> 0 -> name`, `messages[0].name`.
fn with_dotted_paths(message: &str) -> String {
    const PYTHON: &str = "('body', ";
    let mut dotted = String::with_capacity(message.len());
    let mut rest = message;
    while let Some((before, after)) = rest.split_once(PYTHON) {
        let Some((place, after)) = after.split_once(')') else { break };
        dotted.push_str(before);
        dotted.push_str("body");
        let steps = place.split(',').map(|step| step.trim().trim_matches('\''));
        for step in steps.filter(|step| super::is_path(step)) {
            dotted.push('.');
            dotted.push_str(step);
        }
        rest = after;
    }
    dotted.push_str(rest);
    dotted.replace(['[', ']'], ".").replace(" -> ", ".")
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
