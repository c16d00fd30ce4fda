//! A whole answer, assembled from its events.

use serde_json::Value;

use super::{Citation, Event, PcmAudio, ToolCall};
use crate::{Finish, web_search::SearchRun};

#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Answer {
    pub choices: Vec<Choice>,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Choice {
    pub blocks: Vec<Block>,
    pub logprobs: Vec<Value>,
    pub citations: Vec<Citation>,
    pub finish: Option<Finish>,
    /// Matched stop sequence, if the provider names it.
    pub stop_sequence: Option<String>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Block {
    Text(String),
    Refusal(String),
    Thinking {
        text: String,
        signature: Option<String>,
        /// OpenRouter's `reasoning_details`.
        details: Vec<Value>,
    },
    Redacted(String),
    /// A generated image: media type and base64 data.
    Picture {
        mime: String,
        data: String,
    },
    Audio(PcmAudio),
    Call(ToolCall),
    /// Call of a free-form tool, whose arguments are the text.
    FreeCall(ToolCall),
    Search(SearchRun),
}

impl Answer {
    pub fn from_events(events: Vec<Event>) -> Self {
        let mut answer = Self::default();
        for event in events {
            answer.add(event);
        }
        answer
    }

    fn choice(&mut self, index: u32) -> &mut Choice {
        // Requests ask for at most 128 choices. A larger index is invalid and counts as that of the
        // last choice.
        let index = index.min(127) as usize;
        if self.choices.len() <= index {
            self.choices.resize_with(index + 1, Choice::default);
        }
        &mut self.choices[index]
    }

    fn add(&mut self, event: Event) {
        match event {
            Event::Text { choice, text } => match self.choice(choice).blocks.last_mut() {
                Some(Block::Text(before)) => before.push_str(&text),
                _ => self.choice(choice).blocks.push(Block::Text(text)),
            },
            Event::Refusal { choice, text } => match self.choice(choice).blocks.last_mut() {
                Some(Block::Refusal(before)) => before.push_str(&text),
                _ => self.choice(choice).blocks.push(Block::Refusal(text)),
            },
            Event::Thinking { choice, text } => match self.choice(choice).blocks.last_mut() {
                Some(Block::Thinking { text: before, signature: None, details }) if details.is_empty() => {
                    before.push_str(&text);
                }
                _ => {
                    let block = Block::Thinking { text, signature: None, details: Vec::new() };
                    self.choice(choice).blocks.push(block);
                }
            },
            Event::Signature { choice, signature: signed } => match self.choice(choice).blocks.last_mut() {
                Some(Block::Thinking { signature: signature @ None, .. }) => *signature = Some(signed),
                _ => {
                    let block = Block::Thinking { text: String::new(), signature: Some(signed), details: Vec::new() };
                    self.choice(choice).blocks.push(block);
                }
            },
            Event::ReasoningDetails { choice, details: more } => match self.choice(choice).blocks.last_mut() {
                Some(Block::Thinking { signature: None, details, .. }) if details.is_empty() => *details = more,
                _ => {
                    let block = Block::Thinking { text: String::new(), signature: None, details: more };
                    self.choice(choice).blocks.push(block);
                }
            },
            Event::Redacted { choice, data } => self.choice(choice).blocks.push(Block::Redacted(data)),
            Event::Picture { choice, mime, data } => self.choice(choice).blocks.push(Block::Picture { mime, data }),
            Event::Audio { choice, audio } => match self.choice(choice).blocks.last_mut() {
                Some(Block::Audio(before)) => {
                    before.samples = [&before.samples[..], &audio.samples[..]].concat().into();
                }
                _ => self.choice(choice).blocks.push(Block::Audio(audio)),
            },
            Event::Call { choice, id, name, signature, .. } => {
                let call = ToolCall { id, name, arguments: String::new(), signature };
                self.choice(choice).blocks.push(Block::Call(call));
            }
            Event::CustomCall { choice, id, name, .. } => {
                let call = ToolCall { id, name, ..ToolCall::default() };
                self.choice(choice).blocks.push(Block::FreeCall(call));
            }
            Event::Arguments { choice, tool, json: text } | Event::Input { choice, tool, text } => {
                let mut calls = self.choice(choice).blocks.iter_mut().filter_map(|block| match block {
                    Block::Call(call) | Block::FreeCall(call) => Some(call),
                    _ => None,
                });
                if let Some(call) = calls.nth(tool as usize) {
                    call.arguments.push_str(&text);
                }
            }
            Event::Search { choice, run } => self.choice(choice).blocks.push(Block::Search(run)),
            Event::Citation { choice, citation } => self.choice(choice).citations.push(citation),
            Event::Logprobs { choice, tokens } => self.choice(choice).logprobs.extend(tokens),
            Event::Finish { choice, finish, stop_sequence } => {
                let choice = self.choice(choice);
                (choice.finish, choice.stop_sequence) = (Some(finish), stop_sequence);
            }
            Event::Usage(_) => {}
        }
    }
}

impl Choice {
    pub fn text(&self) -> String {
        self.joined(|block| match block {
            Block::Text(text) => Some(text),
            _ => None,
        })
    }

    pub fn refusal(&self) -> String {
        self.joined(|block| match block {
            Block::Refusal(text) => Some(text),
            _ => None,
        })
    }

    pub fn thinking(&self) -> String {
        self.joined(|block| match block {
            Block::Thinking { text, .. } => Some(text),
            _ => None,
        })
    }

    fn joined<'a>(&'a self, text: impl Fn(&'a Block) -> Option<&'a String>) -> String {
        self.blocks.iter().filter_map(text).map(String::as_str).collect()
    }

    /// Tool calls, each with a flag that is true if its input is free-form.
    pub fn calls(&self) -> impl Iterator<Item = (&ToolCall, bool)> {
        self.blocks.iter().filter_map(|block| match block {
            Block::Call(call) => Some((call, false)),
            Block::FreeCall(call) => Some((call, true)),
            _ => None,
        })
    }
}
