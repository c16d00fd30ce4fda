//! Conversations themselves: made, renamed, joined, left, deleted.

use appcore::{
    AppError, Code, ConversationId, UserId,
    event::Event,
    view::{AssistantMember, ConversationKind, Member, MemberRole},
};
use dbcontext::{entity::conversation, query};
use sea_orm::ConnectionTrait as _;

use super::{
    batch::{ActingMember, Batch},
    change::{
        AddAssistant, AddMember, CreateConversation, Created, DeleteConversation, Outcome, RemoveMember, SetRole,
        SuggestTitle, UpdateConversation,
    },
};

/// How many assistants may be in one conversation.
const MAX_ASSISTANTS: usize = 10;

pub(super) async fn create(batch: &mut Batch<'_>, new: &CreateConversation) -> Result<Outcome, AppError> {
    let everyone: Vec<UserId> = new.members.iter().map(|(user, _)| *user).collect();
    if !query::workspaces::hold(batch.db, new.workspace_id, &everyone).await? {
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
        last_activity_at: batch.now,
        created_by: new.created_by,
        created_at: batch.now,
        is_deleted: false,
    };
    if !query::conversations::insert(batch.db, row).await? {
        return Ok(Outcome::Created(Created::Existing));
    }
    query::members::insert(batch.db, new.id, new.members.iter().copied(), batch.now).await?;
    if let Some(assistant) = new.assistant {
        query::conversations::add_assistant(batch.db, new.id, assistant, batch.now).await?;
    }
    batch.emit_created(new.id, &everyone)?;
    Ok(Outcome::Created(Created::New(new.id)))
}

pub(super) async fn update(batch: &mut Batch<'_>, update: &UpdateConversation) -> Result<Outcome, AppError> {
    manager(batch, update.conversation_id, update.by)?;
    let conversation = batch.conversation_mut(update.conversation_id)?;
    let (title, topic) = (
        update.title.clone().unwrap_or_else(|| conversation.title.clone()),
        update.topic.clone().unwrap_or_else(|| conversation.topic.clone()),
    );
    if (&title, &topic) == (&conversation.title, &conversation.topic) {
        return Ok(Outcome::Done);
    }
    conversation.title.clone_from(&title);
    conversation.topic.clone_from(&topic);
    query::conversations::set_names(batch.db, update.conversation_id, title, topic).await?;
    tell_update(batch, update.conversation_id).await?;
    Ok(Outcome::Done)
}

/// Names a conversation that nobody has named meanwhile.
pub(super) async fn suggest_title(batch: &mut Batch<'_>, suggest: &SuggestTitle) -> Result<Outcome, AppError> {
    let conversation = batch.conversation_mut(suggest.conversation_id)?;
    if conversation.title.is_some() {
        return Ok(Outcome::Done);
    }
    conversation.title = Some(suggest.title.clone());
    let topic = conversation.topic.clone();
    query::conversations::set_names(batch.db, suggest.conversation_id, Some(suggest.title.clone()), topic).await?;
    tell_update(batch, suggest.conversation_id).await?;
    Ok(Outcome::Done)
}

pub(super) async fn delete(batch: &mut Batch<'_>, delete: &DeleteConversation) -> Result<Outcome, AppError> {
    if batch.standing(delete.conversation_id, delete.by)?.role != MemberRole::Owner {
        return Err(AppError::refused(Code::Forbidden, "Only the owner can delete this conversation."));
    }
    dissolve(batch, delete.conversation_id).await
}

/// Ends a conversation for everybody in it.
pub(super) async fn dissolve(batch: &mut Batch<'_>, conversation_id: ConversationId) -> Result<Outcome, AppError> {
    batch.emit(conversation_id, |seq| Event::ConversationDeleted { conversation_id, seq })?;
    // The number is written at once: the conversation is out of the group from here on.
    let head = batch.conversation(conversation_id)?.last_seq;
    let advance = query::batches::advance(batch.db.get_database_backend(), &[(conversation_id, head)], batch.now)?;
    query::execute(batch.db, vec![advance]).await?;
    query::conversations::delete(batch.db, conversation_id).await?;
    batch.forget(conversation_id);
    Ok(Outcome::Done)
}

pub(super) async fn add_member(batch: &mut Batch<'_>, add: &AddMember) -> Result<Outcome, AppError> {
    manager(batch, add.conversation_id, add.by)?;
    if batch.standing(add.conversation_id, add.user_id).is_ok() {
        return Err(Code::AlreadyMember.into());
    }
    let workspace_id = batch.conversation(add.conversation_id)?.workspace_id;
    if !query::workspaces::hold(batch.db, workspace_id, &[add.user_id]).await? {
        return Err(Code::NotFound.into());
    }
    query::members::insert(batch.db, add.conversation_id, [(add.user_id, MemberRole::Member)], batch.now).await?;
    let member = member(batch, add.conversation_id, add.user_id).await?;
    batch.set_standing(
        add.conversation_id,
        add.user_id,
        Some(ActingMember { role: member.role, display_name: member.display_name.clone() }),
    );
    let conversation_id = add.conversation_id;
    batch.emit(conversation_id, |seq| Event::MemberAdded { conversation_id, seq, member: member.clone() })?;
    Ok(Outcome::Member(member))
}

