//! Conversations and their members.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{ConversationCapabilities, ConversationKind, Message, Picture, PresenceStatus, stored_by_name};
use crate::{AssistantId, ConversationId, SectionId, Timestamp, UserId, WorkspaceId};

/// A conversation, as one of its members sees it, or somebody who may join it.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Conversation {
    pub id: ConversationId,
    pub kind: ConversationKind,
    /// What follows from its kind.
    pub capabilities: ConversationCapabilities,
    pub workspace_id: WorkspaceId,
    pub title: Option<String>,
    pub topic: Option<String>,
    /// The number of its newest durable event; 0 while there is none.
    pub last_seq: i64,
    /// Messages after what the caller has read or written.
    pub unread: i64,
    /// Up to where the caller has read.
    pub read_seq: i64,
    /// What the caller is in it. Null in a public channel that they have not joined.
    pub own: Option<OwnMembership>,
    /// How many people are in it, whether or not `members` names them.
    pub member_count: u64,
    /// Who may write in it.
    pub posting: Posting,
    /// Who may mention everybody in it.
    pub mention_all: MentionAll,
    /// What members see of what was said before they joined.
    pub history: HistoryScope,
    /// How long a member of the channel waits between two messages; 0: not at all. Those who manage it never do.
    pub slow_mode_seconds: i64,
    /// It is the channel that every member of the workspace is in.
    pub is_default: bool,
    /// Since when it can only be read.
    pub archived_at: Option<Timestamp>,
    pub last_message: Option<Message>,
    /// At most 20 of them: owners first, then by name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub members: Option<Vec<Member>>,
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub assistants: Vec<AssistantMember>,
    /// The model that was chosen for a chat with an assistant; none: the assistant's own.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub model: Option<String>,
    pub created_at: Timestamp,
    /// When something was last said in it.
    pub last_activity_at: Timestamp,
}

/// A person's own part in a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OwnMembership {
    pub role: MemberRole,
    /// Up to where they have read.
    pub read_seq: i64,
    /// Messages after what they have read or written.
    pub unread: i64,
    /// Those of them that mention them; at most 1,000 are counted.
    pub unread_mentions: i64,
    #[serde(flatten)]
    pub settings: OwnSettings,
}

/// What a person has chosen for a conversation. Nobody else is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OwnSettings {
    pub notify: Notify,
    /// They have chosen it for this conversation; otherwise it follows from what they want to be told of everywhere.
    #[serde(default)]
    pub notify_chosen: bool,
    pub muted_until: Option<Timestamp>,
    pub pinned: bool,
    pub section_id: Option<SectionId>,
}

/// What of a conversation somebody is notified of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Notify {
    All,
    Mentions,
    None,
}

/// Who may write in a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Posting {
    Everyone,
    /// Its owner and its admins.
    Admins,
}

/// Who may mention everybody in a conversation, by `@all` or `@here`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum MentionAll {
    Everyone,
    /// Its owner and its admins.
    Admins,
}

/// What a conversation's members see of its history.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum HistoryScope {
    All,
    /// What happened since they joined, the last time that they did. Those who were in it from the beginning see everything.
    FromJoin,
}

/// A folder of somebody's sidebar.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Section {
    pub id: SectionId,
    pub name: String,
    /// Its place, from 0.
    pub position: i64,
}

/// A person in a conversation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Member {
    pub user_id: UserId,
    pub display_name: String,
    pub role: MemberRole,
    pub read_seq: i64,
    pub delivered_seq: i64,
    pub joined_at: Timestamp,
    /// Whether they are here; told in answers, and by `presence` from then on.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub presence: Option<PresenceStatus>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub last_seen: Option<Timestamp>,
}

/// An assistant in a conversation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AssistantMember {
    pub id: AssistantId,
    pub name: String,
    pub model: Option<String>,
    /// Whether people may choose another model for a chat or a question.
    pub model_choice: bool,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub picture: Option<Picture>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum MemberRole {
    Owner,
    Admin,
    Member,
}

stored_by_name! {
    Notify { All = "all", Mentions = "mentions", None = "none" }
    Posting { Everyone = "everyone", Admins = "admins" }
    MentionAll { Everyone = "everyone", Admins = "admins" }
    HistoryScope { All = "all", FromJoin = "from_join" }
    MemberRole { Owner = "owner", Admin = "admin", Member = "member" }
}
