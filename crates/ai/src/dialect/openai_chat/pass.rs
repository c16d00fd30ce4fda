//! OpenAI's dialect on both sides: the bytes pass, and only what routing and billing need is looked at.
//!
//! A request gets the upstream's model, and a stream's request asks for usage. Of an answer's frames just those are parsed that a
//! search for a few keys marks: usage, the finish, an error, the end. Everything else goes on as it came.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::LazyLock,
};

use bytes::Bytes;
use memchr::{memchr, memmem::Finder};
use serde::{Deserialize, Deserializer, de::IgnoredAny};
use serde_json::{Value, value::RawValue};

use super::{upstream::reason, usage::CompletionUsage};
use crate::{
    AiError, Finish, GatewayError,
    dialect::{
        costly::without,
        fields::{may_have, mended},
        pass::is_sound,
    },
    meter::{Meter, quarters},
    relay::Tap,
    wire::{
        events::{self, Event, Splitter},
        failure::{self, Failure},
    },
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

/// A field that is there, even if it is null.
pub(crate) fn present<'de: 'a, 'a, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'a RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

/// A request as it goes out.
pub(crate) struct Rewritten {
    pub body: Bytes,
    pub stream: bool,
    /// The caller asked for the frame with usage.
    pub wants_usage: bool,
    /// The caller asked for more than one answer.
    pub wants_several: bool,
    /// The web is searched for its answer.
    pub searches: bool,
    /// A container in which Anthropic runs code for its answer is billed.
    pub pays_for_code: bool,
}

const OLDER_LIMIT: &str = "max_tokens";
const NEWER_LIMIT: &str = "max_completion_tokens";
static NEWER: LazyLock<[Finder<'static>; 1]> = LazyLock::new(|| [Finder::new(NEWER_LIMIT)]);

/// The body with the limit of its answers under one name, which its server knows: some know the older one alone, take no notice of the other, and write without
/// a limit. Of both the newer counts, as it does at OpenAI, which refuses both. None: it may stay as it is.
fn with_one_limit(body: &Bytes, knows_newer: bool) -> Option<Bytes> {
    #[derive(Deserialize)]
    struct Limits<'a> {
        max_tokens: Option<IgnoredAny>,
        #[serde(borrow)]
        max_completion_tokens: Option<&'a RawValue>,
    }
    if !may_have(body, NEWER.as_slice()) {
        return None;
    }
    let limits: Limits<'_> = serde_json::from_slice(body).ok()?;
    let newer = limits.max_completion_tokens?;
    if knows_newer {
        limits.max_tokens?;
        return without(body, &[OLDER_LIMIT]).map(|(body, _)| body);
    }
    // The older one may stand there and be null.
    let (plain, _) = without(body, &[OLDER_LIMIT, NEWER_LIMIT])?;
    Some(replace(&plain, vec![(beginning(&plain), format!("\"{OLDER_LIMIT}\":{},", newer.get()))]))
}

/// The caller's request with the upstream's model, and a stream's with `include_usage`. `knows_newer`: the server takes the newer name of the limit.
pub(crate) fn rewrite(body: &Bytes, model: &str, knows_newer: bool) -> Result<Rewritten, GatewayError> {
    let limited = with_one_limit(body, knows_newer);
    let body = limited.as_ref().unwrap_or(body);
    let head: Head<'_> = serde_json::from_slice(body).map_err(|error| GatewayError::unreadable(&error))?;
    let stream = head.stream.unwrap_or(false);
    let options = head.stream_options.filter(|_| stream);
    let wants_usage = options.is_some_and(wants_usage);
    let mut parts = vec![(place(body, head.model), Value::from(model).to_string())];
    match options {
        Some(_) if wants_usage => {}
        Some(options) => parts.push((place(body, options), with_usage(options)?)),
        None if stream => {
            parts.push((beginning(body), r#""stream_options":{"include_usage":true},"#.to_owned()));
        }
        None => {}
    }
    let wants_several = head.n.and_then(|n| n.get().parse().ok()).is_some_and(|n: u64| n > 1);
    let searches = head.web_search_options.is_some();
    let body = replace(body, parts);
    Ok(Rewritten { body, stream, wants_usage, wants_several, searches, pays_for_code: false })
}

/// A request with another model, and whether it asks for a stream.
pub(crate) fn replace_model(body: &Bytes, model: &str) -> Result<(Bytes, bool), GatewayError> {
    let head: Head<'_> = serde_json::from_slice(body).map_err(|error| GatewayError::unreadable(&error))?;
    let parts = vec![(place(body, head.model), Value::from(model).to_string())];
    Ok((replace(body, parts), head.stream.unwrap_or(false)))
}

/// Where the first field of the body begins.
pub(crate) fn beginning(body: &Bytes) -> (usize, usize) {
    let start = memchr(b'{', body).map_or(0, |at| at + 1);
    (start, start)
}

/// Where a value stands in the body.
pub(crate) fn place(body: &Bytes, raw: &RawValue) -> (usize, usize) {
    let start = raw.get().as_ptr() as usize - body.as_ptr() as usize;
    (start, start + raw.get().len())
}

pub(crate) fn replace(body: &Bytes, mut parts: Vec<((usize, usize), String)>) -> Bytes {
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

#[derive(Deserialize)]
struct Whole<'a> {
    #[serde(borrow)]
    choices: Option<Vec<Ended<'a>>>,
    usage: Option<CompletionUsage>,
    /// Groq's own, with usage that nobody asked for.
    x_groq: Option<Value>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
    #[serde(borrow)]
    object: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Ended<'a> {
    #[serde(borrow)]
    index: Option<&'a RawValue>,
    #[serde(borrow)]
    delta: Option<&'a RawValue>,
    #[serde(borrow)]
    finish_reason: Option<&'a RawValue>,
    /// As Kimi says it.
    usage: Option<CompletionUsage>,
}

impl Ended<'_> {
    /// Why it has ended. Some servers say an empty reason with each piece until then.
    fn end(&self) -> Option<&str> {
        self.finish_reason.map(|reason| reason.get().trim_matches('"')).filter(|reason| !reason.is_empty())
    }

    /// Which of the choices it is; the first where that can't be read.
    fn place(&self) -> u32 {
        self.index.and_then(|index| index.get().parse().ok()).unwrap_or(0)
    }
}

#[derive(Deserialize)]
struct Delta<'a> {
    #[serde(borrow, default, deserialize_with = "present")]
    role: Option<&'a RawValue>,
}

/// Whether the server says who speaks. Libraries fail where no delta of a choice does.
#[derive(Debug, Default)]
enum Roles {
    #[default]
    Unknown,
    Said,
    /// Of these choices we have said it.
    LeftOut(BTreeSet<u32>),
}

impl Roles {
    /// What is to be written into a frame, and where.
    fn add(&mut self, data: &Bytes, choices: &[Ended<'_>]) -> Vec<((usize, usize), String)> {
        let mut parts = Vec::new();
        for choice in choices {
            let Some(raw) = choice.delta.filter(|delta| delta.get().starts_with('{')) else { continue };
            let Ok(Delta { role }) = serde_json::from_str(raw.get()) else { continue };
            let is_said = role.is_some_and(|role| role.get() != "null");
            if matches!(self, Self::Unknown) {
                *self = if is_said { Self::Said } else { Self::LeftOut(BTreeSet::new()) };
            }
            let Self::LeftOut(choices) = self else { return parts };
            if !choices.insert(choice.place()) || is_said {
                continue;
            }
            parts.push(match role {
                Some(null) => (place(data, null), r#""assistant""#.to_owned()),
                None => {
                    let (start, _) = place(data, raw);
                    let comma = if raw.get()[1..].trim_start().starts_with('}') { "" } else { "," };
                    ((start + 1, start + 1), format!(r#""role":"assistant"{comma}"#))
                }
            });
        }
        parts
    }
}

impl Whole<'_> {
    fn is_error(&self) -> bool {
        // Some servers say with each answer that there was none.
        let is_told = |error: &RawValue| !matches!(error.get(), r#""""# | "{}" | "[]" | "false" | "0");
        self.error.is_some_and(is_told) || self.object.is_some_and(|object| object.get() == r#""error""#)
    }

    fn usage(&self) -> Option<CompletionUsage> {
        let of_choice = || self.choices.iter().flatten().find_map(|choice| choice.usage);
        let of_groq = || {
            let usage = self.x_groq.as_ref().map(|groq| &groq["usage"]).filter(|usage| usage.is_object())?;
            Some(CompletionUsage::from(usage.clone()))
        };
        self.usage.or_else(of_choice).or_else(of_groq)
    }

    /// The first reason why a choice has ended.
    fn finish(&self) -> Option<Finish> {
        self.choices.iter().flatten().find_map(Ended::end).map(super::finish)
    }
}

/// An answer, or a piece of one, that can be read once it is mended.
fn readable(data: &[u8]) -> Result<String, AiError> {
    let mended = mended(data, &[]).ok_or(AiError::Garbled)?;
    let is_read = serde_json::from_str::<Whole<'_>>(&mended).is_ok();
    if is_read { Ok(mended) } else { Err(AiError::Garbled) }
}

/// Reads what billing needs of an answer in one piece; fails where it is none.
pub(crate) fn meter_whole(body: &[u8], meter: &Meter) -> Result<(), Failure> {
    let Ok(whole) = serde_json::from_slice::<Whole<'_>>(body) else {
        return meter_whole(readable(body)?.as_bytes(), meter);
    };
    if whole.is_error() || whole.choices.is_none() {
        let value: Value = serde_json::from_slice(body).map_err(|_| AiError::Garbled)?;
        return Err(failure::of_value(&value).unwrap_or_else(|| AiError::Garbled.into()));
    }
    meter.deliver(delivered(body));
    if let Some(finish) = whole.finish() {
        meter.finished(finish);
    }
    if let Some(usage) = whole.usage() {
        meter.report(usage.into());
    }
    meter.close();
    Ok(())
}

static USAGE: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(r#""usage""#));
static FINISH: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(r#""finish_reason""#));
static ERROR: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(r#""error""#));
static END: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("[DONE]"));
static CALLS: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(r#""tool_calls""#));
/// Also the end of `reasoning_content`.
static CONTENT: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(r#"content":"#));
static ARGUMENTS: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(r#""arguments":"#));

/// Passes the frames of a stream.
#[derive(Debug, Default)]
pub(crate) struct ChatTap {
    wants_usage: bool,
    /// The first frame with a choice, which the frames that we add are made like.
    first: Option<Bytes>,
    roles: Roles,
    /// Where there are several choices: whether each has ended.
    choices: Option<BTreeMap<u32, bool>>,
    has_finish: bool,
    has_usage: bool,
    /// Some text has come, or some call.
    has_text: bool,
    has_calls: bool,
    is_done: bool,
    /// What failed behind frames that were good.
    failed: Option<Failure>,
}

impl ChatTap {
    pub fn new(wants_usage: bool, wants_several: bool) -> Self {
        Self { wants_usage, choices: wants_several.then(BTreeMap::new), ..Self::default() }
    }

    /// Passes what a search has marked, frame by frame.
    fn pass_each(&mut self, block: Bytes, meter: &Meter) -> Result<Option<Bytes>, Failure> {
        let mut splitter = Splitter::default();
        let mut out = Vec::with_capacity(block.len() + 256);
        splitter.push(block);
        while let Some(frame) = splitter.next() {
            match self.pass_frame(&frame, meter, &mut out) {
                Ok(()) if self.is_done => break,
                Ok(()) => {}
                Err(failure) if out.is_empty() => return Err(failure),
                Err(failure) => {
                    self.failed = Some(failure);
                    break;
                }
            }
        }
        Ok(said(out))
    }

    fn pass_frame(&mut self, frame: &Bytes, meter: &Meter, out: &mut Vec<u8>) -> Result<(), Failure> {
        let data = match events::read(frame) {
            Event::Data(data) => data,
            Event::Error(data) | Event::Bare(data) => return Err(failure::of_event(&data)),
            Event::Nothing => {
                // A sign of life. Libraries of this form know no other lines.
                if frame.starts_with(b":") {
                    out.extend_from_slice(frame);
                }
                return Ok(());
            }
        };
        if data.trim_ascii() == b"[DONE]" {
            return self.end_frames(meter, out);
        }
        let Ok(chunk) = serde_json::from_slice::<Whole<'_>>(&data) else {
            return self.pass_frame(&format!("data: {}\n\n", readable(&data)?).into(), meter, out);
        };
        if chunk.is_error() {
            return Err(failure::of_event(&data));
        }
        let is_usage_only = chunk.choices.as_ref().is_none_or(Vec::is_empty) && chunk.usage.is_some();
        if let Some(choices) = &mut self.choices {
            for choice in chunk.choices.iter().flatten() {
                *choices.entry(choice.place()).or_default() |= choice.end().is_some();
            }
        }
        if let Some(finish) = chunk.finish() {
            self.has_finish = true;
            meter.finished(finish);
        }
        // Whoever asked for usage finds it where it belongs.
        self.has_usage |= chunk.usage.is_some();
        if let Some(usage) = chunk.usage() {
            meter.report(usage.into());
        }
        let added = self.roles.add(&data, chunk.choices.as_deref().unwrap_or_default());
        if !added.is_empty() {
            out.extend_from_slice(b"data: ");
            out.extend_from_slice(&replace(&data, added));
            out.extend_from_slice(b"\n\n");
        } else if !is_usage_only || self.wants_usage {
            write_frame(frame, &data, out);
        }
        Ok(())
    }

    /// The last frames, with what the upstream left out.
    fn end_frames(&mut self, meter: &Meter, out: &mut Vec<u8>) -> Result<(), Failure> {
        if !self.is_done {
            let left_out = match (self.has_finish, self.has_calls, self.has_text) {
                (true, ..) => None,
                (false, true, _) => Some(Finish::ToolCalls),
                (false, false, true) => Some(Finish::Stop),
                (false, false, false) => return Err(AiError::Empty.into()),
            };
            self.is_done = true;
            meter.close();
            if let Some(finish) = left_out {
                let choice = serde_json::json!([{"index": 0, "delta": {}, "finish_reason": reason(finish)}]);
                self.add_frame(out, |chunk| _ = chunk.insert("choices".to_owned(), choice));
                meter.finished(finish);
            }
            if self.wants_usage && !self.has_usage {
                let usage = super::usage::write(&meter.usage());
                self.add_frame(out, |chunk| {
                    chunk.insert("choices".to_owned(), Value::Array(Vec::new()));
                    chunk.insert("usage".to_owned(), usage);
                });
            }
            out.extend_from_slice(b"data: [DONE]\n\n");
        }
        Ok(())
    }

    fn add_frame(&self, out: &mut Vec<u8>, change: impl FnOnce(&mut serde_json::Map<String, Value>)) {
        let like = self.first.as_ref().map(events::read);
        let value = match like {
            Some(Event::Data(data)) => serde_json::from_slice(&data).unwrap_or(Value::Null),
            _ => Value::Null,
        };
        let mut chunk = match value {
            Value::Object(chunk) => chunk,
            _ => serde_json::Map::new(),
        };
        change(&mut chunk);
        out.extend_from_slice(format!("data: {}\n\n", Value::Object(chunk)).as_bytes());
    }
}

impl Tap for ChatTap {
    type Out = Bytes;

    fn pass(&mut self, block: Bytes, meter: &Meter) -> Result<Option<Bytes>, Failure> {
        let quarters = delivered(&block);
        if quarters > 0 {
            meter.deliver(quarters);
        }
        self.has_text |= quarters > 0;
        self.has_calls = self.has_calls || has_calls(&block);
        if self.first.is_none() && block.starts_with(b"data:") {
            let mut splitter = Splitter::default();
            splitter.push(block.clone());
            self.first = splitter.next();
            // Whatever a server sends first, it is looked at whole: this decides whether another one is asked.
            return self.pass_each(block, meter);
        }
        let marked = !is_sound(&block, &[b":"])
            || self.choices.is_some()
            || !matches!(self.roles, Roles::Said)
            || says_more_than_null(&USAGE, &block)
            || says_more_than_null(&FINISH, &block)
            || ERROR.find(&block).is_some()
            || END.find(&block).is_some();
        if marked { self.pass_each(block, meter) } else { Ok(Some(block)) }
    }

    fn is_done(&self) -> bool {
        self.is_done
    }

    fn is_whole(&self) -> bool {
        self.has_finish && self.choices.as_ref().is_none_or(|choices| choices.values().all(|ended| *ended))
    }

    fn failure(&mut self) -> Option<Failure> {
        self.failed.take()
    }

    fn end(&mut self, rest: Bytes, meter: &Meter) -> Result<Option<Bytes>, Failure> {
        let mut out = Vec::new();
        if !rest.trim_ascii().is_empty() {
            // A last frame without its blank line, or an error that is none.
            let frame = [rest.as_ref(), b"\n\n"].concat();
            out.extend(self.pass_each(frame.into(), meter)?.unwrap_or_default());
            if let Some(failure) = self.failed.take() {
                return Err(failure);
            }
        }
        if self.is_done {
            return Ok(said(out));
        }
        if !self.is_whole() {
            return Err(AiError::Cut.into());
        }
        self.end_frames(meter, &mut out)?;
        Ok(said(out))
    }
}

/// A frame with its data alone: no event, id or time to come again, which only confuse libraries of this form.
fn write_frame(frame: &Bytes, data: &Bytes, out: &mut Vec<u8>) {
    let is_alone =
        frame.starts_with(b"data:") && frame.trim_ascii_end().iter().all(|byte| !matches!(byte, b'\n' | b'\r'));
    if is_alone {
        out.extend_from_slice(frame);
        return;
    }
    out.extend_from_slice(b"data: ");
    // Within a text of JSON no line ends.
    out.extend(data.iter().map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { *byte }));
    out.extend_from_slice(b"\n\n");
}

fn said(out: Vec<u8>) -> Option<Bytes> {
    (!out.is_empty()).then(|| out.into())
}

/// Whether one of the keys has a value other than null.
fn says_more_than_null(key: &Finder<'_>, block: &[u8]) -> bool {
    key.find_iter(block).any(|at| {
        let mut value = block[at + key.needle().len()..].iter();
        value.find(|byte| !matches!(byte, b':' | b' ')) != Some(&b'n')
    })
}

/// Whether there is a call in it, and not just the list of none.
fn has_calls(block: &[u8]) -> bool {
    CALLS.find_iter(block).any(|at| {
        let mut value = block[at + CALLS.needle().len()..].iter().filter(|byte| !byte.is_ascii_whitespace());
        [b':', b'[', b'{'].iter().all(|expected| value.next() == Some(expected))
    })
}

/// Quarters of the tokens in the texts of a block.
fn delivered(block: &[u8]) -> u64 {
    let texts = |key: &Finder<'_>| -> u64 {
        key.find_iter(block).map(|at| text_length(&block[at + key.needle().len()..])).sum()
    };
    texts(&CONTENT) + texts(&ARGUMENTS)
}

/// Quarters of the tokens in the string that a value is.
pub(crate) fn text_length(value: &[u8]) -> u64 {
    let Some(text) = value.strip_prefix(b"\"").or_else(|| value.strip_prefix(b" \"")) else { return 0 };
    let mut from = 0;
    while let Some(at) = memchr(b'"', &text[from..]) {
        let end = from + at;
        let escapes = text[..end].iter().rev().take_while(|&&byte| byte == b'\\').count();
        if escapes % 2 == 0 {
            return quarters(&text[..end]);
        }
        from = end + 1;
    }
    quarters(text)
}

#[cfg(test)]
mod tests {
    use super::{
        super::{has_newer_limit, may_ignore_limit},
        *,
    };
    use crate::Usage;

    fn rewritten(body: &str) -> (String, bool) {
        let out = rewrite(&Bytes::copy_from_slice(body.as_bytes()), "up\"stream", true).unwrap();
        (String::from_utf8(out.body.to_vec()).unwrap(), out.wants_usage)
    }

    #[test]
    fn only_model_and_usage_of_a_request_change() {
        assert_eq!(
            rewritten(r#"{ "a":1, "model" : "m", "messages":[] }"#),
            (r#"{ "a":1, "model" : "up\"stream", "messages":[] }"#.to_owned(), false)
        );
        assert_eq!(
            rewritten(r#"{"model":"m","stream":true}"#),
            (r#"{"stream_options":{"include_usage":true},"model":"up\"stream","stream":true}"#.to_owned(), false)
        );
        assert_eq!(
            rewritten(r#"{"stream_options":{"include_usage":true},"model":"m","stream":true}"#),
            (r#"{"stream_options":{"include_usage":true},"model":"up\"stream","stream":true}"#.to_owned(), true)
        );
        assert_eq!(
            rewritten(r#"{"stream":true,"stream_options":{"x":1},"model":"m"}"#),
            (r#"{"stream":true,"stream_options":{"x":1,"include_usage":true},"model":"up\"stream"}"#.to_owned(), false)
        );
    }

    #[test]
    fn a_server_is_told_one_limit_by_the_name_that_it_knows() {
        let sent = |body: &str, knows_newer: bool| {
            let out = rewrite(&Bytes::copy_from_slice(body.as_bytes()), "m", knows_newer).unwrap();
            String::from_utf8(out.body.to_vec()).unwrap()
        };
        for (body, newer, older) in [
            (
                r#"{"model":"m", "max_tokens":5}"#,
                r#"{"model":"m", "max_tokens":5}"#,
                r#"{"model":"m", "max_tokens":5}"#,
            ),
            (
                r#"{"model":"m", "max_completion_tokens":5}"#,
                r#"{"model":"m", "max_completion_tokens":5}"#,
                r#"{"max_tokens":5,"model":"m"}"#,
            ),
            (
                r#"{"max_tokens":9,"model":"m","max_completion_tokens":5}"#,
                r#"{"model":"m","max_completion_tokens":5}"#,
                r#"{"max_tokens":5,"model":"m"}"#,
            ),
            (
                r#"{"max_tokens":null,"max\u005fcompletion_tokens":5,"model":"m"}"#,
                r#"{"max_tokens":null,"max\u005fcompletion_tokens":5,"model":"m"}"#,
                r#"{"max_tokens":5,"model":"m"}"#,
            ),
            (
                r#"{"max_tokens":9,"max_completion_tokens":null,"model":"m"}"#,
                r#"{"max_tokens":9,"max_completion_tokens":null,"model":"m"}"#,
                r#"{"max_tokens":9,"max_completion_tokens":null,"model":"m"}"#,
            ),
        ] {
            assert_eq!((sent(body, true).as_str(), sent(body, false).as_str()), (newer, older), "{body}");
        }
    }

    #[test]
    fn only_what_is_known_of_a_server_says_which_limit_it_knows() {
        let of = |base: &str, model: &str| {
            let base = base.parse().unwrap();
            (has_newer_limit(&base, model), may_ignore_limit(&base, model))
        };
        for (base, model, expected) in [
            ("https://api.openai.com/v1", "gpt-4o", (true, false)),
            ("https://api.openai.com/v1", "gpt-5", (true, false)),
            ("https://mine.openai.azure.com/openai/v1", "my-deployment", (true, false)),
            ("https://api.groq.com/openai/v1", "llama-4", (true, false)),
            ("https://openrouter.ai/api/v1", "openai/gpt-5", (true, false)),
            ("http://127.0.0.1:4000/v1", "openai/gpt-5-mini", (true, true)),
            ("http://127.0.0.1:11434/v1", "gemma4:12b", (false, false)),
            ("https://openai.example.org/v1", "gpt-4o", (false, false)),
        ] {
            assert_eq!(of(base, model), expected, "{base} {model}");
        }
    }

    fn pass(wants_usage: bool, blocks: &[&'static str]) -> (String, Usage) {
        let (mut tap, meter) = (ChatTap::new(wants_usage, false), Meter::default());
        let mut out = Vec::new();
        for block in blocks {
            out.extend(tap.pass(Bytes::from_static(block.as_bytes()), &meter).unwrap().unwrap_or_default());
        }
        out.extend(tap.end(Bytes::new(), &meter).unwrap().unwrap_or_default());
        (String::from_utf8(out).unwrap(), meter.usage())
    }

    const HELLO: &str = "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"Hello\"},\"finish_reason\":null}],\"usage\":null}\n\n";
    const STOP: &str = "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
    const COUNTS: &str = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2,\"prompt_tokens_details\":{\"cached_tokens\":0}}}\n\n";
    const DONE: &str = "data: [DONE]\n\n";

    #[test]
    fn the_frame_with_usage_is_kept_for_who_asked() {
        let counted = Usage { input: Some(3), output: Some(2), cached: Some(0), ..Usage::default() };
        assert_eq!(pass(true, &[HELLO, STOP, COUNTS, DONE]), ([HELLO, STOP, COUNTS, DONE].concat(), counted));
        assert_eq!(pass(false, &[HELLO, STOP, COUNTS, DONE]), ([HELLO, STOP, DONE].concat(), counted));
    }

    #[test]
    fn what_a_server_leaves_out_is_added() {
        let (text, usage) = pass(true, &[HELLO, DONE]);
        let frames: Vec<&str> = text.split("\n\n").collect();
        assert!(frames[1].contains(r#""finish_reason":"stop""#), "{text}");
        let [null, none, next] = [r#""role" : null,"x":1"#, "", r#""content":"a""#]
            .map(|delta| format!("data: {{\"choices\":[{{\"delta\":{{{delta}}}}}]}}\n\n"));
        for (first, expected) in [(null, r#""role" : "assistant","x":1"#), (none, r#""role":"assistant""#)] {
            let (mut tap, meter) = (ChatTap::new(false, false), Meter::default());
            let mut pass = |frame: &str| tap.pass(Bytes::copy_from_slice(frame.as_bytes()), &meter).unwrap().unwrap();
            assert_eq!(pass(&first), format!("data: {{\"choices\":[{{\"delta\":{{{expected}}}}}]}}\n\n"));
            assert_eq!(pass(&next), next);
        }
        assert!(frames[2].contains(r#""choices":[]"#) && frames[2].contains(r#""completion_tokens":2"#), "{text}");
        assert!(text.ends_with(DONE));
        assert_eq!(usage, Usage { input: Some(0), output: Some(2), estimated: true, ..Usage::default() });
        assert_eq!(pass(false, &[HELLO, STOP]).0, [HELLO, STOP, DONE].concat(), "a clean end after the finish");
    }

    #[test]
    fn a_broken_frame_in_the_middle_ends_the_stream_with_its_failure() {
        let more = "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"more\"}}]}\n\n";
        for broken in ["data: {\"cho\n\n", "data: {\"a\":1}{\"a\":2}\n\n", "data: plain\n\n"] {
            let (mut tap, meter) = (ChatTap::new(false, false), Meter::default());
            for frame in [HELLO, more] {
                assert_eq!(tap.pass(Bytes::from_static(frame.as_bytes()), &meter).unwrap().unwrap(), frame);
            }
            let passed = tap.pass(Bytes::from([more, broken, STOP].concat()), &meter).unwrap().unwrap();
            assert_eq!((passed.as_ref(), tap.failure()), (more.as_bytes(), Some(AiError::Garbled.into())), "{broken}");
        }
    }

    #[test]
    fn lines_of_other_forms_do_not_pass() {
        let (mut tap, meter) = (ChatTap::new(false, false), Meter::default());
        let more = "{\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"more\"}}]}";
        tap.pass(Bytes::from_static(HELLO.as_bytes()), &meter).unwrap();
        for frame in [format!("event: chunk\nid: 7\ndata: {more}\n\n"), format!("data: {more}\nretry: 10\n\n")] {
            let passed = tap.pass(Bytes::from(frame), &meter).unwrap().unwrap();
            assert_eq!(passed, format!("data: {more}\n\n"));
        }
        assert_eq!(tap.pass(Bytes::from_static(b"id: 7\n\n"), &meter).unwrap(), None);
        assert_eq!(tap.pass(Bytes::from_static(b": ping\n\n"), &meter).unwrap().unwrap(), ": ping\n\n");
    }

    #[test]
    fn an_empty_reason_is_no_end() {
        let piece = "data: {\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"a\"},\"finish_reason\":\"\"}]}\n\n";
        let (mut tap, meter) = (ChatTap::new(false, false), Meter::default());
        for _ in 0..2 {
            tap.pass(Bytes::from_static(piece.as_bytes()), &meter).unwrap();
            assert!(!tap.is_whole());
        }
        assert_eq!(tap.end(Bytes::new(), &meter), Err(AiError::Cut.into()));
        assert!(pass(false, &[piece, DONE]).0.contains(r#""finish_reason":"stop""#));
    }

    #[test]
    fn an_end_that_is_left_out_is_that_of_what_came() {
        let call = "data: {\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"tool_calls\":[{\"index\":0,\"id\":\"c\",\"function\":{\"name\":\"f\",\"arguments\":\"\"}}]}}]}\n\n";
        assert!(pass(false, &[call, DONE]).0.contains(r#""finish_reason":"tool_calls""#));
        let (mut tap, meter) = (ChatTap::new(false, false), Meter::default());
        assert_eq!(tap.pass(Bytes::from_static(DONE.as_bytes()), &meter), Err(AiError::Empty.into()), "nothing came");
    }

    #[test]
    fn an_answer_stands_whatever_a_server_writes_of_its_usage() {
        let told = |usage: &str| {
            let end = format!(
                "data: {{\"choices\":[{{\"index\":0,\"delta\":{{}},\"finish_reason\":\"stop\"}}],{usage}}}\n\n"
            );
            let (mut tap, meter) = (ChatTap::new(false, false), Meter::default());
            for frame in [HELLO, &end, DONE] {
                tap.pass(Bytes::copy_from_slice(frame.as_bytes()), &meter).unwrap();
            }
            let whole = format!(
                "{{\"choices\":[{{\"message\":{{\"content\":\"Hello\"}},\"finish_reason\":\"stop\"}}],{usage}}}"
            );
            let in_one_piece = Meter::default();
            meter_whole(whole.as_bytes(), &in_one_piece).unwrap();
            assert_eq!(in_one_piece.usage().input, meter.usage().input, "{usage}");
            (meter.usage().input, meter.usage().output)
        };
        assert_eq!(told(r#""usage":{"prompt_tokens":57.0,"completion_tokens":17.92}"#), (Some(57), Some(18)));
        assert_eq!(told(r#""usage":null,"usage":{"prompt_tokens":1,"completion_tokens":2}"#), (Some(1), Some(2)));
        for odd in [
            r#""usage":{"prompt_tokens":-1,"completion_tokens":"3","prompt_tokens_details":[]}"#,
            r#""usage":[]"#,
            r#""usage":7"#,
        ] {
            assert_eq!(told(odd).0, Some(0), "{odd}: by an estimate");
        }
    }

    #[test]
    fn a_stream_that_merely_ends_is_cut() {
        let (mut tap, meter) = (ChatTap::new(false, false), Meter::default());
        tap.pass(Bytes::from_static(HELLO.as_bytes()), &meter).unwrap();
        assert_eq!(tap.end(Bytes::new(), &meter), Err(AiError::Cut.into()));
        assert_eq!(tap.end(Bytes::from_static(b"data: {\"cho"), &meter), Err(AiError::Garbled.into()));
    }

    #[test]
    fn an_answer_of_several_choices_is_whole_with_the_last() {
        let frame = |index: u32, rest: &str| {
            Bytes::from(format!(
                "data: {{\"choices\":[{{\"index\":{index},\"delta\":{{\"role\":\"assistant\"}}{rest}}}]}}\n\n"
            ))
        };
        let ended = r#","finish_reason":"stop""#;
        let (mut tap, meter) = (ChatTap::new(false, true), Meter::default());
        for (index, rest, is_whole) in [(0, "", false), (1, "", false), (1, ended, false), (0, ended, true)] {
            tap.pass(frame(index, rest), &meter).unwrap();
            assert_eq!(tap.is_whole(), is_whole, "{index}{rest}");
        }
        let (mut tap, meter) = (ChatTap::new(false, true), Meter::default());
        tap.pass([frame(0, ""), frame(1, ended)].concat().into(), &meter).unwrap();
        assert_eq!(tap.end(Bytes::new(), &meter), Err(AiError::Cut.into()));
    }

    #[test]
    fn errors_in_any_shape_are_errors() {
        for frame in [
            "data: {\"error\":{\"message\":\"x\",\"code\":429}}\n\n",
            "event: error\ndata: {\"error\":{\"code\":429}}\n\n",
            "{\"object\":\"error\",\"code\":429}\n\n",
        ] {
            let (mut tap, meter) = (ChatTap::new(false, false), Meter::default());
            tap.pass(Bytes::from_static(HELLO.as_bytes()), &meter).unwrap();
            let failed = tap.pass(Bytes::from_static(frame.as_bytes()), &meter).unwrap_err();
            assert_eq!(failed.error, AiError::Busy { retry_after: None }, "{frame}");
        }
    }

    #[test]
    fn delivered_text_is_measured_without_parsing() {
        assert_eq!(delivered(br#"{"content":"ab\"cd","reasoning_content":"ef","x":"content"}"#), 8);
        assert_eq!(delivered(r#"{"content": "日","arguments":"{}"}"#.as_bytes()), 6);
        assert_eq!(delivered(br#"{"content":null,"content":"#), 0);
    }
}
