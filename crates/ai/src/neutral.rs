//! The form in the middle: what every dialect can be read into and written from.
//!
//! An API reads a request into a [`Request`], an upstream writes it out. An upstream reads its answer into [`Event`]s, an API writes
//! them out. Nobody needs to know more than one dialect, and every pair works.

mod answer;

use std::{borrow::Cow, collections::BTreeMap, sync::Arc};

use serde_json::Value;

pub(crate) use answer::{Answer, Block, Choice};

use crate::{AiError, Finish, Usage, takes::Takes, wire::failure::Failure};

/// A question to a model.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Request {
    pub stream: bool,
    /// All that stands above the conversation.
    pub system: Vec<String>,
    /// Anthropic's `cache_control` of those of them that have one, by their place.
    pub system_cached: BTreeMap<usize, Value>,
    pub turns: Vec<Turn>,
    pub tools: Vec<Tool>,
    pub tool_choice: Option<ToolChoice>,
    pub parallel_tools: Option<bool>,
    pub format: Format,
    pub max_output: Option<u64>,
    pub temperature: Option<f64>,
    pub top_p: Option<f64>,
    pub top_k: Option<u64>,
    pub stop: Vec<String>,
    /// How many answers.
    pub choices: Option<u64>,
    pub seed: Option<i64>,
    pub presence_penalty: Option<f64>,
    pub frequency_penalty: Option<f64>,
    /// With so many alternatives for each token.
    pub logprobs: Option<u64>,
    pub reasoning: Option<Reasoning>,
    pub verbosity: Option<String>,
    pub user: Option<String>,
    /// Tools whose input is a text of any form, by name. To an upstream they are functions with one field, `input`.
    pub free: Vec<String>,
    /// Tools that go by another name than their own, which no provider takes: theirs, by the other.
    pub renamed: BTreeMap<String, String>,
    /// Fields that only OpenAI's own kind understands.
    pub extra: BTreeMap<&'static str, Value>,
    /// What its model takes, where more is said of that than Natter knows.
    pub takes: Option<Arc<Takes>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Speaker {
    User,
    Assistant,
    /// What stands above the conversation, said in the middle of it.
    System,
}

/// What one side says before the other does.
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
        /// By which Anthropic knows its own thought again.
        signature: Option<String>,
    },
    /// A thought that only its provider can read.
    Redacted(String),
    /// Anthropic's `cache_control` of what stands before it: a provider's cache is to hold everything up to here.
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
    /// OpenAI's `detail` of a picture.
    pub detail: Option<String>,
    pub name: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    /// Base64.
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
    /// JSON.
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
    /// JSON Schema.
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
    /// One of these; whether one must be used.
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

/// How much a model should think.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Reasoning {
    pub effort: Option<Effort>,
    /// Tokens.
    pub budget: Option<u64>,
    /// The caller wants to read the thoughts.
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
    /// Whether nothing is to be thought.
    pub fn is_off(&self) -> bool {
        self.effort == Some(Effort::None) || self.budget == Some(0)
    }
}

impl Effort {
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

    /// Tokens of thought, for providers that want a number.
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

    /// The effort that a number of tokens stands for.
    pub fn of_budget(tokens: u64) -> Self {
        [Self::None, Self::Minimal, Self::Low, Self::Medium, Self::High]
            .into_iter()
            .find(|effort| tokens <= effort.budget())
            .unwrap_or(Self::Xhigh)
    }
}

impl Request {
    /// Adds parts of a speaker, to the turn before where it is of the same one.
    pub fn say(&mut self, speaker: Speaker, parts: impl IntoIterator<Item = Part>) {
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

    /// Adds instructions: above the conversation, or at their place where it has begun. What comes before them stays as it was, which a provider's cache
    /// lives on.
    pub fn instruct(&mut self, texts: impl IntoIterator<Item = String>) {
        if self.turns.is_empty() {
            self.system.extend(texts);
        } else {
            self.say(Speaker::System, texts.into_iter().map(Part::Text));
        }
    }

    /// The request for a provider that knows instructions above the conversation only: those in the middle are marked texts of the user's.
    pub fn two_sided(&self) -> Cow<'_, Self> {
        if self.turns.iter().all(|turn| turn.speaker != Speaker::System) {
            return Cow::Borrowed(self);
        }
        let mut request = self.clone();
        for mut turn in std::mem::take(&mut request.turns) {
            if turn.speaker == Speaker::System {
                turn.speaker = Speaker::User;
                turn.parts.iter_mut().for_each(mark);
            }
            match request.turns.last_mut() {
                Some(last) if last.speaker == turn.speaker => {
                    last.parts.append(&mut turn.parts);
                    // Nothing may come between a call and its result.
                    last.parts.sort_by_key(|part| !matches!(part, Part::Result(_)));
                }
                _ => request.turns.push(turn),
            }
        }
        Cow::Owned(request)
    }

