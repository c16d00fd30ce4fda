//! Converts Natter's own chat requests to the provider-independent form and answers from it, so
//! that they use the same format code as the gateway.

use std::collections::HashSet;

use bytes::Bytes;

use crate::{
    AiError, ChatCall, ChatDelta, ChatFile, ChatPicture, ChatRequest, Finish, Role,
    canonical::{Event, Media, MediaKind, Part, Request, Source, Speaker, Tool, ToolCall, ToolChoice, ToolResult},
    meter::Meter,
    provider_http::failure::Failure,
    tapped_stream::Tap,
    translate::AnswerParser,
};

/// Maximum number of calls in one answer, and maximum total size of their arguments, in bytes. A
/// model that exceeds them is malfunctioning.
const MAX_CALLS: usize = 32;
const MAX_ARGUMENTS: usize = 256 * 1024;

/// Converts a chat request to the provider-independent form.
pub(crate) fn request(asked: &ChatRequest) -> Request {
    let (temperature, max_output) = (asked.temperature, asked.max_tokens.map(u64::from));
    let mut request = Request { stream: true, temperature, max_output, ..Request::default() };
    request.system.extend(asked.system_text().map(str::to_owned));
    for turn in asked.alternating() {
        let speaker = match turn.role {
            Role::User => Speaker::User,
            Role::Assistant => Speaker::Assistant,
        };
        // Files and images go before the text that refers to them.
        let given = turn.files.into_iter().map(file).chain(turn.pictures.into_iter().map(picture));
        let text = (!turn.text.is_empty()).then_some(Part::Text(turn.text));
        request.append(speaker, given.chain(text));
    }
    for tool in asked.tools.iter().cloned() {
        let (name, description, parameters) = (tool.name, tool.description, Some(tool.parameters));
        request.tools.push(Tool { name, description, parameters, strict: None, cached: None });
    }
    request.tool_choice = (asked.forbids_tool_calls && !request.tools.is_empty()).then_some(ToolChoice::None);
    for round in asked.rounds.iter().cloned() {
        let call =
            |ChatCall { id, name, arguments, signature }| Part::Call(ToolCall { id, name, arguments, signature });
        request
            .append(Speaker::Assistant, [Part::Text(round.text)].into_iter().chain(round.calls.into_iter().map(call)));
        let result = |result: crate::ChatResult| {
            let (id, is_error) = (result.call_id, result.is_error);
            let text = [Part::Text(result.text)];
            let parts = text.into_iter().chain(result.pictures.into_iter().map(picture)).collect();
            Part::Result(ToolResult { id, parts, is_error })
        };
        request.append(Speaker::User, round.results.into_iter().map(result));
    }
    request
}

fn picture(picture: ChatPicture) -> Part {
    let source = Source::Data { mime: picture.media_type, data: picture.data.to_string() };
    Part::Media(Media { kind: MediaKind::Image, source, detail: None, name: None })
}

fn file(file: ChatFile) -> Part {
    let source = Source::Data { mime: file.media_type, data: file.data.to_string() };
    Part::Media(Media { kind: MediaKind::File, source, detail: None, name: Some(file.name) })
}

/// Collects the deltas of an answer.
pub(crate) struct ChatDeltaReader {
    listener: AnswerParser,
    spoke: bool,
    calls: Vec<ChatCall>,
    /// Total size of the calls' arguments, in bytes.
    arguments: usize,
}

impl ChatDeltaReader {
    pub fn new(listener: AnswerParser) -> Self {
        Self { listener, spoke: false, calls: Vec::new(), arguments: 0 }
    }

    /// Converts events to deltas; `ends` holds the closing events, if the answer is over.
    pub fn convert_events(
        &mut self,
        events: Vec<Event>,
        ends: Vec<Event>,
        meter: &Meter,
    ) -> Result<Vec<ChatDelta>, AiError> {
        let mut said = Vec::new();
        for event in events {
            match event {
                Event::Text { choice: 0, text } | Event::Refusal { choice: 0, text } => {
                    said.push(ChatDelta::Text(text))
                }
                Event::Thinking { choice: 0, text } => said.push(ChatDelta::Thought(text)),
                Event::Call { choice: 0, id, name, signature, .. } => {
                    self.calls.push(ChatCall { id, name, arguments: String::new(), signature });
                }
                Event::Arguments { choice: 0, tool, json } => {
                    self.arguments += json.len();
                    if let Some(call) = self.calls.get_mut(tool as usize) {
                        call.arguments.push_str(&json);
                    }
                }
                _ => {}
            }
        }
        if self.calls.len() > MAX_CALLS || self.arguments > MAX_ARGUMENTS {
            return Err(AiError::Garbled);
        }
        self.spoke |= said.iter().any(|delta| matches!(delta, ChatDelta::Text(_)));
        if let Some(Event::Finish { finish, .. }) = ends.first() {
            let calls = if *finish == Finish::ToolCalls { self.drain_calls() } else { Vec::new() };
            match (self.spoke || !calls.is_empty(), finish) {
                (true, finish) => {
                    said.extend((!calls.is_empty()).then_some(ChatDelta::Calls(calls)));
                    said.push(ChatDelta::Done { finish: *finish, usage: Some(Box::new(meter.usage())) });
                }
                // An answer without text or calls is a failure.
                (false, Finish::Filtered) => return Err(AiError::Declined),
                (false, _) => return Err(AiError::Empty),
            }
        }
        Ok(said)
    }

    /// Returns the collected calls. Calls without an id or with a duplicate one get a new id.
    fn drain_calls(&mut self) -> Vec<ChatCall> {
        let mut calls = std::mem::take(&mut self.calls);
        let mut known = HashSet::new();
        for (place, call) in calls.iter_mut().enumerate() {
            if call.id.is_empty() || !known.insert(call.id.clone()) {
                call.id = format!("call_{place}_{:08x}", rand::random::<u32>());
            }
        }
        calls
    }
}

impl Tap for ChatDeltaReader {
    type Out = Vec<ChatDelta>;

    fn pass(&mut self, block: Bytes, meter: &Meter) -> Result<Option<Self::Out>, Failure> {
        let events = self.listener.parse_events(block, meter)?;
        let ends = if self.listener.is_over() { self.listener.finish(meter)? } else { Vec::new() };
        let said = self.convert_events(events, ends, meter)?;
        Ok((!said.is_empty()).then_some(said))
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

    fn finish(&mut self, rest: Bytes, meter: &Meter) -> Result<Option<Self::Out>, Failure> {
        let events = self.listener.parse_rest(&rest, meter)?;
        let ends = self.listener.finish(meter)?;
        Ok(Some(self.convert_events(events, ends, meter)?))
    }
}
