//! Provider-independent chat requests and answers.

use std::sync::Arc;

use appcore::work_pool::WorkOwner;
use futures_util::stream::BoxStream;
use serde_json::Value;

use crate::{AiError, Usage, estimate_tokens, turn_tokens};

/// Speaker of a turn, as the model sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    User,
    Assistant,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChatMessage {
    pub role: Role,
    pub text: String,
    pub pictures: Vec<ChatPicture>,
    pub files: Vec<ChatFile>,
}

/// An attached file, for models that read its type natively.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChatFile {
    pub name: String,
    pub media_type: String,
    /// Content in base64.
    pub data: Arc<str>,
    /// Estimated tokens.
    pub tokens: usize,
}

impl ChatFile {
    /// Estimates the tokens of a document: providers show the model each page as an image with its
    /// text.
    #[must_use]
    pub fn estimate(pages: usize, text: &str) -> usize {
        // Size of a US Letter page at 100 dpi.
        const PAGE: usize = ChatPicture::estimate(850, 1_100);
        pages.saturating_mul(PAGE).saturating_add(estimate_tokens(text))
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChatPicture {
    pub media_type: String,
    /// Content in base64.
    pub data: Arc<str>,
    /// Estimated tokens.
    pub tokens: usize,
}

impl ChatPicture {
    /// Estimates the tokens of an image of this size in pixels. Uses the rate of the provider that
    /// counts the most; other providers count a few hundred to a few thousand tokens.
    #[must_use]
    pub const fn estimate(width: usize, height: usize) -> usize {
        const PIXELS_PER_TOKEN: usize = 750;
        const MIN_TOKENS: usize = 100;
        let tokens = width.saturating_mul(height) / PIXELS_PER_TOKEN;
        if tokens > MIN_TOKENS { tokens } else { MIN_TOKENS }
    }
}

impl ChatMessage {
    pub fn user(text: impl Into<String>) -> Self {
        Self { role: Role::User, text: text.into(), pictures: Vec::new(), files: Vec::new() }
    }

    pub fn assistant(text: impl Into<String>) -> Self {
        Self { role: Role::Assistant, text: text.into(), pictures: Vec::new(), files: Vec::new() }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct ChatTool {
    /// Letters, digits, `_` and `-`; at most 64 characters.
    pub name: String,
    pub description: Option<String>,
    /// JSON Schema of its arguments.
    pub parameters: Value,
}

/// A tool call requested by the model.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChatCall {
    /// Matches the call with its result; unique within a round.
    pub id: String,
    pub name: String,
    /// Raw text from the model, usually JSON.
    pub arguments: String,
    /// Provider's signature of the reasoning that led to the call.
    pub signature: Option<String>,
}

/// Result of a tool call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChatResult {
    pub call_id: String,
    pub text: String,
    /// Images of the result, for models with image input.
    pub pictures: Vec<ChatPicture>,
    pub is_error: bool,
}

/// Tool round: the model's text before the calls, the calls, and their results.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChatRound {
    pub text: String,
    pub calls: Vec<ChatCall>,
    pub results: Vec<ChatResult>,
}

/// A chat request. `model` is the provider's own name.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ChatRequest {
    pub model: String,
    /// Owner of the request. The large bodies of different owners are processed in turn.
    pub owner: WorkOwner,
    pub system: Option<String>,
    pub messages: Vec<ChatMessage>,
    pub tools: Vec<ChatTool>,
    /// Tool rounds since the last message.
    pub rounds: Vec<ChatRound>,
    /// True if the model may call no more tools.
    pub forbids_tool_calls: bool,
    /// Sampling temperature; `None` for the model's default.
    pub temperature: Option<f64>,
    /// Maximum output tokens; `None` for the model's default.
    pub max_tokens: Option<u32>,
    /// True if an administrator asks. Only the demo uses it.
    pub is_from_admin: bool,
}

