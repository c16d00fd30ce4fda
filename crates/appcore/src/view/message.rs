//! Messages and their senders.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{AnswerKnowledge, Citation, Picture, Poll, ToolCall, Upload, stored_by_name};
use crate::{ConversationId, MessageId, Timestamp, UploadId, UserId};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Message {
    pub id: MessageId,
    pub conversation_id: ConversationId,
    /// Sequence number of the event that created the message.
    pub seq: i64,
    /// Number of the message outside of threads or, for a reply, in its thread.
    pub no: i64,
    pub client_id: Option<String>,
    pub sender: Sender,
    /// Text; empty if deleted.
    pub content: String,
    pub status: MessageStatus,
    /// Message that this one replies to.
    pub reply_to: Option<MessageId>,
    /// Reason why the assistant failed, for users.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Model that wrote an assistant's message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Mentions that the sender has declared.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub mentions: Vec<Mention>,
    /// Attached files; empty if deleted.
    pub attachments: Vec<Upload>,
    /// Loaded link previews; empty if deleted.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub previews: Vec<Preview>,
    /// Reactions, by first use; empty if deleted.
    pub reactions: Vec<Reaction>,
    /// Root message of the thread, for a reply.
    pub thread_id: Option<MessageId>,
    /// True if a reply is also in the main timeline.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub also_to_conversation: bool,
    /// Summary of the replies; null if none.
    pub thread: Option<ThreadSummary>,
    pub pinned_at: Option<Timestamp>,
    /// Forwarded message, only for readers who may read it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub forwarded: Option<Forwarded>,
    /// Poll about the question `content`; absent if the message is hidden or deleted.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub poll: Option<Poll>,
    /// Version that is shown; absent if there is only one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub versions: Option<Versions>,
    /// Tool calls of an answer, in order; absent if none.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub tool_calls: Vec<ToolCall>,
    /// Statistics of a complete answer of an assistant.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub answer: Option<AnswerStats>,
    pub edited_at: Option<Timestamp>,
    pub deleted_at: Option<Timestamp>,
    /// Time at which a moderator hid the message. The content is omitted; the author reads it with
    /// `GET /r1/messages/{id}/hidden`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub hidden_at: Option<Timestamp>,
    pub created_at: Timestamp,
}

impl Message {
    /// Creates a complete message that only has a text. Its numbers are 0 until the writer assigns
    /// them.
    #[must_use]
    pub const fn new(
        id: MessageId,
        conversation_id: ConversationId,
        sender: Sender,
        content: String,
        created_at: Timestamp,
    ) -> Self {
        Self {
            id,
            conversation_id,
            seq: 0,
            no: 0,
            client_id: None,
            sender,
            content,
            status: MessageStatus::Complete,
            reply_to: None,
            reason: None,
            model: None,
            mentions: Vec::new(),
            attachments: Vec::new(),
            previews: Vec::new(),
            reactions: Vec::new(),
            thread_id: None,
            also_to_conversation: false,
            thread: None,
            pinned_at: None,
            forwarded: None,
            poll: None,
            versions: None,
            tool_calls: Vec::new(),
            answer: None,
            edited_at: None,
            deleted_at: None,
            hidden_at: None,
            created_at,
        }
    }

    /// True if the message has more than its text, for example files, previews, a poll, other
    /// versions, statistics of an answer, a number in a thread, or hidden content.
    #[must_use]
    pub fn has_more_than_text(&self) -> bool {
        self.versions.is_some()
            || self.sender.kind == SenderKind::Assistant
            || !self.attachments.is_empty()
            || !self.previews.is_empty()
            || self.poll.is_some()
            || self.thread_id.is_some()
            || self.hidden_at.is_some()
    }
}

/// Link preview.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Preview {
    pub url: String,
    pub title: Option<String>,
    pub description: Option<String>,
    /// Picture at `/files/{id}/preview`, for everyone who may read the message.
    pub image_upload_id: Option<UploadId>,
    /// Name or host name of the site.
    pub site: Option<String>,
}

/// Reactions to a message with one emoji.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Reaction {
    /// Emoji, or `:name:` of a custom one.
    pub emoji: String,
    pub count: u64,
    /// Users who reacted: the first ones, at most 20.
    pub user_ids: Vec<UserId>,
}

/// Summary of a thread, which is part of its root message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ThreadSummary {
    /// Number of replies, without deleted ones.
    pub reply_count: u64,
    /// Number of the newest reply, even if deleted.
    pub last_no: i64,
    pub last_reply_at: Timestamp,
    /// The first participants, at most five.
    pub participants: Vec<Participant>,
    /// Time at which the thread was solved; absent if not.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub solved_at: Option<Timestamp>,
}

