//! Reports of messages, and moderation.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{ConversationKind, Sender, Upload, stored_by_name};
use crate::{ConversationId, MessageId, ReportId, Timestamp, UserId, WarningId, WorkspaceId};

/// Reason for reporting a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReportReason {
    Spam,
    Harassment,
    Hate,
    Violence,
    Sexual,
    /// The message discloses private information about a person.
    PersonalData,
    Illegal,
    Other,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ReportStatus {
    Open,
    /// The report is assigned to an administrator.
    Taken,
    Closed,
}

/// Action that an administrator takes on a report.
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
    /// Name; null if the account was deleted.
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
    /// True if the caller may open the message in its conversation.
    pub may_read: bool,
}

/// Report of a message, as shown to administrators.
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
    /// Conversation; null if deleted.
    pub place: Option<ReportConversation>,
    /// Content at the time of the report; null once closed.
    pub content: Option<String>,
    /// Time at which the message was hidden; null if visible.
    pub hidden_at: Option<Timestamp>,
    /// Time of deletion; null if not deleted.
    pub deleted_at: Option<Timestamp>,
    /// Time at which the message was last edited.
    pub edited_at: Option<Timestamp>,
    pub sent_at: Option<Timestamp>,
    /// Number of reports of this message, including this one.
    pub reports: u64,
    /// Number of the author's other reported messages.
    pub earlier: u64,
    /// Administrator who took the report; null if none.
    pub assigned_to: Option<ReportPerson>,
    pub taken_at: Option<Timestamp>,
    pub closed_by: Option<ReportPerson>,
    pub closed_at: Option<Timestamp>,
    /// Actions taken; empty if dismissed.
    pub actions: Vec<ReportAction>,
    pub created_at: Timestamp,
}

/// Report, with the history of the message's author.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReportDetails {
    #[serde(flatten)]
    pub report: Report,
    /// Files; empty if the message was deleted.
    pub attachments: Vec<Upload>,
    /// Other reports about the author: the newest 20, without contents.
    pub others: Vec<Report>,
    /// Number of warnings that the author has received.
    pub warnings: u64,
}

/// Content of a hidden message, for its author and administrators.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HiddenMessage {
    pub message_id: MessageId,
    pub content: String,
    pub attachments: Vec<Upload>,
    pub hidden_at: Timestamp,
}

/// Warning by a moderator about a message of the user.
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

/// Action on a message that contains a filtered word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum WordAction {
    /// The message is refused.
    #[default]
    Refuse,
    /// The message is sent, and the word is masked.
    Mask,
}
