//! Departures: removes a user who has left the workspace or deleted their account. No permission is
//! needed. If the user owned the conversation, a remaining member becomes the owner.

use appcore::{
    AppError, Code, ConversationId, UserId,
    event::{DurableBody, Event, Topic},
    view::MemberRole,
};
use dbcontext::query;

use super::{
    batch::Batch,
    change::Outcome,
    conversations::{change_role, dissolve},
};

pub(super) async fn depart(
    batch: &mut Batch<'_>,
    conversation_id: ConversationId,
    user_id: UserId,
) -> Result<Outcome, AppError> {
    // Reads the member from the database, because the loaded memberships exclude users whose
    // account is deleted. The change may be repeated.
    let Some(leaver) = query::members::find(batch.db, conversation_id, user_id).await? else {
        return Ok(Outcome::Done);
    };
    let able = batch.capabilities(conversation_id)?;
    if !able.members_are_durable {
        query::members::lock_count(batch.db, conversation_id).await?;
    }
    let heir = query::members::successor(batch.db, conversation_id, user_id).await?;
    match heir {
        // An open channel remains even without members. Other conversations have no reader left and
        // are deleted; an assistant chat belongs to the leaver alone.
        None if !able.is_open => return dissolve(batch, conversation_id).await,
        Some(_) if able.asks_every_message => return dissolve(batch, conversation_id).await,
        // The remaining user keeps the messages. If the two start a conversation again, it is a new
        // one.
        Some(_) if able.is_pair => query::conversations::clear_pair_key(batch.db, conversation_id).await?,
        Some(heir) if able.has_owner && leaver.role == MemberRole::Owner => {
            if able.members_are_durable {
                change_role(batch, conversation_id, heir, MemberRole::Owner).await?;
            } else {
                query::members::set_role(batch.db, conversation_id, heir, MemberRole::Owner).await?;
                let member = query::members::find(batch.db, conversation_id, heir).await?.ok_or(Code::NotFound)?;
                let (member, last_seq) = (member.into(), batch.conversation(conversation_id)?.last_seq);
                let event = Event::MemberRoleChanged { conversation_id, member, last_seq };
                batch.emit_ephemeral(&event, Topic::User(heir))?;
            }
        }
        None | Some(_) => {}
    }
    query::members::remove(batch.db, conversation_id, user_id, None).await?;
    batch.set_acting_member(conversation_id, user_id, None);
    if able.members_are_durable {
        batch.emit(conversation_id, DurableBody::MemberRemoved { user_id })?;
    } else {
        batch.emit_ephemeral(&Event::MemberLeft { conversation_id, user_id }, Topic::User(user_id))?;
    }
    Ok(Outcome::Done)
}
