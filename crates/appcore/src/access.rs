//! Conversation permissions: reading, writing and management. The rule for reading also exists as
//! an SQL predicate in `dbcontext::query::access`; a test there compares the two.

use crate::{
    Code, ConversationId, WorkspaceId,
    view::{ConversationKind, HistoryScope, MemberRole, MentionAll, Posting, WorkspaceRole},
};

/// Relation of a user to an existing conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    pub conversation_id: ConversationId,
    pub workspace_id: WorkspaceId,
    pub kind: ConversationKind,
    pub last_seq: i64,
    pub is_archived: bool,
    /// True if the conversation is the workspace's default channel.
    pub is_default: bool,
    pub posting: Posting,
    pub mention_all: MentionAll,
    pub history: HistoryScope,
    /// Last sequence number of the conversation's events when the user joined; 0 for the first
    /// members.
    pub joined_at_seq: i64,
    /// Role in the conversation; `None` if the user is not a member of it.
    pub role: Option<MemberRole>,
    /// Role in the workspace; `None` if the user is not a member of it.
    pub workspace_role: Option<WorkspaceRole>,
    /// True if the user was removed from the conversation and has not been added again.
    pub is_removed: bool,
}

impl Access {
    #[must_use]
    pub fn may_read(&self) -> bool {
        self.role.is_some() || (self.is_open_to_user() && !self.is_excluded())
    }

    fn is_open_to_user(&self) -> bool {
        self.kind.capabilities().is_open && self.workspace_role.is_some_and(sees_open_channels)
    }

    /// True if the user was removed and may not come back on their own. Owners and admins of the
    /// workspace always may.
    fn is_excluded(&self) -> bool {
        self.is_removed && !self.workspace_role.is_some_and(administers_workspace)
    }

    /// Checks that the user may join on their own. Returns `Removed` if the user was removed from
    /// an open channel, and `NotFound` if the conversation is not open to them.
    pub fn may_join(&self) -> Result<(), Code> {
        if self.may_read() {
            return Ok(());
        }
        Err(if self.is_open_to_user() { Code::Removed } else { Code::NotFound })
    }

    /// True if messages from before the user joined are hidden from the user.
    #[must_use]
    pub fn hides_history(&self) -> bool {
        self.history == HistoryScope::FromJoin && self.kind.capabilities().may_hide_history
    }

    /// Sequence number of the last event that is hidden from the user.
    #[must_use]
    pub fn hidden_until_seq(&self) -> i64 {
        if self.hides_history() { self.joined_at_seq } else { 0 }
    }

    /// Returns the user's role. Fails with `NotAMember` if the user may only read, and with
    /// `NotFound` if the user may not even read.
    pub fn require_member(&self) -> Result<MemberRole, Code> {
        match self.role {
            Some(role) => Ok(role),
            None if self.may_read() => Err(Code::NotAMember),
            None => Err(Code::NotFound),
        }
    }

    pub fn may_write(&self) -> Result<(), Code> {
        self.require_member()?;
        if self.is_archived {
            return Err(Code::Archived);
        }
        if self.posting == Posting::Admins && !self.may_manage() { Err(Code::Forbidden) } else { Ok(()) }
    }

    /// Checks that the user may mention all members. Returns `Forbidden` if the conversation
    /// restricts that to admins.
    pub fn may_mention_all(&self) -> Result<(), Code> {
        self.require_member()?;
        if self.mention_all == MentionAll::Admins && !self.may_manage() { Err(Code::Forbidden) } else { Ok(()) }
    }

    /// Checks that the user may export the conversation. Any member may export a small group;
    /// channels and larger groups can be exported only by members who manage them.
    pub fn may_export(&self, is_small: bool) -> Result<(), Code> {
        self.require_member()?;
        let is_everybodys = !self.kind.capabilities().is_channel && is_small;
        if is_everybodys || self.may_manage() { Ok(()) } else { Err(Code::Forbidden) }
    }

    /// True for owners and admins of the conversation. In a channel that they may read, it is also
    /// true for owners and admins of the workspace.
    #[must_use]
    pub fn may_manage(&self) -> bool {
        matches!(self.role, Some(MemberRole::Owner | MemberRole::Admin)) || self.is_workspace_admin()
    }

    /// True for the owner of the conversation. In a channel that they may read, it is also true for
    /// owners and admins of the workspace.
    #[must_use]
    pub fn has_owner_rights(&self) -> bool {
        self.role == Some(MemberRole::Owner) || self.is_workspace_admin()
    }

    fn is_workspace_admin(&self) -> bool {
        self.kind.capabilities().is_channel && self.may_read() && self.workspace_role.is_some_and(administers_workspace)
    }

    /// Checks that the user may manage the conversation. Fails with `Forbidden` if the user may
    /// only read it, and with `NotFound` otherwise.
    pub fn require_manager(&self) -> Result<(), Code> {
        match (self.may_manage(), self.may_read()) {
            (true, _) => Ok(()),
            (false, true) => Err(Code::Forbidden),
            (false, false) => Err(Code::NotFound),
        }
    }
}

/// True if the role may see the open channels of a workspace.
#[must_use]
pub fn sees_open_channels(role: WorkspaceRole) -> bool {
    role != WorkspaceRole::Guest
}

