//! Changes of conversations: create, update, membership, roles and deletion.

use appcore::{
    AppError, AssistantId, Code, ConversationId, UserId, WorkspaceId,
    access::Access,
    event::DurableBody,
    view::{AssistantMember, ConversationKind, HistoryScope, Member, MemberRole},
};
use dbcontext::{
    entity::conversation,
    query::{self, batches::LogHead, conversations::Settings},
};
use jobs::JobPayload as _;
use platform::{
    audit::{self, NewAuditEntry},
    cleanup::SweepJob,
};
use sea_orm::ConnectionTrait as _;

use super::{
    batch::{ActingMember, Batch},
    change::{Actor, CreateConversation, Created, Outcome, UpdateConversation},
    messages::{self, require_not_archived},
};

/// Maximum number of assistants per conversation.
const MAX_ASSISTANTS: usize = 10;

pub(super) async fn create(batch: &mut Batch<'_>, new: &CreateConversation) -> Result<Outcome, AppError> {
    let everyone: Vec<UserId> = new.members.iter().map(|(user, _)| *user).collect();
    if !query::workspaces::lock_members(batch.db, new.workspace_id, &everyone).await? {
        return Err(Code::NotFound.into());
    }
    let row = conversation::Model {
        id: new.id,
        workspace_id: new.workspace_id,
        kind: new.kind,
        search_title: new.title.as_deref().map(::search::fold_name),
        title: new.title.clone(),
        topic: new.topic.clone(),
        pair_key: new.pair_key.clone(),
        last_seq: 0,
        last_no: 0,
        last_activity_at: batch.now,
        last_message_at: batch.now,
        created_by: new.created_by,
        created_at: batch.now,
        archived_at: None,
        is_default: false,
        posting: new.posting,
        model: None,
        mention_all: new.mention_all,
        history: new.history,
        slow_mode_seconds: 0,
        word_filter: None,
        is_deleted: false,
    };
    if !query::conversations::insert(batch.db, row).await? {
        // If the creation is retried, it conflicts with its own title; this isn't an error.
        if let Some(key) = &new.pair_key
            && query::conversations::by_pair_key(batch.db, key).await?.is_some()
        {
            return Ok(Outcome::Created(Created::Existing));
        }
        check_title(batch, new.id, new.workspace_id, new.kind, new.title.as_deref()).await?;
        return Ok(Outcome::Created(Created::Existing));
    }
    query::members::insert(batch.db, new.id, new.members.iter().copied(), batch.now).await?;
    if let Some(assistant) = new.assistant {
        query::conversations::add_assistant(batch.db, new.id, assistant, batch.now).await?;
    }
    batch.emit_created(new.id, &everyone)?;
    Ok(Outcome::Created(Created::New(new.id)))
}

/// Fails if a channel has no title, or if another open conversation already has the title.
async fn check_title(
    batch: &Batch<'_>,
    id: ConversationId,
    workspace: WorkspaceId,
    kind: ConversationKind,
    title: Option<&str>,
) -> Result<(), AppError> {
    let able = kind.capabilities();
    let Some(title) = title else {
        return if able.is_channel {
            Err(AppError::field("title", "required", "Enter a channel name."))
        } else {
            Ok(())
        };
    };
    if able.is_open && query::conversations::is_title_taken(batch.db, workspace, title, id).await? {
        return Err(Code::NameTaken.into());
    }
    Ok(())
}

pub(super) async fn update(batch: &mut Batch<'_>, by: Actor, update: &UpdateConversation) -> Result<Outcome, AppError> {
    let id = by.conversation_id;
    require_manager(batch, by).await?;
    let old = settings(batch, id)?;
    let is_for_channels = update.posting.is_some()
        || update.mention_all.is_some()
        || update.slow_mode_seconds.is_some()
        || update.word_filter.is_some();
    if is_for_channels && !old.kind.capabilities().is_channel {
        return Err(AppError::refused(Code::WrongState, "This is only available in channels."));
    }
    if update.model.is_some() && !old.kind.capabilities().asks_every_message {
        return Err(AppError::refused(Code::WrongState, "This is only available in chats with an assistant."));
    }
    let new = Settings {
        kind: old.kind,
        title: update.title.clone().unwrap_or_else(|| old.title.clone()),
        topic: update.topic.clone().unwrap_or_else(|| old.topic.clone()),
        posting: update.posting.unwrap_or(old.posting),
        model: update.model.clone().unwrap_or_else(|| old.model.clone()),
        mention_all: update.mention_all.unwrap_or(old.mention_all),
        history: old.history,
        slow_mode_seconds: update.slow_mode_seconds.unwrap_or(old.slow_mode_seconds),
        word_filter: update.word_filter.clone().unwrap_or_else(|| old.word_filter.clone()),
    };
    if new != old {
        if new.title != old.title {
            check_title(batch, id, batch.conversation(id)?.workspace_id, new.kind, new.title.as_deref()).await?;
        }
        apply_settings(batch, id, new).await?;
    }
    if let Some(entry) = &update.entry {
        audit::record(batch.db, entry.clone()).await?;
    }
    Ok(Outcome::Done)
}

