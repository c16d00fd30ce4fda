//! Beginning a conversation: each kind by its rules.

use std::collections::BTreeSet;

use appcore::{
    AppError, AssistantId, Code, ConversationId, UserId, WorkspaceId,
    auth::{Permission, Principal},
    line::parse_line,
    view::{Conversation, ConversationKind, MemberRole},
};
use dbcontext::query;

use super::{MAX_TITLE_CHARS, find};
use crate::{
    App,
    events::{Change, CreateConversation, Created},
    workspaces,
};

/// The most people that one request makes members.
const MAX_MEMBERS: usize = 1_000;

/// What the caller wants to begin.
#[derive(Clone, Debug)]
pub struct NewConversation {
    pub kind: ConversationKind,
    pub title: Option<String>,
    /// Left out: the shared workspace, else the caller's own.
    pub workspace_id: Option<WorkspaceId>,
    /// The others; the caller is one in any case.
    pub member_ids: Vec<UserId>,
    pub assistant_id: Option<AssistantId>,
}

/// Begins a conversation. `false` beside it: the pair had one already, and this is it.
pub async fn create(app: &App, by: &Principal, new: NewConversation) -> Result<(Conversation, bool), AppError> {
    if new.member_ids.len() > MAX_MEMBERS {
        return Err(AppError::field("member_ids", "too_long", format!("Add up to {MAX_MEMBERS} people at a time.")));
    }
    let title = match new.title.as_deref().map(str::trim) {
        None | Some("") => None,
        Some(title) => Some(parse_line("title", title, MAX_TITLE_CHARS)?),
    };
    let workspace_id = workspaces::resolve(app, by, new.workspace_id, Permission::Begin).await?.id;
    let others: BTreeSet<UserId> = new.member_ids.iter().copied().filter(|id| *id != by.user_id).collect();
    check_people(new.kind, &others)?;
    let together: Vec<UserId> = others.iter().copied().collect();
    if !together.is_empty() && !workspaces::are_together(app, workspace_id, &together).await? {
        return Err(AppError::field("member_ids", "not_found", "Some of these people aren't in this workspace."));
    }
    let assistant = assistant(app, workspace_id, &new).await?;
    let (own_role, pair_key) = match new.kind {
        ConversationKind::Single => {
            (MemberRole::Member, together.first().map(|other| pair_key(workspace_id, by.user_id, *other)))
        }
        ConversationKind::Group | ConversationKind::Assistant => (MemberRole::Owner, None),
    };
    let change = CreateConversation {
        id: ConversationId::new(),
        workspace_id,
        kind: new.kind,
        title: if new.kind == ConversationKind::Single { None } else { title },
        created_by: by.user_id,
        members: std::iter::once((by.user_id, own_role))
            .chain(others.into_iter().map(|id| (id, MemberRole::Member)))
            .collect(),
        assistant,
        pair_key: pair_key.clone(),
    };
    let own_id = change.id;
    let (id, is_new) = match app.writer.submit(Change::Create(Box::new(change))).await?.created()? {
        Created::New(id) => (id, true),
        Created::Existing => {
            let of_pair = match &pair_key {
                Some(pair_key) => {
                    query::conversations::of_pair(app.db.reader(), pair_key).await?.ok_or(Code::Conflict)?
                }
                None => own_id,
            };
            (of_pair, of_pair == own_id)
        }
    };
    Ok((find(app, by, id).await?, is_new))
}

fn check_people(kind: ConversationKind, others: &BTreeSet<UserId>) -> Result<(), AppError> {
    let wrong = |message| Err(AppError::field("member_ids", "invalid", message));
    match (kind, others.len()) {
        (ConversationKind::Single, 1) | (ConversationKind::Group, 2..) | (ConversationKind::Assistant, 0) => Ok(()),
        (ConversationKind::Single, _) => wrong("A direct message needs exactly one other person."),
        (ConversationKind::Group, _) => wrong("A group needs at least two other people."),
        (ConversationKind::Assistant, _) => {
            wrong("A conversation with an assistant can't include other people. Create a group instead.")
        }
    }
}

/// The assistant that is meant, where the kind has one.
async fn assistant(app: &App, workspace: WorkspaceId, new: &NewConversation) -> Result<Option<AssistantId>, AppError> {
    let meant = match (new.kind, new.assistant_id) {
        (ConversationKind::Single, None) | (ConversationKind::Group, None) => return Ok(None),
        (ConversationKind::Single, Some(_)) => {
            return Err(AppError::field("assistant_id", "invalid", "You can't add an assistant to a direct message."));
        }
        (ConversationKind::Assistant, None) => query::assistants::DEFAULT_ID,
        (ConversationKind::Assistant | ConversationKind::Group, Some(id)) => id,
    };
    match query::assistants::usable_in(app.db.reader(), workspace, meant).await? {
        Some(assistant) => Ok(Some(assistant.id)),
        None => Err(AppError::field("assistant_id", "not_found", "This assistant isn't in this workspace.")),
    }
}

fn pair_key(workspace: WorkspaceId, one: UserId, other: UserId) -> String {
    let (low, high) = if one < other { (one, other) } else { (other, one) };
    format!("{workspace}:{low}:{high}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_has_one_key_whoever_asks() {
        let (workspace, one, other) = (WorkspaceId::new(), UserId::new(), UserId::new());
        assert_eq!(pair_key(workspace, one, other), pair_key(workspace, other, one));
    }

    #[test]
    fn each_kind_has_its_number_of_people() {
        let people = |count| (0..count).map(|_| UserId::new()).collect::<BTreeSet<_>>();
        assert!(check_people(ConversationKind::Single, &people(1)).is_ok());
        assert!(check_people(ConversationKind::Single, &people(0)).is_err());
        assert!(check_people(ConversationKind::Group, &people(2)).is_ok());
        assert!(check_people(ConversationKind::Group, &people(1)).is_err());
        assert!(check_people(ConversationKind::Assistant, &people(0)).is_ok());
        assert!(check_people(ConversationKind::Assistant, &people(1)).is_err());
    }
}
