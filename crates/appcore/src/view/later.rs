//! What somebody has begun to write, and what is to happen later.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Mention, Message};
use crate::{ConversationId, MessageId, ReminderId, ScheduledId, Timestamp, UploadId};

/// A message that somebody has begun to write.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Draft {
    pub conversation_id: ConversationId,
    /// The message in whose thread it is written; null: in the main line.
    #[schema(required)]
    pub thread_id: Option<MessageId>,
    /// Empty: there is none any more.
    pub content: String,
    /// The message that it answers.
    #[schema(required)]
    pub reply_to: Option<MessageId>,
    pub updated_at: Timestamp,
}

/// A message that is sent later.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Scheduled {
    pub id: ScheduledId,
    pub conversation_id: ConversationId,
    /// That of the message that comes of it.
    pub client_id: String,
    pub content: String,
    #[schema(required)]
    pub reply_to: Option<MessageId>,
    /// The message in whose thread it is to stand.
    #[schema(required)]
    pub thread_id: Option<MessageId>,
    pub also_to_conversation: bool,
    pub mentions: Vec<Mention>,
    pub attachment_ids: Vec<UploadId>,
    pub send_at: Timestamp,
    pub created_at: Timestamp,
    /// Why it could not be sent at its time; null where it waits for that. It stays until it is changed, sent, or deleted.
    #[schema(required)]
    pub failure: Option<ScheduledFailure>,
}

/// Why a message was not sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ScheduledFailure {
    /// The code that a refusal has.
    pub code: String,
    /// A sentence for the reader.
    pub message: String,
}

/// That somebody wants to be reminded of a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Reminder {
    pub id: ReminderId,
    pub message: Message,
    /// Their own words to it.
    #[schema(required)]
    pub note: Option<String>,
    pub at: Timestamp,
    pub created_at: Timestamp,
}
