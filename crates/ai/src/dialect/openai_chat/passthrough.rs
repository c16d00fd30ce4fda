//! Passthrough of OpenAI's format: bytes pass unchanged, and only fields for routing and billing
//! are read.
//!
//! The provider's model is set in a request, and a streamed request asks for usage. Of an answer,
//! only frames that contain certain keys are parsed: usage, finish reason, error, end, and what some
//! servers get wrong (tool calls, reasoning). All others pass unparsed.

mod chunk;
mod history;
mod repair;
mod request;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, sync::LazyLock};

use bytes::Bytes;
use memchr::{memchr, memmem::Finder};
use serde_json::Value;

pub(crate) use self::{
    chunk::meter_whole,
    history::{repair_history, shorten_id},
    repair::repair_whole,
    request::{RewrittenRequest, byte_range, first_field, present, replace_model, replace_ranges, rewrite_request},
};
use self::{
    chunk::{ParsedChunk, Roles, normalise},
    repair::ChunkRepairer,
};
use super::provider_format::reason;
use crate::{
    AiError, Finish,
    dialect::{gemini::strip_model_prefix, passthrough::is_well_formed},
    meter::{Meter, quarters},
    provider_http::{
        events::{self, Event, Splitter},
        failure::{self, Failure},
    },
    tapped_stream::Tap,
    used_call_ids::UsedCallIds,
};

/// Field of an answer with the model's name.
const MODEL_FIELD: &str = "model";

