//! Somebody goes for good: out of the workspace, or altogether. Nobody is asked, and what they owned goes to somebody who stays.

use appcore::{
    AppError, ConversationId, UserId,
    event::Event,
    view::{ConversationKind, MemberRole},
};
use dbcontext::query;

use super::{
    batch::Batch,
    change::{Depart, Outcome},
    conversations::{change_role, dissolve},
};

pub(super) async fn depart(batch: &mut Batch<'_>, depart: &Depart) -> Result<Outcome, AppError> {
    let (conversation_id, user_id) = (depart.conversation_id, depart.user_id);
    // Not by the standings, which leave out whose account has ended; and it may be asked for again.
    let Some(leaver) = query::members::find(batch.db, conversation_id, user_id).await? else {
        return Ok(Outcome::Done);
    };
    let heir = heir(batch, conversation_id, user_id).await?;
    match (batch.kind(conversation_id)?, heir) {
        // A chat with an assistant is its person's, and nobody is left to read the others.
        (ConversationKind::Assistant, _) | (_, None) => return dissolve(batch, conversation_id).await,
        // The one who stays keeps what was said; should the two meet again, they begin anew.
        (ConversationKind::Single, Some(_)) => {
            query::conversations::release_pair(batch.db, conversation_id).await?;
        }
        (ConversationKind::Group, Some(heir)) => {
            if leaver.role == MemberRole::Owner.as_str() {
                change_role(batch, conversation_id, heir, MemberRole::Owner).await?;
            }
        }
    }
    query::members::remove(batch.db, conversation_id, user_id).await?;
    batch.set_standing(conversation_id, user_id, None);
    batch.emit(conversation_id, |seq| Event::MemberRemoved { conversation_id, seq, user_id })?;
    Ok(Outcome::Done)
}

/// Of those who stay, the admin who has been there longest, else the member.
async fn heir(batch: &Batch<'_>, id: ConversationId, leaver: UserId) -> Result<Option<UserId>, AppError> {
    let mut others = query::members::of_conversation(batch.db, id).await?;
    others.retain(|member| member.user_id != leaver);
    let admin = others.iter().find(|member| member.role == MemberRole::Admin.as_str());
    Ok(admin.or(others.first()).map(|member| member.user_id))
}