    /// The name of the tool that a call has asked for: the last one of this id before a turn, since some programs number them anew each time.
    pub fn called(&self, id: &str, before: usize) -> Option<&str> {
        self.turns.iter().take(before).rev().flat_map(|turn| turn.parts.iter().rev()).find_map(|part| match part {
            Part::Call(call) if call.id == id => Some(call.name.as_str()),
            _ => None,
        })
    }

    /// The system texts as one.
    pub fn system_text(&self) -> Option<String> {
        let texts: Vec<&str> = self.system.iter().map(|text| text.trim()).filter(|text| !text.is_empty()).collect();
        (!texts.is_empty()).then(|| texts.join("\n\n"))
    }
}

/// Marks an instruction as none of the user's, as agents do themselves.
fn mark(part: &mut Part) {
    if let Part::Text(text) = part
        && !text.trim_start().starts_with("<system-reminder>")
    {
        *text = format!("<system-reminder>\n{}\n</system-reminder>", text.trim());
    }
}

/// A piece of an answer.
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
    /// The thought before it is whole.
    Signature {
        choice: u32,
        signature: String,
    },
    Redacted {
        choice: u32,
        data: String,
    },
    /// A picture that the model has made.
    Picture {
        choice: u32,
        mime: String,
        /// Base64.
        data: String,
    },
    /// A call begins. `tool` counts the calls of a choice.
    Call {
        choice: u32,
        tool: u32,
        id: String,
        name: String,
        signature: Option<String>,
    },
    /// More of a call's arguments.
    Arguments {
        choice: u32,
        tool: u32,
        json: String,
    },
    /// A call of a tool whose input is free text begins.
    FreeCall {
        choice: u32,
        tool: u32,
        id: String,
        name: String,
    },
    /// All of its input.
    Input {
        choice: u32,
        tool: u32,
        text: String,
    },
    /// OpenAI's objects for tokens of the text.
    Logprobs {
        choice: u32,
        tokens: Vec<Value>,
    },
    Finish {
        choice: u32,
        finish: Finish,
    },
    Usage(Usage),
}

/// Reads an upstream's answer.
pub(crate) trait Reader: Send + 'static {
    /// Reads the data of one event of a stream.
    fn read(&mut self, data: &[u8], out: &mut Vec<Event>) -> Result<(), Failure>;
    /// Reads an answer in one piece.
    fn read_whole(&mut self, body: &[u8], out: &mut Vec<Event>) -> Result<(), Failure>;
    /// Whether the last frame of the protocol has come.
    fn is_done(&self) -> bool;
}

/// Writes a stream in an API's dialect.
pub(crate) trait Writer: Send + 'static {
    fn write(&mut self, event: &Event, out: &mut Vec<u8>);
    /// The end of a whole answer.
    fn end(&mut self, usage: &Usage, out: &mut Vec<u8>);
    /// How many frames were numbered so far.
    fn sequence(&self) -> u64 {
        0
    }
}

/// Keeps what an answer as a whole must hold to, whoever wrote it: each choice ends once, and one that made calls ends for them.
#[derive(Debug, Default)]
pub(crate) struct Order {
    ends: BTreeMap<u32, Option<Finish>>,
    calls: Vec<u32>,
}

impl Order {
    /// Takes the ends out of what was read; they come with [`ends`](Self::ends).
    pub fn keep(&mut self, events: &mut Vec<Event>) {
        events.retain(|event| match event {
            Event::Finish { choice, finish } => {
                self.ends.insert(*choice, Some(*finish));
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
            | Event::Picture { choice, .. } => {
                self.ends.entry(*choice).or_default();
                true
            }
            _ => true,
        });
    }

    /// Whether every choice that began has ended.
    pub fn is_whole(&self) -> bool {
        !self.ends.is_empty() && self.ends.values().all(Option::is_some)
    }

    /// The ends of all choices. `says_so`: the provider has sent its last frame, which ends those that have no end of their own.
    pub fn ends(&self, says_so: bool) -> Result<Vec<Event>, AiError> {
        if self.ends.is_empty() {
            return Err(if says_so { AiError::Empty } else { AiError::Cut });
        }
        let end = |(&choice, finish): (&u32, &Option<Finish>)| {
            let finish = finish.or(says_so.then_some(Finish::Stop)).ok_or(AiError::Cut)?;
            let has_calls = finish == Finish::Stop && self.calls.contains(&choice);
            Ok(Event::Finish { choice, finish: if has_calls { Finish::ToolCalls } else { finish } })
        };
        self.ends.iter().map(end).collect()
    }
}
