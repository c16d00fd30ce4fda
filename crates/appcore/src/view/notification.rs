//! Notifications and their settings.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Notify, Sender, stored_by_name};
use crate::{ConversationId, MessageId, NotificationId, Timestamp, UploadId};

/// Reason of a notification.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum NotificationKind {
    /// A message mentions the user, or everybody.
    Mention,
    /// A message contains one of the user's keywords.
    Keyword,
    /// New replies in a thread that the user follows.
    Thread,
    /// New messages in a conversation with notifications of all messages.
    Message,
    /// A reaction to a message of the user.
    Reaction,
    /// A reminder that the user has set.
    Reminder,
    /// An export that the user requested is complete.
    Export,
    /// A notice of the server.
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
    /// The newest message that it is about.
    pub message_id: Option<MessageId>,
    /// Root message of the thread of `message_id`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub thread_id: Option<MessageId>,
    /// Author of the message, or of the last reaction.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub actor: Option<Sender>,
    /// Number of messages, replies or reactions that it covers.
    pub count: i64,
    /// The matched keyword, the emoji of the last reaction, or the due date of the task in a
    /// reminder.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub detail: Option<String>,
    /// File of an export.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub upload_id: Option<UploadId>,
    /// Heading: the author and the conversation.
    pub title: String,
    /// Beginning of the text, without markup.
    pub text: String,
    /// True if it is listed without an alert, because the conversation is muted or the user has
    /// enabled do-not-disturb.
    pub silent: bool,
    pub created_at: Timestamp,
    pub read_at: Option<Timestamp>,
}

/// Notification settings of a user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NotificationSettings {
    /// Default level of conversations. `mentions` are direct messages, mentions, keywords and
    /// threads.
    pub level: Notify,
    /// Words that trigger notifications in any of the user's conversations. Case and accents are
    /// ignored.
    pub keywords: Vec<String>,
    /// Null if there are no quiet hours.
    pub quiet: Option<QuietHours>,
    /// End of do-not-disturb.
    pub dnd_until: Option<Timestamp>,
    /// Delay in minutes before a mail about missed messages is sent. Null: never.
    pub mail_after_minutes: Option<i64>,
    /// True if push notifications are sent to subscribed devices.
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

/// Weekly times of do-not-disturb.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct QuietHours {
    /// Start, such as `22:00`.
    #[schema(pattern = "^([01][0-9]|2[0-3]):[0-5][0-9]$")]
    pub from: String,
    /// End, such as `07:00`; on the following day if it is not later than `from`.
    #[schema(pattern = "^([01][0-9]|2[0-3]):[0-5][0-9]$")]
    pub to: String,
    /// Weekdays on which they start: 1 is Monday, 7 is Sunday.
    #[schema(min_items = 1, max_items = 7)]
    pub days: Vec<u8>,
    /// IANA time zone, such as `Europe/Berlin`.
    #[schema(max_length = 64)]
    pub timezone: String,
}
