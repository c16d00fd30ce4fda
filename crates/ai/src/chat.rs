//! What is asked of a model and what comes back, in no provider's dialect.

use std::sync::Arc;

use appcore::work_pool::WorkOwner;
use futures_util::stream::BoxStream;
use serde_json::Value;

use crate::{AiError, Usage, estimate_tokens, turn_tokens};

/// Who said something, as a model sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    User,
    Assistant,
}

/// One turn of a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChatMessage {
    pub role: Role,
    pub text: String,
    /// What is shown with it.
    pub pictures: Vec<ChatPicture>,
    /// What is given with it to be read.
    pub files: Vec<ChatFile>,
}

/// A file that somebody gives, for a model that reads its kind as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChatFile {
    pub name: String,
    pub media_type: String,
    /// Base64.
    pub data: Arc<str>,
    /// What it takes of a window, about.
    pub tokens: usize,
}

impl ChatFile {
    /// What a document of so many pages with this text takes of a window, in tokens: providers show a model each page as a picture, with its text.
    #[must_use]
    pub fn estimate(pages: usize, text: &str) -> usize {
        // A page of paper at 100 dots an inch.
        const PAGE: usize = ChatPicture::estimate(850, 1_100);
        pages.saturating_mul(PAGE).saturating_add(estimate_tokens(text))
    }
}

/// A picture that somebody shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChatPicture {
    pub media_type: String,
    /// Base64.
    pub data: Arc<str>,
    /// What it takes of a window, about.
    pub tokens: usize,
}

impl ChatPicture {
    /// What a picture of this size takes of a window, in tokens. Providers count between some hundreds and some thousands; this is what the
    /// most careful of them says.
    #[must_use]
    pub const fn estimate(width: usize, height: usize) -> usize {
        const PIXELS_PER_TOKEN: usize = 750;
        const LEAST: usize = 100;
        let tokens = width.saturating_mul(height) / PIXELS_PER_TOKEN;
        if tokens > LEAST { tokens } else { LEAST }
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

/// A function that the model may call.
#[derive(Debug, Clone, PartialEq)]
pub struct ChatTool {
    /// Letters, digits, `_` and `-`, at most 64.
    pub name: String,
    pub description: Option<String>,
    /// JSON Schema of its arguments.
    pub parameters: Value,
}

/// A call that the model asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChatCall {
    /// By which its result finds it; no two calls of a round have the same.
    pub id: String,
    pub name: String,
    /// As the model wrote them: mostly JSON.
    pub arguments: String,
    /// By which the provider knows its own thought again.
    pub signature: Option<String>,
}

/// What came of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChatResult {
    pub call_id: String,
    pub text: String,
    /// For a model that sees them.
    pub pictures: Vec<ChatPicture>,
    pub is_error: bool,
}

/// What a model said before it asked for calls, the calls, and what came of each.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChatRound {
    pub text: String,
    pub calls: Vec<ChatCall>,
    pub results: Vec<ChatResult>,
}

/// A question to a model. `model` is the upstream's own name for it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ChatRequest {
    pub model: String,
    /// On whose behalf it is made: processing of large bodies takes turns by person.
    pub owner: WorkOwner,
    pub system: Option<String>,
    pub messages: Vec<ChatMessage>,
    /// What it may call.
    pub tools: Vec<ChatTool>,
    /// What has been called for the answer to the last of the messages.
    pub rounds: Vec<ChatRound>,
    /// It may call nothing more.
    pub no_more_calls: bool,
    /// The model's own where there is none.
    pub temperature: Option<f64>,
    /// The longest answer. The model's own where there is none.
    pub max_tokens: Option<u32>,
}

impl ChatRequest {
    /// A cautious guess of how many tokens the model reads.
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
        // Markup around all of it costs a little more.
        (text + text / 8 + 64) as u64
    }

    /// The turns as every provider accepts them: none empty, none of the assistant's before the first of a user's, neighbours
    /// of one role made one. Some providers answer 400 to anything else.
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

    /// The system prompt, unless it is blank.
    pub fn system_text(&self) -> Option<&str> {
        self.system.as_deref().map(str::trim).filter(|text| !text.is_empty())
    }
}

/// Why the model stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finish {
    /// It had said everything.
    Stop,
    /// It reached its longest answer.
    Length,
    /// The provider's filter cut it off.
    Filtered,
    /// It asks for its tools.
    ToolCalls,
}

/// A piece of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChatDelta {
    /// More text, never empty.
    Text(String),
    /// What the model thinks before it speaks, never empty. It is no part of the answer.
    Thought(String),
    /// The calls that the answer waits for, never none. Its end follows.
    Calls(Vec<ChatCall>),
    /// The end, said by the provider. Nothing follows.
    Done { finish: Finish, usage: Option<Usage> },
}

/// An answer on its way: any number of [`ChatDelta::Text`] and [`ChatDelta::Thought`], at most one [`ChatDelta::Calls`], then one [`ChatDelta::Done`] or one error, then nothing.
/// Dropping it ends the request upstream.
pub type ChatStream = BoxStream<'static, Result<ChatDelta, AiError>>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_counted_by_its_pages_and_its_text() {
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
    fn neighbours_of_one_role_become_one_turn_and_a_user_comes_first() {
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
