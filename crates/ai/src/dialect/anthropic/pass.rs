//! Anthropic's dialect on both sides: the bytes pass, and only what routing and billing need is looked at.

use std::sync::LazyLock;

use bytes::Bytes;
use memchr::memmem::Finder;
use serde_json::Value;

use super::usage::MessageUsage;
use crate::{
    AiError, GatewayError,
    dialect::{
        openai_chat::pass::{Rewritten, replace_model, text_length},
        pass::{EventReader, PassingTap},
    },
    meter::Meter,
    wire::failure::{self, Failure},
};

/// Passes the events of a stream.
pub(crate) type MessagesTap = PassingTap<MessageEvents>;

/// The caller's request with the upstream's model.
pub(crate) fn rewrite(body: &Bytes, model: &str) -> Result<Rewritten, GatewayError> {
    let (body, stream) = replace_model(body, model)?;
    Ok(Rewritten { body, stream, wants_usage: true, wants_several: false })
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

/// What the events of a stream say.
#[derive(Debug, Default)]
pub(crate) struct MessageEvents {
    usage: MessageUsage,
    has_stop: bool,
    is_done: bool,
}

impl EventReader for MessageEvents {
    fn delivered(block: &[u8]) -> u64 {
        delivered(block)
    }

    fn is_marked(block: &[u8]) -> bool {
        MARKS.iter().any(|mark| mark.find(block).is_some())
    }

    fn read(&mut self, said: &Value, meter: &Meter) -> Result<(), Failure> {
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

    fn end(&mut self, meter: &Meter) -> Result<&'static [u8], Failure> {
        if !self.has_stop {
            return Err(AiError::Cut.into());
        }
        self.is_done = true;
        meter.close();
        Ok(b"event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n")
    }
}
