//! Data export of an account.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{ApiKey, ConversationKind, MemberRole, Message, Note, User, UserSession, Workspace};
use crate::{ConversationId, Timestamp};

/// All data of an account, to be downloaded by its owner.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Export {
    pub user: User,
    /// The user's instructions for assistants.
    pub instructions: String,
    /// Sections of the user's sidebar.
    pub sections: Vec<ExportedSection>,
    pub sessions: Vec<UserSession>,
    pub known_devices: Vec<ExportedDevice>,
    pub identities: Vec<ExportedIdentity>,
    pub passkeys: Vec<ExportedPasskey>,
    pub api_keys: Vec<ApiKey>,
    /// Files that the user's programs have stored by `/v1/files`, without their contents.
    pub gateway_files: Vec<ExportedGatewayFile>,
    /// Accounts that the user has connected with tool servers.
    pub tool_connections: Vec<ExportedToolConnection>,
    pub workspaces: Vec<Workspace>,
    pub conversations: Vec<ExportedConversation>,
    /// Messages written by the user.
    pub messages: Vec<Message>,
    pub notes: Vec<Note>,
}

/// Section of a user's sidebar.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ExportedSection {
    pub name: String,
    /// Instructions for assistants in the section's chats.
    pub instructions: String,
}

/// Device from which the user has signed in.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ExportedDevice {
    pub address: String,
    pub user_agent: String,
    pub last_seen_at: Timestamp,
}

/// Linked account of an identity provider.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ExportedIdentity {
    pub provider: String,
    pub email: Option<String>,
    pub created_at: Timestamp,
    pub last_used_at: Timestamp,
}

/// Passkey with the name that its owner has given it.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ExportedPasskey {
    pub name: String,
    pub created_at: Timestamp,
    pub last_used_at: Option<Timestamp>,
}

/// File that a program of the user has stored.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ExportedGatewayFile {
    pub name: String,
    pub purpose: String,
    /// Size in bytes.
    pub bytes: i64,
    pub created_at: Timestamp,
    pub expires_at: Option<Timestamp>,
}

/// Tool server account that the user has connected.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ExportedToolConnection {
    /// Name of the tool server.
    pub server: String,
    pub connected_at: Timestamp,
    /// True if the user has to sign in to it again.
    pub is_expired: bool,
}

/// Conversation that the user is or was a member of.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ExportedConversation {
    pub id: ConversationId,
    pub kind: ConversationKind,
    pub title: Option<String>,
    pub role: MemberRole,
    pub joined_at: Timestamp,
    pub left: bool,
}

/// Format of an exported conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ExportFormat {
    Json,
    Html,
    Markdown,
}

impl ExportFormat {
    /// Name of the file in the archive that contains the messages.
    #[must_use]
    pub const fn file_name(self) -> &'static str {
        match self {
            Self::Json => "messages.json",
            Self::Html => "messages.html",
            Self::Markdown => "messages.md",
        }
    }
}