/// Converts the conversation to another kind and posts a system message about it.
pub(super) async fn convert(batch: &mut Batch<'_>, by: Actor, kind: ConversationKind) -> Result<Outcome, AppError> {
    let id = by.conversation_id;
    let access = access(batch, by).await?;
    if !access.has_owner_rights() {
        return Err(AppError::refused(
            Code::Forbidden,
            "Only the owner, or an admin of the workspace, can convert this conversation.",
        ));
    }
    if access.is_default {
        return Err(AppError::refused(Code::DefaultChannel, "The workspace's default channel can't be converted."));
    }
    let old = settings(batch, id)?;
    if old.kind == kind {
        return Ok(Outcome::Done);
    }
    if !old.kind.can_become(kind) {
        return Err(AppError::refused(Code::WrongState, "This conversation can't be converted to that."));
    }
    require_not_archived(batch, id)?;
    check_title(batch, id, access.workspace_id, kind, old.title.as_deref()).await?;
    let is_open = kind.capabilities().is_open;
    // History that was once public stays visible.
    let history = if is_open { HistoryScope::All } else { old.history };
    apply_settings(batch, id, Settings { kind, history, ..old }).await?;
    let name = query::users::by_id(batch.db, by.user_id).await?.map_or_else(String::new, |user| user.display_name);
    let what = if is_open { "made this channel public" } else { "made this a private channel" };
    messages::post_system_message(batch, id, format!("{name} {what}."))?;
    Ok(Outcome::Done)
}

pub(super) async fn archive(batch: &mut Batch<'_>, by: Actor, archived: bool) -> Result<Outcome, AppError> {
    let id = by.conversation_id;
    let access = access(batch, by).await?;
    if !access.kind.capabilities().is_channel && access.kind != ConversationKind::Assistant {
        return Err(AppError::refused(Code::WrongState, "Only channels and AI chats can be archived."));
    }
    access.require_manager()?;
    if access.is_default {
        return Err(AppError::refused(Code::DefaultChannel, "The workspace's default channel can't be archived."));
    }
    if access.is_archived == archived {
        return Ok(Outcome::Done);
    }
    let archived_at = archived.then_some(batch.now);
    query::conversations::set_archived(batch.db, id, archived_at).await?;
    batch.conversation_mut(id)?.archived_at = archived_at;
    let body = match archived_at {
        Some(archived_at) => DurableBody::ConversationArchived { archived_at },
        None => DurableBody::ConversationUnarchived {},
    };
    batch.emit(id, body)?;
    Ok(Outcome::Done)
}

fn settings(batch: &Batch<'_>, id: ConversationId) -> Result<Settings, AppError> {
    let state = batch.conversation(id)?;
    Ok(Settings {
        kind: batch.kind(id)?,
        title: state.title.clone(),
        topic: state.topic.clone(),
        posting: state.posting,
        model: state.model.clone(),
        mention_all: state.mention_all,
        history: state.history,
        slow_mode_seconds: state.slow_mode_seconds,
        word_filter: state.word_filter.clone(),
    })
}

async fn apply_settings(batch: &mut Batch<'_>, id: ConversationId, new: Settings) -> Result<(), AppError> {
    let is_renamed = batch.conversation(id)?.title != new.title;
    query::conversations::update_settings(batch.db, id, &new, is_renamed).await?;
    let state = batch.conversation_mut(id)?;
    state.kind = new.kind;
    state.posting = new.posting;
    state.mention_all = new.mention_all;
    state.history = new.history;
    state.slow_mode_seconds = new.slow_mode_seconds;
    state.word_filter = new.word_filter;
    (state.title, state.topic, state.model) = (new.title, new.topic, new.model);
    batch.reload_filter(id);
    emit_update(batch, id).await?;
    Ok(())
}

/// Sets the title, unless the conversation has got one meanwhile.
pub(super) async fn suggest_title(batch: &mut Batch<'_>, id: ConversationId, title: &str) -> Result<Outcome, AppError> {
    if batch.conversation(id)?.title.is_some() {
        return Ok(Outcome::Done);
    }
    let new = Settings { title: Some(title.to_owned()), ..settings(batch, id)? };
    apply_settings(batch, id, new).await?;
    Ok(Outcome::Done)
}

