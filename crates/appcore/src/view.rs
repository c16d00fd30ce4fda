//! What callers see: the resources of the contract, alike in REST answers and in events.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    ApiKeyId, AssistantId, AuditEntryId, BanId, ConversationId, InvitationId, Language, MessageId, Place, SessionId,
    Timestamp, UserId, WorkspaceId, audit::Action, auth::Scope,
};

/// A person, as others see them; the address and what belongs to signing in only as they see themselves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct User {
    pub id: UserId,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// Whether the address was shown to be theirs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email_verified: Option<bool>,
    /// Whether there is a password; only as they see themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub has_password: Option<bool>,
    /// Whether a code of an authenticator is asked for at sign-in; only as they see themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub second_factor: Option<bool>,
    /// What mail to them is written in; only as they see themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<Language>,
    pub display_name: String,
    pub role: UserRole,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub presence: Option<PresenceStatus>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_seen: Option<Timestamp>,
    pub created_at: Timestamp,
}

/// Everything that an account holds, for its owner.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Export {
    pub user: User,
    pub sessions: Vec<UserSession>,
    pub known_devices: Vec<ExportedDevice>,
    pub identities: Vec<ExportedIdentity>,
    pub passkeys: Vec<ExportedPasskey>,
    pub api_keys: Vec<ApiKey>,
    pub workspaces: Vec<Workspace>,
    pub conversations: Vec<ExportedConversation>,
    /// What the person wrote; what others wrote is theirs.
    pub messages: Vec<Message>,
}

/// From where somebody has signed in.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ExportedDevice {
    pub address: String,
    pub user_agent: String,
    pub last_seen_at: Timestamp,
}

/// An account with a provider by which somebody signs in.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ExportedIdentity {
    pub provider: String,
    pub email: Option<String>,
    pub created_at: Timestamp,
    pub last_used_at: Timestamp,
}

/// A passkey, as its owner has named it.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ExportedPasskey {
    pub name: String,
    pub created_at: Timestamp,
    pub last_used_at: Option<Timestamp>,
}

/// A conversation that somebody is or was in.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ExportedConversation {
    pub id: ConversationId,
    pub kind: ConversationKind,
    pub title: Option<String>,
    pub role: MemberRole,
    pub joined_at: Timestamp,
    pub left: bool,
}

/// What a person is on this whole installation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum UserRole {
    User,
    Admin,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum PresenceStatus {
    Online,
    Away,
    Dnd,
    Offline,
}

/// A person's presence, as the `presence` event and the user list show it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Presence {
    pub user_id: UserId,
    pub status: PresenceStatus,
    pub last_seen: Option<Timestamp>,
}

/// One signed-in device.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct UserSession {
    pub id: SessionId,
    /// Whether it is the one that asks.
    pub current: bool,
    pub user_agent: Option<String>,
    pub address: Option<String>,
    /// Where the address is, as far as it is known; nobody else is told.
    pub place: Option<Place>,
    pub created_at: Timestamp,
    pub last_used_at: Timestamp,
}

/// A network that is kept out for a time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Ban {
    pub id: BanId,
    /// In CIDR notation.
    pub address: String,
    pub reason: String,
    /// Who made it; none: the firewall itself.
    pub created_by: Option<UserId>,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
}

/// One line of the audit log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuditEntry {
    pub id: AuditEntryId,
    /// What was done, such as `auth.signin`.
    #[schema(value_type = Action)]
    pub action: String,
    /// Who did it; none: somebody who was not signed in, or the program itself.
    pub actor: Option<UserId>,
    /// Their name today; none once the account is gone.
    pub actor_name: Option<String>,
    /// What it was done to: an id or a network.
    pub target: Option<String>,
    /// Where it came from.
    pub address: Option<String>,
    /// Where that is, as the database of places has it now.
    pub place: Option<Place>,
    pub created_at: Timestamp,
}

/// A key by which a program acts for its owner. The key itself is shown once, when it is made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ApiKey {
    pub id: ApiKeyId,
    pub name: String,
    /// How the key begins, so that its owner recognises it.
    pub prefix: String,
    pub scopes: Vec<Scope>,
    pub expires_at: Option<Timestamp>,
    /// To the minute.
    pub last_used_at: Option<Timestamp>,
    pub created_at: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Workspace {
    pub id: WorkspaceId,
    pub name: String,
    /// The caller's own role in it.
    pub role: WorkspaceRole,
    /// Whether it is the caller's own, made at sign-up.
    pub personal: bool,
    /// Whether it is the one that everybody joins at sign-up.
    pub shared: bool,
    /// Whoever has a verified address of one of these domains may join. Told to the owner and to admins.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub join_domains: Option<Vec<String>>,
}

