//! Telling others that somebody has another name or another picture.
//!
//! It goes to those who share a conversation with the person, whatever its size, and to those who watch their presence, as clients do for people whom they
//! show. It is told after the commit and kept nowhere; who was away reads names and pictures anew.

use appcore::{
    AppError, ConversationId, UserId,
    event::{BusMessage, Envelope, Event, MAX_NAMED, Topic},
};
use dbcontext::query::{account_erasure, users};

use crate::IdentityService;

/// Tells what others know this person by now. What can't be told they learn as they ask again.
pub async fn tell_others(service: &IdentityService, user_id: UserId) {
    if let Err(error) = tell(service, user_id).await {
        tracing::warn!(%error, %user_id, "another name or picture could not be told");
    }
}

async fn tell(service: &IdentityService, user_id: UserId) -> Result<(), AppError> {
    let db = service.db.writer();
    let Some(users::PublicProfile { display_name, picture, is_deleted }) = users::appearance(db, user_id).await? else {
        return Ok(());
    };
    let event = Event::UserChanged { user_id, display_name, picture, deleted: is_deleted };
    let conversations = account_erasure::conversations(db, user_id).await?;
    let mut parts: Vec<&[ConversationId]> = conversations.chunks(MAX_NAMED).collect();
    if parts.is_empty() {
        // There may be people who watch them all the same.
        parts.push(&[]);
    }
    let now = service.clock.now();
    let mut messages = Vec::with_capacity(parts.len());
    for part in parts {
        let topic = Topic::Contacts { user_id, conversation_ids: part.to_vec() };
        let envelope = Envelope::seal(&event, topic, now).map_err(AppError::internal)?;
        messages.push(BusMessage::Envelope(envelope.into()));
    }
    // Not awaited: it is read again sooner or later.
    drop(service.bus.publish(messages));
    Ok(())
}
