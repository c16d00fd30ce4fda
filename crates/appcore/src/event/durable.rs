//! Durable events, which are stored in a conversation's log.

use serde::Serialize;
use strum::IntoStaticStr;
use utoipa::ToSchema;

use crate::{
    MessageId, Timestamp, UserId,
    view::{
        AssistantMember, ConversationKind, HistoryScope, Member, MentionAll, Message, PollResults, Posting, Preview,
        ThreadSummary,
    },
};

/// Payload of a durable event. When it is sent, `conversation_id` and `seq` precede its fields. The
/// strum name is the event's `type`.
#[derive(Clone, Debug, Serialize, ToSchema, IntoStaticStr)]
#[serde(untagged)]
pub enum DurableBody {
    /// A message was sent, or an assistant started to answer (`status` `streaming`).
    #[schema(title = "message.created")]
    #[strum(serialize = "message.created")]
    MessageCreated { message: Box<Message> },
    /// A message was edited, or its prompt or answer was replaced by another version.
    #[schema(title = "message.updated")]
    #[strum(serialize = "message.updated")]
    MessageUpdated {
        message: Box<Message>,
        /// True if another version of the message is selected, which also changes the messages
        /// after it.
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        branch_changed: bool,
    },
    #[schema(title = "message.deleted")]
    #[strum(serialize = "message.deleted")]
    MessageDeleted {
        message_id: MessageId,
        /// Root message of the thread, if the deleted message was a reply.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        thread_id: Option<MessageId>,
        /// Summary of the thread without the deleted reply.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        thread: Option<ThreadSummary>,
    },
    /// An assistant's answer is complete.
    #[schema(title = "message.completed")]
    #[strum(serialize = "message.completed")]
    MessageCompleted { message: Box<Message> },
    /// An assistant's answer failed; `reason` is shown to users.
    #[schema(title = "message.failed")]
    #[strum(serialize = "message.failed")]
    MessageFailed { message: Box<Message>, reason: String },
    #[schema(title = "reaction.added")]
    #[strum(serialize = "reaction.added")]
    ReactionAdded { message_id: MessageId, emoji: String, user_id: UserId },
    #[schema(title = "reaction.removed")]
    #[strum(serialize = "reaction.removed")]
    ReactionRemoved { message_id: MessageId, emoji: String, user_id: UserId },
    #[schema(title = "message.pinned")]
    #[strum(serialize = "message.pinned")]
    MessagePinned { message_id: MessageId, user_id: UserId, pinned_at: Timestamp },
    /// Previews of the links in a message were loaded or removed.
    #[schema(title = "message.previews")]
    #[strum(serialize = "message.previews")]
    MessagePreviews { message_id: MessageId, previews: Vec<Preview> },
    #[schema(title = "message.unpinned")]
    #[strum(serialize = "message.unpinned")]
    MessageUnpinned { message_id: MessageId, user_id: UserId },
    /// A vote was cast or withdrawn, or the poll was closed. `results` replaces the results in
    /// `message.poll`.
    #[schema(title = "poll.updated")]
    #[strum(serialize = "poll.updated")]
    PollUpdated { message_id: MessageId, results: PollResults },
    #[schema(title = "member.added")]
    #[strum(serialize = "member.added")]
    MemberAdded { member: Member },
    /// A member left or was removed.
    #[schema(title = "member.removed")]
    #[strum(serialize = "member.removed")]
    MemberRemoved { user_id: UserId },
    /// A member's role or name changed.
    #[schema(title = "member.updated")]
    #[strum(serialize = "member.updated")]
    MemberUpdated { member: Member },
    /// The kind, title, topic, assistants, model or permissions of the conversation changed.
    #[schema(title = "conversation.updated")]
    #[strum(serialize = "conversation.updated")]
    ConversationUpdated {
        kind: ConversationKind,
        #[schema(required)]
        title: Option<String>,
        #[schema(required)]
        topic: Option<String>,
        posting: Posting,
        mention_all: MentionAll,
        history: HistoryScope,
        slow_mode_seconds: i64,
        assistants: Vec<AssistantMember>,
        /// Selected model; absent if it is the assistant's own.
        #[serde(skip_serializing_if = "Option::is_none")]
        model: Option<String>,
    },
    #[schema(title = "conversation.archived")]
    #[strum(serialize = "conversation.archived")]
    ConversationArchived { archived_at: Timestamp },
    #[schema(title = "conversation.unarchived")]
    #[strum(serialize = "conversation.unarchived")]
    ConversationUnarchived {},
    #[schema(title = "conversation.deleted")]
    #[strum(serialize = "conversation.deleted")]
    ConversationDeleted {},
}

impl DurableBody {
    pub(super) fn updated_text_message(&self) -> Option<MessageId> {
        match self {
            Self::MessageUpdated { message, .. }
            | Self::MessageCompleted { message, .. }
            | Self::MessageFailed { message, .. } => {
                let has_more = !message.tool_calls.is_empty() || !message.attachments.is_empty();
                (!message.content.is_empty() || has_more).then_some(message.id)
            }
            Self::MessagePreviews { message_id, previews } => (!previews.is_empty()).then_some(*message_id),
            _ => None,
        }
    }
}
