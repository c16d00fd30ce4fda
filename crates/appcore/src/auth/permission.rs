//! What the roles of a workspace may do: the one table that endpoints declare from and services decide by.

use crate::view::WorkspaceRole;

/// Something that not every member of a workspace may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Permission {
    /// Know that it is there, and whom one meets in it.
    See,
    /// Begin conversations and make assistants. Guests are only where they were added.
    Begin,
    /// Invite, add and remove people, and give roles below one's own.
    ManageMembers,
    /// Name it, and say whose mail domain lets in.
    Configure,
    /// Delete it for everybody.
    Delete,
}

impl Permission {
    pub const ALL: [Self; 5] = [Self::See, Self::Begin, Self::ManageMembers, Self::Configure, Self::Delete];

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::See => "see",
            Self::Begin => "begin",
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
            Permission::See => true,
            Permission::Begin => matches!(self, Self::Owner | Self::Admin | Self::Member),
            Permission::ManageMembers | Permission::Configure => matches!(self, Self::Owner | Self::Admin),
            Permission::Delete => matches!(self, Self::Owner),
        }
    }

    /// Whether somebody of this role may make `other` out of somebody, or out of `other` something else.
    #[must_use]
    pub const fn may_give(self, other: Self) -> bool {
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
    fn each_role_may_what_the_one_below_it_may() {
        let roles = [WorkspaceRole::Guest, WorkspaceRole::Member, WorkspaceRole::Admin, WorkspaceRole::Owner];
        let counts = roles.map(|role| Permission::ALL.into_iter().filter(|permission| role.may(*permission)).count());
        assert_eq!(counts, [1, 2, 4, 5]);
        for pair in roles.windows(2) {
            for permission in Permission::ALL {
                assert!(!pair[0].may(permission) || pair[1].may(permission), "{pair:?} {permission:?}");
            }
        }
        assert!(!WorkspaceRole::Admin.may_give(WorkspaceRole::Admin));
        assert!(WorkspaceRole::Owner.may_give(WorkspaceRole::Owner));
    }
}
