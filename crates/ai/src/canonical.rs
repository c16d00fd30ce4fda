//! Provider-independent form of requests and answers.
//!
//! A client format parses a request into a [`Request`] and a provider format encodes it; a provider
//! format parses its answer into [`Event`]s and a client format writes them. Each format is
//! implemented independently of the others, and every pair works.

mod answer;
mod audio;
mod citation;

use std::{borrow::Cow, collections::BTreeMap, sync::Arc};

use serde_json::Value;

pub(crate) use self::{
    answer::{Answer, Block, Choice},
    audio::{AudioFormat, AudioRequest, PcmAudio},
    citation::{Citation, Citations},
};

use crate::{
    AiError, Finish, Usage,
    params::ModelParams,
    provider_http::failure::Failure,
    web_search::{SearchRun, WebSearchTool},
};

/// A chat request.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Request {
    pub stream: bool,
    /// System prompt, in parts.
    pub system: Vec<String>,
    /// Anthropic's `cache_control` of system parts, by index.
    pub system_cached: BTreeMap<usize, Value>,
    pub turns: Vec<Turn>,
    pub tools: Vec<Tool>,
    pub tool_choice: Option<ToolChoice>,
    pub parallel_tools: Option<bool>,
    pub web_search: Option<WebSearchTool>,
    /// Types of tools that another provider would run, and that the model doesn't get.
    pub dropped_tools: Vec<String>,
    pub format: Format,
    pub max_output: Option<u64>,
    pub temperature: Option<f64>,
    pub top_p: Option<f64>,
    pub top_k: Option<u64>,
    pub stop: Vec<String>,
    /// Number of answers to generate.
    pub choices: Option<u64>,
    pub seed: Option<i64>,
    pub presence_penalty: Option<f64>,
    pub frequency_penalty: Option<f64>,
    /// Number of alternative tokens whose log-probability is returned per token.
    pub logprobs: Option<u64>,
    pub reasoning: Option<Reasoning>,
    pub verbosity: Option<String>,
    /// Audio that the model speaks in place of text.
    pub audio: Option<AudioRequest>,
    pub user: Option<String>,
    /// Names of free-form tools, whose input is arbitrary text. Other providers get them as
    /// functions with one field, `input`.
    pub custom_tools: Vec<String>,
    /// Original tool names by the replacement names, for tools whose names no provider accepts.
    pub renamed: BTreeMap<String, String>,
    /// Fields that exist only in OpenAI's API.
    pub extra: BTreeMap<&'static str, Value>,
    /// Model parameters, if they differ from the built-in ones.
    pub params: Option<Arc<ModelParams>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Speaker {
    User,
    Assistant,
    /// System instruction within the conversation.
    System,
}

