//! The jobs that follow from a change, stored with it. How they are done is no matter of the log.

use appcore::{AssistantId, ConversationId, Country, MessageId, UploadId};
use jobs::Stored;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// What whoever asks an assistant says beside the question, and what is known of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnswerOptions {
    /// The model that is to answer, instead of the assistant's or the chat's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Where they are, for units, prices and the like.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub country: Option<Country>,
    /// What is held for each of the answers until its worker takes it over.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub holds: Vec<Uuid>,
}

impl AnswerOptions {
    /// The options of one of several answers, with what is held for it.
    pub(crate) fn of_answer(&self, number: usize) -> Self {
        Self { holds: self.holds.get(number).copied().into_iter().collect(), ..self.clone() }
    }
}

/// An assistant's answer to a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnswerJob {
    pub conversation_id: ConversationId,
    /// The message that is answered.
    pub question_id: MessageId,
    pub assistant_id: AssistantId,
    /// The assistant's message, chosen with the job: whoever takes the job over writes the same message.
    pub answer_id: MessageId,
    /// The answer that it is written beside, where two models answer one question.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub beside: Option<MessageId>,
    #[serde(default)]
    pub asking: AnswerOptions,
}

impl AnswerJob {
    /// The concurrency key of an assistant's answers in a conversation.
    pub(crate) fn key(conversation_id: ConversationId, assistant_id: AssistantId) -> String {
        format!("{}:{conversation_id}:{assistant_id}", Self::KIND)
    }
}

impl Stored for AnswerJob {
    const KIND: &'static str = "answer";

    /// An assistant gives its answers in one conversation one after the other; a second model's are a line of their own.
    fn concurrency_key(&self) -> String {
        let key = Self::key(self.conversation_id, self.assistant_id);
        if self.beside.is_some() { format!("{key}:2") } else { key }
    }

    fn subject(&self) -> Uuid {
        self.answer_id.0
    }
}

/// The title of a conversation whose first answer has ended.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct TitleJob {
    pub conversation_id: ConversationId,
    pub question_id: MessageId,
    pub answer_id: MessageId,
    pub assistant_id: AssistantId,
}

impl Stored for TitleJob {
    const KIND: &'static str = "title";

    fn concurrency_key(&self) -> String {
        format!("{}:{}", Self::KIND, self.conversation_id)
    }

    fn subject(&self) -> Uuid {
        self.conversation_id.0
    }
}

/// Reads the pages that a message links to.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct PreviewJob {
    pub conversation_id: ConversationId,
    pub message_id: MessageId,
}

impl Stored for PreviewJob {
    const KIND: &'static str = "preview";

    fn concurrency_key(&self) -> String {
        format!("{}:{}", Self::KIND, self.message_id)
    }

    fn subject(&self) -> Uuid {
        self.message_id.0
    }
}

/// Writes down what is said in a voice note.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct TranscribeJob {
    pub conversation_id: ConversationId,
    pub message_id: MessageId,
    pub upload_id: UploadId,
}

impl Stored for TranscribeJob {
    const KIND: &'static str = "transcribe";

    fn concurrency_key(&self) -> String {
        format!("{}:{}", Self::KIND, self.upload_id)
    }

    fn subject(&self) -> Uuid {
        self.upload_id.0
    }
}