pub(super) async fn delete(batch: &mut Batch<'_>, by: Actor) -> Result<Outcome, AppError> {
    let access = access(batch, by).await?;
    if !access.has_owner_rights() {
        return Err(AppError::refused(Code::Forbidden, "Only the owner can delete this conversation."));
    }
    if access.is_default {
        return Err(AppError::refused(Code::DefaultChannel, "The workspace's default channel can't be deleted."));
    }
    dissolve(batch, by.conversation_id).await
}

pub(super) async fn delete_by_admin(
    batch: &mut Batch<'_>,
    id: ConversationId,
    entry: &NewAuditEntry,
) -> Result<Outcome, AppError> {
    audit::record(batch.db, entry.clone()).await?;
    dissolve(batch, id).await
}

/// Deletes a conversation for all members.
pub(super) async fn dissolve(batch: &mut Batch<'_>, conversation_id: ConversationId) -> Result<Outcome, AppError> {
    batch.emit(conversation_id, DurableBody::ConversationDeleted {})?;
    // Stores the last sequence number immediately, because the conversation is removed from the
    // batch.
    let state = batch.conversation(conversation_id)?;
    let (last_seq, last_no) = (state.last_seq, state.last_no);
    let head = LogHead { id: conversation_id, last_seq, last_no, has_new_messages: false };
    let advance = query::batches::advance_heads(batch.db.get_database_backend(), &[head], batch.now);
    query::execute(batch.db, vec![advance]).await?;
    query::conversations::delete(batch.db, conversation_id).await?;
    batch.enqueue(SweepJob::Conversation(conversation_id).new_job()?);
    batch.remove_conversation(conversation_id);
    Ok(Outcome::Done)
}

pub(super) async fn add_member(batch: &mut Batch<'_>, by: Actor, user_id: UserId) -> Result<Outcome, AppError> {
    let id = by.conversation_id;
    require_manager(batch, by).await?;
    require_logged_members(batch, id)?;
    if batch.acting_member(id, user_id).is_ok() {
        return Err(Code::AlreadyMember.into());
    }
    let workspace_id = batch.conversation(id)?.workspace_id;
    if !query::workspaces::lock_members(batch.db, workspace_id, &[user_id]).await? {
        return Err(Code::NotFound.into());
    }
    query::members::insert(batch.db, id, [(user_id, MemberRole::Member)], batch.now).await?;
    if settings(batch, id)?.history == HistoryScope::FromJoin {
        let state = batch.conversation(id)?;
        let position = (state.last_seq, state.last_no);
        query::members::hide_history_until(batch.db, id, user_id, position).await?;
    }
    let member = member(batch, id, user_id).await?;
    let standing = ActingMember { role: member.role, display_name: member.display_name.clone() };
    batch.set_acting_member(id, user_id, Some(standing));
    batch.emit(id, DurableBody::MemberAdded { member: member.clone() })?;
    Ok(Outcome::Member(member))
}

pub(super) async fn add_assistant(
    batch: &mut Batch<'_>,
    by: Actor,
    assistant_id: AssistantId,
) -> Result<Outcome, AppError> {
    let id = by.conversation_id;
    require_manager(batch, by).await?;
    let present = query::conversations::assistants(batch.db, &[id]).await?;
    let is_there = present.iter().any(|assistant| assistant.assistant_id == assistant_id);
    if !is_there && present.len() >= MAX_ASSISTANTS {
        return Err(AppError::refused(
            Code::WrongState,
            format!("A conversation can have up to {MAX_ASSISTANTS} assistants."),
        ));
    }
    if !query::conversations::add_assistant(batch.db, id, assistant_id, batch.now).await? {
        return Err(AppError::refused(Code::AlreadyMember, "This assistant is already in the conversation."));
    }
    let assistants = emit_update(batch, id).await?;
    assistants
        .into_iter()
        .find(|assistant| assistant.id == assistant_id)
        .map(Outcome::Assistant)
        .ok_or_else(|| Code::NotFound.into())
}

pub(super) async fn remove_member(batch: &mut Batch<'_>, by: Actor, user_id: UserId) -> Result<Outcome, AppError> {
    let id = by.conversation_id;
    let leaving = by.user_id == user_id;
    let own_role = batch.acting_member(id, by.user_id)?.role;
    require_logged_members(batch, id)?;
    let their_role = batch.acting_member(id, user_id)?.role;
    if leaving {
        let heir = query::members::successor(batch.db, id, user_id).await?;
        match heir {
            // A conversation without members is deleted, because nobody could read or delete it any
            // more.
            None => return dissolve(batch, id).await,
            Some(_) if own_role == MemberRole::Owner => return Err(Code::OwnerMustTransfer.into()),
            Some(_) => {}
        }
    } else if own_role == MemberRole::Member || their_role == MemberRole::Owner {
        return Err(AppError::refused(
            Code::Forbidden,
            "Only an owner or admin can remove people, and the owner can't be removed.",
        ));
    }
    query::members::remove(batch.db, id, user_id, None).await?;
    batch.set_acting_member(id, user_id, None);
    batch.emit(id, DurableBody::MemberRemoved { user_id })?;
    Ok(Outcome::Done)
}

