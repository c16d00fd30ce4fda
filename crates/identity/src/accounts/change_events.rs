//! Change events of users: a new name or a new picture.
//!
//! The recipients are those who share a conversation with the user, whatever its size, and those
//! who watch the user's presence, as clients do for the users that they display. The event is
//! published after the commit and not stored. Clients that were offline read names and pictures
//! again.

use appcore::{
    AppError, ConversationId, UserId,
    event::{BusMessage, Envelope, Event, MAX_BATCHED_IDS, Topic},
};
use dbcontext::query::{account_erasure, users};

use crate::IdentityService;

/// Publishes the user's current name and picture. A failure is only logged, because clients refresh
/// names and pictures later.
pub async fn announce_user_change(service: &IdentityService, user_id: UserId) {
    if let Err(error) = publish_user_change(service, user_id).await {
        tracing::warn!(%error, %user_id, "failed to publish user change");
    }
}

async fn publish_user_change(service: &IdentityService, user_id: UserId) -> Result<(), AppError> {
    let db = service.db.writer();
    let Some(users::PublicProfile { display_name, picture, is_deleted }) = users::public_profile(db, user_id).await?
    else {
        return Ok(());
    };
    let event = Event::UserChanged { user_id, display_name, picture, deleted: is_deleted };
    let conversations = account_erasure::conversations(db, user_id).await?;
    let mut parts: Vec<&[ConversationId]> = conversations.chunks(MAX_BATCHED_IDS).collect();
    if parts.is_empty() {
        // Users without a common conversation may still watch this user's presence.
        parts.push(&[]);
    }
    let now = service.clock.now();
    let mut messages = Vec::with_capacity(parts.len());
    for part in parts {
        let topic = Topic::Contacts { user_id, conversation_ids: part.to_vec() };
        let envelope = Envelope::seal(&event, topic, now).map_err(AppError::internal)?;
        messages.push(BusMessage::Envelope(envelope.into()));
    }
    // The publication is not awaited, because clients refresh names and pictures sooner or later.
    drop(service.bus.publish(messages));
    Ok(())
}