/// Turn of a conversation: consecutive parts by one speaker.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Turn {
    pub speaker: Speaker,
    pub parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Part {
    Text(String),
    Media(Media),
    Call(ToolCall),
    Result(ToolResult),
    Thinking {
        text: String,
        /// Anthropic's signature of the thinking, or the sealed data of a Responses API.
        signature: Option<String>,
    },
    /// Thinking that only its provider can read.
    Redacted(String),
    /// Thinking from OpenRouter, whose `reasoning_details` must return unchanged.
    ReasoningDetails {
        text: String,
        details: Vec<Value>,
    },
    /// Anthropic's `cache_control`: the provider's cache should hold everything up to here.
    Cached(Value),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MediaKind {
    Image,
    Audio,
    File,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Media {
    pub kind: MediaKind,
    pub source: Source,
    /// OpenAI's image `detail`.
    pub detail: Option<String>,
    pub name: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    /// Content in base64.
    Data {
        mime: String,
        data: String,
    },
    Url(String),
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ToolCall {
    pub id: String,
    pub name: String,
    /// Arguments as JSON text.
    pub arguments: String,
    /// Gemini's `thoughtSignature`.
    pub signature: Option<String>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ToolResult {
    pub id: String,
    pub parts: Vec<Part>,
    pub is_error: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Tool {
    pub name: String,
    pub description: Option<String>,
    /// JSON Schema of the tool's arguments.
    pub parameters: Option<Value>,
    pub strict: Option<bool>,
    /// Anthropic's `cache_control`.
    pub cached: Option<Value>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ToolChoice {
    Auto,
    None,
    Required,
    Named(String),
    /// The model may call only the tools of these names; `required` is true if it must call one.
    Among {
        names: Vec<String>,
        required: bool,
    },
}

#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) enum Format {
    #[default]
    Text,
    Json,
    Schema {
        name: String,
        description: Option<String>,
        schema: Value,
        strict: Option<bool>,
    },
}

/// Reasoning settings.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Reasoning {
    pub effort: Option<Effort>,
    /// Maximum number of reasoning tokens.
    pub budget: Option<u64>,
    /// True if the caller wants to see the reasoning.
    pub shown: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Effort {
    None,
    Minimal,
    Low,
    Medium,
    High,
    Xhigh,
    Max,
}

impl Reasoning {
    /// True if reasoning is disabled.
    pub fn is_off(&self) -> bool {
        self.effort == Some(Effort::None) || self.budget == Some(0)
    }
}

impl Effort {
    /// True for the names of the model's own effort, which Groq and some clients use.
    pub fn is_default(name: &str) -> bool {
        matches!(name, "default" | "auto")
    }

    pub fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "none" => Self::None,
            "minimal" => Self::Minimal,
            "low" => Self::Low,
            "medium" => Self::Medium,
            "high" => Self::High,
            "xhigh" => Self::Xhigh,
            "max" => Self::Max,
            _ => return None,
        })
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Minimal => "minimal",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Xhigh => "xhigh",
            Self::Max => "max",
        }
    }

    /// Reasoning budget in tokens, for providers that need a number.
    pub fn budget(self) -> u64 {
        match self {
            Self::None => 0,
            Self::Minimal => 512,
            Self::Low => 1_024,
            Self::Medium => 4_096,
            Self::High => 16_384,
            Self::Xhigh | Self::Max => 24_576,
        }
    }

    /// Effort that corresponds to a budget in tokens.
    pub fn from_budget(tokens: u64) -> Self {
        [Self::None, Self::Minimal, Self::Low, Self::Medium, Self::High]
            .into_iter()
            .find(|effort| tokens <= effort.budget())
            .unwrap_or(Self::Xhigh)
    }
}

impl Request {
    /// Appends parts of a speaker, merging them into the last turn if it has the same speaker.
    pub fn append(&mut self, speaker: Speaker, parts: impl IntoIterator<Item = Part>) {
        let parts = parts.into_iter().filter(|part| !matches!(part, Part::Text(text) if text.trim().is_empty()));
        let mut parts = parts.peekable();
        if parts.peek().is_none() {
            return;
        }
        match self.turns.last_mut() {
            Some(last) if last.speaker == speaker => last.parts.extend(parts),
            _ => self.turns.push(Turn { speaker, parts: parts.collect() }),
        }
    }

    /// Appends instructions: to the system prompt, or in place once the conversation has started.
    /// Earlier content stays unchanged because provider caches depend on it.
    pub fn append_instructions(&mut self, texts: impl IntoIterator<Item = String>) {
        if self.turns.is_empty() {
            self.system.extend(texts);
        } else {
            self.append(Speaker::System, texts.into_iter().map(Part::Text));
        }
    }

    /// Returns the request for providers that accept no system turns within the conversation. These
    /// turns become user text that is marked as a system instruction.
    pub fn without_system_turns(&self) -> Cow<'_, Self> {
        if self.turns.iter().all(|turn| turn.speaker != Speaker::System) {
            return Cow::Borrowed(self);
        }
        let mut request = self.clone();
        for mut turn in std::mem::take(&mut request.turns) {
            if turn.speaker == Speaker::System {
                turn.speaker = Speaker::User;
                turn.parts.iter_mut().for_each(mark_as_system);
            }
            match request.turns.last_mut() {
                Some(last) if last.speaker == turn.speaker => {
                    last.parts.append(&mut turn.parts);
                    // Results are moved to the front, because nothing may come between a call and
                    // its result.
                    last.parts.sort_by_key(|part| !matches!(part, Part::Result(_)));
                }
                _ => request.turns.push(turn),
            }
        }
        Cow::Owned(request)
    }

    /// Returns the request with `cache_control` marks, if it has none of its own: at the end of the
    /// system prompt, and of the last turn of a conversation that has begun. So each request of a
    /// conversation is read from the provider's cache up to its last turn.
    pub fn with_cache_marks(request: Cow<'_, Self>) -> Cow<'_, Self> {
        let is_mark = |part: &Part| matches!(part, Part::Cached(_));
        let has_marks = !request.system_cached.is_empty()
            || request.tools.iter().any(|tool| tool.cached.is_some())
            || request.turns.iter().flat_map(|turn| &turn.parts).any(is_mark);
        let last_of_system = request.system.iter().rposition(|text| !text.trim().is_empty());
        let has_begun = request.turns.iter().any(|turn| turn.speaker == Speaker::Assistant);
        if has_marks || (last_of_system.is_none() && !has_begun) {
            return request;
        }
        let mark = serde_json::json!({"type": "ephemeral"});
        let mut request = request.into_owned();
        request.system_cached.extend(last_of_system.map(|place| (place, mark.clone())));
        if has_begun && let Some(last) = request.turns.last_mut().filter(|last| last.speaker == Speaker::User) {
            last.parts.push(Part::Cached(mark));
        }
        Cow::Owned(request)
    }

    /// Returns the tool name of the call with this id. Some clients reuse ids, so it is the last
    /// such call before the given turn.
    pub fn tool_name_of_call(&self, id: &str, before: usize) -> Option<&str> {
        self.turns.iter().take(before).rev().flat_map(|turn| turn.parts.iter().rev()).find_map(|part| match part {
            Part::Call(call) if call.id == id => Some(call.name.as_str()),
            _ => None,
        })
    }

    /// Returns the parts of the system prompt as one text.
    pub fn system_text(&self) -> Option<String> {
        let texts: Vec<&str> = self.system.iter().map(|text| text.trim()).filter(|text| !text.is_empty()).collect();
        (!texts.is_empty()).then(|| texts.join("\n\n"))
    }
}

fn mark_as_system(part: &mut Part) {
    if let Part::Text(text) = part {
        *text = system_reminder(text);
    }
}

/// User text that is marked as a system instruction, in the form that agents use themselves.
pub(crate) fn system_reminder(text: &str) -> String {
    if text.trim_start().starts_with("<system-reminder>") {
        return text.to_owned();
    }
    format!("<system-reminder>\n{}\n</system-reminder>", text.trim())
}

/// Increment of an answer.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Event {
    Text {
        choice: u32,
        text: String,
    },
    Refusal {
        choice: u32,
        text: String,
    },
    Thinking {
        choice: u32,
        text: String,
    },
    /// Signature of the preceding thinking, which it completes.
    Signature {
        choice: u32,
        signature: String,
    },
    Redacted {
        choice: u32,
        data: String,
    },
    /// OpenRouter's `reasoning_details` of the preceding thinking, which they complete.
    ReasoningDetails {
        choice: u32,
        details: Vec<Value>,
    },
    /// A generated image.
    Picture {
        choice: u32,
        mime: String,
        /// Content in base64.
        data: String,
    },
    /// Increment of the spoken answer.
    Audio {
        choice: u32,
        audio: PcmAudio,
    },
    /// Start of a call. `tool` is its index in the choice.
    Call {
        choice: u32,
        tool: u32,
        id: String,
        name: String,
        signature: Option<String>,
    },
    /// Increment of a call's arguments.
    Arguments {
        choice: u32,
        tool: u32,
        json: String,
    },
    /// Start of a call of a free-form tool.
    CustomCall {
        choice: u32,
        tool: u32,
        id: String,
        name: String,
    },
    /// Complete input of a free-form tool call.
    Input {
        choice: u32,
        tool: u32,
        text: String,
    },
    /// OpenAI's log-probability objects.
    Logprobs {
        choice: u32,
        tokens: Vec<Value>,
    },
    Citation {
        choice: u32,
        citation: Citation,
    },
    /// A web search that was run.
    Search {
        choice: u32,
        run: SearchRun,
    },
    Finish {
        choice: u32,
        finish: Finish,
        /// Matched stop sequence, if the provider names it.
        stop_sequence: Option<String>,
    },
    Usage(Usage),
}