static USAGE_KEY: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(r#""usage""#));
static FINISH_KEY: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(r#""finish_reason""#));
static ERROR_KEY: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(r#""error""#));
static DONE_MARKER: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("[DONE]"));
static TOOL_CALLS_KEY: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(r#""tool_calls""#));
static REASONING_KEY: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(r#""reasoning""#));
/// Also matches the end of `reasoning_content`.
static CONTENT_KEY: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(r#"content":"#));
static ARGUMENTS_KEY: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(r#""arguments":"#));

/// Passes on the frames of a stream.
#[derive(Debug, Default)]
pub(crate) struct ChatTap {
    wants_usage: bool,
    /// First frame with a choice. It is the template of frames that the gateway adds.
    first: Option<Bytes>,
    roles: Roles,
    repairer: ChunkRepairer,
    /// Whether each choice has ended; tracked only if several choices were requested.
    choices: Option<BTreeMap<u32, bool>>,
    has_finish: bool,
    has_usage: bool,
    /// True once text has arrived.
    has_text: bool,
    has_calls: bool,
    is_done: bool,
    /// Failure that arrived after good frames.
    failed: Option<Failure>,
}

impl ChatTap {
    pub fn new(wants_usage: bool, wants_several: bool) -> Self {
        Self { wants_usage, choices: wants_several.then(BTreeMap::new), ..Self::default() }
    }

    /// Sets the ids of the calls in the conversation.
    pub fn with_used_ids(self, used_ids: UsedCallIds) -> Self {
        Self { repairer: ChunkRepairer::new(used_ids), ..self }
    }

    /// Passes on a block, frame by frame.
    fn pass_each(&mut self, block: Bytes, meter: &Meter) -> Result<Option<Bytes>, Failure> {
        let mut splitter = Splitter::default();
        let mut out = Vec::with_capacity(block.len() + 256);
        splitter.push(block);
        while let Some(frame) = splitter.next() {
            match self.pass_frame(&frame, meter, &mut out) {
                Ok(()) if self.is_done => break,
                Ok(()) => {}
                // Frames without output are dropped, so that another deployment can take over.
                Err(failure) if out.is_empty() || !(self.has_text || self.has_calls) => return Err(failure),
                Err(failure) => {
                    self.failed = Some(failure);
                    break;
                }
            }
        }
        Ok(non_empty(out))
    }

    fn pass_frame(&mut self, frame: &Bytes, meter: &Meter, out: &mut Vec<u8>) -> Result<(), Failure> {
        let data = match events::read(frame) {
            Event::Data(data) => data,
            Event::Error(data) | Event::Bare(data) => return Err(failure::parse_event(&data)),
            Event::Nothing => {
                // Comments serve as keep-alives and are passed on. Client libraries of this format
                // reject all other lines without data.
                if frame.starts_with(b":") {
                    out.extend_from_slice(frame);
                }
                return Ok(());
            }
        };
        if data.trim_ascii() == b"[DONE]" {
            return self.final_frames(meter, out);
        }
        let Ok(chunk) = serde_json::from_slice::<ParsedChunk<'_>>(&data) else {
            return self.pass_frame(&format!("data: {}\n\n", normalise(&data)?).into(), meter, out);
        };
        if chunk.is_error() {
            return Err(failure::parse_event(&data));
        }
        if let Some(failure) = chunk.failure() {
            return Err(failure);
        }
        let is_usage_only = chunk.choices.as_ref().is_none_or(Vec::is_empty) && chunk.usage.is_some();
        if let Some(choices) = &mut self.choices {
            for choice in chunk.choices.iter().flatten() {
                *choices.entry(choice.place()).or_default() |= choice.finish_reason().is_some();
            }
        }
        if let Some(finish) = chunk.finish() {
            self.has_finish = true;
            meter.record_finish(finish);
        }
        // Only usage in the standard field counts as delivered. Usage in other fields is added to
        // the final frames for clients that asked for it.
        self.has_usage |= chunk.usage.is_some();
        if let Some(usage) = chunk.usage() {
            meter.record_usage(usage.into());
        }
        let choices = chunk.choices.as_deref().unwrap_or_default();
        let mut edits = self.roles.add(&data, choices);
        edits.extend(self.repairer.repair(&data, choices));
        for choice in choices {
            // The end as it is passed on.
            match (choice.finish_reason().map(super::finish), self.repairer.has_calls(choice.place())) {
                (Some(Finish::Stop), true) => meter.record_finish(Finish::ToolCalls),
                (Some(Finish::ToolCalls), false) => meter.record_finish(Finish::Stop),
                _ => {}
            }
        }
        if !edits.is_empty() {
            write_data(&replace_ranges(&data, edits), out);
        } else if !is_usage_only || self.wants_usage {
            write_frame(frame, &data, out);
        }
        Ok(())
    }

    /// Writes the final frames, including those that the provider omitted.
    fn final_frames(&mut self, meter: &Meter, out: &mut Vec<u8>) -> Result<(), Failure> {
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
                meter.record_finish(finish);
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
        let block = strip_model_prefix(block, MODEL_FIELD);
        let quarters = estimate_text_quarters(&block);
        if quarters > 0 {
            meter.record_output(quarters);
        }
        self.has_text |= quarters > 0;
        let with_calls = has_calls(&block);
        self.has_calls |= with_calls;
        if self.first.is_none() && block.starts_with(b"data:") {
            let mut splitter = Splitter::default();
            splitter.push(block.clone());
            self.first = splitter.next();
            // The first block is always inspected in full: it decides whether another deployment is
            // tried.
            return self.pass_each(block, meter);
        }
        let marked = !is_well_formed(&block, &[b":"])
            || self.choices.is_some()
            || with_calls
            || !matches!(self.roles, Roles::Sent)
            || has_non_null_value(&USAGE_KEY, &block)
            || has_non_null_value(&FINISH_KEY, &block)
            || has_non_null_value(&REASONING_KEY, &block)
            || ERROR_KEY.find(&block).is_some()
            || DONE_MARKER.find(&block).is_some();
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

    fn finish(&mut self, rest: Bytes, meter: &Meter) -> Result<Option<Bytes>, Failure> {
        let mut out = Vec::new();
        if !rest.trim_ascii().is_empty() {
            // The rest is a last frame without its blank line, or an error outside the event
            // format.
            let frame = [rest.as_ref(), b"\n\n"].concat();
            let frame = strip_model_prefix(frame.into(), MODEL_FIELD);
            out.extend(self.pass_each(frame, meter)?.unwrap_or_default());
            if let Some(failure) = self.failed.take() {
                return Err(failure);
            }
        }
        if self.is_done {
            return Ok(non_empty(out));
        }
        if !self.is_whole() {
            return Err(AiError::Truncated.into());
        }
        self.final_frames(meter, &mut out)?;
        Ok(non_empty(out))
    }
}

/// Writes a frame with only its data: `event`, `id` and `retry` lines confuse client libraries of
/// this format.
fn write_frame(frame: &Bytes, data: &Bytes, out: &mut Vec<u8>) {
    let is_alone =
        frame.starts_with(b"data:") && frame.trim_ascii_end().iter().all(|byte| !matches!(byte, b'\n' | b'\r'));
    if is_alone {
        out.extend_from_slice(frame);
        return;
    }
    write_data(data, out);
}

fn write_data(data: &Bytes, out: &mut Vec<u8>) {
    out.extend_from_slice(b"data: ");
    // Line breaks become spaces, which is safe because JSON strings contain no raw line breaks.
    out.extend(data.iter().map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { *byte }));
    out.extend_from_slice(b"\n\n");
}

fn non_empty(out: Vec<u8>) -> Option<Bytes> {
    (!out.is_empty()).then(|| out.into())
}

/// True if the block contains this key with a value other than null.
fn has_non_null_value(key: &Finder<'_>, block: &[u8]) -> bool {
    key.find_iter(block).any(|at| {
        let mut value = block[at + key.needle().len()..].iter();
        value.find(|byte| !matches!(byte, b':' | b' ')) != Some(&b'n')
    })
}

/// True if the block has a tool call, not only an empty list.
fn has_calls(block: &[u8]) -> bool {
    TOOL_CALLS_KEY.find_iter(block).any(|at| {
        let mut value = block[at + TOOL_CALLS_KEY.needle().len()..].iter().filter(|byte| !byte.is_ascii_whitespace());
        [b':', b'[', b'{'].iter().all(|expected| value.next() == Some(expected))
    })
}

/// Estimated length of the text in a block, in quarters of a token.
fn estimate_text_quarters(block: &[u8]) -> u64 {
    let texts = |key: &Finder<'_>| -> u64 {
        key.find_iter(block).map(|at| text_length(&block[at + key.needle().len()..])).sum()
    };
    texts(&CONTENT_KEY) + texts(&ARGUMENTS_KEY)
}

/// Estimated length of a JSON string value, in quarters of a token.
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
