//! What somebody is told of that concerns them, and what they want to be told of.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Notify, Sender, stored_by_name};
use crate::{ConversationId, MessageId, NotificationId, Timestamp, UploadId};

/// Why somebody is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum NotificationKind {
    /// A message mentions them, or everybody.
    Mention,
    /// A message has one of their keywords.
    Keyword,
    /// There are replies in a thread that they follow.
    Thread,
    /// There are messages in a conversation of which they want to be told everything.
    Message,
    /// Somebody has reacted to a message of theirs.
    Reaction,
    /// They asked to be reminded.
    Reminder,
    /// An export that they asked for is ready.
    Export,
    /// The server has something to say.
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

/// Something that somebody is told of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(title = "notification")]
pub struct Notification {
    pub id: NotificationId,
    pub kind: NotificationKind,
    pub conversation_id: Option<ConversationId>,
    /// The newest message that it is about.
    pub message_id: Option<MessageId>,
    /// The message whose thread that one is in.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub thread_id: Option<MessageId>,
    /// Who wrote, or reacted last.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub actor: Option<Sender>,
    /// How many messages, replies or reactions it stands for.
    pub count: i64,
    /// The keyword that was written, the emoji of the last reaction, or when the task is due of which this reminds.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub detail: Option<String>,
    /// The file of an export.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub upload_id: Option<UploadId>,
    /// For a heading: who, and where.
    pub title: String,
    /// The beginning of what was written, without markup.
    pub text: String,
    /// It is listed, and nothing more: the conversation is muted, or they don't want to be disturbed now.
    pub silent: bool,
    pub created_at: Timestamp,
    pub read_at: Option<Timestamp>,
}

/// What somebody wants to be told of, and how.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NotificationSettings {
    /// Of which messages, in conversations for which nothing else is chosen. `mentions` are direct messages, mentions, keywords and threads.
    pub level: Notify,
    /// Words of which they are told in any of their conversations. Case and accents don't matter.
    pub keywords: Vec<String>,
    /// Null: there are none.
    pub quiet: Option<QuietHours>,
    /// Until then nothing disturbs them.
    pub dnd_until: Option<Timestamp>,
    /// After how long they get a mail about what they have missed. Null: never.
    pub mail_after_minutes: Option<i64>,
    /// Whether devices that asked for it are woken.
    pub push: bool,
    /// Whether what was written stands in what wakes a device.
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

/// When somebody is not to be disturbed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct QuietHours {
    /// Such as `22:00`.
    #[schema(pattern = "^([01][0-9]|2[0-3]):[0-5][0-9]$")]
    pub from: String,
    /// Such as `07:00`; when it is not later than `from`, on the day after.
    #[schema(pattern = "^([01][0-9]|2[0-3]):[0-5][0-9]$")]
    pub to: String,
    /// The days on which they begin: 1 is Monday, 7 is Sunday.
    #[schema(min_items = 1, max_items = 7)]
    pub days: Vec<u8>,
    /// Such as `Europe/Berlin`.
    #[schema(max_length = 64)]
    pub timezone: String,
}
