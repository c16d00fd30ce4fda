//! Conversations and their members.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Message, PresenceStatus, stored_by_name};
use crate::{AssistantId, ConversationId, Timestamp, UserId, WorkspaceId};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ConversationKind {
    /// Exactly two people, one per pair and workspace.
    Single,
    /// Three people or more when it is made.
    Group,
    /// A person and an assistant.
    Assistant,
}

/// A conversation, as one of its members sees it.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Conversation {
    pub id: ConversationId,
    pub kind: ConversationKind,
    pub workspace_id: WorkspaceId,
    pub title: Option<String>,
    pub topic: Option<String>,
    /// The number of its newest durable event; 0 while there is none.
    pub last_seq: i64,
    /// Messages of others after what the caller has read.
    pub unread: i64,
    /// Up to where the caller has read.
    pub read_seq: i64,
    /// What the caller is in it.
    pub own: OwnMembership,
    /// How many people are in it, whether or not `members` names them.
    pub member_count: u64,
    pub last_message: Option<Message>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub members: Option<Vec<Member>>,
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub assistants: Vec<AssistantMember>,
    pub created_at: Timestamp,
    /// When something last happened in it.
    pub last_activity_at: Timestamp,
}

/// A person's own part in a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OwnMembership {
    pub role: MemberRole,
    /// Up to where they have read.
    pub read_seq: i64,
    /// Messages of others after that.
    pub unread: i64,
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
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum MemberRole {
    Owner,
    Admin,
    Member,
}

stored_by_name! {
    ConversationKind { Single = "single", Group = "group", Assistant = "assistant" }
    MemberRole { Owner = "owner", Admin = "admin", Member = "member" }
}
