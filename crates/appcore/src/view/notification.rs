//! Notifications and their settings.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Notify, Sender, stored_by_name};
use crate::{ConversationId, MessageId, NotificationId, Timestamp, UploadId};

/// Reason for a notification.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum NotificationKind {
    /// A message mentions the user, or everybody.
    Mention,
    /// A message contains one of the user's keywords.
    Keyword,
    /// There are new replies in a thread that the user follows.
    Thread,
    /// There are new messages in a conversation for which the user wants to be notified of all
    /// messages.
    Message,
    /// Another user has reacted to a message of the user.
    Reaction,
    /// A reminder that the user has set is due.
    Reminder,
    /// An export that the user requested is complete.
    Export,
    /// The server has a notice for the user.
    System,
}

stored_by_name! {
    NotificationKind {
        Mention = "mention",
        Keyword = "keyword",
        Thread = "thread",
        Message = "message",
        Reaction = "reaction",
        Reminder = "reminder",
        Export = "export",
        System = "system",
    }
}

impl NotificationKind {
    pub const ALL: [Self; 8] = [
        Self::Mention,
        Self::Keyword,
        Self::Thread,
        Self::Message,
        Self::Reaction,
        Self::Reminder,
        Self::Export,
        Self::System,
    ];
}

/// Notification of a user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(title = "notification")]
pub struct Notification {
    pub id: NotificationId,
    pub kind: NotificationKind,
    pub conversation_id: Option<ConversationId>,
    /// Newest message of the notification.
    pub message_id: Option<MessageId>,
    /// Root message of the thread of `message_id`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub thread_id: Option<MessageId>,
    /// Author of the message or last reaction.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub actor: Option<Sender>,
    /// Number of messages, replies or reactions covered.
    pub count: i64,
    /// Keyword that matched, emoji of the last reaction, or due date of a task.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub detail: Option<String>,
    /// File that an export has created.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub upload_id: Option<UploadId>,
    /// Heading with author and conversation.
    pub title: String,
    /// Beginning of the text, without markup.
    pub text: String,
    /// True if listed without an alert (muted or "do not disturb").
    pub silent: bool,
    pub created_at: Timestamp,
    pub read_at: Option<Timestamp>,
}

/// Notification settings of a user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NotificationSettings {
    /// Messages to be notified of by default. `mentions` stands for direct messages, mentions,
    /// keywords and replies in followed threads.
    pub level: Notify,
    /// Words to be notified of anywhere, regardless of case and accents.
    pub keywords: Vec<String>,
    /// Quiet hours; null if there are none.
    pub quiet: Option<QuietHours>,
    /// Time until which "do not disturb" is on.
    pub dnd_until: Option<Timestamp>,
    /// Minutes after which missed messages are e-mailed; null for never.
    pub mail_after_minutes: Option<i64>,
    /// True to send push notifications.
    pub push: bool,
    /// True if push notifications contain the text of the message.
    pub show_text: bool,
}

impl Default for NotificationSettings {
    fn default() -> Self {
        Self {
            level: Notify::Mentions,
            keywords: Vec::new(),
            quiet: None,
            dnd_until: None,
            mail_after_minutes: None,
            push: true,
            show_text: true,
        }
    }
}

/// Weekly times of "do not disturb".
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct QuietHours {
    /// Start time, such as `22:00`.
    #[schema(pattern = "^([01][0-9]|2[0-3]):[0-5][0-9]$")]
    pub from: String,
    /// End, such as `07:00`; on the following day if not later than `from`.
    #[schema(pattern = "^([01][0-9]|2[0-3]):[0-5][0-9]$")]
    pub to: String,
    /// Weekdays of the start, from 1 (Monday) to 7 (Sunday).
    #[schema(min_items = 1, max_items = 7)]
    pub days: Vec<u8>,
    /// IANA time zone, such as `Europe/Berlin`.
    #[schema(max_length = 64)]
    pub timezone: String,
}
