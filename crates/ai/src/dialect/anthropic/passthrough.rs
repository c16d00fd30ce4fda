//! Passthrough of Anthropic's format: bytes pass unchanged, and only fields for routing and billing
//! are read.

use std::sync::LazyLock;

use bytes::Bytes;
use memchr::memmem::Finder;
use serde::Deserialize;
use serde_json::{Value, value::RawValue};

use super::{search_blocks::without_own_searches, server_tools, usage::MessageUsage};
use crate::{
    AiError, GatewayError,
    dialect::{
        openai_chat::passthrough::{RewrittenRequest, byte_range, replace_model, replace_ranges, text_length},
        passthrough::{EventReader, PassthroughTap},
    },
    meter::{AssumedUses, Meter},
    provider_http::{
        events::{self, Event, Splitter},
        failure::{self, Failure},
    },
    reasoning_blocks::{MARKER, is_own_marker},
    used_call_ids::UsedCallIds,
};

pub(crate) type MessagesTap = PassthroughTap<MessageEvents>;

#[derive(Deserialize)]
struct ToolsField<'a> {
    #[serde(borrow)]
    tools: Option<&'a RawValue>,
}

/// Rewrites the request with the provider's model and without unsigned thinking blocks.
///
/// If the maximum cost is reserved, web searches of a non-streamed answer are bounded to the
/// reserved number, because they can't be metered while it runs.
pub(crate) fn rewrite_request(body: &Bytes, model: &str, is_held: bool) -> Result<RewrittenRequest, GatewayError> {
    let signed = strip_foreign_blocks(body);
    let (body, stream) = replace_model(signed.as_ref().unwrap_or(body), model)?;
    let tools = serde_json::from_slice::<ToolsField<'_>>(&body).ok().and_then(|offered| offered.tools);
    let pays_for_code = server_tools::max_tool_uses(tools, AssumedUses::for_call(stream))?.0.containers > 0;
    let bounded = tools
        .filter(|_| is_held && !stream)
        .and_then(|tools| Some((byte_range(&body, tools), server_tools::bound_searches(tools)?)));
    let bounded = bounded.map(|part| replace_ranges(&body, vec![part]));
    let body = bounded.unwrap_or(body);
    let has_calls = CALL_KEY.find(&body).is_some();
    let used_ids = if has_calls { UsedCallIds::of_body(&body) } else { UsedCallIds::default() };
    Ok(RewrittenRequest {
        body,
        stream,
        wants_usage: true,
        wants_several: false,
        searches: false,
        bills_code_container: pays_for_code,
        used_ids,
    })
}

