//! Channel membership. Joining and leaving change one row and a counter, whatever the number of
//! members. These changes have no sequence number (`seq`), take no lock that messages wait for, and
//! are published as ephemeral events. The writer revalidates its cached memberships when it stores
//! messages.

use std::time::Duration;

use appcore::{
    AppError, Code, ConversationId, UserId,
    access::Access,
    auth::Principal,
    event::{BusMessage, Coalesced, Envelope, Event, FollowChange, Topic},
    view::{Conversation, Member, MemberRole},
};
use dbcontext::{Transaction, constraint::app_error, query};
use event_log::{access, events::ServerAction};
use platform::audit::{self, NewAuditEntry};
use sea_orm::ConnectionTrait;

use super::find;
use crate::ConversationsService;

/// Timeout for confirming the publication to other instances before the request is answered.
const PUBLISH_TIMEOUT: Duration = Duration::from_secs(1);

/// Joins an open channel. If the user is a member already, the event is published again, because
/// the instance that added them may have crashed before it published the event.
pub async fn join(
    service: &ConversationsService,
    by: &Principal,
    id: ConversationId,
) -> Result<Conversation, AppError> {
    let access = access::Lookup::new(&service.events, by.user_id, id).find().await?.ok_or(Code::NotFound)?;
    access.may_join()?;
    // The access check lets a removed user pass only if they manage the workspace, so they may
    // rejoin.
    let is_new =
        access.role.is_none() && add_to_channel(service, &access, by.user_id, access.is_removed).await?.is_some();
    if !is_new && !access.kind.capabilities().members_are_durable {
        let (member, last_seq) = member_with_seq(service.db.writer(), id, by.user_id).await?;
        service.notify_user(by.user_id, &Event::MemberJoined { conversation_id: id, member, last_seq })?;
    }
    find(service, by, id).await
}

/// Adds a workspace member to a channel. Requires a manager of the channel.
pub(super) async fn add(
    service: &ConversationsService,
    by: &Principal,
    id: ConversationId,
    user: UserId,
) -> Result<Member, AppError> {
    let access = access::manager(&service.events, by.user_id, id).await?;
    add_to_channel(service, &access, user, true).await?.ok_or_else(|| Code::AlreadyMember.into())
}

