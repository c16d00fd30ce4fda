//! Messages and their senders.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Picture, ToolCall, Upload, stored_by_name};
use crate::{ConversationId, MessageId, Timestamp};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Message {
    pub id: MessageId,
    pub conversation_id: ConversationId,
    /// The number of the event that created it.
    pub seq: i64,
    /// Its number among the conversation's messages.
    pub no: i64,
    pub client_id: Option<String>,
    pub sender: Sender,
    /// Empty once deleted.
    pub content: String,
    pub status: MessageStatus,
    /// The message that this one answers.
    pub reply_to: Option<MessageId>,
    /// Why an assistant's message failed, for the reader.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The model that wrote an assistant's message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Whom it mentions, as its sender said.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub mentions: Vec<Mention>,
    /// Files; none once deleted.
    pub attachments: Vec<Upload>,
    /// Reactions; none yet.
    #[schema(value_type = Vec<Object>)]
    pub reactions: Vec<serde_json::Value>,
    /// Which version of a prompt or an answer this is; none where there is one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub versions: Option<Versions>,
    /// The tools that were called for an assistant's answer, in their order; none where there are none.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub tool_calls: Vec<ToolCall>,
    /// What is known of an assistant's answer that has ended.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub answer: Option<AnswerFigures>,
    pub edited_at: Option<Timestamp>,
    pub deleted_at: Option<Timestamp>,
    pub created_at: Timestamp,
}

impl Message {
    /// Whether it is made of more than its text: it has files or other versions, or is an answer with its figures and thoughts.
    #[must_use]
    pub fn has_more(&self) -> bool {
        self.versions.is_some() || self.sender.kind == SenderKind::Assistant || !self.attachments.is_empty()
    }
}

/// Somebody whom a message mentions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
pub struct Mention {
    pub kind: MentionKind,
    /// A `UserId` or an `AssistantId`; none for `all` and `here`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[schema(value_type = Option<String>, format = Uuid)]
    pub id: Option<uuid::Uuid>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum MentionKind {
    User,
    Assistant,
    /// Every member.
    All,
    /// The members who are online.
    Here,
}

/// The versions of a message in a chat with an assistant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Versions {
    /// The one that is shown, from 1.
    pub index: i64,
    pub count: i64,
}

/// How long an answer took, and what was used for it. Tokens are as the provider counted them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AnswerFigures {
    /// From the question to the model to its first word.
    pub first_token_ms: Option<u64>,
    pub duration_ms: u64,
    /// How long it thought before the first word, where it said so.
    pub thought_ms: Option<u64>,
    /// All that was read, from a cache too.
    pub input_tokens: Option<u64>,
    pub cached_tokens: Option<u64>,
    /// All that was written, thinking too.
    pub output_tokens: Option<u64>,
    pub reasoning_tokens: Option<u64>,
    /// In micro-credits. Null: it is not known.
    pub cost: Option<i64>,
    /// The provider did not say how many tokens it were.
    pub estimated: bool,
    pub context: AnswerContext,
}

/// What of a model's window an answer's question took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AnswerContext {
    /// Tokens that were read, as counted or estimated.
    pub used: u64,
    /// Tokens that are read at most.
    pub window: u64,
    /// How many messages were among them.
    pub messages: u64,
}

/// An answer's figures, and what the model thought before it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AnswerDetails {
    pub message_id: MessageId,
    /// The model that wrote it.
    pub model: Option<String>,
    /// Null while it is being written.
    pub answer: Option<AnswerFigures>,
    /// What the model thought, where it said so; cut where it is very long.
    pub thinking: Option<String>,
    /// The calls of tools, with their whole arguments and results.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub tool_calls: Vec<ToolCall>,
}

/// Who a message is from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Sender {
    pub kind: SenderKind,
    /// A `UserId` or an `AssistantId`; none for the system and for deleted accounts.
    #[schema(value_type = Option<String>, format = Uuid)]
    pub id: Option<uuid::Uuid>,
    pub name: String,
    /// What an assistant looks like that has a picture.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub picture: Option<Picture>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum SenderKind {
    User,
    Assistant,
    System,
    Deleted,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum MessageStatus {
    Complete,
    Streaming,
    Failed,
    Stopped,
}

stored_by_name! {
    SenderKind { User = "user", Assistant = "assistant", System = "system", Deleted = "deleted" }
    MessageStatus { Complete = "complete", Streaming = "streaming", Failed = "failed", Stopped = "stopped" }
}