static CALL_KEY: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(r#""tool_use""#));
static SIGNATURE_KEY: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(r#""signature""#));
static THINKING_KEY: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(r#""thinking""#));

/// Body from the first character of the string whose key is at `at`; `None` if the key's value
/// isn't a string.
fn text_of<'a>(body: &'a [u8], at: usize, key: &Finder<'_>) -> Option<&'a [u8]> {
    let value = body[at + key.needle().len()..].trim_ascii_start().strip_prefix(b":")?;
    value.trim_ascii_start().strip_prefix(b"\"")
}

/// Removes blocks that only this gateway could have written. `None` if there are none.
pub(super) fn strip_foreign_blocks(body: &Bytes) -> Option<Bytes> {
    let signed = strip_unsigned_thinking(body);
    without_own_searches(signed.as_ref().unwrap_or(body)).or(signed)
}

/// Removes thinking blocks of other models, which carry this gateway's placeholder signature or
/// none: Anthropic rejects them. `None` if there are none.
fn strip_unsigned_thinking(body: &Bytes) -> Option<Bytes> {
    let (mut signatures, mut has_none) = (0, false);
    for signature in SIGNATURE_KEY.find_iter(body).filter_map(|at| text_of(body, at, &SIGNATURE_KEY)) {
        signatures += 1;
        has_none |= signature.starts_with(b"\"") || signature.starts_with(MARKER.as_bytes());
    }
    // A thinking block may lack the signature field.
    let thoughts = || THINKING_KEY.find_iter(body).filter(|at| text_of(body, *at, &THINKING_KEY).is_some()).count();
    if !has_none && thoughts() <= signatures {
        return None;
    }
    let mut value: Value = serde_json::from_slice(body).ok()?;
    let messages = value.get_mut("messages")?.as_array_mut()?;
    let last = messages.iter().rposition(|message| message["role"] == "assistant");
    let (mut has_cut, mut is_off) = (false, false);
    for (index, message) in messages.iter_mut().enumerate() {
        if message["role"] != "assistant" {
            continue;
        }
        let Some(content) = message.get_mut("content").and_then(Value::as_array_mut) else { continue };
        let before = content.len();
        content.retain(|block| !is_unsigned(block));
        if content.len() < before {
            has_cut = true;
            let has = |kinds: &[&str]| content.iter().any(|block| kinds.iter().any(|kind| block["type"] == *kind));
            is_off |= last == Some(index) && has(&["tool_use"]) && !has(&["thinking", "redacted_thinking"]);
        }
    }
    if !has_cut {
        return None;
    }
    messages.retain(|message| message["content"].as_array().is_none_or(|content| !content.is_empty()));
    if is_off {
        disable_thinking(&mut value);
    }
    Some(value.to_string().into())
}

fn is_unsigned(block: &Value) -> bool {
    let is_none = |signature: &str| signature.is_empty() || is_own_marker(signature);
    block["type"] == "thinking" && block["signature"].as_str().is_none_or(is_none)
}

/// Turns thinking off: a tool round that started without thinking can't continue with it.
fn disable_thinking(body: &mut Value) {
    let Some(fields) = body.as_object_mut() else { return };
    fields.shift_remove("thinking");
    // Anthropic rejects the context edit that clears thinking if thinking is off.
    let edits = fields.get_mut("context_management").and_then(|context| context.get_mut("edits"));
    if let Some(edits) = edits.and_then(Value::as_array_mut) {
        edits.retain(|edit| !edit["type"].as_str().is_some_and(|kind| kind.starts_with("clear_thinking")));
        if edits.is_empty() {
            fields.shift_remove("context_management");
        }
    }
}

/// Meters a whole answer; fails if the body isn't one.
pub(crate) fn meter_whole(body: &[u8], meter: &Meter, pays_for_code: bool) -> Result<(), Failure> {
    let message: Value = serde_json::from_slice(body).map_err(|_| AiError::Garbled)?;
    if let Some(failure) = failure::parse_value(&message) {
        return Err(failure);
    }
    if !message["content"].is_array() {
        return Err(AiError::Garbled.into());
    }
    meter.record_output(estimate_text_quarters(body));
    let mut usage = MessageUsage::default();
    if pays_for_code {
        usage.record_container(&message["container"]);
    }
    read_report(&message, &message["usage"], &mut usage, meter)?;
    meter.close();
    Ok(())
}

fn read_report(said: &Value, counts: &Value, usage: &mut MessageUsage, meter: &Meter) -> Result<bool, AiError> {
    if counts.is_object() {
        usage.update(serde_json::from_value(counts.clone()).map_err(|_| AiError::Garbled)?);
        meter.record_usage((*usage).into());
    }
    let Some(reason) = said["stop_reason"].as_str() else { return Ok(false) };
    meter.record_finish(super::finish(reason));
    Ok(true)
}

static TEXT_KEYS: LazyLock<[Finder<'static>; 3]> =
    LazyLock::new(|| [r#""text":"#, r#""thinking":"#, r#""partial_json":"#].map(Finder::new));
/// Substrings of frames with usage, a call, the end, or an error.
static METERED_EVENT_MARKS: LazyLock<[Finder<'static>; 5]> = LazyLock::new(|| {
    [r#""usage""#, "message_stop", r#""error""#, r#""server_tool_use""#, r#""tool_use""#].map(Finder::new)
});

/// Estimated length of the text in a block, in quarters of a token.
fn estimate_text_quarters(block: &[u8]) -> u64 {
    let texts = TEXT_KEYS.iter().flat_map(|key| {
        key.find_iter(block).map(|at| text_length(&block[at + key.needle().len()..])).collect::<Vec<_>>()
    });
    texts.sum()
}

/// True if the block starts a web search by the provider.
fn is_search(block: &Value) -> bool {
    block["type"] == "server_tool_use" && block["name"] == "web_search"
}

#[derive(Deserialize)]
struct Kind {
    #[serde(rename = "type")]
    kind: String,
}

/// Meters the events of a stream.
#[derive(Debug, Default)]
pub(crate) struct MessageEvents {
    usage: MessageUsage,
    /// True if code-execution containers are billed.
    pays_for_code: bool,
    has_stop: bool,
    is_done: bool,
    /// Ids of the calls so far in the conversation.
    used_ids: UsedCallIds,
}

impl MessageEvents {
    pub fn new(pays_for_code: bool, used_ids: UsedCallIds) -> Self {
        Self { pays_for_code, used_ids, ..Self::default() }
    }
}

impl EventReader for MessageEvents {
    fn text_quarters(block: &[u8]) -> u64 {
        estimate_text_quarters(block)
    }

    fn is_marked(block: &[u8]) -> bool {
        METERED_EVENT_MARKS.iter().any(|mark| mark.find(block).is_some())
    }

    /// Adds missing `event:` lines: client libraries dispatch on them, and some relays omit them.
    fn adapt(events: Bytes) -> Bytes {
        if !events.starts_with(b"data:") {
            return events;
        }
        let mut out = Vec::with_capacity(events.len() + 64);
        let mut splitter = Splitter::default();
        splitter.push(events);
        while let Some(event) = splitter.next() {
            if let (true, Event::Data(data)) = (event.starts_with(b"data:"), events::read(&event))
                && let Ok(Kind { kind }) = serde_json::from_slice(&data)
            {
                out.extend_from_slice(format!("event: {kind}\n").as_bytes());
            }
            out.extend_from_slice(&event);
        }
        out.into()
    }

    fn rewrite(&mut self, said: &mut Value) -> bool {
        let block = said.get_mut("content_block");
        block.is_some_and(|block| self.used_ids.replace_in_block(block))
    }

    fn read(&mut self, said: &Value, meter: &Meter) -> Result<(), Failure> {
        match said["type"].as_str() {
            Some("message_start") => {
                read_report(&Value::Null, &said["message"]["usage"], &mut self.usage, meter)?;
            }
            Some("content_block_start") if is_search(&said["content_block"]) => {
                self.usage.record_search();
                meter.record_usage(self.usage.into());
            }
            Some("message_delta") => {
                if self.pays_for_code {
                    self.usage.record_container(&said["delta"]["container"]);
                }
                self.has_stop |= read_report(&said["delta"], &said["usage"], &mut self.usage, meter)?;
            }
            Some("message_stop") => {
                self.is_done = true;
                meter.close();
            }
            Some(_) => {}
            None => return Err(AiError::Garbled.into()),
        }
        Ok(())
    }

    fn is_done(&self) -> bool {
        self.is_done
    }

    fn is_whole(&self) -> bool {
        self.has_stop
    }

    fn finish(&mut self, meter: &Meter) -> Result<&'static [u8], Failure> {
        if !self.has_stop {
            return Err(AiError::Truncated.into());
        }
        self.is_done = true;
        meter.close();
        Ok(b"event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n")
    }
}