pub(super) async fn set_role(
    batch: &mut Batch<'_>,
    by: Actor,
    user_id: UserId,
    role: MemberRole,
) -> Result<Outcome, AppError> {
    let id = by.conversation_id;
    if batch.acting_member(id, by.user_id)?.role != MemberRole::Owner {
        return Err(AppError::refused(Code::Forbidden, "Only the owner can change roles."));
    }
    require_logged_members(batch, id)?;
    batch.acting_member(id, user_id)?;
    if by.user_id == user_id {
        if role == MemberRole::Owner {
            return Ok(Outcome::Member(member(batch, id, user_id).await?));
        }
        return Err(Code::OwnerMustTransfer.into());
    }
    if role == MemberRole::Owner {
        change_role(batch, id, by.user_id, MemberRole::Admin).await?;
    }
    Ok(Outcome::Member(change_role(batch, id, user_id, role).await?))
}

/// Transfers the ownership. Works only for conversations whose membership changes are in the log.
pub(super) async fn transfer_ownership(
    batch: &mut Batch<'_>,
    id: ConversationId,
    heir: UserId,
    entry: &NewAuditEntry,
) -> Result<Outcome, AppError> {
    require_logged_members(batch, id)?;
    batch.acting_member(id, heir)?;
    audit::record(batch.db, entry.clone()).await?;
    let owner = query::members::owner(batch.db, id).await?;
    if owner == Some(heir) {
        return Ok(Outcome::Member(member(batch, id, heir).await?));
    }
    if let Some(owner) = owner {
        change_role(batch, id, owner, MemberRole::Admin).await?;
    }
    Ok(Outcome::Member(change_role(batch, id, heir, MemberRole::Owner).await?))
}

pub(super) async fn change_role(
    batch: &mut Batch<'_>,
    conversation_id: ConversationId,
    user: UserId,
    role: MemberRole,
) -> Result<Member, AppError> {
    query::members::set_role(batch.db, conversation_id, user, role).await?;
    let member = member(batch, conversation_id, user).await?;
    batch.set_acting_member(
        conversation_id,
        user,
        Some(ActingMember { role, display_name: member.display_name.clone() }),
    );
    batch.emit(conversation_id, DurableBody::MemberUpdated { member: member.clone() })?;
    Ok(member)
}

async fn member(batch: &Batch<'_>, id: ConversationId, user: UserId) -> Result<Member, AppError> {
    Ok(query::members::find(batch.db, id, user).await?.ok_or(Code::NotFound)?.into())
}

/// Emits an event with the conversation's settings and assistants.
async fn emit_update(batch: &mut Batch<'_>, conversation_id: ConversationId) -> Result<Vec<AssistantMember>, AppError> {
    let assistants: Vec<AssistantMember> = query::conversations::assistants(batch.db, &[conversation_id])
        .await?
        .into_iter()
        .map(AssistantMember::from)
        .collect();
    let Settings { kind, title, topic, posting, model, mention_all, history, slow_mode_seconds, .. } =
        settings(batch, conversation_id)?;
    batch.emit(
        conversation_id,
        DurableBody::ConversationUpdated {
            kind,
            title,
            topic,
            posting,
            mention_all,
            history,
            slow_mode_seconds,
            assistants: assistants.clone(),
            model,
        },
    )?;
    Ok(assistants)
}

/// Returns the access of a user who may read the conversation.
async fn access(batch: &Batch<'_>, by: Actor) -> Result<Access, AppError> {
    let access = query::access::find(batch.db, by.conversation_id, by.user_id).await?.filter(Access::may_read);
    access.ok_or_else(|| Code::NotFound.into())
}

/// Fails unless the user manages the conversation and conversations of this kind can be managed.
async fn require_manager(batch: &Batch<'_>, by: Actor) -> Result<(), AppError> {
    let access = access(batch, by).await?;
    if !access.kind.capabilities().is_managed {
        return Err(AppError::refused(Code::WrongState, "A direct message can't be renamed or have more members."));
    }
    if !access.may_manage() {
        return Err(AppError::refused(Code::Forbidden, "Only an owner or admin of this conversation can do this."));
    }
    require_not_archived(batch, by.conversation_id)
}

/// Fails for kinds whose membership changes aren't in the log.
fn require_logged_members(batch: &Batch<'_>, id: ConversationId) -> Result<(), AppError> {
    let able = batch.capabilities(id)?;
    if able.members_are_durable && !able.fixed_members {
        return Ok(());
    }
    Err(AppError::refused(Code::WrongState, "This is only available in groups."))
}
