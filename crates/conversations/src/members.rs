//! Members of a conversation: users and assistants.

use std::collections::{BTreeSet, HashMap};

use appcore::{
    AppError, AssistantId, Code, ConversationId, UserId,
    auth::{Permission, Principal},
    page::{Page, PageRequest},
    text_field::validate_search_text,
    view::{AssistantMember, Member, MemberRole, Presence},
};
use dbcontext::query::{self, members::NamedMember};
use event_log::{
    access,
    events::{MemberAction, Outcome},
};
use identity::{membership, presence};

use super::channels;
use crate::ConversationsService;

/// Member that was added to a conversation.
#[derive(Clone, Debug)]
pub enum JoinedMember {
    Person(Member),
    Assistant(AssistantMember),
}

/// Lists the users in a conversation that the caller may read: owners first, then by name.
pub async fn members(
    service: &ConversationsService,
    by: &Principal,
    id: ConversationId,
    text: &str,
    role: Option<MemberRole>,
    page: PageRequest,
) -> Result<Page<Member>, AppError> {
    validate_search_text(text)?;
    access::reader(&service.events, by.user_id, id).await?;
    let (rows, total) = query::members::page(&service.db.replica().await, id, text, role, page).await?;
    let members = with_presence(service, rows).await.into_iter().map(|(_, member)| member).collect();
    Ok(Page::new(members, page, total))
}

pub async fn member(
    service: &ConversationsService,
    by: &Principal,
    id: ConversationId,
    user_id: UserId,
) -> Result<Member, AppError> {
    access::reader(&service.events, by.user_id, id).await?;
    let row = query::members::find(service.db.reader(), id, user_id).await?.ok_or(Code::NotFound)?;
    let found = with_presence(service, vec![row]).await.into_iter().next();
    found.map(|(_, member)| member).ok_or_else(|| Code::NotFound.into())
}

/// Adds presence to members, with one look-up per distinct user.
pub(super) async fn with_presence(
    service: &ConversationsService,
    rows: Vec<NamedMember>,
) -> Vec<(ConversationId, Member)> {
    let people: Vec<UserId> = rows.iter().map(|row| row.user_id).collect::<BTreeSet<_>>().into_iter().collect();
    let known: HashMap<UserId, Presence> = presence::presences(&service.identity, &people)
        .await
        .into_iter()
        .map(|presence| (presence.user_id, presence))
        .collect();
    rows.into_iter()
        .map(|row| {
            let id = row.conversation_id;
            let mut member = Member::from(row);
            if let Some(presence) = known.get(&member.user_id) {
                member.presence = Some(presence.status);
                member.last_seen = presence.last_seen;
            }
            (id, member)
        })
        .collect()
}

/// Adds a user or an assistant of the same workspace.
pub async fn add_member(
    service: &ConversationsService,
    by: &Principal,
    id: ConversationId,
    who: Result<UserId, AssistantId>,
) -> Result<JoinedMember, AppError> {
    let access = access::reader(&service.events, by.user_id, id).await?;
    // A guest may have a role in the conversation, but may not add others, since guests see only
    // the people and assistants in their own conversations.
    membership::authorize(&service.identity, by, access.workspace_id, Permission::CreateContent).await?;
    let action = match who {
        Ok(user_id) => {
            if !membership::are_members(&service.identity, access.workspace_id, &[user_id]).await? {
                return Err(AppError::field("user_id", "not_found", "This person isn't in this workspace."));
            }
            if !access.kind.capabilities().members_are_durable {
                return channels::add(service, by, id, user_id).await.map(JoinedMember::Person);
            }
            MemberAction::AddMember { user_id }
        }
        Err(assistant_id) => {
            let (workspace, db) = (access.workspace_id, service.db.reader());
            if query::assistants::usable_in(db, workspace, by.user_id, assistant_id).await?.is_none() {
                return Err(AppError::field("assistant_id", "not_found", "This assistant isn't in this workspace."));
            }
            MemberAction::AddAssistant { assistant_id }
        }
    };
    match service.events.writer.submit(action.by_member(by.user_id, id)).await? {
        Outcome::Assistant(assistant) => Ok(JoinedMember::Assistant(assistant)),
        other => other.member().map(JoinedMember::Person),
    }
}

/// Removes a member.
pub async fn remove_member(
    service: &ConversationsService,
    by: &Principal,
    id: ConversationId,
    user_id: UserId,
) -> Result<(), AppError> {
    let access = access::reader(&service.events, by.user_id, id).await?;
    if !access.kind.capabilities().members_are_durable {
        return channels::remove(service, by, id, user_id).await;
    }
    service.events.writer.submit(MemberAction::RemoveMember { user_id }.by_member(by.user_id, id)).await?;
    Ok(())
}

/// Leaves a conversation. The owner of a group must transfer it first; the ownership of a channel
/// passes to a remaining member.
pub async fn leave(service: &ConversationsService, by: &Principal, id: ConversationId) -> Result<(), AppError> {
    access::member(&service.events, by.user_id, id).await?;
    remove_member(service, by, id, by.user_id).await
}

/// Changes a member's role; `Owner` transfers the ownership.
pub async fn set_role(
    service: &ConversationsService,
    by: &Principal,
    id: ConversationId,
    user_id: UserId,
    role: MemberRole,
) -> Result<Member, AppError> {
    let access = access::reader(&service.events, by.user_id, id).await?;
    if !access.kind.capabilities().members_are_durable {
        return channels::set_role(service, by, id, user_id, role).await;
    }
    service.events.writer.submit(MemberAction::SetRole { user_id, role }.by_member(by.user_id, id)).await?.member()
}
