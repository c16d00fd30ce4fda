//! Coming and going in channels. It changes one row and a count, whatever the number of members, takes no `seq` and no lock that messages
//! wait for, and is told as passing events. What the writer remembers of members is checked when it stores their messages
//! (`events::writer::memory`).

use std::time::Duration;

use appcore::{
    AppError, Code, ConversationId, UserId,
    access::Access,
    auth::Principal,
    event::{BusMessage, FollowChange, Envelope, Event, Coalesced, Topic},
    view::{Conversation, Member, MemberRole},
};
use dbcontext::{Transaction, constraint::app_error, query};
use event_log::{access, events::ServerAction};
use platform::audit::{self, NewAuditEntry};
use sea_orm::ConnectionTrait;

use super::find;
use crate::ConversationsService;

/// How long a change waits for the other instances to be told of it before it is answered.
const TOLD_WITHIN: Duration = Duration::from_secs(1);

/// Joins a channel that is open to the caller. Its member stays one, and is told of it again: the instance that let them in may have died before
/// it told their connections.
pub async fn join(
    service: &ConversationsService,
    by: &Principal,
    id: ConversationId,
) -> Result<Conversation, AppError> {
    let access = access::Lookup::new(&service.events, by.user_id, id).find().await?.ok_or(Code::NotFound)?;
    access.may_join()?;
    // Who may join though they were removed governs the workspace.
    let is_new = access.role.is_none() && bring_in(service, &access, by.user_id, access.is_removed).await?.is_some();
    if !is_new && !access.kind.capabilities().members_are_durable {
        let (member, last_seq) = joined(service.db.writer(), id, by.user_id).await?;
        service.notify_user(by.user_id, &Event::MemberJoined { conversation_id: id, member, last_seq })?;
    }
    find(service, by, id).await
}

/// Adds a member of the workspace. For the channel's managers.
pub(super) async fn add(
    service: &ConversationsService,
    by: &Principal,
    id: ConversationId,
    user: UserId,
) -> Result<Member, AppError> {
    let access = access::manager(&service.events, by.user_id, id).await?;
    bring_in(service, &access, user, true).await?.ok_or_else(|| Code::AlreadyMember.into())
}

/// None: they are in it already.
async fn bring_in(
    service: &ConversationsService,
    access: &Access,
    user: UserId,
    is_let_in: bool,
) -> Result<Option<Member>, AppError> {
    let id = access.conversation_id;
    let tx = service.db.begin().await.map_err(app_error)?;
    if !query::workspaces::hold(&tx, access.workspace_id, &[user]).await? {
        return Err(Code::NotFound.into());
    }
    if !query::members::join(&tx, id, user, service.clock.now(), is_let_in).await? {
        return match query::access::find(&tx, id, user).await? {
            Some(Access { role: Some(_), .. }) => Ok(None),
            Some(Access { is_archived: true, .. }) => Err(Code::Archived.into()),
            Some(Access { is_removed: true, .. }) => Err(Code::Removed.into()),
            _ => Err(Code::NotFound.into()),
        };
    }
    let (member, last_seq) = joined(&tx, id, user).await?;
    tx.commit().await.map_err(app_error)?;
    tell(service, id, user, &Event::MemberJoined { conversation_id: id, member: member.clone(), last_seq }).await?;
    tell_count(service, id).await?;
    Ok(Some(member))
}

/// Ends a membership: the caller's own, or, for the channel's managers, that of another member who does not own it, who then stays out until somebody adds
/// them. Where an owner goes, the admin who has been there longest owns it, else the member; a private channel that nobody is left in ends.
pub(super) async fn remove(
    service: &ConversationsService,
    by: &Principal,
    id: ConversationId,
    user: UserId,
) -> Result<(), AppError> {
    let tx = service.db.begin().await.map_err(app_error)?;
    query::members::hold_count(&tx, id).await?;
    let access = query::access::find(&tx, id, by.user_id).await?.filter(Access::may_read).ok_or(Code::NotFound)?;
    let role = role(&tx, id, user).await?;
    if user != by.user_id {
        access.require_manager()?;
        if role == MemberRole::Owner {
            return Err(AppError::refused(Code::Forbidden, "The owner can't be removed."));
        }
    }
    if access.is_default {
        return Err(Code::DefaultChannel.into());
    }
    let heir = query::members::heir(&tx, id, user).await?;
    if heir.is_none() && !access.kind.capabilities().is_open {
        tx.rollback().await.map_err(app_error)?;
        service.events.writer.submit(ServerAction::Dissolve.on(id)).await?;
        return Ok(());
    }
    let mut succession = None;
    if let Some(heir) = heir.filter(|_| role == MemberRole::Owner) {
        query::members::set_role(&tx, id, heir, MemberRole::Owner).await?;
        succession = Some(joined(&tx, id, heir).await?);
    }
    let removed_at = (user != by.user_id).then(|| service.clock.now());
    query::members::remove(&tx, id, user, removed_at).await?;
    tx.commit().await.map_err(app_error)?;
    if let Some((member, last_seq)) = succession {
        tell(service, id, member.user_id, &Event::MemberRoleChanged { conversation_id: id, member, last_seq }).await?;
    }
    tell(service, id, user, &Event::MemberLeft { conversation_id: id, user_id: user }).await?;
    tell_count(service, id).await
}

