//! Everything that an account holds, for its owner.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{ApiKey, ConversationKind, MemberRole, Message, Note, User, UserSession, Workspace};
use crate::{ConversationId, Timestamp};

/// Everything that an account holds, for its owner.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Export {
    pub user: User,
    /// What the person wants assistants to keep to.
    pub instructions: String,
    /// Of the person's sidebar.
    pub sections: Vec<ExportedSection>,
    pub sessions: Vec<UserSession>,
    pub known_devices: Vec<ExportedDevice>,
    pub identities: Vec<ExportedIdentity>,
    pub passkeys: Vec<ExportedPasskey>,
    pub api_keys: Vec<ApiKey>,
    /// Accounts that the person has connected with servers of tools.
    pub tool_connections: Vec<ExportedToolConnection>,
    pub workspaces: Vec<Workspace>,
    pub conversations: Vec<ExportedConversation>,
    /// What the person wrote; what others wrote is theirs.
    pub messages: Vec<Message>,
    pub notes: Vec<Note>,
}

/// A section of somebody's sidebar.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ExportedSection {
    pub name: String,
    /// What assistants keep to in its chats.
    pub instructions: String,
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

/// An account that somebody has connected with a server of tools, for assistants.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ExportedToolConnection {
    /// The server's name.
    pub server: String,
    pub connected_at: Timestamp,
    /// One would have to sign in there anew.
    pub is_expired: bool,
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

/// How a conversation is written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ExportFormat {
    Json,
    Html,
    Markdown,
}

impl ExportFormat {
    /// The file in the archive that has the messages.
    #[must_use]
    pub const fn file_name(self) -> &'static str {
        match self {
            Self::Json => "messages.json",
            Self::Html => "messages.html",
            Self::Markdown => "messages.md",
        }
    }
}
