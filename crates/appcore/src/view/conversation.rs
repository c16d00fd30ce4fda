//! Conversations and their members.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{ConversationCapabilities, ConversationKind, Message, Picture, PresenceStatus, stored_by_name};
use crate::{AssistantId, ConversationId, SectionId, Timestamp, UserId, WorkspaceId};

/// Conversation, as shown to a member or to a user who may join it.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Conversation {
    pub id: ConversationId,
    pub kind: ConversationKind,
    /// Capabilities of this kind of conversation.
    pub capabilities: ConversationCapabilities,
    pub workspace_id: WorkspaceId,
    pub title: Option<String>,
    pub topic: Option<String>,
    /// Sequence number of the newest durable event; 0 if there is none.
    pub last_seq: i64,
    /// Number of messages after the last one that the caller has read or written.
    pub unread: i64,
    /// Sequence number up to which the caller has read.
    pub read_seq: i64,
    /// Membership of the caller. Null in a public channel that the caller has not joined.
    pub own: Option<OwnMembership>,
    /// Number of members. It also counts those that `members` doesn't list.
    pub member_count: u64,
    /// Members who may post.
    pub posting: Posting,
    /// Members who may mention everybody.
    pub mention_all: MentionAll,
    /// Earlier messages that a member who joins later can see: all of them, or none.
    pub history: HistoryScope,
    /// Minimum time between two messages of a member, in seconds; 0 if slow mode is off. Members
    /// who manage the channel are exempt.
    pub slow_mode_seconds: i64,
    /// True for the default channel, which all members of the workspace join.
    pub is_default: bool,
    /// Time at which the channel was archived. Since then it is read-only.
    pub archived_at: Option<Timestamp>,
    pub last_message: Option<Message>,
    /// Some of the members: at most 20, owners first, then by name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub members: Option<Vec<Member>>,
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub assistants: Vec<AssistantMember>,
    /// Model that is selected for a chat with an assistant. Absent if the assistant's own model is
    /// used.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub model: Option<String>,
    pub created_at: Timestamp,
    /// Time of the latest message.
    pub last_activity_at: Timestamp,
}

/// Membership of the caller in a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OwnMembership {
    pub role: MemberRole,
    /// Sequence number up to which the user has read.
    pub read_seq: i64,
    /// Number of messages after the last one that the user has read or written.
    pub unread: i64,
    /// Number of unread messages that mention the user; counted up to 1,000.
    pub unread_mentions: i64,
    #[serde(flatten)]
    pub settings: OwnSettings,
}

/// Private settings of the user for a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OwnSettings {
    pub notify: Notify,
    /// True if `notify` was set for this conversation. Otherwise it is the user's general setting.
    #[serde(default)]
    pub notify_chosen: bool,
    pub muted_until: Option<Timestamp>,
    pub pinned: bool,
    pub section_id: Option<SectionId>,
}

/// Messages of a conversation of which the user is notified.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Notify {
    All,
    Mentions,
    None,
}

/// Members who may post in a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Posting {
    Everyone,
    /// Only the owner and admins of the conversation.
    Admins,
}

/// Members who may mention everybody in a conversation, by `@all` or `@here`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum MentionAll {
    Everyone,
    /// Only the owner and admins of the conversation.
    Admins,
}

/// Part of a conversation's history that a member can see.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum HistoryScope {
    All,
    /// Messages since the member last joined. The first members can see everything.
    FromJoin,
}

/// Section of a user's sidebar.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Section {
    pub id: SectionId,
    pub name: String,
    /// Zero-based position in the sidebar.
    pub position: i64,
}

/// Member of a conversation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Member {
    pub user_id: UserId,
    pub display_name: String,
    pub role: MemberRole,
    pub read_seq: i64,
    pub delivered_seq: i64,
    pub joined_at: Timestamp,
    /// Presence at the time of the response. Later changes are sent as `presence` events.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub presence: Option<PresenceStatus>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub last_seen: Option<Timestamp>,
}

/// Assistant that is a member of a conversation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AssistantMember {
    pub id: AssistantId,
    pub name: String,
    pub model: Option<String>,
    /// True if users may choose another model for a chat or a question.
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