/// A workspace that the caller may join, because of the domain of their verified address; or that they are invited to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OfferedWorkspace {
    pub id: WorkspaceId,
    pub name: String,
}

/// What an invitation leads to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct InvitedTo {
    pub workspace: OfferedWorkspace,
    pub role: WorkspaceRole,
}

/// An invitation, as those who may invite see it. Its token is told once, when it is made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Invitation {
    pub id: InvitationId,
    /// Whom it is for; none: for whoever has the link.
    pub email: Option<String>,
    pub role: WorkspaceRole,
    /// How often it was accepted.
    pub uses: i64,
    pub max_uses: i64,
    pub expires_at: Timestamp,
    pub created_by: UserId,
    pub created_at: Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum WorkspaceRole {
    Owner,
    Admin,
    Member,
    Guest,
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct WorkspaceMember {
    pub user: User,
    pub role: WorkspaceRole,
}

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
    pub last_message: Option<Message>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub members: Option<Vec<Member>>,
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub assistants: Vec<AssistantMember>,
    pub created_at: Timestamp,
    /// When something last happened in it.
    pub last_activity_at: Timestamp,
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

/// An assistant that one can talk to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Assistant {
    pub id: AssistantId,
    pub workspace_id: Option<WorkspaceId>,
    pub name: String,
    pub model: Option<String>,
    pub system_prompt: Option<String>,
    /// Whether it is the one that `kind: "assistant"` means without an `assistant_id`.
    pub is_default: bool,
    pub created_at: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Message {
    pub id: MessageId,
    pub conversation_id: ConversationId,
    /// The number of the event that created it.
    pub seq: i64,
    pub client_id: Option<String>,
    pub sender: Sender,
    /// Empty once deleted.
    pub content: String,
    pub status: MessageStatus,
    /// The message that this one answers.
    pub reply_to: Option<MessageId>,
    /// Why an assistant's message failed, for the reader.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The model that wrote an assistant's message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Files; none yet.
    #[schema(value_type = Vec<Object>)]
    pub attachments: Vec<serde_json::Value>,
    /// Reactions; none yet.
    #[schema(value_type = Vec<Object>)]
    pub reactions: Vec<serde_json::Value>,
    pub edited_at: Option<Timestamp>,
    pub deleted_at: Option<Timestamp>,
    pub created_at: Timestamp,
}

/// Who a message is from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Sender {
    pub kind: SenderKind,
    /// A `UserId` or an `AssistantId`; none for the system and for deleted accounts.
    #[schema(value_type = Option<String>, format = Uuid)]
    pub id: Option<uuid::Uuid>,
    pub name: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum SenderKind {
    User,
    Assistant,
    System,
    Deleted,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum MessageStatus {
    Complete,
    Streaming,
    Failed,
    Stopped,
}

/// One entry of a conversation's event log.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct LoggedEvent {
    pub seq: i64,
    #[serde(rename = "type")]
    pub kind: String,
    /// The event's payload, with `conversation_id` and `seq` in it.
    #[schema(value_type = Object)]
    pub payload: Box<serde_json::value::RawValue>,
    pub created_at: Timestamp,
}

/// Enums that are stored by the name that they have on the wire.
macro_rules! stored {
    ($($name:ident { $($variant:ident = $text:literal),* $(,)? })*) => {$(
        impl $name {
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),* }
            }
        }

        impl std::str::FromStr for $name {
            type Err = UnknownName;

            fn from_str(text: &str) -> Result<Self, UnknownName> {
                match text { $($text => Ok(Self::$variant),)* other => Err(UnknownName(other.to_owned())) }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    )*};
}

/// A stored name that this version does not know.
#[derive(Debug, thiserror::Error)]
#[error("unknown name {0:?}")]
pub struct UnknownName(pub String);

stored! {
    UserRole { User = "user", Admin = "admin" }
    PresenceStatus { Online = "online", Away = "away", Dnd = "dnd", Offline = "offline" }
    WorkspaceRole { Owner = "owner", Admin = "admin", Member = "member", Guest = "guest" }
    ConversationKind { Single = "single", Group = "group", Assistant = "assistant" }
    MemberRole { Owner = "owner", Admin = "admin", Member = "member" }
    SenderKind { User = "user", Assistant = "assistant", System = "system", Deleted = "deleted" }
    MessageStatus { Complete = "complete", Streaming = "streaming", Failed = "failed", Stopped = "stopped" }
}
