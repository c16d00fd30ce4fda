//! Reports of messages, and moderation.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{ConversationKind, Sender, Upload, stored_by_name};
use crate::{ConversationId, MessageId, ReportId, Timestamp, UserId, WarningId, WorkspaceId};

/// Reason of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReportReason {
    Spam,
    Harassment,
    Hate,
    Violence,
    Sexual,
    /// Discloses private information about a person.
    PersonalData,
    Illegal,
    Other,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ReportStatus {
    Open,
    /// Assigned to an administrator.
    Taken,
    Closed,
}

/// Action taken on a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = ReportDeed)]
pub enum ReportAction {
    /// Hide the message.
    Hide,
    /// Warn its author.
    Warn,
}

stored_by_name! {
    ReportReason {
        Spam = "spam", Harassment = "harassment", Hate = "hate", Violence = "violence", Sexual = "sexual",
        PersonalData = "personal_data", Illegal = "illegal", Other = "other",
    }
    ReportStatus { Open = "open", Taken = "taken", Closed = "closed" }
    ReportAction { Hide = "hide", Warn = "warn" }
}

/// Confirmation of a report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReportReceipt {
    pub id: ReportId,
    pub created_at: Timestamp,
}

/// User involved in a report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReportPerson {
    pub id: UserId,
    /// Null once the account is deleted.
    pub name: Option<String>,
}

/// Conversation of a reported message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = ReportPlace)]
pub struct ReportConversation {
    pub conversation_id: ConversationId,
    pub workspace_id: WorkspaceId,
    pub kind: ConversationKind,
    pub title: Option<String>,
    /// True if the caller may read the conversation, so that the message can be opened in its
    /// context.
    pub may_read: bool,
}

/// Report of a message, as seen by administrators.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Report {
    pub id: ReportId,
    pub status: ReportStatus,
    pub reason: ReportReason,
    /// Comment of the reporter.
    pub words: Option<String>,
    pub reporter: ReportPerson,
    pub message_id: MessageId,
    pub author: Sender,
    /// Null once the conversation is deleted.
    pub place: Option<ReportConversation>,
    /// Content of the message at the time of the report. Null once the report is closed.
    pub content: Option<String>,
    /// Time since which the message is hidden.
    pub hidden_at: Option<Timestamp>,
    /// Time at which the message was deleted.
    pub deleted_at: Option<Timestamp>,
    /// Time of the last edit.
    pub edited_at: Option<Timestamp>,
    pub sent_at: Option<Timestamp>,
    /// Number of reports of this message, including this one.
    pub reports: u64,
    /// Number of the author's other messages that were reported before.
    pub earlier: u64,
    /// Administrator who works on it.
    pub assigned_to: Option<ReportPerson>,
    pub taken_at: Option<Timestamp>,
    pub closed_by: Option<ReportPerson>,
    pub closed_at: Option<Timestamp>,
    /// Actions taken when the report was closed. Empty if it was dismissed.
    pub actions: Vec<ReportAction>,
    pub created_at: Timestamp,
}

/// Report with the history of the author.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReportDetails {
    #[serde(flatten)]
    pub report: Report,
    /// Files of the message, unless it is deleted.
    pub attachments: Vec<Upload>,
    /// The newest other reports on the same author, at most 20, without the content of the
    /// messages.
    pub others: Vec<Report>,
    /// Number of warnings to the author.
    pub warnings: u64,
}

/// Content of a hidden message, for its author and for administrators.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HiddenMessage {
    pub message_id: MessageId,
    pub content: String,
    pub attachments: Vec<Upload>,
    pub hidden_at: Timestamp,
}

/// Warning of a moderator about a message of the user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Warning {
    pub id: WarningId,
    pub reason: ReportReason,
    /// Comment of the moderator.
    pub words: Option<String>,
    pub message_id: Option<MessageId>,
    pub conversation_id: Option<ConversationId>,
    pub seen_at: Option<Timestamp>,
    pub created_at: Timestamp,
}

/// Word filter of a channel.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WordFilter {
    pub action: WordAction,
    /// Words or phrases. Case and accents are ignored.
    pub words: Vec<String>,
}

/// Action on a message with a filtered word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum WordAction {
    /// The message is refused.
    #[default]
    Refuse,
    /// The message is sent with the word masked.
    Mask,
}
