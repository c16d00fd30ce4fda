//! Conversations themselves: made, renamed, joined, left, deleted.

use appcore::{
    AppError, Code, ConversationId, UserId,
    event::{Audience, Event},
    view::{AssistantMember, ConversationKind, Member, MemberRole},
};
use dbcontext::{entity::conversation, query};
use sea_orm::ConnectionTrait as _;

use super::{
    change::{
        AddAssistant, AddMember, CreateConversation, Created, DeleteConversation, Outcome, RemoveMember, SetRole,
        UpdateConversation,
    },
    group::{Group, Standing},
};

pub(super) async fn create(group: &mut Group<'_>, new: &CreateConversation) -> Result<Outcome, AppError> {
    let everyone: Vec<UserId> = new.members.iter().map(|(user, _)| *user).collect();
    if !query::workspaces::hold(group.db, new.workspace_id, &everyone).await? {
        return Err(Code::NotFound.into());
    }
    let row = conversation::Model {
        id: new.id,
        workspace_id: new.workspace_id,
        kind: new.kind.to_string(),
        title: new.title.clone(),
        topic: None,
        pair_key: new.pair_key.clone(),
        last_seq: 0,
        last_activity_at: group.now,
        created_by: new.created_by,
        created_at: group.now,
        is_deleted: false,
    };
    if !query::conversations::insert(group.db, row).await? {
        return Ok(Outcome::Created(Created::Existing));
    }
    query::members::insert(group.db, new.id, new.members.iter().copied(), group.now).await?;
    if let Some(assistant) = new.assistant {
        query::conversations::add_assistant(group.db, new.id, assistant, group.now).await?;
    }
    group.append(new.id, 0, &Event::ConversationCreated { conversation_id: new.id }, Audience::Users(everyone))?;
    Ok(Outcome::Created(Created::New(new.id)))
}

pub(super) async fn update(group: &mut Group<'_>, update: &UpdateConversation) -> Result<Outcome, AppError> {
    manager(group, update.conversation_id, update.by)?;
    let conversation = group.conversation_mut(update.conversation_id)?;
    let (title, topic) = (
        update.title.clone().unwrap_or_else(|| conversation.title.clone()),
        update.topic.clone().unwrap_or_else(|| conversation.topic.clone()),
    );
    if (&title, &topic) == (&conversation.title, &conversation.topic) {
        return Ok(Outcome::Done);
    }
    conversation.title.clone_from(&title);
    conversation.topic.clone_from(&topic);
    query::conversations::set_names(group.db, update.conversation_id, title, topic).await?;
    tell_update(group, update.conversation_id).await?;
    Ok(Outcome::Done)
}

pub(super) async fn delete(group: &mut Group<'_>, delete: &DeleteConversation) -> Result<Outcome, AppError> {
    if group.standing(delete.conversation_id, delete.by)?.role != MemberRole::Owner {
        return Err(AppError::refused(Code::Forbidden, "Only the owner can delete a conversation."));
    }
    dissolve(group, delete.conversation_id).await
}

/// Ends a conversation for everybody in it.
pub(super) async fn dissolve(group: &mut Group<'_>, conversation_id: ConversationId) -> Result<Outcome, AppError> {
    group.emit(conversation_id, |seq| Event::ConversationDeleted { conversation_id, seq })?;
    // The number is written at once: the conversation is out of the group from here on.
    let head = group.conversation(conversation_id)?.last_seq;
    let advance = query::groups::advance(group.db.get_database_backend(), &[(conversation_id, head)], group.now)?;
    query::execute(group.db, vec![advance]).await?;
    query::conversations::delete(group.db, conversation_id).await?;
    group.forget(conversation_id);
    Ok(Outcome::Done)
}

pub(super) async fn add_member(group: &mut Group<'_>, add: &AddMember) -> Result<Outcome, AppError> {
    manager(group, add.conversation_id, add.by)?;
    if group.standing(add.conversation_id, add.user_id).is_ok() {
        return Err(Code::AlreadyMember.into());
    }
    let workspace_id = group.conversation(add.conversation_id)?.workspace_id;
    if !query::workspaces::hold(group.db, workspace_id, &[add.user_id]).await? {
        return Err(Code::NotFound.into());
    }
    query::members::insert(group.db, add.conversation_id, [(add.user_id, MemberRole::Member)], group.now).await?;
    let member = member(group, add.conversation_id, add.user_id).await?;
    group.set_standing(
        add.conversation_id,
        add.user_id,
        Some(Standing { role: member.role, display_name: member.display_name.clone() }),
    );
    let conversation_id = add.conversation_id;
    group.emit(conversation_id, |seq| Event::MemberAdded { conversation_id, seq, member: member.clone() })?;
    Ok(Outcome::Member(member))
}

