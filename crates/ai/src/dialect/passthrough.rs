//! Passthrough of streams whose client and provider use the same format: bytes pass unchanged, and
//! only fields for routing and billing are read.

use bytes::Bytes;
use serde::de::IgnoredAny;
use serde_json::Value;

use crate::{
    AiError,
    meter::Meter,
    provider_http::{
        events::{self, Event, Splitter},
        failure::{self, Failure},
    },
    tapped_stream::Tap,
};

/// Maximum size of data that is parsed to check it, in bytes. Of larger data only the first and the
/// last character are checked.
const MAX_PARSED_DATA: usize = 64 * 1024;

/// True if every line of a block holds a JSON object or starts with one of `others`. If not, the
/// block must be inspected event by event to find the broken one.
pub(crate) fn is_well_formed(block: &[u8], others: &[&[u8]]) -> bool {
    block.split(|byte| matches!(byte, b'\n' | b'\r')).map(<[u8]>::trim_ascii).all(|line| {
        match line.strip_prefix(b"data:") {
            Some(data) => is_object(data.trim_ascii()),
            None => line.is_empty() || others.iter().any(|beginning| line.starts_with(beginning)),
        }
    })
}

fn is_object(data: &[u8]) -> bool {
    let is_closed = data.starts_with(b"{") && data.ends_with(b"}");
    data == b"[DONE]"
        || (is_closed && (data.len() > MAX_PARSED_DATA || serde_json::from_slice::<IgnoredAny>(data).is_ok()))
}

/// Format-specific reader of events.
pub(crate) trait EventReader: Default + Send + Unpin + 'static {
    /// Estimated length of the text in a block, in quarters of a token.
    fn text_quarters(block: &[u8]) -> u64;
    /// True if a block may contain usage, the end, or an error.
    fn is_marked(block: &[u8]) -> bool;
    /// Changes the data of an event before it is read and passed on. True if it changes.
    fn rewrite(&mut self, _said: &mut Value) -> bool {
        false
    }
    /// Reads the data of an event.
    fn read(&mut self, said: &Value, meter: &Meter) -> Result<(), Failure>;
    /// Failure that the data of an event reports.
    fn failure(said: &Value) -> Option<Failure> {
        failure::parse_value(said)
    }
    /// Adapts events to what client libraries of the format expect.
    fn adapt(events: Bytes) -> Bytes {
        events
    }
    /// Counts events that were passed on, in formats that number their events.
    fn count(&mut self, _passed: &[u8]) {}
    fn is_done(&self) -> bool;
    fn is_whole(&self) -> bool;
    fn sequence(&self) -> u64 {
        0
    }
    /// Handles the end of the provider's stream. Returns the final events that the provider has
    /// omitted if the answer is complete, an error otherwise.
    fn finish(&mut self, meter: &Meter) -> Result<&'static [u8], Failure>;
}

/// Passes on the events of a stream.
#[derive(Debug, Default)]
pub(crate) struct PassthroughTap<R> {
    reader: R,
    has_started: bool,
    /// Failure that arrived after good events.
    failed: Option<Failure>,
}

impl<R: EventReader> PassthroughTap<R> {
    pub fn with_reader(reader: R) -> Self {
        Self { reader, has_started: false, failed: None }
    }

    /// Inspects each event; returns those before a failed one.
    fn inspect(&mut self, block: &Bytes, meter: &Meter) -> Result<Bytes, Failure> {
        let mut splitter = Splitter::default();
        let mut passed = 0;
        // Events so far, if one of them was rewritten.
        let mut rewritten: Option<Vec<u8>> = None;
        splitter.push(block.clone());
        // Data after the end is ignored.
        while !self.reader.is_done()
            && let Some(event) = splitter.next()
        {
            match self.inspect_event(&event, meter) {
                Ok(changed) => {
                    if changed.is_some() && rewritten.is_none() {
                        rewritten = Some(block[..passed].to_vec());
                    }
                    if let Some(events) = &mut rewritten {
                        events.extend_from_slice(changed.as_deref().unwrap_or(&event));
                    }
                    passed += event.len();
                }
                Err(failure) if passed == 0 => return Err(failure),
                Err(failure) => {
                    self.failed = Some(failure);
                    break;
                }
            }
        }
        Ok(rewritten.map_or_else(|| block.slice(..passed), Bytes::from))
    }

    /// Reads an event. Returns the event to pass on in its place, if there is one.
    fn inspect_event(&mut self, event: &Bytes, meter: &Meter) -> Result<Option<Vec<u8>>, Failure> {
        let data = match events::read(event) {
            Event::Data(data) => data,
            Event::Error(data) | Event::Bare(data) => {
                let said = serde_json::from_slice(&data).ok();
                return Err(said.as_ref().and_then(R::failure).unwrap_or_else(failure::unknown_failure));
            }
            Event::Nothing => return Ok(None),
        };
        let mut said: Value = serde_json::from_slice(&data).map_err(|_| AiError::Garbled)?;
        if let Some(failure) = R::failure(&said) {
            return Err(failure);
        }
        let is_rewritten = self.reader.rewrite(&mut said);
        self.reader.read(&said, meter)?;
        let kind = said["type"].as_str().unwrap_or_default();
        Ok(is_rewritten.then(|| format!("event: {kind}\ndata: {said}\n\n").into_bytes()))
    }

    fn pass_on(&mut self, events: Bytes) -> Option<Bytes> {
        self.reader.count(&events);
        (!events.is_empty()).then(|| R::adapt(events))
    }
}

impl<R: EventReader> Tap for PassthroughTap<R> {
    type Out = Bytes;

    fn pass(&mut self, block: Bytes, meter: &Meter) -> Result<Option<Bytes>, Failure> {
        let quarters = R::text_quarters(&block);
        if quarters > 0 {
            meter.record_output(quarters);
        }
        let is_plain = is_well_formed(&block, &[b":", b"event:", b"id:", b"retry:"]);
        // The first block is always inspected in full: it decides whether another deployment is
        // tried.
        let is_first = !std::mem::replace(&mut self.has_started, true);
        let events = if is_first || !is_plain || R::is_marked(&block) { self.inspect(&block, meter)? } else { block };
        Ok(self.pass_on(events))
    }

    fn failure(&mut self) -> Option<Failure> {
        self.failed.take()
    }

    fn is_done(&self) -> bool {
        self.reader.is_done()
    }

    fn is_whole(&self) -> bool {
        self.reader.is_whole()
    }

    fn sequence(&self) -> u64 {
        self.reader.sequence()
    }

    fn finish(&mut self, rest: Bytes, meter: &Meter) -> Result<Option<Bytes>, Failure> {
        let mut last = Bytes::new();
        if !rest.trim_ascii().is_empty() {
            // The rest is a last event without its blank line, or an error outside the event
            // format.
            last = self.inspect(&[rest.as_ref(), b"\n\n"].concat().into(), meter)?;
        }
        if self.failed.is_none() && !self.reader.is_done() {
            last = [last.as_ref(), self.reader.finish(meter)?].concat().into();
        }
        Ok(self.pass_on(last))
    }
}
