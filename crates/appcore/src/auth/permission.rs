//! Permissions of workspace roles. Endpoints declare a permission, and services check it.

use crate::view::WorkspaceRole;

/// Action that only some roles of a workspace may perform.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Permission {
    /// See the workspace and its members.
    View,
    /// Start conversations and create assistants. Guests may not: they only have the conversations
    /// that they were added to.
    CreateContent,
    /// Invite, add and remove members, and assign roles that are lower than the member's own.
    ManageMembers,
    /// Rename the workspace, and set the e-mail domains whose users may join.
    Configure,
    /// Delete the workspace.
    Delete,
}

impl Permission {
    pub const ALL: [Self; 5] = [Self::View, Self::CreateContent, Self::ManageMembers, Self::Configure, Self::Delete];

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::View => "see",
            Self::CreateContent => "begin",
            Self::ManageMembers => "manage_members",
            Self::Configure => "configure",
            Self::Delete => "delete",
        }
    }
}

impl WorkspaceRole {
    #[must_use]
    pub const fn may(self, permission: Permission) -> bool {
        match permission {
            Permission::View => true,
            Permission::CreateContent => matches!(self, Self::Owner | Self::Admin | Self::Member),
            Permission::ManageMembers | Permission::Configure => matches!(self, Self::Owner | Self::Admin),
            Permission::Delete => matches!(self, Self::Owner),
        }
    }

    /// True if this role may assign the role `other` to a member, or take it from one.
    #[must_use]
    pub const fn may_assign(self, other: Self) -> bool {
        match self {
            Self::Owner => true,
            Self::Admin => matches!(other, Self::Member | Self::Guest),
            Self::Member | Self::Guest => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_role_includes_the_permissions_below_it() {
        let roles = [WorkspaceRole::Guest, WorkspaceRole::Member, WorkspaceRole::Admin, WorkspaceRole::Owner];
        let counts = roles.map(|role| Permission::ALL.into_iter().filter(|permission| role.may(*permission)).count());
        assert_eq!(counts, [1, 2, 4, 5]);
        for pair in roles.windows(2) {
            for permission in Permission::ALL {
                assert!(!pair[0].may(permission) || pair[1].may(permission), "{pair:?} {permission:?}");
            }
        }
        assert!(!WorkspaceRole::Admin.may_assign(WorkspaceRole::Admin));
        assert!(WorkspaceRole::Owner.may_assign(WorkspaceRole::Owner));
    }
}
