//! Drafts, scheduled messages and reminders.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Mention, Message};
use crate::{ConversationId, MessageId, ReminderId, ScheduledId, Timestamp, UploadId};

/// Draft of a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Draft {
    pub conversation_id: ConversationId,
    /// Root message of the thread; null outside of threads.
    #[schema(required)]
    pub thread_id: Option<MessageId>,
    /// Text; empty if the draft was deleted.
    pub content: String,
    /// Message that the draft replies to.
    #[schema(required)]
    pub reply_to: Option<MessageId>,
    pub updated_at: Timestamp,
}

/// Scheduled message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Scheduled {
    pub id: ScheduledId,
    pub conversation_id: ConversationId,
    /// `client_id` of the future message.
    pub client_id: String,
    pub content: String,
    #[schema(required)]
    pub reply_to: Option<MessageId>,
    /// Root message of the thread to send to.
    #[schema(required)]
    pub thread_id: Option<MessageId>,
    pub also_to_conversation: bool,
    pub mentions: Vec<Mention>,
    pub attachment_ids: Vec<UploadId>,
    pub send_at: Timestamp,
    pub created_at: Timestamp,
    /// Reason of the failure; null if pending. A failed message stays until it is changed, sent or
    /// deleted.
    #[schema(required)]
    pub failure: Option<ScheduledFailure>,
}

/// Reason why a scheduled message could not be sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ScheduledFailure {
    /// Error code.
    pub code: String,
    /// Message for the user.
    pub message: String,
}

/// Reminder of a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Reminder {
    pub id: ReminderId,
    pub message: Message,
    /// Note that the user has added.
    #[schema(required)]
    pub note: Option<String>,
    pub at: Timestamp,
    pub created_at: Timestamp,
}
