//! Rewrites passthrough requests: the provider's model, and usage for streams.

use std::sync::LazyLock;

use bytes::Bytes;
use memchr::{memchr, memmem::Finder};
use serde::{Deserialize, Deserializer, de::IgnoredAny};
use serde_json::{Value, value::RawValue};

use super::TOOL_CALLS_KEY;
use crate::{
    GatewayError,
    dialect::{fields::may_have, restricted_params::without_fields},
    used_call_ids::UsedCallIds,
};

#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow)]
    model: &'a RawValue,
    stream: Option<bool>,
    #[serde(borrow, default, deserialize_with = "present")]
    stream_options: Option<&'a RawValue>,
    #[serde(borrow)]
    n: Option<&'a RawValue>,
    #[serde(borrow)]
    web_search_options: Option<&'a RawValue>,
}

/// Deserialises a field that is present, even if null.
pub(crate) fn present<'de: 'a, 'a, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'a RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

/// A rewritten request.
pub(crate) struct RewrittenRequest {
    pub body: Bytes,
    pub stream: bool,
    /// True if the caller asked for the usage frame.
    pub wants_usage: bool,
    /// True if the caller asked for more than one choice.
    pub wants_several: bool,
    /// True if the answer includes a web search.
    pub searches: bool,
    /// True if a code-execution container at Anthropic is billed.
    pub bills_code_container: bool,
    /// Ids of the calls in the conversation.
    pub used_ids: UsedCallIds,
}

const OLDER_LIMIT: &str = "max_tokens";
const NEWER_LIMIT: &str = "max_completion_tokens";
static NEWER_LIMIT_FINDER: LazyLock<[Finder<'static>; 1]> = LazyLock::new(|| [Finder::new(NEWER_LIMIT)]);

/// Renames the output limit to the field that the server knows: some servers know only the older
/// one and would generate without a limit. If both fields are set, only the value of the newer one
/// is sent, because OpenAI rejects requests with both. `None` if nothing changes.
fn unify_limit(body: &Bytes, knows_newer: bool) -> Option<Bytes> {
    #[derive(Deserialize)]
    struct Limits<'a> {
        max_tokens: Option<IgnoredAny>,
        #[serde(borrow)]
        max_completion_tokens: Option<&'a RawValue>,
    }
    if !may_have(body, NEWER_LIMIT_FINDER.as_slice()) {
        return None;
    }
    let limits: Limits<'_> = serde_json::from_slice(body).ok()?;
    let newer = limits.max_completion_tokens?;
    if knows_newer {
        limits.max_tokens?;
        return without_fields(body, &[OLDER_LIMIT]).map(|(body, _)| body);
    }
    // The older field may be present with the value null, so it is removed as well.
    let (plain, _) = without_fields(body, &[OLDER_LIMIT, NEWER_LIMIT])?;
    Some(replace_ranges(&plain, vec![(first_field(&plain), format!("\"{OLDER_LIMIT}\":{},", newer.get()))]))
}

/// Sets the provider's model, and `include_usage` for a stream. `knows_newer` is true if the server
/// accepts `max_completion_tokens`.
pub(crate) fn rewrite_request(body: &Bytes, model: &str, knows_newer: bool) -> Result<RewrittenRequest, GatewayError> {
    let limited = unify_limit(body, knows_newer);
    let body = limited.as_ref().unwrap_or(body);
    let head: Head<'_> = serde_json::from_slice(body).map_err(|error| GatewayError::unreadable(&error))?;
    let stream = head.stream.unwrap_or(false);
    let options = head.stream_options.filter(|_| stream);
    let wants_usage = options.is_some_and(wants_usage);
    let mut parts = vec![(byte_range(body, head.model), Value::from(model).to_string())];
    match options {
        Some(_) if wants_usage => {}
        Some(options) => parts.push((byte_range(body, options), with_usage(options)?)),
        None if stream => {
            parts.push((first_field(body), r#""stream_options":{"include_usage":true},"#.to_owned()));
        }
        None => {}
    }
    let wants_several = head.n.and_then(|n| n.get().parse().ok()).is_some_and(|n: u64| n > 1);
    let searches = head.web_search_options.is_some();
    let has_calls = TOOL_CALLS_KEY.find(body).is_some();
    let used_ids = if has_calls { UsedCallIds::of_body(body) } else { UsedCallIds::default() };
    let body = replace_ranges(body, parts);
    Ok(RewrittenRequest { body, stream, wants_usage, wants_several, searches, bills_code_container: false, used_ids })
}

/// Sets the model; the flag is true if the request asks for a stream.
pub(crate) fn replace_model(body: &Bytes, model: &str) -> Result<(Bytes, bool), GatewayError> {
    let head: Head<'_> = serde_json::from_slice(body).map_err(|error| GatewayError::unreadable(&error))?;
    let parts = vec![(byte_range(body, head.model), Value::from(model).to_string())];
    Ok((replace_ranges(body, parts), head.stream.unwrap_or(false)))
}

/// Empty byte range before the first field, at which a field can be inserted.
pub(crate) fn first_field(body: &Bytes) -> (usize, usize) {
    let start = memchr(b'{', body).map_or(0, |at| at + 1);
    (start, start)
}

/// Byte range of a value in the body.
pub(crate) fn byte_range(body: &Bytes, raw: &RawValue) -> (usize, usize) {
    let start = raw.get().as_ptr() as usize - body.as_ptr() as usize;
    (start, start + raw.get().len())
}

pub(crate) fn replace_ranges(body: &Bytes, mut parts: Vec<((usize, usize), String)>) -> Bytes {
    parts.sort_by_key(|part| part.0);
    let mut out = Vec::with_capacity(body.len() + 64);
    let mut from = 0;
    for ((start, end), text) in &parts {
        out.extend_from_slice(&body[from..*start]);
        out.extend_from_slice(text.as_bytes());
        from = *end;
    }
    out.extend_from_slice(&body[from..]);
    out.into()
}

fn wants_usage(options: &RawValue) -> bool {
    #[derive(Deserialize)]
    struct Options {
        include_usage: Option<bool>,
    }
    serde_json::from_str::<Options>(options.get()).is_ok_and(|options| options.include_usage == Some(true))
}

fn with_usage(options: &RawValue) -> Result<String, GatewayError> {
    let value = serde_json::from_str(options.get()).unwrap_or(Value::Null);
    let mut options = match value {
        Value::Object(options) => options,
        Value::Null => serde_json::Map::new(),
        _ => return Err(GatewayError::invalid_param("stream_options", "`stream_options` must be an object.")),
    };
    options.insert("include_usage".to_owned(), true.into());
    Ok(Value::Object(options).to_string())
}
