//! An answer in another dialect than the caller's: read by one side, written by the other.

use std::sync::Arc;

use bytes::Bytes;

use crate::{
    AiError, Usage,
    meter::{Meter, quarters},
    neutral::{Answer, Event, Order, Reader, Writer},
    relay::Tap,
    signatures::Signatures,
    wire::{
        events::{self, Splitter},
        failure::{self, Failure},
    },
};

/// Reads an answer, whoever it is for.
pub(crate) struct Listener {
    reader: Box<dyn Reader>,
    signatures: Arc<Signatures>,
    order: Order,
    is_done: bool,
    /// What failed behind events that were good.
    failed: Option<Failure>,
}

impl Listener {
    pub fn new(reader: Box<dyn Reader>, signatures: Arc<Signatures>) -> Self {
        Self { reader, signatures, order: Order::default(), is_done: false, failed: None }
    }

    /// Reads whole events of a stream.
    pub fn listen(&mut self, block: Bytes, meter: &Meter) -> Result<Vec<Event>, Failure> {
        let mut splitter = Splitter::default();
        let mut said = Vec::new();
        splitter.push(block);
        while let Some(event) = splitter.next() {
            let read = match events::read(&event) {
                events::Event::Data(data) => self.reader.read(&data, &mut said),
                events::Event::Error(data) | events::Event::Bare(data) => Err(failure_in(&data)),
                events::Event::Nothing => Ok(()),
            };
            match read {
                Ok(()) if self.reader.is_done() => break,
                Ok(()) => {}
                Err(failure) if said.is_empty() => return Err(failure),
                Err(failure) => {
                    self.failed = Some(failure);
                    break;
                }
            }
        }
        self.take_in(&mut said, meter);
        Ok(said)
    }

    /// Reads what is left of a stream that has ended.
    pub fn rest(&mut self, rest: &Bytes, meter: &Meter) -> Result<Vec<Event>, Failure> {
        if rest.trim_ascii().is_empty() {
            return Ok(Vec::new());
        }
        let said = self.listen([rest.as_ref(), b"\n\n"].concat().into(), meter)?;
        self.failed.take().map_or(Ok(said), Err)
    }

    /// Reads an answer in one piece, up to its ends.
    pub fn whole(&mut self, body: &[u8], meter: &Meter) -> Result<Vec<Event>, Failure> {
        let mut said = Vec::new();
        self.reader.read_whole(body, &mut said)?;
        self.take_in(&mut said, meter);
        Ok(said)
    }

    fn take_in(&mut self, said: &mut Vec<Event>, meter: &Meter) {
        count(said, meter);
        self.signatures.keep(said);
        self.order.keep(said);
    }

    /// The ends of the choices. After them the meter has the usage to tell.
    pub fn conclude(&mut self, meter: &Meter) -> Result<Vec<Event>, Failure> {
        let ends = self.order.ends(self.reader.is_done())?;
        self.is_done = true;
        if let Some(Event::Finish { finish, .. }) = ends.first() {
            meter.finished(*finish);
        }
        meter.close();
        Ok(ends)
    }

    /// What failed behind the events that were told last.
    pub fn failure(&mut self) -> Option<Failure> {
        self.failed.take()
    }

    /// Whether the provider has sent its last frame.
    pub fn is_over(&self) -> bool {
        self.reader.is_done()
    }

    pub fn is_done(&self) -> bool {
        self.is_done
    }

    pub fn is_whole(&self) -> bool {
        self.order.is_whole()
    }
}

fn failure_in(data: &[u8]) -> Failure {
    let value = serde_json::from_slice(data).ok();
    value.as_ref().and_then(failure::of_value).unwrap_or_else(|| AiError::Unavailable { retry_after: None }.into())
}

/// Tells the meter what has come.
fn count(events: &[Event], meter: &Meter) {
    for event in events {
        match event {
            Event::Text { text, .. } | Event::Refusal { text, .. } | Event::Thinking { text, .. } => {
                meter.deliver(quarters(text.as_bytes()));
            }
            Event::Call { name, .. } => meter.deliver(quarters(name.as_bytes())),
            Event::Arguments { json, .. } => meter.deliver(quarters(json.as_bytes())),
            Event::Usage(usage) => meter.report(*usage),
            Event::Signature { .. } | Event::Redacted { .. } | Event::Logprobs { .. } | Event::Finish { .. } => {}
        }
    }
}

/// Reads an answer that came in one piece.
pub(crate) fn read_whole(body: &[u8], mut listener: Listener, meter: &Meter) -> Result<(Answer, Usage), Failure> {
    let mut events = listener.whole(body, meter)?;
    events.extend(listener.conclude(meter)?);
    Ok((Answer::of(events), meter.usage()))
}

/// Translates a stream.
pub(crate) struct Translation {
    listener: Listener,
    writer: Box<dyn Writer>,
}

impl Translation {
    pub fn new(listener: Listener, writer: Box<dyn Writer>) -> Self {
        Self { listener, writer }
    }

    /// The frames for an answer that came in one piece although a stream was asked for.
    pub fn whole(mut self, body: &[u8], meter: &Meter) -> Result<Bytes, Failure> {
        let events = self.listener.whole(body, meter)?;
        let mut out = Vec::new();
        self.write(&events, &mut out);
        self.conclude(&mut out, meter)?;
        Ok(out.into())
    }

    fn write(&mut self, events: &[Event], out: &mut Vec<u8>) {
        for event in events {
            self.writer.write(event, out);
        }
    }

    fn conclude(&mut self, out: &mut Vec<u8>, meter: &Meter) -> Result<(), Failure> {
        let ends = self.listener.conclude(meter)?;
        self.write(&ends, out);
        self.writer.end(&meter.usage(), out);
        Ok(())
    }
}

impl Tap for Translation {
    type Out = Bytes;

    fn pass(&mut self, block: Bytes, meter: &Meter) -> Result<Option<Bytes>, Failure> {
        let events = self.listener.listen(block, meter)?;
        let mut out = Vec::new();
        self.write(&events, &mut out);
        if self.listener.is_over() {
            self.conclude(&mut out, meter)?;
        }
        Ok((!out.is_empty()).then(|| out.into()))
    }

    fn is_done(&self) -> bool {
        self.listener.is_done()
    }

    fn is_whole(&self) -> bool {
        self.listener.is_whole()
    }

    fn failure(&mut self) -> Option<Failure> {
        self.listener.failure()
    }

    fn end(&mut self, rest: Bytes, meter: &Meter) -> Result<Option<Bytes>, Failure> {
        let events = self.listener.rest(&rest, meter)?;
        let mut out = Vec::new();
        self.write(&events, &mut out);
        self.conclude(&mut out, meter)?;
        Ok(Some(out.into()))
    }

    fn sequence(&self) -> u64 {
        self.writer.sequence()
    }
}
