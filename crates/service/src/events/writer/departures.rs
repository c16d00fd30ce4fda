//! Somebody goes for good: out of the workspace, or altogether. Nobody is asked, and what they owned goes to somebody who stays.

use appcore::{
    AppError, ConversationId, UserId,
    event::Event,
    view::{ConversationKind, MemberRole},
};
use dbcontext::query;

use super::{
    change::{Depart, Outcome},
    group::Group,
    rooms::{change_role, dissolve},
};

pub(super) async fn depart(group: &mut Group<'_>, depart: &Depart) -> Result<Outcome, AppError> {
    let (conversation_id, user_id) = (depart.conversation_id, depart.user_id);
    // Not by the standings, which leave out whose account has ended; and it may be asked for again.
    let Some(leaver) = query::members::find(group.db, conversation_id, user_id).await? else {
        return Ok(Outcome::Done);
    };
    let heir = heir(group, conversation_id, user_id).await?;
    match (group.kind(conversation_id)?, heir) {
        // A chat with an assistant is its person's, and nobody is left to read the others.
        (ConversationKind::Assistant, _) | (_, None) => return dissolve(group, conversation_id).await,
        // The one who stays keeps what was said; should the two meet again, they begin anew.
        (ConversationKind::Single, Some(_)) => {
            query::conversations::release_pair(group.db, conversation_id).await?;
        }
        (ConversationKind::Group, Some(heir)) => {
            if leaver.role == MemberRole::Owner.as_str() {
                change_role(group, conversation_id, heir, MemberRole::Owner).await?;
            }
        }
    }
    query::members::remove(group.db, conversation_id, user_id).await?;
    group.set_standing(conversation_id, user_id, None);
    group.emit(conversation_id, |seq| Event::MemberRemoved { conversation_id, seq, user_id })?;
    Ok(Outcome::Done)
}

/// Of those who stay, the admin who has been there longest, else the member.
async fn heir(group: &Group<'_>, id: ConversationId, leaver: UserId) -> Result<Option<UserId>, AppError> {
    let mut others = query::members::of_conversation(group.db, id).await?;
    others.retain(|member| member.user_id != leaver);
    let admin = others.iter().find(|member| member.role == MemberRole::Admin.as_str());
    Ok(admin.or(others.first()).map(|member| member.user_id))
}
