//! Client format in which an answer is written.

use serde_json::Value;

use crate::{
    Usage,
    canonical::{Answer, Writer},
    dialect::{
        AnswerHead,
        anthropic::{self, client_format::MessageWriter},
        gemini::{self, client_format::GeminiWriter},
        openai_chat::{self, client_format::ChatWriter, request::WriteOptions},
        openai_responses::{
            self,
            answer::{ResponseWriter, compaction::CompactionWriter},
        },
    },
    provider_http::failure::Failure,
    response_history::ResponseRecorder,
};

/// Client format of an answer, with what depends on the request.
#[derive(Clone)]
pub(super) enum AnswerFormat {
    Chat(WriteOptions),
    Responses {
        /// Request fields that the answer echoes.
        repeated: Value,
        record: Option<ResponseRecorder>,
        /// True if the answer is a summary that replaces the conversation.
        is_compaction: bool,
    },
    Messages {
        /// True if the client asked for a web search.
        has_search: bool,
    },
    Gemini(gemini::client_format::AnswerOptions),
}

impl AnswerFormat {
    /// Writes a whole answer.
    pub fn whole(&self, head: &AnswerHead, answer: &Answer, usage: &Usage) -> Result<Value, Failure> {
        Ok(match self {
            Self::Chat(options) => openai_chat::client_format::whole_with_audio(head, answer, usage, options.audio),
            Self::Responses { repeated, record, is_compaction } => {
                let whole = if *is_compaction {
                    openai_responses::answer::compaction::whole(head, repeated, answer, usage)?
                } else {
                    openai_responses::answer::whole(head, repeated, answer, usage)
                };
                if let Some(record) = record {
                    record.store(&whole);
                }
                whole
            }
            Self::Messages { has_search } => anthropic::client_format::whole(head, answer, usage, *has_search),
            Self::Gemini(options) => gemini::client_format::whole(head, *options, answer, usage),
        })
    }

    /// Creates the writer of a stream. `asked` is the estimated number of input tokens.
    pub fn writer(&self, head: AnswerHead, asked: u64) -> Box<dyn Writer> {
        match self {
            Self::Chat(wishes) => Box::new(ChatWriter::new(&head, *wishes)),
            Self::Responses { repeated, record, is_compaction: true } => {
                Box::new(CompactionWriter::new(head, repeated.clone(), record.clone()))
            }
            Self::Responses { repeated, record, is_compaction: false } => {
                Box::new(ResponseWriter::new(head, repeated.clone(), record.clone()))
            }
            Self::Messages { has_search } => Box::new(MessageWriter::new(head, asked).with_search(*has_search)),
            Self::Gemini(options) => Box::new(GeminiWriter::new(head, *options)),
        }
    }
}