/// Adds a member; returns `None` if the user is a member already.
async fn add_to_channel(
    service: &ConversationsService,
    access: &Access,
    user: UserId,
    is_let_in: bool,
) -> Result<Option<Member>, AppError> {
    let id = access.conversation_id;
    let tx = service.db.begin().await.map_err(app_error)?;
    if !query::workspaces::lock_members(&tx, access.workspace_id, &[user]).await? {
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
    let (member, last_seq) = member_with_seq(&tx, id, user).await?;
    tx.commit().await.map_err(app_error)?;
    publish(service, id, user, &Event::MemberJoined { conversation_id: id, member: member.clone(), last_seq }).await?;
    publish_member_count(service, id).await?;
    Ok(Some(member))
}

/// Ends a membership: the caller's own or, for managers of the channel, that of another member
/// except the owner. A removed member can't rejoin until somebody adds them. If the owner leaves,
/// the longest-standing admin becomes the owner, or else the longest-standing member. A private
/// channel without members is dissolved.
pub(super) async fn remove(
    service: &ConversationsService,
    by: &Principal,
    id: ConversationId,
    user: UserId,
) -> Result<(), AppError> {
    let tx = service.db.begin().await.map_err(app_error)?;
    query::members::lock_count(&tx, id).await?;
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
    let heir = query::members::successor(&tx, id, user).await?;
    if heir.is_none() && !access.kind.capabilities().is_open {
        tx.rollback().await.map_err(app_error)?;
        service.events.writer.submit(ServerAction::Dissolve.on_conversation(id)).await?;
        return Ok(());
    }
    let mut succession = None;
    if let Some(heir) = heir.filter(|_| role == MemberRole::Owner) {
        query::members::set_role(&tx, id, heir, MemberRole::Owner).await?;
        succession = Some(member_with_seq(&tx, id, heir).await?);
    }
    let removed_at = (user != by.user_id).then(|| service.clock.now());
    query::members::remove(&tx, id, user, removed_at).await?;
    tx.commit().await.map_err(app_error)?;
    if let Some((member, last_seq)) = succession {
        publish(service, id, member.user_id, &Event::MemberRoleChanged { conversation_id: id, member, last_seq })
            .await?;
    }
    publish(service, id, user, &Event::MemberLeft { conversation_id: id, user_id: user }).await?;
    publish_member_count(service, id).await
}

/// Changes a member's role. Requires a manager; only the owner can transfer the ownership.
pub(super) async fn set_role(
    service: &ConversationsService,
    by: &Principal,
    id: ConversationId,
    user: UserId,
    new: MemberRole,
) -> Result<Member, AppError> {
    let tx = service.db.begin().await.map_err(app_error)?;
    query::members::lock_count(&tx, id).await?;
    let access = query::access::find(&tx, id, by.user_id).await?.filter(Access::may_read).ok_or(Code::NotFound)?;
    access.require_manager()?;
    let old = role(&tx, id, user).await?;
    if (old == MemberRole::Owner || new == MemberRole::Owner) && !access.has_owner_rights() {
        return Err(AppError::refused(Code::Forbidden, "Only the owner can transfer the channel."));
    }
    if old == MemberRole::Owner && new != old {
        return Err(Code::OwnerMustTransfer.into());
    }
    change_role(service, tx, id, user, old, new).await
}

/// Transfers the ownership to a member, on behalf of an administrator of the installation who need
/// not be a member.
pub(super) async fn transfer_ownership(
    service: &ConversationsService,
    id: ConversationId,
    user: UserId,
    entry: NewAuditEntry,
) -> Result<Member, AppError> {
    let tx = service.db.begin().await.map_err(app_error)?;
    query::members::lock_count(&tx, id).await?;
    let old = role(&tx, id, user).await?;
    audit::record(&tx, entry).await?;
    change_role(service, tx, id, user, old, MemberRole::Owner).await
}

/// Changes a role. On a transfer of ownership the previous owner becomes an admin.
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
            changed.push(member_with_seq(&tx, id, owner).await?);
        }
        query::members::set_role(&tx, id, user, new).await?;
        changed.push(member_with_seq(&tx, id, user).await?);
    }
    let (member, _) = member_with_seq(&tx, id, user).await?;
    tx.commit().await.map_err(app_error)?;
    for (member, last_seq) in changed {
        publish(service, id, member.user_id, &Event::MemberRoleChanged { conversation_id: id, member, last_seq })
            .await?;
    }
    Ok(member)
}

async fn role(tx: &Transaction, id: ConversationId, user: UserId) -> Result<MemberRole, AppError> {
    Ok(query::members::find(tx, id, user).await?.ok_or(Code::NotFound)?.role)
}

/// Member of a conversation, with the conversation's latest `seq`.
async fn member_with_seq<C: ConnectionTrait>(
    db: &C,
    id: ConversationId,
    user: UserId,
) -> Result<(Member, i64), AppError> {
    let member = query::members::find(db, id, user).await?.ok_or(Code::NotFound)?.into();
    let last_seq = query::events::heads(db, [id]).await?.first().map_or(0, |(_, seq)| *seq);
    Ok((member, last_seq))
}

/// Publishes a membership event to the user and to the channel's viewers. Waits until it is
/// published, so that the other instances process it before the caller's next action.
async fn publish(
    service: &ConversationsService,
    id: ConversationId,
    user: UserId,
    event: &Event,
) -> Result<(), AppError> {
    let now = service.clock.now();
    let own = Envelope::seal(event, Topic::User(user), now).map_err(AppError::internal)?;
    let seen = Envelope::seal(event, Topic::Viewers(id), now)
        .map_err(AppError::internal)?
        .with_follow_change(FollowChange::None);
    let left = service.bus.publish(vec![BusMessage::Envelope(own.into()), BusMessage::Envelope(seen.into())]);
    // If the bus is down, instances reload memberships when it is back.
    let _ = tokio::time::timeout(PUBLISH_TIMEOUT, left).await;
    Ok(())
}

/// Publishes the member count to the channel's viewers.
async fn publish_member_count(service: &ConversationsService, conversation_id: ConversationId) -> Result<(), AppError> {
    let member_count = query::members::count(service.db.writer(), conversation_id).await?;
    let member_count = u32::try_from(member_count).unwrap_or(u32::MAX);
    drop(
        service
            .bus
            .publish(vec![BusMessage::Coalesced(Coalesced::MemberCount { conversation_id, member_count }.into())]),
    );
    Ok(())
}
