//! Who may read, write to and manage a conversation. The same rule for reading stands as an SQL predicate in `dbcontext::query::access`, and a
//! test there compares the two.

use crate::{
    Code, ConversationId, WorkspaceId,
    view::{ConversationKind, HistoryScope, MemberRole, MentionAll, Posting, WorkspaceRole},
};

/// What somebody is to a conversation that is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    pub conversation_id: ConversationId,
    pub workspace_id: WorkspaceId,
    pub kind: ConversationKind,
    pub last_seq: i64,
    pub is_archived: bool,
    /// It is the workspace's default channel.
    pub is_default: bool,
    pub posting: Posting,
    pub mention_all: MentionAll,
    pub history: HistoryScope,
    /// How far the conversation had come when they joined; 0 for those who were in it from the beginning.
    pub joined_at_seq: i64,
    /// None: they are no member of it.
    pub role: Option<MemberRole>,
    /// None: they are not in its workspace.
    pub workspace_role: Option<WorkspaceRole>,
    /// Somebody has removed them from it, and nobody has added them since.
    pub is_removed: bool,
}

impl Access {
    #[must_use]
    pub fn may_read(&self) -> bool {
        self.role.is_some() || (self.is_open_to_them() && !self.is_kept_out())
    }

    fn is_open_to_them(&self) -> bool {
        self.kind.capabilities().is_open && self.workspace_role.is_some_and(is_insider)
    }

    /// Nobody keeps those out who govern the workspace.
    fn is_kept_out(&self) -> bool {
        self.is_removed && !self.workspace_role.is_some_and(governs)
    }

    /// Why they may not come in by themselves, if that is so.
    pub fn may_join(&self) -> Result<(), Code> {
        if self.may_read() {
            return Ok(());
        }
        Err(if self.is_open_to_them() { Code::Removed } else { Code::NotFound })
    }

    /// What was said before somebody joined is hidden from them.
    #[must_use]
    pub fn hides_history(&self) -> bool {
        self.history == HistoryScope::FromJoin && self.kind.capabilities().may_hide_history
    }

    /// What they may read begins after this event.
    #[must_use]
    pub fn reads_after(&self) -> i64 {
        if self.hides_history() { self.joined_at_seq } else { 0 }
    }

    /// Why they may not be told of it, or take part in it, if that is so.
    pub fn member(&self) -> Result<MemberRole, Code> {
        match self.role {
            Some(role) => Ok(role),
            None if self.may_read() => Err(Code::NotAMember),
            None => Err(Code::NotFound),
        }
    }

    pub fn may_write(&self) -> Result<(), Code> {
        self.member()?;
        if self.is_archived {
            return Err(Code::Archived);
        }
        if self.posting == Posting::Admins && !self.may_manage() { Err(Code::Forbidden) } else { Ok(()) }
    }

    /// Refuses what mentions everybody where that is kept to admins.
    pub fn may_mention_all(&self) -> Result<(), Code> {
        self.member()?;
        if self.mention_all == MentionAll::Admins && !self.may_manage() { Err(Code::Forbidden) } else { Ok(()) }
    }

    /// Refuses whoever may not take all of it along: of a channel, and of a group that is not small, only those who manage it and are in it may.
    pub fn may_export(&self, is_small: bool) -> Result<(), Code> {
        self.member()?;
        let is_everybodys = !self.kind.capabilities().is_channel && is_small;
        if is_everybodys || self.may_manage() { Ok(()) } else { Err(Code::Forbidden) }
    }

    /// Owners and admins of the conversation; of a channel that they may read, those of its workspace too.
    #[must_use]
    pub fn may_manage(&self) -> bool {
        matches!(self.role, Some(MemberRole::Owner | MemberRole::Admin)) || self.is_workspace_admin()
    }

    /// Its owner; of a channel that they may read, the workspace's owner and admins too.
    #[must_use]
    pub fn may_own(&self) -> bool {
        self.role == Some(MemberRole::Owner) || self.is_workspace_admin()
    }

