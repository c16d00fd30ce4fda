//! Conversations and their members.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{ConversationCapabilities, ConversationKind, Message, Picture, PresenceStatus, stored_by_name};
use crate::{AssistantId, ConversationId, SectionId, Timestamp, UserId, WorkspaceId};

/// Conversation, for a member or a user who may join it.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Conversation {
    pub id: ConversationId,
    pub kind: ConversationKind,
    /// Capabilities of this kind of conversation.
    pub capabilities: ConversationCapabilities,
    pub workspace_id: WorkspaceId,
    pub title: Option<String>,
    pub topic: Option<String>,
    /// Sequence number of the newest durable event; 0 if none.
    pub last_seq: i64,
    /// Number of messages after the last one read or written by the caller.
    pub unread: i64,
    /// Sequence number up to which the caller has read.
    pub read_seq: i64,
    /// Membership of the caller; null in a public channel not joined.
    pub own: Option<OwnMembership>,
    /// Number of all members, also those not in `members`.
    pub member_count: u64,
    /// Members who may post.
    pub posting: Posting,
    /// Members who may mention everybody.
    pub mention_all: MentionAll,
    /// Earlier messages that later members can see: all or none.
    pub history: HistoryScope,
    /// Slow mode: seconds between two messages of a member, 0 if off. Members who manage the
    /// channel are exempt.
    pub slow_mode_seconds: i64,
    /// True for the default channel, which all members join.
    pub is_default: bool,
    /// Time of archiving; the channel is then read-only.
    pub archived_at: Option<Timestamp>,
    pub last_message: Option<Message>,
    /// Up to 20 members, owners first, then by name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub members: Option<Vec<Member>>,
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub assistants: Vec<AssistantMember>,
    /// Selected model; absent if it is the assistant's own.
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
    /// Number of messages after the last one read or written by the user.
    pub unread: i64,
    /// Number of unread messages that mention the user, up to 1,000.
    pub unread_mentions: i64,
    #[serde(flatten)]
    pub settings: OwnSettings,
}

/// Private settings of the user for a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OwnSettings {
    pub notify: Notify,
    /// True if `notify` was set here, false if it is the general setting.
    #[serde(default)]
    pub notify_chosen: bool,
    pub muted_until: Option<Timestamp>,
    pub pinned: bool,
    pub section_id: Option<SectionId>,
}

/// Messages that the user is notified of.
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

/// Members who may mention everybody (`@all`, `@here`).
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
    /// Presence now; changes are sent as `presence` events.
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
    /// True if users may choose another model.
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