impl ChatRequest {
    /// Conservative estimate of the input tokens.
    #[must_use]
    pub fn estimated_tokens(&self) -> u64 {
        let shown = |pictures: &[ChatPicture]| pictures.iter().map(|picture| picture.tokens).sum::<usize>();
        let turns = self.messages.iter().map(turn_tokens);
        let tools = self.tools.iter().map(|tool| {
            estimate_tokens(&tool.name)
                + estimate_tokens(tool.description.as_deref().unwrap_or_default())
                + estimate_tokens(&tool.parameters.to_string())
        });
        let rounds = self.rounds.iter().map(|round| {
            let calls = round.calls.iter().map(|call| estimate_tokens(&call.name) + estimate_tokens(&call.arguments));
            let results = round.results.iter().map(|result| estimate_tokens(&result.text) + shown(&result.pictures));
            estimate_tokens(&round.text) + calls.chain(results).sum::<usize>()
        });
        let system = estimate_tokens(self.system.as_deref().unwrap_or_default());
        let text: usize = system + turns.chain(tools).chain(rounds).sum::<usize>();
        // Adds an allowance for the markup around messages and tools.
        (text + text / 8 + 64) as u64
    }

    /// Returns the messages in the form that all providers accept: no empty turns, the first from
    /// the user, neighbours of one role merged. Some providers answer 400 otherwise.
    pub fn alternating(&self) -> Vec<ChatMessage> {
        let mut turns: Vec<ChatMessage> = Vec::with_capacity(self.messages.len());
        for message in &self.messages {
            let text = message.text.trim();
            let is_empty = text.is_empty() && message.pictures.is_empty() && message.files.is_empty();
            if is_empty || (turns.is_empty() && message.role == Role::Assistant) {
                continue;
            }
            match turns.last_mut() {
                Some(last) if last.role == message.role => {
                    if !last.text.is_empty() && !text.is_empty() {
                        last.text.push_str("\n\n");
                    }
                    last.text.push_str(text);
                    last.pictures.extend(message.pictures.iter().cloned());
                    last.files.extend(message.files.iter().cloned());
                }
                _ => turns.push(ChatMessage { text: text.to_owned(), ..message.clone() }),
            }
        }
        turns
    }

    /// Returns the system prompt, unless it is blank.
    pub fn system_text(&self) -> Option<&str> {
        self.system.as_deref().map(str::trim).filter(|text| !text.is_empty())
    }
}

/// Reason why the model stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finish {
    /// The model finished normally.
    Stop,
    /// The output limit was reached.
    Length,
    /// The provider's content filter stopped the answer.
    Filtered,
    /// The model requests tool calls.
    ToolCalls,
}

/// Increment of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChatDelta {
    /// More text, never empty.
    Text(String),
    /// Reasoning text, never empty. Not part of the answer.
    Thought(String),
    /// Requested tool calls, never empty. [`ChatDelta::Done`] follows.
    Calls(Vec<ChatCall>),
    /// End of the answer. Nothing follows.
    Done { finish: Finish, usage: Option<Box<Usage>> },
}

/// Stream of an answer: any number of [`ChatDelta::Text`] and [`ChatDelta::Thought`], at most one
/// [`ChatDelta::Calls`], then one [`ChatDelta::Done`] or one error. Dropping it cancels the
/// upstream request.
pub type ChatStream = BoxStream<'static, Result<ChatDelta, AiError>>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn estimates_documents_by_pages_and_text() {
        let tokens = ChatFile::estimate(3, "four");
        assert_eq!(tokens, 3 * ChatPicture::estimate(850, 1_100) + 1);
        let file = ChatFile {
            name: "a.pdf".to_owned(),
            media_type: "application/pdf".to_owned(),
            data: "JVBE".into(),
            tokens,
        };
        let given = ChatMessage { files: vec![file], ..ChatMessage::user("") };
        let request =
            ChatRequest { messages: vec![given.clone(), ChatMessage::user("What is it?")], ..ChatRequest::default() };
        assert!(request.estimated_tokens() > tokens as u64);
        assert_eq!(request.alternating(), [ChatMessage { text: "What is it?".to_owned(), ..given }]);
    }

    #[test]
    fn merges_neighbours_and_starts_with_a_user_turn() {
        let request = ChatRequest {
            messages: vec![
                ChatMessage::assistant("Welcome"),
                ChatMessage::user("An: hello"),
                ChatMessage::user("  "),
                ChatMessage::user("Binh: and me"),
                ChatMessage::assistant("Hi both"),
            ],
            ..ChatRequest::default()
        };
        assert_eq!(
            request.alternating(),
            [ChatMessage::user("An: hello\n\nBinh: and me"), ChatMessage::assistant("Hi both")]
        );
    }
}
