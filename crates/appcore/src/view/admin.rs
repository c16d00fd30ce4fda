//! People and workspaces as the administrators of the installation see them: who and how much, never what was said.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{ConversationKind, Credits, MemberRole, StorageUse, UserRole, WorkspaceRole, stored_by_name};
use crate::{ConversationId, Timestamp, UserId, WorkspaceId};

/// Whether an account lets its owner in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum UserStatus {
    Active,
    Suspended,
}

/// How a workspace came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum WorkspaceKind {
    /// Made with its owner's account.
    Personal,
    /// The one that everybody joins.
    Shared,
    /// Made by somebody on purpose.
    Team,
}

stored_by_name! {
    UserStatus { Active = "active", Suspended = "suspended" }
    WorkspaceKind { Personal = "personal", Shared = "shared", Team = "team" }
}

/// An account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AdminUser {
    pub id: UserId,
    pub display_name: String,
    pub email: String,
    /// Whether the address was shown to be theirs.
    pub email_verified: bool,
    pub role: UserRole,
    pub status: UserStatus,
    pub suspended_at: Option<Timestamp>,
    /// Why, as an administrator has put it.
    pub suspended_reason: Option<String>,
    /// Whether a code of an authenticator is asked for at sign-in.
    pub second_factor: bool,
    pub has_password: bool,
    /// Workspaces that they are in, beside their own.
    pub workspaces: i64,
    /// What they have paid for, or have a seat in; none: nothing.
    pub plan: Option<String>,
    pub created_at: Timestamp,
    /// When a device of theirs was last there, to the minute.
    pub last_active_at: Option<Timestamp>,
}

/// An account with what belongs to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AdminUserDetails {
    #[serde(flatten)]
    pub user: AdminUser,
    /// Who suspended it; none: it is active, or that account is gone.
    pub suspended_by_name: Option<String>,
    /// At most a hundred, by name.
    pub in_workspaces: Vec<AdminUserWorkspace>,
    /// Devices that are signed in.
    pub sessions: u64,
    pub api_keys: u64,
    pub passkeys: u64,
    /// Providers by which they sign in.
    pub identities: u64,
    /// Reports of their messages, and how often they were warned.
    pub reports: u64,
    pub warnings: u64,
    pub storage: StorageUse,
    /// None: nothing is charged here.
    pub credits: Option<Credits>,
    /// Whether it is the last administrator, who stays one.
    pub is_last_admin: bool,
}

/// What became of several accounts, of which each was changed by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ChangedAccounts {
    pub changed: u64,
    /// Those that stayed as they were, and why.
    pub skipped: Vec<SkippedAccount>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SkippedAccount {
    pub id: UserId,
    /// As an error's: `last_admin`, `wrong_state`, `not_found`.
    pub code: String,
}

/// A workspace that somebody is in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AdminUserWorkspace {
    pub id: WorkspaceId,
    pub name: String,
    pub kind: WorkspaceKind,
    pub role: WorkspaceRole,
}

/// A way in that was made for somebody: mailed where a mail server is set, else to be handed over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SentLink {
    pub mailed: bool,
    /// Shown once, and only where no mail server is set.
    pub url: Option<String>,
    pub expires_at: Timestamp,
}

/// An account that an administrator has made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct InvitedUser {
    #[serde(flatten)]
    pub user: AdminUser,
    /// By which they choose their password.
    pub link: SentLink,
}

/// A workspace: how much is in it, and whose it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AdminWorkspace {
    pub id: WorkspaceId,
    pub name: String,
    pub kind: WorkspaceKind,
    pub owner: Option<AdminOwner>,
    pub members: i64,
    pub guests: i64,
    pub conversations: i64,
    /// That were ever sent.
    pub messages: i64,
    /// Bytes of the files in its messages and of what its assistants know.
    pub stored_bytes: i64,
    pub last_activity_at: Option<Timestamp>,
    pub created_at: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AdminOwner {
    pub id: UserId,
    pub display_name: String,
}

/// A conversation: where it is and how much is in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AdminConversation {
    pub id: ConversationId,
    pub kind: ConversationKind,
    /// None: it has none, or it is of a chat with an assistant, whose title tells what was asked.
    #[schema(required)]
    pub title: Option<String>,
    pub workspace: AdminPlace,
    /// None: nobody is in it, or those of its kind have none.
    #[schema(required)]
    pub owner: Option<AdminOwner>,
    /// Whether everybody of the workspace is in it; it can't be deleted.
    pub is_default: bool,
    /// People.
    pub members: i64,
    /// That were ever sent.
    pub messages: i64,
    /// Bytes of the files in its messages.
    pub stored_bytes: i64,
    pub last_activity_at: Timestamp,
    pub created_at: Timestamp,
    #[schema(required)]
    pub archived_at: Option<Timestamp>,
}

/// The workspace of a conversation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AdminPlace {
    pub id: WorkspaceId,
    pub name: String,
    pub kind: WorkspaceKind,
}

/// Somebody who may come to own a workspace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AdminWorkspaceMember {
    pub id: UserId,
    pub display_name: String,
    pub email: String,
    pub role: WorkspaceRole,
}

/// Somebody who may come to own a channel or group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AdminConversationMember {
    pub id: UserId,
    pub display_name: String,
    pub email: String,
    pub role: MemberRole,
}

/// Where the value of a setting came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum SettingSource {
    Default,
    File,
    Environment,
}

/// A setting of the instance that answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Setting {
    pub key: String,
    /// As it would stand in a file; null: it is not set. Of a secret only that there is one.
    pub value: Option<String>,
    pub source: SettingSource,
    /// The file, or the variable.
    pub place: Option<String>,
    pub is_secret: bool,
    /// What it is for.
    pub about: String,
}

/// What a new installation needs, and how far it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Setup {
    /// When an administrator said that it is done.
    pub finished_at: Option<Timestamp>,
    pub workspace: Option<SetupWorkspace>,
    pub address: SetupAddress,
    pub mail: SetupMail,
    pub models: SetupModels,
    /// Accounts, the administrator's among them.
    pub people: i64,
}

/// The workspace that everybody joins; none: there is no such one here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SetupWorkspace {
    pub id: WorkspaceId,
    pub name: String,
    /// Whether it can be named here: its owner is the caller, and no setting does.
    pub may_rename: bool,
    pub is_named: bool,
}

/// Where people reach the server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SetupAddress {
    /// What links in mails begin with.
    pub url: String,
    /// Whether a setting says so; otherwise it is made of host and port.
    pub is_set: bool,
    /// URL by which the caller reached the server.
    pub request_url: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SetupMail {
    /// Whether a mail server is set. Otherwise mails are written to files.
    pub is_set: bool,
    /// When a test message was last taken.
    pub tested_at: Option<Timestamp>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SetupModels {
    /// Names of the providers that are set.
    pub providers: Vec<String>,
    /// When one last answered a test question.
    pub tested_at: Option<Timestamp>,
}

/// What became of a test message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MailTest {
    pub ok: bool,
    pub to: String,
    /// What the mail server said.
    pub error: Option<String>,
}

/// What became of a test question.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct QuestionTest {
    pub ok: bool,
    pub model: Option<String>,
    pub answer: Option<String>,
    pub duration_ms: u64,
    pub error: Option<String>,
}
