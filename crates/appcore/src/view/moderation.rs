//! Reports of messages, and what is done about them.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{ConversationKind, Sender, Upload, stored_by_name};
use crate::{ConversationId, MessageId, ReportId, Timestamp, UserId, WarningId, WorkspaceId};

/// Why a message was reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReportReason {
    Spam,
    Harassment,
    Hate,
    Violence,
    Sexual,
    /// It tells of somebody what is nobody's business.
    PersonalData,
    Illegal,
    Other,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ReportStatus {
    Open,
    /// An administrator looks after it.
    Taken,
    Closed,
}

/// What is done about a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ReportDeed {
    /// The message is hidden.
    Hide,
    /// Its author is warned.
    Warn,
}

stored_by_name! {
    ReportReason {
        Spam = "spam", Harassment = "harassment", Hate = "hate", Violence = "violence", Sexual = "sexual",
        PersonalData = "personal_data", Illegal = "illegal", Other = "other",
    }
    ReportStatus { Open = "open", Taken = "taken", Closed = "closed" }
    ReportDeed { Hide = "hide", Warn = "warn" }
}

/// That one has reported a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReportReceipt {
    pub id: ReportId,
    pub created_at: Timestamp,
}

/// Somebody who has to do with a report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReportPerson {
    pub id: UserId,
    /// Null once the account is deleted.
    pub name: Option<String>,
}

/// Where a reported message stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReportPlace {
    pub conversation_id: ConversationId,
    pub workspace_id: WorkspaceId,
    pub kind: ConversationKind,
    pub title: Option<String>,
    /// Whether the caller may read it: then the message can be looked at with what is around it.
    pub may_read: bool,
}

/// A report of a message, for administrators.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Report {
    pub id: ReportId,
    pub status: ReportStatus,
    pub reason: ReportReason,
    /// What the reporter added.
    pub words: Option<String>,
    pub reporter: ReportPerson,
    pub message_id: MessageId,
    pub author: Sender,
    /// Null once the conversation is deleted.
    pub place: Option<ReportPlace>,
    /// What the message said when it was reported. Null once the report is closed.
    pub content: Option<String>,
    /// Since when the message is hidden.
    pub hidden_at: Option<Timestamp>,
    /// Since when it is deleted.
    pub deleted_at: Option<Timestamp>,
    /// When it was edited last.
    pub edited_at: Option<Timestamp>,
    pub sent_at: Option<Timestamp>,
    /// How many have reported this message, this report counted.
    pub reports: u64,
    /// How many other messages of this author were reported before.
    pub earlier: u64,
    /// The administrator who works on it.
    pub assigned_to: Option<ReportPerson>,
    pub taken_at: Option<Timestamp>,
    pub closed_by: Option<ReportPerson>,
    pub closed_at: Option<Timestamp>,
    /// Actions taken when the report was closed. Empty: it was dismissed.
    pub actions: Vec<ReportDeed>,
    pub created_at: Timestamp,
}

/// A report with what else is known of the author.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReportDetails {
    #[serde(flatten)]
    pub report: Report,
    /// The message's files, while it is not deleted.
    pub attachments: Vec<Upload>,
    /// The newest other reports on the same author, at most 20, without what the messages said.
    pub others: Vec<Report>,
    /// How often the author was warned.
    pub warnings: u64,
}

/// What a hidden message says, for its author and for administrators.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HiddenMessage {
    pub message_id: MessageId,
    pub content: String,
    pub attachments: Vec<Upload>,
    pub hidden_at: Timestamp,
}

/// What a moderator told somebody about a message of theirs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Warning {
    pub id: WarningId,
    pub reason: ReportReason,
    /// The moderator's own words.
    pub words: Option<String>,
    pub message_id: Option<MessageId>,
    pub conversation_id: Option<ConversationId>,
    pub seen_at: Option<Timestamp>,
    pub created_at: Timestamp,
}

/// The words that are not wanted in a channel.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WordFilter {
    pub action: WordAction,
    /// Words or phrases. Case and accents don't matter.
    pub words: Vec<String>,
}

/// What becomes of a message with an unwanted word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum WordAction {
    /// It is not sent.
    #[default]
    Refuse,
    /// It is sent with the word made unreadable.
    Mask,
}
