//! A worker's question and its answer, by the same halves of the dialects that the gateway uses.

use bytes::Bytes;

use crate::{
    AiError, ChatDelta, ChatRequest, Finish, Role,
    meter::Meter,
    neutral::{Event, Part, Request, Speaker},
    relay::Tap,
    translate::Listener,
    wire::failure::Failure,
};

/// The question in the neutral form.
pub(crate) fn request(asked: &ChatRequest) -> Request {
    let (temperature, max_output) = (asked.temperature, asked.max_tokens.map(u64::from));
    let mut request = Request { stream: true, temperature, max_output, ..Request::default() };
    request.system.extend(asked.system_text().map(str::to_owned));
    for turn in asked.alternating() {
        let speaker = match turn.role {
            Role::User => Speaker::User,
            Role::Assistant => Speaker::Assistant,
        };
        request.say(speaker, [Part::Text(turn.text)]);
    }
    request
}

/// Reads an answer for a worker.
pub(crate) struct Conversation {
    listener: Listener,
    spoke: bool,
}

impl Conversation {
    pub fn new(listener: Listener) -> Self {
        Self { listener, spoke: false }
    }

    /// The texts of what was read, and how the answer ended.
    pub fn tell(&mut self, events: Vec<Event>, ends: Vec<Event>, meter: &Meter) -> Result<Vec<ChatDelta>, AiError> {
        let text = |event| match event {
            Event::Text { choice: 0, text } | Event::Refusal { choice: 0, text } => Some(ChatDelta::Text(text)),
            Event::Thinking { choice: 0, text } => Some(ChatDelta::Thought(text)),
            _ => None,
        };
        let mut said: Vec<ChatDelta> = events.into_iter().filter_map(text).collect();
        self.spoke |= said.iter().any(|delta| matches!(delta, ChatDelta::Text(_)));
        if let Some(Event::Finish { finish, .. }) = ends.first() {
            match (self.spoke, finish) {
                (true, finish) => said.push(ChatDelta::Done { finish: *finish, usage: Some(meter.usage()) }),
                // An answer without a word is a failure.
                (false, Finish::Filtered) => return Err(AiError::Declined),
                (false, _) => return Err(AiError::Empty),
            }
        }
        Ok(said)
    }
}

impl Tap for Conversation {
    type Out = Vec<ChatDelta>;

    fn pass(&mut self, block: Bytes, meter: &Meter) -> Result<Option<Self::Out>, Failure> {
        let events = self.listener.listen(block, meter)?;
        let ends = if self.listener.is_over() { self.listener.conclude(meter)? } else { Vec::new() };
        let said = self.tell(events, ends, meter)?;
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

    fn end(&mut self, rest: Bytes, meter: &Meter) -> Result<Option<Self::Out>, Failure> {
        let events = self.listener.rest(&rest, meter)?;
        let ends = self.listener.conclude(meter)?;
        Ok(Some(self.tell(events, ends, meter)?))
    }
}