    fn is_workspace_admin(&self) -> bool {
        self.kind.capabilities().is_channel && self.may_read() && self.workspace_role.is_some_and(governs)
    }

    /// Refuses whoever may not manage it.
    pub fn manager(&self) -> Result<(), Code> {
        match (self.may_manage(), self.may_read()) {
            (true, _) => Ok(()),
            (false, true) => Err(Code::Forbidden),
            (false, false) => Err(Code::NotFound),
        }
    }
}

/// Whether somebody of this role sees what is open to a workspace.
#[must_use]
pub fn is_insider(role: WorkspaceRole) -> bool {
    role != WorkspaceRole::Guest
}

/// Whether somebody of this role manages the channels of the workspace that they may read.
#[must_use]
pub fn governs(role: WorkspaceRole) -> bool {
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
    fn whoever_was_removed_stays_out_unless_they_govern_the_workspace() {
        let removed = |kind, role| Access { is_removed: true, ..access(kind, None, role) };
        let public = |role| removed(ConversationKind::PublicChannel, role);
        let member = public(Some(WorkspaceRole::Member));
        assert_eq!((member.may_read(), member.may_join()), (false, Err(Code::Removed)));
        assert_eq!((member.member(), member.manager()), (Err(Code::NotFound), Err(Code::NotFound)));
        for role in [WorkspaceRole::Owner, WorkspaceRole::Admin] {
            let access = public(Some(role));
            assert_eq!((access.may_join(), access.manager()), (Ok(()), Ok(())), "{role}");
        }
        // Others learn nothing of it.
        assert_eq!(public(Some(WorkspaceRole::Guest)).may_join(), Err(Code::NotFound));
        assert_eq!(public(None).may_join(), Err(Code::NotFound));
        let private = removed(ConversationKind::PrivateChannel, Some(WorkspaceRole::Member));
        assert_eq!(private.may_join(), Err(Code::NotFound));
    }

    #[test]
    fn whoever_manages_reads_and_whoever_writes_is_in() {
        let roles = [None, Some(MemberRole::Member), Some(MemberRole::Admin), Some(MemberRole::Owner)];
        let workspace_roles = WorkspaceRole::ALL.into_iter().map(Some).chain([None]);
        for (kind, workspace_role) in
            workspace_roles.flat_map(|role| ConversationKind::ALL.into_iter().map(move |kind| (kind, role)))
        {
            for role in roles {
                let access = access(kind, role, workspace_role);
                assert!(!access.may_manage() || access.may_read(), "{access:?}");
                assert!(!access.may_own() || access.may_manage(), "{access:?}");
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
    fn what_is_small_is_taken_along_by_all_of_its_members_and_a_channel_by_those_who_manage_it() {
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
    fn history_begins_at_joining_where_it_was_made_so() {
        for kind in ConversationKind::ALL {
            let member = Access { joined_at_seq: 7, ..access(kind, Some(MemberRole::Member), None) };
            assert_eq!(member.reads_after(), 0, "{kind}");
            let hidden = Access { history: HistoryScope::FromJoin, ..member };
            let begins = if kind.capabilities().may_hide_history { 7 } else { 0 };
            assert_eq!(hidden.reads_after(), begins, "{kind}");
        }
    }

    #[test]
    fn an_open_channel_is_read_by_everybody_but_guests_and_others_know_nothing_of_it() {
        let public = |role| access(ConversationKind::PublicChannel, None, role);
        assert_eq!(public(Some(WorkspaceRole::Member)).may_write(), Err(Code::NotAMember));
        assert_eq!(public(Some(WorkspaceRole::Guest)).may_write(), Err(Code::NotFound));
        assert_eq!(public(None).may_write(), Err(Code::NotFound));
        let private = access(ConversationKind::PrivateChannel, None, Some(WorkspaceRole::Owner));
        assert_eq!((private.may_write(), private.manager()), (Err(Code::NotFound), Err(Code::NotFound)));
    }
}
