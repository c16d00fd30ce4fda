//! Converts answers between formats: parsed in the provider's, written in the client's.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;

use crate::{
    AiError, Usage,
    canonical::{Answer, Event, FinishTracker, Reader, Request, Writer},
    dialect::lone_surrogates::{self, SurrogateJoiner},
    meter::{Meter, quarters},
    provider_http::{
        events::{self, Splitter},
        failure::{self, Failure},
    },
    response_store::ResponsePublisher,
    tapped_stream::Tap,
    thought_signatures::{self, SignatureCache},
    used_call_ids::UsedCallIds,
};

/// Parses an answer, independently of the client's format.
pub(crate) struct AnswerParser {
    reader: Box<dyn Reader>,
    signatures: Arc<SignatureCache>,
    /// Publisher of signatures to the other instances.
    sharing: Option<ResponsePublisher>,
    order: FinishTracker,
    /// Names of free-form tools, and their calls so far.
    freeform_tools: Vec<String>,
    freeform_calls: Vec<PendingCustomCall>,
    /// Stop sequences of the request; `None` if they are not known. A server may also name the token
    /// that ends each of its answers.
    stop_sequences: Option<Vec<String>>,
    /// Original tool names by the names that were sent.
    renamed: BTreeMap<String, String>,
    /// Ids of the calls so far in the conversation.
    used_ids: UsedCallIds,
    is_done: bool,
    /// Joiner of split surrogates, created when the first one arrives.
    surrogates: Option<SurrogateJoiner>,
    /// Failure that arrived after good events.
    failed: Option<Failure>,
}

/// A call of a free-form tool. At the provider it is a function with one field, which is complete
/// when the answer is.
struct PendingCustomCall {
    choice: u32,
    tool: u32,
    arguments: String,
}

impl AnswerParser {
    pub fn new(reader: Box<dyn Reader>, signatures: Arc<SignatureCache>) -> Self {
        let (free, free_calls, renamed) = (Vec::new(), Vec::new(), BTreeMap::new());
        let order = FinishTracker::default();
        let (halves, failed) = (None, None);
        Self {
            reader,
            signatures,
            sharing: None,
            order,
            freeform_tools: free,
            freeform_calls: free_calls,
            stop_sequences: None,
            renamed,
            used_ids: UsedCallIds::default(),
            is_done: false,
            surrogates: halves,
            failed,
        }
    }

    /// Sets the publisher of signatures.
    pub fn with_publisher(self, sharing: Option<ResponsePublisher>) -> Self {
        Self { sharing, ..self }
    }

    /// Sets the call ids of the conversation.
    pub fn with_used_ids(self, used_ids: UsedCallIds) -> Self {
        Self { used_ids, ..self }
    }

    /// Sets the free-form and renamed tools, the stop sequences and the call ids of this request.
    pub fn with_tools(self, question: &Request) -> Self {
        Self {
            freeform_tools: question.custom_tools.clone(),
            renamed: question.renamed.clone(),
            stop_sequences: Some(question.stop.clone()),
            used_ids: UsedCallIds::of_request(question),
            ..self
        }
    }

