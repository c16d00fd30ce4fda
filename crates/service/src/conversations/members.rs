//! The people and assistants of a conversation.

use std::collections::{BTreeSet, HashMap};

use appcore::{
    AppError, AssistantId, Code, ConversationId, UserId,
    auth::{Permission, Principal},
    view::{AssistantMember, Member, MemberRole, Presence},
};
use dbcontext::query::{self, members::NamedMember};

use crate::{
    App,
    events::{AddAssistant, AddMember, Change, Outcome, RemoveMember, SetRole},
    workspaces,
};

/// Who joined.
#[derive(Clone, Debug)]
pub enum NewMember {
    Person(Member),
    Assistant(AssistantMember),
}

/// All people of a conversation that the caller is in.
pub async fn members(app: &App, by: &Principal, id: ConversationId) -> Result<Vec<Member>, AppError> {
    if query::members::find(app.db.reader(), id, by.user_id).await?.is_none() {
        return Err(Code::NotFound.into());
    }
    all(app, id).await
}

/// All people of a conversation.
pub(super) async fn all(app: &App, id: ConversationId) -> Result<Vec<Member>, AppError> {
    let rows = query::members::of_conversation(app.db.reader(), id).await?;
    Ok(with_presence(app, rows).await?.into_iter().map(|(_, member)| member).collect())
}

/// Says of each member whether they are here; everybody is asked for once.
pub(super) async fn with_presence(
    app: &App,
    rows: Vec<NamedMember>,
) -> Result<Vec<(ConversationId, Member)>, AppError> {
    let people: Vec<UserId> = rows.iter().map(|row| row.user_id).collect::<BTreeSet<_>>().into_iter().collect();
    let known: HashMap<UserId, Presence> =
        app.presence.of(&people).await.into_iter().map(|presence| (presence.user_id, presence)).collect();
    rows.into_iter()
        .map(|row| {
            let id = row.conversation_id;
            let mut member = Member::try_from(row)?;
            if let Some(presence) = known.get(&member.user_id) {
                member.presence = Some(presence.status);
                member.last_seen = presence.last_seen;
            }
            Ok((id, member))
        })
        .collect()
}

/// Adds somebody of the same workspace, a person or an assistant.
pub async fn add_member(
    app: &App,
    by: &Principal,
    id: ConversationId,
    who: Result<UserId, AssistantId>,
) -> Result<NewMember, AppError> {
    let conversation = query::conversations::find(app.db.reader(), by.user_id, id).await?.ok_or(Code::NotFound)?;
    // A guest who was given a role in a conversation still knows nobody outside of it.
    workspaces::admit(app, by, conversation.workspace_id, Permission::Begin).await?;
    let change = match who {
        Ok(user_id) => {
            if !workspaces::are_together(app, conversation.workspace_id, &[user_id]).await? {
                return Err(AppError::field("user_id", "not_found", "This person isn't in this workspace."));
            }
            Change::AddMember(AddMember { conversation_id: id, by: by.user_id, user_id })
        }
        Err(assistant_id) => {
            if query::assistants::usable_in(app.db.reader(), conversation.workspace_id, assistant_id).await?.is_none() {
                return Err(AppError::field("assistant_id", "not_found", "This assistant isn't in this workspace."));
            }
            Change::AddAssistant(AddAssistant { conversation_id: id, by: by.user_id, assistant_id })
        }
    };
    match app.writer.submit(change).await? {
        Outcome::Assistant(assistant) => Ok(NewMember::Assistant(assistant)),
        other => other.member().map(NewMember::Person),
    }
}

/// Ends somebody's membership.
pub async fn remove_member(app: &App, by: &Principal, id: ConversationId, user_id: UserId) -> Result<(), AppError> {
    app.writer.submit(Change::RemoveMember(RemoveMember { conversation_id: id, by: by.user_id, user_id })).await?;
    Ok(())
}

/// Ends one's own membership; an owner hands the conversation over first.
pub async fn leave(app: &App, by: &Principal, id: ConversationId) -> Result<(), AppError> {
    remove_member(app, by, id, by.user_id).await
}

/// Gives a role; `Owner` hands the ownership over.
pub async fn set_role(
    app: &App,
    by: &Principal,
    id: ConversationId,
    user_id: UserId,
    role: MemberRole,
) -> Result<Member, AppError> {
    app.writer.submit(Change::SetRole(SetRole { conversation_id: id, by: by.user_id, user_id, role })).await?.member()
}