pub(super) async fn add_assistant(batch: &mut Batch<'_>, add: &AddAssistant) -> Result<Outcome, AppError> {
    manager(batch, add.conversation_id, add.by)?;
    let present = query::conversations::assistants(batch.db, &[add.conversation_id]).await?;
    let is_there = present.iter().any(|assistant| assistant.assistant_id == add.assistant_id);
    if !is_there && present.len() >= MAX_ASSISTANTS {
        return Err(AppError::refused(
            Code::WrongState,
            format!("A conversation can have up to {MAX_ASSISTANTS} assistants."),
        ));
    }
    if !query::conversations::add_assistant(batch.db, add.conversation_id, add.assistant_id, batch.now).await? {
        return Err(AppError::refused(Code::AlreadyMember, "This assistant is already in the conversation."));
    }
    let assistants = tell_update(batch, add.conversation_id).await?;
    assistants
        .into_iter()
        .find(|assistant| assistant.id == add.assistant_id)
        .map(Outcome::Assistant)
        .ok_or_else(|| Code::NotFound.into())
}

pub(super) async fn remove_member(batch: &mut Batch<'_>, remove: &RemoveMember) -> Result<Outcome, AppError> {
    let leaving = remove.by == remove.user_id;
    let own_role = batch.standing(remove.conversation_id, remove.by)?.role;
    only_groups(batch, remove.conversation_id)?;
    let their_role = batch.standing(remove.conversation_id, remove.user_id)?.role;
    if leaving {
        let others = query::members::of_conversation(batch.db, remove.conversation_id).await?.len() > 1;
        if own_role == MemberRole::Owner && others {
            return Err(Code::OwnerMustTransfer.into());
        }
    } else if own_role == MemberRole::Member || their_role == MemberRole::Owner {
        return Err(AppError::refused(
            Code::Forbidden,
            "Only an owner or admin can remove people, and the owner can't be removed.",
        ));
    }
    query::members::remove(batch.db, remove.conversation_id, remove.user_id).await?;
    batch.set_standing(remove.conversation_id, remove.user_id, None);
    let (conversation_id, user_id) = (remove.conversation_id, remove.user_id);
    batch.emit(conversation_id, |seq| Event::MemberRemoved { conversation_id, seq, user_id })?;
    Ok(Outcome::Done)
}

pub(super) async fn set_role(batch: &mut Batch<'_>, set: &SetRole) -> Result<Outcome, AppError> {
    if batch.standing(set.conversation_id, set.by)?.role != MemberRole::Owner {
        return Err(AppError::refused(Code::Forbidden, "Only the owner can change roles."));
    }
    only_groups(batch, set.conversation_id)?;
    batch.standing(set.conversation_id, set.user_id)?;
    if set.by == set.user_id {
        if set.role == MemberRole::Owner {
            return Ok(Outcome::Member(member(batch, set.conversation_id, set.user_id).await?));
        }
        return Err(Code::OwnerMustTransfer.into());
    }
    if set.role == MemberRole::Owner {
        change_role(batch, set.conversation_id, set.by, MemberRole::Admin).await?;
    }
    Ok(Outcome::Member(change_role(batch, set.conversation_id, set.user_id, set.role).await?))
}

pub(super) async fn change_role(
    batch: &mut Batch<'_>,
    conversation_id: ConversationId,
    user: UserId,
    role: MemberRole,
) -> Result<Member, AppError> {
    query::members::set_role(batch.db, conversation_id, user, role).await?;
    let member = member(batch, conversation_id, user).await?;
    batch.set_standing(conversation_id, user, Some(ActingMember { role, display_name: member.display_name.clone() }));
    batch.emit(conversation_id, |seq| Event::MemberUpdated { conversation_id, seq, member: member.clone() })?;
    Ok(member)
}

async fn member(batch: &Batch<'_>, id: ConversationId, user: UserId) -> Result<Member, AppError> {
    query::members::find(batch.db, id, user).await?.ok_or(Code::NotFound)?.try_into()
}

/// Says how the conversation is named and which assistants are in it.
async fn tell_update(batch: &mut Batch<'_>, conversation_id: ConversationId) -> Result<Vec<AssistantMember>, AppError> {
    let assistants: Vec<AssistantMember> = query::conversations::assistants(batch.db, &[conversation_id])
        .await?
        .into_iter()
        .map(AssistantMember::from)
        .collect();
    let conversation = batch.conversation(conversation_id)?;
    let (title, topic) = (conversation.title.clone(), conversation.topic.clone());
    batch.emit(conversation_id, |seq| Event::ConversationUpdated {
        conversation_id,
        seq,
        title,
        topic,
        assistants: assistants.clone(),
    })?;
    Ok(assistants)
}

/// Owners and admins of a group manage it; an assistant's chat belongs to its person; a pair has nothing to manage.
fn manager(batch: &Batch<'_>, id: ConversationId, user: UserId) -> Result<(), AppError> {
    let role = batch.standing(id, user)?.role;
    if batch.kind(id)? == ConversationKind::Single {
        return Err(AppError::refused(Code::WrongState, "A direct message can't be renamed or have more members."));
    }
    if role == MemberRole::Member {
        return Err(AppError::refused(Code::Forbidden, "Only an owner or admin of this conversation can do this."));
    }
    Ok(())
}

fn only_groups(batch: &Batch<'_>, id: ConversationId) -> Result<(), AppError> {
    if batch.kind(id)? == ConversationKind::Group {
        return Ok(());
    }
    Err(AppError::refused(Code::WrongState, "This is only available in groups."))
}
