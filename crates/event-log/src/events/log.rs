//! Rebuilds publishable envelopes from rows of the event log.

use appcore::{
    AppError, EventId, UserId,
    event::{Envelope, FollowChange, LogPosition, Topic},
};
use dbcontext::entity::conversation_event;
use serde::Deserialize;

/// Rebuilds the envelope of a logged event as it was first published. The recipients of
/// `conversation.created` aren't in the log; the outbox publisher resolves them.
pub(crate) fn envelope(row: conversation_event::Model) -> Result<Envelope, AppError> {
    #[derive(Deserialize)]
    struct Added {
        member: Member,
    }
    #[derive(Deserialize)]
    struct Member {
        user_id: UserId,
    }
    let effect = match row.kind.as_str() {
        "member.added" => FollowChange::Follow(vec![
            serde_json::from_str::<Added>(&row.payload).map_err(AppError::internal)?.member.user_id,
        ]),
        "member.removed" => FollowChange::Unfollow(vec![
            serde_json::from_str::<Member>(&row.payload).map_err(AppError::internal)?.user_id,
        ]),
        "conversation.deleted" => FollowChange::UnfollowAll,
        _ => FollowChange::None,
    };
    let position = LogPosition { conversation_id: row.conversation_id, seq: row.seq };
    Ok(Envelope {
        id: EventId::for_position(position),
        kind: row.kind,
        timestamp: row.created_at,
        topic: Topic::Conversation(row.conversation_id),
        position: Some(position),
        effect,
        payload: row.payload.into_bytes().into(),
    })
}

#[cfg(test)]
mod tests {
    use appcore::{
        ConversationId, Timestamp,
        event::{DurableBody, Event},
        view::{Member, MemberRole},
    };

    use super::*;

    #[test]
    fn rebuilds_the_published_envelope_from_a_row() {
        let (conversation_id, user_id) = (ConversationId::new(), UserId::new());
        let member = Member {
            user_id,
            display_name: "Ada".into(),
            role: MemberRole::Member,
            read_seq: 0,
            delivered_seq: 0,
            joined_at: Timestamp(1),
            presence: None,
            last_seen: None,
        };
        let bodies = [
            DurableBody::MemberAdded { member },
            DurableBody::MemberRemoved { user_id },
            DurableBody::ConversationDeleted {},
        ];
        for (seq, body) in (1..).zip(bodies) {
            let event = Event::Durable { conversation_id, seq, body };
            let told = Envelope::seal(&event, Topic::Conversation(conversation_id), Timestamp(5)).unwrap();
            let row = conversation_event::Model {
                conversation_id,
                seq: event.position().unwrap().seq,
                kind: event.kind().to_owned(),
                payload: String::from_utf8(told.payload.to_vec()).unwrap(),
                created_at: Timestamp(5),
                outbox_id: None,
                message_id: None,
            };
            assert_eq!(envelope(row).unwrap(), told);
        }
    }
}
