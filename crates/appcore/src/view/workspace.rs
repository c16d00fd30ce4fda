//! Workspaces and their members.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{User, stored_by_name};
use crate::WorkspaceId;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Workspace {
    pub id: WorkspaceId,
    pub name: String,
    /// Role of the caller.
    pub role: WorkspaceRole,
    /// True for the caller's personal workspace.
    pub personal: bool,
    /// True for the shared workspace that everybody joins at sign-up.
    pub shared: bool,
    /// E-mail domains whose verified users may join; only for the owner and admins.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub join_domains: Option<Vec<String>>,
}

/// Workspace that the caller may join, by e-mail domain or invitation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OfferedWorkspace {
    pub id: WorkspaceId,
    pub name: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum WorkspaceRole {
    Owner,
    Admin,
    Member,
    Guest,
}

impl WorkspaceRole {
    pub const ALL: [Self; 4] = [Self::Owner, Self::Admin, Self::Member, Self::Guest];
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct WorkspaceMember {
    pub user: User,
    pub role: WorkspaceRole,
}

stored_by_name! {
    WorkspaceRole { Owner = "owner", Admin = "admin", Member = "member", Guest = "guest" }
}