/// Parser of a provider's answer.
pub(crate) trait Reader: Send + 'static {
    /// Parses the data of one stream event.
    fn read(&mut self, data: &[u8], out: &mut Vec<Event>) -> Result<(), Failure>;
    /// Parses a whole answer.
    fn read_whole(&mut self, body: &[u8], out: &mut Vec<Event>) -> Result<(), Failure>;
    /// True once the protocol's final frame has arrived.
    fn is_done(&self) -> bool;
}

/// Writer of a stream in a client format.
pub(crate) trait Writer: Send + 'static {
    fn write(&mut self, event: &Event, out: &mut Vec<u8>);
    /// Fails if a complete answer can't be used.
    fn check(&self) -> Result<(), Failure> {
        Ok(())
    }
    /// Writes the end of a complete answer.
    fn finish(&mut self, usage: &Usage, out: &mut Vec<u8>);
    /// Number of frames sent so far in a format that numbers its frames; 0 in other formats.
    fn sequence(&self) -> u64 {
        0
    }
}

/// End of a choice.
#[derive(Debug)]
struct ChoiceEnd {
    finish: Finish,
    stop_sequence: Option<String>,
}

/// Enforces invariants of an answer: each choice ends once, and a choice with calls ends with
/// [`Finish::ToolCalls`].
#[derive(Debug, Default)]
pub(crate) struct FinishTracker {
    ends: BTreeMap<u32, Option<ChoiceEnd>>,
    calls: Vec<u32>,
}