    /// Parses complete events of a stream.
    pub fn parse_events(&mut self, block: Bytes, meter: &Meter) -> Result<Vec<Event>, Failure> {
        let mut splitter = Splitter::default();
        let mut said = Vec::new();
        splitter.push(block);
        while let Some(event) = splitter.next() {
            let read = match events::read(&event) {
                events::Event::Data(data) => self.read(&data, &mut said),
                events::Event::Error(data) | events::Event::Bare(data) => Err(failure::parse_event(&data)),
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
        self.process(&mut said, meter);
        Ok(said)
    }

    /// Parses the rest of a stream that has ended.
    pub fn parse_rest(&mut self, rest: &Bytes, meter: &Meter) -> Result<Vec<Event>, Failure> {
        if rest.trim_ascii().is_empty() {
            return Ok(Vec::new());
        }
        let said = self.parse_events([rest.as_ref(), b"\n\n"].concat().into(), meter)?;
        self.failed.take().map_or(Ok(said), Err)
    }

    /// Parses a whole answer, except its finish events.
    pub fn parse_complete(&mut self, body: &[u8], meter: &Meter) -> Result<Vec<Event>, Failure> {
        if events::is_stream(body) {
            return self.parse_rest(&Bytes::copy_from_slice(body), meter);
        }
        let mut said = Vec::new();
        if let Err(failure) = self.reader.read_whole(body, &mut said) {
            let mended = lone_surrogates::replace_lone_surrogates(body).ok_or(failure)?;
            said.clear();
            self.reader.read_whole(&mended, &mut said)?;
        }
        self.process(&mut said, meter);
        Ok(said)
    }

    /// Parses an event, including one with a lone surrogate.
    fn read(&mut self, data: &[u8], said: &mut Vec<Event>) -> Result<(), Failure> {
        let read = self.reader.read(data, said);
        let is_garbled = read.as_ref().is_err_and(|failure| failure.error == AiError::Garbled);
        match is_garbled.then(|| lone_surrogates::mark_lone_surrogates(data)).flatten() {
            Some(marked) => {
                if self.surrogates.is_none() {
                    self.surrogates = Some(SurrogateJoiner::default());
                }
                self.reader.read(&marked, said)
            }
            None => read,
        }
    }

    fn process(&mut self, said: &mut Vec<Event>, meter: &Meter) {
        if let Some(halves) = &mut self.surrogates {
            halves.join(said);
        }
        count(said, meter);
        if let Some(stops) = &self.stop_sequences {
            drop_unasked_stops(said, stops);
        }
        for event in said.iter_mut() {
            if let Event::Call { id, .. } | Event::CustomCall { id, .. } = event
                && let Some(other) = self.used_ids.replacement(id)
            {
                *id = other;
            }
        }
        self.signatures.record(said);
        if let Some(sharing) = &self.sharing {
            sharing.publish(thought_signatures::store_entries(said));
        }
        self.order.collect(said);
        if !self.renamed.is_empty() {
            self.restore_names(said);
        }
        if !self.freeform_tools.is_empty() {
            self.collect_custom_inputs(said);
        }
    }

    fn restore_names(&self, said: &mut [Event]) {
        for event in said {
            if let Event::Call { name, .. } = event
                && let Some(own) = self.renamed.get(name.as_str())
            {
                name.clone_from(own);
            }
        }
    }

    /// Collects the arguments of free-form calls instead of passing them on.
    fn collect_custom_inputs(&mut self, said: &mut Vec<Event>) {
        for event in said.iter_mut() {
            if let Event::Call { choice, tool, id, name, .. } = event
                && self.freeform_tools.contains(name)
            {
                let (choice, tool) = (*choice, *tool);
                self.freeform_calls.push(PendingCustomCall { choice, tool, arguments: String::new() });
                *event = Event::CustomCall { choice, tool, id: std::mem::take(id), name: std::mem::take(name) };
            }
        }
        said.retain(|event| {
            let Event::Arguments { choice, tool, json } = event else { return true };
            let call = self.freeform_calls.iter_mut().find(|call| (call.choice, call.tool) == (*choice, *tool));
            call.map(|call| call.arguments.push_str(json)).is_none()
        });
    }

    /// Returns the complete free-form inputs and the finish events. Afterwards the meter's usage is
    /// final.
    pub fn finish(&mut self, meter: &Meter) -> Result<Vec<Event>, Failure> {
        let ends = self.order.finish_events(self.reader.is_done())?;
        self.is_done = true;
        if let Some(Event::Finish { finish, .. }) = ends.first() {
            meter.record_finish(*finish);
        }
        meter.close();
        let mut said: Vec<Event> =
            std::mem::take(&mut self.freeform_calls).into_iter().map(PendingCustomCall::input).collect();
        said.extend(ends);
        Ok(said)
    }

    /// Failure that followed the last events.
    pub fn failure(&mut self) -> Option<Failure> {
        self.failed.take()
    }

    /// True once the provider has sent its final frame.
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

impl PendingCustomCall {
    fn input(self) -> Event {
        let Self { choice, tool, arguments } = self;
        let read: Option<serde_json::Value> = serde_json::from_str(&arguments).ok();
        let text = read.and_then(|read| match read.as_object() {
            // Claude sends an empty object if there is no input.
            Some(fields) if fields.is_empty() => Some(String::new()),
            _ => read.get("input")?.as_str().map(str::to_owned),
        });
        // If the model ignores the schema, the arguments themselves are taken as the input.
        Event::Input { choice, tool, text: text.unwrap_or(arguments) }
    }
}

/// Removes stop sequences that the request doesn't contain.
fn drop_unasked_stops(said: &mut [Event], stops: &[String]) {
    for event in said {
        if let Event::Finish { stop_sequence, .. } = event {
            stop_sequence.take_if(|stop| !stops.contains(stop));
        }
    }
}

/// Estimated tokens of an image, in quarters.
const IMAGE_QUARTERS: u64 = 4 * 1_000;

/// Estimated tokens of a second of audio, in quarters.
const AUDIO_SECOND_QUARTERS: u64 = 4 * 25;

/// Meters parsed events.
fn count(events: &[Event], meter: &Meter) {
    for event in events {
        match event {
            Event::Text { text, .. } | Event::Refusal { text, .. } | Event::Thinking { text, .. } => {
                meter.record_output(quarters(text.as_bytes()));
            }
            Event::Call { name, .. } => meter.record_output(quarters(name.as_bytes())),
            Event::Arguments { json, .. } => meter.record_output(quarters(json.as_bytes())),
            Event::Picture { .. } => meter.record_output(IMAGE_QUARTERS),
            Event::Audio { audio, .. } => meter.record_output(audio.milliseconds() * AUDIO_SECOND_QUARTERS / 1_000),
            Event::Usage(usage) => meter.record_usage(*usage),
            Event::Signature { .. }
            | Event::Redacted { .. }
            | Event::ReasoningDetails { .. }
            | Event::CustomCall { .. }
            | Event::Input { .. }
            | Event::Logprobs { .. }
            | Event::Citation { .. }
            | Event::Search { .. }
            | Event::Finish { .. } => {}
        }
    }
}

/// Parses a whole answer.
pub(crate) fn read_whole(body: &[u8], mut listener: AnswerParser, meter: &Meter) -> Result<(Answer, Usage), Failure> {
    let mut events = listener.parse_complete(body, meter)?;
    events.extend(listener.finish(meter)?);
    Ok((Answer::from_events(events), meter.usage()))
}

/// Converts a stream.
pub(crate) struct FormatConverter {
    listener: AnswerParser,
    writer: Box<dyn Writer>,
}

impl FormatConverter {
    pub fn new(listener: AnswerParser, writer: Box<dyn Writer>) -> Self {
        Self { listener, writer }
    }

    /// Converts a whole answer to frames, for a provider that sent no stream although one was
    /// requested.
    pub fn frames_of_complete(mut self, body: &[u8], meter: &Meter) -> Result<Bytes, Failure> {
        let events = self.listener.parse_complete(body, meter)?;
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
        let ends = self.listener.finish(meter)?;
        self.write(&ends, out);
        self.writer.check()?;
        self.writer.finish(&meter.usage(), out);
        Ok(())
    }
}

impl Tap for FormatConverter {
    type Out = Bytes;

    fn pass(&mut self, block: Bytes, meter: &Meter) -> Result<Option<Bytes>, Failure> {
        let events = self.listener.parse_events(block, meter)?;
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

    fn finish(&mut self, rest: Bytes, meter: &Meter) -> Result<Option<Bytes>, Failure> {
        let events = self.listener.parse_rest(&rest, meter)?;
        let mut out = Vec::new();
        self.write(&events, &mut out);
        self.conclude(&mut out, meter)?;
        Ok(Some(out.into()))
    }

    fn sequence(&self) -> u64 {
        self.writer.sequence()
    }
}
