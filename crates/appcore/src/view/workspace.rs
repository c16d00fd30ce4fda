//! Workspaces and their members.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{User, stored_by_name};
use crate::WorkspaceId;

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