impl FinishTracker {
    /// Removes the finish events from `events` and remembers them for [`ends`](Self::ends).
    pub fn collect(&mut self, events: &mut Vec<Event>) {
        events.retain_mut(|event| match event {
            Event::Finish { choice, finish, stop_sequence } => {
                self.ends.insert(*choice, Some(ChoiceEnd { finish: *finish, stop_sequence: stop_sequence.take() }));
                false
            }
            Event::Call { choice, .. } => {
                self.calls.push(*choice);
                self.ends.entry(*choice).or_default();
                true
            }
            Event::Text { choice, .. }
            | Event::Refusal { choice, .. }
            | Event::Thinking { choice, .. }
            | Event::Picture { choice, .. }
            | Event::Audio { choice, .. } => {
                self.ends.entry(*choice).or_default();
                true
            }
            _ => true,
        });
    }

    /// True if every started choice has ended.
    pub fn is_whole(&self) -> bool {
        !self.ends.is_empty() && self.ends.values().all(Option::is_some)
    }

    /// Finish events of all choices. If `says_so` is true, the provider has sent its final frame,
    /// which ends choices without a finish of their own.
    pub fn finish_events(&self, says_so: bool) -> Result<Vec<Event>, AiError> {
        if self.ends.is_empty() {
            return Err(if says_so { AiError::Empty } else { AiError::Truncated });
        }
        let end = |(&choice, end): (&u32, &Option<ChoiceEnd>)| {
            let finish = end.as_ref().map(|end| end.finish).or(says_so.then_some(Finish::Stop));
            let finish = finish.ok_or(AiError::Truncated)?;
            let has_calls = self.calls.contains(&choice);
            if finish == Finish::Stop && has_calls {
                return Ok(Event::Finish { choice, finish: Finish::ToolCalls, stop_sequence: None });
            }
            // A client would wait for the calls.
            if finish == Finish::ToolCalls && !has_calls {
                return Ok(Event::Finish { choice, finish: Finish::Stop, stop_sequence: None });
            }
            let stop_sequence = end.as_ref().and_then(|end| end.stop_sequence.clone());
            Ok(Event::Finish { choice, finish, stop_sequence })
        };
        self.ends.iter().map(end).collect()
    }
}