/// Gives a role. For the channel's managers; only an owner hands the ownership over.
pub(super) async fn set_role(
    service: &ConversationsService,
    by: &Principal,
    id: ConversationId,
    user: UserId,
    new: MemberRole,
) -> Result<Member, AppError> {
    let tx = service.db.begin().await.map_err(app_error)?;
    query::members::hold_count(&tx, id).await?;
    let access = query::access::find(&tx, id, by.user_id).await?.filter(Access::may_read).ok_or(Code::NotFound)?;
    access.require_manager()?;
    let old = role(&tx, id, user).await?;
    if (old == MemberRole::Owner || new == MemberRole::Owner) && !access.has_owner_rights() {
        return Err(AppError::refused(Code::Forbidden, "Only the owner can hand the channel over."));
    }
    if old == MemberRole::Owner && new != old {
        return Err(Code::OwnerMustTransfer.into());
    }
    change_role(service, tx, id, user, old, new).await
}

/// Makes a member the owner, whoever owns it now. By an administrator of the installation, who need not be in it.
pub(super) async fn hand_over(
    service: &ConversationsService,
    id: ConversationId,
    user: UserId,
    entry: NewAuditEntry,
) -> Result<Member, AppError> {
    let tx = service.db.begin().await.map_err(app_error)?;
    query::members::hold_count(&tx, id).await?;
    let old = role(&tx, id, user).await?;
    audit::record(&tx, entry).await?;
    change_role(service, tx, id, user, old, MemberRole::Owner).await
}

/// Where it becomes another one's, its owner becomes an admin.
async fn change_role(
    service: &ConversationsService,
    tx: Transaction,
    id: ConversationId,
    user: UserId,
    old: MemberRole,
    new: MemberRole,
) -> Result<Member, AppError> {
    let mut changed = Vec::new();
    if old != new {
        if new == MemberRole::Owner
            && let Some(owner) = query::members::owner(&tx, id).await?
        {
            query::members::set_role(&tx, id, owner, MemberRole::Admin).await?;
            changed.push(joined(&tx, id, owner).await?);
        }
        query::members::set_role(&tx, id, user, new).await?;
        changed.push(joined(&tx, id, user).await?);
    }
    let (member, _) = joined(&tx, id, user).await?;
    tx.commit().await.map_err(app_error)?;
    for (member, last_seq) in changed {
        tell(service, id, member.user_id, &Event::MemberRoleChanged { conversation_id: id, member, last_seq }).await?;
    }
    Ok(member)
}

async fn role(tx: &Transaction, id: ConversationId, user: UserId) -> Result<MemberRole, AppError> {
    let member = query::members::find(tx, id, user).await?.ok_or(Code::NotFound)?;
    member.role.parse().map_err(AppError::internal)
}

/// A member, and how far the conversation has come.
async fn joined<C: ConnectionTrait>(db: &C, id: ConversationId, user: UserId) -> Result<(Member, i64), AppError> {
    let member = query::members::find(db, id, user).await?.ok_or(Code::NotFound)?.try_into()?;
    let last_seq = query::events::heads(db, [id]).await?.first().map_or(0, |(_, seq)| *seq);
    Ok((member, last_seq))
}

/// Tells the person concerned and the channel's viewers, and every instance who follows it from now on. It waits until that is on its way to
/// the others, so that whatever the caller does next comes after it.
async fn tell(service: &ConversationsService, id: ConversationId, user: UserId, event: &Event) -> Result<(), AppError> {
    let now = service.clock.now();
    let own = Envelope::seal(event, Topic::User(user), now).map_err(AppError::internal)?;
    let seen = Envelope::seal(event, Topic::Viewers(id), now).map_err(AppError::internal)?.with_follow_change(FollowChange::None);
    let left = service.bus.publish(vec![BusMessage::Envelope(own.into()), BusMessage::Envelope(seen.into())]);
    // Where the bus is away, instances read memberships again once it is back.
    let _ = tokio::time::timeout(TOLD_WITHIN, left).await;
    Ok(())
}

/// Tells the channel's viewers its number of members.
async fn tell_count(service: &ConversationsService, conversation_id: ConversationId) -> Result<(), AppError> {
    let member_count = query::members::count(service.db.writer(), conversation_id).await?;
    let member_count = u32::try_from(member_count).unwrap_or(u32::MAX);
    drop(
        service.bus.publish(vec![BusMessage::Coalesced(Coalesced::MemberCount { conversation_id, member_count }.into())]),
    );
    Ok(())
}
