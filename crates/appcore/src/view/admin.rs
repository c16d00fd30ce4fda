//! Users and workspaces in the admin console: metadata and usage, without message content.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{ConversationKind, Credits, MemberRole, StorageUse, UserRole, WorkspaceRole, stored_by_name};
use crate::{ConversationId, Timestamp, UserId, WorkspaceId};

/// Status of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum UserStatus {
    Active,
    Suspended,
}

/// Kind of a workspace, by its origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum WorkspaceKind {
    /// Workspace that was created together with its owner's account.
    Personal,
    /// Workspace that everybody joins.
    Shared,
    /// Workspace that a user has created.
    Team,
}

stored_by_name! {
    UserStatus { Active = "active", Suspended = "suspended" }
    WorkspaceKind { Personal = "personal", Shared = "shared", Team = "team" }
}

/// User account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AdminUser {
    pub id: UserId,
    pub display_name: String,
    pub email: String,
    /// True if the email address is verified.
    pub email_verified: bool,
    pub role: UserRole,
    pub status: UserStatus,
    pub suspended_at: Option<Timestamp>,
    /// Reason for the suspension.
    pub suspended_reason: Option<String>,
    /// True if sign-in requires an authenticator code.
    pub second_factor: bool,
    pub has_password: bool,
    /// Number of the user's workspaces, without the personal one.
    pub workspaces: i64,
    /// Plan, paid by the user or provided by a seat; null if none.
    pub plan: Option<String>,
    pub created_at: Timestamp,
    /// Last activity, accurate to the minute.
    pub last_active_at: Option<Timestamp>,
}

/// User account with its records.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AdminUserDetails {
    #[serde(flatten)]
    pub user: AdminUser,
    /// Administrator who suspended the account; null if it is active, or if that account was
    /// deleted.
    pub suspended_by_name: Option<String>,
    /// Workspaces of the user: at most 100, by name.
    pub in_workspaces: Vec<AdminUserWorkspace>,
    /// Number of signed-in devices.
    pub sessions: u64,
    pub api_keys: u64,
    pub passkeys: u64,
    /// Number of linked identity providers.
    pub identities: u64,
    /// Number of reports of the user's messages.
    pub reports: u64,
    pub warnings: u64,
    pub storage: StorageUse,
    /// Credits; null if users are charged nothing.
    pub credits: Option<Credits>,
    /// True for the last administrator, who can't lose that role.
    pub is_last_admin: bool,
}

/// Result for several accounts, each changed on its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ChangedAccounts {
    pub changed: u64,
    /// Accounts that were not changed.
    pub skipped: Vec<SkippedAccount>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SkippedAccount {
    pub id: UserId,
    /// Error code, such as `last_admin`, `wrong_state` or `not_found`.
    pub code: String,
}

/// Workspace membership of a user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AdminUserWorkspace {
    pub id: WorkspaceId,
    pub name: String,
    pub kind: WorkspaceKind,
    pub role: WorkspaceRole,
}

/// Link for setting a password. It is mailed or, without a mail server, passed on by the
/// administrator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SentLink {
    pub mailed: bool,
    /// Link; returned once, only if no mail server is configured.
    pub url: Option<String>,
    pub expires_at: Timestamp,
}

/// Account created by an administrator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct InvitedUser {
    #[serde(flatten)]
    pub user: AdminUser,
    /// Link for setting the password.
    pub link: SentLink,
}

/// Workspace with its usage and owner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AdminWorkspace {
    pub id: WorkspaceId,
    pub name: String,
    pub kind: WorkspaceKind,
    pub owner: Option<AdminOwner>,
    pub members: i64,
    pub guests: i64,
    pub conversations: i64,
    /// Number of messages ever sent.
    pub messages: i64,
    /// Size of files in messages and of knowledge files, in bytes.
    pub stored_bytes: i64,
    pub last_activity_at: Option<Timestamp>,
    pub created_at: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AdminOwner {
    pub id: UserId,
    pub display_name: String,
}

/// Conversation with its workspace and usage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AdminConversation {
    pub id: ConversationId,
    pub kind: ConversationKind,
    /// Title; null if none, and for chats with an assistant, where it may reveal the question.
    #[schema(required)]
    pub title: Option<String>,
    pub workspace: WorkspaceReference,
    /// Owner; null if the conversation has none.
    #[schema(required)]
    pub owner: Option<AdminOwner>,
    /// True for the default channel: all members are in it, and it can't be deleted.
    pub is_default: bool,
    /// Number of members without assistants.
    pub members: i64,
    /// Number of messages ever sent.
    pub messages: i64,
    /// Size of the files in messages, in bytes.
    pub stored_bytes: i64,
    pub last_activity_at: Timestamp,
    pub created_at: Timestamp,
    #[schema(required)]
    pub archived_at: Option<Timestamp>,
}

/// Workspace of a conversation or of an invitation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = AdminPlace)]
pub struct WorkspaceReference {
    pub id: WorkspaceId,
    pub name: String,
    pub kind: WorkspaceKind,
}

/// Member of a workspace, who may become its owner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AdminWorkspaceMember {
    pub id: UserId,
    pub display_name: String,
    pub email: String,
    pub role: WorkspaceRole,
}

/// Member of a channel or group, who may become its owner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AdminConversationMember {
    pub id: UserId,
    pub display_name: String,
    pub email: String,
    pub role: MemberRole,
}

/// Source of a setting's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum SettingSource {
    Default,
    File,
    Environment,
}

/// Setting of this instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Setting {
    pub key: String,
    /// Value as in the configuration file; null if not set. Secrets are masked.
    pub value: Option<String>,
    pub source: SettingSource,
    /// Path of a file, or name of an environment variable.
    pub place: Option<String>,
    pub is_secret: bool,
    /// Explanation of the setting.
    pub about: String,
}

/// Set-up steps of a new server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Setup {
    /// Time at which the set-up was finished; null if not.
    pub finished_at: Option<Timestamp>,
    pub workspace: Option<SetupWorkspace>,
    pub address: SetupAddress,
    pub mail: SetupMail,
    pub models: SetupModels,
    /// Number of accounts, including the administrator's.
    pub people: i64,
}

/// Shared workspace; null if none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SetupWorkspace {
    pub id: WorkspaceId,
    pub name: String,
    /// True if the caller owns the workspace and no setting determines its name.
    pub may_rename: bool,
    pub is_named: bool,
}

/// Public address of the server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SetupAddress {
    /// Base URL of links in mails.
    pub url: String,
    /// True if the URL is configured. Otherwise it is derived from host and port.
    pub is_set: bool,
    /// URL by which the caller reached the server.
    pub request_url: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SetupMail {
    /// True if a mail server is configured. Otherwise mails are written to files.
    pub is_set: bool,
    /// Time of the last successful test mail.
    pub tested_at: Option<Timestamp>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SetupModels {
    /// Names of the configured providers.
    pub providers: Vec<String>,
    /// Time of the last successful test question.
    pub tested_at: Option<Timestamp>,
}

/// Result of a test mail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MailTest {
    pub ok: bool,
    pub to: String,
    /// Error reported by the mail server.
    pub error: Option<String>,
}

/// Result of a test question.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct QuestionTest {
    pub ok: bool,
    pub model: Option<String>,
    pub answer: Option<String>,
    pub duration_ms: u64,
    pub error: Option<String>,
}
