//! Payloads of jobs that follow from a change. The jobs are stored in the transaction of the change
//! and executed by the crates that depend on this one.

use appcore::{AssistantId, ConversationId, Country, MessageId, UploadId};
use jobs::JobPayload;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Options of a request for an answer, with properties of the user who requests it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnswerOptions {
    /// Model that answers; overrides the model of the assistant and of the chat.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Country of the user; lets the answer use local units, prices and so on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub country: Option<Country>,
    /// Credit reservations, one per requested answer. Each is held until the worker of its answer
    /// takes it over.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub holds: Vec<Uuid>,
}

impl AnswerOptions {
    /// Returns the options for the answer with this index, with only the reservation that was made
    /// for it.
    pub(crate) fn for_answer(&self, number: usize) -> Self {
        Self { holds: self.holds.get(number).copied().into_iter().collect(), ..self.clone() }
    }
}

/// Job that writes an assistant's answer to a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnswerJob {
    pub conversation_id: ConversationId,
    /// Message to answer.
    pub question_id: MessageId,
    pub assistant_id: AssistantId,
    /// Id of the assistant's message. Chosen when the job is created, so that a worker that takes
    /// the job over writes to the same message.
    pub answer_id: MessageId,
    /// For the answer of a second model to the same question: the answer that it is compared with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub beside: Option<MessageId>,
    #[serde(default)]
    pub asking: AnswerOptions,
}

impl AnswerJob {
    /// Returns the concurrency key of an assistant's answers in a conversation.
    pub(crate) fn key(conversation_id: ConversationId, assistant_id: AssistantId) -> String {
        format!("{}:{conversation_id}:{assistant_id}", Self::KIND)
    }
}

impl JobPayload for AnswerJob {
    const KIND: &'static str = "answer";

    /// Concurrency key by which an assistant's answers within a conversation run one after the
    /// other. Answers of a second model have a separate key.
    fn concurrency_key(&self) -> String {
        let key = Self::key(self.conversation_id, self.assistant_id);
        if self.beside.is_some() { format!("{key}:2") } else { key }
    }

    fn subject(&self) -> Uuid {
        self.answer_id.0
    }
}

/// Job that names a conversation after its first answer is finished.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct TitleJob {
    pub conversation_id: ConversationId,
    pub question_id: MessageId,
    pub answer_id: MessageId,
    pub assistant_id: AssistantId,
}

impl JobPayload for TitleJob {
    const KIND: &'static str = "title";

    fn concurrency_key(&self) -> String {
        format!("{}:{}", Self::KIND, self.conversation_id)
    }

    fn subject(&self) -> Uuid {
        self.conversation_id.0
    }
}

/// Job that fetches the pages linked in a message and stores their previews.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct PreviewJob {
    pub conversation_id: ConversationId,
    pub message_id: MessageId,
}

impl JobPayload for PreviewJob {
    const KIND: &'static str = "preview";

    fn concurrency_key(&self) -> String {
        format!("{}:{}", Self::KIND, self.message_id)
    }

    fn subject(&self) -> Uuid {
        self.message_id.0
    }
}

/// Job that transcribes a voice note.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct TranscribeJob {
    pub conversation_id: ConversationId,
    pub message_id: MessageId,
    pub upload_id: UploadId,
}

impl JobPayload for TranscribeJob {
    const KIND: &'static str = "transcribe";

    fn concurrency_key(&self) -> String {
        format!("{}:{}", Self::KIND, self.upload_id)
    }

    fn subject(&self) -> Uuid {
        self.upload_id.0
    }
}
