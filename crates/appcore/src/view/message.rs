//! Messages and their senders.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{AnswerKnowledge, Citation, Picture, Poll, ToolCall, Upload, stored_by_name};
use crate::{ConversationId, MessageId, Timestamp, UploadId, UserId};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Message {
    pub id: MessageId,
    pub conversation_id: ConversationId,
    /// The number of the event that created it.
    pub seq: i64,
    /// Its number in the conversation's main line; of a reply, its number in its thread.
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
    /// What links in it lead to, as far as that is known; none once deleted.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub previews: Vec<Preview>,
    /// In the order in which they were used first; none once deleted.
    pub reactions: Vec<Reaction>,
    /// Of a reply in a thread: the message that the thread belongs to.
    pub thread_id: Option<MessageId>,
    /// Of a reply: it is shown in the main line too.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub also_to_conversation: bool,
    /// The replies to it; null while there are none.
    pub thread: Option<ThreadSummary>,
    pub pinned_at: Option<Timestamp>,
    /// The message that it passes on: shown as far as the reader may read that one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub forwarded: Option<Forwarded>,
    /// What people choose from; the question is `content`. None where it is hidden or deleted.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub poll: Option<Poll>,
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
    /// Since when a moderator hides it: what it says is left out then, and its author reads it by `GET /r1/messages/{id}/hidden`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub hidden_at: Option<Timestamp>,
    pub created_at: Timestamp,
}

impl Message {
    /// A complete message without anything but its text. Its numbers are 0 until the writer assigns them.
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

    /// Whether it is made of more than its text: it has files, a poll or other versions, is an answer with its figures and thoughts, counts in a thread,
    /// or says something that is hidden.
    #[must_use]
    pub fn has_more(&self) -> bool {
        self.versions.is_some()
            || self.sender.kind == SenderKind::Assistant
            || !self.attachments.is_empty()
            || !self.previews.is_empty()
            || self.poll.is_some()
            || self.thread_id.is_some()
            || self.hidden_at.is_some()
    }
}

/// What a link leads to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Preview {
    pub url: String,
    pub title: Option<String>,
    pub description: Option<String>,
    /// A picture: at `/files/{id}/preview`, to be read by whoever may read the message.
    pub image_upload_id: Option<UploadId>,
    /// What the site calls itself, else its host.
    pub site: Option<String>,
}

/// One emoji under a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Reaction {
    /// One emoji, or `:name:` of one of the workspace's own.
    pub emoji: String,
    pub count: u64,
    /// The first of those who reacted with it, at most 20.
    pub user_ids: Vec<UserId>,
}

/// What is shown of a thread at the message that it belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ThreadSummary {
    /// Replies that are there.
    pub reply_count: u64,
    /// The number of the newest reply, deleted ones counted.
    pub last_no: i64,
    pub last_reply_at: Timestamp,
    /// The first of those who replied, at most five.
    pub participants: Vec<Participant>,
    /// When it was marked as solved; left out where it is not.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub solved_at: Option<Timestamp>,
}

/// Somebody who replied in a thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
pub struct Participant {
    pub kind: SenderKind,
    /// A `UserId` or an `AssistantId`.
    #[schema(value_type = String, format = Uuid)]
    pub id: uuid::Uuid,
}

/// Where a message is that another one passes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Forwarded {
    pub message_id: MessageId,
    pub conversation_id: ConversationId,
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

/// How many people mentions may mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reach {
    /// Those who are named, or nobody.
    Named,
    /// Those who are online.
    Here,
    Everybody,
}

impl Reach {
    #[must_use]
    pub fn of(mentions: &[Mention]) -> Self {
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
    /// The files of the messages that were read, the newest first, at most twenty; none where there are none.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub files: Vec<SeenFile>,
    /// What of the assistant's files was searched for it; none where it has none.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub knowledge: Option<AnswerKnowledge>,
    /// The places in the assistant's files that the text cites, as `[1]`.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub citations: Vec<Citation>,
}

/// What a model got of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SeenFile {
    pub upload_id: UploadId,
    pub name: String,
    pub how: SeenHow,
    /// Why it is unseen.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<UnseenReason>,
    /// What it took of the window, about.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub tokens: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum SeenHow {
    Whole,
    /// Only its beginning.
    Part,
    /// Only that it is there.
    Unseen,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum UnseenReason {
    /// The model doesn't see pictures.
    ModelBlind,
    /// Other files have taken the room that there is for files.
    TooLarge,
    /// There are more pictures than are shown at a time.
    TooMany,
    /// Files of this type can't be read.
    Type,
    /// It is broken, or isn't what it says it is.
    Unreadable,
    /// Its pages are pictures without text, such as scans, and the model doesn't read those.
    NoText,
    /// Nobody has written down yet what is said in it.
    NoTranscript,
    /// It was deleted meanwhile.
    Gone,
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