/// True if the role manages the channels of the workspace that it may read.
#[must_use]
pub fn administers_workspace(role: WorkspaceRole) -> bool {
    matches!(role, WorkspaceRole::Owner | WorkspaceRole::Admin)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access(kind: ConversationKind, role: Option<MemberRole>, workspace_role: Option<WorkspaceRole>) -> Access {
        Access {
            conversation_id: ConversationId::new(),
            workspace_id: WorkspaceId::new(),
            kind,
            last_seq: 0,
            is_archived: false,
            is_default: false,
            posting: Posting::Everyone,
            mention_all: MentionAll::Everyone,
            history: HistoryScope::All,
            joined_at_seq: 0,
            role,
            workspace_role,
            is_removed: false,
        }
    }

    #[test]
    fn removed_members_stay_out_unless_they_are_workspace_admins() {
        let removed = |kind, role| Access { is_removed: true, ..access(kind, None, role) };
        let public = |role| removed(ConversationKind::PublicChannel, role);
        let member = public(Some(WorkspaceRole::Member));
        assert_eq!((member.may_read(), member.may_join()), (false, Err(Code::Removed)));
        assert_eq!((member.require_member(), member.require_manager()), (Err(Code::NotFound), Err(Code::NotFound)));
        for role in [WorkspaceRole::Owner, WorkspaceRole::Admin] {
            let access = public(Some(role));
            assert_eq!((access.may_join(), access.require_manager()), (Ok(()), Ok(())), "{role}");
        }
        // Guests must not learn that the channel exists.
        assert_eq!(public(Some(WorkspaceRole::Guest)).may_join(), Err(Code::NotFound));
        assert_eq!(public(None).may_join(), Err(Code::NotFound));
        let private = removed(ConversationKind::PrivateChannel, Some(WorkspaceRole::Member));
        assert_eq!(private.may_join(), Err(Code::NotFound));
    }

    #[test]
    fn managers_may_read_and_writers_are_members() {
        let roles = [None, Some(MemberRole::Member), Some(MemberRole::Admin), Some(MemberRole::Owner)];
        let workspace_roles = WorkspaceRole::ALL.into_iter().map(Some).chain([None]);
        for (kind, workspace_role) in
            workspace_roles.flat_map(|role| ConversationKind::ALL.into_iter().map(move |kind| (kind, role)))
        {
            for role in roles {
                let access = access(kind, role, workspace_role);
                assert!(!access.may_manage() || access.may_read(), "{access:?}");
                assert!(!access.has_owner_rights() || access.may_manage(), "{access:?}");
                assert_eq!(access.may_write().is_ok(), role.is_some(), "{access:?}");
                assert!(Access { is_archived: true, ..access }.may_write().is_err());
                let announced = Access { posting: Posting::Admins, ..access };
                assert_eq!(announced.may_write().is_ok(), role.is_some() && access.may_manage(), "{access:?}");
                assert_eq!(access.may_mention_all().is_ok(), role.is_some(), "{access:?}");
                let kept = Access { mention_all: MentionAll::Admins, ..access };
                assert_eq!(kept.may_mention_all().is_ok(), role.is_some() && access.may_manage(), "{access:?}");
            }
        }
    }

    #[test]
    fn small_groups_are_exported_by_any_member_and_channels_by_managers() {
        let member = |kind, workspace_role| access(kind, Some(MemberRole::Member), workspace_role);
        assert_eq!(member(ConversationKind::Single, None).may_export(true), Ok(()));
        assert_eq!(member(ConversationKind::Group, None).may_export(true), Ok(()));
        assert_eq!(member(ConversationKind::Group, None).may_export(false), Err(Code::Forbidden));
        for kind in [ConversationKind::PublicChannel, ConversationKind::PrivateChannel] {
            assert_eq!(member(kind, Some(WorkspaceRole::Member)).may_export(true), Err(Code::Forbidden));
            assert_eq!(member(kind, Some(WorkspaceRole::Admin)).may_export(false), Ok(()));
            assert_eq!(access(kind, Some(MemberRole::Admin), None).may_export(false), Ok(()));
            assert!(access(kind, None, Some(WorkspaceRole::Owner)).may_export(true).is_err());
        }
    }

    #[test]
    fn history_starts_at_join_if_configured() {
        for kind in ConversationKind::ALL {
            let member = Access { joined_at_seq: 7, ..access(kind, Some(MemberRole::Member), None) };
            assert_eq!(member.hidden_until_seq(), 0, "{kind}");
            let hidden = Access { history: HistoryScope::FromJoin, ..member };
            let begins = if kind.capabilities().may_hide_history { 7 } else { 0 };
            assert_eq!(hidden.hidden_until_seq(), begins, "{kind}");
        }
    }

    #[test]
    fn open_channels_are_readable_by_all_but_guests() {
        let public = |role| access(ConversationKind::PublicChannel, None, role);
        assert_eq!(public(Some(WorkspaceRole::Member)).may_write(), Err(Code::NotAMember));
        assert_eq!(public(Some(WorkspaceRole::Guest)).may_write(), Err(Code::NotFound));
        assert_eq!(public(None).may_write(), Err(Code::NotFound));
        let private = access(ConversationKind::PrivateChannel, None, Some(WorkspaceRole::Owner));
        assert_eq!((private.may_write(), private.require_manager()), (Err(Code::NotFound), Err(Code::NotFound)));
    }
}