/// Participant of a thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
pub struct Participant {
    pub kind: SenderKind,
    /// Id of a user or an assistant.
    #[schema(value_type = String, format = Uuid)]
    pub id: uuid::Uuid,
}

/// Reference to a forwarded message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Forwarded {
    pub message_id: MessageId,
    pub conversation_id: ConversationId,
}

/// Mention of a user, an assistant or a group of members in a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
pub struct Mention {
    pub kind: MentionKind,
    /// Id; absent for `all` and `here`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[schema(value_type = Option<String>, format = Uuid)]
    pub id: Option<uuid::Uuid>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum MentionKind {
    User,
    Assistant,
    /// All members.
    All,
    /// All members who are online.
    Here,
}

/// Largest group that a message mentions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum MentionScope {
    /// Only the users who are mentioned individually, if any.
    Named,
    /// All members who are online.
    Here,
    Everybody,
}

impl MentionScope {
    #[must_use]
    pub fn from_mentions(mentions: &[Mention]) -> Self {
        let has = |kind| mentions.iter().any(|mention| mention.kind == kind);
        if has(MentionKind::All) {
            Self::Everybody
        } else if has(MentionKind::Here) {
            Self::Here
        } else {
            Self::Named
        }
    }
}

/// Version of a message in a chat with an assistant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Versions {
    /// Number of the selected version, from 1.
    pub index: i64,
    pub count: i64,
}

/// Duration and usage of an answer; token counts of the provider.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = AnswerFigures)]
pub struct AnswerStats {
    /// Time from the request to the first word, in milliseconds.
    pub first_token_ms: Option<u64>,
    pub duration_ms: u64,
    /// Thinking time before the first word, in milliseconds; null if none.
    pub thought_ms: Option<u64>,
    /// Input tokens, including cached ones.
    pub input_tokens: Option<u64>,
    pub cached_tokens: Option<u64>,
    /// Output tokens, including reasoning.
    pub output_tokens: Option<u64>,
    pub reasoning_tokens: Option<u64>,
    /// Cost in micro-credits; null if it is unknown.
    pub cost: Option<i64>,
    /// True if the token counts are estimates.
    pub estimated: bool,
    pub context: AnswerContext,
    /// Newest files in the messages given to the model, at most 20.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub files: Vec<ContextFile>,
    /// Result of the search in knowledge files; absent if there are none.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub knowledge: Option<AnswerKnowledge>,
    /// Citations, which the text contains as `[1]`.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub citations: Vec<Citation>,
}

/// File that a model was given with the messages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = SeenFile)]
pub struct ContextFile {
    pub upload_id: UploadId,
    pub name: String,
    pub how: ContextCoverage,
    /// Reason why the file was not read, or not completely.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<OmissionReason>,
    /// Estimated number of tokens of the file.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub tokens: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = SeenHow)]
pub enum ContextCoverage {
    Whole,
    /// The model read only the beginning of the file.
    Part,
    /// The model was given only the name of the file.
    Unseen,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = UnseenReason)]
pub enum OmissionReason {
    /// The model doesn't support images.
    ModelBlind,
    /// Other files have used up the space in the request.
    TooLarge,
    /// There are more images than allowed.
    TooMany,
    /// Files of this type are not supported.
    Type,
    /// The file is damaged, or its content doesn't match its type.
    Unreadable,
    /// The pages are images without text, such as scans, and the model can't read images.
    NoText,
    /// The recording is not transcribed yet.
    NoTranscript,
    /// The file was deleted.
    Gone,
}

/// Usage of the model's context window for an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AnswerContext {
    /// Number of input tokens, as counted or estimated.
    pub used: u64,
    /// Maximum number of input tokens.
    pub window: u64,
    /// Number of messages that the model was given.
    pub messages: u64,
}

/// Statistics of an answer, and the model's reasoning.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AnswerDetails {
    pub message_id: MessageId,
    /// Model that wrote the answer.
    pub model: Option<String>,
    /// Statistics; null during the answer.
    pub answer: Option<AnswerStats>,
    /// Reasoning of the model, if reported; truncated if very long.
    pub thinking: Option<String>,
    /// Tool calls with complete arguments and results.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub tool_calls: Vec<ToolCall>,
}

/// Sender of a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Sender {
    pub kind: SenderKind,
    /// Id; null for the system and for deleted accounts.
    #[schema(value_type = Option<String>, format = Uuid)]
    pub id: Option<uuid::Uuid>,
    pub name: String,
    /// Picture of an assistant.
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