pub(super) async fn add_assistant(group: &mut Group<'_>, add: &AddAssistant) -> Result<Outcome, AppError> {
    manager(group, add.conversation_id, add.by)?;
    if !query::conversations::add_assistant(group.db, add.conversation_id, add.assistant_id, group.now).await? {
        return Err(AppError::refused(Code::AlreadyMember, "This assistant is already a member."));
    }
    let assistants = tell_update(group, add.conversation_id).await?;
    assistants
        .into_iter()
        .find(|assistant| assistant.id == add.assistant_id)
        .map(Outcome::Assistant)
        .ok_or_else(|| Code::NotFound.into())
}

pub(super) async fn remove_member(group: &mut Group<'_>, remove: &RemoveMember) -> Result<Outcome, AppError> {
    let leaving = remove.by == remove.user_id;
    let own_role = group.standing(remove.conversation_id, remove.by)?.role;
    only_groups(group, remove.conversation_id)?;
    let their_role = group.standing(remove.conversation_id, remove.user_id)?.role;
    if leaving {
        let others = query::members::of_conversation(group.db, remove.conversation_id).await?.len() > 1;
        if own_role == MemberRole::Owner && others {
            return Err(Code::OwnerMustTransfer.into());
        }
    } else if own_role == MemberRole::Member || their_role == MemberRole::Owner {
        return Err(AppError::refused(
            Code::Forbidden,
            "Only an owner or admin of the conversation can remove others, and nobody the owner.",
        ));
    }
    query::members::remove(group.db, remove.conversation_id, remove.user_id).await?;
    group.set_standing(remove.conversation_id, remove.user_id, None);
    let (conversation_id, user_id) = (remove.conversation_id, remove.user_id);
    group.emit(conversation_id, |seq| Event::MemberRemoved { conversation_id, seq, user_id })?;
    Ok(Outcome::Done)
}

pub(super) async fn set_role(group: &mut Group<'_>, set: &SetRole) -> Result<Outcome, AppError> {
    if group.standing(set.conversation_id, set.by)?.role != MemberRole::Owner {
        return Err(AppError::refused(Code::Forbidden, "Only the owner can give roles."));
    }
    only_groups(group, set.conversation_id)?;
    group.standing(set.conversation_id, set.user_id)?;
    if set.by == set.user_id {
        if set.role == MemberRole::Owner {
            return Ok(Outcome::Member(member(group, set.conversation_id, set.user_id).await?));
        }
        return Err(Code::OwnerMustTransfer.into());
    }
    if set.role == MemberRole::Owner {
        change_role(group, set.conversation_id, set.by, MemberRole::Admin).await?;
    }
    Ok(Outcome::Member(change_role(group, set.conversation_id, set.user_id, set.role).await?))
}

pub(super) async fn change_role(
    group: &mut Group<'_>,
    conversation_id: ConversationId,
    user: UserId,
    role: MemberRole,
) -> Result<Member, AppError> {
    query::members::set_role(group.db, conversation_id, user, role).await?;
    let member = member(group, conversation_id, user).await?;
    group.set_standing(conversation_id, user, Some(Standing { role, display_name: member.display_name.clone() }));
    group.emit(conversation_id, |seq| Event::MemberUpdated { conversation_id, seq, member: member.clone() })?;
    Ok(member)
}

async fn member(group: &Group<'_>, id: ConversationId, user: UserId) -> Result<Member, AppError> {
    query::members::find(group.db, id, user).await?.ok_or(Code::NotFound)?.try_into()
}

/// Says how the conversation is named and which assistants are in it.
async fn tell_update(group: &mut Group<'_>, conversation_id: ConversationId) -> Result<Vec<AssistantMember>, AppError> {
    let assistants: Vec<AssistantMember> = query::conversations::assistants(group.db, &[conversation_id])
        .await?
        .into_iter()
        .map(AssistantMember::from)
        .collect();
    let conversation = group.conversation(conversation_id)?;
    let (title, topic) = (conversation.title.clone(), conversation.topic.clone());
    group.emit(conversation_id, |seq| Event::ConversationUpdated {
        conversation_id,
        seq,
        title,
        topic,
        assistants: assistants.clone(),
    })?;
    Ok(assistants)
}

/// Owners and admins of a group manage it; an assistant's chat belongs to its person; a pair has nothing to manage.
fn manager(group: &Group<'_>, id: ConversationId, user: UserId) -> Result<(), AppError> {
    let role = group.standing(id, user)?.role;
    if group.kind(id)? == ConversationKind::Single {
        return Err(AppError::refused(Code::WrongState, "A conversation of two has no name and no other members."));
    }
    if role == MemberRole::Member {
        return Err(AppError::refused(Code::Forbidden, "Only an owner or admin of the conversation can do this."));
    }
    Ok(())
}

fn only_groups(group: &Group<'_>, id: ConversationId) -> Result<(), AppError> {
    if group.kind(id)? == ConversationKind::Group {
        return Ok(());
    }
    Err(AppError::refused(Code::WrongState, "This is possible in groups only."))
}
