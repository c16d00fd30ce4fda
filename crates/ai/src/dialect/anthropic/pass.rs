//! Anthropic's dialect on both sides: the bytes pass, and only what routing and billing need is looked at.

use std::sync::LazyLock;

use bytes::Bytes;
use memchr::memmem::Finder;
use serde_json::Value;

use super::usage::MessageUsage;
use crate::{
    AiError, GatewayError,
    dialect::openai_chat::pass::{Rewritten, replace_model, text_length},
    meter::Meter,
    relay::Tap,
    wire::{
        events::{self, Event, Splitter},
        failure::{self, Failure},
    },
};

/// The caller's request with the upstream's model.
pub(crate) fn rewrite(body: &Bytes, model: &str) -> Result<Rewritten, GatewayError> {
    let (body, stream) = replace_model(body, model)?;
    Ok(Rewritten { body, stream, wants_usage: true })
}

/// Reads what billing needs of an answer in one piece; fails where it is none.
pub(crate) fn meter_whole(body: &[u8], meter: &Meter) -> Result<(), Failure> {
    let message: Value = serde_json::from_slice(body).map_err(|_| AiError::Garbled)?;
    if let Some(failure) = failure::of_value(&message) {
        return Err(failure);
    }
    if !message["content"].is_array() {
        return Err(AiError::Garbled.into());
    }
    meter.deliver(delivered(body));
    let mut usage = MessageUsage::default();
    read_report(&message, &message["usage"], &mut usage, meter)?;
    meter.close();
    Ok(())
}

fn read_report(said: &Value, counts: &Value, usage: &mut MessageUsage, meter: &Meter) -> Result<bool, AiError> {
    if counts.is_object() {
        usage.update(serde_json::from_value(counts.clone()).map_err(|_| AiError::Garbled)?);
        meter.report((*usage).into());
    }
    let Some(reason) = said["stop_reason"].as_str() else { return Ok(false) };
    meter.finished(super::finish(reason));
    Ok(true)
}

static TEXTS: LazyLock<[Finder<'static>; 3]> =
    LazyLock::new(|| [r#""text":"#, r#""thinking":"#, r#""partial_json":"#].map(Finder::new));
/// What the frames have that tell of usage, the end, or an error.
static MARKS: LazyLock<[Finder<'static>; 3]> =
    LazyLock::new(|| [r#""usage""#, "message_stop", r#""error""#].map(Finder::new));

/// Quarters of the tokens in the texts of a block.
fn delivered(block: &[u8]) -> u64 {
    let texts = TEXTS.iter().flat_map(|key| {
        key.find_iter(block).map(|at| text_length(&block[at + key.needle().len()..])).collect::<Vec<_>>()
    });
    texts.sum()
}

/// Passes the events of a stream.
#[derive(Debug, Default)]
pub(crate) struct MessagesTap {
    usage: MessageUsage,
    has_stop: bool,
    is_done: bool,
    /// What failed behind events that were good.
    failed: Option<Failure>,
}

impl MessagesTap {
    /// Looks at each event; gives the length of those before one that failed.
    fn look_at(&mut self, block: &Bytes, meter: &Meter) -> Result<usize, Failure> {
        let mut splitter = Splitter::default();
        let mut passed = 0;
        splitter.push(block.clone());
        while let Some(event) = splitter.next() {
            match self.look_at_event(&event, meter) {
                Ok(()) => passed += event.len(),
                Err(failure) if passed == 0 => return Err(failure),
                Err(failure) => {
                    self.failed = Some(failure);
                    break;
                }
            }
        }
        Ok(passed)
    }

    fn look_at_event(&mut self, event: &Bytes, meter: &Meter) -> Result<(), Failure> {
        let data = match events::read(event) {
            Event::Data(data) => data,
            Event::Error(data) | Event::Bare(data) => {
                let value = serde_json::from_slice(&data).ok();
                let unknown = || AiError::Unavailable { retry_after: None }.into();
                return Err(value.as_ref().and_then(failure::of_value).unwrap_or_else(unknown));
            }
            Event::Nothing => return Ok(()),
        };
        let said: Value = serde_json::from_slice(&data).map_err(|_| AiError::Garbled)?;
        if let Some(failure) = failure::of_value(&said) {
            return Err(failure);
        }
        match said["type"].as_str() {
            Some("message_start") => {
                read_report(&Value::Null, &said["message"]["usage"], &mut self.usage, meter)?;
            }
            Some("message_delta") => {
                self.has_stop |= read_report(&said["delta"], &said["usage"], &mut self.usage, meter)?;
            }
            Some("message_stop") => {
                self.is_done = true;
                meter.close();
            }
            _ => {}
        }
        Ok(())
    }
}

impl Tap for MessagesTap {
    type Out = Bytes;

    fn pass(&mut self, block: Bytes, meter: &Meter) -> Result<Option<Bytes>, Failure> {
        let quarters = delivered(&block);
        if quarters > 0 {
            meter.deliver(quarters);
        }
        let is_plain = block.starts_with(b"event:") || block.starts_with(b"data:") || block.starts_with(b":");
        if !is_plain || MARKS.iter().any(|mark| mark.find(&block).is_some()) {
            let passed = self.look_at(&block, meter)?;
            return Ok(Some(block.slice(..passed)));
        }
        Ok(Some(block))
    }

    fn failure(&mut self) -> Option<Failure> {
        self.failed.take()
    }

    fn is_done(&self) -> bool {
        self.is_done
    }

    fn is_whole(&self) -> bool {
        self.has_stop
    }

    fn end(&mut self, rest: Bytes, meter: &Meter) -> Result<Option<Bytes>, Failure> {
        if !rest.trim_ascii().is_empty() {
            self.look_at(&[rest.as_ref(), b"\n\n"].concat().into(), meter)?;
        }
        if self.is_done {
            let out = if rest.is_empty() { rest } else { [rest.as_ref(), b"\n\n"].concat().into() };
            return Ok((!out.is_empty()).then_some(out));
        }
        if !self.has_stop {
            return Err(AiError::Cut.into());
        }
        self.is_done = true;
        meter.close();
        Ok(Some(Bytes::from_static(b"event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n")))
    }
}
